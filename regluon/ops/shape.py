"""Other shapes and orders of the same elements: reshape, squeeze, transpose, move axes.

Every operator here computes a shape (or an order of axes) from a shape, which also is its `infer`
rule, and asks torch for a view with it; the result shares storage until somebody writes.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.reduce import chosen_axes
from regluon.ops.registry import Infer, Spec, register
from regluon.ops.reshape import complete_shape, infer_reshape


Shape = tuple[int, ...]
Sizes = int | Sequence[int]


def one_axis(axis: int, rank: int) -> int:
    """Return an axis counted from the front, or raise.

    >>> one_axis(-1, 3)
    2
    """
    axes = chosen_axes(rank, axis)
    if len(axes) != 1:
        raise ShapeError(f"one axis is needed here, not {axis}")
    return axes[0]


def as_tuple(value: Sizes | None) -> Shape:
    """Return one number or several as a tuple; None gives an empty one."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, Sequence) else (value,)


def shaped(shape_of: Callable[..., Shape]) -> Infer:
    """Make an infer rule of a function from shapes (and attributes) to the result's shape."""

    def rule(data: Spec, *others: Spec, **attrs: Any) -> tuple[Spec, ...]:
        shapes = [other.shape for other in others]
        return (Spec(shape_of(data.shape, *shapes, **attrs), data.dtype),)

    return rule


def _ordered(order_of: Callable[..., Shape]) -> Infer:
    def rule(data: Spec, **attrs: Any) -> tuple[Spec, ...]:
        order = order_of(len(data.shape), **attrs)
        return (Spec(tuple(data.shape[axis] for axis in order), data.dtype),)

    return rule


# Reshape


def _nd_shape(
    old: Shape,
    shape: Sizes = (),
    reverse: bool = False,
    target_shape: Sizes | None = None,
    keep_highest: bool = False,
) -> Shape:
    if as_tuple(shape):
        return infer_reshape(old, as_tuple(shape), bool(reverse))
    if not target_shape:
        raise ShapeError(f"reshape of an array of shape {tuple(old)} needs a `shape`")
    target = list(as_tuple(target_shape))
    if keep_highest:
        target[0] = old[0]
    return complete_shape(old, [-1 if length == 0 else length for length in target])


@register(shaped(_nd_shape), nd="reshape Reshape", symbol="Reshape", view="lazy copy")
def reshape(
    data: Tensor,
    shape: Sizes = (),
    reverse: bool = False,
    target_shape: Sizes | None = None,
    keep_highest: bool = False,
) -> Tensor:
    """Give an array another shape, which may contain codes.

    0 copies a length, -1 is what remains, -2 copies all further lengths, -3 multiplies two, -4
    splits one into the two that follow; `reverse` reads the codes from the right. `target_shape`
    and `keep_highest` are MXNet's oldest form, found in old files.

    >>> nd.reshape(nd.ones((2, 3, 4)), shape=(0, -3)).shape
    (2, 12)
    >>> nd.reshape(nd.ones((2, 3, 4)), shape=(-4, 1, 2, -2)).shape
    (1, 2, 3, 4)
    """
    return data.reshape(_nd_shape(tuple(data.shape), shape, reverse, target_shape, keep_highest))


def _np_shape(old: Shape, newshape: Sizes, order: str = "C") -> Shape:
    if order != "C":
        raise MXNetError(f"reshape knows order='C' only, not {order!r}")
    return complete_shape(old, as_tuple(newshape))


@register(shaped(_np_shape), np="reshape", symbol="_np_reshape", view="lazy copy")
def reshape_np(a: Tensor, newshape: Sizes, order: str = "C") -> Tensor:
    """Give an array another shape; one length may be -1, which is what remains.

    >>> np.reshape(np.ones((2, 6)), (3, -1)).shape
    (3, 4)
    """
    return a.reshape(_np_shape(tuple(a.shape), newshape, order))


def _npx_shape(old: Shape, newshape: Sizes, reverse: bool = False, order: str = "C") -> Shape:
    codes = as_tuple(newshape)
    if reverse:
        return _npx_shape(old[::-1], codes[::-1])[::-1]
    result: list[int] = []
    at = place = 0
    while place < len(codes):
        code = codes[place]
        taken = {-2: 1, -3: 1, -4: len(old) - at, -5: 2, -6: 1}.get(code, 1)
        lengths = old[at : at + taken]
        if code < -1 and len(lengths) < taken:
            raise ShapeError(f"code {code} of {codes} asks for more axes than {old} has")
        if code in (-2, -4):
            result += lengths
        elif code == -3:
            if lengths[0] != 1:
                raise ShapeError(
                    f"code -3 of {codes} drops a length of 1, not {lengths[0]} of {old}"
                )
        elif code == -5:
            result.append(math.prod(lengths))
        elif code == -6:
            result += complete_shape(lengths, codes[place + 1 : place + 3])
            place += 2
        else:
            result.append(code)
        at += taken
        place += 1
    return complete_shape(old, result)


