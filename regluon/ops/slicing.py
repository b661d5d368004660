"""Indexing: `x[key]` and `x[key] = value` by NumPy's rules, with keys as `ops/subscript.py` has."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import DTypeError, ShapeError
from regluon.ops.dtype import dtype_name
from regluon.ops.infer import common_shape
from regluon.ops.registry import Spec, register
from regluon.ops.subscript import Key, Plan, Shape, out_of_range, plan


def _shape_of(index: Any) -> Shape | None:
    return tuple(index.shape) if index.dtype == torch.bool else None


def _planned(data: Any, key: Key, indices: Sequence[Any]) -> Plan:
    return plan(data.shape, key, [_shape_of(index) for index in indices])


def _picked(shapes: Sequence[Shape]) -> Shape:
    """Return the common shape of index arrays."""
    try:
        return common_shape(shapes)
    except ShapeError:
        listed = " and ".join(map(str, shapes))
        raise ShapeError(f"index arrays of shapes {listed} do not fit each other") from None


def _known(indices: Sequence[Any]) -> list[Shape]:
    """Return the shapes of index arrays but masks, whose numbers of rows depend on values."""
    return [tuple(index.shape) for index in indices if index.dtype != torch.bool]


def _rows(index: Tensor) -> Shape:
    """Return the shape of an index array, which for a mask is the number of rows it chooses."""
    return (int(index.count_nonzero()),) if index.dtype == torch.bool else tuple(index.shape)


def _index(part: Tensor, how: Plan, indices: Sequence[Tensor]) -> tuple[Tensor, tuple[Any, ...]]:
    """Return the part, perhaps with moved axes, and the index that torch is to use on it."""
    taken: dict[int, Tensor] = {}
    for item in how.chosen:
        index = indices[item.number]
        if item.mask and item.axes == 0:
            index = index.reshape(1).nonzero()[:, 0]
        taken[item.place] = index if index.dtype == torch.bool else index.long()
    if how.front:
        places = [item.place + k for item in how.chosen for k in range(item.axes or 1)]
        return part.movedim(places, list(range(len(places)))), tuple(taken.values())
    first = how.chosen[0].place
    return part, (*[slice(None)] * first, *taken.values())


def _check_range(data: Tensor, how: Plan, indices: Sequence[Tensor]) -> None:
    for item in how.chosen:
        index, size = indices[item.number], data.shape[item.axis] if item.axes else 1
        if item.mask or not index.numel():
            continue
        low, high = (int(end) for end in torch.aminmax(index.long()))
        if low < -size or high >= size:
            raise out_of_range(high if high >= size else low, item.axis, size)


def _get(data: Tensor, key: Key, indices: Sequence[Tensor] = ()) -> Tensor:
    how = _planned(data, key, indices)
    result = part = data[how.basic]
    rank = 0
    if how.chosen:
        if not data.is_cpu:  # an index out of range would end the process there
            _check_range(data, how, indices)
        part, index = _index(part, how, indices)
        try:
            result = part[index]
        except (IndexError, RuntimeError):
            _check_range(data, how, indices)
            _picked([_rows(index) for index in indices])
            raise
        if not result.numel():  # torch looks at no index then
            _check_range(data, how, indices)
        rank = result.dim() - len(how.result(()))
    return result.flip(how.flips(rank)) if how.turned else result


def _slice_infer(data: Spec, *, key: Key) -> tuple[Spec, ...]:
    return (Spec(plan(data.shape, key).shape, data.dtype),)


def _nd_slice_infer(data: Spec, *, key: Key) -> tuple[Spec, ...]:
    return (Spec(plan(data.shape, key).shape or (1,), data.dtype),)


@register(_slice_infer, also={"np._internal": "slice_view"}, view="write through")
def slice_view(data: Tensor, key: Key) -> Tensor:
    """Return one run of memory, such as rows, that shares storage with `data`."""
    return data[plan(data.shape, key).basic]


@register(_nd_slice_infer, also={"nd._internal": "slice_view"}, view="write through")
def slice_view_nd(data: Tensor, key: Key) -> Tensor:
    """Return one run of memory that shares storage with `data`; single elements are (1,)."""
    part = data[plan(data.shape, key).basic]
    return part if part.dim() else part.view(1)


@register(_slice_infer, also={"np._internal": "slice_copy"}, view="lazy copy")
def slice_copy(data: Tensor, key: Key) -> Tensor:
    """Return a part of `data` by integers, slices, new axes and an ellipsis, as a copy."""
    return _get(data, key)


@register(_nd_slice_infer, also={"nd._internal": "slice_copy"}, view="lazy copy")
def slice_copy_nd(data: Tensor, key: Key) -> Tensor:
    """Return a part of `data` as a copy; single elements have shape (1,)."""
    part = _get(data, key)
    return part if part.dim() else part.reshape(1)


def _gather_infer(data: Spec, *indices: Spec, key: Key) -> tuple[Spec, ...]:
    how = _planned(data, key, indices)
    return (Spec(how.result(_picked(_known(indices))), data.dtype),)


@register(_gather_infer, also={"np._internal": "gather", "nd._internal": "gather"})
def gather(data: Tensor, *indices: Tensor, key: Key) -> Tensor:
    """Return the elements that integer arrays in the key choose, by NumPy's rules."""
    return _get(data, key, indices)


