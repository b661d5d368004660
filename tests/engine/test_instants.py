"""Reading beside a worker that finishes: right at whatever instant it does so."""

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import regluon as mx
from regluon import autograd, nd
from regluon.array import handle, part, shortcut


@pytest.fixture(autouse=True)
def engine():
    previous = mx.engine.set_type("ThreadedEngine")
    yield
    mx.engine.set_type(previous)


def at_every_instant(
    make: Callable[[], tuple[Callable[[], Any], Callable[[], Any]]], file: str
) -> list[Any]:
    """Return what a call returns if something happens at its first, second, ... step in `file`.

    `make` returns the call and what happens.
    """
    results = []
    while True:
        call, happen = make()
        left = len(results)

        def step(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal left
            if frame.f_code.co_filename != file:
                return None
            frame.f_trace_opcodes = True
            if event == "opcode":
                left -= 1
                if left == -1:
                    happen()  # noqa: B023 - it is called in this round
            return step

        before = sys.gettrace()
        sys.settrace(step)
        try:
            result = call()
        finally:
            sys.settrace(before)
        if left >= 0:
            return results
        results.append(result)


@pytest.mark.parametrize("read", ["value", "graph_value"])
def test_an_array_has_its_value_while_a_backward_pass_lets_its_graph_go(read: str) -> None:
    x = nd.ones((3,))
    x.attach_grad()

    def make() -> Any:
        with autograd.record():
            y = x * 2
        return getattr(y, read), y.leave_graph

    found = at_every_instant(make, handle.__file__)
    assert len(found) > 5
    assert all(tensor.tolist() == [2, 2, 2] for tensor in found)


def finishing(read: Callable[[nd.NDArray], Any]) -> Any:
    """Return a read of an array, and the end of the task that gives it another value."""
    x = nd.zeros((2, 3))
    new = nd.ones((2, 3)).to_torch()
    x.writer = object()

    def finish() -> None:
        x._data = new
        x.writer = None

    return lambda: read(x), finish


def alone(op: Any, args: Any, *others: Any) -> Any:
    return part.alone(op, *args)


def pair(op: Any, args: Any, *others: Any) -> Any:
    return part.pair(mx.ops.registry.TABLE["subtract"], nd.zeros((2, 3)), *args)


@pytest.mark.parametrize("way", [shortcut.computed, shortcut.recorded, alone, pair])
def test_a_small_operator_never_uses_the_value_before_the_one_being_written(way: Any) -> None:
    op = mx.ops.registry.TABLE["negative"]
    found = at_every_instant(
        lambda: finishing(lambda x: way(op, (x,), {}, nd.NDArray, 100)),
        part.__file__ if way in (alone, pair) else shortcut.__file__,
    )
    assert len(found) > 5
    values = [array.asnumpy().tolist() for array in found if array is not None]
    assert values
    assert values == [[[-1] * 3] * 2] * len(values)


def test_a_part_is_never_that_of_the_value_before_the_one_that_is_being_written() -> None:
    columns = (slice(None), slice(0, 2))  # a copy when it must be
    found = at_every_instant(lambda: finishing(lambda x: part.part(x, columns)), part.__file__)
    assert len(found) > 5
    values = [array.asnumpy().tolist() for array in found if array is not None]
    assert values
    assert values == [[[1, 1], [1, 1]]] * len(values)


class Slow(autograd.Function):
    """An operation whose gradient takes its time."""

    def forward(self, x: nd.NDArray) -> nd.NDArray:
        return x * 3

    def backward(self, dy: nd.NDArray) -> nd.NDArray:
        time.sleep(0.1)
        return dy * 3


@pytest.mark.parametrize("request_", ["add", "write"])
@pytest.mark.parametrize("viewed", [False, True])
def test_a_gradient_of_two_variables_is_read_when_both_have_delivered(
    request_: str, viewed: bool
) -> None:
    x, y, both = nd.ones((200, 200)), nd.ones((200, 200)), nd.full((200, 200), 7)
    second = both.reshape((200, 200)) if viewed else both
    autograd.mark_variables([x, y], [both, second], request_)
    with autograd.record():
        late = Slow()(y)
        loss = x * 2 + late  # backward comes to x first, unless the product was recorded first
    loss.backward()
    got = both.asnumpy()
    nd.waitall()
    assert got.tolist() == both.asnumpy().tolist()
    assert got.min() == got.max()
    assert request_ == "write" or got.min() == 7 + 2 + 3
