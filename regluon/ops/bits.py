"""Whole numbers by their bits and factors: and, or, exclusive or, not, lcm; and ldexp.

Booleans count as one bit, so that the bitwise functions are logic on them.
"""

from typing import Any

import torch
from torch import Tensor

from regluon.base import DTypeError
from regluon.ops.infer import broadcast, same
from regluon.ops.math import Function, alike, broadcast_real, named
from regluon.ops.registry import Spec, register


def _check_whole(name: str, *values: Any) -> None:
    """Raise unless all operands are integers or booleans."""
    for value in values:
        known = isinstance(value, (Spec, Tensor))
        dtype = value.dtype if known else torch.as_tensor(value).dtype
        if dtype.is_floating_point:
            kind = str(dtype).removeprefix("torch.")
            raise DTypeError(f"{name} takes integers or booleans, not {kind}; use astype first")


def _bitwise(name: str, fn: Function, doc: str) -> None:
    def rule(x1: Any, x2: Any) -> tuple[Spec, ...]:
        _check_whole(name, x1, x2)
        return broadcast(x1, x2)

    def pair(x1: Tensor, x2: Tensor) -> Tensor:
        _check_whole(name, x1, x2)
        return fn(*alike(x1, x2))

    named(pair, name, doc)
    register(rule, np=name, symbol=f"_npi_{name}", differentiable="")(pair)


def _lcm(x1: Any, x2: Any) -> Tensor:
    dtype = torch.result_type(x1, x2)
    device = (x1 if isinstance(x1, Tensor) else x2).device
    first, second = (torch.as_tensor(x, dtype=dtype, device=device) for x in (x1, x2))
    return torch.lcm(first, second)


_bitwise(
    "bitwise_and",
    torch.bitwise_and,
    """Return the bits that both values have; either may be a number.

    >>> np.bitwise_and(np.array([1, 2, 7], dtype="int32"), 3).asnumpy().tolist()
    [1, 2, 3]
    """,
)
_bitwise("bitwise_or", torch.bitwise_or, "Return the bits that at least one value has.")
_bitwise("bitwise_xor", torch.bitwise_xor, "Return the bits that exactly one value has.")
_bitwise("lcm", _lcm, "Return the least common multiple of two whole numbers; never negative.")


def _not_rule(x: Spec) -> tuple[Spec, ...]:
    _check_whole("bitwise_not", x)
    return same(x)


@register(_not_rule, np="bitwise_not invert", symbol="_npi_bitwise_not", differentiable="")
def bitwise_not(x: Tensor) -> Tensor:
    """Return the bits that a value does not have: -x - 1 of signed integers, not x of booleans.

    >>> np.bitwise_not(np.array([0, 5], dtype="int32")).asnumpy().tolist()
    [-1, -6]
    """
    _check_whole("bitwise_not", x)
    return torch.bitwise_not(x)


@register(broadcast_real, np="ldexp", symbol="_npi_ldexp")
def ldexp(x1: Tensor, x2: Tensor) -> Tensor:
    """Return `x1` times two to the power `x2`, with broadcasting; integers become float32.

    >>> np.ldexp(np.array([5]), np.array([1, 2, -1])).asnumpy().tolist()
    [10.0, 20.0, 2.5]
    """
    dtype = torch.result_type(x1, x2)
    real = dtype if dtype.is_floating_point else torch.float32
    device = (x1 if isinstance(x1, Tensor) else x2).device
    first, second = (torch.as_tensor(x, device=device).to(real) for x in (x1, x2))
    return first * torch.exp2(second)
