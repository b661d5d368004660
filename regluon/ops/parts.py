"""Parts of arrays by ranges, and turned ones: slice, slice_axis, slice_like, flip, roll, rot90."""

from collections.abc import Sequence

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.infer import checked, same
from regluon.ops.reduce import chosen_axes
from regluon.ops.registry import Spec, register
from regluon.ops.shape import Shape, Sizes, as_tuple, one_axis, shaped
from regluon.ops.slicing import slice_copy


Ends = int | None | Sequence[int | None]


def _ends(value: Ends) -> tuple[int | None, ...]:
    return tuple(value) if isinstance(value, Sequence) else (value,)


def _ranges(rank: int, begin: Ends, end: Ends, step: Ends = ()) -> list[slice]:
    begins, ends, steps = _ends(begin), _ends(end), _ends(step)
    if len(begins) != len(ends) or len(begins) > rank or len(steps) not in (0, len(begins)):
        raise ShapeError(
            f"slice: begin {begin}, end {end} and step {step} do not fit each other and {rank} axes"
        )
    return [slice(*item) for item in zip(begins, ends, steps or (None,) * len(begins), strict=True)]


def _sliced(old: Shape, begin: Ends, end: Ends, step: Ends = ()) -> Shape:
    ranges = _ranges(len(old), begin, end, step)
    lengths = [len(range(*r.indices(n))) for r, n in zip(ranges, old, strict=False)]
    return (*lengths, *old[len(lengths) :])


def _part(data: Tensor, ranges: Sequence[slice]) -> Tensor:
    return slice_copy(data, tuple(("slice", r.start, r.stop, r.step) for r in ranges))


@register(shaped(_sliced), nd="slice crop", npx="slice", symbol="slice", view="lazy copy")
def slice_range(data: Tensor, begin: Ends, end: Ends, step: Ends = ()) -> Tensor:
    """Return the part from `begin` to `end` on each of the first axes; None means up to the border.

    >>> nd.slice(nd.ones((4, 5, 6)), begin=(1, None), end=(3, None), step=(1, -2)).shape
    (2, 3, 6)
    """
    return _part(data, _ranges(data.dim(), begin, end, step))


def _axis_range(old: Shape, axis: int, begin: int, end: int | None) -> tuple[int, int, int]:
    at = one_axis(axis, len(old))
    length = old[at]
    stop = length if end is None else end + length if end < 0 else end
    start = begin + length if begin < 0 else begin
    if not 0 <= start < stop <= length:
        raise ShapeError(
            f"slice_axis: from {begin} to {end} is no range of axis {axis} of length {length}"
        )
    return at, start, stop


def _sliced_axis(old: Shape, axis: int, begin: int, end: int | None) -> Shape:
    at, start, stop = _axis_range(old, axis, begin, end)
    return (*old[:at], stop - start, *old[at + 1 :])


@register(shaped(_sliced_axis), nd="slice_axis", symbol="slice_axis", view="lazy copy")
def slice_axis(data: Tensor, axis: int, begin: int, end: int | None) -> Tensor:
    """Return the part from `begin` to `end` on one axis; an `end` of None is the border.

    >>> nd.slice_axis(nd.ones((2, 5)), axis=1, begin=-3, end=None).shape
    (2, 3)
    """
    at, start, stop = _axis_range(tuple(data.shape), axis, begin, end)
    return data.narrow(at, start, stop - start)


def _sliced_like(old: Shape, like: Shape, axes: Sizes = ()) -> Shape:
    if not as_tuple(axes) and len(old) != len(like):
        raise ShapeError(f"slice_like without axes needs equal ranks, not {old} and {like}")
    shape = list(old)
    for axis in as_tuple(axes) or range(len(old)):
        at = one_axis(axis, len(old))
        shape[at] = like[one_axis(axis, len(like))]
        if shape[at] > old[at]:
            raise ShapeError(f"slice_like: {like} is longer than {old} on axis {axis}")
    return tuple(shape)


@register(
    shaped(_sliced_like),
    nd="slice_like",
    symbol="slice_like",
    differentiable="data",
    view="lazy copy",
)
def slice_like(data: Tensor, shape_like: Tensor, axes: Sizes = ()) -> Tensor:
    """Cut an array to the lengths of another one, on the given axes or on all.

    >>> nd.slice_like(nd.ones((4, 5)), nd.ones((2, 3))).shape
    (2, 3)
    """
    shape = _sliced_like(tuple(data.shape), tuple(shape_like.shape), axes)
    return _part(data, [slice(0, length) for length in shape])


def _check_axes(data: Spec, axis: Sizes | None = None) -> None:
    chosen_axes(len(data.shape), axis if axis is None else as_tuple(axis))


@register(checked(same, _check_axes), nd="flip reverse", symbol="reverse")
def flip(data: Tensor, axis: Sizes) -> Tensor:
    """Reverse the order of elements along one or several axes.

    >>> nd.flip(nd.array([[1, 2], [3, 4]]), axis=1).asnumpy().tolist()
    [[2.0, 1.0], [4.0, 3.0]]
    """
    return torch.flip(data, chosen_axes(data.dim(), as_tuple(axis)))


@register(checked(same, _check_axes), np="flip", symbol="_npi_flip")
def flip_np(m: Tensor, axis: Sizes | None = None) -> Tensor:
    """Reverse the order of elements along one axis, several, or all."""
    return torch.flip(m, chosen_axes(m.dim(), axis))


@register(same, np="roll", symbol="_np_roll")
def roll(a: Tensor, shift: Sizes, axis: Sizes | None = None) -> Tensor:
    """Move elements along axes, or in the flattened array; those that leave enter at the other end.

    >>> np.roll(np.array([1, 2, 3]), 1).asnumpy().tolist()
    [3.0, 1.0, 2.0]
    """
    if axis is None:
        return torch.roll(a, sum(as_tuple(shift)))
    axes = [one_axis(one, a.dim()) for one in as_tuple(axis)]
    shifts = as_tuple(shift) * (len(axes) if isinstance(shift, int) else 1)
    if len(shifts) != len(axes):
        raise ShapeError(f"roll: {len(shifts)} shifts for {len(axes)} axes")
    return torch.roll(a, shifts, axes)


def _turned(old: Shape, k: int = 1, axes: Sequence[int] = (0, 1)) -> Shape:
    first, second = (one_axis(axis, len(old)) for axis in axes)
    shape = list(old)
    if k % 2:
        shape[first], shape[second] = shape[second], shape[first]
    return tuple(shape)


@register(shaped(_turned), np="rot90", symbol="_npi_rot90")
def rot90(m: Tensor, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Turn an array by 90 degrees, `k` times, in the plane from the first of `axes` to the second.

    >>> np.rot90(np.array([[1, 2], [3, 4]])).asnumpy().tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """
    return torch.rot90(m, k, [one_axis(axis, m.dim()) for axis in axes])
