"""mx.image: read, resize and crop pictures as arrays, with MXNet's functions and arguments."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as onp
import torch

from regluon.array.dispatch import array_class
from regluon.array.interchange import wrap
from regluon.array.ndarray import NDArray
from regluon.base import ImageError
from regluon.image import codec
from regluon.image.picture import unwrapped
from regluon.ops import pixels
from regluon.ops.draws import draw_resized_crop
from regluon.ops.pixels import Box, Size
from regluon.random import sample_generator


def imread(
    filename: str | PathLike[str],
    flag: int = 1,
    to_rgb: bool = True,
    out: Any = None,
    *,
    exif: bool = True,
) -> NDArray:
    """Read a picture file: uint8 of shape (height, width, 3), or (height, width, 1) for `flag=0`.

    to_rgb: red first; otherwise blue first, as OpenCV has it.
    out: an array of that shape to write to.
    exif: turn the picture upright, as the camera noted; MXNet leaves it as the sensor saw it.

    Every problem with the file is an `ImageError` that names it.
    """
    return _array(codec.read(filename, channels=_channels(flag), exif=exif), to_rgb, out)


def imdecode(
    buf: Any, flag: int = 1, to_rgb: bool = True, out: Any = None, *, exif: bool = True
) -> NDArray:
    """Decode the bytes of a picture file, given as bytes or as an array of uint8; as `imread`.

    >>> import cv2
    >>> data = cv2.imencode(".png", onp.zeros((2, 3, 3), "uint8"))[1]
    >>> imdecode(data).shape, imdecode(data.tobytes(), flag=0).shape
    ((2, 3, 3), (2, 3, 1))
    """
    if isinstance(buf, NDArray):
        buf = buf.asnumpy()
    if not isinstance(buf, bytes | bytearray | onp.ndarray):
        raise ImageError(f"imdecode takes bytes or an array of uint8, not {type(buf).__name__}")
    data = buf.tobytes() if isinstance(buf, onp.ndarray) else bytes(buf)
    return _array(codec.decode(data, channels=_channels(flag), exif=exif), to_rgb, out)


def _channels(flag: int) -> int:
    if flag not in (0, 1):
        raise ImageError(f"flag is 1 for colour or 0 for grey, not {flag!r}")
    return 3 if flag else 1


def _array(decoded: pixels.Pixels, to_rgb: bool, out: Any) -> NDArray:
    if not to_rgb:
        decoded = decoded[..., ::-1].copy()
    if out is not None:
        out[:] = decoded
        return out  # type: ignore[no-any-return]
    cls: Any = array_class()
    array: NDArray = wrap(torch.from_numpy(decoded), cls)
    return array


def imresize(src: Any, w: int, h: int, interp: int = 1, out: Any = None) -> Any:
    """Resize a picture of any kind to width `w` and height `h`.

    interp: OpenCV's code: 0 nearest, 1 bilinear, 2 cubic, 3 area, 4 Lanczos; 9 picks by the
        direction of the change, 10 at random.
    """
    img, back = unwrapped(src)
    resized = pixels.resize(img, (w, h), interp=interp, rng=_rng(interp))
    if out is None:
        return back(resized)
    out[:] = resized
    return out


def resize_short(src: Any, size: int, interp: int = 2) -> Any:
    """Resize a picture so that its shorter side is `size`."""
    img, back = unwrapped(src)
    return back(pixels.resize(img, size, keep_ratio=True, interp=interp, rng=_rng(interp)))


def fixed_crop(
    src: Any, x0: int, y0: int, w: int, h: int, size: Size | None = None, interp: int = 2
) -> Any:
    """Return the box of width `w` and height `h` at (x0, y0), resized to `size` (width, height)."""
    return _cropped(
        src, lambda height, width: (x0, y0, w, h), (w, h) if size is None else size, interp
    )[0]


def center_crop(src: Any, size: Size, interp: int = 2) -> tuple[Any, Box]:
    """Crop to `size` (width, height) around the middle; returns the part and its box (x, y, w, h).

    From a picture that is too small the largest box of that shape is enlarged.
    """
    return _cropped(src, lambda h, w: pixels.center_box(h, w, size), size, interp)


def random_crop(src: Any, size: Size, interp: int = 2) -> tuple[Any, Box]:
    """Crop to `size` (width, height) at a random place; returns the part and its box (x, y, w, h).

    From a picture that is too small a box of that shape, as large as fits, is enlarged.

    >>> part, box = random_crop(onp.zeros((20, 30, 3), "uint8"), (8, 5))
    >>> part.shape, box[2:]
    ((5, 8, 3), (8, 5))
    """
    rng = sample_generator()
    return _cropped(src, lambda h, w: draw_crop(rng, h, w, size), size, interp)


def random_size_crop(
    src: Any,
    size: Size,
    area: float | tuple[float, float],
    ratio: tuple[float, float],
    interp: int = 2,
) -> tuple[Any, Box]:
    """Crop a random box and resize it to `size` (width, height); returns the part and its box.

    area: the box's least, or least and greatest, share of the picture.
    ratio: its least and greatest width / height.
    """
    rng = sample_generator()
    return _cropped(src, lambda h, w: draw_resized_crop(rng, h, w, size, area, ratio), size, interp)


def draw_crop(rng: onp.random.Generator, height: int, width: int, size: Size) -> Box:
    """Draw the box (x, y, w, h) of `random_crop` in a picture of the given sides."""
    _, _, w, h = pixels.center_box(height, width, size)
    return int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h


def scale_down(src_size: Sequence[int], size: Sequence[int]) -> tuple[int, int]:
    """Shrink `size` in its shape until it fits into `src_size`; all are (width, height).

    >>> scale_down((640, 480), (720, 120))
    (640, 106)
    """
    width, height = src_size
    return pixels.center_box(height, width, size)[2:]


def color_normalize(src: Any, mean: Any, std: Any = None) -> Any:
    """Return `(src - mean) / std` for a floating point picture with its channels last."""
    shifted = src if mean is None else src - mean
    return shifted if std is None else shifted / std


def _cropped(
    src: Any, box_in: Callable[[int, int], Box], size: Size, interp: int
) -> tuple[Any, Box]:
    img, back = unwrapped(src)
    box = box_in(*img.shape[:2])
    return back(pixels.resized_crop(img, box, size, interp, _rng(interp))), box


def _rng(interp: int) -> onp.random.Generator | None:
    return sample_generator() if interp == 10 else None
