"""Elements chosen by index arrays and conditions: take, pick, one_hot, where, gather, masks.

Indices may be of any dtype; fractions are cut off. One that is out of range is an error, unless
the call asks for `mode="clip"` (the nearest valid one) or `mode="wrap"` (modulo the length).
"""

from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.bounds import check_below, check_signed
from regluon.ops.dtype import torch_dtype
from regluon.ops.infer import broadcast_shape, promoted
from regluon.ops.math import alike
from regluon.ops.registry import Spec, register
from regluon.ops.shape import Shape, one_axis


_MODES = ("raise", "clip", "wrap")


def positions(indices: Tensor, length: int, mode: str) -> Tensor:
    """Return indices as int64, those out of range treated by `mode`."""
    if mode not in _MODES:
        raise MXNetError(f"an index mode is one of {', '.join(_MODES)}, not {mode!r}")
    whole = indices.long()
    if mode == "clip":
        return whole.clamp(0, length - 1)
    return torch.remainder(whole, length) if mode == "wrap" else whole


def _taken_shape(old: Shape, indices: Shape, axis: int | None) -> Shape:
    if axis is None:
        return tuple(indices)
    at = one_axis(axis, len(old))
    return (*old[:at], *indices, *old[at + 1 :])


def _take(data: Tensor, indices: Any, axis: int | None, mode: str) -> Tensor:
    if not isinstance(indices, Tensor):
        indices = torch.tensor(indices, device=data.device)
    source, at = (data.reshape(-1), 0) if axis is None else (data, one_axis(axis, data.dim()))
    chosen = positions(indices, source.shape[at], mode)
    if mode == "raise":
        chosen = torch.where(chosen < 0, chosen + source.shape[at], chosen)
    flat = source.index_select(at, chosen.reshape(-1))
    return flat.reshape(_taken_shape(tuple(data.shape), tuple(indices.shape), axis))


def _axis_length(data: Tensor, axis: int | None) -> int:
    return data.numel() if axis is None else data.shape[one_axis(axis, data.dim())]


def _take_rule(a: Spec, indices: Any, axis: int | None = 0, mode: str = "") -> tuple[Spec, ...]:
    if mode not in ("", "raise", "clip", "wrap"):
        raise MXNetError(f"mode is raise, clip or wrap, not {mode!r}")
    shape = indices.shape if isinstance(indices, Spec) else ()
    return (Spec(_taken_shape(a.shape, shape, axis), a.dtype),)


def _take_check(a: Tensor, indices: Tensor, axis: int = 0, mode: str = "raise") -> None:
    if mode == "raise":
        check_below(indices, _axis_length(a, axis), "index")


@register(_take_rule, nd="take", symbol="take", differentiable="a", check=_take_check)
def take(a: Tensor, indices: Tensor, axis: int = 0, mode: str = "raise") -> Tensor:
    """Return slices of `a` along an axis, one for each index.

    mode: what happens to an index out of range: "raise", "clip" or "wrap".

    >>> nd.take(nd.array([[1, 2], [3, 4], [5, 6]]), nd.array([2, 0])).asnumpy().tolist()
    [[5.0, 6.0], [1.0, 2.0]]
    """
    return _take(a, indices, axis, mode)


def _take_np_rule(
    a: Spec, indices: Any, axis: int | None = None, mode: str = "raise"
) -> tuple[Spec, ...]:
    return _take_rule(a, indices, axis, mode)


def _take_np_check(a: Tensor, indices: Any, axis: int | None = None, mode: str = "raise") -> None:
    if mode == "raise":
        check_signed(torch.as_tensor(indices), _axis_length(a, axis))


@register(_take_np_rule, np="take", symbol="_npi_take", differentiable="a", check=_take_np_check)
def take_np(a: Tensor, indices: Tensor, axis: int | None = None, mode: str = "raise") -> Tensor:
    """Return elements of `a`, flattened or along an axis, one for each index.

    mode: what happens to an index out of range: "raise" (negative ones count from the end), "clip"
    or "wrap".

    >>> np.take(np.array([1, 2, 3]), np.array([0, -1])).asnumpy().tolist()
    [1.0, 3.0]
    """
    return _take(a, indices, axis, mode)


def _picked_shape(data: Shape, index: Shape, axis: int, keepdims: bool) -> Shape:
    at = one_axis(axis, len(data))
    dropped, kept = (*data[:at], *data[at + 1 :]), (*data[:at], 1, *data[at + 1 :])
    if tuple(index) not in (dropped, kept):
        raise ShapeError(
            f"pick along axis {axis} of an array of shape {tuple(data)} needs an index of shape "
            f"{dropped} or {kept}, not {tuple(index)}"
        )
    return kept if keepdims else dropped


