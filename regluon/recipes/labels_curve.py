"""How many labels are enough: the same training with 5, 10, 20 and 50 pictures of each class."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from regluon import random
from regluon.recipes.class_names import Matching
from regluon.recipes.display import Display
from regluon.recipes.folder import Picture, PictureFolder, first_of_each_class
from regluon.recipes.interrupt import Interrupt, Interrupted
from regluon.recipes.job import make_job
from regluon.recipes.loop import State, Watcher, evaluate, fit
from regluon.recipes.record import LabelPoint
from regluon.recipes.settings import FinetuneSettings
from regluon.recipes.transfer import Source


LABELS = (5, 10, 20, 50)
MOST_STEPS = 100


class Steps(Watcher):
    """Shows the steps and stops when asked."""

    def __init__(self, display: Display, interrupt: Interrupt) -> None:
        self.display, self._interrupt = display, interrupt

    def step_done(self, state: State, images: int) -> None:
        """Count a step."""
        self.display.advance(images)
        if self._interrupt.asked:
            raise Interrupted(
                "stopped in the labels curve; the trained network and the points before are saved, "
                "and --resume goes on"
            )


def sizes(pictures: Sequence[Picture]) -> list[int]:
    """Return those of 5, 10, 20 and 50 that some class has more pictures than."""
    largest = max(Counter(picture.label for picture in pictures).values())
    return [count for count in LABELS if count < largest]


def measure(
    settings: FinetuneSettings,
    folder: PictureFolder,
    source: Source | None,
    matching: Matching | None,
    labels: int,
    watcher: Steps,
) -> LabelPoint:
    """Train anew with `labels` pictures of each class and return the validation accuracy.

    The pictures for a smaller number are among those for a larger one, and the validation pictures
    are all of them. Every number gets as many steps as the full training makes, at most 100, and
    the weights at the end count.
    """
    train = first_of_each_class(folder.train, labels, settings.seed)
    full = settings.epochs * math.ceil(len(folder.train) / settings.batch_size)
    epochs = math.ceil(min(full, MOST_STEPS) / math.ceil(len(train) / settings.batch_size))
    random.seed(settings.seed)
    short = replace(settings, epochs=epochs)
    display = watcher.display
    job = make_job(short, folder.classes, train, folder.val, source, matching, display)
    display.start(f"{labels} labels per class", epochs * len(train))
    try:
        fit(job.trained, job.trainer, job.train, None, epochs=epochs, watcher=watcher)
    finally:
        display.stop()
    return LabelPoint(labels, evaluate(job.trained, job.val).accuracy)


def known_points(events: Sequence[Mapping[str, object]]) -> dict[int, LabelPoint]:
    """Return the points that a log holds already."""
    return {
        int(str(event["labels"])): LabelPoint(
            int(str(event["labels"])), float(str(event["accuracy"]))
        )
        for event in events
        if event["event"] == "labels"
    }
