"""Pictures read at other places: grids of places, sampling, and the correlation of two pictures.

A grid is (batch, 2, height, width): x and y from -1 to 1, the centres of the corner pixels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.calling import register_meta
from regluon.ops.dtype import check_floating


def _places(height: int, width: int, like: Tensor) -> Tensor:
    """Return x and y of the pixels' centres, (2, height, width); 0 where there is one only."""
    rows, columns = (
        torch.linspace(-1, 1, count, dtype=like.dtype, device=like.device) * (count > 1)
        for count in (height, width)
    )
    return torch.stack([columns.expand(height, width), rows.unsqueeze(1).expand(height, width)])


def _affine(loc: Tensor, target_shape: Sequence[int]) -> Tensor:
    if loc.dim() != 2 or loc.shape[1] != 6:
        raise ShapeError(f"affine maps are (batch, 6), not {tuple(loc.shape)}")
    if len(target_shape) != 2 or min(target_shape) < 1:
        raise ShapeError(f"target_shape is (height, width), not {tuple(target_shape)}")
    height, width = target_shape
    maps = loc.unflatten(1, (2, 3))
    places = maps[:, :, :2] @ _places(height, width, loc).flatten(1) + maps[:, :, 2:]
    grid: Tensor = places.unflatten(2, (height, width))
    return grid


def _flow(data: Tensor) -> Tensor:
    if data.dim() != 4 or data.shape[1] != 2 or min(data.shape[2:]) < 2:
        raise ShapeError(
            f"a flow is (batch, 2, height, width) over at least 2 x 2 pixels, not "
            f"{tuple(data.shape)}"
        )
    height, width = data.shape[2:]
    pixel = data.new_tensor([2 / (width - 1), 2 / (height - 1)]).reshape(2, 1, 1)
    return data * pixel + _places(height, width, data)


@register_meta(nd="GridGenerator", symbol="GridGenerator")
def grid_generator(
    data: Tensor, transform_type: str, target_shape: Sequence[int] = (0, 0)
) -> Tensor:
    """Make a grid of places, for `BilinearSampler`.

    "affine": each row of `data` (batch, 6) is the map (2, 3) from the places of a picture of
    `target_shape` to those it reads. "warp": `data` (batch, 2, height, width) says for each pixel
    by how many pixels in x and y the place that it reads is off.

    >>> same = nd.array([[1, 0, 0, 0, 1, 0]])
    >>> grid = nd.GridGenerator(same, transform_type="affine", target_shape=(2, 2))
    >>> grid.asnumpy().tolist()
    [[[[-1.0, 1.0], [-1.0, 1.0]], [[-1.0, -1.0], [1.0, 1.0]]]]
    """
    check_floating("GridGenerator", data.dtype)
    if transform_type == "affine":
        return _affine(data, target_shape)
    if transform_type == "warp":
        return _flow(data)
    raise MXNetError(f"transform_type is 'affine' or 'warp', not {transform_type!r}")


@register_meta(nd="BilinearSampler", symbol="BilinearSampler")
def bilinear_sampler(data: Tensor, grid: Tensor, cudnn_off: bool | None = None) -> Tensor:
    """Read `data` at the places of a grid, interpolated between pixels, 0 outside the picture.

    >>> x = nd.arange(4).reshape((1, 1, 2, 2))
    >>> nd.BilinearSampler(x, nd.zeros((1, 2, 1, 1))).asnumpy().tolist()
    [[[[1.5]]]]
    """
    if data.dim() != 4 or grid.dim() != 4 or grid.shape[1] != 2 or len(grid) != len(data):
        raise ShapeError(
            f"data is (batch, channels, height, width) and grid (batch, 2, height, width), not "
            f"{tuple(data.shape)} and {tuple(grid.shape)}"
        )
    return F.grid_sample(data, grid.movedim(1, 3), padding_mode="zeros", align_corners=True)


@register_meta(nd="SpatialTransformer", symbol="SpatialTransformer")
def spatial_transformer(
    data: Tensor,
    loc: Tensor,
    target_shape: Sequence[int] = (0, 0),
    transform_type: str = "affine",
    sampler_type: str = "bilinear",
    cudnn_off: bool | None = None,
) -> Tensor:
    """Read `data` through the affine maps `loc` (batch, 6); Jaderberg et al. 2015.

    >>> x, same = nd.ones((1, 3, 4, 4)), nd.array([[1, 0, 0, 0, 1, 0]])
    >>> nd.SpatialTransformer(x, same, target_shape=(2, 5)).shape
    (1, 3, 2, 5)
    """
    if transform_type != "affine" or sampler_type != "bilinear":
        raise MXNetError(
            f"transform_type is 'affine' and sampler_type 'bilinear', not {transform_type!r} and "
            f"{sampler_type!r}"
        )
    return bilinear_sampler(data, _affine(loc, target_shape))


@register_meta(nd="Correlation", symbol="Correlation")
def correlation(
    data1: Tensor,
    data2: Tensor,
    kernel_size: int = 1,
    max_displacement: int = 1,
    stride1: int = 1,
    stride2: int = 1,
    pad_size: int = 0,
    is_multiply: bool = True,
) -> Tensor:
    """Compare patches of one picture with those of another around them; Dosovitskiy et al. 2015.

    A channel of the result is one displacement of up to `max_displacement` in steps of `stride2`,
    row by row: the mean over a patch and all channels of the product, or of the absolute difference
    unless `is_multiply`. Patches have kernel_size x kernel_size pixels, every `stride1`-th counts,
    and the pictures have `pad_size` zeros around them.

    >>> x = nd.ones((1, 3, 6, 6))
    >>> nd.Correlation(x, x, max_displacement=2, stride2=2, pad_size=2).shape
    (1, 9, 6, 6)
    """
    if data1.dim() != 4 or data1.shape != data2.shape or kernel_size % 2 == 0:
        raise ShapeError(
            f"two pictures (batch, channels, height, width) of one shape and an odd kernel are "
            f"compared, not {tuple(data1.shape)} and {tuple(data2.shape)} by {kernel_size}"
        )
    first, second = (F.pad(data, (pad_size,) * 4) for data in (data1, data2))
    height, width = (length - 2 * max_displacement for length in first.shape[2:])
    if min(height, width) < kernel_size:
        raise ShapeError(
            f"displacements of {max_displacement} and patches of {kernel_size} do not fit pictures "
            f"{tuple(data1.shape)} with pad_size={pad_size}"
        )
    reach = max_displacement // stride2 * stride2
    shifts = range(max_displacement - reach, max_displacement + reach + 1, stride2)
    inner = first[:, :, max_displacement:, max_displacement:][:, :, :height, :width]
    planes = []
    for y in shifts:
        for x in shifts:
            other = second[:, :, y : y + height, x : x + width]
            compared = inner * other if is_multiply else (inner - other).abs()
            planes.append(compared.mean(1))
    return F.avg_pool2d(torch.stack(planes, 1), kernel_size, stride1)
