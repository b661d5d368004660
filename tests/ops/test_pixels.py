"""Pixel functions against the answers of MXNet 1.9.1 that tools/golden_image.py recorded."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from regluon.base import DTypeError, MXNetError, ShapeError
from regluon.ops import pixels


GOLDEN = dict(np.load(Path(__file__).parent.parent / "golden" / "image.npz"))
COLOURS = {
    "brightness": pixels.adjust_brightness,
    "contrast": pixels.adjust_contrast,
    "saturation": pixels.adjust_saturation,
    "hue": pixels.adjust_hue,
}


def picture(name, dtype="uint8"):
    return GOLDEN[f"picture|{name}"].astype(dtype)


def golden(what):
    """Return (key, arguments as strings, MXNet's array) for every recorded call of a function."""
    cases = [(key, key.split("|")[1:], GOLDEN[key]) for key in GOLDEN if key.startswith(what + "|")]
    assert cases
    return [pytest.param(arguments, array, id=key) for key, arguments, array in cases]


def assert_as_mxnet(ours, theirs, levels=0):
    """Equal up to `levels` in uint8; in float32 to 1e-5 of the largest value."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    error = np.abs(ours.astype(np.float64) - theirs).max()
    assert error <= (levels if ours.dtype == np.uint8 else 1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize(("arguments", "theirs"), golden("resize"))
def test_resize_is_mxnets(arguments, theirs):
    name, dtype, width, height, interp = arguments
    img = picture(name, dtype)
    ours = pixels.resize(img, (int(width), int(height)), interp=int(interp))
    # OpenCV rounds bicubic sums of bytes otherwise since MXNet's 3.4.
    assert_as_mxnet(ours, theirs, levels=1 if interp == "2" else 0)


@pytest.mark.parametrize(("arguments", "theirs"), golden("keep"))
def test_resize_of_the_shorter_side_is_mxnets(arguments, theirs):
    name, dtype, goal = arguments
    assert_as_mxnet(pixels.resize(picture(name, dtype), int(goal), keep_ratio=True), theirs)


@pytest.mark.parametrize(("arguments", "theirs"), golden("center"))
def test_center_crop_is_mxnets(arguments, theirs):
    name, dtype, width, height = arguments
    assert_as_mxnet(pixels.center_crop(picture(name, dtype), (int(width), int(height))), theirs)


@pytest.mark.parametrize(("arguments", "theirs"), golden("fixed"))
def test_resized_crop_with_method_9_is_mxnets(arguments, theirs):
    name, dtype, width, height = arguments
    goal = (int(width), int(height))
    ours = pixels.resized_crop(picture(name, dtype), (3, 5, 17, 13), goal, interp=9)
    assert_as_mxnet(ours, theirs, levels=1)


@pytest.mark.parametrize(("arguments", "theirs"), golden("crop"))
def test_crop_is_mxnets(arguments, theirs):
    assert_as_mxnet(pixels.crop(picture(*arguments), 3, 5, 17, 13), theirs)


@pytest.mark.parametrize(
    ("what", "arguments", "theirs"),
    [
        pytest.param(what, *case.values, id=case.id)
        for what in ("brightness", "contrast", "saturation")
        for case in golden(what)
    ],
)
def test_colours_are_mxnets_bit_for_bit_in_uint8(what, arguments, theirs):
    name, dtype, alpha = arguments
    assert_as_mxnet(COLOURS[what](picture(name, dtype), float(alpha)), theirs)


@pytest.mark.parametrize(("arguments", "theirs"), golden("hue"))
def test_hue_is_mxnets_within_one_level(arguments, theirs):
    name, dtype, alpha = arguments
    assert_as_mxnet(pixels.adjust_hue(picture(name, dtype), float(alpha)), theirs, levels=1)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_hue_turned_by_whole_turns_is_the_same_picture_which_mxnet_misses(alpha):
    img = picture("noise")
    assert np.array_equal(pixels.adjust_hue(img, alpha), img)
    assert (GOLDEN[f"hue|noise|uint8|{alpha}"] != img).any()


def test_hue_works_on_any_scale_of_floats():
    img = picture("smooth", "float32")
    small = pixels.adjust_hue(img / 255, 1.3) * 255
    assert np.allclose(small, pixels.adjust_hue(img, 1.3), atol=1e-3)
    assert np.isfinite(pixels.adjust_hue(img * 3 - 200, 0.3)).all()


@pytest.mark.parametrize(("arguments", "theirs"), golden("lighting"))
def test_lighting_is_mxnets(arguments, theirs):
    name, dtype, *alpha = arguments
    assert_as_mxnet(pixels.adjust_lighting(picture(name, dtype), [*map(float, alpha)]), theirs)


@pytest.mark.parametrize(("arguments", "theirs"), golden("wrong_saturation"))
def test_the_saturation_operator_of_mxnet_is_wrong_as_we_say(arguments, theirs):
    name, dtype, alpha = arguments
    img = picture(name, "float32")
    wrong = np.clip(np.float32(0.114) * img[..., 2:] * 0.7 + img * np.float32(0.3), 0, 255)
    assert np.allclose(wrong.astype(dtype), theirs, atol=1e-4 if dtype == "float32" else 1)
    right = pixels.adjust_saturation(picture(name, dtype), float(alpha))
    assert np.abs(right.astype(float) - theirs).max() > 30


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 1.37, 2.0])
def test_saturation_of_bytes_is_the_float_formula_without_its_fraction(alpha):
    img = picture("noise")
    floats = pixels.adjust_saturation(img.astype(np.float32), alpha)
    expected = np.floor(np.clip(floats + 1e-3, 0, 255))
    assert np.array_equal(pixels.adjust_saturation(img, alpha), expected)


@pytest.mark.parametrize("adjust", [pixels.adjust_hue, pixels.adjust_saturation])
def test_a_grey_picture_has_neither_hue_nor_saturation(adjust):
    grey = picture("grey")
    same = adjust(grey, 0.2)
    assert np.array_equal(same, grey)
    assert not np.shares_memory(same, grey)


@pytest.mark.parametrize("name", ["smooth", "noise", "grey"])
@pytest.mark.parametrize("length", [1, 2, 7, 8])
@pytest.mark.parametrize("axis", [0, 1])
def test_flips_mirror_every_column_where_mxnet_forgets_the_odd_middle_one(name, length, axis):
    img = picture(name).take(range(length), axis=axis)
    flip, what = ((pixels.flip_top_bottom, "top_bottom"), (pixels.flip_left_right, "left_right"))[
        axis
    ]
    ours = flip(img)
    assert np.array_equal(ours, np.flip(img, axis))
    sure = [index for index in range(length) if 2 * index + 1 != length]
    theirs = GOLDEN[f"{what}|{name}|{length}"]
    assert np.array_equal(ours.take(sure, axis), theirs.take(sure, axis))


@pytest.mark.parametrize("name", ["smooth", "noise", "grey"])
def test_to_tensor_and_normalize_are_mxnets(name):
    img = picture(name)
    assert np.array_equal(pixels.to_tensor(img), GOLDEN[f"to_tensor|{name}"])
    batch = np.stack([img[:6], img[6:12]])
    assert np.array_equal(pixels.to_tensor(batch), GOLDEN[f"to_tensor_batch|{name}"])
    tensor = pixels.to_tensor(img)
    assert tensor.flags.c_contiguous
    assert np.array_equal(pixels.normalize(tensor, 0.4, 0.3), GOLDEN[f"normalize|{name}|one"])
    if name != "grey":
        means, stds = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        ours = pixels.normalize(tensor[None], means, stds)
        assert np.array_equal(ours[0], GOLDEN[f"normalize|{name}|each"])


def test_batches_are_resized_and_cropped_like_single_pictures():
    img = picture("smooth")
    batch = np.stack([img, img[::-1]])
    resized = pixels.resize(batch, (9, 5))
    assert np.array_equal(resized[1], pixels.resize(img[::-1], (9, 5)))
    assert np.array_equal(pixels.crop(batch, 1, 2, 3, 4)[0], pixels.crop(img, 1, 2, 3, 4))


def functions():
    box = (1, 2, 5, 4)
    return {
        "resize": lambda img: pixels.resize(img, 5),
        "resized_crop": lambda img: pixels.resized_crop(img, box, 7),
        "center_crop": lambda img: pixels.center_crop(img, 8),
        "flip": pixels.flip_left_right,
        **{name: lambda img, f=f: f(img, 1.3) for name, f in COLOURS.items()},
        "lighting": lambda img: pixels.adjust_lighting(img, (1, 1, 1)),
        "to_tensor": pixels.to_tensor,
    }


@pytest.mark.parametrize("name", functions())
def test_arguments_are_not_changed_and_may_be_views_or_read_only(name):
    img = picture("smooth")
    before = img.copy()
    img.flags.writeable = False
    whole = functions()[name](np.ascontiguousarray(img[::-1, 3:15]))
    assert np.array_equal(functions()[name](img[::-1, 3:15]), whole)
    assert np.array_equal(img, before)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda img: pixels.resize(img, 0), ShapeError, "at least 1, not 0"),
        (lambda img: pixels.resize(img, (3, 4, 5)), ShapeError, r"not \(3, 4, 5\)"),
        (lambda img: pixels.resize(img, 5, interp=7), MXNetError, "0 to 4, 9 or 10, not 7"),
        (lambda img: pixels.resize(img, 5, interp=10), MXNetError, "pass rng"),
        (lambda img: pixels.resize(img[:0], 5), ShapeError, "not empty"),
        (lambda img: pixels.crop(img, 20, 0, 5, 5), ShapeError, r"5 x 5 .*\(20, 0\).*21 x 18"),
        (lambda img: pixels.crop(img, -1, 0, 5, 5), ShapeError, "not inside"),
        (lambda img: pixels.crop(img[0], 0, 0, 5, 5), ShapeError, "height, width, channels"),
        (lambda img: pixels.flip_left_right(img[0]), ShapeError, "height, width, channels"),
        (lambda img: pixels.adjust_hue(img[..., :2], 1), ShapeError, "1 or 3 channels, not 2"),
        (lambda img: pixels.adjust_hue(img.astype("int64"), 1), DTypeError, "uint8 or float32"),
        (lambda img: pixels.adjust_lighting(img, (1,)), ShapeError, "three factors"),
        (lambda img: pixels.to_tensor(img[0]), ShapeError, "to_tensor takes"),
        (lambda img: pixels.normalize(img), DTypeError, "call to_tensor first"),
        (lambda img: pixels.normalize(img[0]), ShapeError, "normalize takes"),
        (lambda img: pixels.normalize(img / 255, (1, 2)), ShapeError, "got 2 for 18 channels"),
        (lambda img: pixels.normalize(img / 255, 0, 0), MXNetError, "std 0"),
    ],
)
def test_bad_arguments_are_clear_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(picture("smooth"))


def test_a_drawn_method_comes_from_the_generator_alone():
    img = picture("noise")
    rng, again = np.random.default_rng(5), np.random.default_rng(5)
    drawn = [pixels.resize(img, 7, interp=10, rng=rng).tobytes() for _ in range(60)]
    assert set(drawn) == {pixels.resize(img, 7, interp=code).tobytes() for code in range(5)}
    assert drawn == [pixels.resize(img, 7, interp=10, rng=again).tobytes() for _ in range(60)]


def test_center_box_of_an_extreme_shape_keeps_a_pixel():
    assert pixels.center_box(1, 3000, (100, 300)) == (1499, 0, 1, 1)


def test_single_thread_is_opencvs_own_setting():
    before = cv2.getNumThreads()
    try:
        pixels.single_thread()
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)
