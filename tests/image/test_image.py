"""mx.image: reading, resizing and cropping arrays."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import regluon as mx
from regluon import image, random
from regluon.base import ImageError, ShapeError


GOLDEN = dict(np.load(Path(__file__).parent.parent / "golden" / "image.npz"))
PICTURE = GOLDEN["picture|smooth"]


def keys(what):
    return [key for key in GOLDEN if key.startswith(what + "|")]


@pytest.mark.parametrize("name", ["jpeg", "png", "png_grey", "png_16_bit", "jpeg_sideways"])
@pytest.mark.parametrize("channels", [3, 1])
def test_decoded_files_are_mxnets(name, channels):
    data, theirs = GOLDEN[f"file|{name}"], GOLDEN[f"decoded|{name}|{channels}"]
    flag = 1 if channels == 3 else 0
    for buf in (data, data.tobytes(), bytearray(data), mx.nd.array(data, dtype="uint8")):
        ours = image.imdecode(buf, flag, exif=False)
        assert type(ours) is mx.nd.NDArray
        assert ours.shape == theirs.shape
        assert np.abs(ours.asnumpy().astype(int) - theirs).max() <= 1


def test_imread_knows_bgr_out_orientation_and_numpy_semantics(tmp_path):
    path = tmp_path / "side.jpg"
    path.write_bytes(GOLDEN["file|jpeg_sideways"].tobytes())
    upright, stored = image.imread(path), image.imread(str(path), exif=False)
    assert upright.shape == (stored.shape[1], stored.shape[0], 3)
    bgr = image.imread(path, to_rgb=False)
    assert np.array_equal(bgr.asnumpy(), upright.asnumpy()[..., ::-1])
    out = mx.nd.zeros(upright.shape, dtype="uint8")
    assert image.imread(path, out=out) is out
    assert np.array_equal(out.asnumpy(), upright.asnumpy())
    mx.npx.set_np()
    assert type(image.imread(path, 0)) is mx.np.ndarray


@pytest.mark.parametrize("key", keys("center"))
def test_center_crop_is_mxnets_and_tells_its_box(key):
    _, name, dtype, width, height = key.split("|")
    img = mx.nd.array(GOLDEN[f"picture|{name}"], dtype=dtype)
    ours, box = image.center_crop(img, (int(width), int(height)), interp=1)
    assert np.abs(ours.asnumpy().astype(float) - GOLDEN[key]).max() <= 1e-5 * 255
    assert box[2] <= img.shape[1]
    assert box[3] <= img.shape[0]


@pytest.mark.parametrize("key", keys("fixed"))
def test_fixed_crop_is_mxnets(key):
    _, name, dtype, width, height = key.split("|")
    img = torch.from_numpy(GOLDEN[f"picture|{name}"].astype(dtype))
    ours = image.fixed_crop(img, 3, 5, 17, 13, (int(width), int(height)), 9)
    assert isinstance(ours, torch.Tensor)
    theirs = GOLDEN[key]
    limit = 1e-5 * np.abs(theirs).max() if dtype == "float32" else 1
    assert np.abs(ours.numpy().astype(float) - theirs).max() <= limit


def test_resizing():
    want = cv2.resize(PICTURE, (9, 7), interpolation=cv2.INTER_AREA)
    assert np.array_equal(image.imresize(PICTURE, 9, 7, 3), want)
    out = mx.nd.zeros((7, 9, 3), dtype="uint8")
    assert image.imresize(mx.nd.array(PICTURE, dtype="uint8"), 9, 7, 3, out=out) is out
    assert np.array_equal(out.asnumpy(), want)
    assert image.resize_short(PICTURE, 9).shape == (9, 10, 3)
    assert image.resize_short(PICTURE.transpose(1, 0, 2).copy(), 9, 10).shape == (10, 9, 3)


@pytest.mark.parametrize(
    "crop",
    [
        lambda img: image.random_crop(img, (6, 5)),
        lambda img: image.random_crop(img, (60, 50), interp=10),
        lambda img: image.random_size_crop(img, (6, 5), (0.1, 0.9), (0.5, 2.0)),
        lambda img: image.random_size_crop(img, (6, 5), 0.3, (0.5, 2.0), interp=1),
    ],
)
def test_random_crops_tell_their_box_and_follow_the_seed(crop):
    results = [crop(PICTURE) for _ in range(10)]
    assert len({box for _, box in results}) > 1
    mx.random.seed(0)
    assert [box for _, box in results] == [crop(PICTURE)[1] for _ in range(10)]
    with random.keyed(1):
        part, box = crop(PICTURE)
    with random.keyed(1):
        assert crop(mx.nd.array(PICTURE, dtype="uint8"))[1] == box
    x, y, w, h = box
    if (w, h) == part.shape[1::-1]:
        assert np.array_equal(part, PICTURE[y : y + h, x : x + w])
    assert x + w <= PICTURE.shape[1]
    assert y + h <= PICTURE.shape[0]


def test_normalizing_and_scaling_down():
    img = mx.nd.array(PICTURE)
    got = image.color_normalize(img, mx.nd.array([1, 2, 3]), mx.nd.array([2, 4, 8])).asnumpy()
    assert np.allclose(got, (PICTURE - np.array([1, 2, 3])) / np.array([2, 4, 8]))
    assert image.color_normalize(img, None) is img
    assert image.scale_down((360, 1000), (480, 500)) == (360, 375)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: image.imread("nowhere/a.jpg"), ImageError, "nowhere/a.jpg: does not exist"),
        (lambda: image.imdecode("a.jpg"), ImageError, "bytes or an array of uint8, not str"),
        (lambda: image.imdecode(b"GIF89a", flag=2), ImageError, "flag is 1 .* not 2"),
        (lambda: image.imdecode(b""), ImageError, "empty"),
        (lambda: image.fixed_crop(PICTURE, 9, 9, 20, 3), ShapeError, "not inside"),
    ],
)
def test_bad_arguments_are_clear_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
