"""Arrays spread over a grid, and places on it: meshgrid, broadcast_arrays, unravel_index."""

import math
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError
from regluon.ops.bounds import check_below
from regluon.ops.infer import broadcast_shape
from regluon.ops.registry import Spec, register, spec_of
from regluon.ops.shape import Shape, Sizes, as_tuple


def _order(count: int, indexing: str) -> list[int]:
    """Return the axes of a grid in the order in which its arrays come."""
    if indexing not in ("xy", "ij"):
        raise MXNetError(f"meshgrid knows indexing='xy' and 'ij', not {indexing!r}")
    axes = list(range(count))
    if indexing == "xy" and count > 1:
        axes[0], axes[1] = 1, 0
    return axes


def _grid_shapes(lengths: list[int], indexing: str) -> tuple[list[Shape], Shape]:
    """Return the shape of every array alone along its axis, and that of the grid."""
    order = _order(len(lengths), indexing)
    alone = []
    full = [1] * len(lengths)
    for axis, length in zip(order, lengths, strict=True):
        full[axis] = length
        alone.append(tuple(length if at == axis else 1 for at in range(len(lengths))))
    return alone, tuple(full)


def _meshgrid_rule(
    *xi: Spec, indexing: str = "xy", sparse: bool = False, copy: bool = True
) -> tuple[Spec, ...]:
    alone, full = _grid_shapes([math.prod(x.shape) for x in xi], indexing)
    shapes = alone if sparse else [full] * len(xi)
    return tuple(Spec(shape, x.dtype) for shape, x in zip(shapes, xi, strict=True))


@register(_meshgrid_rule, np="meshgrid", outputs=lambda **attrs: 1)
def meshgrid(
    *xi: Tensor, indexing: str = "xy", sparse: bool = False, copy: bool = True
) -> list[Tensor]:
    """Return a list with the coordinates of a grid, one array for each vector of coordinates.

    indexing: "xy" gives arrays of shape (len(y), len(x), ...), "ij" of shape (len(x), len(y), ...).
    sparse: each array has its own axis only, the others have length 1. copy: always.

    >>> x, y = np.meshgrid(np.arange(3), np.arange(2))
    >>> x.asnumpy().tolist(), y.asnumpy().tolist()
    ([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]], [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    """
    alone, full = _grid_shapes([x.numel() for x in xi], indexing)
    grids = [x.reshape(shape) for x, shape in zip(xi, alone, strict=True)]
    return [grid.clone() if sparse else grid.expand(full).clone() for grid in grids]


def _broadcast_rule(*args: Spec, **attrs: Any) -> tuple[Spec, ...]:
    shape = broadcast_shape(*args)
    return tuple(Spec(shape, array.dtype) for array in args)


@register(_broadcast_rule, np="broadcast_arrays", outputs=lambda **attrs: 1)
def broadcast_arrays(*args: Tensor) -> list[Tensor]:
    """Return a list of the arrays, each repeated to the shape that all of them have together.

    >>> [x.shape for x in np.broadcast_arrays(np.ones(3), np.ones((2, 1)))]
    [(2, 3), (2, 3)]
    """
    shape = broadcast_shape(*(spec_of(array) for array in args))
    return [array.expand(shape).clone() for array in args]


def _unravel_rule(indices: Spec, shape: Sizes, order: str = "C") -> tuple[Spec, ...]:
    if order != "C":
        raise MXNetError(f"unravel_index knows order='C' only, not {order!r}")
    return (indices,) * len(as_tuple(shape))


def _unravel_check(indices: Tensor, shape: Sizes, order: str = "C") -> None:
    check_below(indices, math.prod(as_tuple(shape)), "index")


@register(
    _unravel_rule,
    np="unravel_index",
    symbol="_npi_unravel_index_fallback",
    outputs=lambda **attrs: 1,
    differentiable="",
    check=_unravel_check,
)
def unravel_index(indices: Tensor, shape: Sizes, order: str = "C") -> tuple[Tensor, ...]:
    """Return where elements of the flattened array lie in one of `shape`: an array for each axis.

    >>> [axis.asnumpy().tolist() for axis in np.unravel_index(np.array([1, 5]), (2, 3))]
    [[0.0, 1.0], [1.0, 2.0]]
    """
    _unravel_rule(spec_of(indices), shape, order)
    places = torch.unravel_index(indices.long(), as_tuple(shape))
    return tuple(place.to(indices.dtype) for place in places)
