"""ThreadedEngine: tasks run on worker threads as soon as what they read has been written."""

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from regluon.base import MXNetError
from regluon.context import Context
from regluon.engine import threads
from regluon.engine.cores import Cores
from regluon.engine.engine import (
    Engine,
    Event,
    Var,
    first_error,
    free_frames,
    raise_all,
    raise_at_read,
    use,
)
from regluon.engine.lane import Lane, Worker
from regluon.engine.streams import Stream, find
from regluon.engine.task import Follower, Gate, Task


_REST = 1.0  # so many seconds are between two rests of a user's thread at least: they cost 0.1 ms


class _Current(threading.local):
    worker: Worker | None = None
    rested = -math.inf  # when this thread last let its team go


class ThreadedEngine(Engine):
    """The front end pushes and goes on; worker threads run what is ready.

    Every context has a lane for computing, and lanes for copies, input and output, and
    communication beside it. The tasks that compute on the CPU share its cores: one that is ready
    alone gets all of them, several get equal parts, and their sum never exceeds `cores`.

    In `deterministic` mode every lane runs one task after another in the order of their priority
    and age, each on the same number of threads, so that the bits of results do not depend on time.
    """

    name = "ThreadedEngine"
    inline = False
    small = direct = 1 << 14

    def __init__(
        self,
        cores: int | None = None,
        *,
        fixed: int = 0,
        max_tasks: int = 20_000,
        max_bytes: int = 0,
        find_stream: Callable[[Context, str], Stream | None] = find,
    ) -> None:
        self.ordered = fixed > 0
        self.fixed = fixed  # threads of every task in deterministic mode, else 0
        self.max_tasks = max_tasks
        self.max_bytes = max_bytes or threads.memory() // 8
        self._given = cores
        self._streams = find_stream
        self._current = _Current()
        self._numbers = itertools.count()
        self._reset()

    def _reset(self) -> None:
        """Begin without tasks and threads, as at the start and in the child after a fork."""
        self._lock = threading.Lock()
        self._lanes: dict[tuple[Context, str], Lane] = {}
        self._cores = Cores(self._given or threads.given())
        self._pending = 0
        self._bytes = 0
        self._failures: dict[int, tuple[BaseException, bool]] = {}
        self._drained: list[tuple[Gate, int, int]] = []

    # Pushing

    def push(  # noqa: PLR0913 - all but four are rare
        self,
        fn: Callable[[], None],
        reads: Sequence[Var],
        writes: Sequence[Var],
        ctx: Context,
        *,
        priority: int = 0,
        kind: str = "compute",
        size: int = 0,
        label: tuple[str, str] = ("", ""),
        restores: Sequence[Var] = (),
        work: float = math.inf,
    ) -> None:
        """Queue `fn` and return; it runs once every variable it reads has been written."""
        worker = self._current.worker
        if worker is not None and worker.owns((*reads, *writes)):
            self._nest(fn, (*reads, *writes))
            return
        task = Task(next(self._numbers), fn, reads, writes, priority, label, size, restores, work)
        if self.observer is not None:
            task.pushed = time.perf_counter()
        with self._lock:
            task.lane = self._lane(ctx, kind)
            if self._pending == 0:
                self._refresh()
            self._pending += 1
            self._bytes += size
            task.enter()
            if self.fixed and kind == "compute":
                self._keep_order(task, task.lane)
            if task.after == 0:
                task.lane.add(task)
                self._start()
            full = self._pending > self.max_tasks or self._bytes > self.max_bytes
        if full and worker is None:
            self._drain(self.max_tasks // 2, self.max_bytes // 2)

    def _nest(self, fn: Callable[[], None], variables: Sequence[Var]) -> None:
        """Run at once what a task does to its own variables: later tasks wait for its end."""
        for var in variables:
            self.wait_for_var(var)
        fn()

    def _lane(self, ctx: Context, kind: str) -> Lane:
        lane = self._lanes.get((ctx, kind))
        if lane is None:
            computes = kind == "compute" and ctx.device_type == "cpu"
            many = computes and not self.fixed
            name = f"{ctx}" if kind == "compute" else f"{ctx} {kind}"
            limit = max(self._cores.count, 1) if many else 1
            lane = Lane(name, limit, computes=computes, stream=self._streams(ctx, kind))
            self._lanes[ctx, kind] = lane
        return lane

    def _keep_order(self, task: Task, lane: Lane) -> None:
        """Let the tasks of a context run in program order, so that each graph is recorded in it."""
        if self._current.worker is not None:
            return  # the task that pushes this one may wait for it
        last = lane.last
        if last is not None and last.fn is not None:
            last.followers.append((None, task))
            task.after += 1
        lane.last = task

    def _refresh(self) -> None:
        """Follow `torch.set_num_threads` of the user's thread while nothing runs."""
        if self._given is None and self._current.worker is None:
            cores = threads.given()
            if self._cores.follow(cores) and not self.fixed:
                for lane in self._lanes.values():
                    lane.limit = cores if lane.computes else lane.limit

    # Starting: all with the lock held

    def _start(self) -> None:
        """Give ready tasks to workers while there are cores and places for them."""
        for lane in self._lanes.values():
            if not lane.computes:
                while lane.room() > 0:
                    self._hand(lane, 0)
        while found := self._cores.next(self._lanes.values(), self.fixed):
            self._hand(*found)

    def _hand(self, lane: Lane, share: int) -> None:
        task = lane.pop()
        worker = lane.take(share, self._work)
        self._cores.gather(worker, share, self._lanes.values())
        worker.task = task
        worker.threads = share
        self._cores.free -= share
        worker.inbox.put((task, share))

    def _go(self, followers: Iterable[Follower]) -> None:
        for follower in followers:
            if isinstance(follower, Task):
                follower.lane.add(follower)
            elif isinstance(follower, Gate):
                follower.open()

    # Running: on worker threads

    def _work(self, worker: Worker) -> None:
        self._current.worker = worker
        used = threads.given()
        while True:
            item = worker.next(self._lock)
            if item is None:
                return
            task, share = item
            if share and share != used:
                threads.use(share)
                used = share
            self._run(task)
            del item, task

    def _run(self, task: Task) -> None:
        observer = self.observer
        begin = 0.0 if observer is None else time.perf_counter()
        error = first_error(task.reads, task.restores)
        fresh = False
        if error is None:
            try:
                task.lane.run(task)
            except BaseException as raised:
                error = raised
                fresh = True
                free_frames(raised)
        if observer is not None:
            end = time.perf_counter()
            observer(Event(*task.label, task.lane.name, task.pushed or begin, begin, end))
        with self._lock:
            if fresh and error is not None:
                self._failures[id(error)] = (error, task.updates())
            elif error is not None and task.updates() and id(error) in self._failures:
                self._failures[id(error)] = (error, True)
            self._finish(task, error)

    def _finish(self, task: Task, error: BaseException | None) -> None:
        worker = self._current.worker
        self._pending -= 1
        self._bytes -= task.size
        self._go(task.leave(error))
        if worker is not None:
            self._cores.free += worker.threads
            worker.threads = 0
            worker.task = None
            worker.lane.idle.append(worker)
        self._start()
        if self._drained:
            self._open_drained()

    def complete(self, var: Var) -> None:
        """Release the readers of `var` before the task that writes it, which is running, ends."""
        worker = self._current.worker
        if worker is None or worker.task is None:
            return
        with self._lock:
            self._go(worker.task.release_early(var))
            self._start()

    def held(self, var: Var) -> str:
        """Say how the task of this worker has `var`."""
        worker = self._current.worker
        if worker is None or worker.task is None:
            return ""
        return use(worker.task.reads, worker.task.writes, var)

    # Waiting

    def wait_for_var(self, var: Var) -> None:
        """Return when `var` has its value; raise the error of the task that failed to write it."""
        if var.writer is not None:
            worker = self._current.worker
            if worker is not None and worker.owns((var,)):
                return
            self._await((var,), readers=False)
        self._raise(var)
        var.synchronize()

    def wait_to_write(self, var: Var) -> None:
        """Return when nobody reads or writes `var` any more."""
        if var.writer is not None or var.readers:
            self._await((var,), readers=True)
        self._raise(var)
        var.synchronize()

    def _raise(self, var: Var) -> None:
        if var.error is None and not self._failures:
            return
        with self._lock:
            error = var.error
            if error is None and self._current.worker is None:
                error = next((e for e, updated in self._failures.values() if updated), None)
            if error is not None:
                self._failures.pop(id(error), None)
        if error is not None:
            raise_at_read(error)

    def _await(self, variables: Iterable[Var], *, readers: bool) -> None:
        self._rest()
        gate = Gate()
        with self._lock:
            for var in variables:
                gate.follow(var, readers=readers)
            if gate.after == 0:
                return
            self._block()
        try:
            gate.wait()
        finally:
            self._unblock()

    def _rest(self) -> None:
        """A user's thread that is about to wait leaves the cores to the workers."""
        now, current = time.monotonic(), self._current
        if current.worker is None and now - current.rested > _REST:
            threads.release()
            current.rested = now

    def _block(self) -> None:
        """A worker that waits gives its cores and its place in the lane to others."""
        worker = self._current.worker
        if worker is not None and worker.task is not None:
            worker.lane.blocked += 1
            self._cores.free += worker.threads
            self._start()

    def _unblock(self) -> None:
        worker = self._current.worker
        if worker is not None and worker.task is not None:
            with self._lock:
                worker.lane.blocked -= 1
                self._cores.free -= worker.threads

    def wait_all(self) -> None:
        """Return when every task is finished; raise what failed, several as one ExceptionGroup."""
        if self._current.worker is not None:
            raise MXNetError("waitall() in a task of the engine would wait for that task")
        self.finish()
        with self._lock:
            failures, self._failures = self._failures, {}
        raise_all([error for error, _ in failures.values()])

    def finish(self) -> None:
        """Return when every task is finished, whether it failed or not; raise nothing."""
        self._drain(0, 0)

    def _drain(self, tasks: int, size: int) -> None:
        """Wait until at most so many tasks and bytes are pending."""
        self._rest()
        gate = Gate()
        with self._lock:
            if self._pending <= tasks and (self._bytes <= size or self._pending == 0):
                return
            self._drained.append((gate, tasks, size))
            self._block()
        try:
            gate.wait()
        finally:
            self._unblock()

    def _open_drained(self) -> None:
        kept = []
        for gate, tasks, size in self._drained:
            if self._pending <= tasks and (self._bytes <= size or self._pending == 0):
                gate.open()
            else:
                kept.append((gate, tasks, size))
        self._drained = kept

    # Beginning and end

    def stop(self) -> None:
        """Finish what is pending and end the threads; a later push starts new ones."""
        self.finish()
        self._end_threads(None)

    def abandon(self, seconds: float = 10.0) -> None:
        """At exit: forget what has not begun, wait for what runs, and end the threads."""
        with self._lock:
            for lane in self._lanes.values():
                lane.ready.clear()
                lane.limit = 0
        self._end_threads(seconds)

    def _end_threads(self, seconds: float | None) -> None:
        with self._lock:
            workers = [worker for lane in self._lanes.values() for worker in lane.workers]
            self._lanes = {}
        deadline = None if seconds is None else time.monotonic() + seconds
        for worker in workers:
            worker.inbox.put(None)
        for worker in workers:
            if worker is not self._current.worker:
                worker.thread.join(None if deadline is None else deadline - time.monotonic())

    def before_fork(self) -> None:
        """Finish what is pending, so that parent and child both have the values."""
        if self._current.worker is None:
            self.finish()
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on as before."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: no thread of the parent exists here, OpenMP's neither."""
        failures = self._failures
        self._reset()
        self._failures = failures
        self._current = _Current()
        self._given = 1
        self._cores = Cores(1)
        threads.use(1)
