"""Recording and training flags: nested, shared, in threads, as decorators, after errors."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from regluon import autograd, nd
from regluon.base import MXNetError


def leaf(*values: float) -> nd.NDArray:
    x = nd.array(values)
    x.attach_grad()
    return x


def flags() -> tuple[bool, bool]:
    return autograd.is_recording(), autograd.is_training()


def test_scopes_nest_and_restore() -> None:
    assert not autograd.is_recording()
    with autograd.record():
        assert autograd.is_recording()
        assert autograd.is_training()
        with autograd.pause():
            assert not autograd.is_recording()
            assert not autograd.is_training()
        with autograd.predict_mode():
            assert autograd.is_recording()
            assert not autograd.is_training()
    with autograd.record(train_mode=False):
        assert not autograd.is_training()
    with autograd.train_mode():
        assert autograd.is_training()
    assert autograd.set_recording(True) is False
    assert autograd.set_recording(False) is True
    assert autograd.set_training(True) is False
    assert autograd.set_training(False) is True


def test_scopes_decorate_functions() -> None:
    @autograd.record()
    def square(x):
        return x * x

    x = leaf(3)
    square(x).backward()
    assert x.grad.asscalar() == 6


SCOPES: dict[Any, tuple[bool, bool]] = {
    autograd.record: (True, True),
    autograd.pause: (False, False),
    autograd.train_mode: (False, True),
    autograd.predict_mode: (False, False),
}


@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope_decorates_and_restores_after_an_error(scope: Callable[[], Any]) -> None:
    wanted = SCOPES[scope]

    @scope()
    def inside(depth: int) -> Any:
        """What it does."""
        if depth:
            return inside(depth - 1)
        assert flags() == wanted
        raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            inside(3)
        assert flags() == (False, False)
    assert (inside.__name__, inside.__doc__) == ("inside", "What it does.")
    with scope():
        assert flags() == wanted
    assert flags() == (False, False)


def test_one_scope_may_be_entered_again_and_inside_itself() -> None:
    scope = autograd.record()
    for _ in range(2):
        with scope:
            with scope, autograd.pause():
                assert flags() == (False, False)
            assert flags() == (True, True)
        assert flags() == (False, False)


def test_a_scope_leaves_the_flag_alone_that_it_does_not_set() -> None:
    with autograd.train_mode():
        autograd.set_recording(True)
    assert flags() == (True, False)
    with autograd.predict_mode():
        assert flags() == (True, False)
    autograd.set_recording(False)


def test_a_decorator_without_parentheses_is_an_error() -> None:
    for scope in (autograd.record, autograd.pause):
        with pytest.raises(MXNetError, match="with parentheses"):

            @scope
            def unused() -> None: ...


def test_flags_set_by_numbers_are_booleans() -> None:
    assert autograd.set_recording(1) is False
    assert autograd.is_recording() is True
    assert autograd.set_recording(0) is True
    with autograd.record(train_mode=0):
        assert autograd.is_training() is False


def test_generators_restore_what_they_found() -> None:
    def steps() -> Iterator[None]:
        with autograd.record():
            yield
            yield

    running = steps()
    next(running)
    assert flags() == (True, True)
    list(running)
    assert flags() == (False, False)


def test_threads_record_independently() -> None:
    scope = autograd.record()  # one object for all
    gate = threading.Barrier(3)
    found: dict[int, list[Any]] = {}

    def work(number: int) -> None:
        x = leaf(number)
        found[number] = [flags()]
        with scope:
            gate.wait(10)
            y = x * x
            gate.wait(10)
            with autograd.pause():
                gate.wait(10)
                found[number].append(flags())
        found[number].append(flags())
        y.backward()
        found[number].append(x.grad.asscalar())

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        gate.wait(10)
        assert flags() == (False, False)
    for thread in threads:
        thread.join()
    off = (False, False)
    assert found == {1: [off, off, off, 2], 2: [off, off, off, 4]}


def test_the_flags_of_a_call_are_those_when_it_was_made() -> None:
    x = nd.ones((1000,))
    x.attach_grad()
    with autograd.record():
        kept = nd.Dropout(x, p=0.5)
        with autograd.predict_mode():
            whole = nd.Dropout(x, p=0.5)
        with autograd.pause():
            constant = x * 2
        total = kept + whole + constant
    total.backward()
    assert set(kept.asnumpy().tolist()) == {0, 2}
    assert whole.asnumpy().tolist() == [1] * 1000
    assert x.grad.asnumpy().tolist() == (kept.asnumpy() + 1).tolist()


def test_get_symbol_says_what_there_is_instead() -> None:
    x = leaf(1)
    with autograd.record():
        y = x * 2
    with pytest.raises(MXNetError, match=r"net\.summary\(x\)"):
        autograd.get_symbol(y)


def test_a_training_loop_keeps_no_graph_alive() -> None:
    w = leaf(1, 2, 3)
    watches = []
    for _ in range(5):
        with autograd.record():
            hidden = w * 2
            loss = (hidden * hidden).sum()
        loss.backward()
        w -= 0.01 * w.grad
        watches += [weakref.ref(hidden), weakref.ref(loss), weakref.ref(loss._node)]
    nd.waitall()
    del hidden, loss
    gc.collect()
    assert [watch() for watch in watches] == [None] * 15