@register(_gather_infer, also={"np._internal": "mask", "nd._internal": "mask"}, dynamic=True)
def mask(data: Tensor, *indices: Tensor, key: Key) -> Tensor:
    """Return the elements that boolean arrays in the key choose; waits for them, as it must."""
    return _get(data, key, indices)


def _fit(value: Tensor, shape: Shape, dtype: torch.dtype) -> Tensor:
    """Bring a value to a dtype and shape: leading axes of length 1 may be too many."""
    while value.dim() > len(shape) and value.shape[0] == 1:
        value = value[0]
    _check_fit(tuple(value.shape), shape)
    return value.to(dtype).expand(shape)


def fitting(value: Any, dtype: torch.dtype) -> Any:
    """Return a number as one that arrays of `dtype` can hold: integers lose their fraction."""
    if dtype.is_floating_point:
        largest = torch.finfo(dtype).max
        return math.copysign(math.inf, value) if abs(value) > largest else float(value)
    if dtype == torch.bool:
        return bool(value)
    ends = torch.iinfo(dtype)
    if not ends.min <= value < ends.max + 1:  # also false for NaN
        name = dtype_name(dtype)
        raise DTypeError(f"{value} does not fit {name}, which goes from {ends.min} to {ends.max}")
    return int(value)


def _check_fit(given: Shape, wanted: Shape) -> None:
    while len(given) > len(wanted) and given[0] == 1:
        given = given[1:]
    pairs = zip(reversed(given), reversed(wanted), strict=False)
    if len(given) > len(wanted) or any(a not in (1, b) for a, b in pairs):
        raise ShapeError(f"a value of shape {given} cannot be written into a part of {wanted}")


_IN_ORDER = 32_768  # up to here torch writes on one thread of a CPU, element by element


def _may_repeat(index: tuple[Any, ...], value: Tensor) -> bool:
    """Say whether a place may be written twice, and torch leave open which value stays."""
    arrays = [item for item in index if isinstance(item, Tensor)]
    if len(arrays) == 1 and arrays[0].dtype == torch.bool:
        return False
    plain = value.is_cpu and value.numel() < _IN_ORDER and all(item.dim() < 2 for item in arrays)
    return value.requires_grad or not plain


def _last_ones(
    index: tuple[Any, ...], shape: Shape, at: int, value: Tensor
) -> tuple[tuple[Any, ...], Tensor]:
    """Of places that are written several times, keep the last value only, as NumPy does.

    Torch leaves open which one wins, and sends gradients to all of them.
    """
    found: list[Tensor] = []
    for item in index[at:]:
        found += item.nonzero(as_tuple=True) if item.dtype == torch.bool else (item,)
    places = torch.broadcast_tensors(*found)
    flat = torch.zeros_like(places[0])
    for size, place in zip(shape[at:], places, strict=False):
        flat = flat * size + place % size
    flat = flat.reshape(-1)
    order = torch.arange(flat.numel(), device=flat.device)
    count = 1
    for size in shape[at : at + len(places)]:
        count *= size
    last = torch.zeros(count, dtype=order.dtype, device=flat.device)
    last.scatter_reduce_(0, flat, order, "amax", include_self=False)
    kept = (last[flat] == order).nonzero()[:, 0]
    chosen = tuple(place.reshape(-1)[kept] for place in places)
    rows = value.flatten(at, at + places[0].dim() - 1) if places[0].dim() else value.unsqueeze(at)
    return (*index[:at], *chosen), rows.index_select(at, kept)


def _set(data: Tensor, value: Any, key: Key, indices: Sequence[Tensor]) -> None:
    how = _planned(data, key, indices)
    part = data[how.basic]
    if not isinstance(value, Tensor):
        value = fitting(value, data.dtype)
    elif _overlap(data, value):
        value = value.clone()
    if not how.chosen:
        if not isinstance(value, Tensor):
            part.fill_(value)
            return
        value = _fit(value, how.shape, data.dtype)
        part.copy_(value.flip(how.turned) if how.turned else value)
        return
    _check_range(data, how, indices)
    part, index = _index(part, how, indices)
    if not isinstance(value, Tensor):
        _picked(_known(indices))
        part[index] = value
        return
    picked = _picked([_rows(index) for index in indices])
    value = _fit(value, how.result(picked), data.dtype)
    if how.turned:
        value = value.flip(how.flips(len(picked)))
    if _may_repeat(index, value):
        index, value = _last_ones(index, tuple(part.shape), how.at(), value)
    part[index] = value


def _overlap(data: Tensor, value: Tensor) -> bool:
    return data.untyped_storage().data_ptr() == value.untyped_storage().data_ptr()


def _assign_infer(data: Spec, value: Any, *indices: Spec, key: Key) -> tuple[Spec, ...]:
    how = _planned(data, key, indices)
    if not isinstance(value, Spec):
        fitting(value, data.dtype)
    elif not any(item.mask for item in how.chosen):
        _check_fit(value.shape, how.result(_picked(_known(indices))))
    return ()


@register(
    _assign_infer,
    also={"np._internal": "assign", "nd._internal": "assign"},
    outputs=0,
    mutates="data",
    differentiable="",
)
def assign(data: Tensor, value: Tensor, *indices: Tensor, key: Key) -> None:
    """Write `value` (an array or a number) into a part of `data`; of repeated places the last."""
    _set(data, value, key, indices)


def _assigned_infer(data: Spec, value: Any, *indices: Any, key: Key) -> tuple[Spec, ...]:
    _assign_infer(data, value, *indices, key=key)
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
