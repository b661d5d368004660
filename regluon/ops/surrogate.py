"""Functions whose gradient is another than their own: straight through, or scaled on its way."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from regluon.ops.infer import same
from regluon.ops.registry import register
from regluon.ops.unary import half_away


def _scaled(data: Tensor, result: Tensor, scale: float) -> Tensor:
    apply: Callable[..., Tensor] = _Scaled.apply
    return apply(data, result, scale)


class _Scaled(torch.autograd.Function):
    """Return `result`; the gradient that flows in goes to `data`, times `scale`."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, result: Tensor, scale: float) -> Tensor:
        """Return the result, and keep the scale."""
        ctx.scale = scale
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, *heads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the scaled gradient."""
        return heads[0] * ctx.scale, None, None


@register(same, also={"nd.contrib": "round_ste"}, symbol="_contrib_round_ste")
def round_ste(data: Tensor) -> Tensor:
    """Round, halves away from zero, with the gradient of the identity; Bengio et al. 2013.

    >>> nd.contrib.round_ste(nd.array([0.5, -1.7])).asnumpy().tolist()
    [1.0, -2.0]
    """
    return _scaled(data, half_away(data.detach()), 1.0)


@register(same, also={"nd.contrib": "sign_ste"}, symbol="_contrib_sign_ste")
def sign_ste(data: Tensor) -> Tensor:
    """Return the sign, with the gradient of the identity."""
    return _scaled(data, data.detach().sign(), 1.0)


@register(
    same,
    also={"nd.contrib": "gradientmultiplier"},
    symbol="_contrib_gradientmultiplier",
    view="lazy copy",
)
def gradientmultiplier(data: Tensor, scalar: float = 1.0, is_int: bool = True) -> Tensor:
    """Return `data`; the gradient on its way back is multiplied by `scalar`.

    A negative one reverses it (Ganin and Lempitsky 2015). `is_int` changes nothing.
    """
    return _scaled(data, data.detach(), scalar)
