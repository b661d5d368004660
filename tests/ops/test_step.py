"""Optimizer steps in mixed precision and on several arrays: what is written, and what is not."""

import pytest

from regluon import nd
from regluon.base import DTypeError, ShapeError


def arrays(*dtypes):
    return [nd.full((2,), at + 1, dtype=dtype) for at, dtype in enumerate(dtypes)]


def test_the_result_shares_nothing_with_the_float32_copy():
    weight, grad, mom, copy = arrays(*["float32"] * 4)
    result = nd.mp_sgd_mom_update(weight, grad, mom, copy, lr=0.5)
    listed = nd.multi_mp_sgd_mom_update(weight, grad, mom, copy, lrs=(0.5,), wds=(0.0,))
    (contrib,) = nd.contrib.multi_mp_adamw_update(
        [weight], [grad], [mom], [nd.ones((2,))], [copy], 1.0, (0.5,), (0.0,), (1.0,), out=[weight]
    )
    before = copy.asnumpy().tolist()
    for array in (result, listed, contrib):
        array[:] = 7
    assert copy.asnumpy().tolist() == before


def test_the_copy_must_be_float32():
    with pytest.raises(DTypeError, match="weight32 is float32, not"):
        nd.mp_sgd_update(*arrays("float16", "float16", "float16"), lr=0.5).wait_to_read()


def test_arrays_that_do_not_fit_are_an_error_and_nothing_is_written():
    weight, grad, mom = nd.ones((2,)), nd.ones((3,)), nd.ones((2,))
    with pytest.raises(ShapeError, match=r"weight \(2,\) does not fit .* \(3,\)"):
        nd.nag_mom_update(weight, grad, mom, lr=0.5).wait_to_read()
    assert mom.asnumpy().tolist() == [1, 1]
    with pytest.raises(ShapeError, match="5 arrays are not 2 for each"):
        nd.multi_sgd_update(*[weight] * 5, lrs=(1,), wds=(0,))


def test_the_weights_given_as_out_are_updated_and_returned():
    weight, grad = nd.ones((2,)), nd.ones((2,))
    out = [weight]
    assert nd.multi_sgd_update(weight, grad, lrs=(0.5,), wds=(0.0,), out=out)[0] is weight
    assert nd.sgd_update(weight, grad, lr=0.25, out=weight) is weight
    assert weight.asnumpy().tolist() == [0.25, 0.25]
