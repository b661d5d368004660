"""Index keys: from what the user wrote between brackets to the plain form of `ops/subscript.py`."""

from collections.abc import Sequence
from typing import Any

import numpy as onp
import torch

from regluon.array import dispatch
from regluon.array.handle import Handle
from regluon.base import OutOfRangeError
from regluon.ops.registry import TABLE
from regluon.ops.subscript import Key, Plan, out_of_range, plan


def normalize(key: Any, array: Handle) -> tuple[Key, list[Handle]]:
    """Return the key as hashable data, and the index arrays that it names, on the array's context.

    Numbers, lists and NumPy arrays that point outside of the array are an error here, at the call.
    """
    items = key if isinstance(key, tuple) else (key,)
    parts: list[Any] = []
    indices: list[Handle] = []
    ends: dict[int, tuple[int, int]] = {}  # the least and the largest of indices known here
    for item in items:
        if item is None or item is Ellipsis:
            parts.append(item)
        elif isinstance(item, slice):
            parts.append(("slice", *map(_bound, (item.start, item.stop, item.step))))
        elif isinstance(item, (int, onp.integer)) and not isinstance(item, bool):
            parts.append(int(item))
        else:
            given = isinstance(item, (Handle, torch.Tensor))
            found: Any = item if given else _values(item)
            if not isinstance(found, Handle) and _is_number(found):
                parts.append(int(found))
                continue
            if isinstance(found, onp.ndarray) and found.dtype != bool and found.size:
                ends[len(indices)] = int(found.min()), int(found.max())
            made = _index_array(found, array)
            kind = "mask" if made.spec.dtype == torch.bool else "array"
            parts.append((kind, len(indices)))
            indices.append(made)
    if sum(part is Ellipsis for part in parts) > 1:
        raise OutOfRangeError("an index can have only one ellipsis ('...')")
    if ends:
        _check_ends(planned(array, tuple(parts), indices), array.spec.shape, ends)
    return tuple(parts), indices


def planned(array: Handle, key: Key, indices: Sequence[Handle]) -> Plan:
    """Resolve a key for an array, which raises if it does not fit the array's shape."""
    specs = [index.spec for index in indices]
    masks = [spec.shape if spec.dtype == torch.bool else None for spec in specs]
    return plan(array.spec.shape, key, masks)


def _bound(value: Any) -> int | None:
    return None if value is None else value.__index__()


def _is_number(index: Any) -> bool:
    """Say whether a NumPy array or a tensor is but one integer, which NumPy treats as such."""
    return index.ndim == 0 and str(index.dtype).removeprefix("torch.") != "bool"


def _values(item: Any) -> Any:
    """Return the values of a list or NumPy array of indices, or raise for what is neither."""
    try:
        values = onp.asarray(item)
    except (TypeError, ValueError):
        values = onp.asarray(None)
    if values.size == 0 and values.dtype != bool:
        return values.astype(onp.int64)
    whole = values.dtype.kind == "f" and values.ndim > 0 and bool((values == values // 1).all())
    if values.dtype.kind not in "bui" and not whole:
        raise OutOfRangeError(
            "an index must be an integer, slice, ellipsis, None, or an array of integers or truth "
            f"values, not {item!r}"
        )
    return values


def _index_array(item: Any, array: Handle) -> Any:
    if isinstance(item, Handle):
        if item._ctx is array._ctx:
            return item
        return dispatch.invoke(TABLE["copy_to"], (item,), {}, type(item), ctx=array._ctx)
    if isinstance(item, onp.ndarray):
        plain = item if item.dtype == bool else item.astype(onp.int64)
        item = torch.from_numpy(onp.ascontiguousarray(plain).reshape(item.shape))
    return type(array)(item.detach().to(array._ctx.device, copy=True), array._ctx)


def _check_ends(how: Plan, shape: Sequence[int], ends: dict[int, tuple[int, int]]) -> None:
    for item in how.chosen:
        low, high = ends.get(item.number, (0, -1))
        size = shape[item.axis] if item.axes else 1
        if low < -size or high >= size:
            raise out_of_range(high if high >= size else low, item.axis, size)
