"""Matrices as products: Cholesky, LQ, QR, singular values, eigenvalues.

Vectors that are only known up to their sign get MXNet's: where it says nothing, LAPACK's.
"""

from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.calling import register_meta
from regluon.ops.matrix import (
    check_each,
    check_matrices,
    check_square,
    register_linalg,
    whole_as_double,
)


class _BothTriangles(torch.autograd.Function):
    """The identity, whose gradient is spread evenly over both triangles of symmetric matrices."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        return a.view_as(a)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return (gradient + gradient.mT) / 2


def _both_triangles(a: Tensor) -> Tensor:
    result: Tensor = _BothTriangles.apply(a)  # type: ignore[no-untyped-call]
    return result


def _cholesky(a: Tensor) -> Tensor:
    check_square(a)
    factor, failed = torch.linalg.cholesky_ex(a)
    check_each(failed, "is not positive definite")
    result: Tensor = factor
    return result


@register_meta(also={"np.linalg": "cholesky"}, symbol="_npi_cholesky")
def cholesky(a: Tensor) -> Tensor:
    """Return lower triangles L with L @ L.T = a, for symmetric positive definite matrices.

    Shape (..., n, n) in float32 or float64. Only the lower triangle of `a` is read, and the
    gradient is symmetric. A matrix that is not positive definite is an error that names it.

    >>> np.linalg.cholesky(np.array([[4, 2], [2, 10]])).asnumpy().tolist()
    [[2.0, 0.0], [1.0, 3.0]]
    """
    return _cholesky(a)


@register_linalg("potrf")
def potrf(A: Tensor) -> Tensor:
    """Return the lower Cholesky factors L of symmetric positive definite matrices: A = L @ L.T.

    >>> nd.linalg.potrf(nd.array([[4, 2], [2, 10]])).asnumpy().tolist()
    [[2.0, 0.0], [1.0, 3.0]]
    """
    return _cholesky(A)


@register_linalg("potri")
def potri(A: Tensor) -> Tensor:
    """Return the inverses of L @ L.T, given the lower Cholesky factors L that `potrf` returns.

    Nothing above the diagonal of `A` is read.
    """
    check_square(A)
    check_each((A.diagonal(dim1=-2, dim2=-1) == 0).any(-1), "has a zero on its diagonal")
    return torch.cholesky_inverse(A.tril())


@register_linalg("gelqf", outputs=2)
def gelqf(A: Tensor) -> tuple[Tensor, Tensor]:
    """Return Q, with orthonormal rows, and the lower triangles L with A = L @ Q.

    `A` has shape (..., m, n) with m <= n, and full rank where gradients are asked for.

    >>> Q, L = nd.linalg.gelqf(nd.array([[3, 4]]))
    >>> Q.shape, L.shape
    ((1, 2), (1, 1))
    """
    check_matrices(A)
    if A.shape[-2] > A.shape[-1]:
        raise ShapeError(
            f"gelqf needs at least as many columns as rows, unlike shape {tuple(A.shape)}"
        )
    q, r = torch.linalg.qr(A.mT)
    return q.mT, r.mT


@register_meta(also={"np.linalg": "qr"}, outputs=2)
def qr(a: Tensor, mode: str = "reduced") -> tuple[Tensor, ...] | Tensor:
    """Return Q, with orthonormal columns, and the upper triangles R with a = Q @ R.

    For shape (..., m, n) and k = min(m, n), Q and R have shapes (m, k) and (k, n); (m, m) and
    (m, n) if `mode` is "complete"; with "r" only R is returned. Whole numbers become float64.

    >>> Q, R = np.linalg.qr(np.ones((3, 2)))
    >>> Q.shape, R.shape
    ((3, 2), (2, 2))
    """
    values = whole_as_double(a)
    check_matrices(values)
    if mode not in ("reduced", "complete", "r"):
        raise MXNetError(f"qr knows mode='reduced', 'complete' and 'r', not {mode!r}")
    q, r = torch.linalg.qr(values, "complete" if mode == "complete" else "reduced")
    return r if mode == "r" else (q, r)


def _signs(rows: Tensor) -> Tensor:
    """Return 1 or -1 for each row, which makes its largest element positive."""
    if not rows.numel():
        return rows.new_ones((*rows.shape[:-1], 1))
    largest = rows.detach().abs().argmax(-1, keepdim=True)
    return torch.where(rows.detach().gather(-1, largest) < 0, -1.0, 1.0).to(rows.dtype)


@register_meta(also={"np.linalg": "svd"}, symbol="_npi_svd", outputs=3)
def svd(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return UT, L and V with a = UT @ diag(L) @ V, the singular values L in falling order.

    For shape (..., m, n) and k = min(m, n) these have shapes (m, k), (k,) and (k, n). The largest
    element of each row of V is positive. Gradients need singular values that differ.

    >>> UT, L, V = np.linalg.svd(np.array([[0, 2, 0], [3, 0, 0]]))
    >>> L.asnumpy().tolist(), V.shape
    ([3.0, 2.0], (2, 3))
    """
    check_matrices(a)
    u, values, v = torch.linalg.svd(a, full_matrices=False)
    signs = _signs(v)
    return u * signs.mT, values, v * signs


