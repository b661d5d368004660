"""`a + b`, `f(x)`: the short way gives the values, gradients and errors of the whole way."""

import importlib
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import regluon as mx
from regluon import autograd, nd
from regluon.array import dispatch, part, shortcut


OPERATORS = {"add": operator.add, "subtract": operator.sub, "multiply": operator.mul}
FUNCTIONS = {
    "add": nd.broadcast_add,
    "subtract": nd.broadcast_sub,
    "multiply": nd.broadcast_mul,
}


def leaf() -> Any:
    x = nd.array([[1.0, 2.0], [3.0, 4.0]])
    x.attach_grad()
    return x


def spent() -> Any:
    x = leaf()
    with autograd.record():
        y = x * x
    y.backward()
    return y


OPERANDS: dict[str, Callable[[], Any]] = {
    "plain": lambda: nd.array([[5.0, -6.0], [7.0, 0.5]]),
    "row": lambda: nd.array([[5.0, -6.0]]),
    "view": lambda: nd.array([[[5.0, -6.0], [7.0, 0.5]]])[0],
    "integers": lambda: nd.array([[5, -6], [7, 1]], dtype="int32"),
    "leaf": leaf,
    "leaf's view": lambda: leaf()[0:2],
    "spent": spent,
    "result": lambda: leaf() * 3,
    "result's view": lambda: (leaf() * 3)[0:1],
}


def outcome(call: Callable[[Any, Any], Any], left: str, right: str, recorded: bool) -> Any:
    """Return the value of a call and the gradients of the leaves that it was made of."""
    leaves: list[Any] = []
    made = mx.nd.NDArray.attach_grad

    def noted(self: Any, *args: Any) -> None:
        made(self, *args)
        leaves.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mx.nd.NDArray, "attach_grad", noted)
        with autograd.record() if recorded else autograd.pause():
            lhs = OPERANDS[left]()
            y = call(lhs, lhs if left == right else OPERANDS[right]())
    if recorded and y.recorded():
        y.backward()
    return y.asnumpy().tolist(), y.dtype, [x.grad.asnumpy().tolist() for x in leaves]


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("recorded", [False, True])
def test_an_operator_is_the_function_of_the_same_name(name: str, recorded: bool) -> None:
    for left, right in itertools.product(OPERANDS, repeat=2):
        found = outcome(OPERATORS[name], left, right, recorded)
        assert found == outcome(FUNCTIONS[name], left, right, recorded), (left, right)


@pytest.mark.parametrize("name", ["tanh", "negative", "sum", "sign", "shape_array"])
@pytest.mark.parametrize("recorded", [False, True])
def test_a_function_of_one_array_is_the_operator(name: str, recorded: bool) -> None:
    op = mx.ops.registry.NAMESPACES["nd"][name]

    def whole(x: Any, _: Any) -> Any:
        return dispatch.Issue(op, (x,), {}, nd.NDArray, None, None).issue()

    for operand in OPERANDS:
        found = outcome(lambda x, _: getattr(nd, name)(x), operand, operand, recorded)
        assert found == outcome(whole, operand, operand, recorded), operand


@pytest.fixture
def naive() -> Iterator[None]:
    previous = mx.engine.set_type("NaiveEngine")
    yield
    mx.engine.set_type(previous)


@pytest.mark.usefixtures("naive")
def test_the_short_way_is_gone_for_arrays_of_one_context_that_are_there() -> None:
    op, tanh, sign = (mx.ops.registry.TABLE[name] for name in ("add", "tanh", "sign"))
    x, y = leaf(), OPERANDS["plain"]()
    assert part.pair(op, x, y) is not None
    assert part.pair(op, x, y.as_in_context(mx.cpu(1))) is None
    with autograd.record():
        assert part.pair(op, x, y).recorded()
        assert not part.pair(op, y, y).recorded()
        with torch.no_grad():
            assert part.pair(op, x, y) is None
        assert part.pair(op, x[0], y) is None
        assert part.alone(tanh, x).recorded()
        assert not part.alone(sign, y).recorded()
        assert part.alone(tanh, x[0]) is None
    assert not part.alone(tanh, x).recorded()
    assert not part.pair(op, x, y).recorded()


@pytest.mark.usefixtures("naive")
@pytest.mark.parametrize("viewed", [False, True])
def test_what_a_device_still_copies_goes_the_whole_way(viewed: bool) -> None:
    op, tanh = (mx.ops.registry.TABLE[name] for name in ("add", "tanh"))
    marked, y = nd.ones((2, 2)), nd.ones((2, 2))
    x = marked[0:2] if viewed else marked
    marked.mark = object()
    assert part.pair(op, x, y) is part.pair(op, y, x) is part.alone(tanh, x) is None
    assert part.part(x, slice(0, 1)) is None
    assert not part.updated(x, "add", y)
    for way in (shortcut.computed, shortcut.recorded):
        assert way(op, (x, y), {}, nd.NDArray, 100) is None
    marked.mark = None
    assert part.updated(x, "add", y)
    assert marked.asnumpy().tolist() == [[2, 2], [2, 2]]


