"""Shape errors that MXNet does not survive, and shapes that only attributes decide."""

import numpy
import pytest
import torch

from regluon import nd, np
from regluon.base import MXNetError, ShapeError
from regluon.ops.reduce import chosen_axes
from regluon.ops.registry import TABLE, Spec


def test_reshape_without_a_shape_is_refused():
    with pytest.raises(ShapeError, match=r"shape \(2, 3\) needs a `shape`"):
        nd.reshape(nd.ones((2, 3))).wait_to_read()


def test_reshape_to_another_size_names_both_shapes():
    with pytest.raises(ShapeError, match=r"\(2, 3\) \(size 6\) to \(5, -1\)"):
        nd.reshape(nd.ones((2, 3)), shape=(5, -1)).wait_to_read()


def test_an_integer_division_by_zero_is_an_error_and_not_a_crash():
    with pytest.raises(MXNetError, match="whole number is divided by zero"):
        (nd.array([1], dtype="int32") / 0).wait_to_read()


def test_an_axis_that_does_not_exist_is_named():
    with pytest.raises(ShapeError, match="axis 2 is out of range for an array of 2 dimensions"):
        np.sum(np.ones((2, 3)), axis=2).wait_to_read()
    with pytest.raises(ShapeError, match="twice"):
        chosen_axes(3, (1, -2))


def test_splitting_into_unequal_parts_is_refused():
    with pytest.raises(ShapeError, match="length 3 cannot be split into 2 equal parts"):
        np.split(np.ones((3,)), 2)


def test_the_number_of_outputs_is_known_from_the_attributes():
    data = Spec((4, 6), torch.float32)
    for name, attrs in (
        ("split", {"num_outputs": 3}),
        ("split_v2", {"indices_or_sections": (1, 3)}),
        ("split_np", {"indices_or_sections": 2}),
    ):
        op = TABLE[name]
        assert callable(op.outputs)
        assert op.outputs(**attrs) == len(op.infer(data, **attrs))


def test_several_axes_are_inserted_as_in_numpy_and_only_one_elsewhere() -> None:
    x = np.ones((2, 3))
    for axis in ((0, 2), (-1, 0), [1]):
        assert np.expand_dims(x, axis).shape == numpy.expand_dims(x.asnumpy(), axis).shape
    for axis in ((0, 2), None):
        with pytest.raises(ShapeError, match="one axis is needed"):
            nd.expand_dims(nd.ones((2, 3)), axis=axis).asnumpy()
