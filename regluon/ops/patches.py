"""Pixels moved between space and channels: patches as columns and back, blocks as channels."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.calling import register_meta
from regluon.ops.conv import Sizes, each_axis


def _plane(
    rank: int, kernel: Sizes, stride: Sizes, dilate: Sizes, pad: Sizes
) -> dict[str, Sequence[int]]:
    """Return the windows as torch's functions take them, those of a line as of one row."""
    if rank not in (1, 2):
        raise ShapeError(f"patches have one or two axes of space, not {rank}")
    single = rank == 1
    return {
        "kernel_size": (1,) * single + each_axis(kernel, rank, 1, "kernel"),
        "stride": (1,) * single + each_axis(stride, rank, 1, "stride"),
        "dilation": (1,) * single + each_axis(dilate, rank, 1, "dilate"),
        "padding": (0,) * single + each_axis(pad, rank, 0, "pad"),
    }


@register_meta(nd="im2col", symbol="im2col")
def im2col(
    data: Tensor, kernel: Sizes, stride: Sizes = (), dilate: Sizes = (), pad: Sizes = ()
) -> Tensor:
    """Write the patches under a sliding window as columns: (batch, channels * places, windows).

    A product with a convolution's weight, its kernel flattened, then is the convolution.

    >>> nd.im2col(nd.ones((2, 3, 5, 5)), kernel=(3, 3)).shape
    (2, 27, 9)
    """
    windows = _plane(data.dim() - 2, kernel, stride, dilate, pad)
    return F.unfold(data.unsqueeze(2) if data.dim() == 3 else data, **windows)  # type: ignore[arg-type]


@register_meta(nd="col2im", symbol="col2im")
def col2im(
    data: Tensor,
    output_size: Sizes,
    kernel: Sizes,
    stride: Sizes = (),
    dilate: Sizes = (),
    pad: Sizes = (),
) -> Tensor:
    """Add up columns of patches where they lie in pictures of `output_size`: im2col transposed.

    >>> nd.col2im(nd.ones((2, 27, 9)), output_size=(5, 5), kernel=(3, 3)).shape
    (2, 3, 5, 5)
    """
    rank = 1 if isinstance(output_size, int) else len(output_size)
    size = (1,) * (rank == 1) + each_axis(output_size, rank, 1, "output_size")
    result = F.fold(data, size, **_plane(rank, kernel, stride, dilate, pad))  # type: ignore[arg-type]
    return result.squeeze(2) if rank == 1 else result


def _check_blocks(data: Tensor, block: int, channels: int, lengths: int) -> None:
    if data.dim() != 4 or block < 1:
        raise ShapeError(
            f"blocks of {block} need data (batch, channels, height, width), not {tuple(data.shape)}"
        )
    if data.shape[1] % channels or data.shape[2] % lengths or data.shape[3] % lengths:
        raise ShapeError(
            f"data {tuple(data.shape)} cannot be divided: channels by {channels}, height and width "
            f"by {lengths}"
        )


@register_meta(nd="depth_to_space", symbol="depth_to_space", view="lazy copy")
def depth_to_space(data: Tensor, block_size: int) -> Tensor:
    """Turn groups of channels into blocks of block_size x block_size pixels.

    Channel (i * block_size + j) * C + c gives pixel (i, j) of the blocks of channel c of C.

    >>> nd.depth_to_space(nd.arange(4).reshape((1, 4, 1, 1)), 2).asnumpy().tolist()
    [[[[0.0, 1.0], [2.0, 3.0]]]]
    """
    _check_blocks(data, block_size, block_size**2, 1)
    parts: Tensor = data.unflatten(1, (block_size, block_size, -1))
    return parts.permute(0, 3, 4, 1, 5, 2).flatten(4, 5).flatten(2, 3)


@register_meta(nd="space_to_depth", symbol="space_to_depth", view="lazy copy")
def space_to_depth(data: Tensor, block_size: int) -> Tensor:
    """Turn blocks of block_size x block_size pixels into groups of channels.

    >>> nd.space_to_depth(nd.ones((1, 3, 4, 6)), 2).shape
    (1, 12, 2, 3)
    """
    _check_blocks(data, block_size, 1, block_size)
    parts: Tensor = data.unflatten(3, (-1, block_size)).unflatten(2, (-1, block_size))
    return parts.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
