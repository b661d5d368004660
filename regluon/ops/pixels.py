"""Pictures as NumPy arrays: what MXNet's transforms do to them, as pure functions over OpenCV.

A picture is (height, width, channels), uint8 or float32, in RGB order, and keeps its dtype. The
functions never write into their argument. What the C++ operators of MXNet 1.9.1 do was measured,
and holds here:

* uint8 results saturate at 0 and 255 and lose their fraction (a C cast), after every step; float32
  results are left as they are.
* Sizes are (width, height) or one number; interpolation codes are OpenCV's: 0 nearest, 1 bilinear,
  2 cubic, 3 area, 4 Lanczos, and 9 (by the direction of the change) and 10 (random) are MXNet's.

Where MXNet is wrong, this file is right: its flips leave an odd middle column untouched, its
saturation takes 0.114 * blue for the grey value, its hue darkens pixels by rounding noise even when
it turns by nothing and leaves grey pictures uninitialised.

OpenCV starts its own threads for large pictures. Threads that load data call `single_thread` first.
"""

from collections.abc import Sequence
from typing import Any

import numpy as onp
import numpy.typing as npt

from regluon.base import DTypeError, MXNetError, ShapeError, optional


Pixels = npt.NDArray[Any]
Size = int | Sequence[int]
Box = tuple[int, int, int, int]

# The weights of red, green and blue in the grey value (ITU-R BT.601).
_GREY = onp.array([0.299, 0.587, 0.114], onp.float32)

# Variances along the principal components of ImageNet's colours (Krizhevsky et al., 2012), as MXNet
# has them: one row per channel, one column per component.
_LIGHTING = onp.array(
    [
        [55.46 * -0.5675, 4.794 * 0.7192, 1.148 * 0.4009],
        [55.46 * -0.5808, 4.794 * -0.0045, 1.148 * -0.8140],
        [55.46 * -0.5836, 4.794 * -0.6948, 1.148 * 0.4203],
    ],
    onp.float32,
)

# OpenCV rounds where MXNet cuts the fraction off. A value less than a thousandth below a whole
# number is that number: float32 arithmetic on 0..255 leaves errors of such a size.
_CUT = -0.5 + 1e-3

_LEVELS = onp.arange(256, dtype=onp.float32)


def single_thread() -> None:
    """Make OpenCV work in the thread that calls it, as threads that load data in parallel want.

    The setting is global to the process and OpenCV's own, so nothing here changes it unasked.
    Results do not depend on it.
    """
    optional("cv2", extra="image").setNumThreads(1)


def resize(
    img: Pixels,
    size: Size,
    keep_ratio: bool = False,
    interp: int = 1,
    rng: onp.random.Generator | None = None,
) -> Pixels:
    """Resize a picture, or a batch (N, H, W, C) of them, as `mx.nd.image.resize`.

    `size` is (width, height), or one number for both; with `keep_ratio` one number is the length of
    the shorter side. `interp=10` draws the method and needs `rng`.

    >>> resize(onp.zeros((20, 40, 3), "uint8"), 10, keep_ratio=True).shape
    (10, 20, 3)
    """
    if img.ndim == 4:
        return onp.stack([resize(one, size, keep_ratio, interp, rng) for one in img])
    _check(img)
    height, width, channels = img.shape
    new_width, new_height = resized_sides(height, width, size, keep_ratio)
    method = _method(interp, (width, height), (new_width, new_height), rng)
    cv2 = optional("cv2", extra="image")
    resized: Pixels = cv2.resize(img, (new_width, new_height), interpolation=method)
    return resized.reshape(new_height, new_width, channels)


def resized_sides(height: int, width: int, size: Size, keep_ratio: bool) -> tuple[int, int]:
    """Return the width and the height that `resize` gives to a picture of the given sides.

    >>> resized_sides(20, 40, 10, keep_ratio=True)
    (20, 10)
    """
    new_width, new_height = _sides(size)
    if keep_ratio and not (isinstance(size, Sequence) and len(size) == 2):
        if height > width:
            return new_width, height * new_width // width
        return width * new_height // height, new_height
    return new_width, new_height


