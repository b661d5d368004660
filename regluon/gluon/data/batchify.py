"""From samples to a batch: one contiguous array for each part of a sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as onp
import numpy.typing as npt
import torch
from torch import Tensor

from regluon.array.dispatch import array_class, wait
from regluon.array.handle import Handle
from regluon.base import MXNetError
from regluon.context import cpu


class BatchError(MXNetError, ValueError):
    """Samples do not fit into one batch; `position` is that of the first that does not."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


def default_batchify_fn(data: Sequence[Any]) -> Any:
    """Stack samples along a new first axis, the parts of tuples and dicts each for itself.

    Parts may be arrays of ours, NumPy arrays, torch tensors, numbers or nested lists of numbers;
    all samples must have the same structure and shapes (`BatchError` names the first that has not).
    Results are arrays on `cpu(0)`, in a list for tuples; NumPy-like after `npx.set_np()`. Texts
    stay lists.

    >>> images, labels = default_batchify_fn([(onp.zeros((2, 3), "float32"), 4)] * 5)
    >>> images.shape, images.dtype.__name__, labels.dtype.__name__
    ((5, 2, 3), 'float32', 'int64')
    """
    first = data[0]
    if isinstance(first, tuple):
        _check_same([len(item) if isinstance(item, tuple) else type(item) for item in data])
        return [default_batchify_fn(part) for part in zip(*data, strict=True)]
    if isinstance(first, Mapping):
        _check_same([sorted(item) if isinstance(item, Mapping) else type(item) for item in data])
        return {key: default_batchify_fn([item[key] for item in data]) for key in first}
    if isinstance(first, str | bytes):
        return list(data)
    return array_class()(_stack(data), cpu())


def _check_same(forms: Sequence[Any]) -> None:
    """Raise unless all samples have the form (parts, shape or type) of the first one."""
    for position, form in enumerate(forms):
        if form != forms[0]:
            raise BatchError(
                f"samples of a batch must be alike: the first has {_shown(forms[0])}, this one "
                f"{_shown(form)}; resize, crop or pad them, or give the loader a batchify_fn",
                position,
            )


def _shown(form: Any) -> str:
    if isinstance(form, type):
        return f"type {form.__name__}"
    if isinstance(form, int):
        return f"{form} parts"
    return f"keys {form}" if isinstance(form, list) else f"shape {form}"


def _stack(data: Sequence[Any]) -> Tensor:
    if isinstance(data[0], Handle | Tensor) and _plain(data[0]).dtype == torch.bfloat16:
        tensors = [_plain(item) for item in data]
        _check_same([tuple(tensor.shape) for tensor in tensors])
        return torch.stack(tensors)
    rows = [_row(item, position) for position, item in enumerate(data)]
    _check_same([row.shape for row in rows])
    # NumPy and not torch, whose copies would start OpenMP threads in every thread of a loader.
    batch = onp.empty((len(rows), *rows[0].shape), _common(rows))
    for place, row in zip(batch, rows, strict=True) if batch.ndim > 1 else ():
        place[...] = row
    if batch.ndim == 1:
        batch[:] = rows
    return torch.from_numpy(batch)


def _common(rows: Sequence[npt.NDArray[Any]]) -> onp.dtype[Any]:
    common: onp.dtype[Any] = onp.result_type(*(row.dtype for row in rows))
    return common.newbyteorder("=")  # torch knows the machine's own byte order only


def _row(item: Any, position: int) -> npt.NDArray[Any]:
    """Return one sample's part as a NumPy array, without a copy where it is an array."""
    if isinstance(item, Handle | Tensor):
        return onp.asarray(_plain(item).numpy())
    try:
        row = onp.asarray(item)
    except ValueError as error:
        raise BatchError(f"a part of a sample is no array: {error}", position) from error
    if row.dtype.kind not in "biuf":
        raise BatchError(
            f"a batch takes arrays and numbers, not {type(item).__name__} ({row.dtype}); convert "
            "it in the dataset, or give the loader a batchify_fn",
            position,
        )
    return row


def _plain(item: Handle | Tensor) -> Tensor:
    """Return the values in the CPU's memory."""
    if isinstance(item, Handle):
        wait(item)
        item = item.value()
    return item.detach().cpu()
