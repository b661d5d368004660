"""Softmax in its forms, and the losses that are operators."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from regluon.base import DTypeError, MXNetError, ShapeError
from regluon.ops.bounds import check_below
from regluon.ops.dtype import check_floating, torch_dtype
from regluon.ops.infer import same
from regluon.ops.registry import Spec, register


def _softmax_infer(
    data: Spec, *rest: Any, axis: int = -1, dtype: Any = None, **attrs: Any
) -> tuple[Spec, ...]:
    rank = len(data.shape)
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} is out of range for shape {tuple(data.shape)}")
    result = data.dtype if dtype is None else torch_dtype(dtype)
    check_floating("a softmax", result)
    return (Spec(data.shape, result),)


def _logits(data: Tensor, temperature: float | None, dtype: Any) -> Tensor:
    wanted = data if dtype is None else data.to(torch_dtype(dtype))
    check_floating("a softmax", wanted.dtype)
    return wanted if temperature is None else wanted / temperature


@register(
    _softmax_infer,
    nd="softmax",
    npx="softmax",
    symbol="softmax",
    differentiable="data",
)
def softmax(
    data: Tensor,
    length: Tensor | None = None,
    axis: int = -1,
    temperature: float | None = None,
    dtype: Any = None,
    use_length: bool = False,
) -> Tensor:
    """Return exp(x / temperature), scaled to sum 1 along `axis`.

    With `use_length` only the first `length` elements along the axis take part (all, where it is
    larger), the others become 0; `length` has the shape of `data` without the axis.

    >>> softmax(torch.zeros(1, 4)).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    logits = _logits(data, temperature, dtype)
    if not use_length:
        return torch.softmax(logits, axis)
    if length is None or length.is_floating_point():
        raise DTypeError("use_length=True needs an integer array length")
    left_out = _beyond(logits, length, axis)
    return torch.softmax(logits.masked_fill(left_out, -torch.inf), axis).masked_fill(left_out, 0)


def _beyond(data: Tensor, length: Tensor, axis: int) -> Tensor:
    """Say for each element whether its place along `axis` is not below its length."""
    others = data.movedim(axis, -1).shape[:-1]
    if length.shape != others:
        raise ShapeError(f"length {tuple(length.shape)} needs the shape {tuple(others)}")
    places = torch.arange(data.shape[axis], device=data.device)
    return (places >= length.unsqueeze(-1)).movedim(-1, axis)


@register(_softmax_infer, nd="log_softmax", npx="log_softmax", symbol="log_softmax")
def log_softmax(
    data: Tensor,
    axis: int = -1,
    temperature: float | None = None,
    dtype: Any = None,
    use_length: bool = False,
) -> Tensor:
    """Return the logarithm of the softmax along `axis`, computed without overflow."""
    _check_no_length("log_softmax", use_length)
    return torch.log_softmax(_logits(data, temperature, dtype), axis)


@register(_softmax_infer, nd="softmin", npx="softmin", symbol="softmin")
def softmin(
    data: Tensor,
    axis: int = -1,
    temperature: float | None = None,
    dtype: Any = None,
    use_length: bool = False,
) -> Tensor:
    """Return the softmax of -x along `axis`."""
    _check_no_length("softmin", use_length)
    return torch.softmax(-_logits(data, temperature, dtype), axis)


def _check_no_length(name: str, use_length: bool) -> None:
    if use_length:
        raise MXNetError(f"{name} takes no lengths; softmax does")


@register(same, nd="SoftmaxActivation", npx="softmax_activation", symbol="SoftmaxActivation")
def softmax_activation(data: Tensor, mode: str = "instance") -> Tensor:
    """Softmax over the last axis (whatever MXNet's text says), or over axis 1 by mode "channel"."""
    if mode not in ("instance", "channel"):
        raise MXNetError(f"mode is 'instance' or 'channel', not {mode!r}")
    return torch.softmax(data, 1 if mode == "channel" else -1)


def _cross_entropy_infer(data: Tensor | Spec, label: Tensor | Spec) -> tuple[Spec, ...]:
    if len(data.shape) != 2 or tuple(label.shape) != tuple(data.shape)[:1]:
        raise ShapeError(
            f"data must be (batch, classes) and label (batch,), not {tuple(data.shape)} and "
            f"{tuple(label.shape)}"
        )
    return (Spec((1,), data.dtype),)


def _check_labels(data: Tensor, label: Tensor) -> None:
    check_below(label, data.shape[-1], "label")


@register(
    _cross_entropy_infer,
    nd="softmax_cross_entropy",
    symbol="softmax_cross_entropy",
    differentiable="data",
    check=_check_labels,
)
def softmax_cross_entropy(data: Tensor, label: Tensor) -> Tensor:
    """Sum -log softmax(data)[label] over the batch, into an array of shape (1,).

    MXNet takes chances below 1e-8 as 1e-8; here they are exact.
    """
    _cross_entropy_infer(data, label)  # raises where the shapes do not fit
    return torch.nn.functional.cross_entropy(data, label.long(), reduction="sum").reshape(1)


