"""Where values are, and whether they are near: searchsorted, take_along_axis, isclose."""

from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.bounds import check_signed
from regluon.ops.calling import by_name
from regluon.ops.infer import broadcast_bool, broadcast_shape
from regluon.ops.registry import Spec, register, spec_of
from regluon.ops.shape import one_axis


def _sorted_rule(
    a: Spec, v: Any, sorter: Spec | None = None, *, side: str = "left"
) -> tuple[Spec, ...]:
    if side not in ("left", "right"):
        raise MXNetError(f"searchsorted knows side='left' and 'right', not {side!r}")
    if len(a.shape) != 1:
        raise ShapeError(f"searchsorted searches a sorted vector, not shape {a.shape}")
    return (Spec(v.shape if isinstance(v, Spec) else (), torch.int64),)


@register(_sorted_rule, np="searchsorted", differentiable="")
@by_name
def searchsorted(a: Tensor, v: Tensor, side: str = "left", sorter: Tensor | None = None) -> Tensor:
    """Return where the elements of `v` would be inserted in a sorted vector to keep it sorted.

    side: "left" is in front of equal elements, "right" behind them. sorter: the indices that sort
    `a`, if it is not sorted itself.

    >>> np.searchsorted(np.array([1, 2, 2, 3]), np.array([2, 5])).asnumpy().tolist()
    [1, 4]
    """
    _sorted_rule(spec_of(a), None, side=side)
    ordered = a if sorter is None else a[sorter.long()]
    dtype = torch.result_type(a, v)
    values = torch.as_tensor(v, dtype=dtype, device=a.device)
    return torch.searchsorted(ordered.to(dtype).contiguous(), values.contiguous(), side=side)


def _along_rule(arr: Spec, indices: Spec, axis: int | None) -> tuple[Spec, ...]:
    if axis is None:
        if len(indices.shape) != 1:
            raise ShapeError(f"axis=None takes a vector of indices, not shape {indices.shape}")
        return (Spec(indices.shape, arr.dtype),)
    if len(arr.shape) != len(indices.shape):
        raise ShapeError(
            f"indices of shape {indices.shape} need as many axes as the array of {arr.shape}"
        )
    at = one_axis(axis, len(arr.shape))
    alone = Spec((*arr.shape[:at], 1, *arr.shape[at + 1 :]), arr.dtype)
    like = Spec((*indices.shape[:at], 1, *indices.shape[at + 1 :]), arr.dtype)
    shape = broadcast_shape(alone, like)
    return (Spec((*shape[:at], indices.shape[at], *shape[at + 1 :]), arr.dtype),)


def _along_check(arr: Tensor, indices: Tensor, axis: int | None) -> None:
    length = arr.numel() if axis is None else arr.shape[one_axis(axis, arr.dim())]
    check_signed(indices, length)


@register(_along_rule, np="take_along_axis", differentiable="arr", check=_along_check)
def take_along_axis(arr: Tensor, indices: Tensor, axis: int | None) -> Tensor:
    """Return the elements along an axis at the places `indices`, which `np.argsort` may give.

    indices: as many axes as `arr`, the others broadcast; of the flattened array if `axis` is None.

    >>> x = np.array([[3, 1, 2]])
    >>> np.take_along_axis(x, np.argsort(x, axis=1), axis=1).asnumpy().tolist()
    [[1.0, 2.0, 3.0]]
    """
    _along_rule(spec_of(arr), spec_of(indices), axis)
    source, at = (arr.reshape(-1), 0) if axis is None else (arr, one_axis(axis, arr.dim()))
    whole = indices.long()
    return torch.take_along_dim(source, torch.where(whole < 0, whole + source.shape[at], whole), at)


@register(broadcast_bool, np="isclose", differentiable="")
def isclose(
    a: Tensor, b: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Say where |a - b| <= atol + rtol |b|; NaN is near to NaN only if `equal_nan`.

    >>> np.isclose(np.array([1.0, 2.0]), np.array([1.000001, 2.1])).asnumpy().tolist()
    [True, False]
    """
    dtype = torch.result_type(a, b)
    device = (a if isinstance(a, Tensor) else b).device
    first, second = (torch.as_tensor(x, dtype=dtype, device=device) for x in (a, b))
    return torch.isclose(first, second, rtol, atol, equal_nan)
