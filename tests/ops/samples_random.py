"""Samples of the random operators (compared in shape and dtype), and of their densities."""

from typing import Any

import numpy as onp

from tests.ops.samples import Sample, floats


A = floats(2, 3)
LOW, HIGH = floats(3, low=0.1, high=0.9), floats(3, low=2, high=3)
CHANCES = onp.asarray([[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]], "float32")
COVARIANCE = onp.asarray([[2, 0.5], [0.5, 1]], "float32")

MISSING = "MXNet 1.9.1 does not have this function; we follow NumPy"
NUMBERS = "MXNet refuses a list for p; we take any sequence"
UNCHECKED = "MXNet draws garbage"


def drawn(call: str, *args: Any, **attrs: Any) -> Sample:
    """A call without gradients, of which shapes and dtypes are compared."""
    options = {key: attrs.pop(key) for key in list(attrs) if key in Sample.__dataclass_fields__}
    options = {"grad": False, "random": "error" not in options, **options}
    return Sample(call, args, attrs, **options)


# name: parameters of nd.random.*, of nd.sample_*, and numbers that are none of them
ND = {
    "uniform": ((1, 1.5), (LOW, HIGH), (2, 1)),
    "normal": ((1, 1.5), (LOW, HIGH), (0, -1)),
    "exponential": ((2.0,), (HIGH,), (-1,)),
    "gamma": ((1, 1.5), (LOW, HIGH), (1, -1)),
    "poisson": ((2.0,), (HIGH,), (-1,)),
    "negative_binomial": ((3, 0.75), (HIGH, LOW), (1, 1.5)),
    "generalized_negative_binomial": ((1, 1.5), (LOW, HIGH), (-1, 1)),
}
KEYWORDS = {
    "uniform": ("low", "high"),
    "normal": ("loc", "scale"),
    "exponential": ("lam",),
    "gamma": ("alpha", "beta"),
    "poisson": ("lam",),
    "negative_binomial": ("k", "p"),
    "generalized_negative_binomial": ("mu", "alpha"),
}
LOOSE = ("negative_binomial",)  # a chance above 1, which MXNet does not notice


def nd_random() -> list[Sample]:
    found: list[Sample] = []
    for name, (numbers, arrays, wrong) in ND.items():
        named = dict(zip(KEYWORDS[name], numbers, strict=True))
        loose = {"differs": UNCHECKED} if name in LOOSE else {}
        found += [
            drawn(f"nd.random.{name}"),
            drawn(f"nd.random.{name}", *numbers, (2, 3), dtype="float64"),
            drawn(f"nd.random.{name}", *numbers, shape=2, dtype="float16"),
            drawn(f"nd.random.{name}", *arrays),
            drawn(f"nd.random.{name}", *arrays, shape=(2, 2)),
            drawn(f"nd.random.{name}", *wrong, error="ArgumentError", **loose),
            drawn(f"nd.random.{name}", *numbers, dtype="int32", error="DTypeError"),
            drawn(f"nd.random_{name}", **named, shape=(2, 3)),
            drawn(f"nd.random_{name}", *numbers, 4, dtype="float64"),
            drawn(f"nd.random_{name}", *wrong, error="ArgumentError", **loose),
            drawn(f"nd.sample_{name}", *arrays),
            drawn(f"nd.sample_{name}", *arrays, shape=(2,), dtype="float64"),
            drawn(f"nd.random.{name}_like", A),
            drawn(f"nd.random.{name}_like", A.astype("float64"), **named),
            drawn(f"nd.random.{name}_like", A.astype("int32"), error="DTypeError"),
        ]
    negative = onp.asarray([1, -1], "float32")
    return found + [
        drawn("nd.sample_normal", negative, negative, error="ArgumentError", differs=UNCHECKED),
        drawn("nd.sample_uniform", negative, -negative, error="ArgumentError", differs=UNCHECKED),
        drawn("nd.sample_gamma", LOW, floats(2), error="ShapeError"),
        drawn("nd.uniform", 0, 2, shape=3),
        drawn("nd.normal", 0, 2, shape=3),
        drawn("nd.random.randn", 2, 3),
        drawn("nd.random.randn", 4, loc=5, scale=2, dtype="float64"),
        drawn("nd.random.randn", 4, scale=-1, error="ArgumentError"),
        drawn("nd.random.randint", 0, 5),
        drawn("nd.random.randint", 0, 5, shape=(2, 3), dtype="int64"),
        drawn("nd.random.randint", 5, 2, error="ArgumentError"),
        drawn("nd.random.randint", 2, 5, dtype="float32", error="DTypeError"),
        drawn("nd.random_randint", low=0, high=5, shape=3),
        drawn("nd.random.multinomial", CHANCES),
        drawn("nd.random.multinomial", CHANCES[0]),
        drawn("nd.random.multinomial", CHANCES, (4, 2)),
        drawn("nd.random.multinomial", CHANCES, 2, True, dtype="float64"),
        drawn("nd.random.multinomial", CHANCES[0], 5, get_prob=True, grad=True),
        drawn("nd.random.multinomial", 3 * CHANCES, error="ArgumentError", differs=UNCHECKED),
        drawn("nd.random.multinomial", -CHANCES, error="ArgumentError", differs=UNCHECKED),
        drawn("nd.sample_multinomial", CHANCES, shape=2),
        drawn("nd.random.shuffle", A),
        drawn("nd.shuffle", A),
        drawn("nd.contrib.rand_zipfian", HIGH, 4, 5),
        drawn("nd.contrib.rand_zipfian", HIGH, 4, 0, error="ArgumentError", differs=UNCHECKED),
    ]


