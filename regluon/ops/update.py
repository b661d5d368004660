"""Optimizer steps in place: groups of arrays by torch's fused kernels, single ones as in MXNet.

A fused kernel goes once over memory, foreach kernels several times.

The arithmetic is MXNet's: SGD clips the rescaled gradient and then adds the weight decay, Adam adds
it first; `clip_gradient` below 0 means none. NaN and infinity pass through to the weights.
"""

import itertools
import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.infer import same
from regluon.ops.registry import Spec, register


Groups = Sequence[list[Tensor]]
Kernel = Callable[[list[list[Tensor]], float, float], None]

_LATE = 1e30  # a step number at which Adam's correction of its bias has no effect


def _nothing(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
    return ()


def _work(*groups: list[Tensor]) -> int:
    """Four elements, of weights, gradients or states, take a nanosecond."""
    return sum([array.numel() for group in groups for array in group]) // 4


def _check_groups(groups: Groups, lrs: Sequence[float], wds: Sequence[float]) -> None:
    """Raise unless every group has one item per weight, the arrays in it of the weight's shape."""
    shapes = [weight.shape for weight in groups[0]]
    for group in (*groups, lrs, wds):
        if len(group) != len(shapes):
            raise ShapeError(f"{len(shapes)} weights need as many of each, not {len(group)}")
    for group in groups[1:]:
        if (found := [item.shape for item in group]) != shapes:
            shape, other = next(
                pair for pair in zip(shapes, found, strict=True) if len({*pair}) > 1
            )
            raise ShapeError(f"weight {tuple(shape)} does not fit gradient or state {tuple(other)}")


def _clipped(grads: list[Tensor], rescale_grad: float, limit: float) -> tuple[list[Tensor], float]:
    """Return the gradients, rescaled and clipped if need be, and the factor still to be applied."""
    if limit < 0 and rescale_grad:
        return grads, rescale_grad
    scaled = list(torch._foreach_mul(grads, rescale_grad))
    if limit >= 0:
        torch._foreach_clamp_min_(scaled, -limit)
        torch._foreach_clamp_max_(scaled, limit)
    return scaled, 1.0


def _laid_out_alike(arrays: Sequence[Tensor]) -> bool:
    weight, strides = arrays[0], arrays[0].stride()
    dense = weight.is_contiguous() or weight.is_contiguous(memory_format=torch.channels_last)
    return dense and all(array.stride() == strides for array in arrays)


def _run(kernel: Kernel, groups: Groups, lrs: Sequence[float], wds: Sequence[float]) -> None:
    """Run a fused kernel on weights, gradients and states, once per pair of rate and decay.

    Torch's fused kernels are one pass over memory, but on a CPU they take equal layouts for
    granted: arrays laid out otherwise than their weight are updated in a copy. Other layouts than
    the row-major one they do in copies themselves, 14 times slower, unless they see bare memory.
    """
    rates = list(zip(lrs, wds, strict=True))
    if len(set(rates)) == 1 and all(
        map(Tensor.is_contiguous, itertools.chain.from_iterable(groups))
    ):
        kernel([list(group) for group in groups], *rates[0])
        return
    work = [list(group) for group in groups]
    copied = []
    for at, arrays in enumerate(zip(*groups, strict=True)):
        if not _laid_out_alike(arrays):
            copied.append(at)
            for group in work:
                group[at] = group[at].contiguous()
        elif not arrays[0].is_contiguous():
            for group in work:
                group[at] = group[at].as_strided((group[at].numel(),), (1,))
    for lr, wd in dict.fromkeys(rates):
        chosen = [at for at, rate in enumerate(rates) if rate == (lr, wd)]
        kernel([[group[at] for at in chosen] for group in work], lr, wd)
    for at in copied:
        for place, group in enumerate(groups):
            if place != 1 and work[place][at] is not group[at]:  # the second are the gradients
                group[at].copy_(work[place][at])


@register(
    _nothing,
    also={"nd._internal": "multi_sgd_update"},
    outputs=0,
    mutates="weights",
    differentiable="",
    effort=_work,
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
    _check_groups((weights, grads), lrs, wds)
    grads, factor = _clipped(grads, rescale_grad, clip_gradient)

    def kernel(groups: list[list[Tensor]], lr: float, wd: float) -> None:
        # w -= rate * (grad + decay * w)
        torch._fused_sgd_(
            groups[0],
            groups[1],
            [],
            weight_decay=wd / factor,
            momentum=0.0,
            lr=lr * factor,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )

    _run(kernel, (weights, grads), lrs, wds)


@register(
    _nothing,
    also={"nd._internal": "multi_sgd_mom_update"},
    outputs=0,
    mutates="weights moms",
    differentiable="",
    effort=_work,
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
    _check_groups((weights, grads, moms), lrs, wds)
    grads, factor = _clipped(grads, rescale_grad, clip_gradient)

    def kernel(groups: list[list[Tensor]], lr: float, wd: float) -> None:
        # mom = momentum * mom + (1 - dampening) * (grad + decay * w); w -= rate * mom
        if not momentum:  # which the kernel takes for a step without states
            torch._foreach_zero_(groups[2])
        torch._fused_sgd_(
            groups[0],
            groups[1],
            groups[2],
            weight_decay=wd / factor,
            momentum=momentum or 1.0,
            lr=-1.0,
            dampening=1 + lr * factor,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )

    _run(kernel, (weights, grads, moms), lrs, wds)


@register(
    _nothing,
    also={"nd._internal": "multi_adam_update"},
    outputs=0,
    mutates="weights means variances",
    differentiable="",
    effort=_work,
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
    _check_groups((weights, grads, means, variances), lrs, wds)
    if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
        raise MXNetError(f"beta1={beta1} and beta2={beta2} must lie in 0 <= beta < 1")
    if rescale_grad != 1:
        grads = list(torch._foreach_mul(grads, rescale_grad))
    if clip_gradient >= 0:  # what is clipped contains the decay, which the kernel would add later
        decay = torch._foreach_mul(weights, list(wds))
        grads, _ = _clipped(list(torch._foreach_add(grads, decay)), 1.0, clip_gradient)
        wds = [0.0] * len(wds)

    def kernel(groups: list[list[Tensor]], lr: float, wd: float) -> None:
        late = torch.full((), _LATE, device=groups[0][0].device)
        torch._fused_adam_(
            groups[0],
            groups[1],
            groups[2],
            groups[3],
            [],
            [late] * len(groups[0]),
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=wd,
            eps=epsilon,
            amsgrad=False,
            maximize=False,
        )

    _run(kernel, (weights, grads, means, variances), lrs, wds)


def counted_adam_update(
    weights: list[Tensor],
    grads: list[Tensor],
    means: list[Tensor],
    variances: list[Tensor],
    lrs: Sequence[float],
    wds: Sequence[float],
    beta1: float,
    beta2: float,
    counts: dict[Hashable, int],
    keys: Sequence[Hashable],
    **attrs: float,
) -> None:
    """Do `multi_adam_update` with the correction of the bias for one more update of each weight.

    `counts` says how many updates of the weights with these `keys` there were. It counts here,
    not at the call: an update that fails, or does not run because its gradient failed, is none.
    """
    steps = [counts[key] + 1 for key in keys]
    lrs = [lr * math.sqrt(1 - beta2**t) / (1 - beta1**t) for lr, t in zip(lrs, steps, strict=True)]
    multi_adam_update(weights, grads, means, variances, lrs, wds, beta1, beta2, **attrs)
    counts.update(zip(keys, steps, strict=True))


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
