"""Casts to a common dtype, which MXNet 1.9.1 does not survive on a CPU."""

import pytest

from regluon import nd


@pytest.mark.parametrize(("narrow", "wanted"), [(False, "float32"), (True, "float16")])
def test_arrays_of_several_dtypes_get_the_widest_or_narrowest_of_the_floating_ones(narrow, wanted):
    half, single, whole = (nd.ones(2, dtype=d) for d in ("float16", "float32", "int32"))
    outputs = nd.amp_multicast(half, single, whole, num_outputs=3, cast_narrow=narrow)
    assert [x.dtype.__name__ for x in outputs] == [wanted, wanted, "int32"]
    assert [x.asnumpy().tolist() for x in outputs] == [[1, 1]] * 3


def test_whole_numbers_alone_stay_as_they_are():
    output = nd.amp_multicast(nd.ones(2, dtype="int8"), num_outputs=1)
    assert output.dtype.__name__ == "int8"
