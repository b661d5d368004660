"""The codes of reshape: NumPy's -1, and MXNet's 0, -1, -2, -3, -4."""

import math
from collections.abc import Sequence

from regluon.base import ShapeError


def complete_shape(old: Sequence[int], new: Sequence[int]) -> tuple[int, ...]:
    """Fill in a -1, and raise unless the sizes agree.

    >>> complete_shape((2, 6), (3, -1))
    (3, 4)
    """
    size = math.prod(old)
    known = math.prod(length for length in new if length != -1)
    if sum(length == -1 for length in new) == 1 and known > 0 and size % known == 0:
        return tuple(size // known if length == -1 else int(length) for length in new)
    if -1 in new or known != size or any(length < -1 for length in new):
        raise ShapeError(f"cannot reshape {tuple(old)} (size {size}) to {tuple(new)}")
    return tuple(int(length) for length in new)


def infer_reshape(
    old: Sequence[int], codes: Sequence[int], reverse: bool = False
) -> tuple[int, ...]:
    """Apply MXNet's reshape codes to a shape.

    0 copies an axis, -1 is what remains, -2 copies all further axes, -3 merges two axes, -4 splits
    one into the two lengths that follow; `reverse` reads codes and shape from the right.

    >>> infer_reshape((2, 3, 4), (0, -1)), infer_reshape((2, 3, 4), (-3, -2))
    ((2, 12), (6, 4))
    >>> infer_reshape((2, 6, 4), (0, -4, 2, 3, 0)), infer_reshape((10, 5, 4), (-1, 0), reverse=True)
    ((2, 2, 3, 4), (50, 4))
    """
    if reverse:
        flipped = infer_reshape(old[::-1], codes[::-1])
        return flipped[::-1]
    result: list[int] = []
    at = 0
    place = 0
    codes = [int(code) for code in codes]
    while place < len(codes):
        code = codes[place]
        if code == 0:
            result.append(_axis(old, at, codes))
            at += 1
        elif code == -2:
            result.extend(old[at:])
            at = len(old)
        elif code == -3:
            result.append(_axis(old, at, codes) * _axis(old, at + 1, codes))
            at += 2
        elif code == -4:
            result.extend(_split(_axis(old, at, codes), codes[place + 1 : place + 3], codes))
            at += 1
            place += 2
        else:
            result.append(code)
            at += 1
        place += 1
    return complete_shape(old, result)


def _axis(old: Sequence[int], at: int, codes: Sequence[int]) -> int:
    if at >= len(old):
        raise ShapeError(f"reshape{tuple(codes)} asks for axis {at} of shape {tuple(old)}")
    return int(old[at])


def _split(length: int, parts: Sequence[int], codes: Sequence[int]) -> tuple[int, int]:
    if len(parts) < 2:
        raise ShapeError(f"reshape{tuple(codes)}: -4 needs two lengths after it")
    first, second = complete_shape((length,), parts)
    return first, second
