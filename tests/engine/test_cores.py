"""Cores: which task gets how many of them, and which threads keep others for their kernels."""

import threading
from pathlib import Path

import pytest
import torch

from regluon import cpu
from regluon.engine import lane, threads
from regluon.engine.engine import Var
from regluon.engine.threaded import ThreadedEngine


class Told:
    """Pushes tasks that note when they begin, and on how many cores, and end when they may."""

    def __init__(self, engine: ThreadedEngine) -> None:
        self.engine = engine
        self.cores: dict[str, int] = {}
        self.workers: dict[str, object] = {}
        self.begun: dict[str, threading.Event] = {}
        self.may_end: dict[str, threading.Event] = {}

    def push(self, name: str, work: float, after: Var | None = None, *, device: int = 0) -> None:
        begun, may_end = threading.Event(), threading.Event()
        self.begun[name], self.may_end[name] = begun, may_end

        def task() -> None:
            worker = self.engine._current.worker
            assert worker is not None
            self.cores[name], self.workers[name] = worker.threads, worker
            begun.set()
            assert may_end.wait(20)

        reads = [] if after is None else [after]
        self.engine.push(task, reads, [Var()], cpu(device), work=work)

    def runs(self, name: str) -> bool:
        return self.begun[name].wait(20)

    def end(self, *names: str) -> None:
        for name in names:
            self.may_end[name].set()


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setattr(lane, "_PATIENCE", 60.0)
    engine = ThreadedEngine(cores=2)
    told = Told(engine)
    yield told
    told.end(*told.may_end)
    engine.wait_all()
    engine.stop()


def held(told: Told) -> tuple[Var, threading.Event]:
    """Return what later tasks read, to be ready at the same time, and what lets it go."""
    start, go = Var(), threading.Event()
    told.engine.push(lambda: go.wait(20), [], [start], cpu(), kind="io")
    return start, go


@pytest.mark.parametrize(("short", "cores"), [(1e6, 2), (6e6, 1)])
def test_tasks_run_one_by_one_where_cores_would_lie_idle_beside_the_longer(told, short, cores):
    start, go = held(told)
    told.push("short", short, start)
    told.push("long", 9e6, start)
    go.set()
    assert told.runs("short")
    assert told.begun["long"].wait(0.05) == (cores == 1)
    told.end("short")
    assert told.runs("long")
    assert told.cores == {"short": cores, "long": cores}


def test_a_long_task_waits_for_a_short_one_and_then_has_all_cores(told):
    start, go = held(told)
    for name in ("one", "two"):
        told.push(name, 1e6, start)
    go.set()
    assert told.runs("one")
    assert told.runs("two")
    told.end("one")
    told.push("like", 1e6)
    assert told.runs("like")
    told.end("like")
    told.push("long", 1e9)
    assert not told.begun["long"].wait(0.05)
    told.end("two")
    assert told.runs("long")
    assert told.cores == {"one": 1, "two": 1, "like": 1, "long": 2}


def test_a_long_task_starts_when_a_short_one_waits_for_it(told):
    engine, value = told.engine, Var()
    start, go = held(told)
    told.push("beside", 1e6, start)
    found = []

    def waiting() -> None:
        assert pushed.wait(20)
        engine.wait_for_var(value)
        found.append("value")

    pushed = threading.Event()
    engine.push(waiting, [start], [Var()], cpu(), work=1e6)
    go.set()
    assert told.runs("beside")
    told.end("beside")
    engine.push(lambda: found.append("long"), [], [value], cpu(), work=1e9)
    pushed.set()
    engine.wait_all()
    assert found == ["long", "value"]


def test_a_lone_task_runs_where_kernels_have_threads_already(told):
    told.push("first", 1e6)
    assert told.runs("first")
    told.end("first")
    start, go = held(told)
    for name in ("one", "two"):
        told.push(name, 1e6, start)
    go.set()
    assert told.runs("one")
    assert told.runs("two")
    told.end("one", "two")
    told.engine.wait_all()
    told.push("last", 1e6)
    assert told.runs("last")
    assert told.workers["last"] is told.workers["first"]


def test_of_workers_that_rest_only_as_many_keep_threads_as_there_are_cores(told):
    for device in (0, 1):
        told.push(f"on {device}", 1e6, device=device)
        assert told.runs(f"on {device}")
        told.end(f"on {device}")
        told.engine.wait_all()
    assert [told.workers[f"on {device}"].team for device in (0, 1)] == [1, 2]


def test_a_worker_lets_its_threads_go_when_nothing_comes(told, monkeypatch):
    monkeypatch.setattr(lane, "_PATIENCE", 0.05)
    released = threading.Event()
    monkeypatch.setattr(threads, "release", released.set)
    told.push("first", 1e6)
    assert told.runs("first")
    worker = told.workers["first"]
    assert worker.team == 2
    told.end("first")
    assert released.wait(20)
    assert worker.team == 1
    told.push("last", 1e6)
    assert told.runs("last")
    assert told.workers["last"] is worker
    assert worker.team == told.cores["last"] == 2


def test_release_ends_the_threads_that_kernels_kept():
    counts = []
    folder = Path("/proc/self/task")  # where there is none, release has nothing to do

    def count() -> None:
        counts.append(len([*folder.iterdir()]) if folder.exists() else 0)

    def kernels() -> None:
        threads.given()
        threads.use(2)
        count()
        torch.ones(1 << 20).add_(1)
        count()
        threads.release()
        count()
        torch.ones(1 << 20).add_(1)
        count()
        threads.release()

    thread = threading.Thread(target=kernels)
    thread.start()
    thread.join()
    first = counts[0]
    assert counts == [first, first + 1, first, first + 1] or not folder.exists()
