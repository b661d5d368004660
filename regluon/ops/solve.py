"""Determinants, inverses and systems of linear equations, and what follows from them."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.calling import register_meta
from regluon.ops.linalg import check_pair
from regluon.ops.matrix import (
    check_each,
    check_matrices,
    check_real,
    check_square,
    register_linalg,
    whole_as_double,
    with_axis,
)


_SINGULAR = "is singular: it has no inverse"


@register_meta(also={"np.linalg": "det"}, symbol="_npi_det")
def det(a: Tensor) -> Tensor:
    """Return the determinants of the square matrices in the last two axes.

    Gradients are those of matrices that are not singular; for a singular one they are 0.

    >>> np.linalg.det(np.array([[2, 0], [0, 3]]))
    array(6.)
    """
    check_square(a)
    result: Tensor = torch.linalg.det(a)
    return result


@register_linalg("det")
def det_nd(A: Tensor) -> Tensor:
    """Return the determinants of square matrices; of a single one as an array of shape (1,)."""
    return with_axis(det(A))


@register_meta(also={"np.linalg": "slogdet"}, symbol="_npi_slogdet", outputs=2)
def slogdet(a: Tensor) -> tuple[Tensor, Tensor]:
    """Return the signs and the logarithms of the absolute values of determinants.

    A singular matrix has sign 0 and logarithm -inf.
    """
    check_square(a)
    sign, logarithm = torch.linalg.slogdet(a)
    return sign, logarithm


@register_linalg("slogdet", outputs=2)
def slogdet_nd(A: Tensor) -> tuple[Tensor, Tensor]:
    """Return the signs of determinants, and the logarithms of their absolute values."""
    sign, logarithm = slogdet(A)
    return with_axis(sign), with_axis(logarithm)


@register_meta(also={"np.linalg": "inv"}, symbol="_npi_inv")
def inv(a: Tensor) -> Tensor:
    """Return the inverses of the matrices in the last two axes; a singular one is an error.

    >>> np.linalg.inv(np.array([[2, 0], [0, 4]])).asnumpy().tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    check_square(a)
    inverse, failed = torch.linalg.inv_ex(a)
    check_each(failed, _SINGULAR)
    result: Tensor = inverse
    return result


@register_linalg("inverse")
def inverse(A: Tensor) -> Tensor:
    """Return the inverses of the matrices in the last two axes; a singular one is an error."""
    return inv(A)


@register_meta(also={"np.linalg": "pinv"}, symbol="_npi_pinv", differentiable="a")
def pinv(a: Tensor, rcond: Tensor | float = 1e-15, hermitian: bool = False) -> Tensor:
    """Return the pseudo-inverses (Moore and Penrose): shape (..., m, n) becomes (..., n, m).

    Singular values up to `rcond` times the largest are taken as 0; `hermitian` says that the
    matrices are symmetric.

    >>> np.linalg.pinv(np.array([[2, 0], [0, 0]])).asnumpy().tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    check_matrices(a)
    result: Tensor = torch.linalg.pinv(a, rtol=rcond, hermitian=hermitian)
    return result


@register_meta(also={"np.linalg": "solve"}, symbol="_npi_solve")
def solve(a: Tensor, b: Tensor) -> Tensor:
    """Return x with a @ x = b, for square `a`, and `b` a vector or matrices of columns.

    >>> np.linalg.solve(np.array([[2, 0], [0, 4]]), np.array([2, 2])).asnumpy().tolist()
    [1.0, 0.5]
    """
    check_square(a)
    check_real(a, b)
    vector = b.dim() == 1 or (b.dim() == a.dim() - 1 and b.shape == a.shape[:-1])
    if b.dim() == 0 or a.shape[-1] != b.shape[-1 if vector else -2]:
        raise ShapeError(f"shapes {tuple(a.shape)} and {tuple(b.shape)} do not fit as a @ x = b")
    solution, failed = torch.linalg.solve_ex(a, b)
    check_each(failed, _SINGULAR)
    result: Tensor = solution
    return result


@register_meta(also={"np.linalg": "tensorsolve"}, symbol="_npi_tensorsolve")
def tensorsolve(a: Tensor, b: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Return x with tensordot(a, x, x.ndim) = b; `axes` of `a` are first moved to its end."""
    check_real(a, b)
    if axes is not None:
        a = a.movedim(tuple(axes), tuple(range(a.dim() - len(axes), a.dim())))
    unknown = tuple(a.shape[b.dim() :])
    if math.prod(unknown) != b.numel() or a.numel() != b.numel() ** 2:
        raise ShapeError(f"shapes {tuple(a.shape)} and {tuple(b.shape)} make no square system")
    return solve(a.reshape(b.numel(), b.numel()), b.reshape(-1)).reshape(unknown)


@register_meta(also={"np.linalg": "tensorinv"}, symbol="_npi_tensorinv")
def tensorinv(a: Tensor, ind: int = 2) -> Tensor:
    """Return the inverse of tensordot with `a` over its last axes; `ind` counts the first ones.

    >>> np.linalg.tensorinv(np.eye(6).reshape(2, 3, 6)).shape
    (6, 2, 3)
    """
    check_real(a)
    if ind <= 0:
        raise ShapeError(f"ind counts the first axes, at least one, and is {ind}")
    first, last = tuple(a.shape[:ind]), tuple(a.shape[ind:])
    if math.prod(first) != math.prod(last):
        raise ShapeError(f"the axes {first} and {last} have different numbers of elements")
    return inv(a.reshape(math.prod(first), -1)).reshape(last + first)


