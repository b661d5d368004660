"""Connectionist temporal classification: the loss of label sequences without an alignment."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from regluon.base import MXNetError, OutOfRangeError, ShapeError
from regluon.ops.registry import Spec, register


def _infer(
    data: Tensor | Spec,
    label: Tensor | Spec,
    data_lengths: Tensor | Spec | None = None,
    label_lengths: Tensor | Spec | None = None,
    *,
    use_data_lengths: bool = False,
    use_label_lengths: bool = False,
    blank_label: str = "first",
) -> tuple[Spec, ...]:
    if len(data.shape) != 3 or len(label.shape) != 2 or label.shape[0] != data.shape[1]:
        raise ShapeError(
            f"data is (steps, batch, classes) and label (batch, length), not {tuple(data.shape)} "
            f"and {tuple(label.shape)}"
        )
    given = {"data": (data_lengths, use_data_lengths), "label": (label_lengths, use_label_lengths)}
    for name, (lengths, used) in given.items():
        if used != (lengths is not None):
            raise MXNetError(f"{name}_lengths and use_{name}_lengths=True belong together")
        if lengths is not None and tuple(lengths.shape) != (data.shape[1],):
            raise ShapeError(
                f"{name}_lengths {tuple(lengths.shape)} needs the shape ({data.shape[1]},)"
            )
    if blank_label not in ("first", "last"):
        raise MXNetError(f"blank_label is 'first' or 'last', not {blank_label!r}")
    return (Spec((data.shape[1],), data.dtype),)


def _counts(label: Tensor, label_lengths: Tensor | None, blank_label: str) -> Tensor:
    """Return the number of labels of each sequence: those before the first padding."""
    if label_lengths is not None:
        return label_lengths.long()
    padding = label == (0 if blank_label == "first" else -1)
    return (padding.cumsum(1) == 0).sum(1)


def _check(
    data: Tensor,
    label: Tensor,
    data_lengths: Tensor | None = None,
    label_lengths: Tensor | None = None,
    *,
    blank_label: str = "first",
    **rest: Any,
) -> None:
    if data_lengths is not None and bool(((data_lengths < 0) | (data_lengths > len(data))).any()):
        raise OutOfRangeError(f"data_lengths must lie in 0 ... {len(data)}, the steps of data")
    counts = _counts(label, label_lengths, blank_label)
    if bool(((counts < 0) | (counts > label.shape[1])).any()):
        raise OutOfRangeError(f"label_lengths must lie in 0 ... {label.shape[1]}")
    low = 1 if blank_label == "first" else 0
    high = low + data.shape[2] - 2
    counted = torch.arange(label.shape[1], device=label.device) < counts.unsqueeze(1)
    wrong = label[counted & ((label < low) | (label > high))]
    if len(wrong):
        raise OutOfRangeError(f"label {wrong[0].item():g} does not lie in {low} ... {high}")


@register(
    _infer,
    nd="CTCLoss ctc_loss",
    also={"nd.contrib": "CTCLoss ctc_loss"},
    symbol="CTCLoss",
    differentiable="data",
    check=_check,
)
def ctc_loss(
    data: Tensor,
    label: Tensor,
    data_lengths: Tensor | None = None,
    label_lengths: Tensor | None = None,
    use_data_lengths: bool = False,
    use_label_lengths: bool = False,
    blank_label: str = "first",
) -> Tensor:
    """Return -log of the chance of each label sequence, over all alignments; Graves et al. 2006.

    `data` (steps, batch, classes) are scores before the softmax, `label` is (batch, length). The
    blank is class 0 and labels end before the first 0 (`blank_label` "first"), or it is the last
    class and they end before the first -1 ("last"), unless `label_lengths` are given. A sequence
    that is too long for its steps has loss 0 and gradient 0.

    >>> scores = nd.zeros((2, 1, 3))
    >>> round(nd.ctc_loss(scores, nd.array([[1, 0]])).exp().item(), 4)
    3.0
    """
    steps, batch, classes = data.shape
    _infer(data, label, data_lengths, label_lengths, use_data_lengths=use_data_lengths,
           use_label_lengths=use_label_lengths, blank_label=blank_label)  # fmt: skip
    if data_lengths is None:
        data_lengths = torch.full((batch,), steps, device=data.device)
    blank = 0 if blank_label == "first" else classes - 1
    counts = _counts(label, label_lengths, blank_label)
    return F.ctc_loss(
        torch.log_softmax(data, 2),
        label.long(),
        data_lengths.long(),
        counts,
        blank,
        reduction="none",
        zero_infinity=True,
    )