def _pick_rule(
    data: Spec, index: Spec, axis: int = -1, keepdims: bool = False, mode: str = "raise"
) -> tuple[Spec, ...]:
    return (Spec(_picked_shape(data.shape, index.shape, axis, keepdims) or (1,), data.dtype),)


def _pick_npx_rule(
    data: Spec, index: Spec, axis: int = -1, keepdims: bool = False, mode: str = "raise"
) -> tuple[Spec, ...]:
    return (Spec(_picked_shape(data.shape, index.shape, axis, keepdims), data.dtype),)


def _pick_check(
    data: Tensor, index: Tensor, axis: int = -1, keepdims: bool = False, mode: str = "raise"
) -> None:
    if mode == "raise":
        check_below(index, _axis_length(data, axis), "index")


@register(_pick_npx_rule, npx="pick", symbol="_npx_pick", differentiable="data", check=_pick_check)
def pick_npx(
    data: Tensor, index: Tensor, axis: int = -1, keepdims: bool = False, mode: str = "raise"
) -> Tensor:
    """Return one element along an axis for each place on the other axes.

    mode: what happens to an index out of range: "raise", "clip" or "wrap".
    """
    shape = _picked_shape(tuple(data.shape), tuple(index.shape), axis, True)
    at = one_axis(axis, data.dim())
    chosen = positions(index, data.shape[at], mode).reshape(shape)
    found = data.gather(at, chosen)
    return found if keepdims else found.squeeze(at)


@register(
    _pick_rule,
    nd="pick choose_element_0index",
    symbol="pick",
    differentiable="data",
    check=_pick_check,
)
def pick(
    data: Tensor, index: Tensor, axis: int = -1, keepdims: bool = False, mode: str = "raise"
) -> Tensor:
    """Return one element along an axis for each place on the other axes.

    mode: what happens to an index out of range: "raise", "clip" or "wrap".

    >>> nd.pick(nd.array([[1, 2, 3], [4, 5, 6]]), nd.array([0, 2])).asnumpy().tolist()
    [1.0, 6.0]
    """
    found = pick_npx(data, index, axis, keepdims, mode)
    return found if found.dim() else found.reshape(1)


def _one_hot_rule(indices: Spec, depth: int, dtype: Any = "float32", **rest: Any) -> Any:
    return (Spec((*indices.shape, int(depth)), torch_dtype(dtype)),)


