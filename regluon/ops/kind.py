"""Kinds of arrays: the casts of mixed precision, storage types, and shapes as arrays."""

from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError
from regluon.ops.dtype import torch_dtype
from regluon.ops.infer import same
from regluon.ops.registry import Spec, register


def _amp_rule(data: Spec, dtype: Any) -> tuple[Spec, ...]:
    return (Spec(data.shape, torch_dtype(dtype) if data.dtype.is_floating_point else data.dtype),)


@register(_amp_rule, nd="amp_cast", symbol="amp_cast")
def amp_cast(data: Tensor, dtype: Any) -> Tensor:
    """Convert an array of floating-point numbers to another dtype; others stay as they are.

    >>> nd.amp_cast(nd.ones(2), dtype="float16").dtype.__name__
    'float16'
    """
    return data.to(torch_dtype(dtype) if data.is_floating_point() else data.dtype, copy=True)


def _common(dtypes: list[torch.dtype], narrow: bool) -> torch.dtype | None:
    floats = [dtype for dtype in dtypes if dtype.is_floating_point]
    return (min if narrow else max)(floats, key=lambda dtype: dtype.itemsize, default=None)


def _multicast_rule(*data: Spec, cast_narrow: bool = False, **attrs: Any) -> tuple[Spec, ...]:
    common = _common([array.dtype for array in data], cast_narrow)
    return tuple(
        Spec(array.shape, common if common and array.dtype.is_floating_point else array.dtype)
        for array in data
    )


@register(
    _multicast_rule,
    nd="amp_multicast",
    symbol="amp_multicast",
    outputs=lambda num_outputs=None, **attrs: num_outputs or 1,
)
def amp_multicast(
    *data: Tensor, num_outputs: int | None = None, cast_narrow: bool = False
) -> list[Tensor]:
    """Convert all arrays of floating-point numbers to the widest of their dtypes, or the narrowest.

    >>> pair = nd.ones(2), nd.ones(2, dtype="float64")
    >>> [x.dtype.__name__ for x in nd.amp_multicast(*pair, num_outputs=2)]
    ['float64', 'float64']
    """
    specs = _multicast_rule(*(Spec((), array.dtype) for array in data), cast_narrow=cast_narrow)
    return [array.to(spec.dtype, copy=True) for array, spec in zip(data, specs, strict=True)]


def check_storage(stype: str | None) -> None:
    """Raise unless a storage type is "default" or None: arrays are dense."""
    if stype in ("row_sparse", "csr"):
        raise MXNetError(f"arrays are dense: there is no storage type {stype!r}")
    if stype not in ("default", None):
        raise MXNetError(f"a storage type is 'default', 'row_sparse' or 'csr', not {stype!r}")


@register(same, nd="cast_storage", symbol="cast_storage", view="lazy copy")
def cast_storage(data: Tensor, stype: str) -> Tensor:
    """Return the array in a storage type, of which there is one: "default", which is dense."""
    check_storage(stype)
    return data.view_as(data)


def _shape_rule(data: Spec) -> tuple[Spec, ...]:
    return (Spec((len(data.shape),), torch.int64),)


@register(_shape_rule, nd="shape_array", npx="shape_array", symbol="shape_array", differentiable="")
def shape_array(data: Tensor) -> Tensor:
    """Return the length of every axis, as int64.

    >>> nd.shape_array(nd.ones((2, 3))).asnumpy().tolist()
    [2, 3]
    """
    return torch.tensor(data.shape, dtype=torch.int64, device=data.device)


def _size_rule(data: Spec) -> tuple[Spec, ...]:
    return (Spec((1,), torch.int64),)


@register(_size_rule, nd="size_array", symbol="size_array", differentiable="")
def size_array(data: Tensor) -> Tensor:
    """Return the number of elements, as int64 (1,)."""
    return torch.tensor([data.numel()], dtype=torch.int64, device=data.device)
