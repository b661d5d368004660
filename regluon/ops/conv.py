"""Convolution and its transpose, over one, two or three axes.

A weight in torch's channels-last format makes `Convolution` bring its data into that format too;
results and gradients keep it, so that a whole network runs without further conversions.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError, nearest
from regluon.ops.calling import register_meta


Sizes = int | Sequence[int]

_CONVOLVE: dict[int, Callable[..., Tensor]] = {3: torch.conv1d, 4: torch.conv2d, 5: torch.conv3d}
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    3: torch.conv_transpose1d,
    4: torch.conv_transpose2d,
    5: torch.conv_transpose3d,
}
_FIRST = {"NCW": 3, "NCHW": 4, "NCDHW": 5}  # layouts with the channels before the space
_LAST = {"NWC": 3, "NHWC": 4, "NDHWC": 5}


def channels_last(layout: str | None, rank: int) -> bool:
    """Say whether `layout` has the channels last; it must be one for arrays of `rank` axes."""
    if layout is None:
        return False
    known = {**_FIRST, **_LAST}
    if layout not in known:
        raise MXNetError(f"unknown layout {layout!r}{nearest(layout, known)}")
    if known[layout] != rank:
        raise ShapeError(f"layout {layout} is for {known[layout]} axes, the data has {rank}")
    return layout in _LAST


def each_axis(sizes: Sizes, rank: int, default: int, name: str) -> tuple[int, ...]:
    """Return one size per axis of the space; one number stands for all, nothing for `default`."""
    if isinstance(sizes, int):
        return (sizes,) * rank
    if not sizes:
        return (default,) * rank
    if len(sizes) != rank:
        raise ShapeError(f"{name}={tuple(sizes)} has {len(sizes)} sizes, the data {rank} such axes")
    return tuple(sizes)


def _check_weight(
    data: Tensor, weight: Tensor, kernel: Sizes, filters: tuple[int, int], channels: tuple[int, int]
) -> None:
    """Raise unless kernel, (present, wanted) filters and (present, wanted) channels agree."""
    if data.dim() not in _CONVOLVE or weight.dim() != data.dim():
        raise ShapeError(
            f"data and weight need 3, 4 or 5 axes each (batch, channels, space), not "
            f"{tuple(data.shape)} and {tuple(weight.shape)}"
        )
    if kernel and tuple(weight.shape[2:]) != each_axis(kernel, weight.dim() - 2, 1, "kernel"):
        raise ShapeError(f"weight {tuple(weight.shape)} does not have kernel={kernel}")
    has, wanted = filters
    if wanted and has != wanted:
        raise ShapeError(f"weight {tuple(weight.shape)} has {has} filters, num_filter is {wanted}")
    has, wanted = channels
    if has != wanted:
        raise ShapeError(
            f"weight {tuple(weight.shape)} needs {wanted} input channels, "
            f"data {tuple(data.shape)} has {has}"
        )


@register_meta(nd="Convolution Convolution_v1", npx="convolution", symbol="Convolution")
def convolution(
    data: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    kernel: Sizes = (),
    stride: Sizes = (),
    dilate: Sizes = (),
    pad: Sizes = (),
    num_filter: int = 0,
    num_group: int = 1,
    workspace: int = 1024,
    no_bias: bool = False,
    cudnn_tune: str | None = None,
    cudnn_off: bool = False,
    layout: str | None = None,
) -> Tensor:
    """Convolve `data` (batch, channels, space) with `weight` (filters, channels / groups, kernel).

    One, two or three axes of space, as the data has. `layout` "NHWC" and its like have the channels
    last in data, weight and result. `kernel` and `num_filter` are the weight's and may be left out;
    `workspace` and the `cudnn_` switches change nothing.

    >>> convolution(torch.ones(1, 3, 8, 8), torch.ones(4, 3, 3, 3), pad=(1, 1)).shape
    torch.Size([1, 4, 8, 8])
    """
    last = channels_last(layout, data.dim())
    if last:
        data, weight = data.movedim(-1, 1), weight.movedim(-1, 1)
    groups = (data.shape[1], weight.shape[1] * num_group)
    _check_weight(data, weight, kernel, (weight.shape[0], num_filter), groups)
    if weight.dim() == 4 and not weight.is_contiguous() and not last:
        data = _follow(data, weight)
    result = _CONVOLVE[data.dim()](
        data,
        weight,
        None if no_bias else bias,
        stride or 1,
        pad or 0,
        dilate or 1,
        num_group,
    )
    return result.movedim(1, -1) if last else result


def _follow(data: Tensor, weight: Tensor) -> Tensor:
    """Bring `data` into the weight's channels-last format, once for forward and backward."""
    if weight.is_contiguous(memory_format=torch.channels_last):
        return data.contiguous(memory_format=torch.channels_last)
    return data


@register_meta(nd="Deconvolution", npx="deconvolution", symbol="Deconvolution")
def deconvolution(
    data: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    kernel: Sizes = (),
    stride: Sizes = (),
    dilate: Sizes = (),
    pad: Sizes = (),
    adj: Sizes = (),
    target_shape: Sizes = (),
    num_filter: int = 0,
    num_group: int = 1,
    workspace: int = 512,
    no_bias: bool = True,
    cudnn_tune: str | None = None,
    cudnn_off: bool = False,
    layout: str | None = None,
) -> Tensor:
    """Convolve transposed: the gradient of `Convolution`, used forwards to enlarge.

    `weight` is (channels, filters / groups, kernel). Each axis of the result has
    stride * (size - 1) + dilate * (kernel - 1) + 1 - 2 * pad + adj places; `target_shape` chooses
    `pad` and `adj` so that it comes out. MXNet ignores the bias unless `no_bias` is False.
    """
    last = channels_last(layout, data.dim())
    if last:
        data, weight = data.movedim(-1, 1), weight.movedim(-1, 1)
    filters = (weight.shape[1] * num_group, num_filter)
    _check_weight(data, weight, kernel, filters, (data.shape[1], weight.shape[0]))
    rank = data.dim() - 2
    steps = each_axis(stride, rank, 1, "stride")
    spread = each_axis(dilate, rank, 1, "dilate")
    pads, extra = each_axis(pad, rank, 0, "pad"), each_axis(adj, rank, 0, "adj")
    if target_shape:
        target = each_axis(target_shape, rank, 0, "target_shape")
        pads, extra = _fit_target(data.shape[2:], weight.shape[2:], steps, spread, target)
    result = _TRANSPOSED[data.dim()](
        data, weight, None if no_bias else bias, steps, pads, extra, num_group, spread
    )
    return result.movedim(1, -1) if last else result


def _fit_target(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilate: Sequence[int],
    target: Sequence[int],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return `pad` and `adj` with which the result has `target` places along each axis."""
    pads, extra = [], []
    for size, width, step, spread, wanted in zip(
        sizes, kernel, stride, dilate, target, strict=True
    ):
        largest = step * (size - 1) + spread * (width - 1) + 1
        if wanted > largest:
            raise ShapeError(f"target_shape={tuple(target)} is too large: {wanted} > {largest}")
        surplus = largest - wanted
        pads.append((surplus + 1) // 2)
        extra.append(surplus % 2)
    return tuple(pads), tuple(extra)
