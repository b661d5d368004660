"""Products and equations of triangular and symmetric matrices, after BLAS, and their diagonals.

Everything works on the matrices in the last two axes; float32 and float64.
"""

import math

import torch
from torch import Tensor

from regluon.base import DTypeError, ShapeError
from regluon.ops.calling import register_meta
from regluon.ops.matrix import (
    check_each,
    check_matrices,
    check_real,
    check_square,
    register_linalg,
    with_axis,
)


def _as_rows(array: Tensor, axis: int) -> Tensor:
    """Return the matrices with their rows on the last axis but one, wherever `axis` has them."""
    check_matrices(array)
    at = axis % array.dim() if -array.dim() <= axis < array.dim() else -1
    if not 0 <= at < array.dim() - 1:
        raise ShapeError(
            f"the rows are on an axis before the last, not on axis {axis} of {array.dim()}"
        )
    return array.movedim(at, -2)


def _product(
    A: Tensor, B: Tensor, transpose_a: bool, transpose_b: bool, alpha: float, axis: int
) -> Tensor:
    check_real(A, B)
    a, b = _as_rows(A, axis), _as_rows(B, axis)
    left, right = a.mT if transpose_a else a, b.mT if transpose_b else b
    if a.shape[:-2] != b.shape[:-2] or left.shape[-1] != right.shape[-2]:
        raise ShapeError(f"shapes {tuple(A.shape)} and {tuple(B.shape)} do not fit as a product")
    return alpha * torch.matmul(left, right)


@register_linalg("gemm")
def gemm(
    A: Tensor,
    B: Tensor,
    C: Tensor,
    transpose_a: bool = False,
    transpose_b: bool = False,
    alpha: float = 1.0,
    beta: float = 1.0,
    axis: int = -2,
) -> Tensor:
    """Return alpha * A @ B + beta * C, with A or B transposed on request.

    `axis` is the axis of the rows in all arrays; the columns are on the last one.

    >>> nd.linalg.gemm(nd.ones((2, 3)), nd.ones((3, 4)), nd.ones((2, 4)), beta=2).asnumpy()[0, 0]
    np.float32(5.0)
    """
    check_real(A, B, C)
    product = _product(A, B, transpose_a, transpose_b, alpha, axis)
    added = _as_rows(C, axis)
    if product.shape != added.shape:
        raise ShapeError(
            f"C has shape {tuple(C.shape)}, the product of {tuple(A.shape)} and {tuple(B.shape)} "
            "another one"
        )
    return (product + beta * added).movedim(-2, axis)


@register_linalg("gemm2")
def gemm2(
    A: Tensor,
    B: Tensor,
    transpose_a: bool = False,
    transpose_b: bool = False,
    alpha: float = 1.0,
    axis: int = -2,
) -> Tensor:
    """Return alpha * A @ B, with A or B transposed on request, the rows on axis `axis`."""
    return _product(A, B, transpose_a, transpose_b, alpha, axis).movedim(-2, axis)


def _triangle(a: Tensor, lower: bool, transpose: bool) -> Tensor:
    check_square(a)
    part = a.tril() if lower else a.triu()
    return part.mT if transpose else part


def _check_sides(A: Tensor, B: Tensor, rightside: bool) -> None:
    check_matrices(A, B)
    if A.shape[:-2] != B.shape[:-2] or A.shape[-1] != B.shape[-1 if rightside else -2]:
        order = "B @ A" if rightside else "A @ B"
        raise ShapeError(f"A and B of shapes {tuple(A.shape)}, {tuple(B.shape)} do not fit {order}")


@register_linalg("trmm")
def trmm(
    A: Tensor,
    B: Tensor,
    transpose: bool = False,
    rightside: bool = False,
    lower: bool = True,
    alpha: float = 1.0,
) -> Tensor:
    """Return alpha * A @ B, or alpha * B @ A on the right side, for a triangle A.

    Only the lower (or upper) triangle of A is read; `transpose` transposes it.

    >>> nd.linalg.trmm(nd.array([[1, 9], [1, 1]]), nd.array([[1], [2]])).asnumpy().tolist()
    [[1.0], [3.0]]
    """
    _check_sides(A, B, rightside)
    triangle = _triangle(A, lower, transpose)
    return alpha * (torch.matmul(B, triangle) if rightside else torch.matmul(triangle, B))


@register_linalg("trsm")
def trsm(
    A: Tensor,
    B: Tensor,
    transpose: bool = False,
    rightside: bool = False,
    lower: bool = True,
    alpha: float = 1.0,
) -> Tensor:
    """Return X with A @ X = alpha * B, or X @ A = alpha * B on the right side, for a triangle A.

    Only the lower (or upper) triangle of A is read; a zero on its diagonal is an error.

    >>> nd.linalg.trsm(nd.array([[1, 9], [1, 1]]), nd.array([[1], [3]])).asnumpy().tolist()
    [[1.0], [2.0]]
    """
    _check_sides(A, B, rightside)
    triangle = _triangle(A, lower, transpose)
    check_each((A.diagonal(dim1=-2, dim2=-1) == 0).any(-1), "has a zero on its diagonal")
    result: Tensor = torch.linalg.solve_triangular(
        triangle, alpha * B, upper=lower == transpose, left=not rightside
    )
    return result


