"""Shape and dtype of results before they are computed: the `infer` field of the operator records.

Every function here takes the array arguments (a Spec, a Python number or None each) and the
attributes of a call, and returns one Spec per output. Element-wise operators have hand-written
rules, which cost a microsecond; `meta` runs any torch function on tensors without storage.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from regluon.base import ShapeError
from regluon.ops.dtype import check_floating
from regluon.ops.registry import Infer, Spec


_LIMIT = 4096
_cache: dict[Any, tuple[Spec, ...]] = {}


def same(first: Any, *rest: Any, **attrs: Any) -> tuple[Spec, ...]:
    """The result looks like the first array."""
    return (first,)


def floating(first: Spec, *rest: Any, **attrs: Any) -> tuple[Spec, ...]:
    """The result looks like the first array, which has floating-point numbers."""
    check_floating("this operator", first.dtype)
    return (first,)


def real(first: Spec, *rest: Any, **attrs: Any) -> tuple[Spec, ...]:
    """The result looks like the first array; integers become float32."""
    if first.dtype.is_floating_point:
        return (first,)
    return (Spec(first.shape, torch.float32),)


def broadcast(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
    """The arrays are broadcast and their dtypes promoted as torch does."""
    return (Spec(broadcast_shape(*arrays), promoted(*arrays)),)


def broadcast_bool(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
    """The arrays are broadcast; the result is boolean."""
    return (Spec(broadcast_shape(*arrays), torch.bool),)


def broadcast_shape(*arrays: Any) -> tuple[int, ...]:
    """Return the common shape of arrays (numbers fit anything), or raise with all the shapes."""
    return common_shape([array.shape for array in arrays if isinstance(array, Spec)])


def common_shape(shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the shape to which all these are broadcast, or raise.

    >>> common_shape([(2, 1), (3,), ()])
    (2, 3)
    """
    different = list(dict.fromkeys(map(tuple, shapes)))
    if len(different) < 2:
        return different[0] if different else ()
    rank = max(map(len, different))
    filled = [(1,) * (rank - len(shape)) + shape for shape in different]
    lengths = [set(axis) - {1} for axis in zip(*filled, strict=True)]
    if any(len(found) > 1 for found in lengths):
        listed = " and ".join(str(tuple(shape)) for shape in shapes)
        raise ShapeError(f"shapes {listed} cannot be broadcast together: {_clash(different)}")
    return tuple(found.pop() if found else 1 for found in lengths)


def _clash(shapes: list[tuple[int, ...]]) -> str:
    """Name the last axis on which shapes do not fit, counted from the end, and its lengths."""
    for axis in range(1, max(map(len, shapes)) + 1):
        lengths = dict.fromkeys(shape[-axis] for shape in shapes if len(shape) >= axis)
        found = [str(length) for length in lengths if length != 1]
        if len(found) > 1:
            return f"axis -{axis} is {' and '.join(found)} long"
    return "lengths must be equal, or 1"


def promoted(*arrays: Any) -> torch.dtype:
    """Return the dtype of an operation between these arrays and numbers, by torch's table.

    Unlike in torch an array without axes counts as any other, as in MXNet and NumPy.
    """
    dtypes = [array.dtype for array in arrays if isinstance(array, Spec)]
    dtype = dtypes[0]
    if dtypes.count(dtype) == (len(dtypes) if dtype.is_floating_point else len(arrays)):
        return dtype
    values = [
        torch.empty((1,), dtype=array.dtype, device="meta") if isinstance(array, Spec) else array
        for array in arrays
    ]
    result = torch.result_type(values[0], values[1])
    for value in values[2:]:
        result = torch.result_type(torch.empty((1,), dtype=result, device="meta"), value)
    return result


def checked(rule: Infer, check: Callable[..., None]) -> Infer:
    """Make a rule that refuses wrong arguments too, so that every engine does so at the call."""

    def infer(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
        check(*arrays, **attrs)
        return rule(*arrays, **attrs)

    return infer


def meta(fn: Callable[..., Any]) -> Infer:
    """Make a rule that runs `fn` on tensors without storage, and remembers the answers by shape."""

    def infer(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
        key = (fn, arrays, tuple(sorted((k, _hashable(v)) for k, v in attrs.items())))
        found = _cache.get(key)
        if found is None:
            found = _run(fn, arrays, attrs)
            if len(_cache) >= _LIMIT:
                _cache.clear()
            _cache[key] = found
        return found

    return infer


def _hashable(value: Any) -> Any:
    return tuple(_hashable(item) for item in value) if isinstance(value, (list, tuple)) else value


def _run(
    fn: Callable[..., Any], arrays: tuple[Any, ...], attrs: dict[str, Any]
) -> tuple[Spec, ...]:
    tensors = [
        torch.empty(array.shape, dtype=array.dtype, device="meta")
        if isinstance(array, Spec)
        else array
        for array in arrays
    ]
    with torch.no_grad():
        result = fn(*tensors, **attrs)
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    return tuple(Spec(tuple(output.shape), output.dtype) for output in outputs)
