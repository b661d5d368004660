"""Arrays made longer or shorter along an axis: append, insert, delete, resize."""

import math
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.bounds import check_signed
from regluon.ops.registry import Spec, register, spec_of
from regluon.ops.shape import Shape, Sizes, as_tuple, one_axis, shaped


def _along(old: Shape, axis: int | None) -> tuple[Shape, int]:
    """Return the shape that is edited, and its axis: None means the flattened array."""
    return ((math.prod(old),), 0) if axis is None else (tuple(old), one_axis(axis, len(old)))


def _with_length(old: Shape, axis: int, length: int) -> Shape:
    return (*old[:axis], length, *old[axis + 1 :])


def _shape_of(value: Any) -> Shape:
    return tuple(value.shape) if isinstance(value, (Spec, Tensor)) else ()


def _append_rule(arr: Spec, values: Any, axis: int | None = None) -> tuple[Spec, ...]:
    old, at = _along(arr.shape, axis)
    added, _ = _along(_shape_of(values), axis)
    if len(added) != len(old) or _with_length(added, at, 0) != _with_length(old, at, 0):
        raise ShapeError(f"values of shape {added} cannot be appended to {old} along axis {at}")
    dtype = arr.dtype
    if isinstance(values, Spec):
        dtype = torch.promote_types(dtype, values.dtype)
    return (Spec(_with_length(old, at, old[at] + added[at]), dtype),)


