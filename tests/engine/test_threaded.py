"""ThreadedEngine: the same numbers as NaiveEngine whatever runs at the same time, and no leak."""

import gc
import sys
import threading
import time
import weakref

import pytest

from regluon.base import MXNetError
from regluon.context import cpu
from regluon.engine import Engine, NaiveEngine, ThreadedEngine, Var
from regluon.engine.selection import selected
from tests.engine.programs import Cell, run_array_program, run_random_program


def engines() -> list[ThreadedEngine]:
    return [
        ThreadedEngine(cores=1),
        ThreadedEngine(cores=4),
        ThreadedEngine(cores=4, fixed=1),
        ThreadedEngine(cores=2, fixed=2),
        ThreadedEngine(cores=3, max_tasks=9),
    ]


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_give_the_same_numbers_as_on_the_naive_engine(seed: int) -> None:
    want = run_random_program(NaiveEngine(), seed, peek=False)
    for engine in engines():
        assert run_random_program(engine, seed, peek=seed % 2 == 0) == want
        engine.stop()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_ten_thousand_random_workloads(seed: int) -> None:
    serial, engine = NaiveEngine(), ThreadedEngine(cores=4)
    ordered = ThreadedEngine(cores=4, fixed=1)
    for number in range(10_000):
        program = seed * 10_000 + number
        want = run_random_program(serial, program, peek=False, steps=30)
        chosen = engine if number % 2 else ordered
        assert run_random_program(chosen, program, peek=number % 3 == 0, steps=30) == want
    engine.stop()
    ordered.stop()


INLINE = {"by size": 10, "nothing": -1, "everything": sys.maxsize}


def run_on_arrays(
    engine: Engine, seed: int, inline: int, steps: int = 25
) -> list[list[list[float]]]:
    """Run a random program on arrays, those of up to `inline` elements on the caller's thread."""
    engine.small = engine.direct = inline
    previous, selected.engine = selected.engine, engine
    try:
        return run_array_program(seed, steps)
    finally:
        selected.engine = previous


@pytest.mark.parametrize("inline", INLINE)
def test_random_programs_on_arrays_are_equal_bit_by_bit(inline: str) -> None:
    engines = [ThreadedEngine(cores=4), ThreadedEngine(cores=3, fixed=1)]
    for seed in range(60):
        want = run_on_arrays(NaiveEngine(), seed, sys.maxsize)
        assert run_on_arrays(engines[seed % 2], seed, INLINE[inline]) == want
    for engine in engines:
        engine.stop()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
@pytest.mark.parametrize("seed", range(5))
def test_ten_thousand_random_programs_on_arrays(seed: int, part: int) -> None:
    serial, ordered = NaiveEngine(), ThreadedEngine(cores=4, fixed=1)
    for number in range(part * 2000, part * 2000 + 2000):
        program = seed * 10_000 + number
        want = run_on_arrays(serial, program, sys.maxsize, steps=12)
        for inline in ("by size", "nothing"):
            assert run_on_arrays(ordered, program, INLINE[inline], steps=12) == want
    ordered.stop()


class Meeting:
    """Tasks that only end when `count` of them run at the same time."""

    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count)

    def __call__(self) -> None:
        self.barrier.wait(timeout=20)


def hold_back(engine: ThreadedEngine) -> tuple[Var, threading.Event]:
    """Keep all cores busy until the event is set: tasks that read the variable get ready then."""
    start, hold = Var(), threading.Event()
    engine.push(lambda: hold.wait(20), [], [start], cpu())
    return start, hold


def test_independent_tasks_of_one_context_run_at_the_same_time() -> None:
    engine, meeting = ThreadedEngine(cores=3), Meeting(3)
    start, hold = hold_back(engine)
    for _ in range(3):
        engine.push(meeting, [start], [Var()], cpu())
    hold.set()
    engine.wait_all()
    engine.stop()


