"""Resizing, cropping and flipping, deterministic and random."""

from collections.abc import Sequence

import numpy as onp

from regluon.base import ShapeError
from regluon.gluon.data.vision.transforms.transform import Transform, checked_code, checked_size
from regluon.image.image import draw_crop
from regluon.ops import pixels
from regluon.ops.draws import draw_resized_crop
from regluon.ops.pixels import Pixels
from regluon.random import sample_generator


class Resize(Transform):
    """A picture or a batch in another size.

    keep_ratio: with one number as size, that is the shorter side and the shape (width : height)
        stays; otherwise both sides become the number.

    >>> Resize(10, keep_ratio=True)(onp.zeros((20, 40, 3), "uint8")).shape
    (10, 20, 3)
    """

    def __init__(
        self, size: int | Sequence[int], keep_ratio: bool = False, interpolation: int = 1
    ) -> None:
        super().__init__()
        self.size = checked_size(size)
        self.keep_ratio = keep_ratio
        self.interpolation = checked_code(interpolation)

    def pixels(self, img: Pixels) -> Pixels:
        """Resize."""
        rng = _rng(self.interpolation)
        return pixels.resize(img, self.size, self.keep_ratio, self.interpolation, rng)


class CenterCrop(Transform):
    """The middle of a picture; from one that is too small the largest such part is enlarged.

    >>> CenterCrop((4, 2))(onp.zeros((9, 9, 3), "uint8")).shape
    (2, 4, 3)
    """

    def __init__(self, size: int | Sequence[int], interpolation: int = 1) -> None:
        super().__init__()
        self.size = checked_size(size)
        self.interpolation = checked_code(interpolation)

    def pixels(self, img: Pixels) -> Pixels:
        """Crop."""
        return pixels.center_crop(img, self.size, self.interpolation, _rng(self.interpolation))


class CropResize(Transform):
    """The box of width `width` and height `height` at (x, y), resized to `size` if that is given.

    Takes batches, too.

    >>> CropResize(x=1, y=0, width=3, height=2)(onp.zeros((9, 9, 3), "uint8")).shape
    (2, 3, 3)
    """

    def __init__(
        self,
        x: int,
        y: int,
        width: int,
        height: int,
        size: int | Sequence[int] | None = None,
        interpolation: int | None = None,
    ) -> None:
        super().__init__()
        self.x = x
        self.y = y
        self.width = width
        self.height = height
        self.size = None if size is None else checked_size(size)
        self.interpolation = 1 if interpolation is None else checked_code(interpolation)

    def pixels(self, img: Pixels) -> Pixels:
        """Crop and resize."""
        part = pixels.crop(img, self.x, self.y, self.width, self.height)
        if self.size is None:
            return part
        rng = _rng(self.interpolation)
        return pixels.resize(part, self.size, interp=self.interpolation, rng=rng)


class RandomResizedCrop(Transform):
    """A random part of a picture, resized to `size`: the usual augmentation for training.

    scale: least and greatest share of the picture's area.
    ratio: least and greatest width / height; its logarithm is drawn evenly.

    After ten parts that do not fit it is the center crop. Szegedy et al., *Going deeper with
    convolutions*, 2014.

    >>> RandomResizedCrop(4)(onp.zeros((9, 7, 3), "uint8")).shape
    (4, 4, 3)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: int = 1,
    ) -> None:
        super().__init__()
        self.size = checked_size(size)
        self.scale = scale
        self.ratio = ratio
        self.interpolation = checked_code(interpolation)
        draw_resized_crop(onp.random.default_rng(0), 1, 1, 1, scale, ratio)  # checks both ranges

    def pixels(self, img: Pixels) -> Pixels:
        """Draw a box, crop and resize."""
        rng = sample_generator()
        height, width = _sides_of(img)
        box = draw_resized_crop(rng, height, width, self.size, self.scale, self.ratio)
        return pixels.resized_crop(img, box, self.size, self.interpolation, rng)


class RandomCrop(Transform):
    """A part of `size` pixels at a random place; a picture that is too small is enlarged.

    pad: pixels to put around the picture before: one number, or NumPy's ((top, bottom),
        (left, right), (0, 0)).
    pad_value: what they are filled with.

    >>> RandomCrop(8, pad=2)(onp.zeros((8, 8, 3), "uint8")).shape
    (8, 8, 3)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        pad: int | Sequence[Sequence[int]] | None = None,
        pad_value: float = 0,
        interpolation: int = 1,
    ) -> None:
        super().__init__()
        self.size = checked_size(size)
        self.pad = pad
        self.pad_value = pad_value
        self.interpolation = checked_code(interpolation)

    def pixels(self, img: Pixels) -> Pixels:
        """Pad, draw a place, crop."""
        if self.pad:
            around = ((self.pad,) * 2,) * 2 + ((0, 0),) if isinstance(self.pad, int) else self.pad
            img = onp.pad(img, around, constant_values=self.pad_value)
        rng = sample_generator()
        box = draw_crop(rng, *_sides_of(img), self.size)
        return pixels.resized_crop(img, box, self.size, self.interpolation, rng)


class RandomFlipLeftRight(Transform):
    """A picture, or with chance 0.5 its mirror image."""

    def pixels(self, img: Pixels) -> Pixels:
        """Draw, and perhaps flip."""
        return pixels.flip_left_right(img) if sample_generator().random() < 0.5 else img


class RandomFlipTopBottom(Transform):
    """A picture, or with chance 0.5 the same upside down."""

    def pixels(self, img: Pixels) -> Pixels:
        """Draw, and perhaps flip."""
        return pixels.flip_top_bottom(img) if sample_generator().random() < 0.5 else img


def _sides_of(img: Pixels) -> tuple[int, int]:
    if img.ndim != 3:
        raise ShapeError(f"a picture is (height, width, channels), not {img.shape}")
    return img.shape[0], img.shape[1]


def _rng(interpolation: int) -> onp.random.Generator | None:
    return sample_generator() if interpolation == 10 else None