@register(_append_rule, np="append", symbol="_npi_concatenate")
def append(arr: Tensor, values: Tensor, axis: int | None = None) -> Tensor:
    """Return an array with `values` behind its end: along an axis, or both flattened.

    values: an array, nested list or number; with an `axis`, of the shape of `arr` but there.

    >>> np.append(np.array([1, 2]), [3, 4]).asnumpy().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    if not isinstance(values, Tensor):
        values = torch.full((1,) if axis is None else (), values, dtype=arr.dtype).to(arr.device)
    _append_rule(spec_of(arr), spec_of(values), axis)
    if axis is None:
        return torch.cat([arr.reshape(-1), values.reshape(-1)])
    return torch.cat([arr, values], axis)


# Insert and delete


def _places(obj: Any, length: int, device: torch.device) -> Tensor:
    """Return an index, slice or index array as a vector of indices counted from the front."""
    if isinstance(obj, slice):
        chosen = range(*obj.indices(length))
        return torch.arange(len(chosen), device=device) * chosen.step + chosen.start
    indices = torch.as_tensor(obj, device=device).long().reshape(-1)
    return torch.where(indices < 0, indices + length, indices)


def _inserted(obj: Any, values: Shape, old: Shape, axis: int) -> tuple[Shape, int]:
    """Return the shape of what is inserted, and how many axes in front `values` lack.

    A single place takes as many slices as `values` has; several take one each.
    """
    missing = len(old) - len(values)
    padded = (1,) * missing + values
    if isinstance(obj, slice):
        count = len(range(*obj.indices(old[axis])))
    else:
        count = math.prod(_shape_of(obj))
        if not _shape_of(obj):  # the first axis of `values` is the one inserted along, as in NumPy
            padded = (*padded[1 : axis + 1], padded[0], *padded[axis + 1 :])
    target = _with_length(old, axis, padded[axis] if count == 1 else count)
    if missing < 0 or any(a not in (1, b) for a, b in zip(padded, target, strict=True)):
        raise ShapeError(
            f"values of shape {values} do not fit {count} places along axis {axis} of an array of "
            f"shape {old}"
        )
    return target, missing


def _insert_rule(arr: Spec, obj: Any, values: Any, axis: int | None = None) -> tuple[Spec, ...]:
    old, at = _along(arr.shape, axis)
    target, _ = _inserted(obj, _shape_of(values), old, at)
    return (Spec(_with_length(old, at, old[at] + target[at]), arr.dtype),)


def _insert_check(arr: Tensor, obj: Any, values: Any, axis: int | None = None) -> None:
    shape, at = _along(tuple(arr.shape), axis)
    if not isinstance(obj, slice):
        indices = torch.as_tensor(obj)
        check_signed(torch.where(indices == shape[at], 0, indices), shape[at])


@register(
    _insert_rule,
    np="insert",
    symbol="_npi_insert_tensor",
    differentiable="arr values",
    check=_insert_check,
)
def insert(arr: Tensor, obj: Tensor | slice, values: Tensor, axis: int | None = None) -> Tensor:
    """Return an array with `values` in front of the places `obj`, along an axis or flattened.

    obj: an index, which takes all of `values`; or a slice or indices, which take one slice each.
    Indices are those of `arr`. values: are broadcast, and get the dtype of `arr`.

    >>> np.insert(np.array([1, 2, 3]), 1, 9).asnumpy().tolist()
    [1.0, 9.0, 2.0, 3.0]
    >>> np.insert(np.zeros((2, 2)), 1, np.array([5, 6]), axis=1).asnumpy().tolist()
    [[0.0, 5.0, 0.0], [0.0, 6.0, 0.0]]
    """
    old, at = _along(tuple(arr.shape), axis)
    new = torch.as_tensor(values).to(arr)
    target, missing = _inserted(obj, tuple(new.shape), old, at)
    if not isinstance(obj, slice) and not _shape_of(obj):
        new = new.reshape((1,) * missing + tuple(new.shape)).movedim(0, at)
    places = _places(obj, old[at], arr.device).expand(target[at])
    order = torch.argsort(torch.cat([places, torch.arange(old[at]).to(places)]), stable=True)
    return torch.cat([new.expand(target), arr.reshape(old)], at).index_select(at, order)


def _delete_rule(arr: Spec, obj: Any, axis: int | None = None) -> tuple[Spec, ...]:
    raise MXNetError("how many different places are deleted depends on the values")


def _delete_check(arr: Tensor, obj: Any, axis: int | None = None) -> None:
    shape, at = _along(tuple(arr.shape), axis)
    if isinstance(obj, Tensor) and obj.dtype == torch.bool:
        if obj.shape != (shape[at],):
            raise ShapeError(f"a mask of shape {tuple(obj.shape)} for an axis of {shape[at]}")
    elif not isinstance(obj, slice):
        check_signed(torch.as_tensor(obj), shape[at])


@register(
    _delete_rule,
    np="delete",
    symbol="_npi_delete",
    differentiable="arr",
    dynamic=True,
    check=_delete_check,
)
def delete(arr: Tensor, obj: Tensor | slice, axis: int | None = None) -> Tensor:
    """Return an array without the places `obj`, along an axis or flattened; the call waits.

    obj: an index, a slice, indices in any order, or a mask of booleans.

    >>> np.delete(np.array([1, 2, 3, 4]), [0, -1]).asnumpy().tolist()
    [2.0, 3.0]
    """
    old, at = _along(tuple(arr.shape), axis)
    kept = torch.ones(old[at], dtype=torch.bool, device=arr.device)
    mask = isinstance(obj, Tensor) and obj.dtype == torch.bool
    kept[obj if mask else _places(obj, old[at], arr.device)] = False
    return arr.reshape(old).index_select(at, kept.nonzero().reshape(-1))


def _resized(old: Shape, new_shape: Sizes) -> Shape:
    shape = as_tuple(new_shape)
    if min(shape, default=0) < 0:
        raise ShapeError(f"resize needs lengths of 0 or more, not {shape}")
    return shape


@register(shaped(_resized), np="resize", symbol="_npi_resize_fallback")
def resize_np(a: Tensor, new_shape: Sizes) -> Tensor:
    """Return an array of `new_shape`, filled with the elements of `a` over and over again.

    >>> np.resize(np.array([1, 2, 3]), (2, 2)).asnumpy().tolist()
    [[1.0, 2.0], [3.0, 1.0]]
    """
    shape = _resized(tuple(a.shape), new_shape)
    count = math.prod(shape)
    if not a.numel():
        return torch.zeros(shape, dtype=a.dtype, device=a.device)
    copies = -(-count // a.numel())
    return a.reshape(-1).repeat(copies)[:count].reshape(shape)
