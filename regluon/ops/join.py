"""Putting arrays together and taking them apart: concat, stack, split, pad."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as onp
import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.math import named
from regluon.ops.registry import Spec, register
from regluon.ops.shape import Shape, Sizes, one_axis, shaped


Join = Callable[[list[Tensor]], Tensor]


def _joined(specs: Sequence[Spec], axis: int) -> tuple[Spec, ...]:
    """Return the result of laying arrays one after another along an axis."""
    first = specs[0].shape
    at = one_axis(axis, len(first))
    for spec in specs[1:]:
        if len(spec.shape) != len(first) or spec.shape[:at] + spec.shape[at + 1 :] != (
            first[:at] + first[at + 1 :]
        ):
            raise ShapeError(f"shapes {first} and {spec.shape} cannot be joined along axis {axis}")
    length = sum(spec.shape[at] for spec in specs)
    return (Spec((*first[:at], length, *first[at + 1 :]), _promoted(specs)),)


def _stacked(specs: Sequence[Spec], axis: int) -> tuple[Spec, ...]:
    """Return the result of laying arrays of one shape along a new axis."""
    first = specs[0].shape
    for spec in specs[1:]:
        if spec.shape != first:
            raise ShapeError(f"arrays of shapes {first} and {spec.shape} cannot be stacked")
    at = one_axis(axis, len(first) + 1)
    return (Spec((*first[:at], len(specs), *first[at:]), _promoted(specs)),)


def _promoted(specs: Sequence[Spec]) -> torch.dtype:
    dtype = specs[0].dtype
    for spec in specs[1:]:
        dtype = torch.promote_types(dtype, spec.dtype)
    return dtype


def _concat_rule(*data: Spec, dim: int = 1) -> tuple[Spec, ...]:
    return _joined(data, dim)


@register(_concat_rule, nd="concat Concat", symbol="Concat")
def concat(*data: Tensor, dim: int = 1) -> Tensor:
    """Join arrays along an existing axis.

    >>> nd.concat(nd.ones((2, 3)), nd.zeros((2, 1)), dim=1).shape
    (2, 4)
    """
    return torch.cat(data, dim)


def _concatenate_rule(seq: Sequence[Spec], axis: int | None = 0) -> tuple[Spec, ...]:
    if axis is not None:
        return _joined(seq, axis)
    return _joined([Spec((int(onp.prod(s.shape)),), s.dtype) for s in seq], 0)


@register(_concatenate_rule, np="concatenate", symbol="_npi_concatenate")
def concatenate(seq: Sequence[Tensor], axis: int | None = 0) -> Tensor:
    """Join a list of arrays along an existing axis, or all flattened if `axis` is None.

    >>> np.concatenate([np.ones((2, 3)), np.zeros((1, 3))]).shape
    (3, 3)
    """
    return (
        torch.cat([a.reshape(-1) for a in seq], 0) if axis is None else torch.cat(list(seq), axis)
    )


def _concatenate_nd_rule(
    arrays: Sequence[Spec], axis: int = 0, always_copy: bool = True
) -> tuple[Spec, ...]:
    return _joined(arrays, axis)


@register(_concatenate_nd_rule, nd="concatenate")
def concatenate_nd(arrays: Sequence[Tensor], axis: int = 0, always_copy: bool = True) -> Tensor:
    """Join a list of arrays along an existing axis; a single one is copied in any case.

    >>> nd.concatenate([nd.ones((2, 3)), nd.zeros((1, 3))]).shape
    (3, 3)
    """
    return torch.cat(list(arrays), axis)


def _stack_rule(*data: Spec, axis: int = 0) -> tuple[Spec, ...]:
    return _stacked(data, axis)


@register(_stack_rule, nd="stack", symbol="stack")
def stack(*data: Tensor, axis: int = 0) -> Tensor:
    """Join arrays of one shape along a new axis.

    >>> nd.stack(nd.ones(3), nd.zeros(3), axis=1).shape
    (3, 2)
    """
    return torch.stack(data, axis)


def _stack_np_rule(arrays: Sequence[Spec], axis: int = 0) -> tuple[Spec, ...]:
    return _stacked(arrays, axis)


@register(_stack_np_rule, np="stack", symbol="_npi_stack")
def stack_np(arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Join a list of arrays of one shape along a new axis.

    >>> np.stack([np.ones(3), np.zeros(3)]).shape
    (2, 3)
    """
    return torch.stack(list(arrays), axis)