# name: its parameters, and numbers that are none
NP = {
    "uniform": ((0.0, 1.0), None),
    "normal": ((0.0, 1.0), (0.0, -1.0)),
    "lognormal": ((0.0, 1.0), (0.0, -1.0)),
    "exponential": ((2.0,), (-1.0,)),
    "gumbel": ((0.0, 1.0), (0.0, -1.0)),
    "logistic": ((0.0, 1.0), (0.0, -1.0)),
    "pareto": ((2.0,), (0.0,)),
    "power": ((2.0,), (0.0,)),
    "rayleigh": ((2.0,), (-1.0,)),
    "weibull": ((2.0,), (0.0,)),
    "gamma": ((2.0, 3.0), (2.0, 0.0)),
    "beta": ((2.0, 3.0), (2.0, -1.0)),
    "chisquare": ((2.0,), (0.0,)),
}
FLAT = ("gamma", "beta", "chisquare", "power")  # MXNet has gradients of zeros, or a crash
TYPED = ("uniform", "normal", "lognormal", "gamma", "beta", "chisquare")


def np_random() -> list[Sample]:
    found: list[Sample] = []
    for name, (numbers, wrong) in NP.items():
        arrays = (LOW, HIGH)[: len(numbers)]
        call, grad = f"np.random.{name}", name not in FLAT
        found += [
            drawn(call, *numbers),
            drawn(call, *numbers, 3),
            drawn(call, *numbers, size=(2, 3)),
            drawn(call, *arrays, grad=grad),
            drawn(call, *arrays, size=(2, 3)),
            drawn(call, HIGH, *numbers[1:], size=(2, 3)),
            drawn(call, *arrays, size=(2,), error="ShapeError"),
        ]
        if len(numbers) == 2:
            found.append(drawn(call, LOW.reshape(3, 1), HIGH))
        if wrong:
            found.append(drawn(call, *wrong, error="ArgumentError"))
            array = onp.asarray([1.0, wrong[-1]], "float32")
            found.append(drawn(call, *wrong[:-1], array, error="ArgumentError"))
        if name in TYPED:
            found.append(drawn(call, *numbers, (2, 3), dtype="float64"))
    return found + np_more() + npx_random()


def np_more() -> list[Sample]:
    return [
        drawn("np.random.uniform", 1.0, -1.0),
        drawn("np.random.randn", 2, 3),
        drawn("np.random.randn", 2, dtype="float64"),
        drawn("np.random.randn"),
        drawn("np.random.rand", 4),
        drawn("np.random.rand"),
        drawn("np.random.randint", 5),
        drawn("np.random.randint", 1, 5, size=(2, 3), dtype="int32"),
        drawn("np.random.randint", 5, 2, error="ArgumentError"),
        drawn("np.random.randint", 2, 5, dtype="float32", error="DTypeError"),
        drawn("np.random.choice", 5),
        drawn("np.random.choice", 5, (2, 2)),
        drawn("np.random.choice", 5, 3, False),
        drawn("np.random.choice", floats(4), 3),
        drawn("np.random.choice", 3, 4, p=CHANCES[0]),
        drawn("np.random.choice", 3, 2, p=[0.25, 0.5, 0.25], differs=NUMBERS),
        drawn("np.random.multinomial", 10, [0.5, 0.5]),
        drawn("np.random.multinomial", 10, [0.5, 0.25, 0.25], size=(3, 2)),
        drawn("np.random.multinomial", 10, onp.asarray([0.5, 0.25]), size=2),
        drawn("np.random.multinomial", 10, [0.75, 0.5, 0.25], error="ArgumentError"),
        drawn("np.random.multinomial", 3, CHANCES, error="ShapeError"),
        drawn("np.random.multivariate_normal", LOW[:2], COVARIANCE),
        drawn("np.random.multivariate_normal", LOW[:2], COVARIANCE, 3),
        drawn("np.random.multivariate_normal", floats(4, 2), COVARIANCE, size=(3, 1)),
        drawn("np.random.shuffle", floats(1, 3)),
        drawn("np.random.permutation", 4, differs=MISSING),
        drawn("np.random.permutation", A, differs=MISSING),
        drawn("np.random.poisson", 2.0, 3, differs=MISSING),
        drawn("np.random.poisson", -2.0, error="ArgumentError", differs=MISSING),
    ]


