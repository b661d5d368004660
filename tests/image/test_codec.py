"""Decoding against MXNet 1.9.1 (tools/golden_image.py), Pillow and the picture that was encoded."""

import io
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from regluon.image import codec


GOLDEN = dict(np.load(Path(__file__).parent.parent / "golden" / "image.npz"))
FILES = [key.split("|")[1] for key in GOLDEN if key.startswith("file|")]


def smooth(height=33, width=47):
    y, x = np.mgrid[:height, :width]
    waves = [127 + 120 * np.sin(x / (9 + 3 * c) + y / (7 - c) + c) for c in range(3)]
    return Image.fromarray(np.stack(waves, -1).astype(np.uint8))


def encoded(img, kind, **options):
    stream = io.BytesIO()
    img.save(stream, kind, **options)
    return stream.getvalue()


def error(pixels, expected):
    return np.abs(pixels.astype(int) - np.asarray(expected)).max()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_mxnets(name, channels):
    data = GOLDEN[f"file|{name}"].tobytes()
    ours = codec.decode(data, channels=channels, exif=False)
    theirs = GOLDEN[f"decoded|{name}|{channels}"]
    assert ours.shape == theirs.shape
    # CMYK: MXNet is one level too bright. Grey: weights are rounded otherwise.
    assert error(ours, theirs) <= (2 if "cmyk" in name else 2 - channels // 2)


# Lossless files, and what must come out.
EXACT = {
    "rgb.png": (smooth(), {}, smooth()),
    "grey.png": (smooth().convert("L"), {}, smooth().convert("L").convert("RGB")),
    "palette.png": (smooth().quantize(50), {}, smooth().quantize(50).convert("RGB")),
    "one_bit.png": (smooth().convert("1"), {}, smooth().convert("1").convert("RGB")),
    "alpha.png": (Image.merge("RGBA", (*smooth().split(), smooth().split()[0])), {}, smooth()),
    "grey_alpha.png": (smooth().convert("LA"), {}, smooth().convert("L").convert("RGB")),
    "rgb.webp": (smooth(), {"lossless": True}, smooth()),
    "alpha.webp": (
        Image.merge("RGBA", (*smooth().split(), smooth().split()[0])),
        {"lossless": True, "exact": True},
        smooth(),
    ),
    "rgb.bmp": (smooth(), {}, smooth()),
    "alpha.bmp": (smooth().convert("RGBA"), {}, smooth()),
    "palette.bmp": (smooth().quantize(50), {}, smooth().quantize(50).convert("RGB")),
    "palette.gif": (smooth().quantize(50), {}, smooth().quantize(50).convert("RGB")),
    "frames.gif": (
        smooth().quantize(50),
        {"save_all": True, "append_images": [smooth().rotate(180).quantize(50)]},
        smooth().quantize(50).convert("RGB"),
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_lossless_files_decode_exactly(name):
    img, options, expected = EXACT[name]
    data = encoded(img, name.split(".")[1], **options)
    pixels = codec.decode(data)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert np.array_equal(pixels, expected)
    grey = codec.decode(data, channels=1)
    assert grey.shape == (33, 47, 1)
    assert error(grey[..., 0], expected.convert("L")) <= 1


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_of_every_mode_decodes_right(mode, options):
    data = encoded(smooth().convert(mode), "JPEG", quality=97, subsampling=0, **options)
    expected = np.asarray(smooth().convert(mode).convert("RGB"))
    assert error(codec.decode(data), expected) <= 9
    assert np.abs(codec.decode(data).astype(float) - expected).mean() < 1
    assert error(codec.decode(data), Image.open(io.BytesIO(data)).convert("RGB")) <= 1
    assert codec.decode(data, channels=1).shape == (33, 47, 1)


def test_cmyk_jpeg_in_luminance_and_chroma_decodes_right():
    data = bytearray(encoded(smooth().convert("CMYK"), "JPEG", quality=97, subsampling=0))
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    data[transform] = 2
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    assert error(codec.decode(bytes(data)), expected) <= 1
    assert error(codec.decode(bytes(data), strict=False), expected) == 0


def test_16_bit_png_keeps_the_upper_byte_and_does_not_saturate():
    values = np.linspace(0, 65535, 33 * 47).astype(np.uint16).reshape(33, 47)
    pixels = codec.decode(encoded(Image.fromarray(values), "PNG"))
    assert np.array_equal(pixels, np.repeat((values >> 8)[..., None], 3, -1))
    assert error(pixels[..., 0], np.rint(values / 257)) <= 1


def test_jpeg_with_unusual_subsampling_falls_back_to_pillow():
    data = unusual_jpeg()
    assert np.array_equal(codec.decode(data), np.full((8, 24, 3), 128))
    assert codec.decode(data, channels=1).shape == (8, 24, 1)


def unusual_jpeg():
    """Return a grey JPEG whose luminance has three blocks for one of chroma."""
    data = bytearray(encoded(Image.new("RGB", (24, 8), (128, 128, 128)), "JPEG", subsampling=0))
    data[data.index(b"\xff\xc0") + 11] = 0x31
    scan = data.index(b"\xff\xda")
    (length,) = struct.unpack_from(">H", data, scan + 2)
    bits = "001010" * 3 + "0000" * 2 + "111111"
    return bytes(data[: scan + 2 + length]) + int(bits, 2).to_bytes(4, "big") + b"\xff\xd9"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(kind, orientation):
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a description before it", orientation
    data = encoded(smooth(), kind, exif=exif)
    assert codec.probe(data) == codec.Header(
        47, 33, 3, {"WEBP": "WebP"}.get(kind, kind), orientation
    )
    stored = Image.open(io.BytesIO(data))
    upright = ImageOps.exif_transpose(stored)
    for channels in (1, 3):
        pixels = codec.decode(data, channels=channels)
        assert pixels.shape == (upright.height, upright.width, channels)
        assert pixels.flags.c_contiguous
    assert error(codec.decode(data), upright.convert("RGB")) <= 1
    assert error(codec.decode(data, exif=False), stored.convert("RGB")) <= 1


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0",
        b"junk" * 5,
    ],
)
def test_broken_exif_means_upright(exif):
    data = encoded(smooth(), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
    assert codec.probe(data[:2] + segment + data[2:]).orientation == 1
    assert codec.decode(data[:2] + segment + data[2:]).shape == (33, 47, 3)


def test_probe_reads_every_format_without_decoding():
    for name, (img, options, _) in EXACT.items():
        kind = name.split(".")[1]
        header = codec.probe(encoded(img, kind, **options))
        assert (header.width, header.height) == (47, 33)
        assert header.format == {"webp": "WebP"}.get(kind, kind.upper())
        assert (header.channels in (2, 4)) == ("alpha" in name)
    for mode, channels in (("L", 1), ("RGB", 3), ("CMYK", 4)):
        assert codec.probe(encoded(smooth().convert(mode), "JPEG")).channels == channels
    assert codec.probe(encoded(smooth(), "WEBP")).channels == 3
    assert codec.probe(encoded(smooth(70, 20), "WEBP", lossless=True)).height == 70


def test_old_and_upside_down_bmp_headers_are_read():
    rows = np.arange(2 * 3 * 4, dtype=np.uint8).tobytes()
    old = b"BM" + struct.pack("<IHHIIHHHH", 50, 0, 0, 26, 12, 3, 2, 1, 24) + rows
    assert codec.decode(old).shape == (2, 3, 3)
    down = b"BM" + struct.pack("<IHHIIiiHH6I", 78, 0, 0, 54, 40, 3, -2, 1, 24, 0, 0, 0, 0, 0, 0)
    assert np.array_equal(codec.decode(down + rows), codec.decode(old)[::-1])


def test_read_decodes_a_file_by_any_kind_of_path(tmp_path):
    path = tmp_path / "photo with a wrong suffix.jpg"
    path.write_bytes(encoded(smooth(), "PNG"))
    assert np.array_equal(codec.read(path), smooth())
    assert codec.read(str(path), channels=1).shape == (33, 47, 1)


def test_decoding_is_the_same_in_many_threads():
    data = [encoded(smooth().rotate(angle), "JPEG") for angle in range(8)]
    alone = [codec.decode(item).tobytes() for item in data]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda item: codec.decode(item).tobytes(), data * 5))
    assert together == alone * 5
