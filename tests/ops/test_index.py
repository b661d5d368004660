"""Index errors that MXNet does not survive, and what their messages say."""

import pytest
import torch

from regluon import nd, np
from regluon.base import OutOfRangeError, ShapeError
from regluon.ops.registry import TABLE


def test_an_index_out_of_range_names_the_index_and_the_length():
    with pytest.raises(OutOfRangeError, match=r"5 is out of range: there are 3") as caught:
        nd.take(nd.ones((3, 2)), nd.array([0, 5])).wait_to_read()
    assert isinstance(caught.value, IndexError)
    assert "take(float32[3, 2], float32[2]" in str(caught.value)
    assert __file__ in str(caught.value)


def test_a_negative_index_is_an_error_in_nd_and_counts_from_the_end_in_np():
    with pytest.raises(OutOfRangeError, match="-1"):
        nd.pick(nd.ones((2, 3)), nd.array([0, -1])).wait_to_read()
    assert float(np.take(np.array([1, 2, 3]), np.array(-1))) == 3
    with pytest.raises(OutOfRangeError, match="-4 is out of range for an axis of length 3"):
        np.take(np.array([1, 2, 3]), np.array(-4)).wait_to_read()


def test_scattering_outside_the_shape_is_an_error():
    with pytest.raises(OutOfRangeError, match="index 2 is out of range for an axis of length 2"):
        nd.scatter_nd(nd.ones(1), nd.array([[2], [0]]), shape=(2, 2)).wait_to_read()


def test_a_mask_of_the_wrong_length_is_an_error():
    with pytest.raises(ShapeError, match=r"the mask needs shape \(3,\)"):
        TABLE["boolean_mask"].fn(torch.ones(3, 2), torch.ones(2))


def test_where_with_one_argument_gives_the_places():
    (places,) = np.where(np.array([False, True]))
    assert places.asnumpy().tolist() == [1]
