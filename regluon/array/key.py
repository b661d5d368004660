"""Index keys: from what the user wrote between brackets to the plain form of `ops/slicing.py`."""

from collections.abc import Sequence
from typing import Any

import numpy as onp
import torch

from regluon.array.handle import Handle
from regluon.ops.slicing import Key


def normalize(key: Any, array: Handle) -> tuple[Key, list[Handle]]:
    """Return the key as hashable data, and the index arrays that it names."""
    items = key if isinstance(key, tuple) else (key,)
    parts: list[Any] = []
    indices: list[Handle] = []
    for item in items:
        if item is None or item is Ellipsis:
            parts.append(item)
        elif isinstance(item, slice):
            parts.append(("slice", *map(_bound, (item.start, item.stop, item.step))))
        elif isinstance(item, (bool, onp.bool_)) or not isinstance(item, (int, onp.integer)):
            parts.append(("array", len(indices)))
            indices.append(_index_array(item, array))
        else:
            parts.append(int(item))
    if sum(part is Ellipsis for part in parts) > 1:
        raise IndexError("an index can have only one ellipsis ('...')")
    return tuple(parts), indices


def _bound(value: Any) -> int | None:
    return None if value is None else value.__index__()


def _index_array(item: Any, array: Handle) -> Handle:
    if isinstance(item, Handle):
        return item
    values = onp.asarray(item)
    if values.size == 0:
        values = values.astype(onp.int64)
    if values.dtype.kind not in "bui":
        raise IndexError(
            f"an index must be an integer, slice, ellipsis, None or array of them, not {item!r}"
        )
    return type(array)(torch.tensor(values, device=array._ctx.device), array._ctx)


def contiguous(key: Key, shape: Sequence[int]) -> bool:
    """Say whether the key picks one run of memory: leading integers, one slice, full rest."""
    if any(part is None for part in key) or len(key) > len(shape) + (Ellipsis in key):
        return False
    lengths = list(shape)
    parts = list(key)
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [("slice", None, None, None)] * (len(lengths) - len(parts) + 1)
    ended = False
    for part, length in zip(parts, lengths, strict=False):
        if isinstance(part, int):
            if ended and length != 1:
                return False
            continue
        start, stop, step = slice(*part[1:]).indices(length)
        full = start == 0 and stop == length and step == 1
        if ended and not full:
            return False
        if step != 1:
            return False
        ended = ended or length != 1
    return True
