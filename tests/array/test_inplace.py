"""Writing into arrays: operators in place, `out=`, parts that overlap, views of gradients."""

import operator

import numpy as onp
import pytest

import regluon as mx
from regluon import autograd, nd, np
from regluon.base import ContextError, DTypeError, MXNetError, ShapeError


SPACES = {"nd": nd, "np": np}
UPDATES = {
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "/=": operator.itruediv,
    "%=": operator.imod,
    "**=": operator.ipow,
}
TARGETS = {
    "the array": lambda x: x,
    "a row": lambda x: x[1],
    "rows": lambda x: x[1:3],
    "a row of rows": lambda x: x[1:][0],
    "part of a row": lambda x: x[0, 1:3],
    "a leaf": lambda x: x.attach_grad() or x,
    "a row of a leaf": lambda x: (x.attach_grad() or x)[1],
    "the same storage": lambda x: x.detach(),
}
OPERANDS = {"a number": 3, "an integer array": 2, "an array": 1.5, "a row": 0.5}


def start(space: str, dtype: str = "float32"):
    return SPACES[space].array(onp.arange(1, 13).reshape(4, 3), dtype=dtype)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("sign", UPDATES)
@pytest.mark.parametrize("space", SPACES)
def test_an_operator_in_place_writes_what_numpys_writes(space, sign, target):
    plain = onp.arange(1, 13, dtype="float32").reshape(4, 3)
    if "leaf" in target:
        want = plain if target == "a leaf" else plain[1]
    else:
        want = TARGETS[target](plain) if target != "the same storage" else plain
    x = start(space)
    part = TARGETS[target](x)
    for value in (3, 1.5, onp.full(want.shape, 2, "float32"), onp.full(want.shape[-1:], 0.5, "f")):
        other = value if isinstance(value, (int, float)) else SPACES[space].array(value)
        same = UPDATES[sign](part, other)
        assert same is part
        UPDATES[sign](want, value)
        onp.testing.assert_allclose(part.asnumpy(), want, rtol=1e-5)
        onp.testing.assert_allclose(x.asnumpy(), plain, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float16"])
def test_a_number_takes_the_dtype_of_an_nd_array(dtype):
    x = nd.array([1, 3], dtype=dtype)
    x += 1.5
    assert x.dtype == onp.dtype(dtype)
    assert x.asnumpy().tolist() == ([2.5, 4.5] if dtype == "float16" else [2, 4])


@pytest.mark.parametrize("space", SPACES)
def test_an_update_that_would_change_the_dtype_is_refused_and_writes_nothing(space):
    x, y = SPACES[space].array([1, 3], dtype="int32"), SPACES[space].array([0.5, 1])
    with pytest.raises(DTypeError, match=r"out is int32, the result float32.*astype"):
        x += y
    assert x.asnumpy().tolist() == [1, 3]
    y += x  # float32 takes integers
    assert y.asnumpy().tolist() == [1.5, 4]


@pytest.mark.parametrize("space", SPACES)
def test_an_update_that_would_change_the_shape_is_refused(space):
    x = SPACES[space].ones((2,))
    for other in ((3, 2), (1, 2)):
        with pytest.raises(ShapeError, match=r"out has shape \(2,\), the result \(., 2\)"):
            x += SPACES[space].ones(other)
    assert x.asnumpy().tolist() == [1, 1]


@pytest.mark.parametrize("space", SPACES)
def test_out_is_checked_before_anything_is_written(space):
    F = SPACES[space]
    x, y = F.ones((2, 3)), F.ones((2, 3))
    wrong = {
        ShapeError: F.zeros((3, 2)),
        DTypeError: F.zeros((2, 3), dtype="float64"),
        ContextError: F.zeros((2, 3), ctx=mx.cpu(1)),
    }
    for kind, out in wrong.items():
        with pytest.raises(kind, match=r"(?s)out |cpu\(0\) and cpu\(1\)"):
            F.add(x, y, out=out)
        assert not out.asnumpy().any()
    with pytest.raises(ShapeError, match="cannot be broadcast"):
        F.add(x, F.ones((4,)), out=y)
    assert (y.asnumpy() == 1).all()


@pytest.mark.parametrize("space", SPACES)
def test_out_may_be_a_view(space):
    F = SPACES[space]
    x, y = start(space), start(space)
    row = y[2]
    assert F.multiply(x[0], 10, out=row) is row
    assert y.asnumpy()[2].tolist() == [10, 20, 30]
    F.add(x[0], x[1], out=y[3])
    assert y.asnumpy()[3].tolist() == [5, 7, 9]


OVERLAPS = {
    "forward": lambda x, F: x.__setitem__(slice(1, None), x[:-1]),
    "backward": lambda x, F: x.__setitem__(slice(None, -1), x[1:]),
    "turned": lambda x, F: x.__setitem__(slice(None, None, -1), x),
    "from turned": lambda x, F: x.__setitem__(slice(None), x[::-1]),
    "by an index": lambda x, F: x.__setitem__([1, 2, 3], x[:3]),
    "by a mask": lambda x, F: x.__setitem__(onp.arange(6) > 2, x[1:4]),
    "added": lambda x, F: operator.iadd(x[1:], x[:-1]),
    "out": lambda x, F: F.add(x[:-1], x[1:], out=x[1:]),
    "its own square": lambda x, F: F.multiply(x, x, out=x),
}


@pytest.mark.parametrize("form", OVERLAPS)
@pytest.mark.parametrize("space", SPACES)
def test_a_part_may_be_written_from_one_that_overlaps(space, form):
    plain = onp.arange(6, dtype="float32")
    x = SPACES[space].array(plain)
    OVERLAPS[form](x, SPACES[space])
    OVERLAPS[form](plain, onp)
    assert x.asnumpy().tolist() == plain.tolist()


def test_a_matrix_may_be_written_from_its_transpose():
    x = nd.array([[1, 2], [3, 4]])
    x[:] = x.T
    assert x.asnumpy().tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize("space", SPACES)
def test_a_leaf_that_was_updated_is_still_a_leaf(space):
    x = start(space)
    x.attach_grad()
    x += 1
    x[0] = 0
    with autograd.record():
        loss = (x * x).sum()
    loss.backward()
    assert (x.grad.asnumpy() == 2 * x.asnumpy()).all()


@pytest.mark.parametrize("write", ["x += 1", "x[0] = 1", "x[:] = 1", "y[0] = 1", "y += 1"])
@pytest.mark.parametrize("space", SPACES)
def test_recorded_arrays_cannot_be_written_under_record(space, write):
    x = start(space)
    x.attach_grad()
    with autograd.record():
        y = x * 2
        with pytest.raises(MXNetError, match=r"in place to an array of shape \(4, 3\).*recorded"):
            exec(write, {"x": x, "y": y})
        view = x[0]
        with pytest.raises(MXNetError, match=r"in place to an array of shape \(3,\)"):
            view[:] = 1
    assert (x.asnumpy() == start(space).asnumpy()).all()


def test_writing_what_the_gradient_needs_is_an_error_of_backward_with_the_line():
    x = start("nd")
    x.attach_grad()
    with autograd.record():
        loss = (x * x).sum()
        with autograd.pause():
            x += 1  # MXNet computes a gradient of no function here
    with pytest.raises(MXNetError, match=r"shape \(4, 3\), written at .*test_inplace\.py"):
        loss.backward() or x.grad.asnumpy()


@pytest.mark.parametrize("copy", ["x[::-1]", "x.T.reshape(4, 3)", "x * 1", "x.copy()"])
@pytest.mark.parametrize("space", SPACES)
def test_what_is_written_into_a_recorded_copy_under_pause_is_what_later_calls_read(space, copy):
    x = start(space)
    x.attach_grad()
    with autograd.record():
        y = eval(copy)
        with autograd.pause():
            y[1] = 7
        z = y * y
        loss = z.sum()
    loss.backward()
    assert (z.asnumpy() == y.asnumpy() ** 2).all()
    assert (y.asnumpy()[1] == 7).all()
    assert x.grad.asnumpy().sum() == 2 * y.asnumpy().sum()
    assert (x.asnumpy() == start(space).asnumpy()).all()


@pytest.mark.parametrize("space", SPACES)
def test_gradients_add_up_through_views(space):
    x = SPACES[space].array([1.0, 2.0, 3.0])
    x.attach_grad("add")
    for _ in range(2):
        with autograd.record():
            loss = (x[0:2] * x[1:3]).sum() + x.reshape(3, 1)[0].sum()
        loss.backward()
    assert x.grad.asnumpy().tolist() == [6, 8, 4]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("req", ["write", "add"])
def test_views_of_a_gradient_follow_it(space, req):
    x = SPACES[space].array([1.0, 2.0, 3.0])
    x.attach_grad(req)
    first = x.grad[0:2]
    with autograd.record():
        loss = (x * x).sum()
    loss.backward()
    assert first.asnumpy().tolist() == [2, 4]
    x.grad[1:][:] = 7
    assert x.grad.asnumpy().tolist() == [2, 7, 7]
    assert first.asnumpy().tolist() == [2, 7]


@pytest.mark.parametrize("space", SPACES)
def test_a_view_may_be_a_leaf(space):
    x = start(space)
    row = x[0]
    row.attach_grad()
    with autograd.record():
        loss = (row * row).sum()
    loss.backward()
    assert row.grad.asnumpy().tolist() == [2, 4, 6]
    x[:] = 9
    assert row.asnumpy().tolist() == [9, 9, 9]


KEYS = {
    "a row": 1,
    "rows": slice(1, 3),
    "turned": slice(None, None, -1),
    "a column": (slice(None), 0),
    "all": slice(None),
    "an index": [2, 0],
    "a place twice": [1, 1],
    "pairs": ([0, 3], [1, 1]),
    "a mask": onp.array([True, False, True, True]),
    "separated": (None, [0, 1], slice(None), None),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("space", SPACES)
def test_a_recorded_value_written_anywhere_has_the_gradient_of_what_stayed(space, key):
    F = SPACES[space]
    chosen = onp.zeros((4, 3), "float32")[KEYS[key]]
    x = F.array(onp.arange(chosen.size, dtype="float32").reshape(chosen.shape) + 1)
    x.attach_grad()
    weights = start(space)
    with autograd.record():
        out = F.zeros((4, 3))
        out[KEYS[key]] = x * 2
        loss = (out * weights).sum()
    loss.backward()
    plain = onp.zeros((4, 3), "float32")
    plain[KEYS[key]] = 2 * x.asnumpy()
    assert (out.asnumpy() == plain).all()
    number = onp.full((4, 3), -1)
    number[KEYS[key]] = onp.arange(chosen.size).reshape(chosen.shape)
    want = [2 * weights.asnumpy()[number == n].sum() for n in range(chosen.size)]
    assert x.grad.asnumpy().reshape(-1).tolist() == want


def test_a_recorded_value_cannot_be_written_into_a_view():
    x = start("nd")
    x.attach_grad()
    with autograd.record(), pytest.raises(MXNetError, match="cannot be written into a view"):
        nd.zeros((4, 3))[0][:] = x[0]
