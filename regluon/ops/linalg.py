"""Products of vectors, matrices and higher arrays, and the functions of np.linalg."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import DTypeError, MXNetError, ShapeError
from regluon.ops.calling import by_name, register_meta
from regluon.ops.dtype import dtype_name
from regluon.ops.infer import broadcast_shape, common_shape, meta, promoted, real
from regluon.ops.math import alike
from regluon.ops.reduce import chosen_axes, reduced_shape
from regluon.ops.registry import Spec, register


Axes = int | Sequence[int]
Array = Tensor | Spec


def check_pair(lhs: Array, rhs: Array, left: int, right: int) -> None:
    """Raise unless the arrays have one dtype and the axes to be summed have one size."""
    if lhs.dtype != rhs.dtype:
        raise DTypeError(
            f"both arrays need one dtype, not {dtype_name(lhs.dtype)} and {dtype_name(rhs.dtype)}"
        )
    if lhs.shape[left] != rhs.shape[right]:
        raise ShapeError(
            f"shapes {tuple(lhs.shape)} and {tuple(rhs.shape)}: the axes to be summed have sizes "
            f"{lhs.shape[left]} and {rhs.shape[right]}"
        )


def _summed(lhs: Array, rhs: Array, left: Sequence[int], right: Sequence[int]) -> tuple[int, ...]:
    """Return the axes that are left, those of `lhs` first, when pairs of axes are summed."""
    shapes = [list(lhs.shape), list(rhs.shape)]
    for shape, axes in zip(shapes, (left, right), strict=True):
        for axis in sorted((axis % len(shape) for axis in axes), reverse=True):
            del shape[axis]
    return (*shapes[0], *shapes[1])


def _dot_infer(
    lhs: Array,
    rhs: Array,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    forward_stype: str | None = None,
) -> tuple[Spec, ...]:
    if not (lhs.shape and rhs.shape):
        raise ShapeError("dot needs arrays with at least one axis")
    left, right = (0 if transpose_a else -1), (-1 if transpose_b else 0)
    check_pair(lhs, rhs, left, right)
    return (Spec(_summed(lhs, rhs, (left,), (right,)) or (1,), lhs.dtype),)


@register(_dot_infer, nd="dot", symbol="dot")
def dot_nd(
    lhs: Tensor,
    rhs: Tensor,
    transpose_a: bool = False,
    transpose_b: bool = False,
    forward_stype: str | None = None,
) -> Tensor:
    """Multiply: the last axis of `lhs` (first if `transpose_a`) meets the first of `rhs`.

    With `transpose_b` it meets the last of `rhs`. Two vectors give an array of shape (1,).

    >>> dot_nd(torch.ones(2, 3), torch.ones(3, 4, 5)).shape
    torch.Size([2, 4, 5])
    """
    rank = lhs.dim()
    try:
        if rank == 2 == rhs.dim():
            return torch.mm(lhs.t() if transpose_a else lhs, rhs.t() if transpose_b else rhs)
        if rank == 1 == rhs.dim():
            return torch.dot(lhs, rhs).reshape(1)
        result: Tensor = torch.tensordot(
            lhs, rhs, dims=([0 if transpose_a else -1], [-1 if transpose_b else 0])
        )
    except (RuntimeError, IndexError):
        _dot_infer(lhs, rhs, transpose_a=transpose_a, transpose_b=transpose_b)  # raises
        raise
    return result


def _batch_dot_infer(
    lhs: Array,
    rhs: Array,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    forward_stype: str | None = None,
) -> tuple[Spec, ...]:
    first, second = tuple(lhs.shape), tuple(rhs.shape)
    if len(first) < 3 or len(first) != len(second) or first[:-2] != second[:-2]:
        raise ShapeError(
            f"batch_dot needs equal leading axes, at least one, not shapes {first} and {second}"
        )
    check_pair(lhs, rhs, -2 if transpose_a else -1, -1 if transpose_b else -2)
    rows, columns = first[-1 if transpose_a else -2], second[-2 if transpose_b else -1]
    return (Spec((*first[:-2], rows, columns), lhs.dtype),)


@register(_batch_dot_infer, nd="batch_dot", npx="batch_dot", symbol="batch_dot")
def batch_dot(
    lhs: Tensor,
    rhs: Tensor,
    transpose_a: bool = False,
    transpose_b: bool = False,
    forward_stype: str | None = None,
) -> Tensor:
    """Multiply the matrices in the last two axes; all axes before them must be equal.

    >>> batch_dot(torch.ones(2, 3, 4), torch.ones(2, 5, 4), transpose_b=True).shape
    torch.Size([2, 3, 5])
    """
    _batch_dot_infer(lhs, rhs, transpose_a=transpose_a, transpose_b=transpose_b)
    return torch.matmul(lhs.mT if transpose_a else lhs, rhs.mT if transpose_b else rhs)


def _scaled(a: Any, b: Any) -> bool:
    """Say whether a number, or an array without axes, multiplies every element of the other."""
    return not all(isinstance(each, Array) and each.shape for each in (a, b))


def _dot_np_infer(a: Any, b: Any) -> tuple[Spec, ...]:
    if _scaled(a, b):
        return (Spec(broadcast_shape(a, b), promoted(a, b)),)
    inner = max(len(b.shape) - 2, 0)
    check_pair(a, b, -1, inner)
    return (Spec(_summed(a, b, (-1,), (inner,)), a.dtype),)


@register(_dot_np_infer, np="dot", symbol="_np_dot")
def dot_np(a: Tensor | float, b: Tensor | float) -> Tensor:
    """Multiply as NumPy's dot: the last axis of `a` meets the last but one of `b`.

    A number, or an array without axes, multiplies every element.
    """
    if not (isinstance(a, Tensor) and isinstance(b, Tensor) and a.dim() and b.dim()):
        return torch.mul(*alike(a, b))
    inner = max(b.dim() - 2, 0)
    check_pair(a, b, -1, inner)
    if b.dim() <= 2:
        return torch.matmul(a, b)
    result: Tensor = torch.tensordot(a, b, dims=([-1], [inner]))
    return result


def _matmul_infer(a: Array, b: Array) -> tuple[Spec, ...]:
    if not (a.shape and b.shape):
        raise ShapeError("matmul needs arrays with at least one axis; use multiply for numbers")
    first, second = tuple(a.shape), tuple(b.shape)
    check_pair(a, b, -1, max(len(second) - 2, 0))
    batch = common_shape((first[:-2], second[:-2]))
    return (Spec((*batch, *first[-2:-1], *second[-1:] * (len(second) > 1)), a.dtype),)


@register(_matmul_infer, np="matmul", symbol="_npi_matmul")
def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Multiply matrices in the last two axes, the others broadcast; a vector is a row or column."""
    try:
        return torch.matmul(a, b)
    except RuntimeError:
        _matmul_infer(a, b)  # raises
        raise


