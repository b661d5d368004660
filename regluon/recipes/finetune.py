"""Fine-tuning: a pre-trained network learns new classes from a folder of pictures.

`run(FinetuneSettings("photos"))` does what `regluon finetune photos` does, in this order:

    look at everything that can be wrong    nothing is written until all of it is good
    build the network                       features copied, output layer new, parts fixed
    train                                   saving, so that a killed run resumes to the bit
    evaluate the best epoch                 and write the report
"""

import math
import time
from dataclasses import dataclass

import torch

from regluon import random
from regluon.recipes import checkpoint, labels_curve, summary
from regluon.recipes.class_names import Matching, match
from regluon.recipes.display import Display
from regluon.recipes.folder import PictureFolder, scan
from regluon.recipes.interrupt import Interrupt
from regluon.recipes.job import Job, find_context, make_job
from regluon.recipes.journal import Journal, events
from regluon.recipes.keeper import Keeper
from regluon.recipes.labels_curve import Steps
from regluon.recipes.loop import DivergedError, Evaluation, State, evaluate, fit, repeatable
from regluon.recipes.model_file import write_model
from regluon.recipes.pictures import check
from regluon.recipes.record import LabelPoint, RunRecord
from regluon.recipes.report import write_report
from regluon.recipes.run_folder import RunFolder, read_json
from regluon.recipes.settings import FinetuneSettings
from regluon.recipes.summary import Findings
from regluon.recipes.transfer import Source, load_source, source_classes, source_digest


@dataclass(frozen=True)
class Task:
    """All that a run knows when its training begins."""

    settings: FinetuneSettings
    folder: RunFolder
    data: PictureFolder
    source: Source | None
    matching: Matching | None
    job: Job
    display: Display


@dataclass(frozen=True)
class Result:
    """What a run gave: the state at the end, and how the best epoch's network does."""

    task: Task
    state: State
    evaluation: Evaluation
    record: RunRecord

    @property
    def folder(self) -> RunFolder:
        """Where everything lies."""
        return self.task.folder

    @property
    def accuracy(self) -> float:
        """Validation accuracy of the weights that were kept, those of the best epoch."""
        return self.evaluation.accuracy


@repeatable()
def run(settings: FinetuneSettings, display: Display | None = None) -> Result:
    """Fine-tune a network on a folder of pictures and write the run folder; see the settings.

    Restarts `mx.random` from the run's seed. Raises `MXNetError` that says what is wrong and what
    to do: before anything was written, or (`DivergedError`, `Interrupted`, `SaveError`) with the
    last good checkpoint and the best weights kept.
    """
    display = display or Display()
    folder = RunFolder(settings.out_folder)
    folder.look(settings.resume, settings.force)
    source = load_source(settings.model, settings.weights, find_context(settings.device))
    data = look_at_data(settings, display)
    matching = look_at_classes(settings, data, source, display)
    begin(folder, settings, data, source, display)
    random.seed(settings.seed)
    job = make_job(settings, data.classes, data.train, data.val, source, matching, display)
    announce(settings, job, source, display)
    task = Task(settings, folder, data, source, matching, job, display)
    state = train(task)
    job.net.load_parameters(folder.weights)
    clock = time.perf_counter()
    evaluation = evaluate(job.trained, job.val)
    speed = {"validation": len(data.val) / (time.perf_counter() - clock)}
    points = measure_labels(task, state)
    found = Findings(evaluation, matching, points, speed)
    record = summary.record(settings, data, source, job, state, found)
    write_report(folder.report, record)
    return Result(task, state, evaluation, record)


def look_at_data(settings: FinetuneSettings, display: Display) -> PictureFolder:
    """Return the pictures, all of which can be decoded."""
    data = scan(settings.data, settings.val_fraction, settings.seed)
    pictures = [*data.train, *data.val]
    if settings.check:
        display.start("looking at the pictures", len(pictures))
        try:
            check(pictures, settings.workers, display.advance)
        finally:
            display.stop()
    counts = ", ".join(f"{name} {a} + {b}" for name, (a, b) in data.counts().items())
    few = len(data.classes) <= 8
    display.say(
        f"{data.root}: {len(data.classes)} classes, {len(data.train):,} pictures to train on and "
        f"{len(data.val):,} to validate with{f' ({counts})' if few else ''}"
    )
    if data.skipped:
        some = ", ".join(data.skipped[:3]) + (", ..." if len(data.skipped) > 3 else "")
        display.say(f"{len(data.skipped)} other files are left out: {some}")
    return data


