"""The training loop: batches in, a trained network out, a state that can be saved at any step."""

import dataclasses
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as onp
import numpy.typing as npt

from regluon import autograd, engine, gluon, nd
from regluon.base import MXNetError
from regluon.engine.selection import selected
from regluon.recipes.record import Epoch


class DivergedError(MXNetError):
    """The loss is no longer a finite number; the message names epoch and batch."""


class Batches(Protocol):
    """So many images in so many batches, which are the same ones whenever an epoch is asked for."""

    images: int
    count: int

    def __call__(self, epoch: int, skip: int = 0) -> Iterable[tuple[nd.NDArray, nd.NDArray]]:
        """Yield (data, labels) of the batches of an epoch, without the first `skip`."""


@dataclass
class Tally:
    """Running sums over the images of an epoch."""

    images: int = 0
    correct: int = 0
    loss: float = 0.0

    def add(self, losses: nd.NDArray, scores: nd.NDArray, labels: nd.NDArray) -> None:
        """Add a batch."""
        truth = labels.asnumpy()
        self.images += len(truth)
        self.correct += int((scores.asnumpy().argmax(1) == truth).sum())
        self.loss += float(losses.asnumpy().sum(dtype=onp.float64))

    @property
    def mean_loss(self) -> float:
        """Loss per image."""
        return self.loss / self.images if self.images else math.nan

    @property
    def accuracy(self) -> float:
        """Share of images that were classified right."""
        return self.correct / self.images if self.images else math.nan


@dataclass
class State:
    """Where a run is: all of it but the arrays. `epoch` counts from 1, `batch` those done in it."""

    epoch: int = 1
    batch: int = 0
    step: int = 0
    tally: Tally = field(default_factory=Tally)
    history: list[Epoch] = field(default_factory=list)
    seconds: float = 0.0
    epoch_seconds: float = 0.0

    @property
    def best(self) -> Epoch | None:
        """The first epoch with the highest validation accuracy."""
        return max(self.history, key=lambda epoch: epoch.val_accuracy, default=None)

    def finish_epoch(
        self, result: "Evaluation | None", images: int, rates: Mapping[str, float]
    ) -> None:
        """Enter the epoch into the history and go on to the next."""
        speed = images / self.epoch_seconds
        loss, accuracy = (math.nan, math.nan) if result is None else (result.loss, result.accuracy)
        seen = self.tally
        self.history.append(
            Epoch(self.epoch, seen.mean_loss, seen.accuracy, loss, accuracy, speed, rates)
        )
        self.epoch, self.batch, self.tally, self.epoch_seconds = self.epoch + 1, 0, Tally(), 0.0

    def plain(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "State":
        """Return the state that `plain` was called on."""
        known = dict(values)
        known["tally"] = Tally(**known["tally"])
        known["history"] = [Epoch(**epoch) for epoch in known["history"]]
        return cls(**known)


@dataclass(frozen=True)
class Evaluation:
    """How a network did: its loss, and for each picture its answer, how sure it was, the truth."""

    loss: float
    answers: npt.NDArray[onp.int64]
    probabilities: npt.NDArray[onp.float32]
    labels: npt.NDArray[onp.int64]

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float((self.answers == self.labels).mean()) if len(self.labels) else math.nan

    def confusion(self, classes: int) -> list[list[int]]:
        """Return counts: row i holds what pictures of class i were taken for."""
        table = onp.zeros((classes, classes), int)
        onp.add.at(table, (self.labels, self.answers), 1)
        counts: list[list[int]] = table.tolist()
        return counts

    def surest_mistakes(self, most: int) -> list[int]:
        """Return the positions of the wrong answers, surest first."""
        wrong = onp.flatnonzero(self.answers != self.labels)
        order = onp.argsort(-self.probabilities[wrong], kind="stable")
        return [int(index) for index in wrong[order][:most]]


class Watcher:
    """What is told about a run while it goes on; a subclass defines what it wants to know."""

    def epoch_begun(self, state: State, images: int) -> None:
        """Be told that an epoch begins, or goes on, with so many images left."""

    def step_done(self, state: State, images: int) -> None:
        """Be told that a step was made; may raise to stop the run."""

    def epoch_done(self, state: State) -> None:
        """Be told that an epoch was trained and validated; it is the last of `state.history`."""


LOSS = gluon.loss.SoftmaxCrossEntropyLoss()


@contextmanager
def repeatable() -> Iterator[None]:
    """Let the body of a `with`, or a decorated function, give the same bits every time.

    It runs in the engine's deterministic mode, so that a run that is resumed, even under another
    engine, ends with the weights of one that never stopped.
    """
    already = selected.threads > 0
    if not already:
        engine.set_deterministic(True)
    try:
        yield
    finally:
        if not already:
            engine.set_deterministic(False)


def fit(
    net: gluon.Block,
    trainer: gluon.Trainer,
    train: Batches,
    val: Batches | None,
    *,
    epochs: int,
    state: State | None = None,
    watcher: Watcher | None = None,
    groups: Mapping[str, float] | None = None,
) -> State:
    """Train `net` until `epochs` are done, validating after each; a given `state` goes on.

    `groups` names groups of parameters and their factor on the learning rate, for the history.
    Raises `DivergedError` before the weights are touched when a loss is not finite.
    """
    state, watcher = state or State(), watcher or Watcher()
    while state.epoch <= epochs:
        train_epoch(net, trainer, train, state, watcher)
        rates = {name: trainer.learning_rate * factor for name, factor in (groups or {}).items()}
        state.finish_epoch(None if val is None else evaluate(net, val), train.images, rates)
        watcher.epoch_done(state)
    return state


def train_epoch(
    net: gluon.Block, trainer: gluon.Trainer, train: Batches, state: State, watcher: Watcher
) -> None:
    """Make the steps that are left of the epoch that `state` is in."""
    watcher.epoch_begun(state, train.images - state.tally.images)
    clock = time.perf_counter()
    for data, labels in train(state.epoch, skip=state.batch):
        with autograd.record():
            scores = net(data)
            losses = LOSS(scores, labels)
        losses.backward()
        state.tally.add(losses, scores, labels)
        check_finite(state)
        trainer.step(len(labels))
        state.batch, state.step = state.batch + 1, state.step + 1
        passed = time.perf_counter() - clock
        clock += passed
        state.seconds += passed
        state.epoch_seconds += passed
        watcher.step_done(state, len(labels))


def check_finite(state: State) -> None:
    """Raise `DivergedError` unless the loss of the batch that was just added is finite."""
    if not math.isfinite(state.tally.loss):
        raise DivergedError(
            f"the loss is {state.tally.loss} in epoch {state.epoch}, batch {state.batch + 1} "
            f"(step {state.step + 1}); try a smaller learning rate (--lr)"
        )


def evaluate(net: gluon.Block, batches: Batches) -> Evaluation:
    """Return how `net` does on all pictures of `batches`."""
    tally = Tally()
    parts = []
    for data, labels in batches(0):
        scores = net(data)
        tally.add(LOSS(scores, labels), scores, labels)
        probabilities = nd.softmax(scores).asnumpy()
        answers = probabilities.argmax(1)
        sure = probabilities[onp.arange(len(answers)), answers]
        parts.append((answers, sure, labels.asnumpy().astype(onp.int64)))
    answers, sure, truth = (onp.concatenate(part) for part in zip(*parts, strict=True))
    return Evaluation(tally.mean_loss, answers, sure, truth)
