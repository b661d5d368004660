"""How arrays look: NumPy's layout as text, and a small table in notebooks.

Both honour NumPy's print options and read only the elements that they show.
"""

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as onp
import torch

from regluon.array import dispatch
from regluon.array.handle import Handle
from regluon.ops.dtype import dtype_name


_CELLS = 6  # rows, columns and matrices shown before a notebook's table is cut
_STYLE = "border:1px solid #8884;padding:2px 6px;text-align:right;font-family:monospace"


def text(array: Handle, separator: str = " ", prefix: str = "") -> str:
    """Return the values as NumPy prints them; those of a large array are not all copied."""
    options = onp.get_printoptions()
    edge = options["edgeitems"]
    short = array.spec.shape and _size(array) > options["threshold"]
    values = _corners(array, edge) if short else _values(array)
    if not values.shape:
        return str(values) if not prefix else onp.array2string(values)
    threshold = 0 if short else options["threshold"]
    return str(onp.array2string(values, separator=separator, prefix=prefix, threshold=threshold))


def nd_text(array: Any) -> str:
    """Return what `repr` shows of an `nd` array."""
    shape = "x".join(map(str, array.shape))
    return f"\n{text(array)}\n<{type(array).__name__} {shape} @{array._ctx}>"


def np_text(array: Any) -> str:
    """Return what `repr` shows of an `np` array: float32 on a CPU goes without saying."""
    spec, ctx = array.spec, array._ctx
    notes = [text(array, ", ", "array(")]
    empty = 0 in spec.shape
    if empty and spec.shape != (0,):
        notes.append(f"shape={spec.shape}")
    if spec.dtype != torch.float32 and (spec.dtype != torch.bool or empty):
        notes.append(f"dtype={dtype_name(spec.dtype)}")
    if ctx.device_type != "cpu":
        notes.append(f"ctx={ctx}")
    return f"array({', '.join(notes)})"


def np_string(array: Any) -> str:
    """Return what `str` shows of an `np` array."""
    ctx = array._ctx
    return text(array) if ctx.device_type == "cpu" or not array.shape else f"{text(array)} @{ctx}"


def table(array: Any) -> str:
    """Return an array as HTML: a caption, then the values in a table, cut where it is large.

    An array of more than two axes is a table for each of its first matrices.
    """
    shape, dtype = array.spec
    size = " x ".join(map(str, shape)) or "no axes"
    parts = [_line(f"{type(array).__name__}: {size}, {dtype_name(dtype)}, {array._ctx}")]
    grid = shape[-2:] if len(shape) > 1 else (1, *shape, 1)[:2]
    outer = shape[:-2]
    values = _corners(array, _CELLS // 2)
    values = values if len(shape) > 1 else values.reshape(1, -1)
    places = [_places(length) for length in outer]
    known = [key for key in onp.ndindex(values.shape[:-2]) if values.size]
    known = [key for key in known if None not in _named(key, places)][:_CELLS]
    for key in known:
        if outer:
            parts.append(_line(str(_named(key, places))))
        parts.append(_matrix(values[key], _places(grid[0]), _places(grid[1])))
    if values.size and len(known) < math.prod(outer):
        parts.append("<div>&hellip;</div>")
    return f"<div>{''.join(parts)}</div>"


def formatted(array: Any, spec: str) -> str:
    """Return `format(array, spec)`: that of a number for one element, else of the text."""
    if not spec:
        return str(array)
    if _size(array) == 1:
        return format(array.item(), spec)
    raise TypeError(
        f"an array of shape {array.shape} has no format {spec!r}: format one of its elements"
    )


def _line(words: str) -> str:
    return f"<div><code>{html.escape(words)}</code></div>"


def _matrix(values: Any, rows: list[int | None], columns: list[int | None]) -> str:
    """Return rows of cells; the middle of a cut axis is an ellipsis."""
    lines = []
    for row, line in zip(rows, values, strict=True):
        cells = [
            "&hellip;" if None in (row, column) else html.escape(_number(value))
            for column, value in zip(columns, line, strict=True)
        ]
        lines.append("".join(f'<td style="{_STYLE}">{cell}</td>' for cell in cells))
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table style="border-collapse:collapse">{body}</table>'


def _places(length: int) -> list[int | None]:
    """Return where the corners of an axis are in it: None for the one in the middle of a cut."""
    if length <= _CELLS:
        return list(range(length))
    half = _CELLS // 2
    return [*range(half), None, *range(length - half, length)]


def _named(key: Sequence[int], places: list[list[int | None]]) -> list[int | None]:
    return [axis[index] for axis, index in zip(places, key, strict=True)]


def _number(value: Any) -> str:
    return str(onp.array2string(onp.asarray(value)))


def _size(array: Any) -> int:
    size: int = array.size
    return size


def _values(array: Handle) -> Any:
    """Return the values as a NumPy array, on a CPU without a copy."""
    dispatch.wait(array)
    return _numpy(array.value())


def _corners(array: Handle, edge: int) -> Any:
    """Return the first and last `edge` elements of every axis, one between them where it is cut."""
    dispatch.wait(array)
    part = array.value()
    for axis, length in enumerate(part.shape):
        if length > 2 * edge:
            ends = [part.narrow(axis, 0, edge + 1), part.narrow(axis, length - edge, edge)]
            part = torch.cat(ends, axis)
    return _numpy(part)


def _numpy(tensor: torch.Tensor) -> Any:
    plain = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return plain.cpu().numpy()
