"""Arrays from nothing: zeros, ones, full, empty, arange, linspace, eye, and their `_like` forms."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.dtype import torch_dtype
from regluon.ops.kind import check_storage
from regluon.ops.registry import Spec, register


CPU = torch.device("cpu")
Shape = int | Sequence[int]


def full_shape(shape: Shape) -> tuple[int, ...]:
    """Return a shape given as one size or as a sequence of sizes.

    >>> full_shape(3), full_shape([2, 3])
    ((3,), (2, 3))
    """
    sizes = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    try:
        whole = tuple(size.__index__() for size in sizes)
    except AttributeError:
        raise ShapeError(f"a shape has whole numbers, not {shape!r}") from None
    if any(size < 0 for size in whole):
        raise ShapeError(f"a shape cannot have negative sizes: {shape!r}")
    return whole


def _shaped(shape: Shape, dtype: Any = None, **rest: Any) -> tuple[Spec, ...]:
    return (Spec(full_shape(shape), torch_dtype(dtype or "float32")),)


def _filled(shape: Shape, fill_value: Any, dtype: Any = None, **rest: Any) -> tuple[Spec, ...]:
    return _shaped(shape, dtype or (bool if isinstance(fill_value, bool) else None))


@register(_shaped, nd="zeros", symbol="_zeros", differentiable="")
def zeros_nd(
    shape: Shape, device: torch.device = CPU, dtype: Any = None, stype: str | None = None
) -> Tensor:
    """Make an array of zeros; float32 unless `dtype` says otherwise.

    stype: "default" or None: arrays are dense.

    >>> zeros_nd((2, 3)).shape
    torch.Size([2, 3])
    """
    check_storage(stype)
    return torch.zeros(full_shape(shape), dtype=torch_dtype(dtype or "float32"), device=device)


@register(_shaped, np="zeros", symbol="_npi_zeros", differentiable="")
def zeros_np(
    shape: Shape, dtype: Any = None, order: str = "C", device: torch.device = CPU
) -> Tensor:
    """Make an array of zeros, float32 unless `dtype` says otherwise; `order` changes nothing."""
    return zeros_nd(shape, device, dtype)


@register(_shaped, nd="ones", symbol="_ones", differentiable="")
def ones_nd(shape: Shape, device: torch.device = CPU, dtype: Any = None) -> Tensor:
    """Make an array of ones; float32 unless `dtype` says otherwise."""
    return torch.ones(full_shape(shape), dtype=torch_dtype(dtype or "float32"), device=device)


@register(_shaped, np="ones", symbol="_npi_ones", differentiable="")
def ones_np(
    shape: Shape, dtype: Any = None, order: str = "C", device: torch.device = CPU
) -> Tensor:
    """Make an array of ones, float32 unless `dtype` says otherwise; `order` changes nothing."""
    return ones_nd(shape, device, dtype)


@register(_shaped, nd="empty", differentiable="")
def empty_nd(
    shape: Shape, device: torch.device = CPU, dtype: Any = None, stype: str | None = None
) -> Tensor:
    """Make an array whose values are whatever the memory held; float32 by default."""
    check_storage(stype)
    return torch.empty(full_shape(shape), dtype=torch_dtype(dtype or "float32"), device=device)


@register(_shaped, np="empty", differentiable="")
def empty_np(
    shape: Shape, dtype: Any = None, order: str = "C", device: torch.device = CPU
) -> Tensor:
    """Make an array whose values are whatever the memory held; `order` changes nothing."""
    return empty_nd(shape, device, dtype)


def _full_nd_infer(shape: Shape, val: Any, dtype: Any = None, **rest: Any) -> tuple[Spec, ...]:
    return _shaped(shape, dtype)


@register(_full_nd_infer, nd="full", symbol="_full", differentiable="")
def full_nd(shape: Shape, val: float, device: torch.device = CPU, dtype: Any = "float32") -> Tensor:
    """Make an array filled with the number `val`; float32 by default."""
    _check_number(val)
    made = torch_dtype(dtype or "float32")
    return torch.full(full_shape(shape), _fitting(val, made), dtype=made, device=device)


@register(_filled, np="full", symbol="_npi_full", differentiable="")
def full_np(
    shape: Shape,
    fill_value: float,
    dtype: Any = None,
    order: str = "C",
    device: torch.device = CPU,
) -> Tensor:
    """Make an array filled with a number; boolean for True and False, else float32 by default."""
    dtype = dtype or ("bool" if isinstance(fill_value, bool) else "float32")
    return full_nd(shape, fill_value, device, dtype)


def _check_number(value: Any) -> None:
    if not hasattr(value, "__float__") or hasattr(value, "asnumpy"):
        raise MXNetError(
            f"an array can be filled with a number, not {type(value).__name__}; "
            "use broadcast_to for arrays"
        )


def _fitting(value: Any, dtype: torch.dtype) -> float:
    """Cut a number's fraction off for integer types, as MXNet does."""
    number: float = value
    return number if dtype.is_floating_point or dtype == torch.bool else int(number)