class _SoftmaxOutput(torch.autograd.Function):
    """Softmax whose gradient is that of the cross-entropy, whatever flows in."""

    @staticmethod
    def forward(
        ctx: Any, data: Tensor, label: Tensor, axis: int, scale: float, attrs: dict[str, Any]
    ) -> Tensor:
        """Return the softmax along `axis`, and keep what the gradient needs."""
        result = torch.softmax(data, axis)
        ctx.save_for_backward(result, label)
        ctx.axis, ctx.scale, ctx.attrs = axis, scale, attrs
        return result

    @staticmethod
    def backward(ctx: Any, *heads: Tensor) -> tuple[Tensor | None, ...]:
        """Return (softmax - target) * scale, zero where the label is ignored."""
        result, label = ctx.saved_tensors
        gradient = (result - _target(result, label, ctx.axis, **ctx.attrs)) * ctx.scale
        if ctx.attrs["use_ignore"] and label.shape != result.shape:
            kept = (label != ctx.attrs["ignore_label"]).unsqueeze(ctx.axis)
            gradient = gradient * kept
        if ctx.attrs["out_grad"]:
            gradient = gradient * heads[0]
        return gradient, None, None, None, None


def _target(result: Tensor, label: Tensor, axis: int, smooth_alpha: float, **attrs: Any) -> Tensor:
    """Return the chances that the labels ask for; `smooth_alpha` of each goes to other classes."""
    if label.shape == result.shape:
        return label
    classes = result.shape[axis]
    index = label.long().clamp(0, classes - 1).unsqueeze(axis)  # ignored ones may lie outside
    others = smooth_alpha / max(classes - 1, 1)
    return torch.full_like(result, others).scatter_(axis, index, 1 - smooth_alpha)


def _output_axis(data: Tensor | Spec, label: Tensor | Spec, multi_output: bool) -> int:
    """Return the axis of the classes, having checked the label's shape."""
    axis = 1 if multi_output else -1
    shape = list(data.shape)
    if shape:
        del shape[axis]
    if tuple(label.shape) not in (tuple(shape), tuple(data.shape)):
        raise ShapeError(
            f"label {tuple(label.shape)} needs the shape {tuple(shape)} or that of data "
            f"{tuple(data.shape)}"
        )
    return axis


def _output_infer(
    data: Spec, label: Spec, *, multi_output: bool = False, **rest: Any
) -> tuple[Spec, ...]:
    _output_axis(data, label, multi_output)
    return (data,)


def _check_output_labels(
    data: Tensor,
    label: Tensor,
    *,
    ignore_label: float = -1.0,
    multi_output: bool = False,
    use_ignore: bool = False,
    **rest: Any,
) -> None:
    if label.shape != data.shape:
        counted = label[label != ignore_label] if use_ignore else label
        check_below(counted, data.shape[_output_axis(data, label, multi_output)], "label")


@register(
    _output_infer,
    nd="SoftmaxOutput Softmax",
    symbol="SoftmaxOutput",
    differentiable="data",
    check=_check_output_labels,
)
def softmax_output(
    data: Tensor,
    label: Tensor,
    grad_scale: float = 1.0,
    ignore_label: float = -1.0,
    multi_output: bool = False,
    use_ignore: bool = False,
    preserve_shape: bool = False,
    normalization: str = "null",
    out_grad: bool = False,
    smooth_alpha: float = 0.0,
) -> Tensor:
    """Softmax over the last axis (`multi_output`: axis 1) with the gradient of the cross-entropy.

    The gradient is (softmax - label) * grad_scale whatever flows in, unless `out_grad`: then times
    that. `label` holds class numbers, or chances in the shape of `data`. For class numbers it is
    divided by the batch's size or by the number of labels that are not `ignore_label`, as
    `normalization` is "batch" or "valid", and, without the latter, by the places per sample.
    """
    axis = _output_axis(data, label, multi_output)
    if normalization not in ("null", "batch", "valid"):
        raise MXNetError(f"normalization is null, batch or valid, not {normalization!r}")
    scale = grad_scale
    if label.shape != data.shape:
        if normalization == "valid":
            scale /= max(1, int((label != ignore_label).sum()))
        else:
            batch = max(1, len(data))
            scale /= (label.numel() // batch or 1) if multi_output else 1
            scale /= batch if normalization == "batch" else 1
    attrs = {
        "ignore_label": ignore_label,
        "use_ignore": use_ignore,
        "out_grad": out_grad,
        "smooth_alpha": smooth_alpha,
    }
    apply: Callable[..., Tensor] = _SoftmaxOutput.apply
    return apply(data, label, axis, scale, attrs)
