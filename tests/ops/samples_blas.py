"""Samples of nd.linalg: products, equations, triangles and factors of matrices."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


M23, M34, M24 = floats(2, 3), floats(3, 4), floats(2, 4)
B23, B34, B24 = floats(5, 2, 3), floats(5, 3, 4), floats(5, 2, 4)
T33 = floats(3, 3, seed=4) + 2 * onp.eye(3, dtype="float32")
BATCH = floats(2, 3, 3, seed=1) + 2 * onp.eye(3, dtype="float32")
DEFINITE = onp.asarray([[4, 1, 0.5], [1, 3, 0.25], [0.5, 0.25, 2]], "float32")
DEFINITES = onp.stack([DEFINITE, 2 * DEFINITE + onp.eye(3, dtype="float32")])
FACTOR = onp.linalg.cholesky(DEFINITE)
UNEVEN = onp.asarray([[4, 9, 8], [1, 3, 7], [0.5, 0.25, 2]], "float32")  # read in one triangle
SINGULAR = onp.asarray([[1, 2], [2, 4]], "float32")
FLAT = onp.asarray([[1, 0], [1, 0]], "float32")  # a triangle with a zero on its diagonal
HALF = M23.astype("float16")
WHOLE = ints(3, 3)

GARBAGE = "MXNet goes on with infinities"
NO_GRADIENT = "MXNet's khatri_rao has no gradient"
WHOLE_NUMBERS = "MXNet multiplies float32 only"


def f64(*arrays: onp.ndarray) -> tuple[onp.ndarray, ...]:
    return tuple(array.astype("float64") for array in arrays)


def sample(name: str, *args: onp.ndarray, **attrs: object) -> Sample:
    options = {key: attrs.pop(key) for key in list(attrs) if key in Sample.__dataclass_fields__}
    return Sample(name if "." in name else f"nd.linalg.{name}", args, attrs, **options)


PRODUCTS = [
    sample("gemm", M23, M34, M24),
    sample("gemm", M23, M34, M24, alpha=2.0, beta=3.0),
    sample("gemm", M23.T, M34.T, M24, transpose_a=True, transpose_b=True, beta=0.5),
    sample("gemm", *f64(B23, B34, B24), alpha=-1.0),
    sample("gemm", floats(2, 5, 3), floats(3, 5, 4), floats(2, 5, 4), axis=0),
    sample("gemm", B23, B34, B24, axis=-2),
    sample("gemm", M23, M34, M34, error="ShapeError"),
    sample("gemm", M23, M34, M24, axis=-1, error="ShapeError"),
    sample("gemm", M23, M34, M24.astype("float64"), error="DTypeError"),
    sample("gemm", B23, B34[:1], B24, error="ShapeError"),
    sample("nd.linalg_gemm", M23, M34, M24),
    sample("gemm2", M23, M34),
    sample("gemm2", M23, M34.T, transpose_b=True, alpha=2.0),
    sample("gemm2", *f64(M23.T, M34), transpose_a=True),
    sample("gemm2", floats(2, 5, 3), floats(3, 5, 4), axis=0),
    sample("gemm2", M23, M24, error="ShapeError"),
    sample("gemm2", HALF, HALF.T, error="DTypeError"),
    sample("gemm2", floats(3), M34, error="ShapeError"),
    sample("nd.linalg_gemm2", B23, B34),
    sample("trmm", T33, M34),
    sample("trmm", T33, M34, transpose=True, alpha=2.0),
    sample("trmm", T33, M23, rightside=True, lower=False),
    sample("trmm", *f64(BATCH, floats(2, 2, 3)), rightside=True, transpose=True),
    sample("trmm", T33, M23, error="ShapeError"),
    sample("trmm", M23, M34, error="ShapeError"),
    sample("nd.linalg_trmm", T33, M34),
    sample("trsm", T33, M34),
    sample("trsm", T33, M34, transpose=True, alpha=2.0),
    sample("trsm", T33, M23, rightside=True, lower=False),
    sample("trsm", T33, M34, lower=False, transpose=True),
    sample("trsm", *f64(BATCH, floats(2, 2, 3)), rightside=True, transpose=True),
    sample("trsm", FLAT, floats(2, 3), error="MXNetError", differs=GARBAGE),
    sample("trsm", T33, M23, error="ShapeError"),
    sample("nd.linalg_trsm", T33, M34),
    sample("syrk", M23),
    sample("syrk", M23, transpose=True, alpha=2.0),
    sample("syrk", *f64(B23)),
    sample("nd.linalg_syrk", M23),
    sample("nd.khatri_rao", M23, floats(4, 3), floats(1, 3), grad=False),
    sample("nd.khatri_rao", M23, floats(4, 3), differs=NO_GRADIENT),
    sample("nd.khatri_rao", M23, grad=False),
    sample("nd.khatri_rao", M23, M24, error="ShapeError"),
    sample("nd.khatri_rao", WHOLE, WHOLE, differs=WHOLE_NUMBERS),
    sample("nd.khatri_rao", M23, M23.astype("float64"), error="DTypeError"),
]

DIAGONALS = [
    sample("sumlogdiag", DEFINITE),
    sample("sumlogdiag", *f64(DEFINITES)),
    sample("sumlogdiag", -DEFINITE, error="MXNetError", differs="MXNet gives NaN"),
    sample("sumlogdiag", M23, error="ShapeError"),
    sample("nd.linalg_sumlogdiag", DEFINITE),
    sample("extractdiag", T33),
    *(sample("extractdiag", *f64(BATCH), offset=offset) for offset in (-2, 1)),
    sample("extractdiag", T33, offset=3, error="ShapeError"),
    sample("nd.linalg_extractdiag", T33),
    sample("makediag", M23),
    *(sample("makediag", *f64(floats(3)), offset=offset) for offset in (-2, 1)),
    sample("nd.linalg_makediag", floats(2)),
    *(
        sample("extracttrian", floats(4, 4), offset=offset, lower=lower)
        for offset in (-1, 0, 2)
        for lower in (False, True)
    ),
    sample("extracttrian", *f64(BATCH)),
    sample("extracttrian", M23, error="ShapeError"),
    sample("extracttrian", T33, offset=-3, error="ShapeError"),
    sample("nd.linalg_extracttrian", T33),
    *(
        sample("maketrian", floats(6), offset=offset, lower=lower)
        for offset in (-1, 0, 2)
        for lower in (False, True)
    ),
    sample("maketrian", *f64(floats(2, 3))),
    sample("maketrian", floats(2), error="ShapeError"),
    sample("nd.linalg_maketrian", floats(3)),
]

FACTORS = [
    sample("potrf", DEFINITE, grad=False),
    sample("potrf", *f64(DEFINITES), grad=False),
    sample("potrf", UNEVEN, grad=False),
    sample("potrf", -DEFINITE, error="MXNetError"),
    sample("potrf", WHOLE, error="DTypeError"),
    sample("nd.linalg_potrf", DEFINITE, grad=False),
    sample("potri", FACTOR),
    sample("potri", UNEVEN),
    sample("potri", *f64(onp.linalg.cholesky(DEFINITES))),
    sample("potri", FLAT, error="MXNetError"),
    sample("nd.linalg_potri", FACTOR),
    sample("gelqf", M23),
    sample("gelqf", T33),
    sample("gelqf", *f64(B23)),
    sample("gelqf", M23.T, error="ShapeError"),
    sample("nd.linalg_gelqf", M23),
    sample("syevd", DEFINITE, grad=False),
    sample("syevd", *f64(DEFINITES), grad=False),
    sample("syevd", UNEVEN, grad=False),
    sample("det", T33),
    sample("det", *f64(BATCH)),
    sample("det", floats(2, 2, 3, 3)),
    sample("det", SINGULAR, grad=False),
    sample("det", M23, error="ShapeError"),
    sample("nd.linalg_det", T33),
    sample("slogdet", T33),
    sample("slogdet", *f64(BATCH)),
    sample("slogdet", SINGULAR, grad=False),
    sample("nd.linalg_slogdet", T33),
    sample("inverse", T33),
    sample("inverse", *f64(BATCH)),
    sample("inverse", SINGULAR, error="MXNetError"),
    sample("nd.linalg_inverse", T33),
]

SAMPLES = PRODUCTS + DIAGONALS + FACTORS
