"""Subscripts: what is between the brackets of `x[key]`, resolved by NumPy's rules for one shape.

A key is a tuple of integers, `slice` triples `("slice", start, stop, step)`, `None`, `Ellipsis`,
and `("array", i)` or `("mask", i)`, which stand for the i-th index array of the call: of integers,
or of truth values.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from regluon.base import OutOfRangeError, ShapeError


Key = tuple[Any, ...]
Shape = tuple[int, ...]
_ALL = ("slice", None, None, None)


class Chosen(NamedTuple):
    """One index array of a key: its number, and the axes it chooses from."""

    number: int
    place: int  # the first axis of the part that it chooses from
    axis: int  # the same axis as the user counts
    axes: int  # how many there are: one, or those of the mask
    mask: bool


class Plan(NamedTuple):
    """How torch is to index an array: a view first, the part; then index arrays; then flips."""

    basic: tuple[Any, ...]  # integers, forward slices and new axes, which give the part
    shape: Shape  # of the part
    turned: tuple[int, ...]  # axes of the part that run backwards
    chosen: tuple[Chosen, ...]
    front: bool  # the axes of the index arrays come first in the result
    run: bool  # the part is one run of memory, in order

    def at(self) -> int:
        """Return the axis of the result where the axes of the index arrays begin."""
        return 0 if self.front else self.chosen[0].place

    def result(self, picked: Shape) -> Shape:
        """Return the shape of the result, `picked` being the common shape of the index arrays."""
        if not self.chosen:
            return self.shape
        taken = {item.place + k for item in self.chosen for k in range(item.axes or 1)}
        rest = tuple(size for axis, size in enumerate(self.shape) if axis not in taken)
        return (*rest[: self.at()], *picked, *rest[self.at() :])

    def flips(self, rank: int) -> list[int]:
        """Return the axes of the result that run backwards; the index arrays have `rank` axes."""
        taken = {item.place + k for item in self.chosen for k in range(item.axes or 1)}
        found = []
        for axis in self.turned:
            before = axis - sum(place < axis for place in taken)
            found.append(before + rank if self.chosen and before >= self.at() else before)
        return found


def plan(shape: Sequence[int], key: Key, masks: Sequence[Shape | None] = ()) -> Plan:
    """Resolve a key for an array of this shape; of index arrays that are masks, `masks` has shapes.

    Raises OutOfRangeError where integers, masks or the number of indices do not fit the shape.
    """
    items = _complete(shape, key, masks)
    basic: list[Any] = []
    lengths: list[int] = []
    turned: list[int] = []
    chosen: list[Chosen] = []
    ranges: list[tuple[int, int, int]] = []  # elements taken of an axis, its length, the step
    fancy: list[int] = []  # where the key has index arrays, and integers, which count as such
    axis = 0
    for number, item in enumerate(items):
        if item is None:
            basic.append(None)
            lengths.append(1)
        elif isinstance(item, int):
            size = shape[axis]
            if not -size <= item < size:
                raise out_of_range(item, axis, size)
            basic.append(item)
            ranges.append((1, size, 1))
            fancy.append(number)
            axis += 1
        elif item is Ellipsis:
            continue
        elif item[0] == "slice":
            size = shape[axis]
            part, count, step = _forward(item, size)
            if step < 0:
                turned.append(len(lengths))
            basic.append(part)
            ranges.append((count, size, step))
            lengths.append(count)
            axis += 1
        else:
            mask = masks[item[1]] if item[0] == "mask" else None
            axes = 1 if mask is None else _mask_axes(mask, shape, axis)
            chosen.append(Chosen(item[1], len(lengths), axis, axes, mask is not None))
            basic += [slice(None)] * axes or [None]
            lengths += shape[axis : axis + axes] if axes else [1]
            fancy.append(number)
            axis += axes
    front = bool(chosen) and fancy[-1] - fancy[0] >= len(fancy)
    return Plan(tuple(basic), tuple(lengths), tuple(turned), tuple(chosen), front, _is_run(ranges))


def _complete(shape: Sequence[int], key: Key, masks: Sequence[Shape | None]) -> list[Any]:
    """Put full slices for the ellipsis, or behind the last index, so that every axis has one.

    An ellipsis for no axes stays: between index arrays, it still keeps them apart.
    """
    used = 0
    for item in key:
        if isinstance(item, tuple) and item[0] == "mask":
            used += len(masks[item[1]] or ())
        elif item is not None and item is not Ellipsis:
            used += 1
    if used > len(shape):
        raise OutOfRangeError(f"{used} indices are too many for an array of shape {tuple(shape)}")
    rest = [_ALL] * (len(shape) - used)
    at = next((n for n, item in enumerate(key) if item is Ellipsis), len(key))
    return [*key[:at], *(rest or key[at : at + 1]), *key[at + 1 :]]


def _forward(item: Any, size: int) -> tuple[slice, int, int]:
    """Return a slice that goes forward over the same elements, how many, and the step as given."""
    if item[3] == 0:
        raise ShapeError("the step of a slice cannot be 0")
    start, stop, step = slice(*item[1:]).indices(size)
    count = len(range(start, stop, step))
    if count <= 1:
        return slice(start, start + count) if count else slice(0, 0), count, 1
    if step > 0:
        return slice(start, stop, step), count, step
    last = start + (count - 1) * step
    return slice(last, start + 1, -step), count, step


def _mask_axes(mask: Shape, shape: Sequence[int], axis: int) -> int:
    for k, (wanted, given) in enumerate(zip(shape[axis:], mask, strict=False)):
        if wanted != given:
            raise OutOfRangeError(
                f"a boolean index of length {given} does not fit axis {axis + k} of size {wanted}"
            )
    return len(mask)


def _is_run(ranges: Sequence[tuple[int, int, int]]) -> bool:
    """Say whether ranges of all axes, the outermost first, are neighbours in memory, in order."""
    whole = True
    for count, size, step in reversed(ranges):
        if count > 1 and (step != 1 or not whole):
            return not all(count for count, _, _ in ranges)
        whole = whole and count == size
    return True


def out_of_range(index: Any, axis: int, size: int) -> OutOfRangeError:
    """Return the error for an index that an axis does not have."""
    return OutOfRangeError(f"index {index} is out of range for axis {axis} of size {size}")
