"""Repeating arrays along axes: broadcasting, tiling, repeating, and axes added in front."""

from typing import Any

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.registry import Spec, register
from regluon.ops.shape import Shape, Sizes, as_tuple, one_axis, shaped


def _target(old: Shape, shape: Sizes) -> Shape:
    """Return the shape to broadcast to, in which 0 keeps a length."""
    wanted = as_tuple(shape)
    extra = len(wanted) - len(old)
    padded = (1,) * extra + tuple(old)
    filled = tuple(a if b == 0 else b for a, b in zip(padded, wanted, strict=False))
    if extra < 0 or any(a not in (1, b) for a, b in zip(padded, filled, strict=True)):
        raise ShapeError(f"an array of shape {tuple(old)} cannot be broadcast to {wanted}")
    return filled


@register(shaped(_target), nd="broadcast_to", symbol="broadcast_to", view="lazy copy")
def broadcast_to(data: Tensor, shape: Sizes) -> Tensor:
    """Repeat axes of length 1 until the array has `shape`, in which 0 keeps a length.

    >>> nd.broadcast_to(nd.ones((1, 3)), shape=(2, 0)).shape
    (2, 3)
    """
    return data.expand(_target(tuple(data.shape), shape))


@register(shaped(_target), np="broadcast_to", symbol="_npi_broadcast_to", view="lazy copy")
def broadcast_to_np(array: Tensor, shape: Sizes) -> Tensor:
    """Repeat axes of length 1, and add axes in front, until the array has `shape`."""
    return array.expand(_target(tuple(array.shape), shape))


def _widened(old: Shape, axis: Sizes = (), size: Sizes = ()) -> Shape:
    shape = list(old)
    for one, length in zip(as_tuple(axis), as_tuple(size), strict=True):
        shape[one_axis(one, len(shape))] = length
    return _target(old, shape)


@register(
    shaped(_widened),
    nd="broadcast_axis broadcast_axes",
    symbol="broadcast_axis",
    view="lazy copy",
)
def broadcast_axis(data: Tensor, axis: Sizes = (), size: Sizes = ()) -> Tensor:
    """Repeat axes of length 1 to the sizes given.

    >>> nd.broadcast_axis(nd.ones((1, 3, 1)), axis=(0, 2), size=(2, 4)).shape
    (2, 3, 4)
    """
    return data.expand(_widened(tuple(data.shape), axis, size))


def _alike(
    old: Shape, like: Shape, lhs_axes: Sizes | None = None, rhs_axes: Sizes | None = None
) -> Shape:
    if lhs_axes is None or rhs_axes is None:
        return _target(old, like)
    sizes = tuple(like[one_axis(axis, len(like))] for axis in as_tuple(rhs_axes))
    return _widened(old, lhs_axes, sizes)


@register(
    shaped(_alike),
    nd="broadcast_like",
    symbol="broadcast_like",
    differentiable="lhs",
    view="lazy copy",
)
def broadcast_like(
    lhs: Tensor, rhs: Tensor, lhs_axes: Sizes | None = None, rhs_axes: Sizes | None = None
) -> Tensor:
    """Broadcast `lhs` to the shape of `rhs`, or only some axes to some lengths of `rhs`.

    >>> nd.broadcast_like(nd.ones((1, 3)), nd.ones((5, 2)), lhs_axes=0, rhs_axes=1).shape
    (2, 3)
    """
    return lhs.expand(_alike(tuple(lhs.shape), tuple(rhs.shape), lhs_axes, rhs_axes))


def _counts(times: Sizes) -> Shape:
    if any(count < 0 for count in as_tuple(times)):
        raise ShapeError(f"a number of copies cannot be negative: {times}")
    return as_tuple(times)


def _tiled(old: Shape, reps: Sizes) -> Shape:
    times = _counts(reps)
    rank = max(len(old), len(times))
    lengths = (1,) * (rank - len(old)) + tuple(old)
    times = (1,) * (rank - len(times)) + times
    return tuple(a * b for a, b in zip(lengths, times, strict=True))


@register(shaped(_tiled), nd="tile", symbol="tile")
def tile(data: Tensor, reps: Sizes) -> Tensor:
    """Lay copies of an array side by side, `reps` times along each axis, the last ones first.

    >>> nd.tile(nd.array([1, 2]), reps=(2, 2)).shape
    (2, 4)
    """
    return data.tile(as_tuple(reps)) if as_tuple(reps) else data.clone()


@register(shaped(_tiled), np="tile", symbol="_npi_tile")
def tile_np(A: Tensor, reps: Sizes) -> Tensor:
    """Lay copies of an array side by side, `reps` times along each axis, the last ones first."""
    return tile(A, reps)


def _repeated(old: Shape, repeats: Sizes, axis: int | None = None) -> Shape:
    flat = 1
    for length in old:
        flat *= length
    lengths = [flat] if axis is None else list(old)
    at = 0 if axis is None else one_axis(axis, len(old))
    times = _counts(repeats)
    if len(times) not in (1, lengths[at]):
        raise ShapeError(f"{len(times)} repeats do not fit an axis of length {lengths[at]}")
    lengths[at] = sum(times) if len(times) > 1 else lengths[at] * times[0]
    return tuple(lengths)


def _repeat(data: Tensor, repeats: Sizes, axis: int | None) -> Tensor:
    _repeated(tuple(data.shape), repeats, axis)
    times = as_tuple(repeats)
    counts = times[0] if len(times) == 1 else torch.tensor(times, device=data.device)
    return torch.repeat_interleave(data, counts, axis)


@register(shaped(_repeated), nd="repeat", symbol="repeat")
def repeat(data: Tensor, repeats: Sizes, axis: int | None = None) -> Tensor:
    """Repeat each element, along an axis or of the flattened array.

    >>> nd.repeat(nd.array([1, 2]), repeats=2).asnumpy().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    return _repeat(data, repeats, axis)


@register(shaped(_repeated), np="repeat", symbol="repeat")
def repeat_np(a: Tensor, repeats: Sizes, axis: int | None = None) -> Tensor:
    """Repeat each element, along an axis or of the flattened array; `repeats` may be one each."""
    return _repeat(a, repeats, axis)


def _at_least(rank: int) -> Any:
    def shape_of(old: Shape) -> Shape:
        if len(old) >= rank:
            return tuple(old)
        if rank < 3 or not old:
            return (1,) * (rank - len(old)) + tuple(old)
        return (1, *old, 1) if len(old) == 1 else (*old, 1)

    def rule(*arys: Spec) -> tuple[Spec, ...]:
        return tuple(Spec(shape_of(array.shape), array.dtype) for array in arys)

    def at_least(*arys: Tensor) -> Tensor | tuple[Tensor, ...]:
        copies = tuple(array.clone().reshape(shape_of(tuple(array.shape))) for array in arys)
        return copies[0] if len(copies) == 1 else copies

    at_least.__name__ = f"atleast_{rank}d"
    at_least.__doc__ = f"Return arrays with at least {rank} axes, one for each given."
    register(rule, np=at_least.__name__, symbol=f"_np_{at_least.__name__}")(at_least)


for _rank in (1, 2, 3):
    _at_least(_rank)
