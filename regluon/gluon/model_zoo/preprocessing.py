"""Preprocessing: what a network expects of its pictures, as a record that a file can hold."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as onp
import numpy.typing as npt

from regluon.base import FormatError, MXNetError, nearest
from regluon.ops import pixels


# The names of the methods and OpenCV's codes for them, which MXNet uses too.
INTERPOLATIONS = {"nearest": 0, "bilinear": 1, "bicubic": 2, "area": 3, "lanczos": 4}


@dataclass(frozen=True)
class Preprocessing:
    """How to make a network's input from a picture: resize, crop the middle, scale, normalize.

    size: side of the square input in pixels.
    mean, std: of the red, green and blue channel, on the scale that `scale` gives.
    interpolation: nearest, bilinear, bicubic, area or lanczos.
    crop_pct: side of the crop as a part of the resized picture's shorter side.
    scale: factor on pixels of 0 to 255; the default is that of `transforms.ToTensor`, so that
        `transforms.Normalize(mean, std)` follows it.

    >>> Preprocessing(224).resize_side
    256
    """

    size: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    crop_pct: float = 0.875
    scale: float = 1 / 255

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            hint = nearest(self.interpolation, INTERPOLATIONS) or f"; known: {known}"
            raise MXNetError(f"unknown interpolation {self.interpolation!r}{hint}")
        if self.size < 1 or not 0 < self.crop_pct <= 1 or not self.scale > 0:
            raise MXNetError(
                f"size must be at least 1, crop_pct in (0, 1] and scale above 0, not {self.size}, "
                f"{self.crop_pct} and {self.scale}"
            )
        if len(self.mean) != 3 or len(self.std) != 3 or not all(self.std):
            raise MXNetError(
                "mean and std have one number for each of 3 channels, std none that is 0, not "
                f"{self.mean} and {self.std}"
            )

    @property
    def resize_side(self) -> int:
        """The length in pixels that the shorter side has before the middle is cropped."""
        return max(self.size, round(self.size / self.crop_pct))

    @property
    def interp(self) -> int:
        """The code of the interpolation, as `transforms.Resize` and OpenCV take it."""
        return INTERPOLATIONS[self.interpolation]

    def __call__(self, picture: npt.NDArray[onp.uint8]) -> npt.NDArray[onp.float32]:
        """Turn an RGB picture (height, width, 3) of 0 to 255 into the input (3, size, size).

        >>> Preprocessing(8)(onp.zeros((20, 30, 3), "uint8")).shape
        (3, 8, 8)
        """
        resized = pixels.resize(picture, self.resize_side, keep_ratio=True, interp=self.interp)
        return self.normalized(pixels.center_crop(resized, self.size, interp=self.interp))

    def normalized(self, picture: npt.NDArray[onp.uint8]) -> npt.NDArray[onp.float32]:
        """Scale and normalize a picture that has its size already; (H, W, 3) becomes (3, H, W)."""
        planes = pixels.to_tensor(picture)
        if self.scale != 1 / 255:
            planes *= onp.float32(self.scale * 255)
        return pixels.normalize(planes, self.mean, self.std)

    def to_json(self) -> dict[str, Any]:
        """Return the record as what `json.dumps` takes and `from_json` reads.

        >>> Preprocessing.from_json(Preprocessing(224).to_json()) == Preprocessing(224)
        True
        """
        record = asdict(self)
        return record | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Preprocessing":
        """Return the record that `to_json` gave; raises `FormatError` for anything else."""
        names = [field.name for field in fields(cls)]
        for name in record:
            if name not in names:
                raise FormatError(f"unknown preprocessing entry {name!r}{nearest(name, names)}")
        try:
            values = dict(record)
            for name in ("mean", "std"):
                values[name] = tuple(float(number) for number in record[name])
            return cls(**values)
        except (KeyError, TypeError, ValueError, MXNetError) as error:
            raise FormatError(f"not a preprocessing record ({error}): {dict(record)}") from error
