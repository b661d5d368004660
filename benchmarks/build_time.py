"""How long programs for a ResNet-18 take to build, in a process that has compiled nothing yet.

    python benchmarks/build_time.py gluon|step|module|torch.compile inference|training BATCH THREADS

Prints JSON: the seconds of an eager call, and by how much the calls after it take longer until the
program is made: for the first network of the process, and for another one afterwards. What loading
the compiled replay costs is part of the first; building it, once for each machine, is not.
"""

import json
import statistics
import sys
from collections.abc import Callable
from typing import Any

import gluon_jobs
import torch
import torch_jobs
from timing import Job

import regluon as mx


CALLS = 6
"""So many calls from the first on are counted; the last of them run the program."""


def gluon(case: str, step: bool) -> tuple[Job, Callable[[], Job]]:
    """Return the eager job of a Gluon network, and a function that makes the compiled one."""
    make = gluon_jobs.inference if "inference" in case else gluon_jobs.training
    eager = make(mx, case, "imperative")
    if step:
        return eager, lambda: gluon_jobs.training(mx, case, "step", {})
    return eager, lambda: make(mx, case, "hybridized")


def module(case: str, way: str) -> tuple[Job, Callable[[], Job]]:
    """Return the same for a torch module."""
    make = torch_jobs.inference if "inference" in case else torch_jobs.training
    return make(case, "torch eager channels_last"), lambda: make(case, way)


WAYS: dict[str, Callable[[str], tuple[Job, Callable[[], Job]]]] = {
    "gluon": lambda case: gluon(case, False),
    "step": lambda case: gluon(case, True),
    "module": lambda case: module(case, "module hybridized"),
    "torch.compile": lambda case: module(case, "torch.compile"),
}


def extra(job: Job, steady: float) -> float:
    """Return by how much the first calls of a job take longer than eager ones."""
    return sum(max(0.0, job.measure(1)[0] - steady) for _ in range(CALLS))


def main() -> None:
    way, task, size, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    eager, make = WAYS[way](f"resnet18 {task} {size}")
    eager.measure(2)
    steady = statistics.median(eager.measure(1)[0] for _ in range(5))
    found: dict[str, Any] = {"eager call": steady}
    found["first in process"] = extra(make(), steady)
    found["later"] = extra(make(), steady)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
