import pytest

import regluon as mx
from tests.gluon.cases import check, of_file, read, run


GOLDEN = read()


@pytest.mark.parametrize("case", of_file("conv"), ids=lambda case: case.name)
def test_outputs_gradients_names_and_repr_are_those_of_mxnet(case):
    check(f"{case.file}: {case.name}", run(mx, case), GOLDEN)
