"""Run random programs with injected failures on every engine, for as long as one likes.

    OMP_NUM_THREADS=1 python tools/soak_engine.py --minutes 60 --seed 1
    OMP_NUM_THREADS=1 python tools/soak_engine.py --seed 1 --batch 1234     # that one again

Every batch runs a program, or several at the same time, under one engine and one of its settings,
and compares all values with those of the good steps under NaiveEngine: bit by bit where the engine
promises that, else to the rounding of floats. Threads, open files, memory, arrays and tasks are
counted every minute and may not grow. A batch that does not end is a hang: the stacks of all
threads are printed. The last line sums up; the exit code is 1 where something was wrong.
"""

import argparse
import contextlib
import ctypes
import faulthandler
import gc
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch


sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import regluon as mx
from regluon.array.handle import Handle
from regluon.engine import Engine, LazyEngine, NaiveEngine, ThreadedEngine, lazy, task, threads
from regluon.engine.selection import selected
from tests.engine.array_model import injected
from tests.engine.array_programs import Program
from tests.engine.array_runner import Run, outcome


class Mode(NamedTuple):
    """An engine with its settings.

    `exact`: gradients have the same bits as on NaiveEngine. `kernels`: they run on several threads.
    `inline`: what is small enough to run on the caller's thread, None for the engine's own limit.
    """

    make: Callable[[], Engine]
    exact: bool = True
    kernels: bool = False
    inline: int | None = None


MODES = {
    "naive": Mode(NaiveEngine),
    "lazy": Mode(LazyEngine),
    "lazy, short memory": Mode(lambda: LazyEngine(limit=20)),
    "ordered": Mode(lambda: ThreadedEngine(cores=3, fixed=1)),
    "ordered, nothing inline": Mode(lambda: ThreadedEngine(cores=3, fixed=1), inline=-1),
    "free": Mode(lambda: ThreadedEngine(cores=4), exact=False),
    "free, nothing inline": Mode(lambda: ThreadedEngine(cores=4), exact=False, inline=-1),
    "free, all inline": Mode(lambda: ThreadedEngine(cores=4), exact=False, inline=sys.maxsize),
    "crowded": Mode(
        lambda: ThreadedEngine(cores=3, max_tasks=9, max_bytes=200_000), exact=False, inline=100
    ),
    "several threads in a kernel": Mode(
        lambda: ThreadedEngine(cores=2), exact=False, kernels=True, inline=100
    ),
    "changing": Mode(ThreadedEngine, exact=False, kernels=True),
}


class Census(NamedTuple):
    """What must not grow, counted when nothing is going on; memory in MB."""

    threads: int
    files: int
    arrays: int
    tasks: int
    native: int
    memory: float


def census() -> Census:
    """Count, after everything that is not needed is gone."""
    selected.engine.stop()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    kinds = Counter(
        "array" if issubclass(kind, Handle) else "task"
        for kind in map(type, gc.get_objects())
        if issubclass(kind, (Handle, task.Task, lazy.Task))
    )
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Census(
        threading.active_count(),
        len(list(Path("/proc/self/fd").iterdir())),
        kinds["array"],
        kinds["task"],
        len(list(Path("/proc/self/task").iterdir())),
        round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1),
    )


def growth(counts: list[Census]) -> list[str]:
    """Say what grew since the first count; memory is compared between thirds of the time."""
    if len(counts) < 2:
        return []
    first, last = counts[0], counts[-1]
    grown = [
        f"{name} grew from {getattr(first, name)} to {getattr(last, name)}"
        for name in ("threads", "files", "arrays", "tasks")
        if getattr(last, name) > getattr(first, name)
    ]
    third = (len(counts) + 2) // 3
    for name, slack in (("native", 4), ("memory", max(40, 0.05 * first.memory))):
        early = max(getattr(count, name) for count in counts[:third])
        late = min(getattr(count, name) for count in counts[-third:])
        if late > early + slack:
            grown.append(f"{name} grew from {early} to {late}")
    return grown


