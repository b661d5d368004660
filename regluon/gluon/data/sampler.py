"""Samplers: which samples come in which order, epoch by epoch, and how they form batches."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, Literal

import numpy as onp

from regluon.base import MXNetError, nearest
from regluon.random import current_seed, mix


LastBatch = Literal["keep", "discard", "rollover"]
_LAST_BATCH = ("keep", "discard", "rollover")
_SHUFFLE = zlib.crc32(b"RandomSampler")


class Sampler(ABC):
    """An order of samples: subclasses define `__iter__` (of sample numbers) and `__len__`."""

    @abstractmethod
    def __iter__(self) -> Iterator[Any]:
        """Return the sample numbers of one epoch."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many there are in an epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of this epoch; nothing where all epochs are the same."""
        return


class SequentialSampler(Sampler):
    """The numbers from `start` to `start + length - 1`, in order.

    >>> list(SequentialSampler(3, start=5))
    [5, 6, 7]
    """

    def __init__(self, length: int, start: int = 0) -> None:
        self._range = range(start, start + length)

    def __iter__(self) -> Iterator[int]:
        return iter(self._range)

    def __len__(self) -> int:
        return len(self._range)


class RandomSampler(Sampler):
    """The numbers from 0 to `length - 1` in a random order, another one in every epoch.

    The order is a function of `mx.random.seed` and of the epoch, which is counted from 0 and which
    `set_epoch` sets, so any epoch can be had again. MXNet's follows NumPy's global generator.

    stream: samplers that must not have the same order under one seed get different numbers.

    >>> sampler = RandomSampler(5)
    >>> first, second = list(sampler), list(sampler)
    >>> sampler.set_epoch(0)
    >>> sorted(first), list(sampler) == first != second
    ([0, 1, 2, 3, 4], True)
    """

    def __init__(self, length: int, *, stream: int = 0) -> None:
        self._length = length
        self._stream = stream
        self._epoch = 0

    def __iter__(self) -> Iterator[int]:
        rng = onp.random.default_rng(mix(current_seed(), self._stream, self._epoch, _SHUFFLE))
        self._epoch += 1
        return map(int, rng.permutation(self._length))

    def __len__(self) -> int:
        return self._length

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of this epoch."""
        self._epoch = epoch


class FilterSampler(Sampler):
    """The numbers of the samples for which `fn(sample)` is true; it looks at all of them at once.

    >>> list(FilterSampler(lambda x: x > "b", ["a", "c", "d"]))
    [1, 2]
    """

    def __init__(self, fn: Callable[[Any], Any], dataset: Any) -> None:
        self._numbers = [i for i in range(len(dataset)) if fn(dataset[i])]

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


class IntervalSampler(Sampler):
    """Every `interval`-th number, then with `rollover` those left out, from 1, from 2 and so on.

    >>> list(IntervalSampler(7, interval=3)), list(IntervalSampler(7, 3, rollover=False))
    ([0, 3, 6, 1, 4, 2, 5], [0, 3, 6])
    """

    def __init__(self, length: int, interval: int, rollover: bool = True) -> None:
        if not 1 <= interval <= length:
            raise MXNetError(f"an interval is 1 to the length {length}, not {interval}")
        starts = range(interval if rollover else 1)
        self._numbers = [i for start in starts for i in range(start, length, interval)]

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


class BatchSampler(Sampler):
    """Lists of `batch_size` numbers of another sampler.

    last_batch: what becomes of a last batch that is not full: "keep" gives it as it is, "discard"
        leaves it out, "rollover" puts it before the next epoch's numbers.

    >>> list(BatchSampler(SequentialSampler(5), 2, "keep"))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self, sampler: Iterable[Any], batch_size: int, last_batch: LastBatch = "keep"
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise MXNetError(f"batch_size is a whole number from 1, not {batch_size!r}")
        if last_batch not in _LAST_BATCH:
            raise MXNetError(
                f"last_batch is 'keep', 'discard' or 'rollover', not {last_batch!r}"
                f"{nearest(str(last_batch), _LAST_BATCH)}"
            )
        self._sampler = sampler
        self._batch_size = batch_size
        self._last_batch = last_batch
        self.leftover: list[Any] = []
        """The numbers that roll over into the next epoch."""

    def __iter__(self) -> Iterator[list[Any]]:
        batch, self.leftover = self.leftover, []
        return self._batches(batch, iter(self._sampler))

    def _batches(self, batch: list[Any], numbers: Iterator[Any]) -> Iterator[list[Any]]:
        for number in numbers:
            batch.append(number)
            if len(batch) == self._batch_size:
                yield batch
                batch = []
        if batch and self._last_batch == "keep":
            yield batch
        if self._last_batch == "rollover":
            self.leftover = batch

    def __len__(self) -> int:
        if not isinstance(self._sampler, Sized):
            raise TypeError(f"{type(self._sampler).__name__} does not say how long it is")
        length = len(self._sampler)
        if self._last_batch == "keep":
            return -(-length // self._batch_size)
        return (length + len(self.leftover)) // self._batch_size

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of this epoch, if the sampler inside knows epochs."""
        set_epoch = getattr(self._sampler, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)
