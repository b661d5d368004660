"""Output layers: results whose gradient is that of a loss, whatever flows in from above."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.bounds import check_below
from regluon.ops.dtype import check_floating
from regluon.ops.infer import same
from regluon.ops.registry import Spec, register


Rule = Callable[[Tensor], Tensor]


class _WithGradient(torch.autograd.Function):
    """Return `result`; the gradient of `data` is `gradient(head)`, which may ignore the head."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, result: Tensor, gradient: Rule) -> Tensor:
        """Return the result, and keep the rule."""
        ctx.gradient = gradient
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, *heads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient that the rule gives."""
        return ctx.gradient(heads[0]), None, None


def _with_gradient(data: Tensor, result: Tensor, gradient: Rule) -> Tensor:
    apply: Callable[..., Tensor] = _WithGradient.apply
    return apply(data, result.detach(), gradient)


def _regression_infer(data: Tensor | Spec, label: Tensor | Spec, **rest: Any) -> tuple[Spec, ...]:
    old, new = tuple(data.shape), tuple(label.shape)
    if new != old and not (len(new) == 1 and old == (*new, 1)):
        raise ShapeError(f"label {new} needs the shape of data {old}")
    check_floating("a regression output", data.dtype)
    return (Spec(old, data.dtype),)


def _regression(
    data: Tensor,
    label: Tensor,
    grad_scale: float,
    result: Tensor,
    difference: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Return `result`, with the mean of its differences from the label per sample as gradient."""
    _regression_infer(data, label)
    values, target = result.detach(), label.reshape(data.shape).to(data.dtype)
    scale = grad_scale / max(1, label[:1].numel())
    return _with_gradient(data, values, lambda head: difference(values, target) * scale)


@register(
    _regression_infer,
    nd="LinearRegressionOutput",
    symbol="LinearRegressionOutput",
    differentiable="data",
    view="lazy copy",
)
def linear_regression_output(data: Tensor, label: Tensor, grad_scale: float = 1.0) -> Tensor:
    """Return `data`; its gradient is (data - label) * grad_scale / values per sample.

    `label` has the shape of `data`, or lacks a last axis of length 1.
    """
    return _regression(data, label, grad_scale, data, torch.sub)


@register(
    _regression_infer,
    nd="LogisticRegressionOutput",
    symbol="LogisticRegressionOutput",
    differentiable="data",
)
def logistic_regression_output(data: Tensor, label: Tensor, grad_scale: float = 1.0) -> Tensor:
    """Return sigmoid(data), with the gradient (result - label) * grad_scale / values per sample."""
    return _regression(data, label, grad_scale, torch.sigmoid(data), torch.sub)


@register(
    _regression_infer,
    nd="MAERegressionOutput",
    symbol="MAERegressionOutput",
    differentiable="data",
    view="lazy copy",
)
def mae_regression_output(data: Tensor, label: Tensor, grad_scale: float = 1.0) -> Tensor:
    """Return `data`; its gradient is sign(data - label) * grad_scale / values per sample."""
    return _regression(data, label, grad_scale, data, lambda a, b: (a - b).sign())


def _svm_infer(data: Tensor | Spec, label: Tensor | Spec, **rest: Any) -> tuple[Spec, ...]:
    shape = tuple(data.shape)
    if not shape or tuple(label.shape) != shape[:-1]:
        raise ShapeError(f"label {tuple(label.shape)} needs the shape {shape[:-1]}")
    check_floating("SVMOutput", data.dtype)
    return (Spec(shape, data.dtype),)


def _check_svm(data: Tensor, label: Tensor, **rest: Any) -> None:
    _svm_infer(data, label)
    check_below(label, data.shape[-1], "label")


@register(
    _svm_infer,
    nd="SVMOutput",
    symbol="SVMOutput",
    differentiable="data",
    view="lazy copy",
    check=_check_svm,
)
def svm_output(
    data: Tensor,
    label: Tensor,
    margin: float = 1.0,
    regularization_coefficient: float = 1.0,
    use_linear: bool = False,
) -> Tensor:
    """Return the scores; their gradient is that of one hinge loss for each class; Tang 2013.

    With the scores of other classes negated, a score s below the margin has the loss
    (margin - s) ** 2, or margin - s by `use_linear`, times `regularization_coefficient`.
    """
    values = data.detach()

    def gradient(head: Tensor) -> Tensor:
        sign = torch.full_like(values, -1).scatter_(-1, label.long().unsqueeze(-1), 1)
        short = margin - sign * values
        slope = (short > 0).to(values.dtype) if use_linear else 2 * short.clamp(min=0)
        return -regularization_coefficient * sign * slope

    return _with_gradient(data, values, gradient)


@register(same, nd="MakeLoss", symbol="MakeLoss", view="lazy copy")
def make_loss_scaled(
    data: Tensor, grad_scale: float = 1.0, valid_thresh: float = 0.0, normalization: str = "null"
) -> Tensor:
    """Return `data` as the end of a network: its gradient is `grad_scale`, whatever flows in.

    It is divided by the length of the first axis (`normalization` "batch"), or by the number of
    elements above `valid_thresh`, at least 1 ("valid").
    """
    if normalization not in ("null", "batch", "valid"):
        raise MXNetError(f"normalization is null, batch or valid, not {normalization!r}")
    values = data.detach()

    def gradient(head: Tensor) -> Tensor:
        if normalization == "valid":
            count: Tensor | int = (values > valid_thresh).sum().clamp(min=1)
        else:
            count = len(values) if normalization == "batch" else 1
        return torch.full_like(values, grad_scale) / count

    return _with_gradient(data, values, gradient)


@register(same, nd="make_loss", symbol="make_loss", view="lazy copy")
def make_loss(data: Tensor) -> Tensor:
    """Return `data` as the end of a network: its gradient is 1, whatever flows in."""
    return make_loss_scaled(data)


def _sparse_infer(data: Tensor | Spec, moving_avg: Tensor | Spec, **rest: Any) -> tuple[Spec, ...]:
    shape = tuple(data.shape)
    if len(shape) != 2 or tuple(moving_avg.shape) != shape[1:]:
        raise ShapeError(
            f"data is (batch, units) and moving_avg (units,), not {shape} and "
            f"{tuple(moving_avg.shape)}"
        )
    check_floating("IdentityAttachKLSparseReg", data.dtype)
    return (Spec(shape, data.dtype),)


@register(
    _sparse_infer,
    nd="IdentityAttachKLSparseReg",
    symbol="IdentityAttachKLSparseReg",
    mutates="moving_avg",
    differentiable="data",
    view="lazy copy",
)
def identity_attach_kl_sparse_reg(
    data: Tensor,
    moving_avg: Tensor,
    sparseness_target: float = 0.1,
    penalty: float = 0.001,
    momentum: float = 0.9,
    *,
    training: bool = False,
) -> Tensor:
    """Return `data` (batch, units) in 0 ... 1; its gradient pulls each unit's mean to the target.

    To the gradient that flows in it adds penalty * ((1 - t) / (1 - m) - t / m) for the target t and
    the moving average m of the unit's means, which in training first takes in those of the batch.
    """
    _sparse_infer(data, moving_avg)
    if training:
        moving_avg.lerp_(data.detach().mean(0), 1 - momentum)
    mean = moving_avg.detach().clone()
    pull = (1 - sparseness_target) / (1 - mean) - sparseness_target / mean
    return _with_gradient(data, data, lambda head: head + penalty * pull)
