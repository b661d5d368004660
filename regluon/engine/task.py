"""Task: a pushed closure, what it reads and writes, and who waits for it."""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from regluon.engine.engine import Var


class Follower(Protocol):
    """Something that becomes ready when the last of the tasks before it is finished."""

    after: int


class Task:
    """A pushed closure with its place in the graph of unfinished tasks.

    `after` counts the unfinished tasks that must come first. `followers` are those that wait for
    this one; each comes with the variable it wants to read, or None if it must wait for the end.
    """

    __slots__ = (
        "after", "completed", "fn", "followers", "label", "lane",
        "number", "priority", "pushed", "reads", "restores", "size", "work", "writes",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - all but four are rare
        self,
        number: int,
        fn: Callable[[], None],
        reads: Sequence[Var],
        writes: Sequence[Var],
        priority: int = 0,
        label: tuple[str, str] = ("", ""),
        size: int = 0,
        restores: Sequence[Var] = (),
        work: float = math.inf,
    ) -> None:
        self.number = number
        self.fn: Callable[[], None] | None = fn
        self.reads = reads
        self.writes = writes
        self.priority = priority
        self.label = label
        self.restores = restores
        self.size = size
        self.work = work
        self.after = 0
        self.followers: list[tuple[Var | None, Follower]] = []
        self.completed: set[int] = set()
        self.lane: Any = None
        self.pushed = 0.0

    def __lt__(self, other: "Task") -> bool:
        if self.priority != other.priority:
            return self.priority > other.priority
        return self.number < other.number

    def enter(self) -> None:
        """Take the place behind earlier writers of what it reads, and all users of what it writes.

        Called with the engine's lock held, as is everything here.
        """
        after = 0
        for var in self.reads:
            writer = var.writer
            if isinstance(writer, Task) and writer is not self:
                writer.followers.append((var, self))
                after += 1
            if var.readers is None:
                var.readers = {self}
            else:
                var.readers.add(self)
        for var in self.writes:
            writer = var.writer
            if isinstance(writer, Task) and writer is not self:
                writer.followers.append((None, self))
                after += 1
            for reader in var.readers or ():
                if reader is not self:
                    reader.followers.append((None, self))
                    after += 1
            var.writer = self
            var.readers = None
        self.after = after

    def release_early(self, var: Var) -> list[Follower]:
        """Let go of the readers of one variable; those who write it go on waiting for the end."""
        self.completed.add(id(var))
        var.error = None
        if var.writer is self:
            var.writer = None
            if var.readers is None:
                var.readers = {self}
            else:
                var.readers.add(self)
        kept = []
        ready = []
        for wanted, follower in self.followers:
            if wanted is var:
                follower.after -= 1
                if follower.after == 0:
                    ready.append(follower)
            else:
                kept.append((wanted, follower))
        self.followers = kept
        return ready

    def leave(self, error: BaseException | None) -> list[Follower]:
        """Note the end in every variable, and return the followers that are ready now.

        What the task only wrote becomes unusable if it failed; what it updated keeps its value.
        A finished task holds nothing: no array stays alive because of it.
        """
        updated = {id(var) for var in self.reads}
        for var in self.restores if error is None else ():
            var.error = None
        for var in self.writes:
            if id(var) not in updated and id(var) not in self.completed:
                var.error = error
            if var.writer is self:
                var.writer = None
            if var.readers is not None:
                var.readers.discard(self)
        for var in self.reads:
            if var.readers is not None:
                var.readers.discard(self)
        ready = []
        for _, follower in self.followers:
            follower.after -= 1
            if follower.after == 0:
                ready.append(follower)
        self.followers = []
        self.reads = self.writes = self.restores = ()
        self.fn = None
        return ready

    def updates(self) -> bool:
        """Say whether a failure leaves a good array as it was, so that no read tells of it."""
        read = {id(var) for var in self.reads if var.error is None}
        return not self.writes or any(id(var) in read for var in self.writes)


class Gate:
    """A place where one thread waits until the tasks before it are finished."""

    __slots__ = ("after", "lock")

    def __init__(self) -> None:
        self.after = 0
        self.lock = threading.Lock()
        self.lock.acquire()

    def follow(self, var: Var, *, readers: bool) -> None:
        """Wait for the task that writes `var`, and for all that read it when about to write."""
        writer = var.writer
        if isinstance(writer, Task):
            writer.followers.append((None if readers else var, self))
            self.after += 1
        if readers:
            for reader in var.readers or ():
                reader.followers.append((None, self))
                self.after += 1

    def open(self) -> None:
        """Let the waiting thread go on."""
        self.lock.release()

    def wait(self) -> None:
        """Return when the gate is open; signals such as Ctrl-C interrupt the wait."""
        self.lock.acquire()
