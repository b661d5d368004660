"""Contexts are values: one object per device, a stack per thread, clear errors."""

import threading

import pytest

import regluon as mx
from regluon.base import ContextError


def test_equal_contexts_are_one_object() -> None:
    assert mx.cpu() is mx.Context("cpu", 0)
    assert mx.cpu(1) is not mx.cpu(0)
    assert {mx.cpu(): 1}[mx.Context("cpu")] == 1


def test_with_sets_the_context_of_new_arrays_and_restores_it() -> None:
    with mx.cpu(1):
        assert mx.current_context() is mx.cpu(1)
        with mx.cpu(2):
            assert mx.nd.zeros((1,)).context is mx.cpu(2)
        assert mx.nd.array([1]).context is mx.cpu(1)
    assert mx.current_context() is mx.cpu(0)


def test_the_context_of_one_thread_is_not_that_of_another() -> None:
    seen = []
    with mx.cpu(3):
        thread = threading.Thread(target=lambda: seen.append(mx.current_context()))
        thread.start()
        thread.join()
    assert seen == [mx.cpu(0)]


def test_a_missing_gpu_is_an_error_that_names_what_was_found() -> None:
    missing = mx.gpu(mx.num_gpus())
    with pytest.raises(ContextError, match=r"does not exist here: torch .* found"):
        mx.nd.zeros((2,), ctx=missing)


@pytest.mark.parametrize("bad", [("tpu", 0), ("cpu", -1), ("cpu", "0")])
def test_an_impossible_context_is_refused(bad: tuple) -> None:
    with pytest.raises(ContextError):
        mx.Context(*bad)


def test_logical_devices_do_not_mix_in_one_operator() -> None:
    a, b = mx.nd.ones((2,), ctx=mx.cpu(0)), mx.nd.ones((2,), ctx=mx.cpu(1))
    with pytest.raises(ContextError, match=r"cpu\(0\) and cpu\(1\).*as_in_context.*test_context"):
        a + b
    assert (a.as_in_context(mx.cpu(1)) + b).asnumpy().tolist() == [2, 2]


def test_printing_shows_type_and_number() -> None:
    assert repr(mx.cpu_pinned()) == "cpu_pinned(0)"
    assert str(mx.gpu(1)) == "gpu(1)"
