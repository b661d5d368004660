"""Lazy copies share storage until somebody writes, whatever runs late and wherever it runs."""

import threading

import pytest

import regluon as mx


@pytest.fixture(params=["NaiveEngine", "LazyEngine", "ThreadedEngine"], autouse=True)
def engine(request):
    previous = mx.engine.set_type(request.param)
    yield request.param
    mx.engine.set_type(previous)


def late(array: mx.nd.NDArray) -> threading.Event:
    """Let the writer of an array wait until the event is set (at once where it runs at once)."""
    hold = threading.Event()
    if mx.engine.get().name != "ThreadedEngine":
        hold.set()
    mx.engine.push(lambda: hold.wait(20) and None, [], [array])
    return hold


def test_a_copy_that_is_written_late_does_not_see_a_later_write_to_its_base() -> None:
    x, other = mx.nd.zeros((200, 200)), mx.nd.zeros((200, 200))
    mx.nd.waitall()
    copy = x.T
    hold = late(other)
    copy += other
    x += 7
    hold.set()
    assert (copy.asnumpy().max(), x.asnumpy().max()) == (0, 7)


def test_copies_whose_base_is_gone_part_before_one_of_them_is_written() -> None:
    x, other = mx.nd.zeros((200, 200)), mx.nd.zeros((200, 200))
    mx.nd.waitall()
    first, second = x.T, x.T
    del x
    hold = late(other)
    second += other
    first += 7
    hold.set()
    assert (first.asnumpy().max(), second.asnumpy().max()) == (7, 0)


def test_a_pushed_function_does_not_wait_for_copies_that_wait_for_its_end() -> None:
    x, other = mx.nd.zeros((200, 200)), mx.nd.zeros((200, 200))
    hold = late(other)

    def function() -> None:
        x.to_torch().add_(1)
        x[:] = x + 1

    mx.engine.push(function, [other], [x])
    copy = x.T
    hold.set()
    x += 5
    assert (copy.asnumpy().max(), x.asnumpy().max()) == (2, 7)


def test_a_copy_made_by_a_pushed_function_keeps_its_value() -> None:
    x, seen = mx.nd.ones((200, 200)), []

    def function() -> None:
        copy = x.T
        x.to_torch().add_(1)
        again = x.T
        x[:] = 5
        seen.extend([copy.asnumpy().max(), again.asnumpy().max()])

    mx.engine.push(function, [], [x])
    assert x.asnumpy().max() == 5
    assert seen == [1, 2]
