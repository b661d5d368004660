"""Products of vectors, matrices and higher arrays, and the functions of np.linalg."""

from collections.abc import Sequence

import torch
from torch import Tensor

from regluon.base import DTypeError, MXNetError, ShapeError
from regluon.ops.calling import by_name, register_meta


Axes = int | Sequence[int]


def check_pair(lhs: Tensor, rhs: Tensor, left: int, right: int) -> None:
    """Raise unless the arrays have one dtype and the axes to be summed have one size."""
    if lhs.dtype != rhs.dtype:
        raise DTypeError(f"both arrays need one dtype, not {lhs.dtype} and {rhs.dtype}")
    if lhs.shape[left] != rhs.shape[right]:
        raise ShapeError(
            f"shapes {tuple(lhs.shape)} and {tuple(rhs.shape)}: the axes to be summed have sizes "
            f"{lhs.shape[left]} and {rhs.shape[right]}"
        )


@register_meta(nd="dot", symbol="dot")
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
    if lhs.dim() == 0 or rhs.dim() == 0:
        raise ShapeError("dot needs arrays with at least one axis")
    left, right = (0 if transpose_a else -1), (-1 if transpose_b else 0)
    check_pair(lhs, rhs, left, right)
    if lhs.dim() == rhs.dim() == 2:
        return torch.mm(lhs.t() if transpose_a else lhs, rhs.t() if transpose_b else rhs)
    if lhs.dim() == rhs.dim() == 1:
        return torch.dot(lhs, rhs).reshape(1)
    result: Tensor = torch.tensordot(lhs, rhs, dims=([left], [right]))
    return result


@register_meta(nd="batch_dot", npx="batch_dot", symbol="batch_dot")
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
    if lhs.dim() < 3 or lhs.dim() != rhs.dim() or lhs.shape[:-2] != rhs.shape[:-2]:
        raise ShapeError(
            f"batch_dot needs equal leading axes, at least one, not shapes {tuple(lhs.shape)} and "
            f"{tuple(rhs.shape)}"
        )
    check_pair(lhs, rhs, -2 if transpose_a else -1, -1 if transpose_b else -2)
    return torch.matmul(lhs.mT if transpose_a else lhs, rhs.mT if transpose_b else rhs)


@register_meta(np="dot", symbol="_np_dot")
def dot_np(a: Tensor | float, b: Tensor | float) -> Tensor:
    """Multiply as NumPy's dot: the last axis of `a` meets the last but one of `b`.

    A number, or an array without axes, multiplies every element.
    """
    if not (isinstance(a, Tensor) and isinstance(b, Tensor) and a.dim() and b.dim()):
        return torch.mul(a, b)
    inner = max(b.dim() - 2, 0)
    check_pair(a, b, -1, inner)
    if b.dim() <= 2:
        return torch.matmul(a, b)
    result: Tensor = torch.tensordot(a, b, dims=([-1], [inner]))
    return result


@register_meta(np="matmul", symbol="_npi_matmul")
def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Multiply matrices in the last two axes, the others broadcast; a vector is a row or column."""
    if a.dim() == 0 or b.dim() == 0:
        raise ShapeError("matmul needs arrays with at least one axis; use multiply for numbers")
    check_pair(a, b, -1, max(b.dim() - 2, 0))
    return torch.matmul(a, b)


def _paired_axes(a: Tensor, b: Tensor, axes: int | Sequence[Axes]) -> tuple[list[int], ...]:
    """Return the axes of `a` and of `b` to be summed, in pairs."""
    if isinstance(axes, int):
        if not 0 <= axes <= min(a.dim(), b.dim()):
            raise ShapeError(f"arrays of {a.dim()} and {b.dim()} axes have no {axes} to be summed")
        return list(range(a.dim() - axes, a.dim())), list(range(axes))
    left, right = (list(item) if isinstance(item, Sequence) else [item] for item in axes)
    if len(left) != len(right):
        raise ShapeError(f"the axes {left} and {right} do not form pairs")
    return left, right


@register_meta(np="tensordot", symbol="_npi_tensordot")
def tensordot(a: Tensor, b: Tensor, axes: int | Sequence[Axes] = 2) -> Tensor:
    """Sum over pairs of axes: the last `axes` of `a` with the first of `b`, or two lists.

    >>> np.tensordot(np.ones((2, 3, 4)), np.ones((4, 5)), axes=(2, 0)).shape
    (2, 3, 5)
    """
    dims = _paired_axes(a, b, axes)
    for left, right in zip(*dims, strict=True):
        check_pair(a, b, left, right)
    result: Tensor = torch.tensordot(a, b, dims=dims)
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


@register_meta(np="inner")
def inner(a: Tensor | float, b: Tensor | float) -> Tensor:
    """Sum over the last axes of both arrays; a number multiplies every element.

    >>> np.inner(np.array([1, 2, 3]), np.array([0, 1, 0]))
    array(2.)
    """
    if not (isinstance(a, Tensor) and isinstance(b, Tensor) and a.dim() and b.dim()):
        return torch.mul(a, b)
    check_pair(a, b, -1, -1)
    return torch.inner(a, b)


@register_meta(np="outer")
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


@register_meta(np="vdot")
def vdot(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner product of the flattened arrays.

    >>> np.vdot(np.ones((2, 3)), np.ones((3, 2)))
    array(6.)
    """
    left, right = a.reshape(-1), b.reshape(-1)
    check_pair(left, right, 0, 0)
    result: Tensor = torch.dot(left, right)
    return result


@register_meta(also={"np.linalg": "norm"}, symbol="_npi_norm")
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
