"""Transform: what all transforms of pictures share, and the checks of their arguments."""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as onp

from regluon.base import MXNetError, ShapeError
from regluon.gluon.block import Block
from regluon.gluon.hybrid import HybridBlock
from regluon.image.picture import unwrapped
from regluon.ops.pixels import Pixels


class Direct(Block):
    """A block whose call is just its `forward`, unless it has hooks.

    Others take what is no array of ours for a mistake, and say so instead of the error's own words.
    """

    @property
    def hooked(self) -> bool:
        """Whether somebody wants to see what goes in or comes out."""
        return bool(self._forward_hooks or self._forward_pre_hooks)

    def __call__(self, *args: Any) -> Any:
        """Compute `forward`."""
        return super().__call__(*args) if self.hooked else self.forward(*args)


class Transform(Direct, HybridBlock):
    """What a picture goes through: subclasses define `pixels`, which takes and gives NumPy arrays.

    An instance has its arguments as attributes of the same names.
    """

    def __init__(self) -> None:
        super().__init__()

    def pixels(self, img: Pixels) -> Pixels:
        """Return the transformed picture; the argument stays as it is."""
        raise NotImplementedError(f"{type(self).__name__} must define pixels()")

    def forward(self, x: Any) -> Any:
        """Transform one picture of any kind."""
        img, back = unwrapped(x)
        return back(self.pixels(img))

    def __repr__(self) -> str:
        names = [k for k in inspect.signature(type(self).__init__).parameters if k in vars(self)]
        return f"{type(self).__name__}({', '.join(f'{k}={getattr(self, k)!r}' for k in names)})"


def checked_size(size: int | Sequence[int]) -> int | tuple[int, int]:
    """Return a size as one number or (width, height), so that a wrong one is found here already."""
    sides = tuple(size) if isinstance(size, Sequence) else (size,)
    whole = all(isinstance(side, int | onp.integer) and side > 0 for side in sides)
    if len(sides) not in (1, 2) or not whole:
        raise ShapeError(f"a size is (width, height) or one number, at least 1, not {size!r}")
    return (int(sides[0]), int(sides[1])) if len(sides) == 2 else int(sides[0])


def checked_code(interpolation: int) -> int:
    """Return an interpolation code, or raise if there is no such."""
    if interpolation not in (0, 1, 2, 3, 4, 9, 10):
        raise MXNetError(f"interpolation is 0 to 4, 9 or 10, not {interpolation!r}")
    return interpolation


def checked_amount(amount: float, name: str) -> float:
    """Return an amount of jitter, or raise if it is negative."""
    if not amount >= 0:
        raise MXNetError(f"{name} is a number from 0, not {amount!r}")
    return amount