def npx_random() -> list[Sample]:
    return [
        drawn("npx.random.bernoulli", 0.5, size=3),
        drawn("npx.random.bernoulli", prob=CHANCES),
        drawn("npx.random.bernoulli", logit=LOW, size=(2, 3), dtype="int32"),
        drawn("npx.random.bernoulli", 1.5, error="ArgumentError"),
        drawn("npx.random.bernoulli", prob=HIGH, error="ArgumentError"),
        drawn("npx.random.bernoulli", 0.5, 0.5, error="ArgumentError"),
        drawn("npx.random.bernoulli", size=3, error="ArgumentError"),
        *(
            drawn(f"npx.random.{name}", *args, **attrs)
            for name in ("uniform_n", "normal_n")
            for args, attrs in [
                ((), {}),
                ((0.0, 1.0), {"batch_shape": (2, 3)}),
                ((LOW, HIGH), {"batch_shape": 2}),
                ((LOW, 2.0), {"batch_shape": (2,), "dtype": "float64"}),
                ((LOW.reshape(1, 3), HIGH), {}),
            ]
        ),
        drawn("npx.random.normal_n", 0.0, -1.0, error="ArgumentError"),
    ]


POINTS = floats(2, 3, low=0.2, high=0.8)
COUNTS = onp.asarray([[0, 1, 4], [2, 3, 0]], "float32")
TWO, ALSO = onp.asarray([0.75, 2], "float32"), onp.asarray([1.5, 0.5], "float32")
SHARES = onp.asarray([[[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]], "float32")
OUTSIDE = onp.asarray([[-1, 5, -2]], "float32")
ONE = onp.ones(1, "float32")

ASSUMED = "MXNet does not look whether a sample can be"
DENSITIES = {
    "uniform": (POINTS, TWO - 1.9, TWO),
    "normal": (POINTS, TWO, ALSO),
    "gamma": (POINTS, TWO, ALSO),
    "exponential": (POINTS, TWO),
    "poisson": (COUNTS, TWO),
    "negative_binomial": (COUNTS, ALSO, TWO / 3),
    "generalized_negative_binomial": (COUNTS, TWO, ALSO),
    "dirichlet": (SHARES, onp.asarray([[1, 2, 3.5]], "float32")),
}


def densities() -> list[Sample]:
    found: list[Sample] = []
    for name, arrays in DENSITIES.items():
        call = f"nd.random_pdf_{name}"
        discrete = (0,) if arrays[0] is COUNTS else ()
        double = tuple(array.astype("float64") for array in arrays)
        found += [
            Sample(call, arrays, fixed=discrete, rtol=3e-5),
            Sample(call, double, {"is_log": True}, fixed=discrete, rtol=1e-6),
            Sample(call, (arrays[0][0], *arrays[1:]), error="ShapeError")
            if name != "dirichlet"
            else Sample(call, (SHARES[0], arrays[1][0]), grad=False),
        ]
    return found + [
        Sample("nd.random_pdf_uniform", (OUTSIDE, ONE - 1, ONE), differs=ASSUMED, want=OUTSIDE * 0),
        Sample(
            "nd.random_pdf_exponential",
            (OUTSIDE, ONE),
            grad=False,
            differs=ASSUMED,
            want=onp.where(OUTSIDE > 0, onp.exp(-OUTSIDE), 0),
        ),
        Sample(
            "nd.random_pdf_normal", (POINTS, TWO, -ALSO), error="ArgumentError", differs=ASSUMED
        ),
        Sample("nd.random_pdf_normal", (POINTS, TWO, POINTS), error="ShapeError"),
        Sample("nd.random_pdf_normal", (POINTS, TWO, double[1][0]), error="DTypeError"),
    ]


SAMPLES = nd_random() + np_random() + densities()
