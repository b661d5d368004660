"""Bytes to pixels: read a picture's header, refuse what is unsafe, decode the rest exactly.

JPEG goes to simplejpeg (strict: a damaged file is an error and never half a picture), PNG and
WebP to OpenCV, GIF, BMP and odd JPEGs to Pillow. Three choices differ from MXNet's `imdecode`:

* EXIF orientation is applied. A phone stores what its sensor saw and notes how it was held; labels
  were given by people, and pre-trained networks were trained, on upright pictures. MXNet ignores
  the note and hands over sideways photos; `exif=False` gives its pixels.
* Truncated and corrupt files are errors. MXNet returns black or grey areas without a word.
* CMYK is converted exactly; MXNet's OpenCV comes out one level too bright.

As in MXNet, 16-bit samples keep their upper byte (`v >> 8`, at most one level from `v / 257`),
alpha is dropped without blending, colour profiles are ignored, and an animation gives its first
frame. This file holds NumPy arrays only; callers wrap them.
"""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as onp
import numpy.typing as npt

from regluon.base import ImageError, optional
from regluon.image.header import AGAIN, Header, format_of, png_is_whole, probe, webp_is_whole


__all__ = ["MAX_PIXELS", "Header", "decode", "probe", "read"]


Pixels = npt.NDArray[onp.uint8]

MAX_PIXELS = 178_956_970
"""The size above which a picture is refused unless the caller allows more (Pillow's own limit)."""


def read(
    path: str | os.PathLike[str],
    *,
    channels: int = 3,
    exif: bool = True,
    max_pixels: int = MAX_PIXELS,
    strict: bool = True,
) -> Pixels:
    """Decode the picture in a file: `decode` of its bytes, with errors that name the path.

    A file that does not begin like a picture is refused before the rest of it is read.
    """
    name, file = os.fspath(path), Path(path)
    if file.is_dir():
        raise ImageError(f"{name}: is a folder, not a picture; name a file in it")
    if not file.exists():
        where = "its folder exists" if file.parent.is_dir() else f"nor does {file.parent}"
        raise ImageError(f"{name}: does not exist ({where}); check the path")
    if not file.is_file():
        raise ImageError(f"{name}: is a device or a pipe, not a file; name a regular file")
    try:
        with file.open("rb") as stream:
            format_of(stream.read(512), name)
            stream.seek(0)
            data = stream.read()
    except OSError as error:
        raise ImageError(
            f"{name}: cannot be read ({error.strerror}); check its permissions and the disk"
        ) from error
    return decode(
        data, name=name, channels=channels, exif=exif, max_pixels=max_pixels, strict=strict
    )


def decode(
    data: bytes,
    *,
    name: str = "<bytes>",
    channels: int = 3,
    exif: bool = True,
    max_pixels: int = MAX_PIXELS,
    strict: bool = True,
) -> Pixels:
    """Decode an encoded picture to uint8 pixels of shape (height, width, channels), in RGB order.

    `channels` is 3 (RGB) or 1 (grey). `exif=False` leaves the picture as it is stored.
    `strict=False` accepts JPEGs whose data are corrupt but complete, as MXNet does; a truncated
    file is an error in any case. Every failure is an `ImageError` that says `name`, what is wrong
    and what to do; more than `max_pixels` are refused before anything is decoded.

    >>> import cv2
    >>> decode(cv2.imencode(".png", onp.zeros((2, 3, 3), "uint8"))[1].tobytes()).shape
    (2, 3, 3)
    """
    if channels not in (1, 3):
        raise ImageError(f"{name}: channels is 3 (RGB) or 1 (grey), not {channels!r}")
    header = probe(data, name)
    if header.width * header.height > max_pixels:
        raise ImageError(
            f"{name}: is {header.width} x {header.height} pixels, more than the {max_pixels} that "
            "are allowed; shrink it first, or pass a larger max_pixels if you trust its source"
        )
    if header.format in _WHOLE and not _WHOLE[header.format](data):
        raise ImageError(f"{name}: the {header.format} ends too early; {AGAIN}")
    decoder = _DECODERS[header.format] if strict or header.format != "JPEG" else _with_pillow
    pixels = decoder(data, name, header, channels)
    if pixels.shape != (header.height, header.width, channels):
        raise ImageError(
            f"{name}: the header says {header.width} x {header.height} pixels, its data hold "
            f"{pixels.shape[1]} x {pixels.shape[0]}; {AGAIN}"
        )
    return _upright(pixels, header.orientation) if exif else pixels