def _stacking(
    name: str, fn: Join, lift: Callable[[Shape], Shape], axis: int, doc: str, names: str = ""
) -> None:
    """Record torch's `fn`, which joins along `axis` what `lift` makes of the shapes."""

    def stacking(arrays: Sequence[Tensor]) -> Tensor:
        return fn(list(arrays))

    def rule(arrays: Sequence[Spec]) -> tuple[Spec, ...]:
        lifted = [Spec(lift(array.shape), array.dtype) for array in arrays]
        return _joined(lifted, min(axis, len(lifted[0].shape) - 1))

    named(stacking, name, doc)
    register(rule, np=f"{name} {names}", symbol=f"_npi_{name}")(stacking)


def _solid(shape: Shape) -> Shape:
    """Return a shape with three axes: numbers and vectors lie along the second one."""
    return (1, *(shape or (1,)), 1) if len(shape) < 2 else (*shape, 1) if len(shape) == 2 else shape


_stacking(
    "vstack",
    torch.vstack,
    lambda shape: shape if len(shape) > 1 else (1, *(shape or (1,))),
    0,
    "Join arrays as rows, along the first axis.",
    "row_stack",
)
_stacking(
    "hstack",
    torch.hstack,
    lambda shape: shape or (1,),
    1,
    "Join arrays side by side: along axis 1, or 0 of vectors.",
)
_stacking("dstack", torch.dstack, _solid, 2, "Join arrays along their third axis.")
_stacking(
    "column_stack",
    torch.column_stack,
    lambda shape: shape if len(shape) > 1 else (*(shape or (1,)), 1),
    1,
    "Join vectors, or matrices, as columns.",
)


