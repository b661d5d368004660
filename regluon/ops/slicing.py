"""Indexing: `x[key]` and `x[key] = value`, with keys made of plain, hashable data.

A key is a tuple of integers, `slice` triples `("slice", start, stop, step)`, `None`, `Ellipsis`
and `("array", i)`, which stands for the i-th index array of the call.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import OutOfRangeError
from regluon.ops.infer import meta
from regluon.ops.registry import Spec, register


Key = tuple[Any, ...]


def to_torch(key: Key, indices: Sequence[Tensor]) -> tuple[Any, ...]:
    """Build the index that torch understands; negative steps are not among it."""
    return tuple(_part(item, indices) for item in key)


def _part(item: Any, indices: Sequence[Tensor]) -> Any:
    if isinstance(item, tuple):
        if item[0] == "array":
            index = indices[item[1]]
            return index if index.dtype == torch.bool else index.long()
        return slice(*item[1:])
    return item


def _flips(data: Tensor | Spec, key: Key) -> tuple[list[int], Key]:
    """Replace negative steps by flipped axes: torch slices go forward only."""
    axes, parts = [], []
    axis = 0
    rank = len(data.shape)
    used = sum(1 for item in key if item is not None and item is not Ellipsis)
    for item in key:
        if item is Ellipsis:
            axis += rank - used
        elif isinstance(item, tuple) and item[0] == "slice" and (item[3] or 1) < 0:
            size = data.shape[axis]
            start, stop, step = slice(*item[1:]).indices(size)
            axes.append(axis)
            parts.append(("slice", size - 1 - start, max(size - 1 - stop, 0), -step))
            axis += 1
            continue
        elif item is not None:
            axis += 1
        parts.append(item)
    return axes, tuple(parts)


def _get(data: Tensor, key: Key, indices: Sequence[Tensor]) -> Tensor:
    axes, forward = _flips(data, key)
    source = torch.flip(data, axes) if axes else data
    return source[to_torch(forward, indices)]


def check_key(shape: Sequence[int], key: Key) -> None:
    """Raise IndexError where an integer or the number of indices does not fit the shape."""
    used = sum(1 for item in key if item is not None and item is not Ellipsis)
    if used > len(shape):
        raise OutOfRangeError(f"{used} indices are too many for an array of shape {tuple(shape)}")
    axis = 0
    for item in key:
        if item is Ellipsis:
            axis += len(shape) - used
            continue
        if isinstance(item, int) and not -shape[axis] <= item < shape[axis]:
            raise OutOfRangeError(
                f"index {item} is out of range for axis {axis} of size {shape[axis]}"
            )
        axis += item is not None


def _slice_infer(data: Spec, *, key: Key) -> tuple[Spec, ...]:
    check_key(data.shape, key)
    shape: list[int] = []
    axis = 0
    used = sum(1 for item in key if item is not None and item is not Ellipsis)
    for item in key:
        if item is Ellipsis:
            shape += data.shape[axis : axis + len(data.shape) - used]
            axis += len(data.shape) - used
        elif item is None:
            shape.append(1)
        else:
            if isinstance(item, tuple):
                shape.append(len(range(*slice(*item[1:]).indices(data.shape[axis]))))
            axis += 1
    return (Spec((*shape, *data.shape[axis:]), data.dtype),)


def _nd_slice_infer(data: Spec, *, key: Key) -> tuple[Spec, ...]:
    (spec,) = _slice_infer(data, key=key)
    return (Spec(spec.shape or (1,), spec.dtype),)


@register(_slice_infer, also={"np._internal": "slice_view"}, view="write through")
def slice_view(data: Tensor, key: Key) -> Tensor:
    """Return a contiguous part, such as rows, that shares storage with `data`."""
    return _get(data, key, ())


@register(_nd_slice_infer, also={"nd._internal": "slice_view"}, view="write through")
def slice_view_nd(data: Tensor, key: Key) -> Tensor:
    """Return a contiguous part that shares storage with `data`; single elements have shape (1,)."""
    part = _get(data, key, ())
    return part if part.dim() else part.view(1)


@register(_slice_infer, also={"np._internal": "slice_copy"}, view="lazy copy")
def slice_copy(data: Tensor, key: Key) -> Tensor:
    """Return a part of `data` by integers, slices, new axes and an ellipsis, as a copy."""
    return _get(data, key, ())


@register(_nd_slice_infer, also={"nd._internal": "slice_copy"}, view="lazy copy")
def slice_copy_nd(data: Tensor, key: Key) -> Tensor:
    """Return a part of `data` as a copy; single elements have shape (1,)."""
    part = _get(data, key, ())
    return part if part.dim() else part.reshape(1)


def _gather(data: Tensor, *indices: Tensor, key: Key) -> Tensor:
    return _get(data, key, indices)


@register(meta(_gather), also={"np._internal": "gather", "nd._internal": "gather"})
def gather(data: Tensor, *indices: Tensor, key: Key) -> Tensor:
    """Return the elements that integer arrays in the key choose, by NumPy's rules."""
    return _get(data, key, indices)


