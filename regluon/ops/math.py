"""Element-wise arithmetic, comparison and functions: scalars, broadcasting, MXNet's dtype rules."""

import torch
from torch import Tensor

from regluon.ops.infer import broadcast
from regluon.ops.registry import register


@register(broadcast, nd="add broadcast_add broadcast_plus", np="add", symbol="broadcast_add")
def add(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Add two arrays, or an array and a number, with broadcasting."""
    return torch.add(lhs, rhs)


@register(broadcast, nd="multiply broadcast_mul", np="multiply", symbol="broadcast_mul")
def multiply(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Multiply two arrays, or an array and a number, with broadcasting."""
    return torch.mul(lhs, rhs)
