"""Regions of interest: parts of feature maps, given by boxes, brought to one size.

A row of `rois` is (picture in the batch, x1, y1, x2, y2), in pixels of the picture; `spatial_scale`
times those are places in the feature map. Rows with a negative picture give zeros.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.bounds import check_below
from regluon.ops.conv import Sizes, each_axis
from regluon.ops.dtype import check_floating
from regluon.ops.registry import Spec, register
from regluon.ops.unary import half_away


Borders = Sequence[Sequence[int]]


def _roi_infer(
    data: Tensor | Spec,
    rois: Tensor | Spec,
    *,
    pooled_size: Sizes,
    position_sensitive: bool = False,
    **rest: Any,
) -> tuple[Spec, ...]:
    size = each_axis(pooled_size, 2, 1, "pooled_size")
    if len(data.shape) != 4 or len(rois.shape) != 2 or rois.shape[1] != 5:
        raise ShapeError(
            f"data is (batch, channels, height, width) and rois (count, 5), not "
            f"{tuple(data.shape)} and {tuple(rois.shape)}"
        )
    check_floating("a pooling of regions", data.dtype)
    channels = data.shape[1]
    if position_sensitive:
        if channels % (size[0] * size[1]):
            raise ShapeError(
                f"{channels} channels are no multiple of {size[0]} x {size[1]} windows"
            )
        channels //= size[0] * size[1]
    return (Spec((rois.shape[0], channels, *size), data.dtype),)


def _check_rois(data: Tensor, rois: Tensor, *, aligned: bool = False, **rest: Any) -> None:
    _roi_infer(data, rois, **rest)
    check_below(rois[:, 0].clamp(min=0), len(data), "picture of a region")
    if aligned and bool((rois[:, 3:] < rois[:, 1:3]).any()):
        raise MXNetError(
            "a region ends before it starts: rows of rois are (picture, x1, y1, x2, y2)"
        )


def _borders(start: Tensor, end: Tensor, count: int, length: int) -> list[Borders]:
    """Return per region the (first, last + 1) places of its `count` windows along one axis."""
    width = (end - start + 1).clamp(min=1).unsqueeze(1) / count
    places = torch.arange(count, device=start.device)
    first = (places * width).floor() + start.unsqueeze(1)
    behind = ((places + 1) * width).ceil() + start.unsqueeze(1)
    both = torch.stack([first, behind], 2).clamp(0, length).long()
    listed: list[Borders] = both.tolist()
    return listed


def _window_maxima(data: Tensor, borders: Borders, axis: int) -> Tensor:
    """Return the largest value of every window along an axis, the first of equals."""
    shape = list(data.shape)
    del shape[axis]
    parts = [
        data.narrow(axis, first, behind - first).max(axis).values
        if behind > first
        else data.new_zeros(shape)
        for first, behind in borders
    ]
    return torch.stack(parts, axis)


@register(
    _roi_infer,
    nd="ROIPooling",
    npx="roi_pooling",
    symbol="ROIPooling",
    differentiable="data",
    check=_check_rois,
)
def roi_pooling(data: Tensor, rois: Tensor, pooled_size: Sizes, spatial_scale: float) -> Tensor:
    """Take the maximum of each of `pooled_size` windows of every region; Girshick 2015.

    The borders of regions and windows are rounded to whole places; windows outside the feature map
    give 0. The result is (count, channels, height, width).

    >>> rois = nd.array([[0, 0, 0, 3, 3]])
    >>> x = nd.arange(16).reshape((1, 1, 4, 4))
    >>> nd.ROIPooling(x, rois, pooled_size=(2, 2), spatial_scale=1.0).asnumpy().tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    size = each_axis(pooled_size, 2, 1, "pooled_size")
    left, top, right, bottom = half_away(rois[:, 1:] * spatial_scale).unbind(1)
    rows = _borders(top, bottom, size[0], data.shape[2])
    columns = _borders(left, right, size[1], data.shape[3])
    found = [
        _maxima(data[picture], down, across)
        if picture >= 0
        else data.new_zeros((data.shape[1], *size))
        for picture, down, across in zip(rois[:, 0].long().tolist(), rows, columns, strict=True)
    ]
    return torch.stack(found) if found else data.new_zeros((0, data.shape[1], *size))


