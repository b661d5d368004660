"""What a picture says about itself: format, size, channels and orientation, without decoding.

Every function here takes some microseconds and no memory, whatever size the header claims, so
that `regluon.image.codec` can refuse a picture before anything is allocated for it.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from regluon.base import ImageError


AGAIN = "the file is damaged or was cut off while it was copied: fetch it again or remove it"
_CONVERT = "convert it to JPEG or PNG first"


@dataclass(frozen=True)
class Header:
    """What a picture says about itself before it is decoded.

    `width` and `height` are as stored, before the EXIF `orientation` (1 to 8, 1 is upright) turns
    the picture; `channels` counts the stored channels, a palette being three.
    """

    width: int
    height: int
    channels: int
    format: str
    orientation: int = 1


def probe(data: bytes, name: str = "<bytes>") -> Header:
    """Read size, channels, format and orientation of an encoded picture without decoding it.

    Knows JPEG, PNG, WebP, BMP and GIF; anything else is an `ImageError` that says what it looks
    like. Takes some microseconds and no memory, so a picture of any claimed size may be asked.

    >>> probe(b"GIF89a" + bytes([4, 0, 3, 0, 0, 0, 0]))
    Header(width=4, height=3, channels=3, format='GIF', orientation=1)
    """
    if not isinstance(data, bytes):
        raise ImageError(
            f"{name}: a picture is given as bytes, not {type(data).__name__}; for a path use read()"
        )
    kind = format_of(data, name)
    try:
        header = _HEADERS[kind](data)
    except (IndexError, struct.error) as error:
        raise ImageError(f"{name}: the {kind} ends inside its header; {AGAIN}") from error
    except KeyError as error:
        raise ImageError(f"{name}: the {kind} header makes no sense; {AGAIN}") from error
    if header.width == 0 or header.height == 0:
        raise ImageError(
            f"{name}: the {kind} header says {header.width} x {header.height}; {AGAIN}"
        )
    return header


# What a file is, by its first bytes.

_PNG_START = b"\x89PNG\r\n\x1a\n"
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)

# Things that people find in image folders: how they begin, what they are, what to do.
_STRANGERS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the picture itself", "run: git lfs pull"),
    (b"PK\x03\x04", "a zip archive", "unpack it"),
    (b"\x1f\x8b", "gzip-compressed data", "unpack it"),
    (b"%PDF", "a PDF document", _CONVERT),
    (b"II*\0", "a TIFF picture", _CONVERT),
    (b"MM\0*", "a TIFF picture", _CONVERT),
    (b"8BPS", "a Photoshop document", _CONVERT),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture", _CONVERT),
    (b"\xff\x0a", "a JPEG XL picture", _CONVERT),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", _CONVERT),
    (b"\x93NUMPY", "a NumPy array", "load it with numpy.load"),
    (b"\x0a\x23\xd7\xce", "a RecordIO file", "open it with regluon.recordio"),
)


def format_of(data: bytes, name: str) -> str:
    """Return which of the formats we read `data` begin like, or raise saying what it looks like."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(_PNG_START):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    looks, advice = _stranger(data)
    raise ImageError(f"{name}: is not a JPEG, PNG, WebP, BMP or GIF: it is {looks}; {advice}")


def _stranger(data: bytes) -> tuple[str, str]:
    """Return what `data`, which are no picture, look like, and what to do about it."""
    for start, looks, advice in _STRANGERS:
        if data.startswith(start):
            return looks, advice
    head = data[:512]
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page (HTML)", "a download saved an error page: fetch the picture again"
    if text.startswith((b"<svg", b"<?xml")):
        return "XML or an SVG drawing", _CONVERT
    if data[4:8] == b"ftyp":
        return "a HEIC, AVIF or MP4 file", _CONVERT
    if not data:
        return "empty (0 bytes)", AGAIN
    if not any(head):
        return "nothing but zero bytes", AGAIN
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return "a text file", "remove it from the pictures"
    return f"unknown data that begin with {head[:8].hex(' ')}", _CONVERT + " or remove it"


# Headers, one function per format: they raise IndexError or struct.error when the data end too
# early and KeyError when a field has no meaning.


def _jpeg_header(data: bytes) -> Header:
    """Walk over the marker segments of ISO/IEC 10918-1 up to the first scan."""
    at, orientation, size = 2, 1, None
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            raise IndexError
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            continue
        if marker in (0xDA, 0xD9):
            break
        (length,) = struct.unpack_from(">H", data, at)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = struct.unpack_from(">HHB", data, at + 3)
        elif marker == 0xE1 and data[at + 2 : at + 8] == b"Exif\0\0":
            orientation = _orientation(data[at + 8 : at + length])
        at += length
    if size is None:
        raise KeyError
    return Header(size[1], size[0], size[2], "JPEG", orientation)


def _png_header(data: bytes) -> Header:
    start, width, height, _, colour = struct.unpack_from(">4sIIBB", data, 12)
    if start != b"IHDR":
        raise KeyError
    channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}[colour]
    orientation = 1
    for kind, start, end in _png_chunks(data):
        if kind == b"eXIf":
            orientation = _orientation(data[start:end])
    return Header(width, height, channels, "PNG", orientation)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of every chunk up to IEND, as long as the data reach."""
    at = len(_PNG_START)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at + 8, at + 8 + length
        if kind == b"IEND":
            break
        at += 12 + length


def png_is_whole(data: bytes) -> bool:
    """Return whether the chunks follow each other to the end mark.

    OpenCV allocates whatever length a chunk claims, so it must not see one that is not there.
    """
    return any(kind == b"IEND" and end + 4 <= len(data) for kind, _, end in _png_chunks(data))


def webp_is_whole(data: bytes) -> bool:
    """Return whether the data are as long as their container says."""
    return len(data) >= 8 + int.from_bytes(data[4:8], "little")


def _webp_header(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        return Header(width, height, 3, "WebP")
    (bits,) = struct.unpack_from("<I", data, 21)
    if kind == b"VP8L":
        channels = 4 if bits >> 28 & 1 else 3
        return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, channels, "WebP")
    if kind != b"VP8X":
        raise KeyError
    sides = struct.unpack_from("<HBHB", data, 24)
    width, height = sides[0] + (sides[1] << 16) + 1, sides[2] + (sides[3] << 16) + 1
    at, orientation = 12, 1
    while at + 8 <= len(data):
        chunk, length = struct.unpack_from("<4sI", data, at)
        if chunk == b"EXIF":
            orientation = _orientation(data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0"))
        at += 8 + length + length % 2
    return Header(width, height, 4 if data[20] & 0x10 else 3, "WebP", orientation)


def _bmp_header(data: bytes) -> Header:
    if data[14] == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
    # A negative height marks rows that run from the top.
    return Header(abs(width), abs(height), 4 if bits == 32 else 3, "BMP")


def _gif_header(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header(width, height, 3, "GIF")


_HEADERS: dict[str, Callable[[bytes], Header]] = {
    "JPEG": _jpeg_header,
    "PNG": _png_header,
    "WebP": _webp_header,
    "BMP": _bmp_header,
    "GIF": _gif_header,
}


def _orientation(exif: bytes) -> int:
    """Return the orientation (tag 0x0112) in an EXIF block, or 1 where it has none or is broken."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(count):
            at = start + 2 + 12 * entry
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, at)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
