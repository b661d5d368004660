"""Samples of element-wise operators: arithmetic, comparison, functions of one array."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


A = floats(2, 3)
B = floats(2, 3, seed=1)
ROW = floats(3, seed=2)
POSITIVE = floats(2, 3, low=0.2, high=2.0)
POSITIVE_B = floats(2, 3, low=0.2, high=2.0, seed=1)
A64 = floats(2, 3, dtype="float64")
A16 = floats(2, 3, dtype="float16")
I32 = ints(2, 3, low=-5, high=6)
J32 = ints(2, 3, low=1, high=4, seed=1)
U8 = ints(2, 3, dtype="uint8")
I64 = ints(2, 3, dtype="int64", low=-5, high=6)
BOOL = onp.asarray([[True, False, True], [False, True, True]])

WHOLE = "MXNet cuts the result to an integer; ours is float32"
PROMOTED = "MXNet refuses arrays of different dtypes; we promote them"
NP_NUMBER = "MXNet cuts the number to an integer; we follow NumPy, with float32"
VALUE = "MXNet cuts the number to an integer before comparing; we compare values"
MISSING = "MXNet 1.9.1 does not have this function; we follow NumPy"


def arithmetic() -> list[Sample]:
    names = {
        "add": "add broadcast_add broadcast_plus elemwise_add",
        "subtract": "subtract broadcast_sub broadcast_minus elemwise_sub",
        "multiply": "multiply broadcast_mul elemwise_mul",
        "divide": "divide true_divide broadcast_div elemwise_div",
        "modulo": "modulo broadcast_mod",
        "power": "power broadcast_power",
        "maximum": "maximum broadcast_maximum",
        "minimum": "minimum broadcast_minimum",
        "hypot": "broadcast_hypot",
    }
    np_names = {"divide": "divide true_divide", "modulo": "mod remainder"}
    found = []
    for name, aliases in names.items():
        x, y = (POSITIVE, POSITIVE_B) if name in ("power", "modulo") else (A, B)
        for alias in aliases.split():
            found.append(Sample(f"nd.{alias}", (x, y)))
            if not alias.startswith("elemwise"):
                found.append(Sample(f"nd.{alias}", (x, abs(ROW) + 0.1), id="row"))
        for alias in np_names.get(name, name).split():
            found.append(Sample(f"np.{alias}", (x, y)))
            found.append(Sample(f"np.{alias}", (x[:, :1], abs(ROW) + 0.1), id="both-broadcast"))
            found.append(Sample(f"np.{alias}", (x, 1.5), id="number"))
            found.append(Sample(f"np.{alias}", (1.5, x), id="number-first"))
            found.append(Sample(f"np.{alias}", (onp.asarray(x[0, 0]), y), id="no-axes"))
        if name != "hypot":
            found.append(Sample(f"nd.{name}", (x, 0.75), id="number"))
            found.append(Sample(f"nd.{name}", (0.75, x), id="number-first"))
            found.append(Sample(f"nd.{name}", (x.astype("float64"), 0.75), id="float64"))
            found.append(Sample(f"nd.{name}", (x.astype("float16"), 0.75), id="float16"))
    return found


def integers() -> list[Sample]:
    found = []
    for name in ("add", "subtract", "multiply", "divide", "modulo", "power", "maximum", "minimum"):
        exponents = J32 if name == "power" else I32
        found.append(Sample(f"nd.{name}", (exponents, J32), id="int32"))
        for x in (I32, U8, I64):
            base = J32.astype(x.dtype) if name == "power" else x
            found.append(Sample(f"nd.{name}", (base, 2), id=str(x.dtype)))
            found.append(Sample(f"nd.{name}", (base, 1.5), id=f"{x.dtype}-fraction"))
            found.append(
                Sample(
                    f"np.{name}" if name != "modulo" else "np.mod",
                    (base, 2),
                    id=str(x.dtype),
                )
            )
        found.append(Sample(f"nd.{name}", (7, J32), id="number-first"))
        found.append(Sample(f"nd.{name}", (A, J32), differs=PROMOTED, id="float-int"))
    found += [
        Sample("nd.broadcast_hypot", (A, 2.0), differs=MISSING, want=onp.hypot(A, 2, dtype="f4")),
        Sample("nd:+", (BOOL, 2)),
        Sample("nd:-", (BOOL, 1.5)),
        Sample("nd:/", (BOOL, 2)),
        Sample("np:+", (BOOL, 2)),
        Sample("np:/", (BOOL, 2)),
        Sample("np:+", (BOOL, BOOL)),
        Sample("np:*", (BOOL, BOOL)),
        Sample("np:-", (BOOL, BOOL), error="MXNetError"),
        Sample("np:+", (I32, 1.5), differs=NP_NUMBER, want=(I32 + 1.5).astype("float32")),
        Sample("np:*", (I32, 1.5), differs=NP_NUMBER, want=(I32 * 1.5).astype("float32")),
        Sample("np:-", (1.5, U8), differs=NP_NUMBER, want=(1.5 - U8).astype("float32")),
        Sample("np:**", (J32, 0.5), differs=NP_NUMBER, want=(J32**0.5).astype("float32")),
        Sample(
            "np.maximum",
            (I32, 1.5),
            differs=NP_NUMBER,
            want=onp.maximum(I32, 1.5).astype("float32"),
        ),
        Sample("np:+", (I32, A)),
        Sample("np:+", (A16, A)),
        Sample("np:*", (A, A64)),
        Sample("np:/", (I32, A16 + 2)),
        Sample("np:+", (I32, I64)),
        Sample("np:-", (I32, I64), differs=PROMOTED, want=I32 - I64),
        Sample("np:/", (I32, J32)),
        Sample("np:/", (A, A64 + 2), differs=PROMOTED),
        Sample("np.maximum", (A, I32), differs=PROMOTED, want=onp.maximum(A, I32).astype("f4")),
        Sample("np.hypot", (I32, J32), differs=WHOLE, want=onp.hypot(I32, J32).astype("f4")),
        Sample("np.copysign", (J32, I32), differs=WHOLE, want=onp.copysign(J32, I32).astype("f4")),
        Sample("np:+", (A, onp.asarray(1.5, "float64"))),
        Sample(
            "nd:**",
            (J32, -1),
            error="MXNetError",
            differs="integers to negative powers are refused, as in NumPy; MXNet cuts to 0",
        ),
        Sample(
            "nd.modulo",
            (POSITIVE, 0.0),
            grad=False,
            differs="the remainder of division by zero is NaN as in NumPy; MXNet gives 0",
            want=onp.full((2, 3), onp.nan, "float32"),
        ),
        Sample(
            "nd.maximum",
            (ints(2, 3, dtype="float32"), ints(2, 3, dtype="float32", seed=9)),
            grad=False,
            differs="elements that are equal share the gradient; MXNet gives it to the first",
            want=onp.maximum(ints(2, 3), ints(2, 3, seed=9)).astype("float32"),
        ),
        Sample("nd.maximum", (ints(2, 3, dtype="float32", low=-1, high=2), 0.0), grad=False),
        Sample("nd.add", (A, floats(4)), error="MXNetError"),
        Sample("np.add", (A, floats(4)), error="MXNetError"),
        Sample("nd.elemwise_add", (A, ROW), error="ShapeError"),
        Sample("nd.add_n", (A, B, A64.astype("float32"))),
        Sample("nd.add_n", (A,)),
        Sample("nd.ElementWiseSum", (A, B)),
        Sample("nd.add_n", (A, ROW), error="ShapeError"),
        Sample("np.arctan2", (A, B)),
        Sample("np.arctan2", (A, 2.0)),
        Sample("np.arctan2", (2.0, A), grad_differs="MXNet's is wrong for a number first"),
        Sample("np.copysign", (A, B)),
        Sample("np.copysign", (A, -2.0), grad=False),  # MXNet raises in its backward
        Sample("np.copysign", (2.0, A), grad=False),
    ]
    return found


def operators() -> list[Sample]:
    found = []
    for sign in ("+", "-", "*", "/", "%", "**"):
        for space in ("nd", "np"):
            found.append(Sample(f"{space}:{sign}", (POSITIVE, POSITIVE_B)))
            found.append(Sample(f"{space}:{sign}", (POSITIVE, 2)))
            found.append(Sample(f"{space}:{sign}", (2, POSITIVE)))
    for sign in ("+=", "-=", "*=", "/="):
        found.append(Sample(f"nd:{sign}", (POSITIVE, POSITIVE_B), grad=False))
        found.append(Sample(f"np:{sign}", (POSITIVE, 2), grad=False))
    for sign in ("==", "!=", "<", "<=", ">", ">="):
        for space in ("nd", "np"):
            found.append(Sample(f"{space}:{sign}", (I32.astype("float32"), 1), grad=False))
            found.append(Sample(f"{space}:{sign}", (I32, J32)))
            found.append(Sample(f"{space}:{sign}", (1, I32)))
    for space in ("nd", "np"):
        found.append(Sample(f"{space}:neg", (A,)))
        found.append(Sample(f"{space}:abs", (A,)))
    return found


def comparison() -> list[Sample]:
    x = ints(2, 3, dtype="float32", low=0, high=3)
    y = ints(2, 3, dtype="float32", low=0, high=3, seed=5)
    found = []
    names = "equal not_equal greater greater_equal lesser lesser_equal"
    for name in names.split():
        for alias in (name, f"broadcast_{name}"):
            found.append(Sample(f"nd.{alias}", (x, y), grad=False))
        found.append(Sample(f"nd.{name}", (x, 1), grad=False))
        found.append(Sample(f"nd.{name}", (1, x), grad=False))
        found.append(Sample(f"nd.{name}", (I64, 1)))
        found.append(
            Sample(f"nd.{name}", (x.astype("float64"), y[:1].astype("float64")), grad=False)
        )
        np_name = name.replace("lesser", "less")
        found.append(Sample(f"np.{np_name}", (x, y), grad=False))
        found.append(Sample(f"np.{np_name}", (1.0, x), grad=False))
        found.append(Sample(f"np.{np_name}", (BOOL, BOOL)))
        found.append(
            Sample(
                f"np.{np_name}",
                (A, I32),
                grad=False,
                differs=PROMOTED,
                want=getattr(onp, np_name)(A, I32),
            )
        )
    for name in ("logical_and", "logical_or", "logical_xor"):
        fn = getattr(onp, name)
        found.append(Sample(f"nd.{name}", (x, y), grad=False))
        found.append(Sample(f"nd.{name}", (x, 2), grad=False))
        found.append(Sample(f"nd.{name}", (0, x), grad=False))
        found.append(Sample(f"nd.broadcast_{name}", (x, y[:, :1]), grad=False))
        found.append(Sample(f"np.{name}", (x, y), grad=False, differs=MISSING, want=fn(x, y)))
        found.append(Sample(f"np.{name}", (x, 0), grad=False, differs=MISSING, want=fn(x, 0)))
    found.append(Sample("nd.logical_not", (x,), grad=False))
    found.append(Sample("nd.logical_not", (I32,)))
    found.append(Sample("np.logical_not", (x,), grad=False))
    found.append(Sample("np.logical_not", (BOOL,)))
    found.append(Sample("nd.less", (x, 1), grad=False, differs=MISSING, want=(x < 1).astype("f4")))
    found.append(Sample("nd:<", (U8, 0.5), differs=VALUE, want=(U8 < 0.5).astype("uint8")))
    found.append(Sample("np:>", (BOOL, 0.5), differs=VALUE, want=BOOL > 0.5))
    found.append(Sample("np.greater", (2, BOOL), differs=VALUE, want=BOOL < 2))
    return found


def functions() -> list[Sample]:
    anywhere = (
        "abs sign ceil floor trunc fix square negative cbrt exp expm1 sin cos tan arctan sinh cosh "
        "tanh arcsinh degrees radians reciprocal"
    )
    above_zero = "sqrt log log2 log10 log1p"
    inside = "arcsin arccos arctanh"
    real = set(
        (
            above_zero + " " + inside + " cbrt exp expm1 sin cos tan arctan sinh cosh tanh "
            "arcsinh arccosh degrees radians reciprocal"
        ).split()
    )
    found = []
    for names, x in (
        (anywhere, A * 3),
        (above_zero, POSITIVE),
        (inside, A),
        ("arccosh", POSITIVE + 1),
    ):
        for name in names.split():
            for space in ("nd", "np"):
                call = f"{space}.{name}"
                found.append(Sample(call, (x,)))
                rtol = 1e-6 if name in ("degrees", "radians") else None  # MXNet's pi has 7 digits
                found.append(Sample(call, (x.astype("float64"),), rtol=rtol, id="float64"))
                found.append(Sample(call, (x.astype("float16"),), id="float16"))
                differs = WHOLE if name in real else ""
                found.append(Sample(call, (J32,), differs=differs, id="int32"))
    for space in ("nd", "npx"):
        for name, x in (
            ("relu", A),
            ("sigmoid", A * 4),
            ("erf", A * 2),
            ("erfinv", A * 0.9),
            ("gamma", POSITIVE * 2),
            ("gammaln", POSITIVE * 2),
        ):
            found.append(Sample(f"{space}.{name}", (x,)))
            rtol = None if name in ("relu", "sigmoid") else 1e-6  # MXNet computes these in float32
            wide = x.astype("float64")
            found.append(Sample(f"{space}.{name}", (wide,), rtol=rtol, id="float64"))
    below = floats(2, 3, low=-2.9, high=-0.1)
    ties = onp.asarray([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999997], "float32")
    special = onp.asarray([[1, onp.nan, onp.inf], [-onp.inf, 0, -2]], "float32")
    found += [
        Sample("nd.relu", (ints(2, 3, dtype="float32", low=-1, high=2),), grad=False, id="zeros"),
        Sample("nd.relu", (I32,)),
        Sample("nd.gamma", (below,), rtol=1e-4),
        Sample("nd.gammaln", (below,), rtol=1e-4),
        Sample("nd.softsign", (A,)),
        Sample("nd.rsqrt", (POSITIVE,)),
        Sample("nd.rcbrt", (POSITIVE,)),
        Sample("nd.rcbrt", (-POSITIVE,)),
        Sample("nd.round", (ties,), grad=False),
        Sample("nd.round", (A * 5,)),
        Sample("nd.round", (I32,)),
        Sample("nd.rint", (ties,), grad=False),
        Sample("nd.rint", (A * 5,)),
        Sample("nd.rint", (I32,)),
        Sample(
            "np.rint",
            (ties,),
            grad=False,
            differs="halves go to even, as in NumPy; MXNet: down",
            want=onp.rint(ties),
        ),
        Sample("np.rint", (A * 5,)),
        Sample("np.round", (ties,), grad=False),
        Sample("np.round", (A * 5,), {"decimals": 1}),
        Sample("np.around", (I32,)),
        Sample(
            "np.round",
            (ints(4, low=1, high=99),),
            {"decimals": -1},
            differs="halves go to even and 27 becomes 30, as in NumPy; MXNet cuts",
            want=onp.round(ints(4, low=1, high=99), -1),
        ),
        Sample("np.absolute", (A,)),
        Sample("np.fabs", (A,)),
        Sample("np.deg2rad", (A,), differs=MISSING, want=onp.deg2rad(A)),
        Sample("np.rad2deg", (A,), differs=MISSING, want=onp.rad2deg(A)),
        Sample("nd.log", (onp.asarray([-1, 0, 1], "float32"),), grad=False),
        Sample("nd.sqrt", (onp.asarray([-1, 0, 1], "float32"),), grad=False),
        Sample("nd.sign", (special,), grad=False),
    ]
    for name in ("isnan", "isinf", "isfinite"):
        found.append(Sample(f"np.{name}", (special,), grad=False))
        found.append(Sample(f"np.{name}", (I32,)))
        found.append(Sample(f"nd.contrib.{name}", (special,), grad=False))
    return found


def casts() -> list[Sample]:
    exact = ints(2, 3, dtype="float32", low=-3, high=4)
    return [
        Sample("nd.clip", (A, -0.5, 0.5)),
        Sample("nd.clip", (exact, -2, 1), id="ends"),
        Sample("nd.clip", (I32,), {"a_min": -1.5, "a_max": 3.5}),
        Sample("nd.clip", (onp.asarray([0, 1, 9], "uint8"), -2, 300)),
        Sample("np.clip", (A, -0.5, 0.5)),
        Sample("np.clip", (A, None, 0.5)),
        Sample("np.clip", (A,), {"a_min": -0.5, "a_max": None}),
        Sample("np.clip", (I32, 1.5, 4.5)),
        Sample("nd.cast", (A * 5,), {"dtype": "int32"}, grad=False),
        Sample("nd.Cast", (A,), {"dtype": "float64"}),
        Sample("nd.cast", (A,), {"dtype": "float16"}),
        Sample("nd.cast", (A,), {"dtype": "float32"}, id="same"),
        Sample("nd.cast", (I32,), {"dtype": "float32"}),
        Sample("nd.cast", (U8,), {"dtype": "int8"}),
        Sample("nd.cast", (exact,), {"dtype": "bool"}, grad=False),
        Sample("nd.cast", (BOOL,), {"dtype": "float32"}),
        Sample("nd.cast", (A,), {"dtype": "float31"}, error="DTypeError"),
        Sample("npx.cast", (A,), {"dtype": "float64"}),
        Sample("nd.identity", (A,)),
        Sample("np.copy", (A,)),
        Sample("nd.stop_gradient", (A,), grad=False),
        Sample("nd.BlockGrad", (I32,)),
        Sample("nd.smooth_l1", (A * 3,)),
        Sample("nd.smooth_l1", (A * 3,), {"scalar": 2.0}),
        Sample("npx.smooth_l1", (A * 3,), {"scalar": 0.5}),
    ]


SAMPLES = [
    *arithmetic(),
    *integers(),
    *operators(),
    *comparison(),
    *functions(),
    *casts(),
]