def test_contexts_copies_and_reading_files_run_beside_each_other() -> None:
    engine, meeting = ThreadedEngine(cores=2), Meeting(5)
    start, hold = hold_back(engine)
    engine.push(meeting, [start], [Var()], cpu(0))
    engine.push(meeting, [start], [Var()], cpu(1))
    engine.push(meeting, [start], [Var()], cpu(1), kind="copy from cpu(0)")
    engine.push(meeting, [start], [Var()], cpu(0), kind="io")
    engine.push(meeting, [start], [Var()], cpu(0), kind="communicate")
    hold.set()
    engine.wait_all()
    engine.stop()


def shares(engine: ThreadedEngine, tasks: int) -> list[int]:
    """Return the threads that each of `tasks` tasks, ready at the same time, may use."""
    found: list[int] = []
    start, hold = hold_back(engine)
    lock = threading.Lock()
    meeting = Meeting(tasks)

    def task() -> None:
        worker = engine._current.worker
        assert worker is not None
        with lock:
            found.append(worker.threads)
        meeting()

    for _ in range(tasks):
        engine.push(task, [start], [Var()], cpu())
    hold.set()
    engine.wait_all()
    engine.stop()
    return found


def test_ready_tasks_share_the_cores_and_a_lone_one_gets_all() -> None:
    assert shares(ThreadedEngine(cores=4), 1) == [4]
    assert shares(ThreadedEngine(cores=4), 2) == [2, 2]
    assert sum(shares(ThreadedEngine(cores=4), 4)) == 4


def test_in_deterministic_mode_a_context_runs_in_program_order() -> None:
    engine, order = ThreadedEngine(cores=4, fixed=1), []
    slow = Var()
    engine.push(lambda: time.sleep(0.05), [], [slow], cpu(), kind="io")
    engine.push(lambda: order.append("first"), [slow], [Var()], cpu())
    engine.push(lambda: order.append("second"), [], [Var()], cpu(), priority=9)
    engine.wait_all()
    assert order == ["first", "second"]
    engine.stop()


def test_of_ready_tasks_the_highest_priority_and_then_the_oldest_goes_first() -> None:
    engine, order = ThreadedEngine(cores=1), []
    start, hold = hold_back(engine)
    for name, priority in (("a", 0), ("b", -1), ("c", 5), ("d", 0)):
        engine.push(
            lambda name=name: order.append(name), [start], [Var()], cpu(), priority=priority
        )
    hold.set()
    engine.wait_all()
    assert order == ["c", "a", "d", "b"]
    engine.stop()


def test_a_reader_of_a_completed_variable_starts_early_and_a_writer_waits_for_the_end() -> None:
    engine = ThreadedEngine(cores=3)
    grad, events, read = Cell(0), [], threading.Event()

    def backward() -> None:
        grad.value = 7
        engine.complete(grad)
        assert read.wait(20)
        time.sleep(0.02)
        events.append("end")

    engine.push(backward, [], [grad], cpu())
    send = lambda: (events.append(grad.value), read.set())
    engine.push(send, [grad], [Var()], cpu(), kind="communicate")
    engine.push(lambda: events.append("write"), [], [grad], cpu(), kind="communicate")
    engine.wait_for_var(grad)
    engine.wait_all()
    assert events == [7, "end", "write"]
    engine.stop()


def test_a_task_that_waits_for_a_value_gives_its_place_to_the_one_that_computes_it() -> None:
    for engine in (ThreadedEngine(cores=1), ThreadedEngine(cores=1, fixed=1)):
        got: list[int] = []
        engine.push(lambda e=engine, g=got: g.append(nested(e)), [], [Var()], cpu())
        engine.wait_all()
        assert got == [42]
        engine.stop()


def nested(engine: ThreadedEngine) -> int:
    cell = Cell(0)
    engine.push(lambda: setattr(cell, "value", 42), [], [cell], cpu())
    engine.wait_for_var(cell)
    return cell.value


def test_wait_all_inside_a_task_is_an_error_and_no_deadlock() -> None:
    engine, out = ThreadedEngine(cores=1), Var()
    engine.push(engine.wait_all, [], [out], cpu())
    with pytest.raises(MXNetError, match="would wait for that task"):
        engine.wait_for_var(out)
    engine.stop()


