"""Cast, ToTensor, Normalize: from pictures to what networks take."""

from collections.abc import Sequence
from typing import Any

import numpy as onp
from torch import Tensor

from regluon.array.ndarray import NDArray
from regluon.base import MXNetError
from regluon.gluon.data.vision.transforms.transform import Direct, Transform
from regluon.gluon.hybrid import HybridBlock
from regluon.ops import pixels
from regluon.ops.dtype import torch_dtype
from regluon.ops.pixels import Pixels


class Cast(Direct, HybridBlock):
    """An array of any kind and shape in another dtype.

    >>> Cast("float32")(onp.zeros((2, 3, 3), "uint8")).dtype
    dtype('float32')
    """

    def __init__(self, dtype: Any = "float32") -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Any) -> Any:
        """Convert `x`."""
        if isinstance(x, Tensor):
            return x.to(torch_dtype(self.dtype))
        return (x if isinstance(x, NDArray) else onp.asarray(x)).astype(self.dtype)

    def __repr__(self) -> str:
        return f"Cast(dtype={self.dtype!r})"


class ToTensor(Transform):
    """(H, W, C) or (N, H, W, C) in 0..255 to float32 (C, H, W) or (N, C, H, W) in 0..1.

    >>> ToTensor()(onp.full((1, 1, 3), 51, "uint8")).ravel().tolist()
    [0.20000000298023224, 0.20000000298023224, 0.20000000298023224]
    """

    def pixels(self, img: Pixels) -> Pixels:
        """Divide by 255 with the channels first."""
        return pixels.to_tensor(img)


class Normalize(Transform):
    """`(x - mean) / std` of floating point (C, H, W) or (N, C, H, W).

    mean, std: a number, or one for each channel.
    """

    def __init__(
        self, mean: float | Sequence[float] = 0.0, std: float | Sequence[float] = 1.0
    ) -> None:
        super().__init__()
        if not onp.all(onp.asarray(std)):
            raise MXNetError(f"Normalize cannot divide by the std {std!r}")
        self.mean = mean
        self.std = std

    def pixels(self, img: Pixels) -> Pixels:
        """Subtract the mean and divide."""
        return pixels.normalize(img, self.mean, self.std)
