"""Samples of operators on bits, windows, quantiles, counts, differences, polynomials, searching."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


X = floats(2, 3, 4)
M = floats(2, 3)
V = floats(5)
DOUBLE = floats(5, dtype="float64")
HALF = floats(5, dtype="float16")
ZERO = onp.asarray(1.5, "float32")
WHOLE = ints(2, 3)
SMALL = ints(3, dtype="uint8", high=200)
BYTES = ints(3, dtype="int8", low=-9)
LONG = ints(3, dtype="int64", low=-9)
YES = onp.asarray([True, False, True])
NO = onp.asarray([True, True, False])
SORTED = onp.asarray([1, 2, 2, 4], "float32")
ODD = onp.asarray([1, onp.nan, onp.inf, -onp.inf], "float32")
ENDS = onp.asarray([8, 9], "float32")
EMPTY = onp.zeros(0, "int32")

MORE = "MXNet 1.9.1 refuses this; we follow NumPy"
PROMOTED = "MXNet refuses arrays of different dtypes; we promote them"
REAL = "real results of integers are float32; MXNet cuts them to integers"
IGNORED = "MXNet ignores prepend and append; we follow NumPy"
EDGES = "the edges of bins for integers are float32; MXNet cuts them to integers"
ABSENT = "MXNet 1.9.1 has no np.median; we follow NumPy"
NO_GRADIENT = "MXNet has no gradient here"


def bits() -> list[Sample]:
    found = []
    for name, sign in (("bitwise_and", "&"), ("bitwise_or", "|"), ("bitwise_xor", "^")):
        function = getattr(onp, name)
        found += [
            Sample(f"np.{name}", (WHOLE, ints(1, 3, seed=1))),
            Sample(f"np.{name}", (BYTES, 3)),
            Sample(f"np.{name}", (5, LONG)),
            Sample(f"np.{name}", (SMALL, ints(3, dtype="uint8", seed=1))),
            Sample(f"np.{name}", (YES, NO)),
            Sample(f"np.{name}", (YES, LONG), differs=PROMOTED, want=function(YES, LONG)),
            Sample(f"np.{name}", (M, M), error="DTypeError"),
            Sample(f"np:{sign}", (WHOLE, 6)),
            Sample(f"np:{sign}", (6, WHOLE), differs=MORE, want=function(6, WHOLE)),
            Sample(f"np:{sign}=", (WHOLE.copy(), 6)),
        ]
    return [
        *found,
        Sample("np.bitwise_not", (WHOLE,)),
        Sample("np.bitwise_not", (SMALL,)),
        Sample("np.bitwise_not", (M,), error="DTypeError"),
        Sample("np.invert", (YES,)),
        Sample("np:~", (LONG,)),
        Sample("np.lcm", (WHOLE, 6)),
        Sample("np.lcm", (4, LONG)),
        Sample("np.lcm", (BYTES, ints(3, dtype="int8", low=1, seed=1))),
        Sample("np.lcm", (M, M), error="DTypeError"),
        Sample("np.ldexp", (M, 2)),
        Sample("np.ldexp", (2.0, V)),
        Sample("np.ldexp", (V, floats(1, 5, seed=1))),
        Sample("np.ldexp", (LONG, 1), differs=REAL, want=(LONG * 2).astype("float32")),
    ]


def windows() -> list[Sample]:
    found = []
    for name in ("hanning", "hamming", "blackman"):
        found += [Sample(f"np.{name}", (M,)) for M in (0, 1, 4, 7)]
        found += [
            Sample(f"np.{name}", (6,), {"dtype": "float64"}, rtol=1e-6),  # MXNet's are float32's
            Sample(f"np.{name}", (6, "float16")),
        ]
    return found


def quantiles() -> list[Sample]:
    shares = onp.asarray([0, 25, 40, 100], "float32")
    found = []
    for between in ("linear", "lower", "higher", "nearest", "midpoint"):
        attrs = {"axis": 1, "interpolation": between}
        found.append(Sample("np.percentile", (X, shares), attrs, grad=False))
    found += [
        Sample("np.percentile", (V, 30), grad=False),
        Sample("np.percentile", (DOUBLE, 30), grad=False, rtol=1e-6),  # MXNet's q is float32
        Sample("np.percentile", (HALF, 30), grad=False, rtol=1e-3),
        Sample("np.percentile", (X, shares), {"axis": (0, -1), "keepdims": True}, grad=False),
        Sample("np.percentile", (WHOLE, 50), grad=False),
        Sample("np.percentile", (ODD[:3], 50), grad=False),
        Sample("np.percentile", (V, 30), differs=NO_GRADIENT, id="gradient"),
        Sample("np.percentile", (V, [30, 50]), differs=MORE, grad=False),
        Sample("np.percentile", (V, 101), error="OutOfRangeError"),
        Sample("np.percentile", (V, 30), {"interpolation": "cubic"}, error="MXNetError"),
        Sample("np.quantile", (X, shares / 100), {"axis": -1}, grad=False),
        Sample("np.quantile", (V, 0.3), grad=False),
        Sample("np.quantile", (V, 0.3), {"keepdims": True, "interpolation": "lower"}, grad=False),
        Sample("np.quantile", (V, -0.1), error="OutOfRangeError"),
        Sample("np.median", (V,), differs=ABSENT, want=onp.median(V)),
        Sample("np.median", (X, 1), differs=ABSENT, want=onp.median(X, 1)),
        Sample(
            "np.median",
            (X,),
            {"axis": (0, 2), "keepdims": True},
            differs=ABSENT,
            want=onp.median(X, (0, 2), keepdims=True),
        ),
        Sample("np.ptp", (X,), grad=False),
        Sample("np.ptp", (X, -1), grad=False),
        Sample("np.ptp", (WHOLE,), {"axis": (0, 1), "keepdims": True}),
        Sample("np.ptp", (V,), differs=NO_GRADIENT, want=onp.ptp(V), id="gradient"),
    ]
    return found


def counts() -> list[Sample]:
    numbers = ints(9, high=5)
    given = {"bins": 3, "range": (-1, 1)}
    steps = onp.asarray([-1, -0.5, 0.1, 0.5], "float32")
    weights, values = floats(9, seed=1), ints(9, seed=2)
    return [
        Sample("np.count_nonzero", (WHOLE,)),
        Sample("np.count_nonzero", (X, 1), grad=False),
        Sample("np.count_nonzero", (YES,), {"axis": 0, "keepdims": True}),
        Sample("np.bincount", (numbers,)),
        Sample("np.bincount", (numbers.astype("uint8"),), {"minlength": 8}),
        Sample("np.bincount", (numbers.astype("int64"), values)),
        Sample("np.bincount", (numbers,), {"weights": weights}, grad=False),
        Sample("np.bincount", (EMPTY,)),
        Sample("np.bincount", (V,), error="DTypeError"),
        Sample("np.bincount", (-numbers,), error="OutOfRangeError"),
        Sample("np.bincount", (WHOLE,), error="ShapeError"),
        Sample("np.histogram", (X,), given, grad=False),
        Sample("np.histogram", (X, steps), grad=False),
        Sample("np.histogram", (numbers, 4, (0, 4)), differs=EDGES, id="whole"),
        Sample("np.histogram", (X, steps.tolist()), differs=MORE, grad=False),
        Sample(
            "np.histogram", (SORTED,), differs=MORE, grad=False, want=real(onp.histogram(SORTED))
        ),
        Sample(
            "np.histogram",
            (X,),
            {**given, "weights": X},
            differs=MORE,
            grad=False,
            want=real(onp.histogram(X, 3, (-1, 1), weights=X)),
        ),
        Sample(
            "np.histogram",
            (SORTED, onp.asarray([0, 1, 4], "float32")),
            {"density": True},
            differs=MORE,
            grad=False,
            want=real(onp.histogram(SORTED, [0.0, 1, 4], density=True)),
        ),
        Sample("np.histogram", (X, 0), error="MXNetError"),
        Sample("np.histogram", (X, 3, (2, 1)), error="MXNetError"),
        Sample("nd.histogram", (X,), given, grad=False),
        Sample("nd.histogram", (X,), {"bins": steps}, grad=False),
        Sample("nd.histogram", (SORTED,), {"bins": 2}, differs=MORE, grad=False),
    ]


def real(found: tuple[onp.ndarray, onp.ndarray]) -> list[onp.ndarray]:
    """Return a histogram of NumPy with its fractions as float32."""
    return [part.astype("float32") if part.dtype.kind == "f" else part for part in found]


def differences() -> list[Sample]:
    return [
        Sample("np.diff", (V,)),
        Sample("np.diff", (X, 2)),
        Sample("np.diff", (X,), {"n": 1, "axis": 0}),
        Sample("np.diff", (X,), {"n": 2, "axis": -2}),
        Sample("np.diff", (V,), {"n": 0}),
        Sample("np.diff", (V,), {"n": 9}),
        Sample("np.diff", (WHOLE,)),
        Sample("np.diff", (YES,), differs=MORE, want=onp.diff(YES)),
        Sample(
            "np.diff", (V,), {"prepend": 0}, differs=IGNORED, want=onp.diff(V, prepend=V[:1] * 0)
        ),
        Sample(
            "np.diff",
            (M,),
            {"axis": 0, "append": floats(2, 3, seed=1)},
            differs=MORE,
            want=onp.diff(M, axis=0, append=floats(2, 3, seed=1)),
        ),
        Sample("np.diff", (X,), {"axis": 3}, error="ShapeError"),
        Sample("np.diff", (ZERO,), error="ShapeError"),
        Sample("np.diff", (V,), {"n": -1}, error="MXNetError"),
        Sample("np.ediff1d", (M,)),
        Sample("np.ediff1d", (WHOLE,), {"to_end": 9}),
        Sample("np.ediff1d", (V, 9.0, 8.0)),
        Sample("np.ediff1d", (V,), {"to_end": ENDS, "to_begin": floats(1, seed=3)}),
        Sample("np.ediff1d", (floats(1),), {"to_begin": ENDS}),
    ]


def others() -> list[Sample]:
    degree = onp.asarray([3, 0, -1], "float32")
    found = [
        Sample("np.polyval", (degree, V)),
        Sample("np.polyval", (degree, M)),
        Sample("np.polyval", (degree, ZERO)),
        Sample("np.polyval", (ints(3), WHOLE)),
        Sample("np.polyval", (degree, 5), differs=MORE, want=onp.float32(74)),
        Sample("np.polyval", (M, V), error="ShapeError"),
        Sample("np.nan_to_num", (ODD,), grad=False),
        Sample("np.nan_to_num", (ODD, True, 7, 8, 9)),
        Sample("np.nan_to_num", (ODD.astype("float16"),), grad=False),
        Sample("np.nan_to_num", (WHOLE,)),
    ]
    for name in ("isposinf", "isneginf"):
        found += [Sample(f"np.{name}", (ODD,), grad=False), Sample(f"np.{name}", (WHOLE,))]
    places = onp.argsort(M, 1)
    return [
        *found,
        Sample("np.searchsorted", (SORTED, 2.0), grad=False),
        Sample("np.searchsorted", (SORTED, M + 2), {"side": "right"}, grad=False),
        Sample(
            "np.searchsorted",
            (SORTED[::-1].copy(), V),
            {"sorter": onp.arange(4)[::-1].copy()},
            grad=False,
        ),
        Sample("np.searchsorted", (ints(4), 3), {"side": "middle"}, error="MXNetError"),
        Sample("np.searchsorted", (M, V), error="ShapeError"),
        Sample("np.take_along_axis", (M, places, 1), grad=False),
        Sample("np.take_along_axis", (M, places[:1], -1), grad=False),
        Sample("np.take_along_axis", (M, onp.asarray([5, -6]), None), grad=False),
        Sample("np.take_along_axis", (M, places), {"axis": 1}, differs=NO_GRADIENT, id="grad"),
        Sample("np.take_along_axis", (M, places + 1, 1), error="OutOfRangeError"),
        Sample("np.take_along_axis", (M, places[0], 1), error="ShapeError"),
        Sample("np.isclose", (V, V + onp.float32(1e-6)), grad=False),
        Sample("np.isclose", (V, 0.1), {"rtol": 0.5, "atol": 0.1}, grad=False),
        Sample("np.isclose", (ODD, ODD), {"equal_nan": True}, grad=False),
        Sample("np.isclose", (WHOLE, 3)),
        Sample("np.argwhere", (WHOLE,)),
        Sample("np.argwhere", (X > 0,)),
        Sample("np.where", (WHOLE,)),
        Sample("np.where", (YES, 1.0), error="MXNetError"),
        Sample("np.sometrue", (WHOLE,), {"axis": 1}),
        Sample("np.alltrue", (WHOLE,), {"axis": 0}),
        Sample("np.product", (M, 1)),
        Sample("np.round_", (V, 1), grad=False),
        Sample("np.sum", (M, 1), {"initial": 5}, differs=MORE, want=M.sum(1) + 5),
        Sample("np.exp", (2.0,), rtol=1e-6, differs=MORE),
        Sample("np:.nonzero", (WHOLE,)),
        Sample("np:.clip", (V,), {"min": 0.25}),
        Sample("np:.clip", (V, -0.5, 0.5)),
        Sample("np:round", (V,), grad=False),
    ]


SAMPLES = [*bits(), *windows(), *quantiles(), *counts(), *differences(), *others()]
