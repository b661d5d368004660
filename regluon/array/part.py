"""The short way, past the door: `x[key]`, `x[key] = v`, `x += y`, `f(x)`, an optimizer's step.

Every function here returns None, or False, where the whole way must be gone: for rare keys, for
recorded arrays, for values that are not computed yet, and for errors, which get their text there.
"""

import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from regluon.array.dispatch import CLASSES, state
from regluon.array.faults import located
from regluon.array.handle import Handle, Leaf, Node, View
from regluon.base import user_line
from regluon.engine.selection import selected
from regluon.ops.registry import Op


H = TypeVar("H", bound=Handle)
_UPDATES: dict[str, Callable[[Tensor, Any], Tensor]] = {
    "add": Tensor.add_,
    "subtract": Tensor.sub_,
    "multiply": Tensor.mul_,
    "divide": Tensor.div_,
}
_WHOLE = (torch.int64, torch.int32)
_BASIC = {int, slice, type(None)}


def part(array: H, key: Any) -> H | None:
    """Return `array[key]` for integers, slices, tuples of both and arrays of integers.

    One run of memory is a view that writes through, other parts are copies, made when they must
    be.
    """
    limit = selected.engine.direct
    if limit < 0 or state.capture is not None or (array._node is not None and state.recording):
        return None
    outer = array._view
    if array.writer or array.error or array.mark or (outer and not array.settled()):
        return None
    data = array._data if outer is None else outer.value()
    if data is None:
        return None
    kind = type(key)
    if kind is int:
        return _row(array, data, key)
    run = True
    if kind is tuple:
        if not (key and data.is_contiguous() and _BASIC.issuperset(map(type, key))):
            return None
        run = False
    elif kind is not slice or not _forward(key):
        return _chosen(array, data, key, limit) if isinstance(key, Handle) else None
    try:
        piece = data[key]
    except (IndexError, TypeError, ValueError):
        return None
    if not piece.dim() and _gets_axis(array):
        return None if outer is not None else _element(array, key)
    if run or piece.is_contiguous():
        result = type(array)(None, array._ctx)
        result._view = _again(outer, key) if outer else View(array, lambda t: t[key], data, piece)
        return result
    result = type(array)(piece, array._ctx)
    result.share_with(array)
    return result


def alone(op: Op, array: H) -> H | None:
    """Return what a plain operator makes of one array, everything else as usual, recorded too."""
    engine = selected.engine
    limit = engine.direct
    if limit < 0 or state.capture is not None or state.casts is not None:
        return None
    if array.writer or array.error or array.mark:
        return None
    node = array._node if state.recording else None
    if node is not None and node.spent:
        node = None
    if node is None:
        data = array._data
    elif array._view or not op.smooth or engine.ordered or not torch.is_grad_enabled():
        return None
    else:
        data = array._graph
    if data is None or (work := data.numel()) > limit:
        return None
    try:
        result = op.fn(data)
    except Exception:  # the whole way says what is wrong
        return None
    if node is None:
        return type(array)(result, array._ctx)
    output = type(array)(None, array._ctx)
    output._graph = result
    output._node = Node((node,), ((weakref.ref(array), array.version),), work)
    return output


def pair(op: Op, lhs: H, rhs: H) -> H | None:
    """Return what a plain, smooth operator without attributes makes of two arrays, recorded too."""
    engine = selected.engine
    limit = engine.direct
    if limit < 0 or state.capture is not None or state.casts is not None:
        return None
    home = lhs._ctx
    if lhs.writer or lhs.error or lhs.mark or rhs.writer or rhs.error or rhs.mark:
        return None
    if rhs._ctx is not home:
        return None
    first: Any = None
    second: Any = None
    if state.recording:
        first, second = lhs._node, rhs._node
        if first is not None and first.spent:
            first = None
        if second is not None and second.spent:
            second = None
    recorded = first is not None or second is not None
    if recorded and (lhs._view or rhs._view or engine.ordered or not torch.is_grad_enabled()):
        return None
    one = lhs._data if first is None else lhs._graph
    two = rhs._data if second is None else rhs._graph
    if one is None or two is None or (work := one.numel()) > limit or (size := two.numel()) > limit:
        return None
    try:
        result = op.fn(one, two)
    except Exception:  # the whole way says what is wrong
        return None
    if not recorded:
        return type(lhs)(result, home)
    output = type(lhs)(None, home)
    inputs: Any = ((weakref.ref(lhs), lhs.version), (weakref.ref(rhs), rhs.version))
    output._graph = result
    output._node = Node(
        (first, second) if first and second else (first or second,), inputs, work + size
    )
    return output


def _row(array: H, data: Tensor, key: int) -> H | None:
    """Return one row as a view, which is found when it is used."""
    shape = data.shape
    if not shape or not -shape[0] <= key < shape[0]:
        return None
    outer = array._view
    if len(shape) == 1 and _gets_axis(array):
        return None if outer is not None else _element(array, key)
    result = type(array)(None, array._ctx)
    result._view = _again(outer, key) if outer else View(array, lambda t: t[key])
    return result


def _gets_axis(array: Handle) -> bool:
    """Say whether a single element of the array has an axis."""
    return not (state.np_shape or isinstance(array, CLASSES["np"]))


