"""What the random transforms do next: boxes, factors and orders drawn as MXNet draws them.

Pure functions of a NumPy generator that the caller owns, so that a sample's augmentation depends on
its key and on nothing else. What is drawn is applied by `regluon.ops.pixels`.
"""

import math
from collections.abc import Callable

import numpy as onp

from regluon.base import MXNetError
from regluon.ops.pixels import (
    Box,
    Pixels,
    Size,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    center_box,
)


def draw_resized_crop(
    rng: onp.random.Generator,
    height: int,
    width: int,
    size: Size,
    scale: float | tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Box:
    """Draw the box (x, y, width, height) of RandomResizedCrop, as `mx.image.random_size_crop`.

    Its share of the area is uniform in `scale` (one number is the lower end), the logarithm of
    width / height uniform in that of `ratio`, its place uniform. After ten boxes that do not fit it
    is the box of `center_crop` for `size`, the (width, height) that the crop is to be resized to.

    >>> draw_resized_crop(onp.random.default_rng(0), 300, 400, 224)
    (52, 133, 103, 137)
    """
    low, high = scale if isinstance(scale, tuple | list) else (scale, 1.0)
    if not 0 < low <= high or not 0 < ratio[0] <= ratio[1]:
        raise MXNetError(f"scale and ratio are (low, high) above 0, not {scale!r} and {ratio!r}")
    narrow, wide = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(10):
        area = rng.uniform(low, high) * height * width
        shape = math.exp(rng.uniform(narrow, wide))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h
    return center_box(height, width, size)


def draw_factor(rng: onp.random.Generator, amount: float) -> float:
    """Draw the factor of RandomBrightness, Contrast, Saturation or Hue for its `amount`.

    Uniform in [max(0, 1 - amount), 1 + amount].
    """
    if amount < 0:
        raise MXNetError(f"an amount of jitter is at least 0, not {amount!r}")
    return float(rng.uniform(max(0.0, 1.0 - amount), 1.0 + amount))


def draw_jitter(
    rng: onp.random.Generator,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
) -> list[tuple[Callable[[Pixels, float], Pixels], float]]:
    """Draw the steps of RandomColorJitter in their random order: functions and their factors.

    Steps whose amount is 0 are left out. Apply it with `for adjust, alpha in steps: img =
    adjust(img, alpha)`. Amounts above 1 never give negative factors (in MXNet's jitter they do).
    """
    amounts = (
        (adjust_brightness, brightness),
        (adjust_contrast, contrast),
        (adjust_saturation, saturation),
        (adjust_hue, hue),
    )
    steps = [(adjust, draw_factor(rng, amount)) for adjust, amount in amounts if amount]
    return [steps[index] for index in rng.permutation(len(steps))]
