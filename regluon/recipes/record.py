"""What there is to say about a fine-tuning run: the record that its report is made from.

Everything is plain data, and nothing here knows an array, a network or a page. A figure that is
missing is None or NaN; accuracies are shares from 0 to 1.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as onp
import numpy.typing as npt


Picture = npt.NDArray[onp.uint8]


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave; accuracies are shares from 0 to 1, rates are by group of parameters."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    images_per_s: float
    learning_rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """One way to train that is compared with the others.

    `points` are (step, accuracy), or (step, mean, lowest, highest) over seeds; without points it
    is a level line. `steps_to_target` is None where the target was not reached.
    """

    name: str
    accuracy: float
    std: float | None = None
    seeds: int = 1
    points: Sequence[tuple[float, ...]] = ()
    steps_to_target: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Sample:
    """A picture as the network saw it: RGB, uint8, (height, width, 3)."""

    image: Picture
    caption: str


@dataclass(frozen=True)
class Mistake:
    """A picture that was taken for another class, and how sure the network was."""

    image: Picture
    true_class: str
    predicted_class: str
    probability: float
    file_name: str


@dataclass(frozen=True)
class Measure:
    """One row of *what helped*: images/s and accuracy with and without a measure."""

    name: str
    speed_with: float | None = None
    speed_without: float | None = None
    accuracy_with: float | None = None
    accuracy_without: float | None = None
    note: str = ""


@dataclass(frozen=True)
class LabelPoint:
    """The accuracy that a number of labels per class gives."""

    labels: int
    accuracy: float
    std: float | None = None


@dataclass(frozen=True)
class ReusedClass:
    """An output row that started as a row of the source classifier; `alias` is how it was found."""

    name: str
    source: str
    row: int
    alias: str = ""


@dataclass(frozen=True)
class RunRecord:
    """Everything that the report of one run shows.

    `accuracy` is the headline; None means the best of the epochs. `confusion[i][j]` counts
    pictures of class i that were taken for class j. `note` says how far the result may be trusted,
    `warnings` what went wrong (a NaN loss, a resumed run). `frozen` names the fixed parameters.
    `throughput` gives images/s by stage. Parts without data are left out of the page.
    """

    title: str
    classes: Sequence[str]
    subtitle: str = ""
    note: str = ""
    warnings: Sequence[str] = ()
    command: str = ""
    date: str = ""
    seconds: float = math.nan
    accuracy: float | None = None
    accuracy_name: str = "validation accuracy"
    settings: Mapping[str, object] = field(default_factory=dict)
    machine: Mapping[str, object] = field(default_factory=dict)
    epochs: Sequence[Epoch] = ()
    contenders: Sequence[Contender] = ()
    target: float = 0.95
    confusion: Sequence[Sequence[int]] = ()
    samples: Sequence[Sample] = ()
    mistakes: Sequence[Mistake] = ()
    throughput: Mapping[str, float] = field(default_factory=dict)
    measures: Sequence[Measure] = ()
    labels_curve: Sequence[LabelPoint] = ()
    frozen: Sequence[str] = ()
    reused: Sequence[ReusedClass] = ()
