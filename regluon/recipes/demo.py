"""The demo: a pre-trained network against other ways to tell brick, grass and gravel apart.

A smoke demo, since there is one photo per class: it shows that everything works from end to end.
All ways get the same training patches and as many steps, and are scored on the same test patches
after their last epoch. Nothing is chosen by looking at the test patches but the rate of the net
from scratch, of which the best of three counts.
"""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from regluon import engine, gluon, initializer, nd, random
from regluon.recipes import checkpoint, finetune, summary
from regluon.recipes.display import Display, clock_time
from regluon.recipes.finetune import Result
from regluon.recipes.folder import scan
from regluon.recipes.job import find_context, make_job
from regluon.recipes.loop import Batches, State, Watcher, evaluate, fit, repeatable
from regluon.recipes.photos import surface_patches, write_image_folder
from regluon.recipes.pictures import ArrayBatches
from regluon.recipes.record import Contender, Epoch, Measure, RunRecord
from regluon.recipes.report import write_report
from regluon.recipes.settings import FinetuneSettings
from regluon.recipes.summary import Findings
from regluon.recipes.transfer import load_source
from regluon.recipes.trial import step_speeds


TARGET = 0.95
SCRATCH_RATES = (0.003, 0.01, 0.03)
ENGINES = ("ThreadedEngine", "NaiveEngine")
WAYS = {
    "fine-tuned": "all layers, the new output layer ten times faster",
    "from scratch": "the same network, steps and augmentation; best of three rates",
    "frozen features": "only the output layer, on features that are computed once",
    "raw pixels": "a linear classifier without a network",
}
NOTE = (
    "A smoke demo: each class is one CC0 photo of a surface, trained on its left half and tested "
    "on its right half. It shows that everything works from end to end, not how well it would "
    "recognize other photos."
)


@dataclass(frozen=True)
class DemoSettings:
    """Where the demo writes, how many seeds it takes, and how the network is trained."""

    out: Path = Path("runs/demo")
    full: bool = False
    model: str = "efficientnet_lite0"
    weights: str | Path | None = None
    epochs: int = 6
    batch_size: int = 32
    patch: int = 64
    train_per_class: int = 64

    def training(self, seed: int) -> FinetuneSettings:
        """Return the settings of the fine-tuning with one seed."""
        suffix = f"-{seed}" if seed else ""
        return FinetuneSettings(
            data=self.out / f"photos{suffix}",
            out=self.out / f"run{suffix}",
            model=self.model,
            weights=self.weights,
            epochs=self.epochs,
            batch_size=self.batch_size,
            image_size=self.patch,
            seed=seed,
            check=False,
            force=True,
        )


@dataclass(frozen=True)
class DemoResult:
    """What the demo gave: the ways that were compared, the best first, and the report."""

    contenders: Sequence[Contender]
    report: Path


@dataclass(frozen=True)
class Attempt:
    """One training: its epochs, and how many steps an epoch had."""

    history: Sequence[Epoch]
    steps: int
    note: str = ""
    speeds: Mapping[str, Sequence[float]] = field(default_factory=dict)  # images/s, by engine

    @property
    def accuracy(self) -> float:
        """Accuracy after the last epoch."""
        return self.history[-1].val_accuracy

    @property
    def speed(self) -> float:
        """Images per second, the median of the epochs."""
        return statistics.median(epoch.images_per_s for epoch in self.history)

    @property
    def steps_to_target(self) -> float | None:
        """Steps until the first epoch that ended at the target or above."""
        reached = (e.epoch * self.steps for e in self.history if e.val_accuracy >= TARGET)
        return next(reached, None)


@repeatable()
def run_demo(settings: DemoSettings, display: Display) -> DemoResult:
    """Fine-tune, compare, print a table, and write the report."""
    begun = time.perf_counter()
    ways: dict[str, list[Attempt]] = {name: [] for name in WAYS}
    results = []
    for seed in (0, 1, 2) if settings.full else (0,):
        task = settings.training(seed)
        write_image_folder(task.data, settings.patch, settings.train_per_class, seed)
        result = finetune.run(task, display)
        results.append(result)
        ways["fine-tuned"].append(Attempt(result.state.history, result.task.job.train.count))
        display.say("the other ways, on the same pictures:")
        ways["from scratch"].append(best_from_scratch(task, display))
        ways["frozen features"].append(probe(task, display))
        ways["raw pixels"].append(raw_pixels(settings, seed, display))
    contenders = [contender(name, attempts) for name, attempts in ways.items()]
    display.say("steps of the network from scratch, eager, hybridized and in bf16")
    rows = [*measures(ways), *step_measures(step_speeds(settings.training(0), display))]
    report = settings.out / "report.html"
    write_report(report, demo_record(results[0], contenders, rows))
    show(contenders, ways, display)
    display.say(f"report   {report}   ({clock_time(time.perf_counter() - begun)} in all)")
    return DemoResult(contenders, report)


