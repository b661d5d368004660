"""Samples of arrays from nothing, and of the random operators (compared in shape and dtype)."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


A = floats(2, 3)
I32 = ints(2, 3)
LOW, HIGH = floats(3, low=0, high=1), floats(3, low=2, high=3)
CHANCES = onp.asarray([[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]], "float32")

EMPTY_SHAPE = "MXNet's nd has neither scalars nor empty arrays unless np shapes are on"
REVERSED = "MXNet refuses a range without elements; we return an empty array"
MISSING = "MXNet 1.9.1 does not have this function; we follow NumPy"
NUMBERS = "MXNet refuses a list for p; we take any sequence"


def plain() -> list[Sample]:
    return [
        Sample("nd.zeros", (3,)),
        Sample("nd.zeros", ((2, 3),), {"dtype": "int32"}),
        Sample("nd.zeros", ([2, 3],), {"dtype": "float64"}),
        Sample("nd.zeros", ((2, -1),), error="ShapeError"),
        Sample("nd.zeros", ((2, 0),), differs=EMPTY_SHAPE, want=onp.zeros((2, 0), "float32")),
        Sample("nd.ones", ((2, 3),)),
        Sample("nd.ones", ((2,),), {"dtype": "uint8"}),
        Sample("nd.empty", ((2, 3),), random=True),
        Sample("nd.full", ((2, 3), 2.5)),
        Sample("nd.full", ((2,), 3.7), {"dtype": "int32"}),
        Sample("nd.full", (2, True)),
        Sample("nd.eye", (3,)),
        Sample("nd.eye", (2, 3, 1)),
        Sample("nd.eye", (3, 2, -1), {"dtype": "int32"}),
        Sample("nd.eye", (2, 2, 5)),
        Sample("nd.zeros_like", (A,), grad=False),
        Sample("nd.zeros_like", (I32,)),
        Sample("nd.ones_like", (A,), grad=False),
        Sample("nd.ones_like", (I32,)),
        Sample("np.zeros", (3,)),
        Sample("np.zeros", ((),)),
        Sample("np.zeros", ((2, 0),)),
        Sample("np.zeros", ((2,),), {"dtype": float}),
        Sample("np.zeros", ((2,),), {"dtype": bool}),
        Sample("np.ones", ((2,),), {"dtype": "int64"}),
        Sample("np.empty", ((2, 3),), random=True),
        Sample("np.full", ((2,), 3)),
        Sample("np.full", ((2,), True)),
        Sample("np.full", (2, 3), {"dtype": "int8"}),
        Sample("np.eye", (2,)),
        Sample("np.eye", (2, 3), {"k": -1}),
        Sample("np.eye", (2,), {"dtype": int}),
        Sample("np.eye", (2, 0)),
        Sample("np.identity", (3,)),
        Sample("np.identity", (2,), {"dtype": "int32"}),
        Sample("np.indices", ((2, 3),)),
        Sample("np.zeros_like", (I32,)),
        Sample("np.zeros_like", (A,), {"dtype": "int32"}, grad=False),
        Sample("np.ones_like", (A,), {"dtype": "int32"}, grad=False),
        Sample("np.full_like", (I32, 3.7)),
        Sample("np.full_like", (A, True), grad=False),
        Sample("np.empty_like", (A,), grad=False, random=True),
    ]


def sequences() -> list[Sample]:
    return [
        Sample("nd.arange", (5,)),
        Sample("nd.arange", (1, 5)),
        Sample("nd.arange", (0, 1, 0.3)),
        Sample("nd.arange", (0.5, 3.1, 0.7)),
        Sample("nd.arange", (5, 0, -2)),
        Sample("nd.arange", (2,), {"repeat": 3}),
        Sample("nd.arange", (10,), {"dtype": "uint8"}),
        Sample("nd.arange", (10,), {"dtype": "float64", "step": 0.125}),
        Sample("nd.arange", (5, 1), differs=REVERSED, want=onp.zeros(0, "float32")),
        Sample("nd.arange", (1, 5, 0), error="MXNetError"),
        Sample("np.arange", (5,)),
        Sample("np.arange", (1, 5, 2), {"dtype": "int32"}),
        Sample("np.arange", (1.5,)),
        Sample("np.arange", (5, 1)),
        Sample("np.arange", (3, 0, -1), {"dtype": "int64"}),
        Sample("nd.linspace", (0, 1, 5)),
        Sample("nd.linspace", (0, 1, 5), {"endpoint": False}),
        Sample("nd.linspace", (2, 1, 1)),
        Sample("nd.linspace", (0, 10, 5), {"dtype": "int32"}),
        Sample("np.linspace", (-1, 1)),
        Sample("np.linspace", (0, 1, 3), {"dtype": "int32"}),
        Sample("np.logspace", (0, 2, 3)),
        Sample("np.logspace", (0, 3, 4), {"base": 2.0, "endpoint": False}),
        Sample("npx.arange_like", (A,), grad=False),
        Sample("npx.arange_like", (A,), {"axis": 1, "start": 2.0, "step": 0.5}, grad=False),
        Sample("npx.arange_like", (A,), {"axis": 0}, grad=False),
    ]


def nd_random() -> list[Sample]:
    found = [
        Sample("nd.random.randn", (2, 3)),
        Sample("nd.random.randn", (4,), {"loc": 5, "scale": 2, "dtype": "float64"}),
        Sample("nd.random.randint", (0, 5)),
        Sample("nd.random.randint", (0, 5), {"shape": (2, 3), "dtype": "int64"}),
        Sample("nd.random.multinomial", (CHANCES,)),
        Sample("nd.random.multinomial", (CHANCES[0],)),
        Sample("nd.random.multinomial", (CHANCES, (4, 2))),
        Sample("nd.random.multinomial", (CHANCES, 2, True), {"dtype": "float64"}),
        Sample("nd.random.shuffle", (A,)),
        Sample("nd.random.uniform_like", (A.astype("float64"),)),
        Sample("nd.random.normal_like", (A,), {"loc": 1.0, "scale": 2.0}),
        Sample("nd.random.exponential_like", (A,), {"lam": 2.0}),
        Sample("nd.random.gamma_like", (A,), {"alpha": 2.0, "beta": 2.0}),
        Sample("nd.random.poisson_like", (A,), {"lam": 2.0}),
    ]
    two = ("uniform", "normal", "gamma", "negative_binomial", "generalized_negative_binomial")
    for name in two:
        chances = name == "negative_binomial"  # whose second parameter is a chance
        second = (LOW * 0.5 + 0.25) if chances else HIGH
        found += [
            Sample(f"nd.random.{name}"),
            Sample(
                f"nd.random.{name}", (1, 0.75 if chances else 1.5, (2, 3)), {"dtype": "float64"}
            ),
            Sample(f"nd.random.{name}", (HIGH, second)),
            Sample(f"nd.random.{name}", (HIGH, second), {"shape": (2, 2)}),
        ]
    for name in ("exponential", "poisson"):
        found += [
            Sample(f"nd.random.{name}"),
            Sample(f"nd.random.{name}", (2.0, 3)),
            Sample(f"nd.random.{name}", (HIGH, (2, 2))),
        ]
    return [
        Sample(s.call, s.args, s.attrs, grad=False, random=True, id=s.id, error=s.error)
        for s in found
    ]


def np_random() -> list[Sample]:
    both = [
        Sample(f"np.random.{name}", args, attrs, grad=False, random=True)
        for name in ("uniform", "normal")
        for args, attrs in [
            ((), {}),
            ((0.0, 1.0), {"size": 3}),
            ((1, 2, (2, 3)), {"dtype": "float64"}),
            ((LOW, HIGH), {}),
            ((LOW, 4.0), {"size": (2, 3)}),
            ((LOW.reshape(3, 1), HIGH), {}),
        ]
    ]
    found = [
        Sample("np.random.normal", (0.0, -1.0), {"size": 2}, error="MXNetError"),
        Sample("np.random.uniform", (LOW, 1.0), {"size": (2,)}, grad=False, error="ShapeError"),
        Sample("np.random.randn", (2, 3)),
        Sample("np.random.randn"),
        Sample("np.random.rand", (4,)),
        Sample("np.random.rand"),
        Sample("np.random.randint", (5,)),
        Sample("np.random.randint", (1, 5), {"size": (2, 3), "dtype": "int32"}),
        Sample("np.random.choice", (5,)),
        Sample("np.random.choice", (5, (2, 2))),
        Sample("np.random.choice", (5, 3, False)),
        Sample("np.random.choice", (floats(4), 3)),
        Sample("np.random.choice", (3, 4), {"p": CHANCES[0]}),
        Sample("np.random.choice", (3, 2), {"p": [0.25, 0.5, 0.25]}, differs=NUMBERS),
        Sample("np.random.multinomial", (10, [0.5, 0.5])),
        Sample("np.random.multinomial", (10, [0.5, 0.25, 0.25]), {"size": (3, 2)}),
        Sample("np.random.exponential", (2.0,), {"size": (2, 3)}),
        Sample("np.random.exponential", (HIGH,)),
        Sample("np.random.gamma", (2.0, 3.0), {"size": 3}),
        Sample("np.random.gamma", (HIGH, HIGH)),
        Sample("np.random.beta", (1.0, 2.0), {"size": 3}),
        Sample("np.random.shuffle", (floats(1, 3),)),
        Sample("np.random.permutation", (4,), differs=MISSING),
        Sample("np.random.permutation", (A,), differs=MISSING),
        Sample("np.random.poisson", (2.0, 3), differs=MISSING),
        Sample("npx.random.bernoulli", (0.5,), {"size": 3}),
        Sample("npx.random.bernoulli", (), {"prob": CHANCES}),
        Sample("npx.random.bernoulli", (), {"logit": LOW, "size": (2, 3), "dtype": "int32"}),
        Sample("npx.random.bernoulli", (), {"size": 3}, error="MXNetError"),
    ]
    return both + [
        Sample(
            s.call,
            s.args,
            s.attrs,
            grad=False,
            random=not s.error,
            error=s.error,
            differs=s.differs,
            id=s.id,
        )
        for s in found
    ]


SAMPLES = plain() + sequences() + nd_random() + np_random()