def fail() -> None:
    raise ValueError("broken")


def test_what_a_failed_task_only_writes_raises_at_every_read_until_it_is_overwritten() -> None:
    engine, out, sibling, after = ThreadedEngine(cores=2), Var(), Var(), Var()
    ran: list[int] = []
    engine.push(fail, [], [out, sibling], cpu())
    engine.push(lambda: ran.append(1), [out], [after], cpu())
    for var in (out, sibling, out, after):
        with pytest.raises(ValueError, match="broken"):
            engine.wait_for_var(var)
    engine.push(lambda: None, [], [out], cpu())
    engine.wait_for_var(out)
    assert ran == []
    engine.wait_all()  # told already
    engine.stop()


def test_what_a_failed_task_updates_keeps_its_value_and_the_error_is_raised_once() -> None:
    engine, weight, other = ThreadedEngine(cores=2), Cell(1), Cell(0)
    engine.push(fail, [weight], [weight], cpu())
    engine.push(lambda: setattr(other, "value", 5), [], [other], cpu())
    with pytest.raises(ValueError, match="broken"):
        engine.wait_for_var(weight)
    engine.wait_for_var(weight)
    engine.wait_for_var(other)
    assert (weight.value, other.value) == (1, 5)
    engine.wait_all()
    engine.stop()


def test_reading_something_else_does_not_tell_of_a_failed_result() -> None:
    engine, bad, good = ThreadedEngine(cores=2), Var(), Var()
    engine.push(fail, [], [bad], cpu())
    engine.push(lambda: None, [], [good], cpu())
    engine.wait_for_var(good)
    with pytest.raises(ValueError, match="broken"):
        engine.wait_for_var(bad)
    engine.stop()


def test_several_failures_come_as_one_group() -> None:
    engine = ThreadedEngine(cores=2)
    for _ in range(3):
        engine.push(fail, [], [Var()], cpu())
    with pytest.raises(BaseExceptionGroup) as caught:
        engine.wait_all()
    assert len(caught.value.exceptions) == 3
    engine.wait_all()
    engine.stop()


class Big:
    """Something to see alive or gone."""


def test_a_finished_task_keeps_nothing_alive() -> None:
    engine, cell = ThreadedEngine(cores=2), Cell(0)
    kept = []

    def push(fn) -> None:
        big = Big()
        kept.append(weakref.ref(big))
        engine.push(lambda: fn(big), [cell], [cell], cpu())

    push(lambda big: None)
    push(lambda big: fail())
    with pytest.raises(ValueError, match="broken"):
        engine.wait_all()
    engine.wait_all()
    gc.collect()
    assert [ref() for ref in kept] == [None, None]
    engine.stop()


def test_the_front_end_waits_when_too_much_is_pending() -> None:
    for engine in (
        ThreadedEngine(cores=1, max_tasks=10),
        ThreadedEngine(cores=1, max_bytes=1000),
    ):
        most = 0
        for _ in range(60):
            engine.push(lambda: time.sleep(0.001), [], [Var()], cpu(), size=100)
            most = max(most, engine._pending)
        assert 5 < most <= 11
        engine.stop()


def test_stop_ends_all_threads_and_a_later_push_starts_new_ones() -> None:
    before = threading.active_count()
    engine, cell = ThreadedEngine(cores=2), Cell(0)
    for value in (1, 2):
        engine.push(lambda value=value: setattr(cell, "value", value), [], [cell], cpu())
        engine.wait_for_var(cell)
        assert cell.value == value
        assert threading.active_count() > before
        engine.stop()
        assert threading.active_count() == before


def test_two_front_end_threads_push_and_wait_at_the_same_time() -> None:
    engine = ThreadedEngine(cores=2)
    results: dict[int, list[int]] = {}

    def work(seed: int) -> None:
        results[seed] = run_random_program(engine, seed, peek=True)

    people = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    for seed, found in results.items():
        assert found == run_random_program(NaiveEngine(), seed, peek=False)
    engine.stop()