@register_linalg("syrk")
def syrk(A: Tensor, transpose: bool = False, alpha: float = 1.0) -> Tensor:
    """Return alpha * A @ A.T, or alpha * A.T @ A if `transpose` is true.

    >>> nd.linalg.syrk(nd.array([[1, 2]])).asnumpy().tolist()
    [[5.0]]
    """
    check_matrices(A)
    return alpha * (torch.matmul(A.mT, A) if transpose else torch.matmul(A, A.mT))


@register_linalg("sumlogdiag")
def sumlogdiag(A: Tensor) -> Tensor:
    """Return the sums of the logarithms of diagonals, which must be positive.

    >>> nd.linalg.sumlogdiag(nd.eye(3)).asnumpy().tolist()
    [0.0]
    """
    check_square(A)
    diagonal = A.diagonal(dim1=-2, dim2=-1)
    check_each((diagonal <= 0).any(-1), "has an element on its diagonal that is not positive")
    return with_axis(diagonal.log().sum(-1))


@register_linalg("extractdiag")
def extractdiag(A: Tensor, offset: int = 0) -> Tensor:
    """Return the diagonals of square matrices, `offset` places above the main one.

    >>> nd.linalg.extractdiag(nd.array([[1, 2], [3, 4]]), offset=-1).asnumpy().tolist()
    [3.0]
    """
    check_square(A)
    if abs(offset) >= A.shape[-1]:
        raise ShapeError(f"matrices of shape {tuple(A.shape)} have no diagonal at offset {offset}")
    return A.diagonal(offset, -2, -1).clone()


@register_linalg("makediag")
def makediag(A: Tensor, offset: int = 0) -> Tensor:
    """Return square matrices that are zero but for a diagonal `offset` places above the main one.

    >>> nd.linalg.makediag(nd.array([1, 2])).asnumpy().tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    check_real(A)
    return torch.diag_embed(A, offset)


def _triangle_places(n: int, offset: int, lower: bool, device: torch.device) -> Tensor:
    """Return rows and columns of the elements that extracttrian and maketrian know.

    Row by row in a lower triangle, column by column in an upper one. An offset takes the part
    beyond that diagonal, on its side.
    """
    if offset > 0 or (offset == 0 and not lower):
        return torch.tril_indices(n, n, -offset, device=device).flip(0)
    return torch.tril_indices(n, n, offset, device=device)


@register_linalg("extracttrian")
def extracttrian(A: Tensor, offset: int = 0, lower: bool = True) -> Tensor:
    """Return the elements of triangles one after another, for `maketrian` to unpack.

    The lower triangle row by row, the upper one column by column. An `offset` other than 0 takes
    what lies above (positive) or below (negative) that diagonal, the diagonal included.

    >>> nd.linalg.extracttrian(nd.array([[1, 2], [3, 4]])).asnumpy().tolist()
    [1.0, 3.0, 4.0]
    """
    check_square(A)
    if abs(offset) >= A.shape[-1]:
        raise ShapeError(f"matrices of shape {tuple(A.shape)} have no diagonal at offset {offset}")
    rows, columns = _triangle_places(A.shape[-1], offset, lower, A.device)
    return A[..., rows, columns]


@register_linalg("maketrian")
def maketrian(A: Tensor, offset: int = 0, lower: bool = True) -> Tensor:
    """Return square matrices with a triangle of elements, as `extracttrian` gives them, else zero.

    >>> nd.linalg.maketrian(nd.array([1, 3, 4])).asnumpy().tolist()
    [[1.0, 0.0], [3.0, 4.0]]
    """
    check_real(A)
    size = A.shape[-1]
    side = (math.isqrt(8 * size + 1) - 1) // 2
    if side * (side + 1) // 2 != size or not size:
        raise ShapeError(f"{size} elements make no triangle: 1, 3, 6, 10, ... do")
    n = side + abs(offset)
    rows, columns = _triangle_places(n, offset, lower, A.device)
    places = (rows * n + columns).expand(A.shape)
    flat = A.new_zeros((*A.shape[:-1], n * n)).scatter(-1, places, A)
    return flat.reshape(*A.shape[:-1], n, n)


@register_meta(nd="khatri_rao", symbol="khatri_rao")
def khatri_rao(*args: Tensor) -> Tensor:
    """Return the Kronecker products of corresponding columns of matrices.

    The rows are multiplied in number: shapes (m, k) and (n, k) give (m * n, k).

    >>> nd.khatri_rao(nd.array([[1, 2], [3, 4]]), nd.array([[10, 100]])).asnumpy().tolist()
    [[10.0, 200.0], [30.0, 400.0]]
    """
    result = args[0]
    for factor in args:
        if factor.dim() != 2 or factor.shape[1] != result.shape[1]:
            shapes = " and ".join(str(tuple(array.shape)) for array in args)
            raise ShapeError(f"khatri_rao takes matrices of as many columns, not shapes {shapes}")
        if factor.dtype != result.dtype:
            raise DTypeError(f"khatri_rao needs one dtype, not {result.dtype} and {factor.dtype}")
    for factor in args[1:]:
        result = (result.unsqueeze(1) * factor).reshape(-1, result.shape[1])
    return result.clone() if len(args) == 1 else result
