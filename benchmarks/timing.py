"""Interleaved timing: every variant in every round, medians, results as JSON with the machine."""

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


Variant = Callable[[], float]


def seconds(step: Callable[[], object], repeat: int) -> float:
    """Return the wall time of one step, measured over `repeat` steps."""
    start = time.perf_counter()
    for _ in range(repeat):
        step()
    return (time.perf_counter() - start) / repeat


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
    """Another Python (with MXNet, say) that times a case whenever it is told to."""

    def __init__(self, python: str, script: Path) -> None:
        self.process = subprocess.Popen(
            [python, "-W", "ignore", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, case: str, repeat: int) -> float:
        """Return the peer's seconds per step of a case."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"case": case, "repeat": repeat}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer stopped in case {case!r}")
        return float(json.loads(line)["seconds"])

    def close(self) -> None:
        """End the other process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(10)


def serve(
    cases: dict[str, Callable[[], Callable[[], object]]], settle: Callable[[], object]
) -> None:
    """Be a peer: build each case when it is first asked for, and time it.

    `settle` returns when nothing is pending: before a case is timed, and after it, uncounted.
    """
    built: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        order = json.loads(line)
        name = order["case"]
        if name not in built:
            built[name] = cases[name]()
            built[name]()
        settle()
        taken = seconds(built[name], order["repeat"])
        settle()
        print(json.dumps({"seconds": taken}), flush=True)


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
