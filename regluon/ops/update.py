"""Optimizer steps in place: groups of arrays by torch's foreach kernels, single ones as in MXNet.

The arithmetic is MXNet's: SGD clips the rescaled gradient and then adds the weight decay, Adam adds
it first; `clip_gradient` below 0 means none. NaN and infinity pass through to the weights.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.infer import same
from regluon.ops.registry import Spec, register


def _nothing(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
    return ()


def _check_groups(weights: list[Tensor], *groups: Sequence[Any]) -> None:
    """Raise unless every group has one item per weight, the arrays in it of the weight's shape."""
    for group in groups:
        if len(group) != len(weights):
            raise ShapeError(f"{len(weights)} weights need as many of each, not {len(group)}")
        for weight, item in zip(weights, group, strict=True):
            if isinstance(item, Tensor) and item.shape != weight.shape:
                raise ShapeError(
                    f"weight {tuple(weight.shape)} does not fit gradient or state "
                    f"{tuple(item.shape)}"
                )


def _add_scaled(targets: list[Tensor], sources: list[Tensor], factors: list[float]) -> None:
    """Add factor * source to each target; one pass where all factors are equal."""
    if len(set(factors)) == 1:
        torch._foreach_add_(targets, sources, alpha=factors[0])
    else:
        torch._foreach_add_(targets, torch._foreach_mul(sources, factors))


def _clip(arrays: list[Tensor], limit: float) -> None:
    """Bring the values into -limit ... limit, in place; NaN stays."""
    torch._foreach_clamp_min_(arrays, -limit)
    torch._foreach_clamp_max_(arrays, limit)


def _clipped(grads: list[Tensor], rescale_grad: float, limit: float) -> list[Tensor]:
    scaled = list(torch._foreach_mul(grads, rescale_grad))
    _clip(scaled, limit)
    return scaled


@register(
    _nothing,
    also={"nd._internal": "multi_sgd_update"},
    outputs=0,
    mutates="weights",
    differentiable="",
)
def multi_sgd_update(
    weights: list[Tensor],
    grads: list[Tensor],
    lrs: Sequence[float],
    wds: Sequence[float],
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> None:
    """In every weight: w -= lr * (clip(rescale_grad * grad) + wd * w)."""
    _check_groups(weights, grads, lrs, wds)
    if clip_gradient >= 0:
        grads, rescale_grad = _clipped(grads, rescale_grad, clip_gradient), 1.0
    if any(wds):
        torch._foreach_mul_(weights, [1 - lr * wd for lr, wd in zip(lrs, wds, strict=True)])
    _add_scaled(weights, grads, [-lr * rescale_grad for lr in lrs])


@register(
    _nothing,
    also={"nd._internal": "multi_sgd_mom_update"},
    outputs=0,
    mutates="weights moms",
    differentiable="",
)
def multi_sgd_mom_update(
    weights: list[Tensor],
    grads: list[Tensor],
    moms: list[Tensor],
    lrs: Sequence[float],
    wds: Sequence[float],
    momentum: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> None:
    """mom = momentum * mom - lr * (clip(rescale_grad * grad) + wd * w), then w += mom."""
    _check_groups(weights, grads, moms, lrs, wds)
    if clip_gradient >= 0:
        grads, rescale_grad = _clipped(grads, rescale_grad, clip_gradient), 1.0
    torch._foreach_mul_(moms, momentum)
    _add_scaled(moms, grads, [-lr * rescale_grad for lr in lrs])
    if any(wds):
        _add_scaled(moms, weights, [-lr * wd for lr, wd in zip(lrs, wds, strict=True)])
    torch._foreach_add_(weights, moms)


@register(
    _nothing,
    also={"nd._internal": "multi_adam_update"},
    outputs=0,
    mutates="weights means variances",
    differentiable="",
)
def multi_adam_update(
    weights: list[Tensor],
    grads: list[Tensor],
    means: list[Tensor],
    variances: list[Tensor],
    lrs: Sequence[float],
    wds: Sequence[float],
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> None:
    """With g = clip(rescale_grad * grad + wd * w): w -= lr * mean / (sqrt(variance) + epsilon).

    mean = beta1 * mean + (1 - beta1) * g and variance = beta2 * variance + (1 - beta2) * g**2 come
    first. The caller corrects the bias in `lrs`. Kingma and Ba 2015.
    """
    _check_groups(weights, grads, means, variances, lrs, wds)
    grads = list(torch._foreach_mul(grads, rescale_grad))
    if any(wds):
        _add_scaled(grads, weights, list(wds))
    if clip_gradient >= 0:
        _clip(grads, clip_gradient)
    torch._foreach_mul_(means, beta1)
    torch._foreach_add_(means, grads, alpha=1 - beta1)
    torch._foreach_mul_(variances, beta2)
    torch._foreach_addcmul_(variances, grads, grads, 1 - beta2)
    spread = torch._foreach_sqrt(variances)
    torch._foreach_add_(spread, epsilon)
    torch._foreach_addcdiv_(weights, means, spread, [-lr for lr in lrs])


@register(same, nd="sgd_update", symbol="sgd_update", differentiable="")
def sgd_update(
    weight: Tensor,
    grad: Tensor,
    lr: float,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
) -> Tensor:
    """Return weight - lr * (clip(rescale_grad * grad) + wd * weight); `out=weight` updates it."""
    result = weight.clone()
    multi_sgd_update([result], [grad], [lr], [wd], rescale_grad, clip_gradient)
    return result


@register(same, nd="sgd_mom_update", symbol="sgd_mom_update", mutates="mom", differentiable="")
def sgd_mom_update(
    weight: Tensor,
    grad: Tensor,
    mom: Tensor,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
) -> Tensor:
    """Update `mom` in place and return weight + mom; give `out=weight` to update the weight too."""
    result = weight.clone()
    multi_sgd_mom_update([result], [grad], [mom], [lr], [wd], momentum, rescale_grad, clip_gradient)
    return result


@register(same, nd="adam_update", symbol="adam_update", mutates="mean var", differentiable="")
def adam_update(
    weight: Tensor,
    grad: Tensor,
    mean: Tensor,
    var: Tensor,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
) -> Tensor:
    """Update `mean` and `var` in place and return the new weight; `out=weight` updates it too."""
    result = weight.clone()
    multi_adam_update(
        [result],
        [grad],
        [mean],
        [var],
        [lr],
        [wd],
        beta1,
        beta2,
        epsilon,
        rescale_grad,
        clip_gradient,
    )
    return result