# The orientations other than 1: swap the axes?, then which way OpenCV flips.
_TURNS: dict[int, tuple[bool, int | None]] = {
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn pixels as their EXIF orientation asks."""
    if orientation == 1:
        return pixels
    cv2 = optional("cv2", extra="image")
    channels = pixels.shape[2]
    swap, flip = _TURNS[orientation]
    if swap:
        pixels = cv2.transpose(pixels)
    if flip is not None:
        pixels = cv2.flip(pixels, flip)
    return pixels.reshape(*pixels.shape[:2], channels)


# Whether the data are all there, where the decoder would not say it well.
_WHOLE = {"PNG": png_is_whole, "WebP": webp_is_whole}


def _with_simplejpeg(data: bytes, name: str, header: Header, channels: int) -> Pixels:
    simplejpeg = optional("simplejpeg", extra="image")
    space = "CMYK" if header.channels == 4 else "RGB" if channels == 3 else "GRAY"
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, space)
    except ValueError as error:
        # TurboJPEG's first interface knows the usual chroma subsamplings only.
        if "subsampling" in str(error):
            return _with_pillow(data, name, header, channels)
        if "Premature end" in str(error):
            raise ImageError(f"{name}: the JPEG ends too early ({error}); {AGAIN}") from error
        raise ImageError(
            f"{name}: the JPEG is damaged ({error}); fetch it again, or look at the picture and "
            "pass strict=False if it is whole"
        ) from error
    return _from_cmyk(pixels, channels) if space == "CMYK" else pixels


def _from_cmyk(inks: Pixels, channels: int) -> Pixels:
    """Convert CMYK as JPEG files hold it, inverted (Adobe's way, which all writers follow)."""
    light = inks.astype(onp.uint16)
    pixels = ((light[..., :3] * light[..., 3:] + 127) // 255).astype(onp.uint8)
    return pixels if channels == 3 else _grey(pixels)


def _grey(pixels: Pixels) -> Pixels:
    cv2 = optional("cv2", extra="image")
    grey: Pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return grey[..., None]


def _with_opencv(data: bytes, name: str, header: Header, channels: int) -> Pixels:
    cv2 = optional("cv2", extra="image")
    flags = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE
    try:
        pixels: Any = cv2.imdecode(
            onp.frombuffer(data, onp.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error as error:
        raise ImageError(f"{name}: the {header.format} is damaged ({error}); {AGAIN}") from error
    if pixels is None:
        raise ImageError(f"{name}: the {header.format} data are damaged or incomplete; {AGAIN}")
    return onp.atleast_3d(pixels)


def _with_pillow(data: bytes, name: str, header: Header, channels: int) -> Pixels:
    image = optional("PIL.Image", extra="image")
    try:
        with image.open(io.BytesIO(data), formats=[header.format]) as picture:
            pixels = onp.array(picture.convert("RGB" if channels == 3 else "L"))
    # Pillow's plugins raise whatever a damaged field leads to.
    except Exception as error:
        raise ImageError(f"{name}: the {header.format} is damaged ({error}); {AGAIN}") from error
    return onp.atleast_3d(pixels)


_DECODERS: dict[str, Callable[[bytes, str, Header, int], Pixels]] = {
    "JPEG": _with_simplejpeg,
    "PNG": _with_opencv,
    "WebP": _with_opencv,
    "BMP": _with_pillow,
    "GIF": _with_pillow,
}
