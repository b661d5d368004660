"""Cross-entropy per element in one kernel: what the loss layer of a classifier calls."""

import torch.nn.functional as F
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.bounds import check_below
from regluon.ops.registry import Spec, register


def _shapes(
    data: Tensor | Spec, label: Tensor | Spec, axis: int
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Return the axis of the classes, the shape without it, and with length 1 there."""
    shape = tuple(data.shape)
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"axis {axis} is out of range for predictions of shape {shape}")
    axis %= len(shape)
    without = shape[:axis] + shape[axis + 1 :]
    kept = (*shape[:axis], 1, *shape[axis + 1 :])
    if tuple(label.shape) not in (without, kept):
        raise ShapeError(
            f"labels of shape {tuple(label.shape)} do not fit predictions of shape {shape}: they "
            f"need the shape {without or kept}"
        )
    return axis, without, kept


def _infer(
    data: Spec, label: Spec, axis: int = -1, from_logits: bool = False, keepdims: bool = False
) -> tuple[Spec, ...]:
    _, without, kept = _shapes(data, label, axis)
    return (Spec(kept if keepdims or not without else without, data.dtype),)


def _check(data: Tensor, label: Tensor, axis: int = -1, **rest: bool) -> None:
    check_below(label, data.shape[axis], "label")


@register(
    _infer,
    also={"nd._internal": "sparse_cross_entropy", "np._internal": "sparse_cross_entropy"},
    differentiable="data",
    check=_check,
)
def sparse_cross_entropy(
    data: Tensor,
    label: Tensor,
    axis: int = -1,
    from_logits: bool = False,
    keepdims: bool = False,
) -> Tensor:
    """Return -log softmax(data)[label] along `axis`, one value for each label.

    `from_logits`: data are logarithms of chances already. `keepdims`: `axis` stays with length 1.
    A label outside 0 ... classes - 1 is an error (MXNet clips it).
    """
    axis, without, kept = _shapes(data, label, axis)
    target = (label if label.shape == without else label.reshape(without)).long()
    if data.dim() == 1:
        data, target = data.unsqueeze(0), target.reshape(1)
    elif axis != 1:
        data = data.movedim(axis, 1)
    kernel = F.nll_loss if from_logits else F.cross_entropy
    loss = kernel(data, target, reduction="none")
    return loss.reshape(kept) if keepdims else loss
