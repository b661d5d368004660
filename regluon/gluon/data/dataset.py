"""Datasets: samples by number, and the datasets that select or transform them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from regluon.array.ndarray import NDArray
from regluon.base import MXNetError, ShapeError
from regluon.gluon.data.sampler import FilterSampler, Sampler, SequentialSampler


class Dataset:
    """Samples that are had by number: subclasses define `__getitem__` and `__len__`.

    A list or an array can be used as a dataset, too. Threads of a `DataLoader` call `__getitem__`
    at the same time.

    >>> class Squares(Dataset):
    ...     def __getitem__(self, idx):
    ...         return idx * idx
    ...     def __len__(self):
    ...         return 4
    >>> list(Squares().transform(lambda x: x + 1))
    [1, 2, 5, 10]
    """

    def __getitem__(self, idx: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(idx)")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__()")

    def __iter__(self) -> Iterator[Any]:
        # Python's own way ends at the first IndexError, even one out of a transform.
        return (self[idx] for idx in range(len(self)))

    def describe(self, idx: int) -> str:
        """Return what sample `idx` is, such as its file, for messages; empty if unknown."""
        return ""

    def filter(self, fn: Callable[[Any], Any]) -> "Dataset":
        """Return the samples for which `fn(sample)` is true; it looks at all of them now.

        >>> list(SimpleDataset(range(5)).filter(lambda x: x % 2))
        [1, 3]
        """
        return _SampledDataset(self, FilterSampler(fn, self))

    def shard(self, num_shards: int, index: int) -> "Dataset":
        """Return part `index` of `num_shards` parts; the first parts take what is left over.

        >>> [list(SimpleDataset("abcde").shard(2, i)) for i in range(2)]
        [['a', 'b', 'c'], ['d', 'e']]
        """
        if not 0 <= index < num_shards:
            raise MXNetError(
                f"a shard's index is 0 to num_shards - 1: got {index} of {num_shards} shards"
            )
        size, rest = divmod(len(self), num_shards)
        start = size * index + min(index, rest)
        return _SampledDataset(self, SequentialSampler(size + (index < rest), start))

    def take(self, count: int | None) -> "Dataset":
        """Return the first `count` samples, or all where there are not so many or it is None."""
        if count is not None and count < 0:
            raise MXNetError(f"take(count) needs a count from 0, not {count}")
        size = len(self) if count is None else min(count, len(self))
        return _SampledDataset(self, SequentialSampler(size))

    def sample(self, sampler: Sampler) -> "Dataset":
        """Return the samples whose numbers `sampler` gives now, in its order."""
        if not isinstance(sampler, Sampler):
            raise TypeError(f"sample() needs a gluon.data.Sampler, not {type(sampler).__name__}")
        return _SampledDataset(self, sampler)

    def transform(self, fn: Callable[..., Any], lazy: bool = True) -> "Dataset":
        """Return the samples as `fn` makes them: `fn(sample)`, or `fn(*sample)` of a tuple.

        lazy: call `fn` whenever a sample is asked for, as random transforms need it; otherwise
            call it now, once for each sample.
        """
        transformed = _TransformedDataset(self, fn)
        return transformed if lazy else SimpleDataset(list(transformed))

    def transform_first(self, fn: Callable[[Any], Any], lazy: bool = True) -> "Dataset":
        """Return the samples with their first part as `fn` makes it, the label as it is.

        >>> list(ArrayDataset([1, 2], ["a", "b"]).transform_first(lambda x: 10 * x))
        [(10, 'a'), (20, 'b')]
        """
        return self.transform(_First(fn), lazy)


class SimpleDataset(Dataset):
    """A list, array or other object with `len()` and `[]` as a dataset."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, idx: int) -> Any:
        return self._data[idx]

    def describe(self, idx: int) -> str:
        """Return what sample `idx` is, if the data inside know."""
        return describe(self._data, idx)


class ArrayDataset(Dataset):
    """Sample i is `(a[i], b[i], ...)` of several arrays, lists or datasets of the same length.

    A single argument gives its elements themselves. Arrays of one axis, usually labels, are held
    as NumPy arrays, as in MXNet.

    >>> ArrayDataset([[1, 2], [3, 4]], ["a", "b"])[1]
    ([3, 4], 'b')
    """

    def __init__(self, *args: Any) -> None:
        if not args:
            raise MXNetError("ArrayDataset needs at least one array")
        lengths = [len(data) for data in args]
        if len(set(lengths)) > 1:
            raise ShapeError(f"the arrays of an ArrayDataset differ in length: {lengths}")
        self._length = lengths[0]
        self._data = [
            data.asnumpy() if isinstance(data, NDArray) and data.ndim == 1 else data
            for data in args
        ]

    def __getitem__(self, idx: int) -> Any:
        if len(self._data) == 1:
            return self._data[0][idx]
        return tuple(data[idx] for data in self._data)

    def __len__(self) -> int:
        return self._length

    def describe(self, idx: int) -> str:
        """Return what sample `idx` is, if one of the data inside knows."""
        return next(filter(None, (describe(data, idx) for data in self._data)), "")


class _SampledDataset(Dataset):
    """Samples of another dataset by a sampler's numbers, drawn once."""

    def __init__(self, dataset: Any, sampler: Iterable[int]) -> None:
        self._dataset = dataset
        self._numbers = list(sampler)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, idx: int) -> Any:
        return self._dataset[self._numbers[idx]]

    def describe(self, idx: int) -> str:
        return describe(self._dataset, self._numbers[idx])


class _TransformedDataset(Dataset):
    """Samples of another dataset, transformed when they are asked for."""

    def __init__(self, dataset: Any, fn: Callable[..., Any]) -> None:
        self._dataset = dataset
        self._fn = fn

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, idx: int) -> Any:
        item = self._dataset[idx]
        return self._fn(*item) if isinstance(item, tuple) else self._fn(item)

    def describe(self, idx: int) -> str:
        return describe(self._dataset, idx)


class _First:
    """Applies a function to the first of its arguments; an object, so that it can be pickled."""

    def __init__(self, fn: Callable[[Any], Any]) -> None:
        self._fn = fn

    def __call__(self, first: Any, *others: Any) -> Any:
        return (self._fn(first), *others) if others else self._fn(first)


def describe(dataset: Any, idx: int) -> str:
    """Return what sample `idx` of any kind of dataset is, or an empty string."""
    known = getattr(dataset, "describe", None)
    return str(known(idx)) if callable(known) else ""
