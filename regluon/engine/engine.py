"""The engine's contract: variables, tasks, waiting; and NaiveEngine, the synchronous reference."""

import math
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

from regluon.base import MXNetError, user_line
from regluon.context import Context


T = TypeVar("T")


class Var:
    """Something that tasks read and write: the engine keeps its order, its owner keeps the value.

    `writer` is the unfinished task that will write it, `readers` are the unfinished tasks that
    read it since, `error` is the failure that made its value unusable. `version` counts the writes
    in place at the time they were issued, and `site` is the line that issued the last of them.
    `mark` is the place in a device stream behind which it may be used.
    """

    __slots__ = ("__weakref__", "error", "mark", "readers", "site", "version", "writer")

    writer: Any
    readers: "set[Any] | None"
    error: BaseException | None
    version: int
    site: str | None
    mark: Any

    def __init__(self) -> None:
        self.mark = None
        self.writer = None
        self.readers = None
        self.error = None
        self.version = 0
        self.site = None

    @property
    def root(self) -> "Var":
        """The variable that owns the storage: itself, unless it is a view of another one."""
        return self

    def prepare_write(self, site: str) -> None:
        """Note a write issued at `site`, and part from variables with the same storage."""
        self.version += 1
        self.site = site

    def keep_for(self, stream: Any) -> None:
        """Keep the memory of the value as long as this device stream may use it."""

    def synchronize(self) -> None:
        """Return when the device has done the work that was queued for the value."""
        if self.mark is not None:
            self.mark.synchronize()


class Event(NamedTuple):
    """One finished task, as the profiler sees it: times in seconds of `time.perf_counter`."""

    name: str
    site: str  # the line of the user's program that issued it
    lane: str  # what ran it
    pushed: float
    begin: float
    end: float


Observer = Callable[[Event], None]


class Engine(ABC):
    """When operators run. The engine sees closures and variables, no operator and no array.

    A variable in both `reads` and `writes` is updated in place. When a task fails, what it only
    writes becomes unusable: every wait for it raises until it is written again. What it updates
    keeps its last good value, and the error is raised once, at the next wait for anything.
    """

    name: str
    inline: bool
    """True where a pushed task is finished when `push` returns."""
    small: int
    """Operators on finished arrays of at most so many elements run on the caller's thread."""
    direct: int
    """The same limit for those that may go the shortest way; -1 while somebody observes."""
    observer: Observer | None = None
    """Is told of every task that is finished."""
    ordered = False
    """True where operators that are recorded for gradients must run in program order."""

    @abstractmethod
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
        """Run `fn` once every variable it reads has been written; larger priorities go first.

        `kind` is one of compute, copy, io, communicate: work of different kinds runs at the same
        time. `size` is the number of bytes that its results will take. `label` tells the profiler
        what it is and which line of the user's program issued it. `restores` are those of the
        variables it updates that it gives a value even if they have none. `work` is about how many
        nanoseconds it takes one core.
        """

    def push_user(
        self,
        fn: Callable[[], None],
        reads: Sequence[Var],
        writes: Sequence[Var],
        ctx: Context,
        *,
        priority: int,
        kind: str,
        label: tuple[str, str],
    ) -> None:
        """Push a function that names arrays, views among them, as what it reads and writes."""
        for var in writes:
            var.prepare_write(label[1])
        touched = [var for given in (*reads, *writes) for var in (given.root, given)]
        changed = [var.root for var in writes]
        self.push(fn, touched, changed, ctx, priority=priority, kind=kind, label=label)

    def held(self, var: Var) -> str:
        """Say whether the task that runs on this thread has `var` to "write", to "read", or ""."""
        return ""

    @abstractmethod
    def wait_for_var(self, var: Var) -> None:
        """Return when `var` has its value; raise the error of the task that failed to write it."""

    def wait_to_write(self, var: Var) -> None:
        """Return when no unfinished task reads or writes `var`."""
        self.wait_for_var(var)

    def complete(self, var: Var) -> None:  # noqa: B027 - engines with one thread need not know
        """Tell, inside the task that writes `var`, that its value is final: readers may start."""

    @abstractmethod
    def wait_all(self) -> None:
        """Return when every task is finished; raise what failed, several as one ExceptionGroup."""

    def finish(self) -> None:  # noqa: B027
        """Return when every task is finished, whether it failed or not; raise nothing."""

    def observe(self, observer: Observer | None) -> None:
        """Tell `observer`, which must be quick, of every task from now on, or nobody."""
        self.observer = observer
        self.direct = self.small if observer is None else -1

    def run(self, fn: Callable[[], T], name: str, site: str = "") -> T:
        """Run part of the front end's work on the caller's thread, seen by the observer."""
        observer = self.observer
        if observer is None:
            return fn()
        label = name, site or user_line()
        begin = time.perf_counter()
        try:
            return fn()
        finally:
            observer(Event(*label, "caller", begin, begin, time.perf_counter()))

    # The life of the process; engines with threads do more

    def stop(self) -> None:
        """Finish what is pending and end all threads of the engine."""
        self.wait_all()

    def abandon(self) -> None:  # noqa: B027
        """At exit: forget what has not begun."""

    def before_fork(self) -> None:  # noqa: B027
        """Make this process fit to be copied."""

    def after_fork_in_parent(self) -> None:  # noqa: B027
        """Go on."""

    def after_fork_in_child(self) -> None:  # noqa: B027
        """Begin anew without the threads of the parent."""


class NaiveEngine(Engine):
    """Runs every task at once on the caller's thread: it defines what the others must compute."""

    name = "NaiveEngine"
    inline = True
    small = direct = sys.maxsize

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
        """Run `fn` now; what it raises reaches the caller directly."""
        error = first_error(reads, restores)
        if error is not None:
            raise error
        self.run(fn, *label)
        for var in writes:
            var.error = None

    def wait_for_var(self, var: Var) -> None:
        """Everything has run already; only a failure can be left."""
        if var.error is not None:
            raise var.error

    def wait_all(self) -> None:
        """Everything has run already."""


def first_error(reads: Iterable[Var], restores: Sequence[Var]) -> BaseException | None:
    """Return why a task that reads and restores these cannot run, if so."""
    for var in reads:
        if var.error is not None and not (restores and meets(restores, (var,))):
            return var.error
    return None


def use(reads: Sequence[Var], writes: Sequence[Var], var: Var) -> str:
    """Say what a task that reads and writes these may do to `var`: "write", "read", or ""."""
    if meets(writes, (var,)):
        return "write"
    return "read" if meets(reads, (var,)) else ""


def meets(variables: Iterable[Var], others: Iterable[Var]) -> bool:
    """Say whether the two have a variable in common; arrays must not be compared with `==`."""
    known = {id(var) for var in variables}
    return any(id(var) in known for var in others)


def raise_at_read(error: BaseException) -> NoReturn:
    """Raise the error of a task at the line that waits for its result, which is told as well."""
    line = user_line()
    if not isinstance(error, MXNetError) or line in str(error):
        raise error
    raised = type(error)(f"{error}\n  read at {line}")
    raised.__cause__ = error.__cause__
    raise raised


def raise_all(errors: Sequence[BaseException]) -> None:
    """Raise the only error, or several as one group, or nothing."""
    if len(errors) == 1:
        raise_at_read(errors[0])
    if errors:
        raise BaseExceptionGroup("several operators failed", list(errors))


def free_frames(error: BaseException | None) -> None:
    """Let go of the arrays that the frames of a stored error, and of its causes, hold."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