def _paired_axes(a: Array, b: Array, axes: int | Sequence[Axes]) -> tuple[list[int], list[int]]:
    """Return the axes of `a` and of `b` to be summed, in pairs that fit."""
    if isinstance(axes, int):
        ranks = len(a.shape), len(b.shape)
        if not 0 <= axes <= min(ranks):
            raise ShapeError(
                f"arrays of {ranks[0]} and {ranks[1]} axes have no {axes} to be summed"
            )
        left, right = list(range(ranks[0] - axes, ranks[0])), list(range(axes))
    else:
        left, right = (list(item) if isinstance(item, Sequence) else [item] for item in axes)
    if len(left) != len(right):
        raise ShapeError(f"the axes {left} and {right} do not form pairs")
    for pair in zip(left, right, strict=True):
        check_pair(a, b, *pair)
    return left, right


def _tensordot_infer(a: Array, b: Array, *, axes: int | Sequence[Axes] = 2) -> tuple[Spec, ...]:
    return (Spec(_summed(a, b, *_paired_axes(a, b, axes)), a.dtype),)


@register(_tensordot_infer, np="tensordot", symbol="_npi_tensordot")
def tensordot(a: Tensor, b: Tensor, axes: int | Sequence[Axes] = 2) -> Tensor:
    """Sum over pairs of axes: the last `axes` of `a` with the first of `b`, or two lists.

    >>> np.tensordot(np.ones((2, 3, 4)), np.ones((4, 5)), axes=(2, 0)).shape
    (2, 3, 5)
    """
    result: Tensor = torch.tensordot(a, b, dims=_paired_axes(a, b, axes))
    return result


