"""Counts: of elements other than zero, of each whole number, of the elements in each bin."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import DTypeError, MXNetError, OutOfRangeError, ShapeError
from regluon.ops.calling import by_name
from regluon.ops.reduce import Axis, chosen_axes, reduced_shape
from regluon.ops.registry import Spec, register


def _nonzero_rule(a: Spec, axis: Axis = None, keepdims: bool = False) -> tuple[Spec, ...]:
    shape = reduced_shape(a.shape, chosen_axes(len(a.shape), axis), keepdims)
    return (Spec(shape, torch.int64),)


@register(_nonzero_rule, np="count_nonzero", differentiable="")
def count_nonzero(a: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return how many elements over axes are other than zero, as int64.

    >>> int(np.count_nonzero(np.array([0, 1, 2])))
    2
    """
    return torch.sum(a != 0, chosen_axes(a.dim(), axis), keepdims)


def _bincount_rule(x: Spec, weights: Any = None, minlength: int = 0) -> tuple[Spec, ...]:
    raise MXNetError("the length of the result depends on the largest value")


@register(_bincount_rule, np="bincount", symbol="_npi_bincount", differentiable="", dynamic=True)
def bincount(x: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """Return how often each of 0, 1, 2, ... occurs in a vector of whole numbers; the call waits.

    weights: added up instead of counted, in their dtype. minlength: the result has at least this
    length. Counts have the dtype of `x`.

    >>> np.bincount(np.array([1, 3, 1], dtype="int32")).asnumpy().tolist()
    [0, 2, 0, 1]
    """
    if x.dtype.is_floating_point:
        raise DTypeError(f"bincount takes whole numbers, not {x.dtype}; use astype('int64')")
    if x.dim() != 1 or (weights is not None and weights.shape != x.shape):
        shapes = [tuple(array.shape) for array in (x, weights) if array is not None]
        raise ShapeError(f"bincount takes a vector, and weights of its length, not {shapes}")
    if x.numel() and int(x.min()) < 0:
        raise OutOfRangeError(f"bincount takes numbers of 0 or more, not {int(x.min())}")
    if weights is None:
        return torch.bincount(x, minlength=minlength).to(x.dtype)
    return torch.bincount(x, weights, minlength).to(weights.dtype)


def _edge_count(bins: Any) -> int:
    if isinstance(bins, (Spec, Tensor)):
        if len(bins.shape) != 1 or bins.shape[0] < 2:
            raise ShapeError(f"bins need a vector of two edges or more, not {tuple(bins.shape)}")
        return bins.shape[0]
    if bins < 1:
        raise MXNetError(f"a histogram needs one bin or more, not {bins}")
    return int(bins) + 1


def _edge_dtype(data: Any, bins: Any) -> torch.dtype:
    dtype: torch.dtype = data.dtype
    if isinstance(bins, (Spec, Tensor)):
        return bins.dtype
    return dtype if dtype.is_floating_point else torch.float32


def _edges(data: Tensor, bins: Any, limits: Sequence[float] | None) -> Tensor:
    """Return the edges of the bins; without limits they reach from the smallest element on."""
    if isinstance(bins, Tensor):
        return bins.clone()
    if limits is None:
        low, high = (float(end) for end in torch.aminmax(data)) if data.numel() else (0.0, 1.0)
    else:
        low, high = limits
    if low > high or not math.isfinite(high - low):
        raise MXNetError(f"a histogram needs a finite range, from low to high, not {low}, {high}")
    if low == high:
        low, high = low - 0.5, high + 0.5
    steps = torch.linspace(low, high, int(bins) + 1, dtype=torch.float64, device=data.device)
    return steps.to(_edge_dtype(data, bins))


def _tally(data: Tensor, edges: Tensor, weights: Tensor | None) -> Tensor:
    """Count, or add up the weights of, the elements from each edge up to the next."""
    if weights is not None and weights.shape != data.shape:
        shapes = f"{tuple(weights.shape)} for an array of shape {tuple(data.shape)}"
        raise ShapeError(f"a histogram takes a weight for each element, not weights of {shapes}")
    places = torch.searchsorted(edges.double(), data.reshape(-1).double(), right=True) - 1
    places[data.reshape(-1) == edges[-1]] = len(edges) - 2  # the last bin has its upper edge too
    inside = (places >= 0) & (places < len(edges) - 1)
    weighed = None if weights is None else weights.reshape(-1)[inside]
    counted = torch.bincount(places[inside], weighed, len(edges) - 1)
    return counted if weights is None else counted.to(weights.dtype)


def _histogram_rule(
    a: Spec,
    bins: Any = 10,
    weights: Spec | None = None,
    *,
    range: Sequence[float] | None = None,
    normed: bool | None = None,
    density: bool | None = None,
) -> tuple[Spec, ...]:
    edges = _edge_count(bins)
    dtype = torch.int64 if weights is None else weights.dtype
    return (
        Spec((edges - 1,), torch.float32 if density else dtype),
        Spec((edges,), _edge_dtype(a, bins)),
    )


@register(_histogram_rule, np="histogram", symbol="_npi_histogram", outputs=2, differentiable="")
@by_name
def histogram(
    a: Tensor,
    bins: Tensor | int = 10,
    range: Sequence[float] | None = None,
    normed: bool | None = None,
    weights: Tensor | None = None,
    density: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Return how many elements lie in each bin (int64), and the edges of the bins.

    bins: how many of equal width, or their edges. range: from where to where; from the smallest to
    the largest element if None. Elements outside are left out; the last bin has its upper edge too.
    weights: added up instead of counted. density: counts are divided by the width of their bin and
    by the sum of all counts. normed: use `density`.

    >>> counts, edges = np.histogram(np.array([1, 2, 2, 4]), bins=2, range=(0, 4))
    >>> counts.asnumpy().tolist(), edges.asnumpy().tolist()
    ([1, 3], [0.0, 2.0, 4.0])
    """
    if normed:
        raise MXNetError("histogram knows no normed=True any more; density=True is what it meant")
    _edge_count(bins)
    edges = _edges(a, bins, range)
    counts = _tally(a, edges, weights)
    if density:
        counts = (counts / counts.sum() / torch.diff(edges.double())).to(torch.float32)
    return counts, edges


@register(_histogram_rule, nd="histogram", symbol="_histogram", outputs=2, differentiable="")
def histogram_nd(
    a: Tensor, bins: Tensor | int = 10, range: Sequence[float] | None = None
) -> tuple[Tensor, Tensor]:
    """Return how many elements lie in each bin (int64), and the edges of the bins.

    bins: how many of equal width, or their edges. range: from where to where; from the smallest to
    the largest element if None. Elements outside are left out.
    """
    _edge_count(bins)
    edges = _edges(a, bins, range)
    return _tally(a, edges, None), edges