def best_from_scratch(task: FinetuneSettings, display: Display) -> Attempt:
    """Train the same network from random numbers, as long, with the best of three rates.

    Its epochs run under both engines by turns, which changes no bit of the result.
    """
    before = engine.get().name
    try:
        attempts = [
            attempt(
                replace(task, weights="none", lr=rate, head_lr_mult=1.0),
                f"from scratch, rate {rate:g}",
                _Turns(display),
            )
            for rate in SCRATCH_RATES
        ]
    finally:
        engine.set_type(before)
    best = max(attempts, key=lambda one: one.accuracy)
    # The first epoch of a network is slower than the others: memory and kernels are new to it.
    epochs = [epoch for one in attempts for epoch in one.history if epoch.epoch > 1]
    speeds = {
        name: [epoch.images_per_s for epoch in epochs if whose_turn(epoch.epoch) == name]
        for name in ENGINES
    }
    return replace(best, speeds=speeds)


def whose_turn(epoch: int) -> str:
    """Return the engine of an epoch."""
    return ENGINES[epoch % len(ENGINES)]


def probe(task: FinetuneSettings, display: Display) -> Attempt:
    """Train the output layer alone, on features that are computed once."""
    return attempt(
        replace(task, freeze="features", augment=False), "frozen features", _Bar(display)
    )


def attempt(task: FinetuneSettings, name: str, bar: "_Bar") -> Attempt:
    """Train as the settings say, without a run folder."""
    data = scan(task.data)
    source = load_source(task.model, task.weights, find_context(task.device))
    random.seed(task.seed)
    job = make_job(task, data.classes, data.train, data.val, source, None, bar.display)
    state = trained(name, job.trained, job.trainer, (job.train, job.val), task.epochs, bar)
    return Attempt(state.history, job.train.count, f"rate {task.rate:g}")


def raw_pixels(settings: DemoSettings, seed: int, display: Display) -> Attempt:
    """Train a linear classifier on the standardized pixels."""
    patches = surface_patches(settings.patch, settings.train_per_class, seed)
    train, test = (
        images.reshape(len(images), -1).astype("float32")
        for images in (patches.train_images, patches.test_images)
    )
    mean, deviation = train.mean(0), train.std(0) + 1e-6
    count = math.ceil(len(train) / settings.batch_size)
    batches = (
        ArrayBatches(nd.array((rows - mean) / deviation), nd.array(labels), count, seed)
        for rows, labels in ((train, patches.train_labels), (test, patches.test_labels))
    )
    random.seed(seed)
    net = gluon.nn.Dense(len(patches.classes), in_units=train.shape[1])
    net.initialize(initializer.Zero())
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 1e-3, "wd": 1e-2})
    state = trained("raw pixels", net, trainer, tuple(batches), settings.epochs, _Bar(display))
    return Attempt(state.history, count)


class _Bar(Watcher):
    """Shows the images that were trained on."""

    def __init__(self, display: Display) -> None:
        self.display = display

    def step_done(self, state: State, images: int) -> None:
        """Move the bar."""
        self.display.advance(images)


class _Turns(_Bar):
    """Changes the engine from epoch to epoch."""

    def epoch_begun(self, state: State, images: int) -> None:
        """Use the engine whose turn it is."""
        engine.set_type(whose_turn(state.epoch))


def trained(
    name: str,
    net: gluon.Block,
    trainer: gluon.Trainer,
    batches: tuple[Batches, ...],
    epochs: int,
    bar: _Bar,
) -> State:
    """Train and say how well it did."""
    train, val = batches
    bar.display.start(name, epochs * train.images)
    try:
        state = fit(net, trainer, train, val, epochs=epochs, watcher=bar)
    finally:
        bar.display.stop()
    bar.display.say(f"  {name}: {state.history[-1].val_accuracy:.1%}")
    return state


# What is shown of it