def _eigh(a: Tensor, triangle: str) -> tuple[Tensor, Tensor]:
    """Return eigenvalues in rising order, and unit eigenvectors as rows."""
    check_square(a)
    if triangle not in ("L", "U"):
        raise MXNetError(f"UPLO is 'L' or 'U', not {triangle!r}")
    values, vectors = torch.linalg.eigh(_both_triangles(a), triangle)
    rows = vectors.mT
    return values, rows * _signs(rows)


@register_meta(also={"np.linalg": "eigh"}, symbol="_npi_eigh", outputs=2)
def eigh(a: Tensor, UPLO: str = "L") -> tuple[Tensor, Tensor]:
    """Return the eigenvalues of symmetric matrices in rising order, and eigenvectors as columns.

    Only the lower (`UPLO="L"`) or the upper triangle ("U") is read; the gradient is symmetric.
    The largest element of each eigenvector is positive. Whole numbers become float64.

    >>> values, vectors = np.linalg.eigh(np.array([[2.0, 0.0], [0.0, 1.0]]))
    >>> values.asnumpy().tolist(), vectors.asnumpy().tolist()
    ([1.0, 2.0], [[0.0, 1.0], [1.0, 0.0]])
    """
    values, rows = _eigh(whole_as_double(a), UPLO)
    return values, rows.mT


@register_meta(also={"np.linalg": "eigvalsh"}, symbol="_npi_eigvalsh")
def eigvalsh(a: Tensor, UPLO: str = "L") -> Tensor:
    """Return the eigenvalues of symmetric matrices, read from one triangle, in rising order.

    >>> np.linalg.eigvalsh(np.array([[2.0, 0.0], [0.0, 1.0]])).asnumpy().tolist()
    [1.0, 2.0]
    """
    return _eigh(whole_as_double(a), UPLO)[0]


@register_meta(also={"nd.linalg": "syevd"}, symbol="_linalg_syevd", outputs=2)
def syevd(A: Tensor) -> tuple[Tensor, Tensor]:
    """Return U and L with A = U.T @ diag(L) @ U, for symmetric matrices.

    The rows of U are unit eigenvectors, their largest elements positive; L holds the eigenvalues
    in rising order. Only the lower triangle of `A` is read; the gradient is symmetric.
    """
    values, rows = _eigh(A, "L")
    return rows, values


def _eig(a: Tensor) -> tuple[Tensor, Tensor]:
    values = whole_as_double(a)
    check_square(values)
    eigenvalues, vectors = torch.linalg.eig(values)
    check_each((eigenvalues.imag != 0).any(-1), "has complex eigenvalues; there is no such dtype")
    return eigenvalues.real, vectors.real


@register_meta(also={"np.linalg": "eig"}, symbol="_npi_eig", outputs=2)
def eig(a: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues of square matrices in any order, and unit eigenvectors as columns.

    A matrix with complex eigenvalues is an error that names it. Whole numbers become float64.

    >>> values, vectors = np.linalg.eig(np.array([[1.0, 0.0], [0.0, 2.0]]))
    >>> values.asnumpy().tolist(), vectors.asnumpy().tolist()
    ([1.0, 2.0], [[1.0, 0.0], [0.0, 1.0]])
    """
    return _eig(a)


@register_meta(also={"np.linalg": "eigvals"}, symbol="_npi_eigvals")
def eigvals(a: Tensor) -> Tensor:
    """Return the eigenvalues of square matrices in any order; complex ones are an error.

    >>> np.linalg.eigvals(np.array([[1.0, 5.0], [0.0, 2.0]])).asnumpy().tolist()
    [1.0, 2.0]
    """
    return _eig(a)[0]
