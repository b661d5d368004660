"""Pictures of every kind (ours, NumPy's, torch's, Pillow's) as pixels, and back to their kind."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as onp
import torch
from torch import Tensor

from regluon.array.dispatch import wait
from regluon.array.handle import Handle
from regluon.base import DTypeError, optional
from regluon.ops.pixels import Pixels


Wrap = Callable[[Pixels], Any]


def unwrapped(picture: Any) -> tuple[Pixels, Wrap]:
    """Return a picture or batch as a NumPy array, and the function that makes its kind of results.

    No pixel is copied here. What the function returns never shares memory with `picture`: NumPy
    arrays give NumPy arrays, torch tensors tensors on their device, arrays of ours arrays on their
    context. A Pillow image gives a Pillow image, or a NumPy array where the result is none.

    >>> pixels, wrap = unwrapped(torch.zeros(4, 4, 3))
    >>> wrap(pixels[1:3]).shape
    torch.Size([2, 4, 3])
    """
    if isinstance(picture, onp.ndarray):
        return picture, partial(_own, picture)
    if isinstance(picture, Handle):
        wait(picture)
        pixels = _pixels(picture.value())
        return pixels, partial(_array, picture, pixels)
    if isinstance(picture, Tensor):
        pixels = _pixels(picture)
        return pixels, partial(_tensor, picture, pixels)
    if type(picture).__module__.startswith("PIL."):
        mode = picture.mode if picture.mode in ("L", "RGB") else "RGB"
        pixels = onp.asarray(picture.convert(mode))
        return onp.atleast_3d(pixels), _image
    raise DTypeError(
        f"a picture is an array of ours, a NumPy array, a torch tensor or a Pillow image, not "
        f"{type(picture).__name__}; a file is read with mx.image.imread"
    )


def _pixels(tensor: Tensor) -> Pixels:
    if tensor.dtype == torch.bfloat16:
        raise DTypeError("pictures are uint8 or float32, not bfloat16; cast it, or cast later")
    return onp.asarray(tensor.detach().cpu().numpy())


def _own(source: Pixels, result: Pixels) -> Pixels:
    return result.copy() if onp.may_share_memory(source, result) else result


def _tensor(picture: Tensor, source: Pixels, result: Pixels) -> Tensor:
    return torch.from_numpy(_own(source, result)).to(picture.device)


def _array(picture: Handle, source: Pixels, result: Pixels) -> Handle:
    tensor = torch.from_numpy(_own(source, result))
    return type(picture)(tensor.to(picture._ctx.device), picture._ctx)


def _image(result: Pixels) -> Any:
    if result.dtype != onp.uint8 or result.ndim != 3 or result.shape[2] not in (1, 3):
        return result
    flat = result[..., 0] if result.shape[2] == 1 else result
    return optional("PIL.Image", extra="image").fromarray(onp.ascontiguousarray(flat))