@register(shaped(_npx_shape), npx="reshape", symbol="_npx_reshape", view="lazy copy")
def reshape_npx(a: Tensor, newshape: Sizes, reverse: bool = False, order: str = "C") -> Tensor:
    """Give an array another shape, which may contain codes.

    -1 is what remains, -2 copies a length, -3 drops a length of 1, -4 copies all further lengths,
    -5 multiplies two, -6 splits one into the two that follow. `reverse` reads from the right, so
    that a -6 stands behind its two lengths.

    >>> npx.reshape(np.ones((2, 3, 4)), (-2, -5)).shape
    (2, 12)
    >>> npx.reshape(np.ones((8, 3)), (-6, 2, -1, -4)).shape
    (2, 4, 3)
    """
    return a.reshape(_npx_shape(tuple(a.shape), newshape, reverse, order))


def _like_shape(
    old: Shape,
    like: Shape,
    lhs_begin: int | None = None,
    lhs_end: int | None = None,
    rhs_begin: int | None = None,
    rhs_end: int | None = None,
) -> Shape:
    before = old[: slice(lhs_begin, None).indices(len(old))[0]]
    after = () if lhs_end is None else old[lhs_end:]
    return complete_shape(old, (*before, *like[rhs_begin:rhs_end], *after))


@register(
    shaped(_like_shape),
    nd="reshape_like",
    npx="reshape_like",
    symbol="reshape_like",
    differentiable="lhs",
    view="lazy copy",
)
def reshape_like(
    lhs: Tensor,
    rhs: Tensor,
    lhs_begin: int | None = None,
    lhs_end: int | None = None,
    rhs_begin: int | None = None,
    rhs_end: int | None = None,
) -> Tensor:
    """Give `lhs` the shape of `rhs`, or replace a range of its axes by a range of those of `rhs`.

    >>> x, y = nd.ones((30, 7)), nd.ones((15, 2, 4))
    >>> nd.reshape_like(x, y, lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=2).shape
    (15, 2, 7)
    """
    old, like = tuple(lhs.shape), tuple(rhs.shape)
    return lhs.reshape(_like_shape(old, like, lhs_begin, lhs_end, rhs_begin, rhs_end))


def _flat_shape(old: Shape) -> Shape:
    return (old[0], math.prod(old[1:]))


@register(
    shaped(_flat_shape),
    nd="flatten Flatten",
    npx="batch_flatten",
    symbol="Flatten",
    view="lazy copy",
)
def flatten(data: Tensor) -> Tensor:
    """Keep the first axis and merge all others into one.

    >>> nd.flatten(nd.ones((2, 3, 4))).shape
    (2, 12)
    """
    return data.reshape(_flat_shape(tuple(data.shape)))


def _ravel_shape(old: Shape, order: str = "C") -> Shape:
    return _np_shape(old, -1, order)


@register(shaped(_ravel_shape), np="ravel flatten", symbol="_np_reshape", view="lazy copy")
def ravel(x: Tensor, order: str = "C") -> Tensor:
    """Merge all axes into one."""
    return x.reshape(_ravel_shape(tuple(x.shape), order))


def _expanded_shape(old: Shape, axis: int) -> Shape:
    at = one_axis(axis, len(old) + 1)
    return (*old[:at], 1, *old[at:])


@register(shaped(_expanded_shape), nd="expand_dims", symbol="expand_dims", view="lazy copy")
def expand_dims(data: Tensor, axis: int) -> Tensor:
    """Insert an axis of length 1 so that it becomes number `axis`.

    >>> nd.expand_dims(nd.ones((2, 3)), axis=1).shape
    (2, 1, 3)
    """
    return data.reshape(_expanded_shape(tuple(data.shape), axis))


def _expanded_np(old: Shape, axis: Sizes) -> Shape:
    rank = len(old) + len(as_tuple(axis))
    axes, kept = chosen_axes(rank, axis), iter(old)
    return tuple(1 if place in axes else next(kept) for place in range(rank))


@register(shaped(_expanded_np), np="expand_dims", symbol="expand_dims", view="lazy copy")
def expand_dims_np(a: Tensor, axis: int | Sequence[int]) -> Tensor:
    """Insert axes of length 1, so that they become number `axis` of the result."""
    return a.reshape(_expanded_np(tuple(a.shape), axis))


def _squeezed_shape(old: Shape, axis: Sizes | None = None) -> Shape:
    if axis is None:
        return tuple(length for length in old if length != 1)
    axes = chosen_axes(len(old), axis)
    if any(old[a] != 1 for a in axes):
        raise ShapeError(f"only axes of length 1 can be dropped, not axis {axis} of {tuple(old)}")
    return tuple(length for a, length in enumerate(old) if a not in axes)


def _squeezed_nd(old: Shape, axis: Sizes | None = None) -> Shape:
    return _squeezed_shape(old, axis) or (1,)


