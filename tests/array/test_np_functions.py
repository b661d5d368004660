"""Functions and methods of np beside its operators: signatures, tuples, operators on bits."""

import inspect
import math

import numpy as onp
import pytest

import regluon as mx
from regluon.base import MXNetError


np = mx.np
WHOLE = np.array([1, 2, 4], dtype="int32")


def test_where_with_a_condition_alone_gives_a_tuple_of_places():
    rows, columns = np.where(np.array([[0, 1], [2, 0]]))
    assert (rows.asnumpy().tolist(), columns.asnumpy().tolist()) == ([0, 1], [1, 0])
    with pytest.raises(MXNetError, match="both x and y"):
        np.where(WHOLE > 1, 1.0)


def test_the_places_that_nonzero_gives_are_an_index():
    x = np.array([[0.0, 1.0], [2.0, 0.0]])
    assert isinstance(np.nonzero(x), tuple)
    assert x[np.nonzero(x)].asnumpy().tolist() == x[x.nonzero()].asnumpy().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("endpoint", [True, False])
def test_linspace_returns_its_step_on_request(endpoint):
    numbers, step = np.linspace(0, 2, 4, endpoint=endpoint, retstep=True)
    wanted, gap = onp.linspace(0, 2, 4, endpoint=endpoint, retstep=True)
    onp.testing.assert_allclose(numbers.asnumpy(), wanted, rtol=1e-6)
    assert step == gap


def test_nan_to_num_writes_in_place_without_a_copy():
    x = np.array([math.nan, math.inf, -math.inf])
    assert np.nan_to_num(x, copy=False, posinf=1, neginf=-1) is x
    assert x.asnumpy().tolist() == [0.0, 1.0, -1.0]


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("exp", "(x, out=None)"),
        ("add", "(x1, x2, out=None)"),
        ("expand_dims", "(a, axis, out=None)"),
        ("sum", "(a, axis=None, dtype=None, keepdims=False, initial=None, out=None)"),
        ("clip", "(a, a_min, a_max, out=None)"),
        ("meshgrid", "(*xi, indexing='xy', sparse=False, copy=True, out=None)"),
    ],
)
def test_parameters_are_called_as_in_mxnet(name, signature):
    assert str(inspect.signature(getattr(np, name))) == signature


def test_out_may_be_given_by_position():
    x, out = np.array([0.0, 1.0]), np.zeros(2)
    assert np.exp(x, out) is out
    assert np.add(x, x, out) is out
    assert out.asnumpy().tolist() == [0.0, 2.0]


def test_functions_take_numbers_alone():
    assert float(np.exp(0)) == 1.0
    assert int(np.maximum(1, 2)) == 2
    assert np.sqrt(4.0).shape == ()


def test_operators_on_bits_work_from_both_sides_and_in_place():
    assert (WHOLE & 3).asnumpy().tolist() == (3 & WHOLE).asnumpy().tolist() == [1, 2, 0]
    assert (WHOLE | 1).asnumpy().tolist() == (1 | WHOLE).asnumpy().tolist() == [1, 3, 5]
    assert (WHOLE ^ 1).asnumpy().tolist() == (1 ^ WHOLE).asnumpy().tolist() == [0, 3, 5]
    assert (~(WHOLE > 1)).asnumpy().tolist() == [True, False, False]
    x = same = WHOLE.copy()
    x &= 6
    x |= 8
    x ^= 1
    assert x is same
    assert x.asnumpy().tolist() == [9, 11, 13]


def test_methods_take_the_arguments_of_numpy_like_arrays():
    x = np.array([1.0, 2.0, 3.0])
    assert x.clip(min=2).asnumpy().tolist() == [2.0, 2.0, 3.0]
    assert x.clip(1, 2).asnumpy().tolist() == [1.0, 2.0, 2.0]
    assert x.astype("int32", "K").dtype == onp.int32
    assert x.astype("float32", copy=False) is x
    assert x.as_in_ctx(ctx=mx.cpu()) is x
    with pytest.raises(ValueError, match="casting"):
        x.astype("int32", casting="safe")


def test_a_recorded_view_has_a_gradient_where_the_result_depends_on_values():
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    rows.attach_grad()
    with mx.autograd.record():
        y = np.delete(rows[1], 0)
    y.backward()
    assert rows.grad.asnumpy().tolist() == [[0.0, 0.0], [0.0, 1.0]]
