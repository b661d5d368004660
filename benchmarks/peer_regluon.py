"""regluon as a peer of bench_hybridize.py: the variants in Gluon, in a process of their own.

A program has either torch's own threads or an engine's. Where it has both, they leave each other
the teams of threads that their kernels made, and every kernel then begins with a wake-up.
"""

import sys
from functools import partial
from typing import Any

import gluon_jobs
import networks
import torch
from timing import Job, serve

import regluon as mx
from regluon.amp.casts import Casts, using
from regluon.graph import native


STEPS: dict[str, dict[str, bool]] = {
    "step": {},
    "step static": {"static_alloc": True, "static_shape": True},
}
"""The options of `hybridize_step`, by the name of the variant."""


def names(case: str) -> list[str]:
    """Return the variants of a case: a prefix, and the way that gluon_jobs or STEPS knows."""
    found = [f"regluon {way}" for way in gluon_jobs.ways(case)]
    if "training" in case:
        found += [f"regluon {way}" for way in STEPS]
    if case.startswith("resnet18 training"):
        found += ["bfloat16 hybridized", "bfloat16 step"]
    return found


def job(case: str, name: str) -> Job:
    """Return a job, called often enough to be timed."""
    prefix, way = name.split(" ", 1)
    if "inference" in case:
        return gluon_jobs.job(mx, case, way)
    found = gluon_jobs.training(mx, case, way, STEPS.get(way))
    found = in_bfloat16(found) if prefix == "bfloat16" else found
    found.measure(networks.WARM)
    return found


def in_bfloat16(plain: Job) -> Job:
    """Return a training job in mixed precision, which is switched on for its calls alone."""
    casts = Casts("bfloat16")  # one for all calls: another one would be another program

    def call() -> Any:
        with using(casts):
            return plain.call()

    return plain._replace(call=call, values=lambda loss: plain.values(loss)[:1])


if __name__ == "__main__":
    threads, engine = sys.argv[1:]
    torch.set_num_threads(int(threads))
    mx.engine.set_type(engine)
    native.ready(wait=True)  # or the first cases would run in Python
    jobs = {f"{c}: {name}": partial(job, c, name) for c in networks.CASES for name in names(c)}
    serve(jobs, mx.nd.waitall)
