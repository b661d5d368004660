"""What a fine-tuning run is told: the options of the command as one frozen record."""

import dataclasses
import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from regluon.base import MXNetError, nearest


FREEZE = ("none", "lower", "features")
OPTIMIZERS = ("sgd", "adam")

# What may differ when a run is resumed, because no weight depends on it.
FREE = frozenset(
    {
        *("data", "out", "workers", "resume", "force", "checkpoint_every", "labels_curve"),
        *("check", "hybridize"),
    }
)


@dataclass(frozen=True)
class FinetuneSettings:
    """The settings of one fine-tuning run; every field is an option of `regluon finetune`.

    data: a folder with one sub-folder per class, or with `train/` and `val/`.
    out: the run folder; by default `runs/<name of the data folder>`.
    weights: a file of weights or a run folder; None: the pre-trained weights of `model`, the word
        "none": start from random numbers.
    lr: the largest rate of the rest of the network; None: 0.003 for SGD, 0.0003 for Adam.
    head_lr_mult: how many times larger the rate of the new output layer is.
    freeze: what stays fixed: "none", "lower" (stem and lower half of the stages) or "features".
    image_size: pixels a side, by default what the network was trained with.
    checkpoint_every: steps between two savings of everything that a resumed run needs.
    device: "cpu", "gpu" or "gpu(1)"; by default the first GPU if there is one.
    hybridize: compile the network, by programs that keep every bit.

    >>> FinetuneSettings("photos", epochs=3).out_folder.as_posix()
    'runs/photos'
    """

    data: str | Path
    out: str | Path | None = None
    model: str = "efficientnet_lite0"
    weights: str | Path | None = None
    epochs: int = 5
    batch_size: int = 32
    optimizer: str = "sgd"
    lr: float | None = None
    head_lr_mult: float = 10.0
    wd: float = 1e-4
    freeze: str = "none"
    reuse_classes: bool = False
    labels_curve: bool = False
    augment: bool = True
    image_size: int | None = None
    val_fraction: float = 0.2
    seed: int = 0
    workers: int = 2
    checkpoint_every: int = 100
    device: str | None = None
    hybridize: bool = True
    check: bool = True
    resume: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        _one_of("freeze", self.freeze, FREEZE)
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        for name, least in (
            ("epochs", 1),
            ("batch_size", 1),
            ("image_size", 8),
            ("checkpoint_every", 1),
            ("workers", 0),
            ("seed", 0),
        ):
            _whole(name, getattr(self, name), least)
        _real("lr", self.rate, above=0)
        _real("head_lr_mult", self.head_lr_mult, above=0)
        _real("wd", self.wd)
        _real("val_fraction", self.val_fraction, above=0)
        if self.val_fraction >= 1:
            raise MXNetError(f"{_option('val_fraction')} is {self.val_fraction}; it must be < 1")
        if self.resume and self.force:
            raise MXNetError(
                "--resume continues a run and --force begins it anew: give one of them"
            )

    @property
    def rate(self) -> float:
        """The largest learning rate of the features."""
        default = 0.003 if self.optimizer == "sgd" else 3e-4
        return default if self.lr is None else self.lr

    @property
    def out_folder(self) -> Path:
        """The run folder."""
        return Path(self.out) if self.out else Path("runs") / (Path(self.data).resolve().name)

    def command(self) -> str:
        """Return the command line that gives these settings."""
        words = ["regluon", "finetune", str(self.data)]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in ("data", "resume", "force") or value == field.default:
                continue
            if isinstance(value, bool):
                words.append(_option(field.name if value else f"no_{field.name}"))
            else:
                words += [_option(field.name), str(value)]
        return shlex.join(words)

    def binding(self) -> dict[str, object]:
        """Return the settings that the weights depend on: a resumed run must have the same."""
        plain = dataclasses.asdict(self) | {"lr": self.rate}
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in plain.items()
            if name not in FREE
        }


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise MXNetError(
            f"{_option(name)} is {value!r}; known: {', '.join(known)}{nearest(value, known)}"
        )


def _whole(name: str, value: object, least: int) -> None:
    if value is None and name == "image_size":
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise MXNetError(f"{_option(name)} is {value!r}; it must be a whole number from {least}")


def _real(name: str, value: float, above: float | None = None) -> None:
    good = math.isfinite(value) and (value >= 0 if above is None else value > above)
    if not good:
        words = "at least 0" if above is None else f"above {above}"
        raise MXNetError(f"{_option(name)} is {value}; it must be a finite number {words}")