@register(_one_hot_rule, nd="one_hot", npx="one_hot", symbol="one_hot", differentiable="")
def one_hot(
    indices: Tensor,
    depth: int,
    on_value: float = 1.0,
    off_value: float = 0.0,
    dtype: Any = "float32",
) -> Tensor:
    """Return vectors of length `depth` with `on_value` at the index and `off_value` elsewhere.

    An index out of range gives a vector of `off_value`, so -1 can mean "no class".

    >>> nd.one_hot(nd.array([1, -1]), depth=2).asnumpy().tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    places = torch.arange(int(depth), device=indices.device)
    on = indices.long().unsqueeze(-1) == places
    return torch.where(on, on_value, off_value).to(torch_dtype(dtype))


def _where_rule(condition: Spec, x: Any, y: Any) -> tuple[Spec, ...]:
    if isinstance(x, Spec) and len(condition.shape) == 1 < len(x.shape):
        condition = Spec((*condition.shape, *(1,) * (len(x.shape) - 1)), condition.dtype)
    shape = broadcast_shape(condition, x, y)
    return (Spec(shape, promoted(x, y)),)


@register(_where_rule, nd="where", symbol="where", differentiable="x y")
def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return elements of `x` where the condition is not zero, and of `y` elsewhere.

    A condition with one axis chooses whole rows.

    >>> nd.where(nd.array([1, 0]), nd.ones((2, 2)), nd.zeros((2, 2))).asnumpy().tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    if condition.dim() == 1 < x.dim():
        condition = condition.reshape(-1, *(1,) * (x.dim() - 1))
    return torch.where(condition != 0, *alike(x, y))


def _where_np_rule(condition: Spec, x: Any = None, y: Any = None) -> tuple[Spec, ...]:
    _check_choices(x, y)
    both = not isinstance(x, Spec) and not isinstance(y, Spec)
    dtype = torch.float32 if both else promoted(x, y)
    return (Spec(broadcast_shape(condition, x, y), dtype),)


def _check_choices(x: Any, y: Any) -> None:
    if x is None or y is None:
        raise MXNetError("where needs x and y; np.nonzero(condition) says where a condition holds")


@register(_where_np_rule, np="where", symbol="_npi_where", differentiable="x y")
def where_np(condition: Tensor, x: Tensor | None = None, y: Tensor | None = None) -> Tensor:
    """Return elements of `x` where the condition is not zero, and of `y` elsewhere.

    `x` and `y` may be numbers. For the places where a condition holds, use `np.nonzero`.

    >>> np.where(np.array([1, -2]) > 0, 1.0, 0.0).asnumpy().tolist()
    [1.0, 0.0]
    """
    _check_choices(x, y)
    chosen: Tensor = torch.where(condition != 0, *alike(x, y))
    both = not isinstance(x, Tensor) and not isinstance(y, Tensor)
    return chosen.float() if both else chosen


def _gather_rule(data: Spec, indices: Spec) -> tuple[Spec, ...]:
    used = indices.shape[0]
    if used > len(data.shape):
        raise ShapeError(f"{used} index rows for an array of shape {data.shape}")
    return (Spec((*indices.shape[1:], *data.shape[used:]), data.dtype),)


def _gather_check(data: Tensor, indices: Tensor) -> None:
    for row, length in zip(indices, data.shape, strict=False):
        check_signed(row, length)


@register(
    _gather_rule,
    nd="gather_nd",
    npx="gather_nd",
    symbol="gather_nd",
    differentiable="data",
    check=_gather_check,
)
def gather_nd(data: Tensor, indices: Tensor) -> Tensor:
    """Return the elements, or slices, at the places that the columns of `indices` name.

    >>> nd.gather_nd(nd.array([[1, 2], [3, 4]]), nd.array([[0, 1], [1, 0]])).asnumpy().tolist()
    [2.0, 3.0]
    """
    return data[tuple(indices.long())]


def _scatter_rule(data: Spec, indices: Spec, shape: Shape) -> tuple[Spec, ...]:
    return (Spec(tuple(shape), data.dtype),)


def _scatter_check(data: Tensor, indices: Tensor, shape: Shape) -> None:
    for row, length in zip(indices, shape, strict=False):
        check_signed(row, length)


@register(
    _scatter_rule,
    nd="scatter_nd",
    symbol="scatter_nd",
    differentiable="data",
    check=_scatter_check,
)
def scatter_nd(data: Tensor, indices: Tensor, shape: Shape) -> Tensor:
    """Return zeros of `shape` with `data` written to the places that the columns of `indices` name.

    >>> nd.scatter_nd(nd.array([9]), nd.array([[0], [1]]), shape=(2, 2)).asnumpy().tolist()
    [[0.0, 9.0], [0.0, 0.0]]
    """
    target = torch.zeros(tuple(shape), dtype=data.dtype, device=data.device)
    return target.index_put(tuple(indices.long()), data)


def _mask_rule(data: Spec, index: Spec, axis: int = 0) -> tuple[Spec, ...]:
    raise MXNetError("the shape of a masked array depends on the values of the mask")


@register(
    _mask_rule,
    also={"nd.contrib": "boolean_mask"},
    symbol="_contrib_boolean_mask",
    differentiable="data",
    dynamic=True,
)
def boolean_mask(data: Tensor, index: Tensor, axis: int = 0) -> Tensor:
    """Return the slices along an axis where `index` is not zero; the call waits for its inputs.

    >>> nd.contrib.boolean_mask(nd.array([[1], [2], [3]]), nd.array([1, 0, 1])).shape
    (2, 1)
    """
    at = one_axis(axis, data.dim())
    if index.shape != (data.shape[at],):
        raise ShapeError(
            f"the mask needs shape ({data.shape[at]},) for axis {axis} of an array of shape "
            f"{tuple(data.shape)}, not {tuple(index.shape)}"
        )
    return data.index_select(at, index.nonzero().reshape(-1))


def _nonzero_rule(a: Spec) -> tuple[Spec, ...]:
    raise MXNetError("the shape of the result depends on the values")


@register(
    _nonzero_rule,
    np="nonzero",
    symbol="_npi_nonzero",
    outputs=lambda **attrs: 1,
    differentiable="",
    dynamic=True,
)
def nonzero(a: Tensor) -> tuple[Tensor, ...]:
    """Return the places of elements other than zero: one int64 array per axis.

    The call waits for its input.

    >>> [axis.asnumpy().tolist() for axis in np.nonzero(np.array([[0, 1], [2, 0]]))]
    [[0, 1], [1, 0]]
    """
    return tuple(axis.clone() for axis in a.reshape(a.shape or (1,)).nonzero().unbind(1))


@register(_nonzero_rule, np="flatnonzero", symbol="", differentiable="", dynamic=True)
def flatnonzero(a: Tensor) -> Tensor:
    """Return the places of elements other than zero in the flattened array; the call waits."""
    return a.reshape(-1).nonzero().reshape(-1)


@register(
    _nonzero_rule,
    np="argwhere",
    npx="nonzero",
    symbol="_npx_nonzero",
    differentiable="",
    dynamic=True,
)
def nonzero_npx(a: Tensor) -> Tensor:
    """Return the places of elements other than zero, one row each; the call waits for its input."""
    return a.nonzero()
