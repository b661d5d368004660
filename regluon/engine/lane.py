"""Lane: a row of ready tasks with the worker threads that run them."""

import heapq
import queue
import threading
from collections.abc import Callable, Iterable

from regluon.engine import threads
from regluon.engine.engine import Var, meets
from regluon.engine.streams import Stream
from regluon.engine.task import Task


_PATIENCE = 0.02  # so many seconds an idle worker keeps its team: a new one costs 0.1 ms


class Worker:
    """A thread that takes tasks from its inbox, None to let its team go; `None` alone ends it."""

    __slots__ = ("inbox", "lane", "task", "team", "thread", "threads")

    def __init__(self, lane: "Lane", loop: "Callable[[Worker], None]") -> None:
        self.lane = lane
        self.inbox: queue.SimpleQueue[tuple[Task | None, int] | None] = queue.SimpleQueue()
        self.task: Task | None = None  # what it runs now
        self.threads = 0  # the cores that its task holds
        self.team = 1  # the threads, itself among them, that kernels have kept since its last one
        self.thread = threading.Thread(
            target=loop, args=(self,), name=f"regluon {lane.name}", daemon=True
        )
        self.thread.start()

    def next(self, lock: threading.Lock) -> tuple[Task, int] | None:
        """Wait for a task and its cores, None at the end; let the team go if that takes long.

        Whoever changes `team` holds `lock`.
        """
        while True:
            try:
                item = self.inbox.get(timeout=_PATIENCE if self.team > 1 else None)
            except queue.Empty:
                with lock:
                    if self.task is not None:
                        continue  # it is on its way
                    self.team = 1
                threads.release()
                continue
            if item is None:
                return None
            task, share = item
            if task is not None:
                return task, share
            threads.release()

    def owns(self, variables: Iterable[Var]) -> bool:
        """Say whether the running task reads or writes one of these variables."""
        task = self.task
        return task is not None and meets((*task.reads, *task.writes), variables)


class Lane:
    """Tasks of one context and kind. Those that compute share the cores, the others run beside.

    `limit` tasks run at the same time. A worker that waits for a value inside its task is
    `blocked`: another one takes its place, so that the value can be computed.
    """

    __slots__ = (
        "blocked",
        "computes",
        "idle",
        "last",
        "limit",
        "name",
        "ready",
        "stream",
        "workers",
    )

    def __init__(
        self, name: str, limit: int, *, computes: bool, stream: Stream | None = None
    ) -> None:
        self.name = name
        self.stream = stream
        self.limit = limit
        self.computes = computes
        self.ready: list[Task] = []  # a heap: priority first, then age
        self.workers: list[Worker] = []
        self.idle: list[Worker] = []
        self.blocked = 0
        self.last: Task | None = None  # what was pushed last, in deterministic mode

    def add(self, task: Task) -> None:
        """Take a task that may run now."""
        heapq.heappush(self.ready, task)

    def pop(self) -> Task:
        """Give the task that is to run next."""
        return heapq.heappop(self.ready)

    def take(self, share: int, loop: Callable[[Worker], None]) -> Worker:
        """Give a worker: one that has a team if the task gets several cores, else one without."""
        if not self.idle:
            self.workers.append(Worker(self, loop))
            return self.workers[-1]
        chosen = (max if share > 1 else min)(self.idle, key=lambda worker: worker.team)
        self.idle.remove(chosen)
        return chosen

    def run(self, task: Task) -> None:
        """Do the work of a task, on the lane's stream if it has one, behind other streams' work."""
        fn, stream = task.fn, self.stream
        assert fn is not None
        used = (*task.reads, *task.writes)
        for var in used:
            if var.mark is not None:
                _pass_mark(var, stream)
        if stream is None:
            fn()
            return
        if stream.beside:
            stream.wait_for_default()
        with stream.use():
            fn()
        if stream.beside:
            event = stream.record()
            for var in used:
                var.mark = event
                var.keep_for(stream.handle)

    @property
    def running(self) -> int:
        """The number of tasks that use this lane now."""
        return len(self.workers) - len(self.idle) - self.blocked

    def room(self) -> int:
        """Say how many ready tasks could start."""
        return min(len(self.ready), self.limit - self.running)


def _pass_mark(var: Var, stream: Stream | None) -> None:
    """Wait, on the device if possible, for the stream beside that used a variable last."""
    if stream is None:
        var.mark.synchronize()
    else:
        stream.wait(var.mark)
        var.keep_for(stream.handle)
    if stream is None or not stream.beside:
        var.mark = None
