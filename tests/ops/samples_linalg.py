"""Samples of products of arrays and of np.linalg."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


V3, W3 = floats(3), floats(3, seed=1)
M23, M34, M43, M32 = floats(2, 3), floats(3, 4), floats(4, 3), floats(3, 2)
T234 = floats(2, 3, 4)
SQUARE = floats(3, 3) + 2 * onp.eye(3, dtype="float32")
BATCH = floats(2, 3, 3, seed=1) + 2 * onp.eye(3, dtype="float32")
DEFINITE = onp.asarray([[4, 1, 0.5], [1, 3, 0.25], [0.5, 0.25, 2]], "float32")
I23 = ints(2, 3)

WHOLE_NUMBERS = "MXNet multiplies floats only"
WHOLE_NORM = "MXNet cuts the norm of whole numbers to an integer; ours is float32"
INFINITE = "MXNet refuses infinity"
VECTOR = "MXNet fails in the gradient for a vector"
BROADCAST = "MXNet's gradient of matmul is wrong where an axis is broadcast"
TWICE = "MXNet multiplies by the head gradient twice"
MISSING = "MXNet 1.9.1 does not have this function; we follow NumPy"
NUMBER = "MXNet refuses numbers; NumPy multiplies"


def f64(*arrays: onp.ndarray) -> tuple[onp.ndarray, ...]:
    return tuple(array.astype("float64") for array in arrays)


ND = [
    Sample("nd.dot", (V3, W3)),
    Sample("nd.dot", (M23, M34)),
    Sample("nd.dot", f64(M23, M34)),
    Sample("nd.dot", (M23, V3)),
    Sample("nd.dot", (V3, M34)),
    Sample("nd.dot", (M23, M43), {"transpose_b": True}),
    Sample("nd.dot", (M32, M34), {"transpose_a": True}),
    Sample("nd.dot", (M32, M43), {"transpose_a": True, "transpose_b": True}),
    Sample("nd.dot", (T234, floats(4, 5, 2))),
    Sample("nd.dot", (T234, floats(2, 5)), {"transpose_a": True}),
    Sample("nd.dot", (T234, floats(5, 2, 4)), {"transpose_b": True}),
    Sample("nd.dot", (T234, floats(2)), {"transpose_a": True}),
    Sample("nd.dot", (V3, M23), {"transpose_b": True}),
    Sample("nd.dot", (M23, M43), error="ShapeError"),
    Sample("nd.dot", (M23, M34.astype("float64")), error="DTypeError"),
    Sample("nd.dot", (I23, I23.T), differs=WHOLE_NUMBERS, want=I23 @ I23.T),
    Sample("nd.batch_dot", (T234, floats(2, 4, 2))),
    Sample("nd.batch_dot", (floats(2, 4, 3), floats(2, 4, 2)), {"transpose_a": True}),
    Sample("nd.batch_dot", (T234, floats(2, 2, 4)), {"transpose_b": True}),
    Sample("nd.batch_dot", f64(floats(2, 2, 3, 4), floats(2, 2, 4, 2))),
    Sample("nd.batch_dot", (T234, floats(3, 4, 2)), error="ShapeError"),
    Sample("nd.batch_dot", (M23, M34), error="ShapeError"),
    Sample("npx.batch_dot", (T234, floats(2, 2, 4)), {"transpose_b": True}),
]

NP = [
    Sample("np.dot", (V3, W3)),
    Sample("np.dot", (M23, M34)),
    Sample("np.dot", (T234, floats(4))),
    Sample("np.dot", (T234, floats(5, 4, 2))),
    Sample("np.dot", (onp.asarray(2.0, "float32"), M23)),
    Sample("np.dot", (M23, 2.0), differs=NUMBER, want=M23 * 2),
    Sample("np.dot", (M23, M43), error="ShapeError"),
    Sample("np:@", (M23, M34)),
    Sample("np.matmul", (M23, V3)),
    Sample("np.matmul", (V3, W3)),
    Sample("np.matmul", f64(floats(2, 1, 2, 3), floats(4, 3, 2)), grad_differs=BROADCAST),
    Sample("np.matmul", (V3, floats(2, 3, 2))),
    Sample("np.matmul", (M23, M43), error="ShapeError"),
    Sample("np.matmul", (I23, I23.T), differs=WHOLE_NUMBERS, want=I23 @ I23.T),
    Sample("np.tensordot", (T234, floats(3, 4, 2))),
    Sample("np.tensordot", (M23, floats(2, 3, seed=1)), {"axes": ([0, 1], [0, 1])}),
    Sample("np.tensordot", (T234, floats(3, 2)), {"axes": (1, 0)}),
    Sample("np.tensordot", (M23, V3), {"axes": 0}),
    Sample("np.tensordot", (M23, M32), {"axes": (-1, -2)}),
    Sample("np.tensordot", (M23, M23), {"axes": 1}, error="ShapeError"),
    Sample("np.tensordot", (M23, M32), {"axes": ((0, 1), (0,))}, error="ShapeError"),
    Sample("np.einsum", ("ij,jk->ik", M23, M34)),
    Sample("np.einsum", ("i j , j k -> k", M23, M34)),
    Sample("np.einsum", ("ij,jk", floats(2, 1), M34)),
    Sample("np.einsum", ("ij,jk", I23, I23.T)),
    Sample("np.einsum", ("ij->i", I23 > 4)),
    Sample("np.einsum", ("ij,jk", M23, M43), error="ShapeError"),
    Sample("np.einsum", ("ij,jk", M23, M34.astype("float64")), error="DTypeError"),
    Sample("np.einsum", ("ii", SQUARE)),
    Sample("np.einsum", ("ij->j", M23)),
    Sample("np.einsum", ("...j,j", T234, floats(4))),
    Sample("np.einsum", ("ij,jk,kl", *f64(M23, M34, M43)), {"optimize": True}),
    Sample("np.inner", (V3, W3)),
    Sample("np.inner", (M23, M43)),
    Sample("np.inner", (M23, 2.0), differs=NUMBER, want=M23 * 2),
    Sample("np.inner", (V3, floats(2)), error="ShapeError"),
    Sample("np.kron", (M23, M32), differs=MISSING, want=onp.kron(M23, M32)),
    Sample("np.kron", (I23, V3.astype("int32")), differs=MISSING),
    Sample("np.outer", (V3, floats(2))),
    Sample("np.outer", (M23, V3)),
    Sample("np.vdot", (M23, M32)),
    Sample("np.vdot", (V3, floats(2)), error="ShapeError"),
    Sample("np.linalg.norm", (M23,)),
    Sample("np.linalg.norm", (V3,)),
    Sample("np.linalg.norm", (T234,), {"keepdims": True}),
    Sample("np.linalg.norm", (M23,), {"axis": 1}),
    Sample("np.linalg.norm", (M23,), {"ord": "fro"}),
    Sample("np.linalg.norm", (M23,), {"ord": 1, "axis": 0}),
    Sample("np.linalg.norm", (M23.astype("float64"),), {"ord": 3, "axis": 1, "keepdims": True}),
    Sample("np.linalg.norm", (M23,), {"ord": 1}, grad_differs=TWICE),
    Sample("np.linalg.norm", (M23,), {"ord": 2}, grad=False),
    Sample("np.linalg.norm", (M23,), {"ord": "nuc"}, grad=False),
    Sample("np.linalg.norm", (T234,), {"axis": (0, 2)}),
    Sample("np.linalg.norm", (V3,), {"ord": onp.inf}, differs=INFINITE, want=abs(V3).max()),
    Sample("np.linalg.norm", (V3,), {"ord": 0}, grad=False),
    Sample(
        "np.linalg.norm",
        (I23,),
        differs=WHOLE_NORM,
        want=onp.asarray(onp.linalg.norm(I23), "float32"),
    ),
    Sample("np.linalg.det", (SQUARE,)),
    Sample("np.linalg.det", f64(BATCH)),
    Sample("np.linalg.slogdet", (BATCH,)),
    Sample("np.linalg.inv", (SQUARE,)),
    Sample("np.linalg.inv", f64(BATCH)),
    Sample("np.linalg.inv", (onp.zeros((2, 2), "float32"),), grad=False, error="MXNetError"),
    Sample("np.linalg.cholesky", (DEFINITE,), grad=False),
    Sample("np.linalg.solve", (SQUARE, V3), differs=VECTOR, want=onp.linalg.solve(SQUARE, V3)),
    Sample("np.linalg.solve", (SQUARE, M32)),
    Sample("np.linalg.solve", f64(BATCH, floats(2, 3, 2))),
]

SAMPLES = ND + NP
