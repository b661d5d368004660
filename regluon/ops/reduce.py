"""Reductions: sums, means, extremes, norms and positions over some or all axes.

In `nd` the reduction over all axes has shape (1,), `exclude` turns the choice of axes round, and
positions come in the dtype of the data. In `np` it has shape (), and positions are int64. Means,
norms and spreads of integers are float32.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.calling import by_name
from regluon.ops.dtype import torch_dtype
from regluon.ops.math import named
from regluon.ops.registry import Infer, Spec, register


Axis = int | Sequence[int] | None
Kernel = Callable[[Tensor, tuple[int, ...], bool], Tensor]
DType = Callable[[torch.dtype], torch.dtype]


def chosen_axes(rank: int, axis: Axis, exclude: bool = False) -> tuple[int, ...]:
    """Return the axes of an array of `rank` that are meant, in order; None means all of them.

    >>> chosen_axes(3, -1), chosen_axes(3, (0, 1), exclude=True), chosen_axes(2, None)
    ((2,), (2,), (0, 1))
    """
    if axis is None:
        return tuple(range(rank))
    if type(axis) is int and 0 <= axis < rank and not exclude:
        return (axis,)
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    axes = sorted(a + rank if a < 0 else a for a in given)
    if axes and not 0 <= axes[0] <= axes[-1] < rank:
        raise ShapeError(f"axis {axis} is out of range for an array of {rank} dimensions")
    if len(set(axes)) < len(axes):
        raise ShapeError(f"axis {axis} names the same axis twice")
    return tuple(a for a in range(rank) if (a in axes) != exclude)


def reduced_shape(shape: Sequence[int], axes: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    """Return the shape without `axes`, or with length 1 there.

    >>> reduced_shape((2, 3, 4), (1,), False), reduced_shape((2, 3, 4), (1,), True)
    ((2, 4), (2, 1, 4))
    """
    if keepdims:
        return tuple(1 if a in axes else length for a, length in enumerate(shape))
    return tuple(length for a, length in enumerate(shape) if a not in axes)


def _reduce(kernel: Kernel, data: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """Run a kernel; torch takes no axes for all, so a new axis of length 1 stands for none."""
    if axes:
        return kernel(data, axes, keepdims)
    return kernel(data.unsqueeze(-1), (data.dim(),), False)


def _keep(dtype: torch.dtype) -> torch.dtype:
    return dtype


def _real(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_floating_point else torch.float32


def _counted(dtype: torch.dtype) -> torch.dtype:
    return torch.int64 if dtype == torch.bool else dtype


def _position(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of positions in nd: the data's, if it can hold them."""
    return dtype if dtype.itemsize >= 4 else torch.float32


def _int64(dtype: torch.dtype) -> torch.dtype:
    return torch.int64


def _bool(dtype: torch.dtype) -> torch.dtype:
    return torch.bool


def _rule_nd(dtype: DType) -> Infer:
    def rule(
        data: Spec, axis: Axis = None, keepdims: bool = False, exclude: bool = False, **rest: Any
    ) -> tuple[Spec, ...]:
        axes = chosen_axes(len(data.shape), _none_if_empty(axis), exclude)
        shape = reduced_shape(data.shape, axes, keepdims) or (1,)
        asked = rest.get("out_dtype")
        return (Spec(shape, torch_dtype(asked) if asked else dtype(data.dtype)),)

    return rule


def _rule_np(default: DType) -> Infer:
    def rule(
        a: Spec, axis: Axis = None, dtype: Any = None, keepdims: bool = False, **rest: Any
    ) -> tuple[Spec, ...]:
        shape = reduced_shape(a.shape, chosen_axes(len(a.shape), axis), keepdims)
        return (Spec(shape, torch_dtype(dtype) if dtype else default(a.dtype)),)

    return rule


def _none_if_empty(axis: Axis) -> Axis:
    return None if isinstance(axis, (tuple, list)) and not axis else axis


