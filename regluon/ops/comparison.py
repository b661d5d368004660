"""Comparison and logic: in `nd` 1 and 0 of the array's dtype, in `np` True and False.

Numbers are compared by their value, also with integer arrays.
"""

from typing import Any

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.infer import broadcast_bool
from regluon.ops.math import Function, broadcast_nd, named
from regluon.ops.registry import Spec, register


def _comparison(name: str, fn: Function, swapped: Function, doc: str, *, nd: str, np: str) -> None:
    """Record an operator for nd and, as `<name>_np`, for np; `swapped` is for a number first."""

    def for_np(lhs: Tensor, rhs: Tensor) -> Tensor:
        return fn(lhs, rhs) if isinstance(lhs, Tensor) else swapped(rhs, lhs)

    def for_nd(lhs: Tensor, rhs: Tensor) -> Tensor:
        return for_np(lhs, rhs).to(_nd_dtype(lhs, rhs))

    named(for_nd, name, f"{doc}, as 1 or 0.")
    named(for_np, f"{name}_np", f"{doc}.")
    register(broadcast_nd, nd=nd, symbol=nd.split()[-1], differentiable="")(for_nd)
    np_symbol = "" if np.startswith("logical") else f"_npi_{np}"  # MXNet's np has no logic
    register(broadcast_bool, np=np, symbol=np_symbol, differentiable="")(for_np)


def _nd_dtype(lhs: Any, rhs: Any) -> torch.dtype:
    """Return the dtype of nd's answer: that of the array or arrays."""
    if isinstance(lhs, Tensor) and isinstance(rhs, Tensor):
        return torch.promote_types(lhs.dtype, rhs.dtype)
    dtype: torch.dtype = lhs.dtype if isinstance(lhs, Tensor) else rhs.dtype
    return torch.int64 if dtype == torch.bool else dtype


def _logical(fn: Function) -> Function:
    """Let a logical function of torch accept a number as its second operand."""

    def logical(lhs: Tensor, rhs: Any) -> Tensor:
        if not isinstance(rhs, Tensor):
            rhs = torch.scalar_tensor(bool(rhs), dtype=torch.bool, device=lhs.device)
        return fn(lhs, rhs)

    return logical


_and = _logical(torch.logical_and)
_or = _logical(torch.logical_or)
_xor = _logical(torch.logical_xor)

_comparison(
    "equal",
    torch.eq,
    torch.eq,
    "Say where two values are equal",
    nd="equal broadcast_equal",
    np="equal",
)
_comparison(
    "not_equal",
    torch.ne,
    torch.ne,
    "Say where two values differ",
    nd="not_equal broadcast_not_equal",
    np="not_equal",
)
_comparison(
    "greater",
    torch.gt,
    torch.lt,
    "Say where `lhs` is greater than `rhs`",
    nd="greater broadcast_greater",
    np="greater",
)
_comparison(
    "greater_equal",
    torch.ge,
    torch.le,
    "Say where `lhs` is greater than `rhs` or equal",
    nd="greater_equal broadcast_greater_equal",
    np="greater_equal",
)
_comparison(
    "less",
    torch.lt,
    torch.gt,
    "Say where `lhs` is less than `rhs`",
    nd="less lesser broadcast_lesser",
    np="less",
)
_comparison(
    "less_equal",
    torch.le,
    torch.ge,
    "Say where `lhs` is less than `rhs` or equal",
    nd="less_equal lesser_equal broadcast_lesser_equal",
    np="less_equal",
)
_comparison(
    "logical_and",
    _and,
    _and,
    "Say where both values are other than zero",
    nd="logical_and broadcast_logical_and",
    np="logical_and",
)
_comparison(
    "logical_or",
    _or,
    _or,
    "Say where at least one value is other than zero",
    nd="logical_or broadcast_logical_or",
    np="logical_or",
)
_comparison(
    "logical_xor",
    _xor,
    _xor,
    "Say where exactly one value is other than zero",
    nd="logical_xor broadcast_logical_xor",
    np="logical_xor",
)


def _close_infer(a: Tensor | Spec, b: Tensor | Spec, **rest: Any) -> tuple[Spec, ...]:
    if a.shape != b.shape:
        raise ShapeError(
            f"allclose compares arrays of one shape, not {tuple(a.shape)} and {tuple(b.shape)}"
        )
    return (Spec((1,), torch.uint8),)


@register(
    _close_infer,
    also={"nd.contrib": "allclose"},
    symbol="_contrib_allclose",
    differentiable="",
)
def allclose(
    a: Tensor, b: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = True
) -> Tensor:
    """Say as 1 or 0 whether |a - b| <= atol + rtol * |b| for all elements.

    >>> nd.contrib.allclose(nd.array([1, 2]), nd.array([1, 2.1])).item()
    0
    """
    _close_infer(a, b)
    return torch.isclose(a, b, rtol, atol, equal_nan).all().to(torch.uint8).reshape(1)
