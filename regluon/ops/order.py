"""Sorting: sort, argsort, topk, unique. Equal elements keep their order."""

import math
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.dtype import torch_dtype
from regluon.ops.registry import Spec, register
from regluon.ops.shape import Shape, one_axis


def _flat(data: Tensor, axis: int | None) -> tuple[Tensor, int]:
    """Return what is sorted, and along which axis: None means the flattened array."""
    if axis is None:
        return data.reshape(-1), 0
    return data, one_axis(axis, data.dim())


def _ordered_shape(old: Shape, axis: int | None) -> Shape:
    if axis is not None:
        one_axis(axis, len(old))
    return (math.prod(old),) if axis is None else tuple(old)


def _sort(data: Tensor, axis: int | None, ascending: bool) -> tuple[Tensor, Tensor]:
    source, at = _flat(data, axis)
    values, places = torch.sort(source, dim=at, descending=not ascending, stable=True)
    return values, places


def _sort_rule(data: Spec, axis: int | None = -1, **rest: Any) -> tuple[Spec, ...]:
    return (Spec(_ordered_shape(data.shape, axis), data.dtype),)


@register(_sort_rule, nd="sort", symbol="sort")
def sort(data: Tensor, axis: int | None = -1, is_ascend: bool = True) -> Tensor:
    """Sort along an axis, or the flattened array.

    >>> nd.sort(nd.array([2, 3, 1]), is_ascend=False).asnumpy().tolist()
    [3.0, 2.0, 1.0]
    """
    return _sort(data, axis, is_ascend)[0]


@register(_sort_rule, np="sort", symbol="_npi_sort")
def sort_np(
    a: Tensor, axis: int | None = -1, kind: str | None = None, order: None = None
) -> Tensor:
    """Sort along an axis, or the flattened array; `kind` changes nothing: the sort is stable."""
    return _sort(a, axis, True)[0]


def _argsort_rule(
    data: Spec, axis: int | None = -1, is_ascend: bool = True, dtype: Any = "float32"
) -> tuple[Spec, ...]:
    return (Spec(_ordered_shape(data.shape, axis), torch_dtype(dtype)),)


@register(_argsort_rule, nd="argsort", symbol="argsort", differentiable="")
def argsort(
    data: Tensor, axis: int | None = -1, is_ascend: bool = True, dtype: Any = "float32"
) -> Tensor:
    """Return the places that the sorted elements have had, as numbers of `dtype`.

    >>> nd.argsort(nd.array([2, 3, 1])).asnumpy().tolist()
    [2.0, 0.0, 1.0]
    """
    return _sort(data, axis, is_ascend)[1].to(torch_dtype(dtype))


def _argsort_np_rule(a: Spec, axis: int | None = -1, **rest: Any) -> tuple[Spec, ...]:
    return (Spec(_ordered_shape(a.shape, axis), torch.int64),)


@register(_argsort_np_rule, np="argsort", symbol="_npi_argsort", differentiable="")
def argsort_np(
    a: Tensor, axis: int | None = -1, kind: str | None = None, order: None = None
) -> Tensor:
    """Return the places that the sorted elements have had, as int64."""
    return _sort(a, axis, True)[1]


_RETURNS = ("indices", "value", "both", "mask")


def _kept(length: int, k: int, ret_typ: str) -> int:
    if ret_typ not in _RETURNS:
        raise MXNetError(f"topk returns one of {', '.join(_RETURNS)}, not {ret_typ!r}")
    if k > length:
        raise ShapeError(f"topk: k={k} of an axis of length {length}")
    return int(k) if k > 0 else length


def _topk_rule(
    data: Spec,
    axis: int | None = -1,
    k: int = 1,
    ret_typ: str = "indices",
    is_ascend: bool = False,
    dtype: Any = "float32",
) -> tuple[Spec, ...]:
    shape = list(_ordered_shape(data.shape, axis))
    at = 0 if axis is None else one_axis(axis, len(shape))
    shape[at] = _kept(shape[at], k, ret_typ)
    values, places = Spec(tuple(shape), data.dtype), Spec(tuple(shape), torch_dtype(dtype))
    if ret_typ == "mask":
        return (data,)
    return {"indices": (places,), "value": (values,), "both": (values, places)}[ret_typ]


@register(_topk_rule, nd="topk", npx="topk", symbol="topk", outputs=2)
def topk(
    data: Tensor,
    axis: int | None = -1,
    k: int = 1,
    ret_typ: str = "indices",
    is_ascend: bool = False,
    dtype: Any = "float32",
) -> Tensor | tuple[Tensor, Tensor]:
    """Return the `k` largest elements along an axis, or the smallest if `is_ascend`, in order.

    ret_typ: "indices" (as numbers of `dtype`), "value", "both" (values, indices) or "mask" (1 where
    an element is among them). k: 0 or less means all. Of equal elements, the first ones are taken.

    >>> nd.topk(nd.array([[1, 3, 2]]), k=2).asnumpy().tolist()
    [[1.0, 2.0]]
    """
    source, at = _flat(data, axis)
    count = _kept(source.shape[at], k, ret_typ)
    values, places = _sort(source, at, is_ascend)
    values, places = values.narrow(at, 0, count), places.narrow(at, 0, count)
    if ret_typ == "mask":
        return torch.zeros_like(source).scatter(at, places, 1).reshape(data.shape)
    numbers = places.to(torch_dtype(dtype))
    if ret_typ == "both":
        return values.contiguous(), numbers
    return numbers if ret_typ == "indices" else values.contiguous()


def _unique_rule(ar: Spec, **attrs: Any) -> tuple[Spec, ...]:
    raise MXNetError("how many different elements there are depends on the values")


@register(
    _unique_rule, np="unique", symbol="_npi_unique", outputs=4, differentiable="", dynamic=True
)
def unique(
    ar: Tensor,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
) -> Tensor | tuple[Tensor, ...]:
    """Return the different elements, or slices along an axis, sorted; the call waits for its input.

    On request there follow, as int64: where each appears first, which of them each element of `ar`
    is, and how often each appears.

    >>> values, counts = np.unique(np.array([3, 1, 3]), return_counts=True)
    >>> values.asnumpy().tolist(), counts.asnumpy().tolist()
    ([1.0, 3.0], [1, 2])
    """
    values: Tensor
    values, inverse, counts = torch.unique(ar, return_inverse=True, return_counts=True, dim=axis)
    inverse = inverse.reshape(-1)
    if not (return_index or return_inverse or return_counts):
        return values
    places = torch.arange(len(inverse), device=ar.device)
    first = torch.full((len(counts),), len(inverse), device=ar.device)
    first = first.scatter_reduce(0, inverse, places, "amin")
    asked = ((return_index, first), (return_inverse, inverse), (return_counts, counts))
    return (values, *(extra for wanted, extra in asked if wanted))