class Watchdog:
    """Ends the process, with the stacks of all threads, when a batch takes too long; 0: never."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.what = ""
        if seconds:
            signal.signal(signal.SIGALRM, self._hang)

    def expect(self, what: str) -> None:
        """A batch begins; the one before it is over."""
        self.what = what
        if self.seconds:
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
            faulthandler.dump_traceback_later(
                self.seconds + 30, exit=True
            )  # if Python itself stands

    def stop(self) -> None:
        """Leave the process in peace."""
        if self.seconds:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()

    def _hang(self, *_: Any) -> None:
        print(f"HANG in {self.what}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback(all_threads=True)
        os._exit(2)


class Soak:
    """Batches of programs, numbered, each made from the seed and its number alone."""

    def __init__(self, seed: int, patience: float = 300, log: Callable[[str], Any] = print) -> None:
        self.seed, self.patience, self.log = seed, patience, log
        self.counted: Counter[str] = Counter()
        self.modes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.counts: list[Census] = []

    def run(self, seconds: float, batches: int = sys.maxsize, every: float = 60) -> bool:
        """Run until the time or the batches are over; say whether all was right."""
        begin = time.monotonic()
        watchdog = Watchdog(self.patience)
        with calm():
            number = 0
            due = every / 4  # the first count comes early, when all modes have been used
            while number < batches and time.monotonic() - begin < seconds and len(self.wrong) < 20:
                self.batch(number, watchdog)
                number += 1
                if time.monotonic() - begin > due and number > 3 * len(MODES):
                    self._count(begin)
                    due = time.monotonic() - begin + every
            self._count(begin)
        watchdog.stop()
        return not self.wrong and not growth(self.counts)

    def _count(self, begin: float) -> None:
        self.counts.append(census())
        passed = (time.monotonic() - begin) / 60
        self.log(
            f"{passed:.1f} min, {self.counted['programs']} programs, "
            f"{len(self.wrong)} wrong: {self.counts[-1]}"
        )

    def batch(self, number: int, watchdog: Watchdog) -> None:
        """Run one batch."""
        rng = random.Random(f"{self.seed} {number}")
        name = list(MODES)[number % len(MODES)]
        mode = MODES[name]
        what = f"--seed {self.seed} --batch {number} ({name})"
        watchdog.expect(what)
        smooth = mode.kernels or rng.random() < 0.5
        people = rng.choice((1, 1, 1, 2, 3))
        programs = [
            Program(rng.randrange(2**40), smooth=smooth, shared=people > 1) for _ in range(people)
        ]
        self._select(NaiveEngine())
        references = [Run(program, None, nothing).go() for program in programs]
        with kernels(mode.kernels):
            self._select(mode.make(), mode.inline)
            change = Changes(name)
            runs = [Run(p, r, change) for p, r in zip(programs, references, strict=True)]
            for run in runs:
                run.exact = mode.exact or not smooth
            errors = outcome(runs)
            self._end(errors)
        self.wrong += [f"{what}: {error}" for error in errors]
        for error in errors:
            self.log(f"WRONG in {what}: {error}")
        self.modes[name] += people
        self.counted["programs"] += people
        for run in runs:
            self.counted["steps"] += len(run.program.steps)
            self.counted["failing steps"] += sum(step.failing for step in run.program.steps)
            self.counted["values compared"] += len(run.seen)
            self.counted["errors raised"] += run.raised

    def _end(self, errors: list[BaseException]) -> None:
        """Finish what is pending, and the engine's threads."""
        for _ in range(2):  # once told, nothing is told again
            try:
                mx.nd.waitall()
                break
            except Exception as error:
                if not injected(error):
                    errors.append(error)
        else:
            errors.append(AssertionError("waitall told of failures twice"))
        mx.profiler.stop()
        mx.profiler.dumps(reset=True)
        selected.engine.stop()
        extra = [thread.name for thread in threading.enumerate() if "regluon" in thread.name]
        if extra:
            errors.append(AssertionError(f"threads are left after stop: {extra}"))

    def _select(self, engine: Engine, inline: int | None = None) -> None:
        selected.engine.stop()
        selected.threads = 0
        selected.engine = engine
        if inline is not None:
            engine.small = engine.direct = inline

    def summary(self) -> str:
        """Return one line with all that was counted."""
        parts = [f"{count} {name}" for name, count in self.counted.items()]
        parts += [f"{len(self.wrong)} wrong, 0 hangs", *(growth(self.counts) or ["no leak"])]
        return "; ".join(["SOAK", *parts]) + f"; per mode {dict(self.modes)}"


def nothing(kind: int, number: int) -> None:
    """Change no setting."""


class Changes:
    """The settings that a program changes while it runs: all of them in the mode "changing"."""

    def __init__(self, mode: str) -> None:
        self.all = mode == "changing"
        self.profiling = False

    def __call__(self, kind: int, number: int) -> None:
        """Do what the program says; may raise the failures of earlier steps."""
        if kind == 2 or not self.all:
            self.profiling = not self.profiling
            (mx.profiler.start if self.profiling else mx.profiler.stop)()
        elif kind == 3:
            torch.set_num_threads(number)
        elif kind == 4:
            mx.engine.set_deterministic(number > 1, 1)
        else:
            mx.engine.set_type(("NaiveEngine", "LazyEngine", "ThreadedEngine")[number - 1])


@contextlib.contextmanager
def kernels(several: bool) -> Iterator[None]:
    """Let kernels run on as many threads as the engine says, or on one whatever it says."""
    use = threads.use
    if not several:
        threads.use = lambda count: None  # then all bits are the same in every mode
    try:
        yield
    finally:
        threads.use = use
        torch.set_num_threads(1)


@contextlib.contextmanager
def calm() -> Iterator[None]:
    """Give the process back as it was: its engine, its threads."""
    engine, fixed, count = selected.engine, selected.threads, torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        selected.engine.stop()
        selected.engine, selected.threads = engine, fixed
        torch.set_num_threads(count)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, help="run this batch only")
    parser.add_argument("--quick", action="store_true", help="each mode four times")
    parser.add_argument("--patience", type=float, default=300, help="seconds until a batch hangs")
    given = parser.parse_args()
    soak = Soak(given.seed, given.patience, log=lambda line: print(line, flush=True))
    if given.batch is not None:
        watchdog = Watchdog(given.patience)
        with calm():
            soak.batch(given.batch, watchdog)
        good = not soak.wrong
    else:
        good = soak.run(given.minutes * 60, 4 * len(MODES) if given.quick else sys.maxsize)
    print(soak.summary())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
