"""LazyEngine: runs nothing until a value is read, which exposes every lateness bug."""

import itertools
import math
import threading
from collections.abc import Callable, Sequence

from regluon.context import Context
from regluon.engine.engine import (
    Engine,
    Var,
    first_error,
    free_frames,
    meets,
    raise_all,
    raise_at_read,
    use,
)


class Task:
    """A pushed closure and the tasks that must run before it."""

    __slots__ = ("after", "fn", "label", "number", "reads", "restores", "writes")

    def __init__(
        self,
        number: int,
        fn: Callable[[], None],
        reads: Sequence[Var],
        writes: Sequence[Var],
        label: tuple[str, str],
        restores: Sequence[Var],
    ) -> None:
        self.number = number
        self.restores: tuple[Var, ...] = tuple(restores)
        self.label = label
        self.fn: Callable[[], None] | None = fn
        self.reads: tuple[Var, ...] = tuple(reads)
        self.writes: tuple[Var, ...] = tuple(writes)
        self.after: tuple[Task, ...] = ()


class LazyEngine(Engine):
    """Keeps pushed tasks until somebody waits, then runs just what that value needs, oldest first.

    `limit` bounds the tasks kept: beyond it the oldest half is run, so that a loop that never
    reads a value does not grow without end. Threads that load data take turns: one waits while
    another one's tasks run, because what it reads may be among them.

    In `deterministic` mode a wait runs all that is older than the value, too, so that the order in
    which gradients are added does not depend on what was read when.
    """

    name = "LazyEngine"
    inline = False
    small = direct = -1

    def __init__(self, limit: int = 20_000, *, fixed: int = 0) -> None:
        self.limit = limit
        self.ordered = fixed > 0
        self.fixed = fixed  # not 0 in deterministic mode
        self._numbers = itertools.count()
        self._pending: dict[int, Task] = {}
        self._running: list[Task] = []  # a task may wait, and so run others
        self._failures: list[BaseException] = []
        self._turn = threading.RLock()  # a task may read values and push tasks itself

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
        """Keep `fn` with its place in the order of every variable it touches."""
        with self._turn:
            if self._owns((*reads, *writes)):
                self._settle(reads, writes)
                fn()  # at once: later tasks on these variables wait for the end of this one
                return
            self._keep(Task(next(self._numbers), fn, reads, writes, label, restores))

    def _owns(self, variables: Sequence[Var]) -> bool:
        """Say whether the running task reads or writes one of these variables."""
        if not self._running:
            return False
        task = self._running[-1]
        return meets((*task.reads, *task.writes), variables)

    def held(self, var: Var) -> str:
        """Say how the running task has `var`."""
        with self._turn:
            task = self._running[-1] if self._running else None
            return use(task.reads, task.writes, var) if task else ""

    def _settle(self, reads: Sequence[Var], writes: Sequence[Var]) -> None:
        """Run what is pending on those of these variables that are not the running task's own."""
        users = [var.writer for var in (*reads, *writes) if not self._owns((var,))]
        for var in writes:
            if var.readers and not self._owns((var,)):
                users += var.readers
        for user in users:
            if isinstance(user, Task):
                for task in _needed(user):
                    self._run(task)

    def _keep(self, task: Task) -> None:
        after: dict[int, Task] = {}
        for var in task.reads:
            _add(after, var.writer)
        for var in task.writes:
            _add(after, var.writer)
            for reader in var.readers or ():
                _add(after, reader)
        task.after = tuple(after.values())
        for var in task.reads:
            if var.readers is None:
                var.readers = set()
            var.readers.add(task)
        for var in task.writes:
            var.writer = task
            var.readers = None
        self._pending[task.number] = task
        if len(self._pending) > self.limit and not self._running:  # they may need its end
            oldest = list(itertools.islice(self._pending.values(), self.limit // 2))
            for old in oldest:
                self._run(old)

    def _due(self, last: Task) -> list[Task]:
        """Return the tasks to run now, in the order of pushing, so that `last` is done."""
        if not self.ordered or self._running:  # one that runs may be what older ones wait for
            return _needed(last)
        return [task for number, task in list(self._pending.items()) if number <= last.number]

    def wait_for_var(self, var: Var) -> None:
        """Run what the value of `var` needs, in the order of pushing."""
        with self._turn:
            if isinstance(var.writer, Task) and not self._owns((var,)):
                for task in self._due(var.writer):
                    self._run(task)
            if var.error is not None:
                self._failures = [error for error in self._failures if error is not var.error]
                raise_at_read(var.error)
            if self._failures and not self._running:  # a task is not to be told of another one
                raise_at_read(self._failures.pop(0))

    def wait_to_write(self, var: Var) -> None:
        """Run what reads `var` as well."""
        with self._turn:
            for reader in sorted(var.readers or (), key=lambda task: task.number):
                for task in self._due(reader):
                    self._run(task)
        self.wait_for_var(var)

    def finish(self) -> None:
        """Run everything; raise nothing."""
        with self._turn:
            for task in list(self._pending.values()):
                self._run(task)

    def wait_all(self) -> None:
        """Run everything; raise what failed."""
        with self._turn:
            self.finish()
            failures, self._failures = self._failures, []
        raise_all(failures)

    def _run(self, task: Task) -> None:
        fn, task.fn = task.fn, None
        if fn is None:
            return
        del self._pending[task.number]
        error = first_error(task.reads, task.restores)
        if error is None:
            self._running.append(task)
            try:
                self.run(fn, *task.label)
            except Exception as raised:  # it belongs to whoever reads the outputs
                error = raised
                free_frames(raised)
                self._failures.append(raised)
            finally:
                self._running.pop()
        updated = {id(var) for var in task.reads}
        for var in task.restores if error is None else ():
            var.error = None
        for var in task.writes:
            if id(var) not in updated:
                var.error = error
            if var.writer is task:
                var.writer = None
        for var in task.reads:
            if var.readers is not None:
                var.readers.discard(task)
        task.reads = task.writes = task.restores = task.after = ()


def _add(tasks: dict[int, Task], task: object) -> None:
    if isinstance(task, Task) and task.fn is not None:
        tasks[task.number] = task


def _needed(last: Task) -> list[Task]:
    found = {last.number: last}
    stack = [last]
    while stack:
        for task in stack.pop().after:
            if task.fn is not None and task.number not in found:
                found[task.number] = task
                stack.append(task)
    return [found[number] for number in sorted(found)]
