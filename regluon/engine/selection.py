"""The engine in use: chosen by `MXNET_ENGINE_TYPE` or `set_type`; its part in exit and fork."""

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from regluon.base import MXNetError, Registry, env, nearest, user_line
from regluon.context import Context, current_context
from regluon.engine import threads
from regluon.engine.engine import Engine, NaiveEngine, Var
from regluon.engine.lazy import LazyEngine
from regluon.engine.threaded import ThreadedEngine


ENGINES = Registry[type[Engine]]("engine")
ENGINES.register(NaiveEngine)
ENGINES.register(LazyEngine)
ENGINES.register(ThreadedEngine)
ENGINES.register(ThreadedEngine, "ThreadedEnginePerDevice", "ThreadedEnginePooled")


KINDS = ("compute", "copy", "io", "communicate")
"""The kinds of work that run beside each other."""


class Selected:
    """Holds the engine in use."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.threads = 0  # of every task in deterministic mode, else 0
        self.bulk_size = 15  # MXNet's default


def _make(name: str, fixed: int = 0) -> Engine:
    kind = ENGINES.get(name)
    if kind is LazyEngine:
        return LazyEngine(fixed=fixed)
    if kind is not ThreadedEngine:
        return kind()
    given = env("REGLUON_ENGINE_MAX_BYTES")
    if given and not given.isdecimal():
        raise MXNetError(f"REGLUON_ENGINE_MAX_BYTES must be a number of bytes, not {given!r}")
    return ThreadedEngine(fixed=fixed, max_bytes=int(given or 0))


selected = Selected(_make(env("MXNET_ENGINE_TYPE")))
"""The one holder: the door looks here at every call."""


def get() -> Engine:
    """Return the engine in use."""
    return selected.engine


def _change(engine: Engine) -> None:
    old = selected.engine
    old.wait_all()
    old.stop()
    engine.observe(old.observer)
    selected.engine = engine


def set_type(name: str) -> str:
    """Finish all pending work, use the engine called `name` from now on, and return the old name.

    >>> previous = set_type("LazyEngine")
    >>> set_type(previous)
    'LazyEngine'
    """
    old = selected.engine
    if ENGINES.get(name) is not type(old):
        _change(_make(name, selected.threads))
    return old.name


def set_deterministic(active: bool, threads_per_task: int = 0) -> bool:
    """Make the bits of results independent of time, or not; return what was set before.

    Sums over several threads depend on how many there are, and gradients on the order in which
    operators were recorded. In this mode every context runs its operators one after another, in
    the order of the program, each on `threads_per_task` threads (all cores if 0). Two contexts
    still work at the same time if their threads fit beside each other. Under LazyEngine a read runs
    all that was called before it. NaiveEngine is deterministic as it is.

    >>> before = set_deterministic(True, threads_per_task=1)
    >>> set_deterministic(before)
    True
    """
    if threads_per_task < 0:
        raise MXNetError(f"threads_per_task must be 0 or more, not {threads_per_task}")
    before = selected.threads > 0
    selected.threads = (threads_per_task or threads.given()) if active else 0
    engine = selected.engine
    if isinstance(engine, (LazyEngine, ThreadedEngine)) and engine.fixed != selected.threads:
        _change(_make(engine.name, selected.threads))
    return before


def stop() -> None:
    """Finish all pending work and end the engine's threads; the next operator starts new ones."""
    selected.engine.stop()


def push(
    fn: Callable[[], None],
    reads: Sequence[Var] = (),
    writes: Sequence[Var] = (),
    ctx: Context | None = None,
    *,
    priority: int = 0,
    kind: str = "io",
    name: str = "",
) -> None:
    """Let the engine call `fn()` once all operators on the arrays `reads` and `writes` allow it.

    It returns at once. `fn` may read the arrays of both lists and write those of `writes`, with
    operators or through `x.to_torch()` and `x.asnumpy()`, none of which waits there. Everything
    called later that uses these arrays waits for it; what it raises is raised once, by the next
    wait for anything. `kind` says what it needs: "io" (files, decoding) and "communicate" run
    beside the operators, "compute" shares the cores with them.

    >>> import regluon as mx
    >>> x, y = mx.nd.array([1, 2]), mx.nd.zeros((2,))
    >>> mx.engine.push(lambda: y.to_torch().copy_(x.to_torch() * 3), [x], [y])
    >>> y.asnumpy().tolist()
    [3.0, 6.0]
    """
    if kind not in KINDS:
        raise MXNetError(
            f"kind must be one of {', '.join(KINDS)}, not {kind!r}{nearest(kind, KINDS)}"
        )
    for var in (*reads, *writes):
        if not isinstance(var, Var):
            raise MXNetError(f"reads and writes are lists of arrays; one is a {type(var).__name__}")
    label = (name or getattr(fn, "__name__", "push"), user_line())
    selected.engine.push_user(
        fn, reads, writes, ctx or current_context(), priority=priority, kind=kind, label=label
    )


def set_bulk_size(size: int) -> int:
    """Remember how many operators MXNet would run as one task; return the number before.

    Nothing depends on it: small operators run at once, and whole graphs are one task when a block
    is hybridized. It is here so that programs that call it go on working.
    """
    if size < 0:
        raise MXNetError(f"the bulk size must be 0 or more, not {size}")
    before, selected.bulk_size = selected.bulk_size, size
    return before


@contextmanager
def bulk(size: int) -> Iterator[None]:
    """Set the bulk size inside a `with` block; see `set_bulk_size`.

    >>> with bulk(10):
    ...     pass
    """
    before = set_bulk_size(size)
    try:
        yield
    finally:
        set_bulk_size(before)


# The engine in use is looked up when these run, not when they are entered here.
atexit.register(lambda: selected.engine.abandon())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: selected.engine.before_fork(),
        after_in_parent=lambda: selected.engine.after_fork_in_parent(),
        after_in_child=lambda: selected.engine.after_fork_in_child(),
    )