def _element(array: H, key: Any) -> H:
    """Return a single element with one axis."""
    result = type(array)(None, array._ctx)
    result._view = View(array, lambda t: t[key].view(1))
    return result


def _again(outer: View, key: Any) -> View:
    """Return the view of a part of a view."""
    first = outer.fn
    return View(outer.base, lambda t: first(t)[key])


def _forward(key: slice) -> bool:
    """Say whether a slice goes forward in steps of one, and has an end that the user wrote."""
    return key.step is None and (key.start is not None or key.stop is not None)


def _chosen(array: H, data: Tensor, key: Handle, limit: int) -> H | None:
    """Return the rows that an array of integers chooses; a CPU notices those out of range."""
    index = key.ready(limit)
    if index is None or index.dtype not in _WHOLE or not data.is_cpu:
        return None
    if key._ctx is not array._ctx or data.numel() > limit or index.dim() != 1:
        return None
    try:
        rows = data.index_select(0, index)  # faster than data[index], which takes negative ones
    except (IndexError, RuntimeError):
        return None
    return type(array)(rows, array._ctx) if 0 < rows.numel() <= limit else None


def updated(array: Handle, name: str, other: Any) -> bool:
    """Compute `array += other` where it stands, and say so, if nobody else looks at its storage."""
    limit = selected.engine.direct
    if limit < 0 or state.recording or state.capture is not None or name not in _UPDATES:
        return False
    root = array if array._view is None else array._view.base
    if _watched(array, root):
        return False
    data = array.ready(limit)
    if data is None:
        return False
    if isinstance(other, Handle):
        value = other.ready(limit)
        if value is None or other._ctx is not array._ctx or value.dtype != data.dtype:
            return False
        other = value
    elif (type(other) is not float and type(other) is not int) or not data.is_floating_point():
        return False
    try:
        _UPDATES[name](data, other)
    except RuntimeError:
        return False
    root.version += 1
    return True


def assigned(array: Handle, key: Any, value: Any) -> bool:
    """Write `value` into `array[key]`, and say so, for integers, slices and tuples of both.

    Nobody else may look at the storage, not even a recorded call that read it.
    """
    limit = selected.engine.direct
    if limit < 0 or state.capture is not None:
        return False
    root = array if array._view is None else array._view.base
    if _watched(array, root) or (state.recording and (array._node or root._node)):
        return False
    kind = type(key)
    if kind is tuple:
        if not key or not _BASIC.issuperset(map(type, key)):
            return False
    elif kind is not int and kind is not slice:
        return False
    data = array.ready(sys.maxsize)  # what counts is how much is written
    if data is None or not data.is_cpu:
        return False
    source = _source(array, data, value, limit)
    if source is None:
        return False
    try:
        piece = data[key]
        if piece.numel() > limit:
            return False
        if source is value:
            piece.fill_(source)
        else:
            piece.copy_(source)
    except (IndexError, OverflowError, RuntimeError, TypeError, ValueError):
        return False
    root.version += 1
    return True


def _source(array: Handle, data: Tensor, value: Any, limit: int) -> Any:
    """Return the number, or the tensor of an array that is there and not the same storage."""
    if type(value) is float or type(value) is int:
        return value if data.is_floating_point() else None
    if not isinstance(value, Handle) or value._ctx is not array._ctx:
        return None
    if state.recording and value._node is not None:
        return None
    found = value.ready(limit)
    if found is None or found.dtype is not data.dtype:
        return None
    same = found.untyped_storage().data_ptr() == data.untyped_storage().data_ptr()
    return None if same else found


def _watched(array: Handle, root: Handle) -> bool:
    """Say whether others look at the storage: unfinished readers, copies to be, recorded calls.

    Those are calls that read it, and the one that made it, whose gradient may need its result.
    """
    if root.readers or root._shares is not None or weakref.getweakrefcount(root):
        return True
    node = array._node or root._node
    return node is not None and not node.spent and type(node) is not Leaf


def updated_groups(op: Op, groups: Sequence[Sequence[Any]], attrs: dict[str, Any]) -> bool:
    """Run an operator that updates groups of arrays, and say so, if that is short and possible."""
    engine = selected.engine
    if engine.direct < 0 or state.recording or state.capture is not None:
        return False
    ctx: Any = None
    for group in groups:
        for array in group:
            if not isinstance(array, Handle) or array._data is None:
                return False
            if array.writer or array.error or array.mark or array._view:
                return False
            if array._ctx is not ctx and ctx is not None:
                return False
            ctx = array._ctx
    written = [array for at in map(op.arrays.index, op.mutates) for array in groups[at]]
    for array in written:
        if array.readers or array._shares is not None or engine.held(array):
            return False
    tensors = [[array._data for array in group] for group in groups]
    if not engine.inline and (op.effort is None or op.effort(*tensors) > engine.small << op.reach):
        return False
    site = user_line()
    try:
        op.fn(*tensors, **attrs)
    except Exception as error:
        raise located(error, op, [list(group) for group in groups], attrs, site) from error
    for array in written:
        array.version += 1
        array.site = site
    return True
