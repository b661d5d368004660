"""Pooling by any of MXNet's conventions: torch's kernels where they have the same windows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.conv import Sizes, channels_first, channels_last, each_axis, in_layout
from regluon.ops.dtype import check_floating
from regluon.ops.registry import Spec, register


@dataclass(frozen=True)
class Windows:
    """The windows of a pooling: kernel, stride and pad per axis, and the rule for their number."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    convention: str = "valid"

    def check(self, sizes: tuple[int, ...]) -> None:
        """Raise unless the windows fit images of these sizes."""
        if self.convention not in ("valid", "full", "same"):
            raise MXNetError(f"pooling_convention is valid, full or same, not {self.convention!r}")
        if 0 in self.kernel:
            raise MXNetError("pooling needs kernel=, or global_pool=True")
        if self.convention == "same" and any(self.pad):
            raise MXNetError("pooling_convention='same' takes no pad")
        for size, width, pad in zip(sizes, self.kernel, self.pad, strict=True):
            if pad >= width:
                raise ShapeError(f"pad {self.pad} must be smaller than kernel {self.kernel}")
            if width > size + 2 * pad and self.convention != "same":
                raise ShapeError(f"kernel {self.kernel} exceeds the image {sizes}, pad {self.pad}")

    def counts(self, sizes: Sequence[int]) -> list[int]:
        """Return the number of windows along each axis."""
        if self.convention == "same":
            return [-(-size // step) for size, step in zip(sizes, self.stride, strict=True)]
        rest = self.stride if self.convention == "full" else (1,) * len(self.stride)
        axes = zip(sizes, self.kernel, self.stride, self.pad, rest, strict=True)
        return [(n + 2 * pad - width + more - 1) // step + 1 for n, width, step, pad, more in axes]

    def native(self, sizes: Sequence[int]) -> bool:
        """Say whether torch's own pooling has these very windows."""
        if any(2 * pad > width for pad, width in zip(self.pad, self.kernel, strict=True)):
            return False
        if self.convention == "valid":
            return True
        axes = zip(self.counts(sizes), sizes, self.stride, self.pad, strict=True)
        inside = all((count - 1) * step < size + pad for count, size, step, pad in axes)
        return self.convention == "full" and inside

    def surround(self, data: Tensor, value: float) -> Tensor:
        """Pad the images with `value` so that all windows lie inside."""
        borders: list[int] = []
        counts = self.counts(data.shape[2:])
        axes = zip(data.shape[2:], counts, self.kernel, self.stride, self.pad, strict=True)
        for size, count, width, step, pad in axes:
            behind = (count - 1) * step + width - size - pad
            borders = [pad, max(0, behind), *borders]
        return F.pad(data, borders, value=value)

    def divisors(self, data: Tensor, count_pad: bool) -> Tensor:
        """Return how many places each window averages: none beyond the padding, at least 1."""
        total = torch.ones((), dtype=data.dtype, device=data.device)
        counts = self.counts(data.shape[2:])
        axes = zip(data.shape[2:], counts, self.kernel, self.stride, self.pad, strict=True)
        for size, count, width, step, pad in axes:
            border = pad if count_pad else 0
            start = torch.arange(count, device=data.device) * step - pad
            places = (start + width).clamp(max=size + border) - start.clamp(min=-border)
            total = total.unsqueeze(-1) * places.clamp(min=1).to(data.dtype)
        return total


_MAX: dict[int, Callable[..., Tensor]] = {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}


def _max(data: Tensor, windows: Windows) -> Tensor:
    pool, kernel, stride = _MAX[data.dim()], windows.kernel, windows.stride
    if windows.native(data.shape[2:]):
        return pool(data, kernel, stride, windows.pad, ceil_mode=windows.convention == "full")
    return pool(windows.surround(data, torch.finfo(data.dtype).min), kernel, stride)


def _average(
    data: Tensor, windows: Windows, pad: tuple[int, ...], count_pad: bool, divisor: int | None
) -> Tensor:
    """Call torch's average pooling, one axis as two: only then it takes a divisor."""
    kernel, stride, ceil = windows.kernel, windows.stride, windows.convention == "full"
    if data.dim() == 5:
        wide = data.float() if data.is_cpu and data.itemsize < 4 else data  # torch has no kernel
        result = F.avg_pool3d(wide, kernel, stride, pad, ceil, count_pad, divisor)
        return result.to(data.dtype)
    if data.dim() == 4:
        return F.avg_pool2d(data, kernel, stride, pad, ceil, count_pad, divisor)
    row = F.avg_pool2d(
        data.unsqueeze(2), (1, *kernel), (1, *stride), (0, *pad), ceil, count_pad, divisor
    )
    return row.squeeze(2)


def _sum(data: Tensor, windows: Windows) -> Tensor:
    if windows.native(data.shape[2:]):
        return _average(data, windows, windows.pad, True, 1)
    inside = Windows(windows.kernel, windows.stride, (0,) * len(windows.pad))
    return _average(windows.surround(data, 0.0), inside, inside.pad, True, 1)


def _mean(data: Tensor, windows: Windows, count_pad: bool) -> Tensor:
    if windows.native(data.shape[2:]):
        return _average(data, windows, windows.pad, count_pad, None)
    return _sum(data, windows) / windows.divisors(data, count_pad)


def _norm(data: Tensor, windows: Windows, power: int | None) -> Tensor:
    assert power is not None
    return _sum(data.pow(power), windows).pow(1 / power)


_KINDS = ("max", "avg", "sum", "lp")


def _windows(
    sizes: tuple[int, ...], kernel: Sizes, stride: Sizes, pad: Sizes, convention: str, whole: bool
) -> Windows:
    rank = len(sizes)
    if whole:
        return Windows(sizes, (1,) * rank, (0,) * rank)
    windows = Windows(
        each_axis(kernel, rank, 0, "kernel"),
        each_axis(stride, rank, 1, "stride"),
        each_axis(pad, rank, 0, "pad"),
        convention,
    )
    windows.check(sizes)
    return windows


def _pooling_infer(
    data: Spec,
    *,
    kernel: Sizes = (),
    pool_type: str = "max",
    global_pool: bool = False,
    pooling_convention: str = "valid",
    stride: Sizes = (),
    pad: Sizes = (),
    p_value: int | None = None,
    layout: str | None = None,
    **rest: Any,
) -> tuple[Spec, ...]:
    last = _check_images(data, layout)
    image = channels_first(data, last).shape
    windows = _windows(image[2:], kernel, stride, pad, pooling_convention, global_pool)
    _check_kind(pool_type, p_value)
    return (Spec(in_layout((*image[:2], *windows.counts(image[2:])), last), data.dtype),)


def _check_images(data: Tensor | Spec, layout: str | None) -> bool:
    """Say whether the channels are last, or raise unless the data are images."""
    if len(data.shape) not in _MAX:
        raise ShapeError(f"pooling needs 3, 4 or 5 axes, not shape {tuple(data.shape)}")
    check_floating("Pooling", data.dtype)
    return channels_last(layout, len(data.shape))


def _check_kind(pool_type: str, p_value: int | None) -> None:
    if pool_type not in _KINDS:
        raise MXNetError(f"pool_type is max, avg, sum or lp, not {pool_type!r}")
    if pool_type == "lp" and p_value is None:
        raise MXNetError("pool_type='lp' needs p_value")


@register(_pooling_infer, nd="Pooling Pooling_v1", npx="pooling", symbol="Pooling")
def pooling(
    data: Tensor,
    kernel: Sizes = (),
    pool_type: str = "max",
    global_pool: bool = False,
    cudnn_off: bool = False,
    pooling_convention: str = "valid",
    stride: Sizes = (),
    pad: Sizes = (),
    p_value: int | None = None,
    count_include_pad: bool | None = None,
    layout: str | None = None,
) -> Tensor:
    """Take the "max", "avg", "sum" or "lp" norm of windows of `data` (batch, channels, space).

    Each axis of the result has floor((size + 2 * pad - kernel) / stride) + 1 places by the "valid"
    convention, ceil instead of floor by "full", ceil(size / stride) by "same", whose windows start
    at the first place. Averages count the padding unless `count_include_pad` is False. A window
    outside the data gives 0, or the lowest number for "max". The norm is sum(x ** p) ** (1 / p)
    with p = `p_value`. `global_pool` takes each whole image; `layout` "NHWC" has the channels last.

    >>> pooling(torch.ones(1, 2, 7, 7), (2, 2), stride=(2, 2), pooling_convention="full").shape
    torch.Size([1, 2, 4, 4])
    """
    last = _check_images(data, layout)
    _check_kind(pool_type, p_value)
    if last:
        data = data.movedim(-1, 1)
    space = tuple(data.shape[2:])
    windows = _windows(space, kernel, stride, pad, pooling_convention, global_pool)
    if pool_type == "max":
        result = _max(data, windows)
    elif pool_type == "avg":
        result = _mean(data, windows, count_include_pad is not False)
    else:
        result = _sum(data, windows) if pool_type == "sum" else _norm(data, windows, p_value)
    return result.movedim(1, -1) if last else result