KEYS: list[Any] = [0, -1, slice(None), slice(1, 3), slice(0, 4, 2), (1, 2), (slice(1, 3), 0)]
KEYS += [
    (slice(None), slice(1, 4, 2)),
    (None, 2),
    slice(3, 1),
    slice(None, None, -1),
    (Ellipsis, 1),
]
VALUES: dict[str, Callable[[], Any]] = {
    "float": lambda: 2.5,
    "integer": lambda: 3,
    "too large": lambda: 1e300,
    "huge": lambda: 10**400,
    "one": lambda: nd.array([7]),
    "row": lambda: nd.array([1, 2, 3, 4]),
    "row of a table": lambda: nd.array([[1, 2, 3, 4]]),
    "integers": lambda: nd.array([1, 2, 3, 4], dtype="int32"),
    "list": lambda: [4, 3, 2, 1],
}


def written(key: Any, value: str, viewed: bool) -> Any:
    """Return what a write leaves of an array, or its error."""
    base = nd.array([[[row * 4.0 + column for column in range(4)] for row in range(4)]] * 2)
    x = base[1] if viewed else base[1].copy()
    try:
        x[key] = VALUES[value]()
        nd.waitall()
    except Exception as error:
        return type(error), str(error)
    return x.asnumpy().tolist(), base.asnumpy().tolist()


@pytest.mark.parametrize("viewed", [False, True])
@pytest.mark.parametrize("value", VALUES)
def test_a_write_leaves_what_the_whole_way_leaves(value: str, viewed: bool) -> None:
    for key in KEYS:
        found = written(key, value, viewed)
        with pytest.MonkeyPatch.context() as patch:
            module = importlib.import_module("regluon.array.ndarray")  # not the class
            patch.setattr(module, "assigned", lambda *_: False)
            assert found == written(key, value, viewed), key


@pytest.mark.usefixtures("naive")
def test_writes_that_somebody_looks_at_go_the_whole_way() -> None:
    x, y = OPERANDS["plain"](), nd.ones((2, 2))
    assert part.assigned(x, 0, 1)
    assert part.assigned(x, slice(0, 2), y)
    assert part.assigned(x[1], 0, 2.5)
    assert x.asnumpy().tolist() == [[1, 1], [2.5, 1]]
    assert not part.assigned(x, slice(None), x)
    assert not part.assigned(x, 0, x[1])
    assert not part.assigned(x, slice(None), y.as_in_context(mx.cpu(1)))
    assert not part.assigned(x, slice(None), y.astype("float16"))
    assert not part.assigned(x, 5, 1)
    assert not part.assigned(OPERANDS["integers"](), 0, 1)
    column = x[:, 0]  # a copy, made when x is written
    assert not part.assigned(x, 0, 3)
    assert column.asnumpy().tolist() == [1, 2.5]
    parameter, y = leaf(), nd.ones((2, 2))
    assert part.assigned(parameter, 0, 1)
    with autograd.record():
        assert not part.assigned(parameter, 0, 1)
        assert not part.assigned(parameter[0], 0, 1)
        assert not part.assigned(y, 0, parameter[0])
        assert part.assigned(y, 0, 4)
        z = parameter * y
        assert not part.assigned(y, 0, 1)
    assert not part.assigned(y, 0, 1)  # z's backward needs it
    z.backward()
    assert parameter.grad.asnumpy().tolist() == [[4, 4], [1, 1]]


def test_a_mistake_names_both_shapes_and_the_line() -> None:
    x, y = leaf(), nd.ones((3, 2))
    with autograd.record(), pytest.raises(mx.MXNetError, match=r"test_part.py:\d+"):
        x + y
    with pytest.raises(mx.MXNetError, match=r"\(2, 2\).*\(3, 2\)"):
        x * y


def test_what_was_read_and_is_written_before_backward_is_named() -> None:
    x, y = leaf(), OPERANDS["plain"]()
    with autograd.record():
        z = x * y
    y[:] = 0
    nd.waitall()

    def differentiate() -> None:
        z.backward()
        nd.waitall()

    with pytest.raises(mx.MXNetError, match=r"shape \(2, 2\), written at .*test_part.py"):
        differentiate()
    assert x.asnumpy().tolist() == leaf().asnumpy().tolist()
