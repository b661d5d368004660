"""Indices out of range, with which MXNet 1.9.1 writes outside the array."""

import pytest

from regluon import nd
from regluon.base import OutOfRangeError


@pytest.mark.parametrize("wrong", [-1, 4])
def test_filling_outside_a_row_is_an_error(wrong):
    with pytest.raises(OutOfRangeError, match=f"index {wrong} is out of range: there are 4"):
        nd.fill_element_0index(nd.zeros((2, 4)), nd.ones(2), nd.array([0, wrong])).wait_to_read()


def test_onehot_encode_writes_into_its_second_argument_and_returns_it():
    out = nd.full((2, 3), 7)
    assert nd.onehot_encode(nd.array([2, -1]), out) is out
    assert out.asnumpy().tolist() == [[0, 0, 1], [0, 0, 0]]


def test_numbers_beyond_float32_stay_exact_as_whole_numbers():
    places = nd.array([[5], [2**31]], dtype="int64")
    number = nd.ravel_multi_index(places, shape=(-1, 2**32))
    assert number.asnumpy().tolist() == [5 * 2**32 + 2**31]
    assert nd.unravel_index(number, shape=(-1, 2**32)).asnumpy().tolist() == [[5], [2**31]]