def _count(start: float, stop: float | None, step: float) -> tuple[float, int]:
    """Return the first value of a sequence and its length; `arange(stop)` starts at 0."""
    if step == 0:
        raise MXNetError("arange with step 0 would never end")
    first, last = (0, start) if stop is None else (start, stop)
    return first, max(0, math.ceil((last - first) / step))


def _sequence(
    start: float, step: float, count: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return start, start + step, ...: computed with whole numbers if they are, else in float64."""
    whole = isinstance(start, int) and isinstance(step, int)
    steps = torch.arange(count, dtype=torch.int64 if whole else torch.float64, device=device)
    return steps.mul_(step).add_(start).to(dtype)


def _arange_infer(
    start: float,
    stop: float | None = None,
    step: float = 1,
    repeat: int = 1,
    dtype: Any = None,
    **rest: Any,
) -> tuple[Spec, ...]:
    return _shaped(_count(start, stop, step)[1] * repeat, dtype)


@register(_arange_infer, nd="arange", symbol="_arange", differentiable="")
def arange_nd(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool | None = None,
    device: torch.device = CPU,
    dtype: Any = "float32",
) -> Tensor:
    """Make the numbers from `start` below `stop` (or from 0 below `start`), each `repeat` times.

    >>> arange_nd(2, repeat=2).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    first, count = _count(start, stop, step)
    values = _sequence(first, step, count, torch_dtype(dtype or "float32"), device)
    return values if repeat == 1 else values.repeat_interleave(repeat)


@register(_arange_infer, np="arange", symbol="_npi_arange", differentiable="")
def arange_np(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: Any = None,
    device: torch.device = CPU,
) -> Tensor:
    """Make the numbers from `start` below `stop` (or from 0 below `start`); float32 by default."""
    return arange_nd(start, stop, step, device=device, dtype=dtype)


def _linspace_infer(
    start: float, stop: float, num: int = 50, dtype: Any = None, **rest: Any
) -> tuple[Spec, ...]:
    return _shaped(num, dtype)


@register(_linspace_infer, nd="linspace", symbol="_linspace", differentiable="")
def linspace_nd(
    start: float,
    stop: float,
    num: int,
    endpoint: bool = True,
    device: torch.device = CPU,
    dtype: Any = "float32",
) -> Tensor:
    """Make `num` evenly spaced numbers from `start` to `stop`, the last included if `endpoint`.

    >>> linspace_nd(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    gaps = max(num - 1, 1) if endpoint else max(num, 1)
    step = (stop - start) / gaps
    return _sequence(float(start), step, num, torch_dtype(dtype or "float32"), device)


@register(_linspace_infer, np="linspace", symbol="_npi_linspace", differentiable="")
def linspace_np(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    device: torch.device = CPU,
) -> Tensor:
    """Make `num` evenly spaced numbers from `start` to `stop`; `retstep` is refused."""
    if retstep:
        raise MXNetError("linspace returns the array alone; the step is (stop - start) / (num - 1)")
    return linspace_nd(start, stop, num, endpoint, device, dtype)


@register(_linspace_infer, np="logspace", symbol="_npi_logspace", differentiable="")
def logspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10.0,
    dtype: Any = None,
    axis: int = 0,
    device: torch.device = CPU,
) -> Tensor:
    """Make `num` numbers from base**start to base**stop, evenly spaced on a logarithmic scale."""
    powers = linspace_nd(start, stop, num, endpoint, device, "float64")
    return torch.pow(float(base), powers).to(torch_dtype(dtype or "float32"))


def _eye_infer(N: int, M: int | None = None, dtype: Any = None, **rest: Any) -> tuple[Spec, ...]:
    return _shaped((N, M or N), dtype)


@register(_eye_infer, nd="eye", symbol="_eye", differentiable="")
def eye_nd(N: int, M: int = 0, k: int = 0, device: torch.device = CPU, dtype: Any = None) -> Tensor:
    """Make an N x M matrix (N x N by default) with ones on diagonal `k` and zeros elsewhere.

    >>> eye_nd(2, 3, 1).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    matrix = zeros_nd((N, M or N), device, dtype)
    if -N < k < (M or N):
        matrix.diagonal(k).fill_(1)
    return matrix


def _eye_np_infer(N: int, M: int | None = None, dtype: Any = None, **rest: Any) -> tuple[Spec, ...]:
    return _shaped((N, N if M is None else M), dtype)


@register(_eye_np_infer, np="eye", symbol="_npi_eye", differentiable="")
def eye_np(
    N: int,
    M: int | None = None,
    k: int = 0,
    dtype: Any = "float32",
    device: torch.device = CPU,
) -> Tensor:
    """Make an N x M matrix (N x N by default) with ones on diagonal `k` and zeros elsewhere."""
    columns = N if M is None else M
    return eye_nd(N, columns, k, device, dtype)[:, :columns]


@register(
    lambda n, dtype=None, **rest: _shaped((n, n), dtype),
    np="identity",
    symbol="_npi_identity",
    differentiable="",
)
def identity_matrix(n: int, dtype: Any = None, device: torch.device = CPU) -> Tensor:
    """Make an n x n matrix with ones on the main diagonal."""
    return eye_nd(n, 0, 0, device, dtype)


def _indices_infer(dimensions: Shape, dtype: Any = "int32", **rest: Any) -> tuple[Spec, ...]:
    sizes = full_shape(dimensions)
    return _shaped((len(sizes), *sizes), dtype)


@register(_indices_infer, np="indices", symbol="_npi_indices", differentiable="")
def indices(dimensions: Shape, dtype: Any = "int32", device: torch.device = CPU) -> Tensor:
    """Make the index arrays of a grid: `result[i]` holds at each place its index along axis i."""
    axes = [torch.arange(size, device=device) for size in full_shape(dimensions)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).to(torch_dtype(dtype))


def _like(data: Spec, *rest: Any, dtype: Any = None, **attrs: Any) -> tuple[Spec, ...]:
    return (data if dtype is None else Spec(data.shape, torch_dtype(dtype)),)


def _dtype(dtype: Any) -> torch.dtype | None:
    return None if dtype is None else torch_dtype(dtype)


@register(_like, nd="zeros_like", symbol="zeros_like", differentiable="")
def zeros_like_nd(data: Tensor) -> Tensor:
    """Make an array of zeros with the shape and dtype of `data`."""
    return torch.zeros_like(data)


@register(_like, np="zeros_like", symbol="_npi_zeros_like", differentiable="")
def zeros_like_np(a: Tensor, dtype: Any = None, order: str = "C") -> Tensor:
    """Make an array of zeros with the shape of `a`, and its dtype unless `dtype` is given."""
    return torch.zeros_like(a, dtype=_dtype(dtype))


@register(_like, nd="ones_like", symbol="ones_like", differentiable="")
def ones_like_nd(data: Tensor) -> Tensor:
    """Make an array of ones with the shape and dtype of `data`."""
    return torch.ones_like(data)


@register(_like, np="ones_like", symbol="_npi_ones_like", differentiable="")
def ones_like_np(a: Tensor, dtype: Any = None, order: str = "C") -> Tensor:
    """Make an array of ones with the shape of `a`, and its dtype unless `dtype` is given."""
    return torch.ones_like(a, dtype=_dtype(dtype))


@register(_like, np="full_like", symbol="_npi_full_like", differentiable="")
def full_like(a: Tensor, fill_value: float, dtype: Any = None, order: str = "C") -> Tensor:
    """Make an array of one number with the shape of `a`, and its dtype unless `dtype` is given."""
    _check_number(fill_value)
    made = torch_dtype(dtype) if dtype is not None else a.dtype
    return torch.full_like(a, _fitting(fill_value, made), dtype=made)


def _empty_infer(
    prototype: Spec, dtype: Any = None, shape: Shape | None = None, **rest: Any
) -> tuple[Spec, ...]:
    lengths = prototype.shape if shape is None else full_shape(shape)
    return (Spec(lengths, _dtype(dtype) or prototype.dtype),)


@register(_empty_infer, np="empty_like", differentiable="")
def empty_like(
    prototype: Tensor,
    dtype: Any = None,
    order: str = "C",
    subok: bool = False,
    shape: Shape | None = None,
) -> Tensor:
    """Make an array with the shape and dtype of `prototype` and whatever values memory held.

    `dtype` and `shape` replace those of `prototype`; `subok` changes nothing.
    """
    lengths = tuple(prototype.shape) if shape is None else full_shape(shape)
    return prototype.new_empty(lengths, dtype=_dtype(dtype))


def _arange_like_infer(data: Spec, *, axis: int | None = None, **rest: Any) -> tuple[Spec, ...]:
    return (data if axis is None else Spec((data.shape[axis],), data.dtype),)


@register(
    _arange_like_infer,
    npx="arange_like",
    also={"nd.contrib": "arange_like"},
    symbol="_contrib_arange_like",
    differentiable="",
)
def arange_like(
    data: Tensor,
    start: float = 0.0,
    step: float = 1.0,
    repeat: int = 1,
    ctx: Any = None,
    axis: int | None = None,
) -> Tensor:
    """Count from `start` in the shape of `data`, or along its `axis`; `ctx` is that of `data`."""
    count = data.numel() if axis is None else data.shape[axis]
    steps = _sequence(start, step, -(-count // repeat), data.dtype, data.device)
    values = steps if repeat == 1 else steps.repeat_interleave(repeat)[:count]
    return values.reshape(data.shape) if axis is None else values