@register(meta(_gather), also={"np._internal": "mask", "nd._internal": "mask"}, dynamic=True)
def mask(data: Tensor, *indices: Tensor, key: Key) -> Tensor:
    """Return the elements that boolean arrays in the key choose."""
    return _get(data, key, indices)


def _nothing(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
    return ()


def _fit(target: Tensor, value: Any) -> Any:
    """Bring a value to the target's dtype, and drop leading axes of length 1 that it lacks."""
    if not isinstance(value, Tensor):
        return value
    while value.dim() > target.dim() and value.shape[0] == 1:
        value = value[0]
    return value.to(target.dtype)


def _set(data: Tensor, value: Any, key: Key, indices: Sequence[Tensor]) -> None:
    axes, forward = _flips(data, key)
    index = to_torch(forward, indices)
    if axes:
        rows = torch.arange(data.numel(), device=data.device).view(data.shape)
        chosen = torch.flip(rows, axes)[index]
        data.view(-1)[chosen] = (
            _fit(chosen, value) if not isinstance(value, Tensor) else (value.to(data.dtype))
        )
        return
    data[index] = _fit(data[index], value)


@register(
    _nothing,
    also={"np._internal": "assign", "nd._internal": "assign"},
    outputs=0,
    mutates="data",
    differentiable="",
)
def assign(data: Tensor, value: Tensor, *indices: Tensor, key: Key) -> None:
    """Write `value` (an array or a number) into a part of `data`."""
    _set(data, value, key, indices)


def _assigned_infer(data: Spec, value: Any, *indices: Any, key: Key) -> tuple[Spec, ...]:
    return (data,)


@register(_assigned_infer, also={"np._internal": "assigned", "nd._internal": "assigned"})
def assigned(data: Tensor, value: Tensor, *indices: Tensor, key: Key) -> Tensor:
    """Return a copy of `data` with `value` in a part: the differentiable form of `assign`."""
    result = data.clone()
    _set(result, value, key, indices)
    return result


def _reshape_infer(data: Spec, *, shape: tuple[int, ...]) -> tuple[Spec, ...]:
    return (Spec(shape, data.dtype),)


@register(
    _reshape_infer,
    also={"np._internal": "reshape_view", "nd._internal": "reshape_view"},
    view="write through",
)
def reshape_view(data: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the same storage with another shape, which must be complete."""
    return data.reshape(shape) if data.requires_grad else data.view(shape)


def _copyto_infer(data: Spec) -> tuple[Spec, ...]:
    return (data,)


@register(_copyto_infer, also={"np._internal": "copy_to", "nd._internal": "copy_to"})
def copy_to(data: Tensor, device: torch.device) -> Tensor:
    """Copy an array to the device of another context, or of the same one."""
    return data.clone() if data.device == device else data.to(device)
