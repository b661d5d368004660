"""Where the time goes: a trace of every operator with the user's line, and a table of sums.

>>> import regluon as mx
>>> mx.profiler.start()
>>> _ = (mx.nd.ones((2, 2)) + 1).asnumpy()
>>> mx.profiler.stop()
>>> print(mx.profiler.dumps(reset=True).splitlines()[0].split()[:3])
['Name', 'Calls', 'Total']
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from regluon.array.atomic import atomic_write
from regluon.base import MXNetError, nearest
from regluon.engine.engine import Event as Finished
from regluon.engine.selection import selected


_SETTINGS: dict[str, Any] = {
    "filename": "profile.json",
    "profile_all": False,
    "profile_symbolic": True,
    "profile_imperative": True,
    "profile_memory": False,
    "profile_api": False,
    "continuous_dump": False,
    "dump_period": 1.0,
    "aggregate_stats": True,
    "profile_process": "worker",
}
_SORTS = ("total", "avg", "min", "max", "count")
_LIMIT = 1_000_000  # events that are kept; later ones are counted only


class _Log:
    """What was seen since the last `dump`."""

    def __init__(self) -> None:
        self.settings = dict(_SETTINGS)
        self.lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self.operators: list[Finished] = []
        self.marks: list[dict[str, Any]] = []
        self.lost = 0

    def operator(self, event: Finished) -> None:
        if len(self.operators) < _LIMIT:
            self.operators.append(event)
        else:
            self.lost += 1

    def mark(self, **event: Any) -> None:
        """Keep an event of the user's own in the form of the trace file."""
        thread = threading.current_thread().name
        with self.lock:
            self.marks.append({"lane": thread, "ts": _micros(time.perf_counter()), **event})


_log = _Log()


def _micros(seconds: float) -> float:
    return round(seconds * 1e6, 3)


def set_config(**settings: Any) -> None:
    """Choose the file of `dump` (`filename`), and what MXNet's programs set besides.

    Every operator is always recorded and the table is always kept, whatever `profile_*` and
    `aggregate_stats` say; the file is written by `dump` only.
    """
    for name in settings:
        if name not in _SETTINGS:
            raise MXNetError(f"the profiler has no setting {name!r}{nearest(name, _SETTINGS)}")
    _log.settings.update(settings)


def set_state(state: str = "stop", profile_process: str = "worker") -> None:
    """Begin (`"run"`) or end (`"stop"`) recording; work that was pushed before is waited for."""
    if state not in ("run", "stop"):
        raise MXNetError(f"the state of the profiler is 'run' or 'stop', not {state!r}")
    selected.engine.finish()
    selected.engine.observe(_log.operator if state == "run" else None)


def start() -> None:
    """Begin recording."""
    set_state("run")


def stop() -> None:
    """End recording; what was recorded stays until `dump` or `dumps(reset=True)`."""
    set_state("stop")


def pause(profile_process: str = "worker") -> None:
    """Leave out what comes until `resume`."""
    selected.engine.observe(None)


def resume(profile_process: str = "worker") -> None:
    """Record again after `pause`."""
    selected.engine.observe(_log.operator)


def dump(finished: bool = True, profile_process: str = "worker") -> None:
    """Write the trace to the file of `set_config`, for Perfetto or `chrome://tracing`.

    There is one row per lane of the engine, one slice per operator, with the line of the user's
    program that issued it and how long it waited to start. `finished` also ends the recording and
    forgets what was recorded.
    """
    selected.engine.finish()
    text = json.dumps({"traceEvents": list(_trace()), "displayTimeUnit": "ms"})
    atomic_write(Path(_log.settings["filename"]), text.encode())
    if finished:
        stop()
        _log.clear()


def _trace() -> Iterator[dict[str, Any]]:
    rows: dict[str, int] = {}

    def row(lane: str) -> int:
        return rows.setdefault(lane, len(rows))

    for event in list(_log.operators):
        yield {
            "name": event.name,
            "cat": "operator",
            "ph": "X",
            "ts": _micros(event.begin),
            "dur": _micros(event.end - event.begin),
            "pid": 0,
            "tid": row(event.lane),
            "args": {"line": event.site, "waited_us": _micros(event.begin - event.pushed)},
        }
    for mark in list(_log.marks):
        lane = mark["lane"]
        yield {
            **{name: value for name, value in mark.items() if name != "lane"},
            "pid": 0,
            "tid": row(lane),
        }
    for lane, number in rows.items():
        yield {"name": "thread_name", "ph": "M", "pid": 0, "tid": number, "args": {"name": lane}}


@dataclass(frozen=True)
class _Sum:
    """The durations of one operator, in milliseconds."""

    name: str
    count: int
    total: float
    min: float
    max: float
    avg: float


