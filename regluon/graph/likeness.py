"""Likeness: whether two runs gave the same tensors, and two traces the same program."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.graph.node import Graph, Node, Value


_RATIO = 4.0  # of norms in 16 bits and in float32
_Pair = tuple[Tensor, Tensor]
_TOLERANCE = {torch.float64: 1e-8, torch.float32: 2e-3, torch.float16: 5e-2, torch.bfloat16: 1e-1}


def far(pairs: Sequence[_Pair], exact: bool) -> str:
    """Say how pairs of tensors differ by more than rounding, or by a single bit if `exact`, or "".

    What is small beside all the others, such as a gradient that is zero but for rounding, is
    measured by them.
    """
    sizes = [_size(other) for _, other in pairs]
    whole = max(sizes, default=0.0)
    for place, ((one, other), size) in enumerate(zip(pairs, sizes, strict=True)):
        if one.shape != other.shape or one.dtype != other.dtype:
            return f"result {place} is {one.dtype} {tuple(one.shape)}"
        tolerance = 0.0 if exact else _TOLERANCE.get(one.dtype, 0.0)
        within = one.is_floating_point() or one.is_complex()
        error = _reach(one - other) if within else math.nan
        undefined = False
        if not math.isfinite(error):
            error = _size(one.double() - other.double())
            undefined = not torch.equal(one.isfinite(), other.isfinite())
        if undefined or error > tolerance * max(size, 1e-2 * whole):
            return f"result {place} is off by {error:.3g}, where the largest value is {size:.3g}"
    return ""


def strayed(results: Sequence[_Pair], gradients: Sequence[_Pair]) -> str:
    """Say what a program in 16 bits computes that is far from float32, or "".

    No result may be off by more than half its norm, in training by its norm. Of gradients norms
    alone are compared, because rectifiers and normalization by few samples let rounding grow to
    the size of the gradients themselves. What is small beside the others of its kind, and whole
    numbers, such as places of maxima, may differ.
    """
    for kind, pairs in (("result", results), ("gradient", gradients)):
        norms = [_norms(*pair) for pair in pairs]
        least = 1e-2 * max((size for _, size, _ in norms), default=0.0)
        for place, (found, size, off) in enumerate(norms):
            near = size / _RATIO <= found <= size * _RATIO
            if kind == "result":
                near = off <= (size if gradients else size / 2)
            if not math.isfinite(found) or not (near or size <= least):
                norms_are = f"its norm is {found:.3g}, in float32 {size:.3g}"
                return f"{kind} {place} is off by {off:.3g} in 16 bits: {norms_are}"
    return ""


def _norms(one: Tensor, other: Tensor) -> tuple[float, float, float]:
    """Return the norms of two tensors and of their difference, where the second is finite."""
    if other.is_complex():
        one, other = (
            torch.view_as_real(one.resolve_conj()),
            torch.view_as_real(other.resolve_conj()),
        )
    if not other.is_floating_point():
        return 0.0, 0.0, 0.0
    one, other = (t.detach().double().where(other.isfinite(), 0) for t in (one, other))
    return float(one.norm()), float(other.norm()), float((one - other).norm())


def _size(tensor: Tensor) -> float:
    """Return the largest finite absolute value."""
    size = _reach(tensor)
    if math.isfinite(size):
        return size
    values = tensor.double().abs()
    return float(values[values.isfinite()].max()) if values.isfinite().any() else 0.0


def _reach(tensor: Tensor) -> float:
    """Return the largest absolute value, infinite or nan if there is such a one."""
    if not tensor.numel():
        return 0.0
    if tensor.is_complex():
        tensor = tensor.abs()
    low, high = map(float, torch.aminmax(tensor.detach()))
    return max(-low, high)


def difference(first: Graph, second: Graph) -> Node | str | None:
    """Return the first node of `second` that is not the one of `first`, or what else differs.

    None says that the graphs are alike: the same operators on the same values, constants included.
    """
    if len(first.inputs) != len(second.inputs) or len(first.outputs) != len(second.outputs):
        return "the number of inputs or results"
    table: dict[Value | None, Any] = dict(zip(second.inputs, first.inputs, strict=True))
    table[None] = None
    for node, twin in zip(first.nodes, second.nodes, strict=False):
        for ours, theirs in zip(node.inputs, twin.inputs, strict=False):
            if theirs not in table and _same_constant(first, ours, second, theirs):
                table[theirs] = ours
        same = node.target is twin.target and len(node.outputs) == len(twin.outputs)
        if not (same and _alike((node.args, node.kwargs), (twin.args, twin.kwargs), table)):
            return twin
        table.update(zip(twin.outputs, node.outputs, strict=True))
    if len(first.nodes) != len(second.nodes):
        longer = max(first.nodes, second.nodes, key=len)
        return longer[min(len(first.nodes), len(second.nodes))]
    for one, other in zip(first.outputs, second.outputs, strict=True):
        if other not in table and one and other and _same_constant(first, one, second, other):
            table[other] = one
        if table.get(other, other) is not one:
            return "what is returned"
    return None


def _same_constant(first: Graph, one: Value, second: Graph, other: Value) -> bool:
    ours, theirs = first.constants.get(one), second.constants.get(other)
    if ours is None or theirs is None:
        return False
    return ours is theirs or not far([(ours, theirs)], exact=True)


def _alike(one: Any, other: Any, table: dict[Value | None, Any]) -> bool:
    """Compare arguments, values of the second graph by what they are in the first."""
    if isinstance(other, Value):
        return table.get(other) is one
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and _alike([*one.values()], [*other.values()], table)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_alike, one, other, [table] * len(one)))
    return type(one) is type(other) and bool(one is other or one == other or one != one)
