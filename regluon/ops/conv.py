"""Convolution and its transpose, over one, two or three axes.

A weight in torch's channels-last format makes `Convolution` bring its data into that format too;
results and gradients keep it, so that a whole network runs without further conversions.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import DTypeError, MXNetError, ShapeError, nearest
from regluon.ops.dtype import dtype_name
from regluon.ops.registry import Spec, register, spec_of


Sizes = int | Sequence[int]
Array = Tensor | Spec

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


def channels_first(array: Array, last: bool) -> Spec:
    """Return shape and dtype of an array with the channels on axis 1, where they are last if so."""
    shape = tuple(array.shape)
    return Spec((shape[0], shape[-1], *shape[1:-1]) if last else shape, array.dtype)


def in_layout(shape: Sequence[int], last: bool) -> tuple[int, ...]:
    """Return a shape with the channels on axis 1 as the layout has it."""
    return (shape[0], *shape[2:], shape[1]) if last else tuple(shape)


def _check_weight(
    data: Spec, weight: Spec, kernel: Sizes, filters: tuple[int, int], channels: tuple[int, int]
) -> None:
    """Raise unless kernel, (present, wanted) filters and (present, wanted) channels agree."""
    named = f"weight {weight.shape}"
    if data.dtype != weight.dtype:
        raise DTypeError(
            f"data is {dtype_name(data.dtype)}, the weight {dtype_name(weight.dtype)}: they must "
            "have one dtype; bring one to the other's with astype"
        )
    if kernel and weight.shape[2:] != each_axis(kernel, len(weight.shape) - 2, 1, "kernel"):
        raise ShapeError(f"{named} does not have kernel={kernel}")
    has, wanted = filters
    if wanted and has != wanted:
        raise ShapeError(f"{named} has {has} filters, num_filter is {wanted}")
    has, wanted = channels
    if has != wanted:
        raise ShapeError(f"{named} needs {wanted} input channels, data {data.shape} has {has}")


def _check_ranks(data: Array, weight: Array) -> None:
    if len(data.shape) not in _CONVOLVE or len(weight.shape) != len(data.shape):
        raise ShapeError(
            f"data and weight need 3, 4 or 5 axes each (batch, channels, space), not "
            f"{tuple(data.shape)} and {tuple(weight.shape)}"
        )


def _check_bias(bias: Array | None, filters: int, groups: int) -> None:
    if bias is not None and tuple(bias.shape) != (filters,):
        raise ShapeError(f"bias {tuple(bias.shape)} does not fit {filters} filters")
    if groups < 1 or filters % groups:
        raise ShapeError(f"{filters} filters cannot be divided into num_group={groups} groups")


def _steps(stride: Sizes, dilate: Sizes, pad: Sizes, rank: int) -> tuple[tuple[int, ...], ...]:
    """Return stride, dilation and padding along each axis of space."""
    steps = each_axis(stride, rank, 1, "stride")
    spread = each_axis(dilate, rank, 1, "dilate")
    pads = each_axis(pad, rank, 0, "pad")
    if min(*steps, *spread) < 1 or min(pads) < 0:
        raise ShapeError(
            f"stride {steps} and dilate {spread} must be 1 or more, pad {pads} 0 or more"
        )
    return steps, spread, pads


def _convolution_infer(
    data: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    kernel: Sizes = (),
    stride: Sizes = (),
    dilate: Sizes = (),
    pad: Sizes = (),
    num_filter: int = 0,
    num_group: int = 1,
    no_bias: bool = False,
    layout: str | None = None,
    **rest: Any,
) -> tuple[Spec, ...]:
    last = channels_last(layout, len(data.shape))
    _check_ranks(data, weight)
    image, filters = channels_first(data, last), channels_first(weight, last)
    count, *widths = filters.shape[0], *filters.shape[2:]
    groups = (image.shape[1], filters.shape[1] * num_group)
    _check_weight(image, filters, kernel, (count, num_filter), groups)
    _check_bias(None if no_bias else bias, count, num_group)
    steps, spread, pads = _steps(stride, dilate, pad, len(widths))
    axes = zip(image.shape[2:], widths, steps, spread, pads, strict=True)
    sizes = [(n + 2 * p - d * (width - 1) - 1) // step + 1 for n, width, step, d, p in axes]
    if min(sizes) < 1:
        raise ShapeError(
            f"the kernel {tuple(widths)}, dilate {spread}, exceeds the image {image.shape[2:]}, "
            f"pad {pads}"
        )
    return (Spec(in_layout((image.shape[0], count, *sizes), last), data.dtype),)


def _work(data: Array, weight: Array, *rest: Any) -> int:
    """64 products take a nanosecond; a stride is left out."""
    positions = data.numel() // max(1, math.prod(data.shape[1:2]))
    return positions * weight.numel() // 64


@register(
    _convolution_infer,
    nd="Convolution Convolution_v1",
    npx="convolution",
    symbol="Convolution",
    effort=_work,
)
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
    if no_bias:
        bias = None
    _convolution_infer(
        data, weight, bias, kernel=kernel, stride=stride, dilate=dilate, pad=pad,
        num_filter=num_filter, num_group=num_group, layout=layout,
    )  # fmt: skip
    last = layout in _LAST
    if last:
        data, weight = data.movedim(-1, 1), weight.movedim(-1, 1)
    if weight.dim() == 4 and not weight.is_contiguous() and not last:
        data = _follow(data, weight)
    result = _CONVOLVE[data.dim()](
        data, weight, bias, stride or 1, pad or 0, dilate or 1, num_group
    )
    return result.movedim(1, -1) if last else result


def _follow(data: Tensor, weight: Tensor) -> Tensor:
    """Bring `data` into the weight's channels-last format, once for forward and backward."""
    if weight.is_contiguous(memory_format=torch.channels_last):
        return data.contiguous(memory_format=torch.channels_last)
    return data


