"""Optimizer steps of single arrays: the rules that have no fused kernel, and mixed precision.

Every rule returns the new weight and changes its states in place; `out=weight` updates the weight.
The gradient is multiplied by `rescale_grad` and clipped to `clip_gradient`, where a negative one
means no clipping; rules differ in whether the weight decay `wd` is added before or after that.
`mp_` rules work on `weight32`, a float32 copy of a weight of lower precision, and change it too.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from regluon.base import DTypeError, MXNetError, ShapeError
from regluon.ops.infer import same
from regluon.ops.registry import Infer, Spec, register
from regluon.ops.update import sgd_mom_update, sgd_update


Step = Callable[..., Tensor]


def check_alike(weight: Any, *others: Any, **attrs: Any) -> None:
    """Raise unless gradient and states (arrays, or their specs) have the shape of their weight."""
    for other in (weight, *others):
        if not other.dtype.is_floating_point:
            raise DTypeError(f"weights, gradients and states are not {other.dtype}; use floats")
        if tuple(other.shape) != tuple(weight.shape):
            raise ShapeError(
                f"weight {tuple(weight.shape)} does not fit gradient or state {tuple(other.shape)}"
            )


def rescaled(grad: Tensor, scale: float, limit: float) -> Tensor:
    """Return the gradient times `scale`, clipped to -limit ... limit unless that is negative."""
    grad = grad * scale
    return grad if limit < 0 else grad.clamp(-limit, limit)


def _record(infer: Infer, name: str, states: str, alike: int, space: str) -> Callable[[Step], Step]:
    """Return the decorator of a rule whose first `alike` arrays must have the weight's shape."""

    def check(*arrays: Any, **attrs: Any) -> None:
        check_alike(*arrays[:alike])

    def rule(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
        check(*arrays)  # under every engine an error of the call
        return infer(*arrays, **attrs)

    symbol = name if space == "nd" else f"_{name}"
    return register(
        rule, also={space: name}, symbol=symbol, mutates=states, differentiable="", check=check
    )


def step(states: str = "", alike: int = 9, space: str = "nd") -> Callable[[Step], Step]:
    """Register a rule that changes the arrays named in `states` in place."""

    return lambda fn: _record(same, fn.__name__, states, alike, space)(fn)


def mixed(
    rule: Step,
    states: str = "",
    alike: int = 9,
    infer: Infer = same,
    space: str = "nd",
) -> Step:
    """Register `mp_<rule>`: the same rule on the float32 copy `weight32`, the array after `states`.

    The result is the new weight in its own dtype, or what the rule returns if `infer` is given.
    """
    parameters = list(inspect.signature(rule).parameters.values())
    kinds = [inspect.formatannotation(parameter.annotation) for parameter in parameters]
    at = kinds.index(next(kind for kind in kinds if kind != kinds[0]))  # before what is no state
    parameters.insert(at, inspect.Parameter("weight32", parameters[0].kind, annotation=Tensor))

    def fn(weight: Tensor, grad: Tensor, *rest: Any, **attrs: Any) -> Tensor:
        others = list(rest)
        weight32 = others.pop(at - 2)
        if weight32.dtype != torch.float32:
            raise DTypeError(f"mp_{rule.__name__}: weight32 is float32, not {weight32.dtype}")
        result = rule(weight32, grad.float(), *others, **attrs)
        if infer is not same:
            return result
        weight32.copy_(result)
        return result.to(weight.dtype)

    fn.__name__ = f"mp_{rule.__name__}"
    fn.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    fn.__doc__ = f"Do {rule.__name__} on `weight32`; return the weight in its own dtype."
    written = f"{states} weight32" if infer is same else states
    return _record(infer, fn.__name__, written, alike, space)(fn)


mixed(sgd_update)
mixed(sgd_mom_update, "mom")


@step("mom")
def nag_mom_update(
    weight: Tensor,
    grad: Tensor,
    mom: Tensor,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Tensor:
    """Nesterov's momentum: mom = momentum * mom - lr * g, then weight + momentum * mom - lr * g.

    g = clip(rescale_grad * grad) + wd * weight.
    """
    move = (rescaled(grad, rescale_grad, clip_gradient) + wd * weight) * lr
    mom.mul_(momentum).sub_(move)
    return weight + momentum * mom - move


mixed(nag_mom_update, "mom")


@step()
def signsgd_update(
    weight: Tensor,
    grad: Tensor,
    lr: float,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Tensor:
    """Return (1 - lr * wd) * weight - lr * sign(grad). Bernstein et al. 2018.

    The sign is the same however the gradient is rescaled and clipped; neither is done.
    """
    return (1 - lr * wd) * weight - lr * grad.sign()


@step("mom")
def signum_update(
    weight: Tensor,
    grad: Tensor,
    mom: Tensor,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    wd_lh: float = 0.0,
) -> Tensor:
    """SignSGD with momentum: mom = momentum * mom - (1 - momentum) * g moves the weight by signs.

    g = clip(rescale_grad * grad) + wd * weight; the result is (1 - lr * wd_lh) * weight +
    lr * sign(mom). Bernstein et al. 2018.
    """
    grad = rescaled(grad, rescale_grad, clip_gradient) + wd * weight
    mom.mul_(momentum).sub_(grad, alpha=1 - momentum)
    return (1 - lr * wd_lh) * weight + lr * mom.sign()


@step("n")
def rmsprop_update(
    weight: Tensor,
    grad: Tensor,
    n: Tensor,
    lr: float,
    gamma1: float = 0.95,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    clip_weights: float = -1.0,
) -> Tensor:
    """RMSProp: n = gamma1 * n + (1 - gamma1) * g**2, then weight - lr * g / sqrt(n + epsilon).

    g = clip(rescale_grad * grad + wd * weight); the new weight is clipped to `clip_weights`.
    Tieleman and Hinton 2012.
    """
    grad = rescaled(grad * rescale_grad + wd * weight, 1.0, clip_gradient)
    n.mul_(gamma1).addcmul_(grad, grad, value=1 - gamma1)
    return rescaled(weight - lr * grad / (n + epsilon).sqrt(), 1.0, clip_weights)


@step("n g delta")
def rmspropalex_update(
    weight: Tensor,
    grad: Tensor,
    n: Tensor,
    g: Tensor,
    delta: Tensor,
    lr: float,
    gamma1: float = 0.95,
    gamma2: float = 0.9,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    clip_weights: float = -1.0,
) -> Tensor:
    """RMSProp by the variance n - g**2 of the gradient, with the momentum `delta`.

    delta = gamma2 * delta - lr * grad / sqrt(n - g**2 + epsilon), where n and g are the running
    means of the gradient's square and of the gradient. Graves 2013, arXiv 1308.0850, (38) to (45).
    """
    grad = rescaled(grad * rescale_grad + wd * weight, 1.0, clip_gradient)
    n.mul_(gamma1).addcmul_(grad, grad, value=1 - gamma1)
    g.mul_(gamma1).add_(grad, alpha=1 - gamma1)
    delta.mul_(gamma2).sub_(lr * grad / (n - g * g + epsilon).sqrt())
    return rescaled(weight + delta, 1.0, clip_weights)


@step("z n")
def ftrl_update(
    weight: Tensor,
    grad: Tensor,
    z: Tensor,
    n: Tensor,
    lr: float,
    lamda1: float = 0.01,
    beta: float = 1.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Tensor:
    """Follow the regularized leader, with the L1 penalty `lamda1` and the L2 penalty `wd`.

    z += g - (sqrt(n + g**2) - sqrt(n)) * weight / lr and n += g**2; the new weight is 0 where
    |z| <= lamda1, else (sign(z) * lamda1 - z) / ((beta + sqrt(n)) / lr + wd). McMahan et al. 2013.
    """
    grad = rescaled(grad, rescale_grad, clip_gradient)
    before = n.sqrt()
    n.addcmul_(grad, grad)
    z.add_(grad - (n.sqrt() - before) * weight / lr)
    return -torch.nn.functional.softshrink(z, lamda1) / ((beta + n.sqrt()) / lr + wd)


def _number(t: int | None) -> int:
    """Return the number of the update, which MXNet's order of parameters puts behind defaults."""
    if t is None or t < 1:
        raise MXNetError(f"t is the number of the update, counted from 1, not {t}")
    return t


@step("d v z")
def ftml_update(
    weight: Tensor,
    grad: Tensor,
    d: Tensor,
    v: Tensor,
    z: Tensor,
    lr: float,
    beta1: float = 0.6,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    t: int | None = None,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_grad: float = -1.0,
) -> Tensor:
    """Follow the moving leader, at the `t`-th update, counted from 1: return -z / d.

    With g = clip(rescale_grad * grad + wd * weight): v = beta2 * v + (1 - beta2) * g**2,
    d = (1 - beta1**t) / lr * (sqrt(v / (1 - beta2**t)) + epsilon), and
    z = beta1 * z + (1 - beta1) * g - (d - beta1 * old d) * weight. Zheng and Kwok 2017.
    """
    t = _number(t)
    grad = rescaled(grad * rescale_grad + wd * weight, 1.0, clip_grad)
    v.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    new = (1 - beta1**t) / lr * ((v / (1 - beta2**t)).sqrt() + epsilon)
    z.mul_(beta1).add_(grad, alpha=1 - beta1).sub_((new - beta1 * d) * weight)
    d.copy_(new)
    return -z / d


@step("mean var")
def lamb_update_phase1(
    weight: Tensor,
    grad: Tensor,
    mean: Tensor,
    var: Tensor,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-6,
    t: int | None = None,
    bias_correction: bool = True,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Tensor:
    """Return LAMB's direction mean / (sqrt(var) + epsilon) + wd * weight at the `t`-th update.

    You et al. 2020, arXiv 1904.00962; `lamb_update_phase2` goes along it.
    """
    t = _number(t)
    grad = rescaled(grad, rescale_grad, clip_gradient)
    mean.mul_(beta1).add_(grad, alpha=1 - beta1)
    var.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    first, second = (1 - beta1**t, 1 - beta2**t) if bias_correction else (1.0, 1.0)
    return mean / first / ((var / second).sqrt() + epsilon) + wd * weight


def _float32(first: Spec, *rest: Any, **attrs: Any) -> tuple[Spec, ...]:
    return (Spec(first.shape, torch.float32),)


mixed(lamb_update_phase1, "mean var", infer=_float32)


@step(alike=2)
def lamb_update_phase2(
    weight: Tensor,
    g: Tensor,
    r1: Tensor,
    r2: Tensor,
    lr: float,
    lower_bound: float = -1.0,
    upper_bound: float = -1.0,
) -> Tensor:
    """Return weight - lr * r1 / r2 * g, for the norms r1 of the weight and r2 of the direction g.

    r1 is kept between the bounds that are not negative; a norm of 0 means a ratio of 1.
    """
    low, high = (None if bound < 0 else bound for bound in (lower_bound, upper_bound))
    if low is not None or high is not None:
        r1 = r1.clamp(low, high)
    return weight - lr * torch.where((r1 == 0) | (r2 == 0), 1.0, r1 / r2) * g


mixed(lamb_update_phase2, alike=2)


@step("mean var", 4, "nd.contrib")
def adamw_update(
    weight: Tensor,
    grad: Tensor,
    mean: Tensor,
    var: Tensor,
    rescale_grad: Tensor | float,
    lr: float,
    eta: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    clip_gradient: float = -1.0,
) -> Tensor:
    """Return weight - eta * (lr * mean / (sqrt(var) + epsilon) + wd * weight).

    Nothing changes where `rescale_grad` is 0 or not finite. Loshchilov and Hutter 2019.
    """
    scale = float(rescale_grad)
    if not math.isfinite(scale) or scale == 0:
        return weight.clone()
    grad = rescaled(grad, scale, clip_gradient)
    mean.mul_(beta1).add_(grad, alpha=1 - beta1)
    var.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    return weight - eta * (lr * mean / (var.sqrt() + epsilon) + wd * weight)


mixed(adamw_update, "mean var", 5, space="nd.contrib")


@register(
    same,
    also={"nd.contrib": "group_adagrad_update"},
    symbol="_contrib_group_adagrad_update",
    mutates="history",
    differentiable="",
)
def group_adagrad_update(
    weight: Tensor,
    grad: Tensor,
    history: Tensor,
    lr: float,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    epsilon: float = 1e-5,
) -> Tensor:
    """AdaGrad with one rate per row: `history` (N, 1) adds up each row's mean squared gradient.

    The result is weight - lr * g / sqrt(history + epsilon), where g = clip(rescale_grad * grad).
    """
    check_alike(weight, grad)
    if history.shape[0] != weight.shape[0] or history.numel() != weight.shape[0]:
        raise ShapeError(f"history is {(weight.shape[0], 1)}, not {tuple(history.shape)}")
    grad = rescaled(grad, rescale_grad, clip_gradient)
    rows = (-1,) + (1,) * (weight.dim() - 1)
    history.add_((grad * grad).flatten(1).mean(1).view_as(history))
    return weight - lr * grad / (history.view(rows) + epsilon).sqrt()