def look_at_classes(
    settings: FinetuneSettings, data: PictureFolder, source: Source | None, display: Display
) -> Matching | None:
    """Say which classes the source knows already, where their rows are to be used again."""
    if not settings.reuse_classes:
        return None
    matching = match(data.classes, source_classes(source))
    for found in matching.found:
        display.say(
            f"{found.name}: starts from the source's row {found.row}, {found.source} "
            f"(found as {found.alias!r})"
        )
    for sentence in summary.ambiguities(matching):
        display.warn(sentence)
    if matching.unknown:
        display.say(f"not known to the source: {', '.join(matching.unknown)}")
    return matching


def begin(
    folder: RunFolder,
    settings: FinetuneSettings,
    data: PictureFolder,
    source: Source | None,
    display: Display,
) -> None:
    """Start the run folder, or check that the run in it is this one."""
    agreement = {
        "settings": settings.binding(),
        "classes": list(data.classes),
        "counts": {name: list(count) for name, count in data.counts().items()},
        "data": data.digest(),
        "weights": source_digest(source),
        "threads": torch.get_num_threads(),
    }
    if settings.resume:
        folder.check_agreement(agreement)
        threads = read_json(folder.run_file).get("threads")
        if threads != agreement["threads"]:
            display.warn(
                f"the run was started with {threads} threads for each operator and goes on with "
                f"{agreement['threads']}: sums round differently, so its bits will not be those of "
                "an uninterrupted run"
            )
    else:
        folder.begin(agreement)


def announce(settings: FinetuneSettings, job: Job, source: Source | None, display: Display) -> None:
    """Say what is trained and what is fixed."""
    rates = ", ".join(f"{name} {settings.rate * factor:g}" for name, factor in job.groups.items())
    display.say(
        f"{settings.model} from {source.origin if source else 'random numbers'}; rates: {rates}"
    )
    if job.parts:
        display.say(f"fixed, batch-norm statistics included: {', '.join(job.parts)}")


def train(task: Task) -> State:
    """Train from the beginning or from the checkpoint until all epochs are done."""
    folder, settings, job = task.folder, task.settings, task.job
    state = State()
    if settings.resume:
        state = checkpoint.load(folder.checkpoint, job.net, job.trainer) or state
        task.display.say(f"resumed after step {state.step}, in epoch {state.epoch}")
    write_model(folder.model_file, settings.model, task.data.classes, job.preprocessing)
    with (
        Interrupt() as interrupt,
        Journal(folder.metrics, folder.tensorboard, after=state.step) as journal,
    ):
        keeper = Keeper(folder, job, settings, journal, task.display, interrupt)
        try:
            return fit(
                job.trained,
                job.trainer,
                job.train,
                job.val,
                epochs=settings.epochs,
                state=state,
                watcher=keeper,
                groups=job.groups,
            )
        except DivergedError as error:
            report_failure(task, state, error)
            raise
        finally:
            task.display.stop()


def report_failure(task: Task, state: State, error: Exception) -> None:
    """Write the report of a run that had to stop."""
    words = f"Training stopped: {error}. This page shows what was good until then."
    found = Findings(matching=task.matching, warnings=[words])
    record = summary.record(task.settings, task.data, task.source, task.job, state, found)
    write_report(task.folder.report, record)


def measure_labels(task: Task, state: State) -> list[LabelPoint]:
    """Return the accuracy for several numbers of labels, if asked for; known points are kept."""
    if not task.settings.labels_curve:
        return []
    points = labels_curve.known_points(list(events(task.folder.metrics)))
    with Interrupt() as interrupt, Journal(task.folder.metrics, after=state.step) as journal:
        steps = Steps(task.display, interrupt)
        for labels in labels_curve.sizes(task.data.train):
            if labels not in points:
                points[labels] = labels_curve.measure(
                    task.settings, task.data, task.source, task.matching, labels, steps
                )
                accuracy = points[labels].accuracy
                journal.write("labels", state.step, labels=labels, accuracy=accuracy)
            task.display.say(f"{labels} labels per class: {points[labels].accuracy:.1%}")
    everything = max(train for train, _ in task.data.counts().values())
    accuracy = state.best.val_accuracy if state.best else math.nan
    return [points[labels] for labels in sorted(points)] + [LabelPoint(everything, accuracy)]