def _cutoff(values: Tensor, shape: Sequence[int], rcond: float | str | None) -> Tensor:
    """Return the largest singular value that counts as 0, as NumPy does."""
    digits = torch.finfo(values.dtype).eps
    if rcond is None:
        rcond = digits * max(shape[-2:])
    share = digits if isinstance(rcond, str) or rcond < 0 else rcond
    return values.amax(-1, keepdim=True) * share


@register_meta(also={"np.linalg": "lstsq"}, outputs=4, dynamic=True)
def lstsq(
    a: Tensor, b: Tensor, rcond: float | str | None = "warn"
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the x of least |a @ x - b|, its sums of squares, and `a`'s rank and singular values.

    Shapes (m, n), (m,) or (m, k), and the singular values fall. The sums are empty unless `a` has
    full rank and more rows than columns. Singular values up to `rcond` times the largest count as
    0; None is the precision of the dtype times max(m, n), "warn" and -1 the precision alone.

    >>> x, sums, rank, s = np.linalg.lstsq(np.array([[1], [1]]), np.array([1, 3]), rcond=None)
    >>> round(float(x[0]), 4), round(float(sums[0]), 4), int(rank)
    (2.0, 2.0, 1)
    """
    left, right = whole_as_double(a), whole_as_double(b)
    check_matrices(left)
    check_real(left, right)
    if left.dim() > 2 or right.dim() not in (1, 2) or len(left) != len(right):
        raise ShapeError(f"lstsq takes shapes (m, n) and (m,) or (m, k), not {a.shape}, {b.shape}")
    values = torch.linalg.svdvals(left)
    limit = _cutoff(values.detach(), left.shape, rcond) if values.numel() else values.new_zeros(1)
    rank = (values > limit).sum(dtype=torch.int32)
    x = torch.linalg.pinv(left, atol=limit[0], rtol=0.0) @ right
    full = int(rank) == left.shape[1] < left.shape[0]
    sums = (right - left @ x).square().sum(0).reshape(-1)
    return x, sums if full else sums[:0], rank, values


@register_meta(also={"np.linalg": "matrix_rank"}, differentiable="")
def matrix_rank(A: Tensor, tol: float | None = None, hermitian: bool = False) -> Tensor:
    """Return the numbers of singular values above `tol`, as int64.

    By default `tol` is the largest one times the precision of the dtype times max(m, n). A vector
    has rank 1 unless it is zero.

    >>> np.linalg.matrix_rank(np.array([[1, 2], [2, 4]]))
    array(1, dtype=int64)
    """
    values = whole_as_double(A)
    check_real(values)
    if values.dim() < 2:
        return (values != 0).any().long()
    if tol is None:
        result: Tensor = torch.linalg.matrix_rank(values, hermitian=hermitian)
    else:
        result = torch.linalg.matrix_rank(values, atol=tol, rtol=0.0, hermitian=hermitian)
    return result


@register_meta(also={"np.linalg": "cond"})
def cond(x: Tensor, p: float | str | None = None) -> Tensor:
    """Return condition numbers: the norm of a matrix times that of its inverse, infinite if none.

    `p` is None (or 2), -2, 1, -1, infinity, -infinity, "fro" or "nuc", as in `norm`.

    >>> np.linalg.cond(np.array([[4, 0], [0, 1]]))
    array(4.)
    """
    values = whole_as_double(x)
    check_matrices(values)
    if p in (None, 2, -2):
        spread = torch.linalg.svdvals(values)
        largest, smallest = spread[..., 0], spread[..., -1]
        ratio: Tensor = smallest / largest if p == -2 else largest / smallest
        return ratio
    check_square(values)
    inverse, failed = torch.linalg.inv_ex(values)  # torch's own cond breaks its gradient
    product = torch.linalg.matrix_norm(values, p) * torch.linalg.matrix_norm(inverse, p)
    return torch.where(failed == 0, product, math.inf)


@register_meta(also={"np.linalg": "matrix_power"})
def matrix_power(a: Tensor, n: int) -> Tensor:
    """Return products of `n` equal square matrices; of inverses if `n` is negative.

    >>> np.linalg.matrix_power(np.array([[1, 1], [0, 1]]), 5).asnumpy().tolist()
    [[1.0, 5.0], [0.0, 1.0]]
    """
    if n < 0:
        return matrix_power(inv(whole_as_double(a)), -n)
    if a.is_floating_point():
        check_square(a)
    result: Tensor = torch.linalg.matrix_power(a, n)
    return result


@register_meta(also={"np.linalg": "multi_dot"})
def multi_dot(*arrays: Tensor) -> Tensor:
    """Multiply matrices in the cheapest order; the first and the last one may be vectors.

    >>> np.linalg.multi_dot([np.ones((2, 3)), np.ones((3, 4)), np.ones(4)]).shape
    (2,)
    """
    if len(arrays) < 2:
        raise MXNetError(f"multi_dot multiplies at least two arrays, not {len(arrays)}")
    for left, right in pairwise(arrays):
        check_pair(left, right, -1, 0)
    result: Tensor = torch.linalg.multi_dot(arrays)
    return result
