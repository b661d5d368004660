"""Structure: nested arguments and results, taken apart into arrays and what is around them."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as onp
import torch

from regluon.array.handle import Handle
from regluon.context import Context


_DATA = (int, str, bytes, type(None), type, torch.dtype, onp.generic, Context, FunctionType, range)
_DICTIONARIES = (dict, OrderedDict)


class Place:
    """Stands in a structure for an array: its place among them."""

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        self.place = place


def flatten(thing: Any, arrays: list[Handle]) -> Any:
    """Return a structure with places instead of arrays, which are added to the list."""
    if isinstance(thing, Handle):
        arrays.append(thing)
        return Place(len(arrays) - 1)
    return _mapped(thing, lambda item: flatten(item, arrays))


def restored(structure: Any, arrays: Sequence[Handle]) -> Any:
    """Return nested values with arrays instead of places."""
    if isinstance(structure, Place):
        return arrays[structure.place]
    return _mapped(structure, lambda item: restored(item, arrays))


def _mapped(thing: Any, change: Callable[[Any], Any]) -> Any:
    """Return a list, tuple or dictionary with all in it changed, and all else as it is."""
    kind = type(thing)
    if kind is list or kind is tuple:
        return kind(map(change, thing))
    if _named(kind):
        return kind(*map(change, thing))
    if kind in _DICTIONARIES:
        return kind((key, change(item)) for key, item in thing.items())
    return thing


def _named(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def holds(args: Any, structure: Any, arrays: Sequence[Handle]) -> bool:
    """Say whether nested arguments still have this structure and these arrays."""
    now: list[Handle] = []
    same = frozen(flatten(args, now)) == frozen(structure)
    return same and [*map(id, now)] == [*map(id, arrays)]


def frozen(structure: Any) -> Any:
    """Return a structure as a key, in which numbers count by type and value.

    Raises TypeError for what is neither an array nor a plain value, as it may change unseen.
    """
    if isinstance(structure, Place):
        return Place
    kind = type(structure)
    if kind is list or kind is tuple or _named(kind):
        return (kind, *map(frozen, structure))
    if kind in _DICTIONARIES:
        return (kind, *((key, frozen(item)) for key, item in structure.items()))
    if isinstance(structure, (float, complex)):
        return (kind, repr(structure))  # 0.0 is not -0.0, and nan is nan
    if isinstance(structure, slice):
        return (slice, frozen((structure.start, structure.stop, structure.step)))
    if isinstance(structure, _DATA):
        return (kind, structure)
    raise TypeError(f"a {kind.__name__} is neither an array nor a plain value")
