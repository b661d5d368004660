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


STEPS: dict[str, dict[str, Any]] = {
    "step": {},
    "step static": {"static_alloc": True, "static_shape": True},
}
MIXED: dict[str, dict[str, Any]] = {"pass step": {"mixed_precision": "bfloat16"}}
"""The options of `hybridize_step`, by the name of the variant; MIXED are those in 16 bits."""


def names(case: str) -> list[str]:
    """Return the variants of a case: a prefix, and the way that gluon_jobs or STEPS knows."""
    found = [f"regluon {way}" for way in gluon_jobs.ways(case)]
    if "training" in case:
        found += [f"regluon {way}" for way in STEPS]
    if case.startswith("resnet18 training"):
        found += ["bfloat16 hybridized", "bfloat16 step", "bfloat16 pass step"]
    return found


def job(case: str, name: str) -> Job:
    """Return a job, called often enough to be timed."""
    prefix, way = name.split(" ", 1)
    if "inference" in case:
        return gluon_jobs.job(mx, case, way)
    found = gluon_jobs.training(mx, case, way, (STEPS | MIXED).get(way))
    if prefix == "bfloat16":
        found = loss_alone(found if way in MIXED else in_bfloat16(found))
    found.measure(networks.WARM)
    return found


def in_bfloat16(plain: Job) -> Job:
    """Return a training job in mixed precision, which is switched on for its calls alone."""
    casts = Casts("bfloat16")  # one for all calls: another one would be another program

    def call() -> Any:
        with using(casts):
            return plain.call()

    return plain._replace(call=call)


def loss_alone(job: Job) -> Job:
    """Return a job whose gradients are not compared."""
    return job._replace(values=lambda loss: job.values(loss)[:1])


if __name__ == "__main__":
    threads, engine = sys.argv[1:]
    torch.set_num_threads(int(threads))
    mx.engine.set_type(engine)
    native.ready(wait=True)  # or the first cases would run in Python
    jobs = {f"{c}: {name}": partial(job, c, name) for c in networks.CASES for name in names(c)}
    serve(jobs, mx.nd.waitall)