def _transposed(
    image: Spec, filters: Spec, stride: Sizes, dilate: Sizes, pad: Sizes, adj: Sizes, wanted: Sizes
) -> tuple[tuple[int, ...], ...]:
    """Return stride, dilation, padding, surplus places and size of the result, along each axis."""
    rank = len(image.shape) - 2
    steps, spread, pads = _steps(stride, dilate, pad, rank)
    extra = each_axis(adj, rank, 0, "adj")
    sizes, widths = image.shape[2:], filters.shape[2:]
    if wanted:
        target = each_axis(wanted, rank, 0, "target_shape")
        pads, extra = _fit_target(sizes, widths, steps, spread, target)
    if any(a < 0 or a >= max(step, d) for a, step, d in zip(extra, steps, spread, strict=True)):
        raise ShapeError(f"adj {extra} must be smaller than stride {steps} or dilate {spread}")
    axes = zip(sizes, widths, steps, spread, pads, extra, strict=True)
    grown = [s * (n - 1) + d * (width - 1) + 1 - 2 * p + a for n, width, s, d, p, a in axes]
    if min(grown) < 1:
        raise ShapeError(f"pad {pads} leaves nothing of the result: its shape would be {grown}")
    return steps, spread, pads, extra, tuple(grown)


def _deconvolution_infer(
    data: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    kernel: Sizes = (),
    stride: Sizes = (),
    dilate: Sizes = (),
    pad: Sizes = (),
    adj: Sizes = (),
    target_shape: Sizes = (),
    num_filter: int = 0,
    num_group: int = 1,
    no_bias: bool = True,
    layout: str | None = None,
    **rest: Any,
) -> tuple[Spec, ...]:
    last = channels_last(layout, len(data.shape))
    _check_ranks(data, weight)
    image, filters = channels_first(data, last), channels_first(weight, last)
    count = filters.shape[1] * num_group
    groups = (image.shape[1], filters.shape[0])
    _check_weight(image, filters, kernel, (count, num_filter), groups)
    _check_bias(None if no_bias else bias, count, num_group)
    *_, sizes = _transposed(image, filters, stride, dilate, pad, adj, target_shape)
    return (Spec(in_layout((image.shape[0], count, *sizes), last), data.dtype),)


@register(_deconvolution_infer, nd="Deconvolution", npx="deconvolution", symbol="Deconvolution")
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
    if no_bias:
        bias = None
    _deconvolution_infer(
        data, weight, bias, kernel=kernel, stride=stride, dilate=dilate, pad=pad, adj=adj,
        target_shape=target_shape, num_filter=num_filter, num_group=num_group, no_bias=no_bias,
        layout=layout,
    )  # fmt: skip
    last = layout in _LAST
    if last:
        data, weight = data.movedim(-1, 1), weight.movedim(-1, 1)
    steps, spread, pads, extra, _ = _transposed(
        spec_of(data), spec_of(weight), stride, dilate, pad, adj, target_shape
    )
    result = _TRANSPOSED[data.dim()](data, weight, bias, steps, pads, extra, num_group, spread)
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
