"""Diagonals and triangles of matrices: diag, diagonal, diagflat, trace, tril, diag_indices_from."""

import math

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.registry import Spec, register, spec_of
from regluon.ops.shape import Shape, one_axis, shaped


def _diagonal_shape(old: Shape, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Shape:
    """Return the shape without two axes, and with the length of their diagonal at the end."""
    if len(old) < 2:
        raise ShapeError(f"a diagonal needs at least two axes, not shape {tuple(old)}")
    first, second = one_axis(axis1, len(old)), one_axis(axis2, len(old))
    if first == second:
        raise ShapeError(f"a diagonal needs two different axes, not {axis1} and {axis2}")
    length = min(old[first] + min(offset, 0), old[second] - max(offset, 0))
    rest = (a for at, a in enumerate(old) if at not in (first, second))
    return (*rest, max(length, 0))


def _filled_shape(old: Shape, k: int = 0) -> Shape:
    length = math.prod(old) + abs(k)
    return (length, length)


def _nd_shape(old: Shape, k: int = 0, axis1: int = 0, axis2: int = 1) -> Shape:
    return _filled_shape(old, k) if len(old) == 1 else _diagonal_shape(old, k, axis1, axis2)


def _np_shape(old: Shape, k: int = 0) -> Shape:
    if len(old) > 2:
        raise ShapeError(f"np.diag takes a vector or a matrix, not shape {tuple(old)}; np.diagonal "
                         "takes any array of two axes or more")  # fmt: skip
    return _nd_shape(old, k)


@register(shaped(_nd_shape), nd="diag", symbol="diag", view="lazy copy")
def diag(data: Tensor, k: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Return diagonal `k` of a matrix, or a matrix with a vector on its diagonal `k`.

    Of arrays with more axes, `axis1` and `axis2` are the rows and columns of the matrices; their
    diagonals lie along the last axis of the result. k: 0 is the main diagonal, positive above it.

    >>> nd.diag(nd.array([[1, 2], [3, 4]])).asnumpy().tolist()
    [1.0, 4.0]
    >>> nd.diag(nd.array([1, 2]), k=1).shape
    (3, 3)
    """
    _nd_shape(tuple(data.shape), k, axis1, axis2)
    return torch.diag(data, k) if data.dim() == 1 else torch.diagonal(data, k, axis1, axis2)


@register(shaped(_np_shape), np="diag", symbol="_np_diag", view="lazy copy")
def diag_np(array: Tensor, k: int = 0) -> Tensor:
    """Return diagonal `k` of a matrix, or a matrix with a vector on its diagonal `k`."""
    _np_shape(tuple(array.shape), k)
    return torch.diag(array, k) if array.dim() == 1 else torch.diagonal(array, k)


@register(shaped(_filled_shape), np="diagflat", symbol="_np_diagflat")
def diagflat(array: Tensor, k: int = 0) -> Tensor:
    """Return a matrix with the elements of an array, flattened, on its diagonal `k`.

    >>> np.diagflat(np.array([[1, 2], [3, 4]])).shape
    (4, 4)
    """
    return torch.diagflat(array, k)


@register(shaped(_diagonal_shape), np="diagonal", symbol="_np_diagonal", view="lazy copy")
def diagonal(a: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Return the diagonals of the matrices that `axis1` and `axis2` span, along the last axis.

    >>> np.diagonal(np.ones((2, 3, 4)), axis1=1, axis2=2).shape
    (2, 3)
    """
    _diagonal_shape(tuple(a.shape), offset, axis1, axis2)
    return torch.diagonal(a, offset, axis1, axis2)


def _summed(dtype: torch.dtype) -> torch.dtype:
    return torch.int64 if dtype == torch.bool else dtype


def _trace_rule(a: Spec, offset: int = 0, axis1: int = 0, axis2: int = 1) -> tuple[Spec, ...]:
    shape = _diagonal_shape(a.shape, offset, axis1, axis2)
    return (Spec(shape[:-1], _summed(a.dtype)),)


@register(_trace_rule, np="trace", symbol="_np_trace")
def trace(a: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Add up the diagonals of the matrices that `axis1` and `axis2` span.

    >>> float(np.trace(np.array([[1, 2], [3, 4]])))
    5.0
    """
    return diagonal(a, offset, axis1, axis2).sum(-1, dtype=_summed(a.dtype))


def _tril_shape(old: Shape, k: int = 0) -> Shape:
    if not old:
        raise ShapeError("tril needs at least one axis, not an array of shape ()")
    return (*old, *old) if len(old) == 1 else tuple(old)


@register(shaped(_tril_shape), np="tril", symbol="_npi_tril")
def tril(m: Tensor, k: int = 0) -> Tensor:
    """Return matrices with zeros above their diagonal `k`; a vector is every row of a matrix.

    >>> np.tril(np.ones((2, 2))).asnumpy().tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return torch.tril(m.expand(_tril_shape(tuple(m.shape))), k)


def _indices_rule(arr: Spec) -> tuple[Spec, ...]:
    if len(arr.shape) < 2 or len(set(arr.shape)) > 1:
        raise ShapeError(f"diag_indices_from needs two or more axes of one length, not {arr.shape}")
    return (Spec(arr.shape[:1], torch.int64),) * len(arr.shape)


@register(
    _indices_rule,
    np="diag_indices_from",
    symbol="_npi_diag_indices_from",
    outputs=lambda **attrs: 2,
    differentiable="",
)
def diag_indices_from(arr: Tensor) -> tuple[Tensor, ...]:
    """Return the index arrays of the main diagonal, one int64 array per axis.

    >>> [axis.asnumpy().tolist() for axis in np.diag_indices_from(np.ones((2, 2)))]
    [[0, 1], [0, 1]]
    """
    specs = _indices_rule(spec_of(arr))
    return tuple(torch.arange(arr.shape[0], device=arr.device) for _ in specs)
