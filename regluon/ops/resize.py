"""Pictures (batch, channels, height, width) in other sizes: enlarged, resized, pooled, cropped."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.calling import register_meta
from regluon.ops.conv import Sizes, deconvolution
from regluon.ops.registry import Spec, register


def _check_pictures(*data: Tensor | Spec) -> None:
    for array in data:
        if len(array.shape) != 4:
            raise ShapeError(
                f"pictures are (batch, channels, height, width), not of shape {tuple(array.shape)}"
            )


def _check_count(data: Sequence[Tensor], num_args: int) -> None:
    if num_args not in (0, len(data)):
        raise MXNetError(f"num_args={num_args}, but {len(data)} arrays are given")


@register_meta(nd="UpSampling", symbol="UpSampling")
def upsampling(
    *data: Tensor,
    scale: int,
    sample_type: str,
    num_filter: int = 0,
    multi_input_mode: str = "concat",
    num_args: int = 0,
    workspace: int = 512,
) -> Tensor:
    """Enlarge pictures by a whole number.

    "nearest" repeats rows and columns; several arrays are all brought to the size of the first
    times `scale`, and joined along the channels or, by `multi_input_mode` "sum", added. "bilinear"
    takes one array and the weight (channels, 1, k, k) of the deconvolution that enlarges it, with
    k = 2 * scale - scale % 2; `Bilinear` initializes it so that it interpolates.

    >>> nd.UpSampling(nd.ones((1, 3, 4, 5)), scale=2, sample_type="nearest").shape
    (1, 3, 8, 10)
    """
    _check_pictures(*data)
    _check_count(data, num_args)
    if sample_type == "bilinear":
        return _by_weight(*data, scale=scale, num_filter=num_filter)
    if sample_type != "nearest" or multi_input_mode not in ("concat", "sum"):
        raise MXNetError(
            f"sample_type is 'nearest' or 'bilinear', multi_input_mode 'concat' or 'sum', not "
            f"{sample_type!r} and {multi_input_mode!r}"
        )
    size = [length * scale for length in data[0].shape[2:]]
    grown = [_repeated(array, size) for array in data]
    if multi_input_mode == "concat":
        return torch.cat(grown, 1)
    total = grown[0]
    for other in grown[1:]:
        total = total + other
    return total


def _repeated(data: Tensor, size: Sequence[int]) -> Tensor:
    for axis, length in enumerate(size, 2):
        if length % data.shape[axis]:
            raise ShapeError(f"{tuple(data.shape)} cannot be enlarged to {tuple(size)} evenly")
        data = data.repeat_interleave(length // data.shape[axis], axis)
    return data


def _by_weight(*data: Tensor, scale: int, num_filter: int) -> Tensor:
    if len(data) != 2:
        raise MXNetError(f"bilinear upsampling takes data and weight, not {len(data)} arrays")
    channels, kernel = data[0].shape[1], 2 * scale - scale % 2
    if tuple(data[1].shape) != (channels, 1, kernel, kernel) or num_filter not in (0, channels):
        raise ShapeError(
            f"weight {tuple(data[1].shape)} with num_filter={num_filter} does not fit data "
            f"{tuple(data[0].shape)}: it needs the shape {(channels, 1, kernel, kernel)}"
        )
    return deconvolution(*data, stride=scale, pad=scale // 2, num_group=channels)


_LENGTHS: dict[str, Callable[[int], int]] = {
    "to_even_down": lambda length: length - length % 2,
    "to_even_up": lambda length: length + length % 2,
    "to_odd_down": lambda length: length - 1 + length % 2,
    "to_odd_up": lambda length: length + 1 - length % 2,
}


def _length(mode: str, old: int, size: int, scale: float | None) -> int:
    """Return the new length of an axis by any mode but "like"."""
    if mode in _LENGTHS:
        return _LENGTHS[mode](old)
    if mode == "size":
        return size if scale is None else int(old * scale)
    if mode != "odd_scale" or scale is None:
        known = ("size", "like", "odd_scale (with scale_height and scale_width)", *_LENGTHS)
        raise MXNetError(f"mode is {', '.join(known)}, not {mode!r}")
    return int((old - 1) * scale) + 1 if old % 2 else int(old * scale)


def _new_size(
    data: Tensor | Spec,
    like: Tensor | Spec | None = None,
    height: int = 1,
    width: int = 1,
    scale_height: float | None = None,
    scale_width: float | None = None,
    mode: str = "size",
) -> list[int]:
    _check_pictures(*(array for array in (data, like) if array is not None))
    if (mode == "like") != (like is not None):
        raise MXNetError("the array `like` and mode='like' belong together")
    if like is not None:
        return list(like.shape[2:])
    return [
        _length(mode, data.shape[2], height, scale_height),
        _length(mode, data.shape[3], width, scale_width),
    ]


def _resize_infer(
    data: Spec, like: Spec | None = None, *, align_corners: bool = True, **attrs: Any
) -> tuple[Spec, ...]:
    return (Spec((*data.shape[:2], *_new_size(data, like, **attrs)), data.dtype),)


@register(
    _resize_infer,
    also={"nd.contrib": "BilinearResize2D"},
    symbol="_contrib_BilinearResize2D",
    differentiable="data",
)
def bilinear_resize(
    data: Tensor,
    like: Tensor | None = None,
    height: int = 1,
    width: int = 1,
    scale_height: float | None = None,
    scale_width: float | None = None,
    mode: str = "size",
    align_corners: bool = True,
) -> Tensor:
    """Resize pictures by bilinear interpolation.

    `mode` says to which size: "size" (`height` and `width`, or the old ones times the scales),
    "like" (that of the array `like`), "odd_scale" (an odd length n becomes (n - 1) * scale + 1),
    "to_even_down", "to_even_up", "to_odd_down" or "to_odd_up" (one less or more where needed). With
    `align_corners` the centres of the corner pixels stay, without it the borders of the picture.

    >>> nd.contrib.BilinearResize2D(nd.ones((1, 3, 4, 4)), height=8, width=6).shape
    (1, 3, 8, 6)
    """
    size = _new_size(data, like, height, width, scale_height, scale_width, mode)
    return F.interpolate(data, size, mode="bilinear", align_corners=align_corners)


def _pooled_size(data: Tensor | Spec, output_size: Sizes) -> tuple[int, int]:
    _check_pictures(data)
    sizes = (output_size,) if isinstance(output_size, int) else tuple(output_size or (1,))
    if len(sizes) > 2 or min(sizes) < 1:
        raise ShapeError(f"output_size is (height, width), not {output_size}")
    return sizes[0], sizes[-1]


def _pooled_infer(data: Spec, *, output_size: Sizes = ()) -> tuple[Spec, ...]:
    return (Spec((*data.shape[:2], *_pooled_size(data, output_size)), data.dtype),)


@register(
    _pooled_infer,
    also={"nd.contrib": "AdaptiveAvgPooling2D"},
    symbol="_contrib_AdaptiveAvgPooling2D",
)
def adaptive_avg_pooling(data: Tensor, output_size: Sizes = ()) -> Tensor:
    """Average pictures over `output_size` (height, width) windows that cover them evenly.

    One number stands for both; nothing for (1, 1).

    >>> nd.contrib.AdaptiveAvgPooling2D(nd.ones((1, 3, 7, 5)), output_size=2).shape
    (1, 3, 2, 2)
    """
    return F.adaptive_avg_pool2d(data, _pooled_size(data, output_size))


@register_meta(nd="Crop", symbol="Crop", view="lazy copy")
def crop_pictures(
    *data: Tensor,
    num_args: int = 0,
    offset: Sequence[int] = (0, 0),
    h_w: Sequence[int] = (0, 0),
    center_crop: bool = False,
) -> Tensor:
    """Cut `h_w` (height, width) out of pictures, or the size of a second array.

    The part starts at `offset` (y, x), or lies in the middle with `center_crop`.

    >>> nd.Crop(nd.ones((1, 3, 8, 8)), h_w=(4, 6), center_crop=True).shape
    (1, 3, 4, 6)
    """
    _check_pictures(*data)
    _check_count(data, num_args)
    if len(data) > 2:
        raise MXNetError(f"Crop takes one array, or two, not {len(data)}")
    height, width = data[1].shape[2:] if len(data) == 2 else h_w
    rows, columns = data[0].shape[2:]
    y, x = ((rows - height) // 2, (columns - width) // 2) if center_crop else offset
    if min(height, width) < 1 or not (0 <= y <= rows - height and 0 <= x <= columns - width):
        raise ShapeError(
            f"{height} x {width} at ({y}, {x}) does not lie in pictures of {rows} x {columns}"
        )
    return data[0][:, :, y : y + height, x : x + width]