@register_meta(np="einsum", symbol="_npi_einsum")
@by_name
def einsum(subscripts: str, *operands: Tensor, optimize: bool | str = False) -> Tensor:
    """Sum products by Einstein's convention, as NumPy's einsum; `optimize` changes nothing.

    The arrays need one dtype. Axes of length 1 are repeated to the length of their letter.

    >>> einsum(torch.ones(2, 3), torch.ones(3), subscripts="ij,j->i").tolist()
    [3.0, 3.0]
    """
    if not isinstance(subscripts, str):
        raise MXNetError("einsum takes its subscripts first, such as 'ij,jk->ik'")
    kinds = dict.fromkeys(str(operand.dtype) for operand in operands)
    if len(kinds) > 1:
        raise DTypeError(f"the arrays need one dtype, not {' and '.join(kinds)}")
    try:
        return torch.einsum(subscripts, *operands).to(operands[0].dtype)
    except RuntimeError as error:
        if "einsum()" not in str(error):
            raise
        raise ShapeError(str(error)) from error


def _inner_infer(a: Any, b: Any) -> tuple[Spec, ...]:
    if _scaled(a, b):
        return (Spec(broadcast_shape(a, b), promoted(a, b)),)
    check_pair(a, b, -1, -1)
    return (Spec(_summed(a, b, (-1,), (-1,)), a.dtype),)


@register(_inner_infer, np="inner")
def inner(a: Tensor | float, b: Tensor | float) -> Tensor:
    """Sum over the last axes of both arrays; a number multiplies every element.

    >>> np.inner(np.array([1, 2, 3]), np.array([0, 1, 0]))
    array(2.)
    """
    if not (isinstance(a, Tensor) and isinstance(b, Tensor) and a.dim() and b.dim()):
        return torch.mul(*alike(a, b))
    check_pair(a, b, -1, -1)
    return torch.inner(a, b)


def _outer_infer(a: Spec, b: Spec) -> tuple[Spec, ...]:
    return (Spec((math.prod(a.shape), math.prod(b.shape)), promoted(a, b)),)


@register(_outer_infer, np="outer")
def outer(a: Tensor, b: Tensor) -> Tensor:
    """Multiply every element of `a` with every one of `b`: a matrix of the flattened arrays.

    >>> np.outer(np.array([1, 2]), np.array([1, 10])).asnumpy().tolist()
    [[1.0, 10.0], [2.0, 20.0]]
    """
    return torch.outer(a.reshape(-1), b.reshape(-1))


@register_meta(np="kron")
def kron(a: Tensor, b: Tensor) -> Tensor:
    """Return the Kronecker product: every element of `a` times all of `b`, side by side.

    >>> np.kron(np.array([1, 10]), np.array([1, 2])).asnumpy().tolist()
    [1.0, 2.0, 10.0, 20.0]
    """
    return torch.kron(a.contiguous(), b.contiguous())


def _vdot_infer(a: Array, b: Array) -> tuple[Spec, ...]:
    left, right = (Spec((math.prod(each.shape),), each.dtype) for each in (a, b))
    check_pair(left, right, 0, 0)
    return (Spec((), a.dtype),)


@register(_vdot_infer, np="vdot")
def vdot(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner product of the flattened arrays.

    >>> np.vdot(np.ones((2, 3)), np.ones((3, 2)))
    array(6.)
    """
    left, right = a.reshape(-1), b.reshape(-1)
    check_pair(left, right, 0, 0)
    result: Tensor = torch.dot(left, right)
    return result


def _norm_infer(
    x: Spec, *, ord: Any = None, axis: Axes | None = None, keepdims: bool = False
) -> tuple[Spec, ...]:
    if ord is not None:
        return _norm_meta(x, ord=ord, axis=axis, keepdims=keepdims)
    shape = reduced_shape(x.shape, chosen_axes(len(x.shape), axis), keepdims)
    return real(Spec(shape, x.dtype))


@register(_norm_infer, also={"np.linalg": "norm"}, symbol="_npi_norm")
def linalg_norm(
    x: Tensor,
    ord: float | str | None = None,
    axis: Axes | None = None,
    keepdims: bool = False,
) -> Tensor:
    """Return a norm as NumPy does: of vectors along one axis, of matrices in two, or of all.

    `ord` is a number, infinity, "fro" or "nuc"; None is the square root of the sum of squares.
    Whole numbers are taken as float32 (MXNet cuts the result off to an integer).
    """
    values = x if x.is_floating_point() else x.float()
    dim = tuple(axis) if isinstance(axis, Sequence) else axis
    result: Tensor
    if ord is None:
        result = torch.linalg.vector_norm(values, 2, dim, keepdims)
    else:
        result = torch.linalg.norm(values, ord, dim, keepdims)
    return result


_norm_meta = meta(linalg_norm)
