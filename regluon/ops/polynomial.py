"""Polynomials by their coefficients, the highest power first."""

from typing import Any

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.infer import promoted
from regluon.ops.math import alike
from regluon.ops.registry import Spec, register, spec_of


def _rule(p: Spec, x: Any) -> tuple[Spec, ...]:
    if len(p.shape) != 1:
        raise ShapeError(f"the coefficients of a polynomial are a vector, not of shape {p.shape}")
    shape = x.shape if isinstance(x, Spec) else ()
    return (Spec(shape, promoted(p, x)),)


@register(_rule, np="polyval", symbol="_npi_polyval")
def polyval(p: Tensor, x: Tensor) -> Tensor:
    """Return the value at each element of `x` of the polynomial with the coefficients `p`.

    By Horner's rule; p: a vector, the coefficient of the highest power first.

    >>> float(np.polyval(np.array([3, 0, 1]), 5))
    76.0
    """
    _rule(spec_of(p), x)
    p, x = alike(p, x)
    shape = x.shape if isinstance(x, Tensor) else ()
    value = torch.zeros(shape, dtype=torch.result_type(p, x), device=p.device)
    for coefficient in p.unbind():
        value = value * x + coefficient
    return value
