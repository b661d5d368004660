"""Compose and RandomApply: transforms made of transforms."""

from collections.abc import Callable, Iterable
from typing import Any

from regluon.base import MXNetError
from regluon.gluon.block import Block
from regluon.gluon.data.vision.transforms.transform import Direct, Transform
from regluon.gluon.nn.container import Sequential
from regluon.image.picture import Wrap, unwrapped
from regluon.random import sample_generator


class Compose(Direct, Sequential):
    """Transforms one after the other: these, blocks of other kinds and plain functions.

    `transforms` is the list of them as given. Between transforms of this file a picture stays a
    NumPy array; every other step gets the kind that the whole was given.

    >>> import numpy
    >>> from regluon.gluon.data.vision import transforms as T
    >>> steps = Compose([T.Resize(6), T.CenterCrop(4), T.ToTensor(), T.Normalize(0.5, 0.25)])
    >>> result = steps(numpy.zeros((9, 7, 3), "uint8"))
    >>> result.shape, result.dtype, result.min().item()
    ((3, 4, 4), dtype('float32'), -2.0)
    """

    def __init__(self, transforms: Iterable[Callable[[Any], Any]]) -> None:
        super().__init__()
        self.transforms: list[Callable[[Any], Any]] = []
        self.add(*transforms)

    def add(self, *blocks: Any) -> None:
        """Put further transforms at the end."""
        for block in blocks:
            if not callable(block):
                raise MXNetError(f"Compose takes transforms and functions, not {block!r}")
            self.transforms.append(block)
            if isinstance(block, Block):
                self.register_child(block, str(len(self.transforms) - 1))

    def forward(self, x: Any) -> Any:
        """Pass one picture of any kind through all transforms."""
        img: Any = None
        back: Wrap | None = None
        for step in self.transforms:
            try:
                if isinstance(step, Transform) and not step.hooked:
                    if back is None:
                        img, back = unwrapped(x)
                    img = step.pixels(img)
                else:
                    if back is not None:
                        x, back = back(img), None
                    x = step(x)
            except Exception as error:
                error.add_note(f"  in {step!r}")
                raise
        return x if back is None else back(img)

    def __getitem__(self, key: int | slice) -> Any:
        part = self.transforms[key]
        return Compose(part) if isinstance(part, list) else part

    def __len__(self) -> int:
        return len(self.transforms)

    def __repr__(self) -> str:
        return "\n".join(["Compose(", *(f"  {step!r}," for step in self.transforms), ")"])


class RandomApply(Direct):
    """A transform, or a list of them, that is applied with chance `p`.

    >>> import numpy
    >>> from regluon.gluon.data.vision import transforms
    >>> RandomApply(transforms.ToTensor(), p=0.0)(numpy.zeros((2, 3, 3), "uint8")).shape
    (2, 3, 3)
    """

    def __init__(self, transforms: Any, p: float = 0.5) -> None:
        super().__init__()
        self.transforms = transforms if callable(transforms) else Compose(transforms)
        self.p = p

    def forward(self, x: Any) -> Any:
        """Transform `x`, or return it as it is."""
        return self.transforms(x) if sample_generator().random() < self.p else x