def crop(img: Pixels, x: int, y: int, width: int, height: int) -> Pixels:
    """Return a view of the box whose upper left corner is (x, y), of a picture or of a batch.

    >>> crop(onp.arange(12).reshape(2, 6, 1), 4, 1, 2, 1)[..., 0]
    array([[10, 11]])
    """
    check_box(img.shape, x, y, width, height)
    return img[..., y : y + height, x : x + width, :]


def check_box(shape: Sequence[int], x: int, y: int, width: int, height: int) -> None:
    """Raise unless the box lies inside a picture, or a batch of pictures, of the given shape."""
    if len(shape) not in (3, 4):
        raise ShapeError(f"a picture is (height, width, channels), not {tuple(shape)}")
    full_height, full_width = shape[-3:-1]
    inside = min(x, y) >= 0 and x + width <= full_width and y + height <= full_height
    if not inside or width < 1 or height < 1:
        raise ShapeError(
            f"a box of {width} x {height} pixels at ({x}, {y}) is not inside a picture of "
            f"{full_width} x {full_height}"
        )


def resized_crop(
    img: Pixels,
    box: Box,
    size: Size,
    interp: int = 1,
    rng: onp.random.Generator | None = None,
) -> Pixels:
    """Crop to `box` (x, y, width, height), then resize to `size` unless it has that size already.

    MXNet's `mx.image.fixed_crop`; a crop that is not resized is a view.
    """
    part, sides = crop(img, *box), _sides(size)
    return part if box[2:] == sides else resize(part, sides, interp=interp, rng=rng)


def center_crop(
    img: Pixels, size: Size, interp: int = 1, rng: onp.random.Generator | None = None
) -> Pixels:
    """Crop to `size` around the middle; a picture too small for it is cropped to the same shape
    (width : height) and enlarged, as `mx.image.center_crop` does.
    """
    _check(img)
    height, width = img.shape[:2]
    return resized_crop(img, center_box(height, width, size), size, interp, rng)


def center_box(height: int, width: int, size: Size) -> Box:
    """Return the box (x, y, width, height) of `center_crop` in a picture of the given sides.

    >>> center_box(100, 200, (50, 100)), center_box(10, 200, (50, 100))
    ((75, 0, 50, 100), (97, 0, 5, 10))
    """
    new_width, new_height = map(float, _sides(size))
    if height < new_height:
        new_width, new_height = new_width * height / new_height, height
    if width < new_width:
        new_width, new_height = width, new_height * width / new_width
    # MXNet comes out with no pixel at all where the shapes differ extremely.
    w, h = max(1, int(new_width)), max(1, int(new_height))
    return (width - w) // 2, (height - h) // 2, w, h


def flip_left_right(img: Pixels) -> Pixels:
    """Mirror a picture, its odd middle column included (MXNet leaves that one uninitialised)."""
    return _flip(img, 1)


def flip_top_bottom(img: Pixels) -> Pixels:
    """Turn a picture upside down, its odd middle row included (MXNet leaves it uninitialised)."""
    return _flip(img, 0)


def adjust_brightness(img: Pixels, alpha: float) -> Pixels:
    """Multiply every value by `alpha`.

    >>> adjust_brightness(onp.array([[[10, 99, 200]]], "uint8"), 1.5).tolist()
    [[[15, 148, 255]]]
    """
    _check(img, coloured=True)
    return _linear(img, alpha, 0.0)


def adjust_contrast(img: Pixels, alpha: float) -> Pixels:
    """Blend a picture with its mean grey value: `img * alpha + mean * (1 - alpha)`.

    The mean is summed in float64 (MXNet: float32, which is off for large pictures).
    """
    _check(img, coloured=True)
    means = optional("cv2", extra="image").mean(img)
    grey = means[0] if img.shape[2] == 1 else float(onp.dot(means[:3], _GREY))
    return _linear(img, alpha, (1.0 - alpha) * grey)


