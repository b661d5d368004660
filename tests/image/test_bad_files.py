"""Every bad picture is one clear error that names the file, and never half a picture."""

import io
import os
import re
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from regluon.base import FormatError, ImageError, MXNetError
from regluon.image import codec


NAME = "holiday/cat.jpg"


def photo(height=40, width=56):
    draws = np.random.default_rng(0)
    rough = Image.fromarray(draws.integers(0, 256, (9, 11, 3), dtype=np.uint8))
    return rough.resize((width, height), Image.Resampling.BICUBIC)


def encoded(kind, mode="RGB", **options):
    stream = io.BytesIO()
    photo().convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def refuse(data, words=None, **options):
    """Assert that decoding is an ImageError with the name and these words; return its text."""
    with pytest.raises(ImageError, match=words) as caught:
        codec.decode(data, name=NAME, **options)
    assert str(caught.value).startswith(NAME + ": ")
    return str(caught.value)


STRANGERS = [
    (b"", r"empty \(0 bytes\); .*fetch it again"),
    (b"\0" * 4000, "nothing but zero bytes"),
    (b"<!DOCTYPE html><title>404</title>", r"web page \(HTML\).*fetch the picture again"),
    (b"\n\n <html>not found</html>", "web page"),
    (b"\xef\xbb\xbf<!doctype HTML>", "web page"),
    (b'<?xml version="1.0"?><svg/>', "SVG"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "git lfs pull"),
    (b"PK\x03\x04" + b"\1" * 60, "zip archive; unpack"),
    (b"\x1f\x8b\x08\0", "gzip"),
    (b"%PDF-1.7", "PDF"),
    (b"II*\0\x08\0\0\0", "TIFF picture; convert it to JPEG or PNG"),
    (b"MM\0*\0\0\0\x08", "TIFF"),
    (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC, AVIF or MP4"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"8BPS\0\1", "Photoshop"),
    (b"\x93NUMPY\1\0", "NumPy array"),
    (struct.pack("<I", 0xCED7230A) + b"\0" * 9, "RecordIO"),
    (b"BMW is a car maker, not a bitmap.", "text file"),
    (b"name,label\ncat.jpg,3\n", "text file"),
    (bytes(range(128, 200)), "unknown data that begin with 80 81 82 83"),
    (b"\xff\xd8", "unknown data that begin with ff d8"),
]


@pytest.mark.parametrize(("data", "words"), STRANGERS, ids=[words for _, words in STRANGERS])
def test_what_is_not_a_picture_is_said_to_look_like_what_it_is(data, words):
    message = refuse(data, words)
    assert "is not a JPEG, PNG, WebP, BMP or GIF" in message
    with pytest.raises(ImageError, match=words):
        codec.probe(data, NAME)


def test_the_error_is_of_every_class_that_callers_may_expect():
    for kind in (MXNetError, FormatError, ValueError):
        with pytest.raises(kind, match="zero bytes"):
            codec.decode(b"\0\0")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"restart_marker_rows": 1}),
        ("JPEG", {"mode": "CMYK"}),
        ("JPEG", {"mode": "L"}),
        ("PNG", {}),
        ("PNG", {"mode": "P"}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_cut_off_anywhere_gives_an_error_and_never_pixels(kind, options, channels):
    data = encoded(kind, **options)
    for length in [*range(1, 60), *range(60, len(data), 37), *range(len(data) - 14, len(data))]:
        message = refuse(data[:length], channels=channels)
        assert re.search("; .*(fetch it again|convert it|remove it)", message)


@pytest.mark.parametrize("kind", ["BMP", "GIF"])
def test_a_bmp_or_gif_cut_off_anywhere_gives_an_error_or_the_whole_picture(kind):
    """A GIF may miss its last byte, which holds no pixels."""
    data = encoded(kind, "P")
    whole = codec.decode(data)
    for length in range(1, len(data), 41):
        refuse(data[:length])
    for length in range(len(data) - 4, len(data)):
        try:
            pixels = codec.decode(data[:length], name=NAME)
        except ImageError:
            continue
        assert np.array_equal(pixels, whole)


def test_truncated_jpeg_is_refused_even_where_corrupt_ones_are_accepted():
    data = encoded("JPEG")
    assert "ends too early" in refuse(data[: len(data) // 2], "Premature end")
    assert "truncated" in refuse(data[: len(data) // 2], "damaged", strict=False)
    refuse(data[:-2], "damaged", strict=False)


def test_corrupt_jpeg_is_an_error_unless_the_caller_accepts_it():
    data = encoded("JPEG")
    corrupt = data[:-2] + b"\x12" * 20 + data[-2:]
    assert "strict=False" in refuse(corrupt, "extraneous bytes")
    assert np.array_equal(codec.decode(corrupt, strict=False), codec.decode(data))


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(width, height, rows, colour=2):
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def test_png_with_too_few_rows_is_an_error_and_not_half_a_picture(capfd):
    refuse(png(100, 100, b"\0" * 3010), "damaged or incomplete")


def test_png_chunk_that_claims_gigabytes_is_refused_before_decoding():
    data = bytearray(encoded("PNG"))
    struct.pack_into(">I", data, data.index(b"IDAT") - 4, 4_000_000_000)
    refuse(bytes(data), "PNG ends too early")
    data = encoded("PNG")
    refuse(data[:-12] + struct.pack(">I", 4_000_000_000) + data[-8:], "PNG ends too early")


def test_png_with_a_flipped_bit_is_an_error(capfd):
    data = bytearray(encoded("PNG"))
    data[len(data) // 2] ^= 4
    refuse(bytes(data), "damaged or incomplete")


def huge(kind, width, height):
    """Return a small file whose header claims a size."""
    if kind == "PNG":
        return png(width, height, b"\0" * 1000)
    data = bytearray(encoded("JPEG"))
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_header_of_900_megapixels_is_refused_before_decoding(kind, channels):
    data = huge(kind, 30_000, 30_000)
    assert codec.probe(data, NAME).width == 30_000
    tracemalloc.start()
    message = refuse(data, "30000 x 30000 pixels, more than the 178956970", channels=channels)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert "max_pixels" in message


def test_the_pixel_limit_is_the_callers():
    data = encoded("PNG")
    assert codec.decode(data, max_pixels=40 * 56).shape == (40, 56, 3)
    refuse(data, "56 x 40 pixels, more than the 2239", max_pixels=40 * 56 - 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (huge("JPEG", 0, 40), "says 0 x 40"),
        (png(0, 9, b""), "says 0 x 9"),
        (b"GIF89a" + bytes(7), "says 0 x 0"),
        (b"\xff\xd8\xff\xd9", "header makes no sense"),
        (b"\xff\xd8\xff\xda\0\x02", "header makes no sense"),
        (b"\xff\xd8\xff\xe0\0\x04ab", "ends inside its header"),
        (b"\xff\xd8\xff\xc0\0\x11\x08\0", "ends inside its header"),
        (png(9, 9, b"", colour=5), "header makes no sense"),
        (png(9, 9, b"").replace(b"IHDR", b"CgBI"), "header makes no sense"),
        (b"RIFF\x10\0\0\0WEBPVP8?" + b"\0" * 40, "header makes no sense"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "ends inside its header"),
    ],
)
def test_a_header_without_meaning_is_an_error(data, words):
    refuse(data, words)


def test_a_header_that_the_data_contradict_is_an_error(monkeypatch):
    monkeypatch.setitem(codec._DECODERS, "PNG", lambda *_: np.zeros((4, 5, 3), np.uint8))
    refuse(encoded("PNG"), "header says 56 x 40 pixels, its data hold 5 x 4")


def test_random_bytes_after_a_good_start_never_raise_anything_else(capfd):
    draws = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF"):
        good = encoded(kind)
        for _ in range(150):
            data = bytearray(good)
            for place in draws.integers(2, min(len(data), 400), 3):
                data[place] = draws.integers(256)
            try:
                pixels = codec.decode(bytes(data), name=NAME, max_pixels=1_000_000)
            except ImageError:
                continue
            assert pixels.dtype == np.uint8


@pytest.mark.parametrize("wrong", ["photo.jpg", 5, None, np.zeros(3, np.uint8), bytearray(b"a")])
def test_what_is_not_bytes_is_refused_with_the_way_out(wrong):
    refuse(wrong, r"given as bytes, not \w+; for a path use read\(\)")


def test_channels_are_one_or_three():
    refuse(encoded("PNG"), "not 4", channels=4)


def read_error(path, words):
    with pytest.raises(ImageError, match=words) as caught:
        codec.read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_file_says_whether_its_folder_exists(tmp_path):
    read_error(tmp_path / "cat.jpg", r"does not exist \(its folder exists\); check")
    lost = tmp_path / "nowhere" / "cat.jpg"
    read_error(lost, rf"nor does {re.escape(str(lost.parent))}\); check the path")


def test_a_folder_and_a_pipe_are_refused(tmp_path):
    read_error(tmp_path, "is a folder")
    os.mkfifo(tmp_path / "pipe")
    read_error(tmp_path / "pipe", "not a file")


def test_a_file_that_is_no_picture_is_refused_by_its_beginning(tmp_path):
    path = tmp_path / "video.jpg"
    with path.open("wb") as stream:
        stream.write(b"\0\0\0\x18ftypisom")
        stream.truncate(1 << 40)
    read_error(path, "HEIC, AVIF or MP4")


def test_a_file_that_cannot_be_read_says_why(tmp_path, monkeypatch):
    path = tmp_path / "cat.jpg"
    path.write_bytes(encoded("JPEG"))

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", fail)
    read_error(path, r"cannot be read \(Permission denied\)")


def test_a_bad_file_is_named_by_read(tmp_path):
    path = tmp_path / "cat.jpg"
    path.write_bytes(encoded("JPEG")[:-300])
    read_error(path, "JPEG ends too early")
    path.write_bytes(b"")
    read_error(path, r"empty \(0 bytes\)")
