"""Arrays taken apart as NumPy names it: array_split, hsplit, vsplit, dsplit; and mirrored."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.infer import checked, meta, same
from regluon.ops.join import split_np
from regluon.ops.math import named
from regluon.ops.registry import Spec, register
from regluon.ops.shape import Sizes


def _count(indices_or_sections: Sizes, **rest: Any) -> int:
    if isinstance(indices_or_sections, Sequence):
        return len(indices_or_sections) + 1
    return indices_or_sections


def _array_split(ary: Tensor, indices_or_sections: Sizes, axis: int = 0) -> list[Tensor]:
    if isinstance(indices_or_sections, Sequence):
        return split_np(ary, indices_or_sections, axis)
    if indices_or_sections < 1:
        raise ShapeError(f"an array cannot be split into {indices_or_sections} parts")
    parts = torch.tensor_split(ary, indices_or_sections, axis)
    return [part.clone() for part in parts]


@register(meta(_array_split), np="array_split", symbol="_npi_split", outputs=_count)
def array_split(ary: Tensor, indices_or_sections: Sizes, axis: int = 0) -> list[Tensor]:
    """Cut an array into a list of parts, or at the places given; the first parts may be longer.

    >>> [part.shape for part in np.array_split(np.ones(5), 3)]
    [(2,), (2,), (1,)]
    """
    return _array_split(ary, indices_or_sections, axis)


def _splitting(name: str, axis: int, rank: int, doc: str) -> None:
    def cut(ary: Tensor, indices_or_sections: Sizes) -> list[Tensor]:
        if ary.dim() < rank:
            raise ShapeError(f"{name} needs {rank} axes or more, not shape {tuple(ary.shape)}")
        return split_np(ary, indices_or_sections, min(axis, ary.dim() - 1))

    cut.__name__ = name
    cut.__doc__ = doc
    register(meta(cut), np=name, symbol=f"_npi_{name}", outputs=_count)(cut)


_splitting(
    "hsplit",
    1,
    1,
    """Cut an array along axis 1, or 0 of vectors, into equal parts or at the places given.

    >>> [part.shape for part in np.hsplit(np.ones((2, 6)), [1, 3])]
    [(2, 1), (2, 2), (2, 3)]
    """,
)
_splitting("vsplit", 0, 2, "Cut an array along axis 0 into equal parts or at the places given.")
_splitting("dsplit", 2, 3, "Cut an array along axis 2 into equal parts or at the places given.")


def _mirrored(name: str, axis: int, doc: str) -> None:
    def check(m: Tensor | Spec) -> None:
        if len(m.shape) <= axis:
            raise ShapeError(f"{name} needs {axis + 1} axes or more, not shape {tuple(m.shape)}")

    def mirror(m: Tensor) -> Tensor:
        check(m)
        return torch.flip(m, (axis,))

    named(mirror, name, doc)
    register(checked(same, check), np=name, symbol="_npi_flip")(mirror)


_mirrored("flipud", 0, "Reverse the order of rows: of the elements along axis 0.")
_mirrored("fliplr", 1, "Reverse the order of columns: of the elements along axis 1.")