def adjust_saturation(img: Pixels, alpha: float) -> Pixels:
    """Blend every pixel with its own grey value: 0 gives a grey picture, 1 the same picture.

    This is `mx.image.SaturationJitterAug`. MXNet's `nd.image.random_saturation` keeps only the last
    term of the grey value, 0.114 * blue, so that it darkens where it should fade.
    """
    _check(img, coloured=True)
    if img.shape[2] == 1:
        return img.copy()
    cv2 = optional("cv2", extra="image")
    blend = onp.float32(alpha) * onp.eye(3, dtype=onp.float32) + onp.float32(1 - alpha) * _GREY
    return _like(cv2.transform(img.astype(onp.float32, copy=False), blend), img)


def adjust_hue(img: Pixels, alpha: float) -> Pixels:
    """Turn the hue by `alpha - 1` full turns: 1 (and 0 and 2) give the same picture.

    MXNet turns in HLS, which is the same turn as in HSV. In float32 throughout, because 8-bit HSV
    costs up to several levels per pixel; uint8 results are within one level of MXNet's.
    """
    _check(img, coloured=True)
    if img.shape[2] == 1:
        return img.copy()
    cv2 = optional("cv2", extra="image")
    hsv = cv2.cvtColor(img.astype(onp.float32, copy=False), cv2.COLOR_RGB2HSV)
    turned = cv2.add(hsv, (360.0 * (alpha % 1.0), 0.0, 0.0, 0.0))
    return _like(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB), img)


def adjust_lighting(img: Pixels, alpha: Sequence[float]) -> Pixels:
    """Add a colour: three factors times ImageNet's principal colour components ("PCA noise").

    MXNet's `RandomLighting(std)` draws the factors as `rng.normal(0, std, 3)`. Krizhevsky et al.,
    *ImageNet classification with deep convolutional neural networks*, 2012.
    """
    _check(img, coloured=True)
    if len(alpha) != 3:
        raise ShapeError(f"adjust_lighting takes three factors, not {len(alpha)}")
    if img.shape[2] == 1:
        return img.copy()
    shift = _LIGHTING @ onp.asarray(alpha, onp.float32)
    if img.dtype == onp.float32:
        return img + shift
    return _looked_up(img, _LEVELS[:, None] + shift)


