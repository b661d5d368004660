"""What came out of a run, gathered for its report."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from regluon import random
from regluon.recipes import environment
from regluon.recipes.class_names import Matching
from regluon.recipes.folder import Picture, PictureFolder
from regluon.recipes.job import Job
from regluon.recipes.keeper import median_speed
from regluon.recipes.loop import Evaluation, State
from regluon.recipes.pictures import PictureDataset, original
from regluon.recipes.record import LabelPoint, Mistake, ReusedClass, RunRecord, Sample
from regluon.recipes.settings import FinetuneSettings
from regluon.recipes.transfer import Source


SAMPLES = 18
MISTAKES = 24
SIDE = 160  # pixels of a picture on the page


@dataclass(frozen=True)
class Findings:
    """What was found after the training; what is missing is left out of the report."""

    evaluation: Evaluation | None = None
    matching: Matching | None = None
    labels_curve: Sequence[LabelPoint] = ()
    throughput: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def record(
    settings: FinetuneSettings,
    data: PictureFolder,
    source: Source | None,
    job: Job,
    state: State,
    found: Findings,
) -> RunRecord:
    """Return what the report of a run shows."""
    result, matching = found.evaluation, found.matching
    speed = {"training": median_speed(state.history)} if state.history else {}
    return RunRecord(
        title=data.root.resolve().name,
        subtitle=subtitle(settings, data, source),
        classes=data.classes,
        warnings=[*found.warnings, *(ambiguities(matching) if matching else ())],
        command=settings.command(),
        date=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        seconds=state.seconds,
        settings=shown_settings(settings, job),
        machine=environment.versions() | environment.machine(),
        epochs=state.history,
        confusion=result.confusion(len(data.classes)) if result else (),
        samples=samples(settings, data, job),
        mistakes=mistakes(data, result) if result else (),
        throughput=speed | dict(found.throughput),
        labels_curve=found.labels_curve,
        frozen=job.frozen,
        reused=reused(matching) if matching else (),
    )


def subtitle(settings: FinetuneSettings, data: PictureFolder, source: Source | None) -> str:
    """Return one sentence on what was trained on what."""
    counts = ", ".join(f"{name} {a} + {b}" for name, (a, b) in data.counts().items())
    listed = f" ({counts})" if len(data.classes) <= 8 else ""
    return (
        f"{settings.model} from {source.origin if source else 'random numbers'}, trained on "
        f"{len(data.train):,} pictures of {len(data.classes)} classes and validated with "
        f"{len(data.val):,} others{listed}."
    )


def shown_settings(settings: FinetuneSettings, job: Job) -> dict[str, object]:
    """Return the settings in words, with those that were left to the program filled in."""
    plain = dataclasses.asdict(settings)
    left_out = ("data", "out", "resume", "force", "check", "lr", "head_lr_mult", "image_size")
    words = {
        name.replace("_", " "): ("yes" if value else "no") if isinstance(value, bool) else value
        for name, value in plain.items()
        if name not in left_out and value is not None
    }
    rates = {f"rate of the {name}": settings.rate * f for name, f in job.groups.items()}
    size = job.preprocessing.size
    fixed = {"fixed parts": ", ".join(job.parts) or "none"}
    return words | rates | {"image size": f"{size} x {size}"} | fixed


def samples(settings: FinetuneSettings, data: PictureFolder, job: Job) -> list[Sample]:
    """Return training pictures as the network sees them, the classes taking turns."""
    chosen = in_turns(data.train, SAMPLES)
    dataset = PictureDataset(chosen, job.preprocessing, settings.augment)
    shown = []
    for index, picture in enumerate(chosen):
        with random.keyed(random.mix(settings.seed, index)):
            shown.append(Sample(dataset.shown(index), data.classes[picture.label]))
    return shown


def in_turns(pictures: Sequence[Picture], most: int) -> list[Picture]:
    """Return some pictures, one of each class after the other."""
    by_class: dict[int, list[Picture]] = {}
    for picture in pictures:
        by_class.setdefault(picture.label, []).append(picture)
    rounds = range(max(map(len, by_class.values())))
    order = [own[turn] for turn in rounds for own in by_class.values() if turn < len(own)]
    return order[:most]


def mistakes(data: PictureFolder, evaluation: Evaluation) -> list[Mistake]:
    """Return the validation pictures that the network was surest and wrong about."""
    return [
        Mistake(
            original(data.val[index].path, SIDE),
            data.classes[int(evaluation.labels[index])],
            data.classes[int(evaluation.answers[index])],
            float(evaluation.probabilities[index]),
            data.val[index].name,
        )
        for index in evaluation.surest_mistakes(MISTAKES)
    ]


def ambiguities(matching: Matching) -> list[str]:
    """Return a sentence for each class whose name means several source classes."""
    return [
        f"{name}: could be {' or '.join(rows)}, so it starts fresh; a name that only one of them "
        "has would tell"
        for name, rows in matching.ambiguous.items()
    ]


def reused(matching: Matching) -> list[ReusedClass]:
    """Return the classes whose output rows came from the source classifier."""
    return [
        ReusedClass(match.name, match.source, match.row, match.alias) for match in matching.found
    ]
