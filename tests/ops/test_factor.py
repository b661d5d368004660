"""Gradients of functions of symmetric matrices, and errors that name the matrix of a batch."""

import numpy as onp
import pytest

import regluon as mx
from regluon.base import MXNetError
from regluon.engine import selection
from tests.ops.samples import Sample, evaluate, numpy_of
from tests.ops.samples_blas import DEFINITE, FLAT, SINGULAR


SYMMETRIC = ["nd.linalg.potrf", "nd.linalg.syevd", "np.linalg.cholesky", "np.linalg.eigh"]
SYMMETRIC += ["np.linalg.eigvalsh"]

# MXNet 1.9.1, for float64 and the heads of `samples.head`. Its eigh and eigvalsh have zeros.
MXNETS = {
    "nd.linalg.potrf": [
        [0.07803708, 0.17628653, 0.17574684],
        [0.17628653, 0.43836176, 0.15991459],
        [0.17574684, 0.15991459, 0.27643706],
    ],
    "nd.linalg.syevd": [
        [1.42891409, -0.3327904, 0.06823809],
        [-0.3327904, 0.80548954, -0.15164251],
        [0.06823809, -0.15164251, 0.56023268],
    ],
}
MXNETS["np.linalg.cholesky"] = MXNETS["nd.linalg.potrf"]


def gradient(name):
    return evaluate(Sample(name, (DEFINITE.astype("float64"),)), mx).grads[0]


@pytest.mark.parametrize("name", MXNETS)
def test_the_gradient_lies_in_both_triangles_as_in_mxnet(name):
    onp.testing.assert_allclose(gradient(name), MXNETS[name], atol=1e-8)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_the_gradient_is_the_slope_among_symmetric_matrices(name):
    found = gradient(name)
    onp.testing.assert_allclose(found, found.T, atol=1e-12)
    for row, column in [(0, 0), (1, 0), (2, 1)]:
        step = onp.zeros((3, 3))
        step[row, column] = step[column, row] = 1e-6
        sides = []
        for sign in (1, -1):
            sample = Sample(name, (DEFINITE.astype("float64") + sign * step,), grad=False)
            outputs = evaluate(sample, mx).outputs
            heads = [onp.random.RandomState(7).uniform(0.5, 1.5, out.shape) for out in outputs]
            sides.append(sum((out * h).sum() for out, h in zip(outputs, heads, strict=True)))
        slope = (sides[0] - sides[1]) / 2e-6
        assert slope == pytest.approx((found * (step > 0)).sum(), rel=1e-6, abs=1e-8)


GOOD = onp.eye(2, dtype="float32")
UNFIT = {
    "nd.linalg.potrf": (-GOOD, "is not positive definite"),
    "nd.linalg.potri": (FLAT, "has a zero on its diagonal"),
    "nd.linalg.inverse": (SINGULAR, "is singular"),
    "nd.linalg.sumlogdiag": (-GOOD, "is not positive"),
    "np.linalg.cholesky": (-GOOD, "is not positive definite"),
    "np.linalg.inv": (SINGULAR, "is singular"),
    "np.linalg.eigvals": (onp.asarray([[0, 1], [-1, 0]], "float32"), "has complex eigenvalues"),
}


@pytest.mark.parametrize("engine", ["NaiveEngine", "LazyEngine"])
@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_matrix_is_named(name, engine):
    bad, words = UNFIT[name]
    before = selection.set_type(engine)
    try:
        for batch, told in [(bad, "the matrix"), (onp.stack([GOOD, bad]), "matrix 1 of the batch")]:
            with pytest.raises(MXNetError, match=f"{told} .*{words}"):
                numpy_of(evaluate(Sample(name, (batch,), grad=False), mx).outputs[0])
        pair = onp.stack([onp.stack([GOOD, GOOD]), onp.stack([GOOD, bad])])
        with pytest.raises(MXNetError, match=r"matrix \(1, 1\) of the batch"):
            evaluate(Sample(name, (pair,), grad=False), mx)
    finally:
        selection.set_type(before)


def test_least_squares_solves_what_can_be_solved_and_has_gradients():
    a = mx.np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    b = mx.np.array([1.0, 4.0, 3.0])
    b.attach_grad()
    with mx.autograd.record():
        x, sums, rank, values = mx.np.linalg.lstsq(a, b, rcond=None)
        end = x.sum()
    end.backward()
    assert x.asnumpy().tolist() == pytest.approx([1, 2])
    assert sums.asnumpy().tolist() == pytest.approx([9])
    assert (int(rank), values.asnumpy().tolist()) == (2, [2, 1])
    assert b.grad.asnumpy().tolist() == pytest.approx([1, 0.5, 0])


def test_empty_batches_have_empty_results():
    empty = mx.np.zeros((0, 3, 3))
    assert mx.np.linalg.inv(empty).shape == (0, 3, 3)
    assert [item.shape for item in mx.np.linalg.svd(empty)] == [(0, 3, 3), (0, 3), (0, 3, 3)]
    assert [item.shape for item in mx.np.linalg.eigh(empty)] == [(0, 3), (0, 3, 3)]
