"""LazyEngine against NaiveEngine: the same numbers for any program, errors where they belong."""

import threading
import time

import pytest

from regluon.context import cpu
from regluon.engine import LazyEngine, NaiveEngine, Var
from tests.engine.programs import Cell, run_random_program


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_give_the_same_numbers_on_both_engines(seed: int) -> None:
    want = run_random_program(NaiveEngine(), seed, peek=False)
    assert run_random_program(LazyEngine(), seed, peek=True) == want
    assert run_random_program(LazyEngine(limit=7), seed, peek=False) == want


def test_nothing_runs_before_a_value_is_read_and_then_only_what_it_needs() -> None:
    engine, ran = LazyEngine(), []
    a, b = Var(), Var()
    engine.push(lambda: ran.append("a"), [], [a], cpu())
    engine.push(lambda: ran.append("b"), [], [b], cpu())
    engine.push(lambda: ran.append("a2"), [a], [a], cpu())
    assert ran == []
    engine.wait_for_var(a)
    assert ran == ["a", "a2"]
    engine.wait_all()
    assert ran == ["a", "a2", "b"]


def test_in_deterministic_mode_a_read_runs_all_that_is_older() -> None:
    engine, ran = LazyEngine(fixed=1), []
    a, b = Var(), Var()
    engine.push(lambda: ran.append("a"), [], [a], cpu())
    engine.push(lambda: ran.append("b"), [], [b], cpu())
    engine.push(lambda: ran.append("a2"), [a], [a], cpu())
    assert ran == []
    engine.wait_for_var(b)
    assert ran == ["a", "b"]
    engine.wait_for_var(a)
    assert ran == ["a", "b", "a2"]


def test_a_writer_waits_for_the_readers_before_it() -> None:
    engine = LazyEngine()
    x, y = Cell(1), Cell(0)
    engine.push(lambda: setattr(y, "value", x.value), [x], [y], cpu())
    engine.push(lambda: setattr(x, "value", 2), [], [x], cpu())
    engine.wait_for_var(x)
    assert (x.value, y.value) == (2, 1)


def fail() -> None:
    raise ValueError("broken")


def test_a_failed_output_raises_at_every_read_until_it_is_written_again() -> None:
    engine = LazyEngine()
    bad, after, good = Var(), Var(), Var()
    engine.push(fail, [], [bad], cpu())
    engine.push(lambda: None, [bad], [after], cpu())
    engine.push(lambda: None, [], [good], cpu())
    for var in (bad, bad, after):
        with pytest.raises(ValueError, match="broken"):
            engine.wait_for_var(var)
    engine.wait_for_var(good)
    engine.push(lambda: None, [], [bad], cpu())
    engine.wait_for_var(bad)


def test_an_updated_variable_keeps_its_value_and_the_error_is_raised_once() -> None:
    engine = LazyEngine()
    weight, other = Cell(5), Var()
    engine.push(fail, [weight], [weight], cpu())
    with pytest.raises(ValueError, match="broken"):
        engine.wait_for_var(weight)
    engine.wait_for_var(weight)
    engine.wait_for_var(other)
    assert weight.value == 5


def test_several_failures_come_together_at_wait_all() -> None:
    engine = LazyEngine()
    for _ in range(2):
        engine.push(fail, [], [Var()], cpu())
    with pytest.raises(BaseExceptionGroup) as caught:
        engine.wait_all()
    assert len(caught.value.exceptions) == 2
    engine.wait_all()


def test_naive_engine_raises_at_the_call() -> None:
    with pytest.raises(ValueError, match="broken"):
        NaiveEngine().push(fail, [], [Var()], cpu())


def test_a_finished_task_keeps_nothing_alive() -> None:
    import gc
    import weakref

    engine = LazyEngine()
    var, held = Var(), Cell(1)
    watch = weakref.ref(held)
    engine.push(lambda cell=held: None, [held], [var], cpu())
    del held
    engine.wait_for_var(var)
    gc.collect()
    assert watch() is None


def test_a_thread_waits_while_another_one_runs_what_it_reads():
    engine, cell, done = LazyEngine(), Cell(0), threading.Event()

    def slow():
        done.set()
        time.sleep(0.05)
        cell.value = 7

    engine.push(slow, [], [cell], cpu())
    reader = threading.Thread(target=engine.wait_for_var, args=(cell,))
    reader.start()
    done.wait()
    engine.wait_for_var(cell)
    assert cell.value == 7
    reader.join()


def test_a_task_that_pushes_much_does_not_run_what_waits_for_its_end() -> None:
    engine, x, seen = LazyEngine(limit=4), Cell(0), []

    def write() -> None:
        for _ in range(5):
            engine.push(lambda: None, [], [Var()], cpu())
        x.value = 1

    engine.push(write, [], [x], cpu())
    engine.push(lambda: seen.append(x.value), [x], [], cpu())
    engine.wait_all()
    assert seen == [1]