def to_tensor(img: Pixels) -> npt.NDArray[onp.float32]:
    """Turn (H, W, C) or (N, H, W, C) in 0..255 into float32 (C, H, W) or (N, C, H, W) in 0..1.

    >>> to_tensor(onp.array([[[0, 51, 255]]], "uint8")).ravel().tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    if img.ndim not in (3, 4):
        raise ShapeError(f"to_tensor takes (H, W, C) or (N, H, W, C), not {img.shape}")
    planes = onp.moveaxis(img, -1, -3)
    return onp.divide(planes, onp.float32(255), dtype=onp.float32, order="C", casting="same_kind")


def normalize(
    tensor: Pixels, mean: float | Sequence[float] = 0.0, std: float | Sequence[float] = 1.0
) -> Pixels:
    """Subtract `mean`, divide by `std`: (C, H, W) or (N, C, H, W), one number or one per channel.

    >>> normalize(onp.full((3, 1, 1), 0.5, "float32"), (0.5, 0.25, 0.0), 0.25).ravel().tolist()
    [0.0, 1.0, 2.0]
    """
    if tensor.ndim not in (3, 4):
        raise ShapeError(f"normalize takes (C, H, W) or (N, C, H, W), not {tensor.shape}")
    if tensor.dtype.kind != "f":
        raise DTypeError(
            f"normalize takes floating point, not {tensor.dtype}; call to_tensor first"
        )
    channels = tensor.shape[-3]
    offset, divisor = per_channel(mean, std, channels)
    result: Pixels = tensor - offset.astype(tensor.dtype)
    result /= divisor.astype(tensor.dtype)
    return result


def per_channel(
    mean: float | Sequence[float], std: float | Sequence[float], channels: int
) -> tuple[Pixels, Pixels]:
    """Return what `normalize` subtracts and divides by, (1, 1, 1) or (channels, 1, 1)."""
    found = []
    for numbers, what in ((mean, "mean"), (std, "std")):
        values = onp.atleast_1d(onp.asarray(numbers, onp.float64))
        if values.ndim != 1 or len(values) not in (1, channels):
            raise ShapeError(
                f"{what} is a number or one per channel: got {len(values)} for {channels} channels"
            )
        found.append(values[:, None, None])
    if not found[1].all():
        raise MXNetError(f"normalize cannot divide by the std {std!r}")
    return found[0], found[1]


def _check(img: Pixels, coloured: bool = False) -> None:
    """Refuse what is not one picture of a dtype that OpenCV and MXNet agree on."""
    if img.ndim != 3 or 0 in img.shape:
        raise ShapeError(f"a picture is (height, width, channels) and not empty, not {img.shape}")
    if coloured and img.shape[2] not in (1, 3):
        raise ShapeError(f"colours are adjusted on 1 or 3 channels, not {img.shape[2]}")
    if img.dtype not in (onp.uint8, onp.float32):
        raise DTypeError(f"a picture is uint8 or float32, not {img.dtype}; cast it with astype")


def _sides(size: Size) -> tuple[int, int]:
    """Return `size` as (width, height)."""
    sides = tuple(size) if isinstance(size, Sequence) else (size,)
    if len(sides) == 1:
        sides *= 2
    if len(sides) != 2 or min(sides) < 1:
        raise ShapeError(f"a size is (width, height) or one number, at least 1, not {size!r}")
    return int(sides[0]), int(sides[1])


def _method(
    interp: int, old: tuple[int, int], new: tuple[int, int], rng: onp.random.Generator | None
) -> int:
    """Return OpenCV's code for MXNet's, given the (width, height) before and after."""
    if interp == 9:
        if new[0] > old[0] and new[1] > old[1]:
            return 2
        return 3 if new[0] < old[0] and new[1] < old[1] else 1
    if interp == 10:
        if rng is None:
            raise MXNetError("interp=10 draws the method: pass rng, or a code from 0 to 4, or 9")
        return int(rng.integers(5))
    if interp not in range(5):
        raise MXNetError(f"interp is 0 to 4, 9 or 10, not {interp!r}")
    return interp


def _flip(img: Pixels, code: int) -> Pixels:
    _check(img)
    flipped: Pixels = optional("cv2", extra="image").flip(img, code)
    return flipped.reshape(img.shape)


def _linear(img: Pixels, alpha: float, beta: float) -> Pixels:
    """Return `img * alpha + beta`, rounded as MXNet rounds each step."""
    if img.dtype == onp.uint8:
        return _looked_up(img, _LEVELS * onp.float32(alpha) + onp.float32(beta))
    result = img * onp.float32(alpha)
    result += onp.float32(beta)
    return result


def _looked_up(img: Pixels, table: npt.NDArray[onp.float32]) -> Pixels:
    """Replace each level of a uint8 picture by its row of `table` (256,) or (256, channels)."""
    levels = onp.clip(table, 0, 255).astype(onp.uint8)
    replaced: Pixels = optional("cv2", extra="image").LUT(img, levels.reshape(1, 256, -1))
    return replaced.reshape(img.shape)


def _like(values: npt.NDArray[onp.float32], img: Pixels) -> Pixels:
    """Return float32 values in the dtype of `img`: saturated and cut for uint8."""
    if img.dtype == onp.float32:
        return values
    cv2 = optional("cv2", extra="image")
    levels: Pixels = cv2.addWeighted(values, 1.0, values, 0.0, _CUT, dtype=cv2.CV_8U)
    return levels
