"""Samples of arrays from nothing."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


A = floats(2, 3)
I32 = ints(2, 3)

EMPTY_SHAPE = "MXNet's nd has neither scalars nor empty arrays unless np shapes are on"
REVERSED = "MXNet refuses a range without elements; we return an empty array"


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


SAMPLES = plain() + sequences()