def contender(name: str, attempts: Sequence[Attempt]) -> Contender:
    """Return one way to train with its mean over the seeds."""
    scores = [one.accuracy for one in attempts]
    steps = [one.steps_to_target for one in attempts]
    known = [step for step in steps if step is not None]
    rates = ", ".join(dict.fromkeys(filter(None, (one.note for one in attempts))))
    note = WAYS[name] + (f"; {rates}" if name == "from scratch" else "")
    return Contender(
        name,
        statistics.mean(scores),
        statistics.stdev(scores) if len(scores) > 1 else None,
        len(scores),
        curve(attempts),
        statistics.mean(known) if len(known) == len(steps) else None,
        note,
    )


def curve(attempts: Sequence[Attempt]) -> list[tuple[float, ...]]:
    """Return (step, accuracy) of each epoch, or (step, mean, lowest, highest) over the seeds."""
    points: list[tuple[float, ...]] = []
    for epochs in zip(*(one.history for one in attempts), strict=True):
        scores = [epoch.val_accuracy for epoch in epochs]
        step = float(epochs[0].epoch * attempts[0].steps)
        spread = (min(scores), max(scores)) if len(scores) > 1 else ()
        points.append((step, statistics.mean(scores), *spread))
    return points


def measures(ways: Mapping[str, Sequence[Attempt]]) -> list[Measure]:
    """Return the rows of *what helped*."""
    tuned, scratch, probes = (ways[n] for n in ("fine-tuned", "from scratch", "frozen features"))
    means = [statistics.mean(one.accuracy for one in way) for way in (tuned, scratch, probes)]
    on, off = (engine_speed(scratch, name) for name in ENGINES)
    return [
        Measure(
            "pre-trained weights",
            accuracy_with=means[0],
            accuracy_without=means[1],
            note="against the same network from random numbers, as many steps",
        ),
        Measure(
            "features computed once",
            probes[0].speed,
            tuned[0].speed,
            means[2],
            means[0],
            "only the output layer trained, against training all layers",
        ),
        Measure(
            "asynchronous engine",
            on,
            off,
            note="epochs from scratch by turns, to the same bits; each step reads its loss, and "
            "threads of the loader prepare the pictures under both",
        ),
    ]


def step_measures(speeds: Mapping[str, float]) -> list[Measure]:
    """Return the rows of *what helped* that come from timed steps."""
    eager, hybridized, mixed = (speeds[way] for way in ("eager", "hybridized", "bf16"))
    words = "the same steps in mixed precision"
    return [
        Measure("hybridize", hybridized, eager, note="training steps by turns, to the same bits"),
        Measure(
            "bf16",
            mixed,
            hybridized,
            note=words if mixed > hybridized else f"{words}; does not help here",
        ),
    ]


def engine_speed(attempts: Sequence[Attempt], name: str) -> float | None:
    """Return the median of images per second under an engine; None if it had no epoch."""
    speeds = [speed for one in attempts for speed in one.speeds.get(name, ())]
    return statistics.median(speeds) if speeds else None


def demo_record(
    result: Result, contenders: Sequence[Contender], rows: Sequence[Measure]
) -> RunRecord:
    """Return the report's record: the first run at its last epoch, among the other ways."""
    task = result.task
    checkpoint.load(task.folder.checkpoint, task.job.net, task.job.trainer)
    last = evaluate(task.job.trained, task.job.val)
    found = Findings(last, throughput=result.record.throughput)
    record = summary.record(task.settings, task.data, task.source, task.job, result.state, found)
    return replace(
        record,
        title="Brick, grass or gravel?",
        note=NOTE,
        command="regluon demo" + (" --full" if contenders[0].seeds > 1 else ""),
        accuracy=last.accuracy,
        accuracy_name="test accuracy",
        contenders=contenders,
        measures=rows,
        target=TARGET,
    )


def show(
    contenders: Sequence[Contender], ways: Mapping[str, Sequence[Attempt]], display: Display
) -> None:
    """Print the comparison, and a warning if fine-tuning did not win."""
    rows = [
        (
            one.name,
            f"{one.accuracy:.1%}" + (f" ± {one.std:.1%}" if one.std is not None else ""),
            f"{one.steps_to_target:.0f}" if one.steps_to_target is not None else "not reached",
            f"{ways[one.name][0].speed:,.0f}",
        )
        for one in contenders
    ]
    display.say("")
    display.table(("way", "test accuracy", f"steps to {TARGET:.0%}", "images/s"), rows)
    display.say("")
    tuned, scratch = contenders[:2]
    if tuned.accuracy < max(TARGET, scratch.accuracy):
        display.warn("fine-tuning should have come out above 95 % and above training from scratch")
