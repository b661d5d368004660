"""Batches of sequences of different lengths: masked, cut to their last step, reversed.

`data` has the steps on `axis` 0 and the batch on axis 1, or the batch on axis 0 and the steps on 1.
"""

from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, OutOfRangeError, ShapeError
from regluon.ops.registry import Spec, register


def _check_shapes(
    data: Tensor | Spec, lengths: Tensor | Spec | None, wanted: bool, axis: int
) -> None:
    if axis not in (0, 1):
        raise MXNetError(f"the axis of a sequence is 0 or 1, not {axis}")
    shape = tuple(data.shape)
    if len(shape) < 2:
        raise ShapeError(f"sequences need at least 2 axes, not shape {shape}")
    if wanted != (lengths is not None):
        raise MXNetError("sequence_length and use_sequence_length=True belong together")
    if lengths is not None and tuple(lengths.shape) != (shape[1 - axis],):
        raise ShapeError(
            f"sequence_length {tuple(lengths.shape)} needs one length for each of the "
            f"{shape[1 - axis]} sequences of data {shape}"
        )


def _like_data(
    data: Spec,
    sequence_length: Spec | None = None,
    *,
    use_sequence_length: bool = False,
    axis: int = 0,
    **rest: Any,
) -> tuple[Spec, ...]:
    _check_shapes(data, sequence_length, use_sequence_length, axis)
    return (data,)


def _one_step(data: Spec, sequence_length: Spec | None = None, **attrs: Any) -> tuple[Spec, ...]:
    _like_data(data, sequence_length, **attrs)
    axis = attrs.get("axis", 0)
    return (Spec((data.shape[1 - axis], *data.shape[2:]), data.dtype),)


def _check_lengths(
    data: Tensor, sequence_length: Tensor | None = None, *, axis: int = 0, **rest: Any
) -> None:
    _check_range(data, sequence_length, axis, 0)


def _check_some(
    data: Tensor, sequence_length: Tensor | None = None, *, axis: int = 0, **rest: Any
) -> None:
    _check_range(data, sequence_length, axis, 1)


def _check_range(data: Tensor, lengths: Tensor | None, axis: int, low: int) -> None:
    if lengths is not None and lengths.numel():
        ends = [end.item() for end in torch.aminmax(lengths)]
        if ends[0] < low or ends[1] > data.shape[axis]:
            raise OutOfRangeError(
                f"sequence lengths from {ends[0]:g} to {ends[1]:g} do not lie in {low} ... "
                f"{data.shape[axis]}, the steps of data {tuple(data.shape)}"
            )


def _steps(data: Tensor, lengths: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return the numbers of the steps and the lengths, to be broadcast over the first two axes."""
    steps = torch.arange(data.shape[axis], device=data.device)
    return steps.unsqueeze(1 - axis), lengths.long().unsqueeze(axis)


def _over(data: Tensor, values: Tensor) -> Tensor:
    """Give values of the first two axes as many axes as `data` has."""
    return values.reshape(values.shape + (1,) * (data.dim() - 2))


@register(
    _like_data,
    nd="SequenceMask",
    npx="sequence_mask",
    symbol="SequenceMask",
    differentiable="data",
    view="lazy copy",
)
def sequence_mask(
    data: Tensor,
    sequence_length: Tensor | None = None,
    use_sequence_length: bool = False,
    value: float = 0.0,
    axis: int = 0,
) -> Tensor:
    """Set the steps from each sequence's length on to `value`.

    `sequence_length` has one length for each sequence; it is given if `use_sequence_length` is.

    >>> nd.SequenceMask(nd.ones((3, 2)), nd.array([1, 2]), True).asnumpy().tolist()
    [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    """
    _check_shapes(data, sequence_length, use_sequence_length, axis)
    if sequence_length is None:
        return data
    steps, lengths = _steps(data, sequence_length, axis)
    beyond = _over(data, steps >= lengths)
    return data.masked_fill(beyond, value if data.is_floating_point() else int(value))


@register(
    _one_step,
    nd="SequenceLast",
    symbol="SequenceLast",
    differentiable="data",
    check=_check_some,
)
def sequence_last(
    data: Tensor,
    sequence_length: Tensor | None = None,
    use_sequence_length: bool = False,
    axis: int = 0,
) -> Tensor:
    """Return the last step of every sequence; a length that is not in 1 ... steps is an error.

    >>> nd.SequenceLast(nd.array([[1, 2], [3, 4]]), nd.array([1, 2]), True).asnumpy().tolist()
    [1.0, 4.0]
    """
    _check_shapes(data, sequence_length, use_sequence_length, axis)
    if sequence_length is None:
        return data.select(axis, -1).clone()
    batch = torch.arange(data.shape[1 - axis], device=data.device)
    return data.movedim(axis, 0)[sequence_length.long() - 1, batch]


@register(
    _like_data,
    nd="SequenceReverse",
    symbol="SequenceReverse",
    differentiable="data",
    check=_check_lengths,
)
def sequence_reverse(
    data: Tensor,
    sequence_length: Tensor | None = None,
    use_sequence_length: bool = False,
    axis: int = 0,
) -> Tensor:
    """Reverse the first `sequence_length` steps of every sequence, or all; later ones stay.

    >>> nd.SequenceReverse(nd.array([[1], [2], [3]]), nd.array([2]), True).asnumpy().tolist()
    [[2.0], [1.0], [3.0]]
    """
    _check_shapes(data, sequence_length, use_sequence_length, axis)
    if sequence_length is None:
        return data.flip(axis)
    steps, lengths = _steps(data, sequence_length, axis)
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return data.gather(axis, _over(data, source).expand_as(data))
