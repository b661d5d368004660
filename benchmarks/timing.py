"""Interleaved timing: every variant in every round, medians, results as JSON with the machine."""

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple


Variant = Callable[[], float]
Values = list[list[float]]


def seconds(step: Callable[[], object], repeat: int) -> float:
    """Return the wall time of one step, measured over `repeat` steps."""
    start = time.perf_counter()
    for _ in range(repeat):
        step()
    return (time.perf_counter() - start) / repeat


class Job(NamedTuple):
    """One variant of a case whose results are compared with those of the other variants."""

    call: Callable[[], Any]  # what is repeated
    wait: Callable[[Any], object]  # with the last result: returns when nothing is pending
    values: Callable[[Any], Values]  # of the last result, what all variants must agree on

    def measure(self, repeat: int) -> tuple[float, Values]:
        """Return the seconds of a call, the wait after the last one included, and the values."""
        result = None
        start = time.perf_counter()
        for _ in range(repeat):
            result = self.call()
        self.wait(result)
        return (time.perf_counter() - start) / repeat, self.values(result)


def interleave(variants: dict[str, Variant], rounds: int) -> dict[str, float]:
    """Run every variant once per round, in turn, and return the median time of each."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for variant in variants.values():
        variant()  # a warm-up that is not counted
    for turn in range(rounds):
        names = list(variants) if turn % 2 == 0 else list(variants)[::-1]
        for name in names:
            times[name].append(variants[name]())
    return {name: statistics.median(values) for name, values in times.items()}


class Peer:
    """Another Python (with MXNet, say) that times a case whenever it is told to.

    words: arguments of the script; settings: `NAME=value`, for its environment.
    """

    def __init__(
        self, python: str, script: Path, *words: str, settings: Sequence[str] = ()
    ) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115, close() closes it
        self.process = subprocess.Popen(
            ["env", *settings, python, "-W", "ignore", str(script), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def __call__(self, case: str, repeat: int) -> float:
        """Return the peer's seconds per step of a case."""
        return float(self._ask(case, repeat)["seconds"])

    def measure(self, case: str, repeat: int) -> tuple[float, Values]:
        """Return the peer's seconds per step of a case that is a `Job`, and its values."""
        found = self._ask(case, repeat)
        return found["seconds"], found["values"]

    def _ask(self, case: str, repeat: int) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        line = ""
        if self.process.poll() is None:
            self.process.stdin.write(json.dumps({"case": case, "repeat": repeat}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer stopped in case {case!r}: {self._last_error()}")
        return json.loads(line)

    def _last_error(self) -> str:
        self.errors.seek(0)
        said = [line.strip() for line in self.errors if line.strip()]
        return said[-1] if said else "it said nothing"

    def close(self) -> None:
        """End the other process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(10)
        self.errors.close()


def serve(
    cases: dict[str, Callable[[], Callable[[], object] | Job]], settle: Callable[[], object]
) -> None:
    """Be a peer: build each case when it is first asked for, and time it.

    `settle` returns when nothing is pending: before a case is timed, and after it, uncounted.
    """
    built: dict[str, Callable[[], object] | Job] = {}
    for line in sys.stdin:
        order = json.loads(line)
        name = order["case"]
        if name not in built:
            built[name] = cases[name]()
            if not isinstance(built[name], Job):
                built[name]()
        step = built[name]
        settle()
        print(json.dumps(_reply(step, order["repeat"], settle)), flush=True)


def _reply(
    step: Callable[[], object] | Job, repeat: int, settle: Callable[[], object]
) -> dict[str, object]:
    if isinstance(step, Job):
        taken, values = step.measure(repeat)
        return {"seconds": taken, "values": values}
    taken = seconds(step, repeat)
    settle()
    return {"seconds": taken}


def machine(**versions: str) -> dict[str, object]:
    """Describe the machine and the software of a run."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **versions,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()


def write_results(name: str, record: dict[str, object]) -> Path:
    """Write a result beside the benchmarks and return its path."""
    path = Path(__file__).parent / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path
