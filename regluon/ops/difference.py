"""Differences of neighbours: diff, along an axis, and ediff1d, of the flattened array."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError
from regluon.ops.calling import by_name
from regluon.ops.infer import promoted
from regluon.ops.registry import Spec, register
from regluon.ops.shape import Shape, one_axis


def _ends(data: Tensor, axis: int, value: Any) -> Tensor | None:
    """Return what stands before or behind the elements; a number is repeated."""
    if value is None:
        return None
    if isinstance(value, Tensor) and value.dim():
        return value
    end = torch.as_tensor(value, dtype=torch.result_type(data, value), device=data.device)
    shape = list(data.shape)
    shape[axis] = 1
    return end.expand(shape)


def _longer(old: Shape, axis: int, ends: Sequence[Any]) -> int:
    """Return the length of an axis with what stands before and behind it."""
    extra = [end for end in ends if end is not None]
    return old[axis] + sum(
        end.shape[axis] if isinstance(end, Spec) and end.shape else 1 for end in extra
    )


def _diff_rule(
    a: Spec, prepend: Any = None, append: Any = None, *, n: int = 1, axis: int = -1
) -> tuple[Spec, ...]:
    if n < 0:
        raise MXNetError(f"diff takes differences n >= 0 times, not {n}")
    at = one_axis(axis, len(a.shape))
    dtype = promoted(*(array for array in (a, prepend, append) if array is not None))
    length = max(_longer(a.shape, at, (prepend, append)) - n, 0)
    return (Spec((*a.shape[:at], length, *a.shape[at + 1 :]), dtype),)


@register(_diff_rule, np="diff", symbol="_npi_diff")
@by_name
def diff(
    a: Tensor,
    n: int = 1,
    axis: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """Return each element minus the one before it along an axis, `n` times over.

    prepend, append: what stands before and behind the elements first; an array or a number.

    >>> np.diff(np.array([1, 2, 4, 7])).asnumpy().tolist()
    [1.0, 2.0, 3.0]
    """
    at = one_axis(axis, a.dim())
    ends = [_ends(a, at, end) for end in (prepend, append)]
    parts = [part for part in (ends[0], a, ends[1]) if part is not None]
    joined = torch.cat(parts, at) if len(parts) > 1 else a.clone()
    return torch.diff(joined, min(n, joined.shape[at]), at)


def _ediff1d_rule(ary: Spec, to_end: Any = None, to_begin: Any = None) -> tuple[Spec, ...]:
    ends = [end for end in (to_end, to_begin) if end is not None]
    added = sum(math.prod(end.shape) if isinstance(end, Spec) else 1 for end in ends)
    return (Spec((max(math.prod(ary.shape) - 1, 0) + added,), ary.dtype),)


@register(_ediff1d_rule, np="ediff1d", symbol="_npi_ediff1d")
def ediff1d(ary: Tensor, to_end: Tensor | None = None, to_begin: Tensor | None = None) -> Tensor:
    """Return each element of the flattened array minus the one before it, between two ends.

    to_end, to_begin: what stands behind and before the differences, in the dtype of `ary`.

    >>> np.ediff1d(np.array([1, 2, 4]), to_begin=0).asnumpy().tolist()
    [0.0, 1.0, 2.0]
    """
    differences = torch.diff(ary.reshape(-1))
    ends = [None if end is None else torch.as_tensor(end).to(ary).reshape(-1)
            for end in (to_begin, to_end)]  # fmt: skip
    parts = [part for part in (ends[0], differences, ends[1]) if part is not None]
    return torch.cat(parts)