def _borders(length: int, parts: Sizes) -> list[tuple[int, int]]:
    """Return where parts begin and end: `parts` equal ones, or cut at the given places."""
    if isinstance(parts, Sequence):
        inner = [min(max(cut + length if cut < 0 else cut, 0), length) for cut in parts]
        cuts = [0, *inner, length]
    elif parts < 1 or length % parts:
        raise ShapeError(f"an axis of length {length} cannot be split into {parts} equal parts")
    else:
        cuts = list(range(0, length + 1, length // parts)) if length else [0] * (parts + 1)
    return [(start, max(start, stop)) for start, stop in pairwise(cuts)]


def _split(data: Tensor, parts: Sizes, axis: int, squeeze: bool = False) -> list[Tensor]:
    at = one_axis(axis, data.dim())
    borders = _borders(data.shape[at], parts)
    pieces = [data.narrow(at, start, stop - start).clone() for start, stop in borders]
    return [piece.squeeze(at) for piece in pieces] if squeeze else pieces


def _split_specs(data: Spec, parts: Sizes, axis: int, squeeze: bool = False) -> tuple[Spec, ...]:
    at = one_axis(axis, len(data.shape))
    before, after = data.shape[:at], data.shape[at + 1 :]
    lengths = [stop - start for start, stop in _borders(data.shape[at], parts)]
    return tuple(
        Spec((*before, *(() if squeeze and length == 1 else (length,)), *after), data.dtype)
        for length in lengths
    )


def _split_rule(
    data: Spec, num_outputs: int, axis: int = 1, squeeze_axis: bool = False
) -> tuple[Spec, ...]:
    return _split_specs(data, int(num_outputs), axis, squeeze_axis)


@register(
    _split_rule,
    nd="split SliceChannel",
    symbol="SliceChannel",
    outputs=lambda num_outputs, **rest: int(num_outputs),
)
def split(
    data: Tensor, num_outputs: int, axis: int = 1, squeeze_axis: bool = False
) -> list[Tensor]:
    """Cut an array into a list of equal parts; `squeeze_axis` drops the axis of parts of length 1.

    >>> [part.shape for part in nd.split(nd.ones((2, 6)), num_outputs=3)]
    [(2, 2), (2, 2), (2, 2)]
    """
    return _split(data, int(num_outputs), axis, squeeze_axis)


def _count(indices_or_sections: Sizes, **rest: Any) -> int:
    if isinstance(indices_or_sections, Sequence):
        return len(indices_or_sections) + 1
    return indices_or_sections


def _split_v2_rule(
    ary: Spec, indices_or_sections: Sizes, axis: int = 0, squeeze_axis: bool = False
) -> tuple[Spec, ...]:
    return _split_specs(ary, indices_or_sections, axis, squeeze_axis)


@register(_split_v2_rule, nd="split_v2", symbol="_split_v2", outputs=_count)
def split_v2(
    ary: Tensor, indices_or_sections: Sizes, axis: int = 0, squeeze_axis: bool = False
) -> list[Tensor]:
    """Cut an array into a list of equal parts, or at the places given."""
    return _split(ary, indices_or_sections, axis, squeeze_axis)


@register(_split_v2_rule, np="split", symbol="_npi_split", outputs=_count)
def split_np(ary: Tensor, indices_or_sections: Sizes, axis: int = 0) -> list[Tensor]:
    """Cut an array into a list of equal parts, or at the places given.

    >>> [part.shape for part in np.split(np.ones((2, 6)), [1, 3], axis=1)]
    [(2, 1), (2, 2), (2, 3)]
    """
    return _split(ary, indices_or_sections, axis)


_MODES = ("edge", "reflect", "symmetric")


def _pad(data: Tensor, mode: str, widths: Sequence[tuple[int, int]], value: float) -> Tensor:
    if mode == "constant":
        flat = [width for pair in reversed(widths) for width in pair]
        return torch.nn.functional.pad(data, flat, value=value)
    if mode not in _MODES:
        raise MXNetError(f"pad knows the modes constant, {', '.join(_MODES)}, not {mode!r}")
    for axis, (before, after) in enumerate(widths):
        if before or after:
            places = onp.pad(onp.arange(data.shape[axis]), (before, after), mode=mode)  # type: ignore[call-overload]
            data = data.index_select(axis, torch.as_tensor(places, device=data.device))
    return data


def _flat_widths(rank: int, pad_width: Sequence[int]) -> list[tuple[int, int]]:
    if len(pad_width) != 2 * rank:
        raise ShapeError(
            f"pad_width needs two numbers per axis, which is {2 * rank}, not {len(pad_width)}"
        )
    return list(zip(pad_width[::2], pad_width[1::2], strict=True))


def _grown(old: Shape, widths: Sequence[tuple[int, int]]) -> Shape:
    return tuple(a + before + after for a, (before, after) in zip(old, widths, strict=True))


def _padded(old: Shape, mode: str, pad_width: Sequence[int], constant_value: float = 0.0) -> Shape:
    return _grown(old, _flat_widths(len(old), pad_width))


@register(shaped(_padded), nd="pad Pad", symbol="Pad")
def pad(data: Tensor, mode: str, pad_width: Sequence[int], constant_value: float = 0.0) -> Tensor:
    """Widen an array at its borders.

    mode: "constant", "edge" (the last element), "reflect" (mirrored at it) or "symmetric" (mirrored
    behind it). pad_width: how many before and after the first axis, the second, ...

    >>> nd.pad(nd.ones((1, 1, 2, 2)), mode="edge", pad_width=(0, 0, 0, 0, 1, 1, 2, 2)).shape
    (1, 1, 4, 6)
    """
    return _pad(data, mode, _flat_widths(data.dim(), pad_width), constant_value)


def _np_widths(rank: int, pad_width: Any) -> list[tuple[int, int]]:
    try:
        pairs = onp.broadcast_to(onp.asarray(pad_width), (rank, 2))
    except ValueError:
        raise ShapeError(f"pad_width {pad_width} does not fit {rank} axes") from None
    return [(int(before), int(after)) for before, after in pairs]


def _padded_np(
    old: Shape, pad_width: Any, mode: str = "constant", constant_values: float = 0.0
) -> Shape:
    return _grown(old, _np_widths(len(old), pad_width))


@register(shaped(_padded_np), np="pad", symbol="_npi_pad")
def pad_np(
    x: Tensor, pad_width: Any, mode: str = "constant", constant_values: float = 0.0
) -> Tensor:
    """Widen an array at its borders.

    pad_width: one number, (before, after) for all axes, or such a pair per axis.
    mode: "constant", "edge" (the last element), "reflect" (mirrored at it) or "symmetric" (mirrored
    behind it).

    >>> np.pad(np.ones((2, 3)), ((1, 0), (0, 2))).shape
    (3, 5)
    """
    return _pad(x, mode, _np_widths(x.dim(), pad_width), constant_values)
