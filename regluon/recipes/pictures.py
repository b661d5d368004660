"""Pictures on their way to the network: decode, augment, normalize, in batches on a context."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as onp
import numpy.typing as npt

from regluon import nd
from regluon.base import ImageError
from regluon.context import Context
from regluon.gluon.data import DataLoader, Dataset
from regluon.gluon.data.vision import transforms
from regluon.gluon.model_zoo import Preprocessing
from regluon.image import codec
from regluon.ops import pixels
from regluon.recipes.folder import Picture


Pixels = npt.NDArray[onp.uint8]
Planes = npt.NDArray[onp.float32]
Transform = Callable[[Pixels], Planes]

MOST_NAMED = 10


def augmentation(preprocessing: Preprocessing) -> Callable[[Pixels], Pixels]:
    """Return what is done to training pictures before they are normalized.

    A random part of 8 to 100 % of the area and 3:4 to 4:3 in shape, resized; mirrored every other
    time; brightness, contrast and saturation changed by up to 40 % (Szegedy et al. 2015; Gluon's
    own fine-tuning recipes).
    """
    chain: Callable[[Pixels], Pixels] = transforms.Compose(
        [
            transforms.RandomResizedCrop(
                preprocessing.size,
                scale=(0.08, 1.0),
                ratio=(3 / 4, 4 / 3),
                interpolation=preprocessing.interp,
            ),
            transforms.RandomFlipLeftRight(),
            transforms.RandomColorJitter(brightness=0.4, contrast=0.4, saturation=0.4),
        ]
    )
    return chain


class PictureDataset(Dataset):
    """Pictures as (3, height, width) float32 arrays with their labels.

    With `augment`, the draws of a sample are its `DataLoader` key's: a function of seed, epoch and
    index, not of workers, timing, or where an interrupted run goes on.
    """

    def __init__(
        self, pictures: Sequence[Picture], preprocessing: Preprocessing, augment: bool = False
    ) -> None:
        self._pictures = pictures
        self._preprocessing = preprocessing
        self._augment = augmentation(preprocessing) if augment else None

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> tuple[Planes, int]:
        return self._preprocessing.normalized(self.shown(index)), self._pictures[index].label

    def shown(self, index: int) -> Pixels:
        """Return a picture as the network sees it, before it is normalized."""
        picture = codec.read(self._pictures[index].path)
        if self._augment is not None:
            return self._augment(picture)
        known = self._preprocessing
        resized = pixels.resize(picture, known.resize_side, keep_ratio=True, interp=known.interp)
        return pixels.center_crop(resized, known.size, interp=known.interp)


class PictureBatches:
    """Batches of pictures, shuffled anew in each epoch; the same for the same seed and epoch.

    The pictures are dealt into batches of nearly equal size, at most `batch_size`, so that no tiny
    last batch upsets the batch norms.
    """

    def __init__(
        self,
        data: PictureDataset,
        batch_size: int,
        ctx: Context,
        *,
        shuffle: bool = False,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        self.images = len(data)
        self.count = math.ceil(len(data) / batch_size)
        self._data = data
        self._ctx, self._shuffle, self._seed, self._workers = ctx, shuffle, seed, workers

    def __call__(self, epoch: int, skip: int = 0) -> Iterator[tuple[nd.NDArray, nd.NDArray]]:
        """Yield the batches of an epoch without the first `skip`, which are not even decoded."""
        order = deal(self.images, self.count, self._seed if self._shuffle else None, epoch)
        loader = DataLoader(self._data, batch_sampler=order[skip:], num_workers=self._workers)
        loader.set_epoch(epoch)
        for data, labels in loader:
            yield data.as_in_context(self._ctx), labels.as_in_context(self._ctx)


def deal(images: int, count: int, seed: int | None, epoch: int) -> list[list[int]]:
    """Return the indices of `count` batches, shuffled by seed and epoch; without a seed in order.

    >>> [len(batch) for batch in deal(33, 2, seed=0, epoch=1)]
    [17, 16]
    """
    order = onp.arange(images)
    if seed is not None:
        order = onp.random.default_rng([seed, epoch]).permutation(images)
    return [part.tolist() for part in onp.array_split(order, count)]


class ArrayBatches:
    """Batches of rows that are in memory, such as features that were computed once."""

    def __init__(
        self, data: nd.NDArray, labels: nd.NDArray, count: int, seed: int | None = None
    ) -> None:
        self._data, self._labels, self._seed = data, labels, seed
        self.images, self.count = len(labels), count

    def __call__(self, epoch: int, skip: int = 0) -> Iterator[tuple[nd.NDArray, nd.NDArray]]:
        """Yield the batches of an epoch without the first `skip`."""
        for rows in deal(self.images, self.count, self._seed, epoch)[skip:]:
            index = nd.array(rows, ctx=self._data.context, dtype="int64")
            yield nd.take(self._data, index), nd.take(self._labels, index)


class _Checked(Dataset):
    """What is wrong with each picture, as text; empty where nothing is."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> str:
        try:
            codec.read(self._pictures[index].path)
        except ImageError as error:
            return str(error)
        return ""


def check(pictures: Sequence[Picture], workers: int, done: Callable[[int], Any]) -> None:
    """Decode every picture once and raise `ImageError` naming those that cannot be used.

    `done` is told how many were decoded since it was told last.
    """
    problems: list[str] = []
    loader = DataLoader(_Checked(pictures), batch_size=32, num_workers=workers, batchify_fn=list)
    for batch in loader:
        problems += filter(None, batch)
        done(len(batch))
    if problems:
        shown = "".join(f"\n  {problem}" for problem in problems[:MOST_NAMED])
        more = f"\n  and {len(problems) - MOST_NAMED} more" if len(problems) > MOST_NAMED else ""
        raise ImageError(
            f"{len(problems)} of {len(pictures)} pictures cannot be used; nothing was trained or "
            f"written:{shown}{more}"
        )


def original(path: Path, side: int) -> Pixels:
    """Return a picture from a file, made small enough for a page: at most `side` pixels a side."""
    pixels = codec.read(path)
    step = max(1, math.ceil(max(pixels.shape[:2]) / side))
    return onp.ascontiguousarray(pixels[::step, ::step])