def _maxima(data: Tensor, down: Borders, across: Borders) -> Tensor:
    """Return the largest value of every window: of each row's part first, then of the rows."""
    top, bottom = down[0][0], down[-1][1]
    inside = [[first - top, behind - top] for first, behind in down]
    return _window_maxima(_window_maxima(data[:, top:bottom], across, 2), inside, 1)


def _weights(start: Tensor, width: Tensor, bins: int, sampling: int, length: int) -> Tensor:
    """Return (regions, bins, length): how much each place counts in each bin along one axis.

    A bin is the mean over points spread evenly in it, each interpolated between two places.
    """
    step = (width / bins).unsqueeze(1)
    counts = torch.full_like(step, sampling) if sampling > 0 else step.ceil().clamp(min=1)
    most = int(counts.max()) if len(counts) else 1
    point = torch.arange(most, device=start.device)
    inner = (point + 0.5) / counts * step
    origin = start.unsqueeze(1) + torch.arange(bins, device=start.device) * step
    places = origin.unsqueeze(2) + inner.unsqueeze(1)
    counted = (places >= -1) & (places <= length) & (point < counts).unsqueeze(1)
    places = places.clamp(0, length - 1)
    low = places.floor()
    share = counted / counts.unsqueeze(2)
    weights = start.new_zeros((len(start), bins, length))
    weights.scatter_add_(2, low.long(), (1 - (places - low)) * share)
    weights.scatter_add_(2, (low + 1).clamp(max=length - 1).long(), (places - low) * share)
    return weights


@register(
    _roi_infer,
    also={"nd.contrib": "ROIAlign"},
    symbol="_contrib_ROIAlign",
    differentiable="data",
    check=_check_rois,
)
def roi_align(
    data: Tensor,
    rois: Tensor,
    pooled_size: Sizes,
    spatial_scale: float,
    sample_ratio: int = -1,
    position_sensitive: bool = False,
    aligned: bool = False,
) -> Tensor:
    """Average points in each of `pooled_size` bins of every region; He et al. 2017.

    Nothing is rounded. A bin has sample_ratio x sample_ratio points, or about one per place of the
    feature map. With `aligned` the centre of the first pixel is at 0.5, not at 0. By
    `position_sensitive` each bin reads channels of its own (Dai et al. 2016).

    >>> rois = nd.array([[0, 0, 0, 3, 3]])
    >>> nd.contrib.ROIAlign(nd.ones((1, 2, 4, 4)), rois, pooled_size=(2, 2), spatial_scale=1).shape
    (1, 2, 2, 2)
    """
    size = each_axis(pooled_size, 2, 1, "pooled_size")
    boxes = rois.detach()[:, 1:].to(data.dtype) * spatial_scale - (0.5 if aligned else 0.0)
    lengths = boxes[:, 2:] - boxes[:, :2]
    if not aligned:
        lengths = lengths.clamp(min=1)
    down = _weights(boxes[:, 1], lengths[:, 1], size[0], sample_ratio, data.shape[2])
    across = _weights(boxes[:, 0], lengths[:, 0], size[1], sample_ratio, data.shape[3])
    result = data.new_zeros((len(rois), data.shape[1], *size))
    for picture in range(len(data)):
        chosen = (rois[:, 0] == picture).nonzero().squeeze(1)
        if len(chosen):
            part = torch.einsum("rph,chw->rcpw", down[chosen], data[picture])
            part = torch.einsum("rcpw,rqw->rcpq", part, across[chosen])
            result = result.index_copy(0, chosen, part)
    if not position_sensitive:
        return result
    groups: Tensor = result.unflatten(1, (-1, *size))
    return groups.diagonal(dim1=2, dim2=4).diagonal(dim1=2, dim2=3)