def _sums() -> list[_Sum]:
    times: defaultdict[str, list[float]] = defaultdict(list)
    for event in list(_log.operators):
        times[event.name].append((event.end - event.begin) * 1e3)
    return [
        _Sum(name, len(found), sum(found), min(found), max(found), sum(found) / len(found))
        for name, found in times.items()
    ]


def dumps(
    reset: bool = False, format: str = "table", sort_by: str = "total", ascending: bool = False
) -> str:
    """Return calls, total, smallest, largest and mean time in milliseconds of every operator.

    The time is that of running, never that of waiting. `format` is "table" or "json"; `sort_by` is
    one of total, avg, min, max, count.
    """
    if format not in ("table", "json"):
        raise MXNetError(f"format is 'table' or 'json', not {format!r}")
    if sort_by not in _SORTS:
        raise MXNetError(f"sort_by is one of {', '.join(_SORTS)}, not {sort_by!r}")
    selected.engine.finish()
    sums = sorted(_sums(), key=lambda item: getattr(item, sort_by), reverse=not ascending)
    if reset:
        _log.clear()
    if format == "json":
        return json.dumps([asdict(item) for item in sums])
    lines = [f"{'Name':<32}{'Calls':>8}{'Total ms':>12}{'Min ms':>12}{'Max ms':>12}{'Avg ms':>12}"]
    lines += [
        f"{item.name:<32}{item.count:>8}"
        + "".join(f"{value:>12.4f}" for value in (item.total, item.min, item.max, item.avg))
        for item in sums
    ]
    return "\n".join(lines)


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Show a part of the program as one slice of the trace, on the row of its thread.

    >>> with scope("epoch 1"):
    ...     pass
    """
    begin = time.perf_counter()
    try:
        yield
    finally:
        duration = _micros(time.perf_counter() - begin)
        _log.mark(name=name, cat="scope", ph="X", ts=_micros(begin), dur=duration)


class Domain:
    """A name under which a program groups its own events."""

    def __init__(self, name: str) -> None:
        self.name = name

    def new_task(self, name: str) -> "Task":
        """Return a task of this domain."""
        return Task(self, name)

    def new_frame(self, name: str) -> "Frame":
        """Return a frame of this domain."""
        return Frame(self, name)

    def new_counter(self, name: str, value: float | None = None) -> "Counter":
        """Return a counter of this domain."""
        return Counter(self, name, value)

    def new_marker(self, name: str) -> "Marker":
        """Return a marker of this domain."""
        return Marker(self, name)


class Task:
    """A part of the program between `start` and `stop`, shown as one slice of the trace."""

    def __init__(self, domain: Domain, name: str) -> None:
        self.domain = domain
        self.name = name
        self._begin: float | None = None

    def start(self) -> None:
        """Begin."""
        self._begin = time.perf_counter()

    def stop(self) -> None:
        """End; without `start` nothing is recorded."""
        begin, self._begin = self._begin, None
        if begin is not None:
            duration = _micros(time.perf_counter() - begin)
            _log.mark(name=self.name, cat=self.domain.name, ph="X", ts=_micros(begin), dur=duration)


class Frame(Task):
    """A `Task` that comes again and again, such as a batch."""


class Event(Task):
    """A `Task` without a domain."""

    def __init__(self, name: str) -> None:
        super().__init__(Domain("event"), name)


class Counter:
    """A number over time, shown as a curve of the trace."""

    def __init__(self, domain: Domain, name: str, value: float | None = None) -> None:
        self.domain = domain
        self.name = name
        self.value = 0.0
        if value is not None:
            self.set_value(value)

    def set_value(self, value: float) -> None:
        """Set the number."""
        self.value = value
        _log.mark(name=self.name, cat=self.domain.name, ph="C", args={self.name: value})

    def increment(self, delta: float = 1) -> None:
        """Add to the number."""
        self.set_value(self.value + delta)

    def decrement(self, delta: float = 1) -> None:
        """Subtract from the number."""
        self.set_value(self.value - delta)

    def __iadd__(self, delta: float) -> "Counter":
        self.increment(delta)
        return self

    def __isub__(self, delta: float) -> "Counter":
        self.decrement(delta)
        return self


class Marker:
    """A moment, shown as a line in the trace."""

    def __init__(self, domain: Domain, name: str) -> None:
        self.domain = domain
        self.name = name

    def mark(self, scope: str = "process") -> None:
        """Record this moment; `scope` is global, process, thread, task or marker."""
        letter = {"global": "g", "process": "p"}.get(scope, "t")
        _log.mark(name=self.name, cat=self.domain.name, ph="i", s=letter)
