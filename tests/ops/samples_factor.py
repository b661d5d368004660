"""Samples of np.linalg: factors, eigenvalues, equations, ranks."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints
from tests.ops.samples_blas import (
    BATCH,
    DEFINITE,
    DEFINITES,
    M23,
    M34,
    SINGULAR,
    T33,
    UNEVEN,
    f64,
)


WHOLE = onp.asarray([[3, 1], [1, 2]], "int32")
STANDING = floats(4, 2)
REAL = onp.asarray([[3.5, -3, -1.25], [-1.25, 3.75, 0.25], [-1.75, -0.25, 2.75]], "float32")
TURN = onp.asarray([[0, 1], [-1, 0]], "float32")
V3, V4 = floats(3), floats(4)
SIX = floats(2, 3, 6, seed=2)

NUMPY = "MXNet asks NumPy, which has no gradients, and returns its scalars"
TALL = "MXNet refuses more rows than columns"
HERMITIAN = "MXNet knows hermitian=False only"
TRIANGLES = "MXNet takes any letter but U for L"
MIXED = "MXNet takes the dtype of the first array for that of both"
ZERO = "MXNet's gradient is zero"


def sample(name: str, *args: object, **attrs: object) -> Sample:
    options = {key: attrs.pop(key) for key in list(attrs) if key in Sample.__dataclass_fields__}
    return Sample(f"np.linalg.{name}", args, attrs, **options)


def as_numpy(name: str, *args: object, **attrs: object) -> Sample:
    """A function that MXNet takes from NumPy: compared with NumPy's result, and by differences."""
    dtype = sample(name, *args).arrays()[0].dtype
    result = getattr(onp.linalg, name)(*args, **attrs)
    results = result if isinstance(result, tuple) else (result,)
    want = [
        onp.asarray(item, dtype if onp.asarray(item).dtype.kind == "f" else None)
        for item in results
    ]
    return sample(name, *args, **attrs, differs=NUMPY, want=want)


FACTORS = [
    sample("cholesky", DEFINITE, grad=False),
    sample("cholesky", *f64(DEFINITES), grad=False),
    sample("cholesky", UNEVEN, grad=False),
    sample("cholesky", -DEFINITE, error="MXNetError"),
    sample("cholesky", M23, error="ShapeError"),
    sample("svd", M23),
    sample("svd", T33),
    sample("svd", *f64(floats(2, 2, 3, seed=3))),
    sample("svd", STANDING, differs=TALL),
    sample("svd", onp.zeros((2, 2), "float32"), grad=False),
    sample("svd", ints(2, 3), error="DTypeError"),
    sample("svd", M23.astype("float16"), error="DTypeError"),
    sample("svd", V3, error="ShapeError"),
    sample("eigh", DEFINITE, grad=False),
    sample("eigh", *f64(DEFINITES), grad=False),
    sample("eigh", UNEVEN, grad=False),
    sample("eigh", UNEVEN, UPLO="U", grad=False),
    sample("eigh", WHOLE),
    sample("eigh", UNEVEN, UPLO="X", grad=False, error="MXNetError", differs=TRIANGLES),
    sample("eigvalsh", *f64(DEFINITES), grad=False),
    sample("eigvalsh", UNEVEN, UPLO="U", grad=False),
    sample("eigvalsh", WHOLE),
    sample("eig", REAL, grad=False),
    sample("eig", *f64(REAL), grad_differs=ZERO),
    sample("eig", WHOLE),
    sample("eig", TURN, error="MXNetError"),
    sample("eigvals", REAL, grad=False),
    sample("eigvals", *f64(REAL), grad_differs=ZERO),
    sample("eigvals", onp.stack([DEFINITE, REAL]), grad=False),
    sample("eigvals", TURN, error="MXNetError"),
    as_numpy("qr", STANDING),
    as_numpy("qr", M23),
    as_numpy("qr", T33, mode="r"),
    sample("qr", STANDING, mode="complete", grad=False),
    sample("qr", WHOLE),
    sample("qr", T33, mode="raw", grad=False, error="MXNetError", differs="MXNet asks NumPy"),
]

EQUATIONS = [
    sample("det", SINGULAR, grad=False),
    sample("det", WHOLE, error="DTypeError"),
    sample("slogdet", SINGULAR, grad=False),
    sample("inv", onp.stack([DEFINITE[:2, :2], SINGULAR]), error="MXNetError"),
    sample("pinv", T33[:2], grad_differs=ZERO),
    sample("pinv", *f64(floats(2, 4, 2)), grad_differs=ZERO),
    sample("pinv", SINGULAR, rcond=1e-5, grad=False),
    sample("pinv", BATCH, rcond=onp.asarray([0.5, 1e-3], "float32"), grad=False),
    sample("pinv", DEFINITE, hermitian=True, grad=False, differs=HERMITIAN),
    sample("solve", T33, M34),
    sample("solve", SINGULAR, floats(2, 1), error="MXNetError"),
    sample("solve", T33, M23, error="ShapeError"),
    sample("solve", T33, M34.astype("float64"), error="DTypeError", differs=MIXED),
    sample("tensorsolve", SIX, floats(2, 3)),
    sample("tensorsolve", floats(6, 2, 3, seed=2), floats(2, 3), axes=(0,)),
    sample("tensorsolve", SIX, V3, error="ShapeError"),
    sample("tensorinv", SIX),
    sample("tensorinv", *f64(floats(6, 2, 3, seed=2)), ind=1),
    sample("tensorinv", SIX, ind=1, error="ShapeError"),
    sample("tensorinv", SIX, ind=0, error="ShapeError"),
    sample("lstsq", STANDING, V4, rcond=None, grad=False),
    sample("lstsq", STANDING, floats(4, 3), grad=False),
    sample("lstsq", M23, floats(2), rcond=-1, grad=False),
    sample("lstsq", onp.ones((3, 2), "float32"), V3, rcond=None, grad=False),
    sample("lstsq", WHOLE, WHOLE, rcond=None),
    sample("lstsq", STANDING, V3, rcond=None, grad=False, error="ShapeError"),
    sample("matrix_rank", SINGULAR, grad=False),
    sample("matrix_rank", T33, tol=2.5, grad=False),
    sample("matrix_rank", *f64(BATCH), grad=False),
    sample("matrix_rank", V3, grad=False),
    sample("matrix_rank", WHOLE, hermitian=True),
    *(as_numpy("cond", T33, p=p) for p in (None, 1, -1, 2, -2, onp.inf, -onp.inf, "fro")),
    as_numpy("cond", M23),
    as_numpy("cond", *f64(BATCH), p=1),
    sample("cond", WHOLE),
    sample("cond", T33, p="nuc", grad=False),
    *(as_numpy("matrix_power", T33, n) for n in (0, 1, 3, -2)),
    sample("matrix_power", WHOLE, 3),
    sample("matrix_power", WHOLE, -1),
    sample("matrix_power", SINGULAR, -1, grad=False, error="MXNetError"),
    as_numpy("multi_dot", [M23, M34, floats(4, 2)]),
    as_numpy("multi_dot", [V3, M34, V4]),
    sample("multi_dot", [WHOLE, WHOLE]),
    sample("multi_dot", [M23, M34, M23], grad=False, error="ShapeError"),
    sample("multi_dot", [M23], grad=False, error="MXNetError"),
]

SAMPLES = FACTORS + EQUATIONS