def _sum(data: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    dtype = None if data.is_floating_point() else data.dtype
    return torch.sum(data, axes, keepdims, dtype=dtype)


def _whole_sum(data: Tensor) -> Tensor:
    return data.sum_to_size(1) if data.dim() > 1 else torch.sum(data)


def _mean(data: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return torch.mean(data if data.is_floating_point() else data.float(), axes, keepdims)


def _prod(data: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    for axis in reversed(axes):
        data = torch.prod(data, axis, keepdims, dtype=data.dtype)
    return data


def _nansum(data: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return _sum(torch.where(torch.isnan(data), 0, data), axes, keepdims)


def _nanprod(data: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return _prod(torch.where(torch.isnan(data), 1, data), axes, keepdims)


def _reduction(
    name: str,
    kernel: Kernel,
    dtype: DType,
    doc: str,
    names: str = "",
    total: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Record a reduction of nd; `total` does it faster for all elements of floats."""

    def for_nd(
        data: Tensor, axis: Axis = None, keepdims: bool = False, exclude: bool = False
    ) -> Tensor:
        if axis is None and total and not (keepdims or exclude) and data.is_floating_point():
            result = total(data)
        else:
            axes = chosen_axes(data.dim(), _none_if_empty(axis), exclude)
            result = _reduce(kernel, data, axes, keepdims)
        return result if result.dim() else result.view(1)

    named(for_nd, name, f"{doc}\n\n{_ND_AXES}")
    register(_rule_nd(dtype), nd=f"{name} {names}", symbol=name)(for_nd)


_ND_AXES = """axis: one axis, several, or None for all, which gives shape (1,). exclude: reduce over
all axes but those. keepdims: reduced axes stay, with length 1."""

_reduction("sum", _sum, _keep, "Add up the elements over axes.", "sum_axis", _whole_sum)
_reduction("mean", _mean, _real, "Average the elements over axes.", total=torch.mean)
_reduction("prod", _prod, _keep, "Multiply the elements over axes.")
_reduction("nansum", _nansum, _keep, "Add up the elements over axes, NaN taken as 0.")
_reduction("nanprod", _nanprod, _keep, "Multiply the elements over axes, NaN taken as 1.")
_TIES = " Elements that are equal share the gradient."
_reduction("max", torch.amax, _keep, f"Return the largest element over axes.{_TIES}", "max_axis")
_reduction("min", torch.amin, _keep, f"Return the smallest element over axes.{_TIES}", "min_axis")


@register(_rule_nd(_real), nd="norm", symbol="norm")
def norm_nd(
    data: Tensor,
    ord: int = 2,
    axis: Axis = None,
    out_dtype: Any = None,
    keepdims: bool = False,
) -> Tensor:
    """Return the L1 (`ord=1`) or L2 norm (`ord=2`) of the elements over axes.

    >>> nd.norm(nd.array([3, 4])).asnumpy().tolist()
    [5.0]
    """
    if ord not in (1, 2):
        raise MXNetError(f"nd.norm knows ord=1 and ord=2, not {ord}; np.linalg.norm knows more")
    axes = chosen_axes(data.dim(), _none_if_empty(axis))
    dtype = torch_dtype(out_dtype) if out_dtype else _real(data.dtype)
    result: Tensor = torch.linalg.vector_norm(data.to(dtype), ord, axes, keepdims)
    return result if result.dim() else result.unsqueeze(0)


def _located(fn: Callable[..., Tensor], data: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    if data.numel() == 0:
        raise ShapeError(
            f"an array of shape {tuple(data.shape)} has no largest or smallest element"
        )
    if axis is None and keepdims:
        return fn(data).reshape((1,) * data.dim())
    if axis is not None:
        chosen_axes(data.dim(), axis)
    return fn(data, axis, keepdims)


@register(_rule_nd(_position), nd="argmax", symbol="argmax", differentiable="")
def argmax(data: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return where the largest element is along an axis, or in all; the first of equals wins.

    The positions have the dtype of the data, or float32 where that has less than 32 bits.

    >>> nd.argmax(nd.array([[1, 3, 2], [6, 5, 4]]), axis=1).asnumpy().tolist()
    [1.0, 0.0]
    """
    found = _located(torch.argmax, data, axis, keepdims).to(_position(data.dtype))
    return found if found.dim() else found.unsqueeze(0)


@register(_rule_nd(_position), nd="argmin", symbol="argmin", differentiable="")
def argmin(data: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return where the smallest element is along an axis, or in all; the first of equals wins.

    The positions have the dtype of the data, or float32 where that has less than 32 bits.
    """
    found = _located(torch.argmin, data, axis, keepdims).to(_position(data.dtype))
    return found if found.dim() else found.unsqueeze(0)


@register(_rule_np(_int64), np="argmax", symbol="_npi_argmax", differentiable="")
def argmax_np(a: Tensor, axis: int | None = None) -> Tensor:
    """Return where the largest element is along an axis, or in all; the first of equals wins.

    >>> np.argmax(np.array([[1, 3, 2], [6, 5, 4]]), axis=1).asnumpy().tolist()
    [1, 0]
    """
    return _located(torch.argmax, a, axis, False)


@register(_rule_np(_int64), np="argmin", symbol="_npi_argmin", differentiable="")
def argmin_np(a: Tensor, axis: int | None = None) -> Tensor:
    """Return where the smallest element is along an axis, or in all; the first of equals wins."""
    return _located(torch.argmin, a, axis, False)


def _as(data: Tensor, dtype: Any, default: DType) -> Tensor:
    return data.to(torch_dtype(dtype) if dtype else default(data.dtype))


@register(_rule_np(_counted), np="sum", symbol="_np_sum")
def sum_np(
    a: Tensor,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    initial: float | None = None,
) -> Tensor:
    """Add up the elements over one axis, several, or all, and `initial`; booleans count as int64.

    >>> np.sum(np.array([[1, 2], [3, 4]]), axis=0).asnumpy().tolist()
    [4.0, 6.0]
    """
    total = _reduce(_sum, _as(a, dtype, _counted), chosen_axes(a.dim(), axis), keepdims)
    return total if initial is None else total + total.new_tensor(initial)


@register(_rule_np(_counted), np="prod product", symbol="_np_prod")
def prod_np(a: Tensor, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Multiply the elements over one axis, several, or all."""
    return _reduce(_prod, _as(a, dtype, _counted), chosen_axes(a.dim(), axis), keepdims)


def _in_floats(kernel: Kernel, a: Tensor, axis: Axis, dtype: Any, keepdims: bool) -> Tensor:
    """Compute in a floating-point dtype, and give the result the one asked for."""
    asked = torch_dtype(dtype) if dtype else _real(a.dtype)
    work = asked if asked.is_floating_point else _real(a.dtype)
    return _reduce(kernel, a.to(work), chosen_axes(a.dim(), axis), keepdims).to(asked)


@register(_rule_np(_real), np="mean", symbol="_npi_mean")
def mean_np(a: Tensor, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Average the elements over one axis, several, or all; means of integers are float32."""
    return _in_floats(torch.mean, a, axis, dtype, keepdims)


def _variance(ddof: int) -> Kernel:
    def variance(data: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
        spread = torch.var(data, axes, correction=0, keepdim=keepdims)
        count = math.prod(data.shape[axis] for axis in axes)
        return spread * count / (count - ddof) if ddof else spread

    return variance


def _deviation(ddof: int) -> Kernel:
    def deviation(data: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
        wide = data.float() if data.dtype.itemsize < 4 else data  # squares are below float16's
        return torch.sqrt(_variance(ddof)(wide, axes, keepdims))

    return deviation


@register(_rule_np(_real), np="var", symbol="_npi_var")
def var_np(
    a: Tensor, axis: Axis = None, dtype: Any = None, ddof: int = 0, keepdims: bool = False
) -> Tensor:
    """Return the variance over one axis, several, or all: squared distances over count - `ddof`."""
    return _in_floats(_variance(ddof), a, axis, dtype, keepdims)


@register(_rule_np(_real), np="std", symbol="_npi_std")
def std_np(
    a: Tensor, axis: Axis = None, dtype: Any = None, ddof: int = 0, keepdims: bool = False
) -> Tensor:
    """Return the standard deviation over one axis, several, or all: the root of the variance."""
    return _in_floats(_deviation(ddof), a, axis, dtype, keepdims)


@register(_rule_np(_keep), np="max amax", symbol="_np_max")
def max_np(a: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the largest element over axes; elements that are equal share the gradient."""
    return _reduce(torch.amax, a, chosen_axes(a.dim(), axis), keepdims)


@register(_rule_np(_keep), np="min amin", symbol="_np_min")
def min_np(a: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the smallest element over axes; elements that are equal share the gradient."""
    return _reduce(torch.amin, a, chosen_axes(a.dim(), axis), keepdims)


@register(_rule_np(_bool), np="any sometrue", symbol="_np_any", differentiable="")
def any_np(a: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Say whether any element over axes is other than zero."""
    return _reduce(torch.any, a.bool(), chosen_axes(a.dim(), axis), keepdims)


@register(_rule_np(_bool), np="all alltrue", symbol="_np_all", differentiable="")
def all_np(a: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Say whether all elements over axes are other than zero."""
    return _reduce(torch.all, a.bool(), chosen_axes(a.dim(), axis), keepdims)


def _cumsum_rule(a: Spec, axis: int | None = None, dtype: Any = None) -> tuple[Spec, ...]:
    shape = (math.prod(a.shape),) if axis is None else a.shape
    return (Spec(shape, torch_dtype(dtype) if dtype else _counted(a.dtype)),)


@register(_cumsum_rule, nd="cumsum", np="cumsum", symbol="_np_cumsum")
def cumsum(a: Tensor, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Return running sums along an axis, or of the flattened array.

    >>> np.cumsum(np.array([1, 2, 3])).asnumpy().tolist()
    [1.0, 3.0, 6.0]
    """
    if axis is None:
        a, axis = a.reshape(-1), 0
    chosen_axes(a.dim(), axis)
    asked = torch_dtype(dtype) if dtype else _counted(a.dtype)
    return torch.cumsum(a, axis, dtype=asked)


def _average_rule(
    a: Spec, weights: Spec | None = None, *, axis: Axis = None, returned: bool = False
) -> tuple[Spec, ...]:
    dtype = a.dtype if weights is None else torch.promote_types(a.dtype, weights.dtype)
    shape = reduced_shape(a.shape, chosen_axes(len(a.shape), axis), False)
    return (Spec(shape, _real(dtype)),) * (2 if returned else 1)


@register(_average_rule, np="average", symbol="_npi_average", outputs=2)
@by_name
def average(
    a: Tensor, axis: Axis = None, weights: Tensor | None = None, returned: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Return the weighted average over axes and, if `returned`, the sum of the weights with it.

    weights: of the shape of `a`, or one-dimensional along the one `axis`; all equal if None.

    >>> float(np.average(np.array([1, 4]), weights=np.array([2, 1])))
    2.0
    """
    axes = chosen_axes(a.dim(), axis)
    if weights is None:
        weights = torch.ones((), dtype=_real(a.dtype), device=a.device)
    elif weights.shape != a.shape:
        if len(axes) != 1 or weights.shape != (a.shape[axes[0]],):
            raise ShapeError(
                f"weights of shape {tuple(weights.shape)} fit neither the array's shape "
                f"{tuple(a.shape)} nor its axis {axis}"
            )
        weights = weights.reshape([-1 if at == axes[0] else 1 for at in range(a.dim())])
    weights = weights.to(_real(torch.promote_types(a.dtype, weights.dtype))).expand(a.shape)
    total = _reduce(_sum, weights, axes, False)
    result = _reduce(_sum, a * weights, axes, False) / total
    return (result, total) if returned else result
