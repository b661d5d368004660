"""Quantiles over axes: percentile, quantile, median; and ptp, from the smallest to the largest."""

from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, OutOfRangeError, ShapeError
from regluon.ops.reduce import Axis, chosen_axes, reduced_shape
from regluon.ops.registry import Spec, register


def _real(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of quantiles: float64 keeps its own, all others become float32."""
    return dtype if dtype == torch.float64 else torch.float32


_BETWEEN = ("linear", "lower", "higher", "nearest", "midpoint")


def _quantile_rule(
    a: Spec,
    q: Any,
    axis: Axis = None,
    overwrite_input: bool | None = None,
    interpolation: str = "linear",
    keepdims: bool = False,
) -> tuple[Spec, ...]:
    _check_between(interpolation)
    shape = reduced_shape(a.shape, chosen_axes(len(a.shape), axis), keepdims)
    return (Spec((*(q.shape if isinstance(q, Spec) else ()), *shape), _real(a.dtype)),)


def _check_between(interpolation: str) -> None:
    if interpolation not in _BETWEEN:
        raise MXNetError(f"a quantile knows {', '.join(_BETWEEN)}, not {interpolation!r}")


def _check_quantile(q: Any, highest: float) -> None:
    values = torch.as_tensor(q)
    if not bool(((values >= 0) & (values <= highest)).all()):
        raise OutOfRangeError(f"q must lie between 0 and {highest:g}, not {values.tolist()}")


def _quantile(data: Tensor, q: Any, axis: Axis, between: str, keepdims: bool) -> Tensor:
    """Return quantiles by sorting; `q` from 0 to 1. Torch's own take 16 million elements at most.

    Position q (n - 1) among n sorted elements is the quantile; `between` says what to do where it
    is no whole number. NaN anywhere makes it NaN.
    """
    _check_between(between)
    axes = chosen_axes(data.dim(), axis)
    shape = reduced_shape(data.shape, axes, keepdims)
    rest = [at for at in range(data.dim()) if at not in axes]
    lengths = [data.shape[at] for at in rest]
    rows = data.to(_real(data.dtype)).permute([*rest, *axes]).reshape(*lengths, -1)
    count = rows.shape[-1]
    if not count:
        raise ShapeError(f"an array of shape {tuple(data.shape)} has no quantiles")
    ordered = torch.sort(rows, -1).values.movedim(-1, 0)
    asked = torch.as_tensor(q, device=data.device).detach()
    at = asked.double().reshape(-1) * (count - 1)
    low, high = at.floor().long(), at.ceil().long()
    if between == "nearest":
        low = high = (at + 0.5).floor().long()  # halves up, as MXNet
    share = {"linear": at - low, "midpoint": (at - low).ceil() / 2, "higher": (at - low).ceil()}
    part = share.get(between, torch.zeros_like(at)).to(ordered)
    part = part.reshape(-1, *(1,) * len(lengths))
    values = torch.lerp(ordered[low], ordered[high], part.expand(-1, *lengths))
    values = torch.where(torch.isnan(ordered[-1]), ordered[-1], values)  # NaN is sorted last
    return values.reshape((*asked.shape, *shape))


def _percentile_check(a: Tensor, q: Any, **attrs: Any) -> None:
    _check_quantile(q, 100)


@register(
    _quantile_rule,
    np="percentile",
    symbol="_npi_percentile",
    differentiable="a",
    check=_percentile_check,
)
def percentile(
    a: Tensor,
    q: Tensor,
    axis: Axis = None,
    overwrite_input: bool | None = None,
    interpolation: str = "linear",
    keepdims: bool = False,
) -> Tensor:
    """Return the values below which `q` percent of the elements over axes lie.

    q: from 0 to 100; an array gives one result after another along new first axes. interpolation:
    between two elements "linear", "lower", "higher", "nearest" or "midpoint". The result is
    float32, or float64 of float64. `overwrite_input` changes nothing.

    >>> float(np.percentile(np.array([1, 2, 3, 4]), 50))
    2.5
    """
    share = torch.as_tensor(q, device=a.device).double() / 100
    return _quantile(a, share, axis, interpolation, keepdims)


def _fraction_check(a: Tensor, q: Any, **attrs: Any) -> None:
    _check_quantile(q, 1)


@register(
    _quantile_rule,
    np="quantile",
    symbol="_npi_percentile",
    differentiable="a",
    check=_fraction_check,
)
def quantile(
    a: Tensor,
    q: Tensor,
    axis: Axis = None,
    overwrite_input: bool | None = None,
    interpolation: str = "linear",
    keepdims: bool = False,
) -> Tensor:
    """Return the values below which the share `q` of the elements over axes lies: see percentile.

    >>> np.quantile(np.array([1, 2, 3]), np.array([0, 0.25, 1])).asnumpy().tolist()
    [1.0, 1.5, 3.0]
    """
    return _quantile(a, q, axis, interpolation, keepdims)


def _median_rule(a: Spec, axis: Axis = None, **rest: Any) -> tuple[Spec, ...]:
    return _quantile_rule(a, 0.5, axis=axis, keepdims=rest.get("keepdims", False))


@register(_median_rule, np="median")
def median(
    a: Tensor, axis: Axis = None, overwrite_input: bool | None = None, keepdims: bool = False
) -> Tensor:
    """Return the value in the middle of the elements over axes, or the mean of the two there.

    >>> float(np.median(np.array([7, 1, 2])))
    2.0
    """
    return _quantile(a, 0.5, axis, "linear", keepdims)


def _range_rule(a: Spec, axis: Axis = None, keepdims: bool = False) -> tuple[Spec, ...]:
    return (Spec(reduced_shape(a.shape, chosen_axes(len(a.shape), axis), keepdims), a.dtype),)


@register(_range_rule, np="ptp")
def ptp(a: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the largest element over axes minus the smallest ("peak to peak")."""
    axes = chosen_axes(a.dim(), axis)
    return torch.amax(a, axes, keepdims) - torch.amin(a, axes, keepdims)