@register(shaped(_squeezed_nd), nd="squeeze", symbol="squeeze", view="lazy copy")
def squeeze(data: Tensor, axis: Sizes | None = None) -> Tensor:
    """Drop all axes of length 1, or the given ones; at least one axis stays.

    >>> nd.squeeze(nd.ones((1, 3, 1))).shape, nd.squeeze(nd.ones((1, 3, 1)), axis=0).shape
    ((3,), (3, 1))
    """
    return data.reshape(_squeezed_nd(tuple(data.shape), axis))


@register(shaped(_squeezed_shape), np="squeeze", symbol="_np_squeeze", view="lazy copy")
def squeeze_np(a: Tensor, axis: Sizes | None = None) -> Tensor:
    """Drop all axes of length 1, or the given ones."""
    return a.reshape(_squeezed_shape(tuple(a.shape), axis))


# Order of axes


def _transposed(rank: int, axes: Sizes | None = None) -> Shape:
    given = as_tuple(axes)
    order = tuple(axis + rank if axis < 0 else axis for axis in given)
    if not given:
        return tuple(reversed(range(rank)))
    if sorted(order) != list(range(rank)):
        raise ShapeError(f"axes {given} are no order of the axes of an array of {rank} dimensions")
    return order


@register(_ordered(_transposed), nd="transpose", symbol="transpose", view="lazy copy")
def transpose(data: Tensor, axes: Sizes | None = None) -> Tensor:
    """Put the axes in another order; without `axes` in the reverse one.

    >>> nd.transpose(nd.ones((2, 3, 4)), axes=(1, 0, 2)).shape
    (3, 2, 4)
    """
    return data.permute(_transposed(data.dim(), axes))


@register(_ordered(_transposed), np="transpose", symbol="_np_transpose", view="lazy copy")
def transpose_np(a: Tensor, axes: Sizes | None = None) -> Tensor:
    """Put the axes in another order; without `axes` in the reverse one."""
    return a.permute(_transposed(a.dim(), axes))


def _swapped(rank: int, first: int, second: int) -> Shape:
    order = list(range(rank))
    one, other = one_axis(first, rank), one_axis(second, rank)
    order[one], order[other] = other, one
    return tuple(order)


def _swapped_nd(rank: int, dim1: int = 0, dim2: int = 0) -> Shape:
    return _swapped(rank, dim1, dim2)


def _swapped_np(rank: int, axis1: int, axis2: int) -> Shape:
    return _swapped(rank, axis1, axis2)


@register(_ordered(_swapped_nd), nd="swapaxes SwapAxis", symbol="SwapAxis", view="lazy copy")
def swapaxes(data: Tensor, dim1: int = 0, dim2: int = 0) -> Tensor:
    """Exchange two axes."""
    return data.permute(_swapped(data.dim(), dim1, dim2))


@register(_ordered(_swapped_np), np="swapaxes", symbol="SwapAxis", view="lazy copy")
def swapaxes_np(a: Tensor, axis1: int, axis2: int) -> Tensor:
    """Exchange two axes."""
    return a.permute(_swapped(a.dim(), axis1, axis2))


def _moved(rank: int, source: Sizes, destination: Sizes) -> Shape:
    sources = [one_axis(axis, rank) for axis in as_tuple(source)]
    targets = [one_axis(axis, rank) for axis in as_tuple(destination)]
    if len(set(sources)) != len(sources) or sorted(set(targets)) != sorted(targets):
        raise ShapeError(f"moveaxis names an axis twice: {source} to {destination}")
    if len(sources) != len(targets):
        raise ShapeError(f"moveaxis needs as many destinations as sources: {source}, {destination}")
    order = [axis for axis in range(rank) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return tuple(order)


@register(_ordered(_moved), nd="moveaxis", view="lazy copy")
def moveaxis_nd(tensor: Tensor, source: Sizes, destination: Sizes) -> Tensor:
    """Move axes to other places; the others keep their order."""
    return tensor.permute(_moved(tensor.dim(), source, destination))


@register(_ordered(_moved), np="moveaxis", symbol="_np_moveaxis", view="lazy copy")
def moveaxis(a: Tensor, source: Sizes, destination: Sizes) -> Tensor:
    """Move axes to other places; the others keep their order.

    >>> np.moveaxis(np.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    return a.permute(_moved(a.dim(), source, destination))


def _rolled(rank: int, axis: int, start: int = 0) -> Shape:
    chosen = one_axis(axis, rank)
    before = one_axis(start, rank + 1) if start >= 0 else one_axis(start, rank)
    order = [other for other in range(rank) if other != chosen]
    order.insert(before - (chosen < before), chosen)
    return tuple(order)


@register(_ordered(_rolled), np="rollaxis", view="lazy copy")
def rollaxis(a: Tensor, axis: int, start: int = 0) -> Tensor:
    """Move an axis back until it stands before axis number `start`."""
    return a.permute(_rolled(a.dim(), axis, start))
