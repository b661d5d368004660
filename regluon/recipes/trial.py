"""Trial: training steps of one network made in several ways that take turns, and timed."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice

from regluon import amp, autograd, nd, random
from regluon.gluon import HybridBlock
from regluon.recipes.display import Display
from regluon.recipes.folder import scan
from regluon.recipes.job import make_job
from regluon.recipes.loop import LOSS
from regluon.recipes.settings import FinetuneSettings


WAYS = ("eager", "hybridized", "bf16")
WARM = 4  # steps of each way that do not count: the first, two that are noted, one that is traced
STEPS = 8
ENOUGH = 15.0  # seconds, after which no further round of steps begins


def step_speeds(task: FinetuneSettings, display: Display) -> dict[str, float]:
    """Return images per second of training steps from random numbers, all on the same batch.

    "hybridized" differs from "eager" in that alone, and so does "bf16", mixed precision, from
    "hybridized".
    """
    random.seed(task.seed)
    return speeds({way: step(task, way, display) for way in WAYS})


def step(task: FinetuneSettings, way: str, display: Display) -> Callable[[], int]:
    """Return a function that makes a training step and returns how many images it took."""
    task = replace(task, weights="none", hybridize=way != "eager", workers=0)
    data = scan(task.data)
    job = make_job(task, data.classes, data.train, data.val, None, None, display)
    net: HybridBlock = job.net
    if way == "bf16":
        net = amp.convert_hybrid_block(net, "bfloat16")
        net.hybridize(passes=False)
    ((images, labels),) = islice(job.train(1), 1)

    def made() -> int:
        with autograd.record():
            losses = LOSS(net(images), labels)
        losses.backward()
        job.trainer.step(len(labels))
        nd.waitall()
        return len(labels)

    return made


def speeds(
    steps: Mapping[str, Callable[[], int]], clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the median images per second; the ways take turns, as the machine may change."""
    begun = clock()
    seen: dict[str, list[float]] = {way: [] for way in steps}
    for count in range(WARM + STEPS):
        if count > WARM and clock() - begun > ENOUGH:
            break
        for way, made in steps.items():
            begin = clock()
            images = made()
            if count >= WARM:
                seen[way].append(images / (clock() - begin))
    return {way: statistics.median(found) for way, found in seen.items()}
