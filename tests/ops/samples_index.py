"""Samples of operators with index arrays and conditions, and of sorting."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


X = floats(2, 3, 4)
M = floats(3, 4)
V = floats(4)
F = onp.asarray([0, 2, 1], "float32")
I32 = onp.asarray([0, 2, 1, 2], "int32")
I64 = onp.asarray([[0, 1], [2, 0]], "int64")
FAR = onp.asarray([0, -1, 5], "float32")
MASK = onp.asarray([[1, 0, 0, 1], [0, 2, 0, 0], [1, 1, 0, 0]], "float32")
BOOL = MASK > 0
TIES = onp.asarray([[0.3, 0.1, 0.3, 0.2], [5, 5, 4, 5]], "float32")
WHOLE = ints(3, 4)
SCALAR = onp.asarray(1.5, "float32")

SILENT = "an index out of range is an error; MXNet takes the nearest valid one silently"
PROMOTED = "MXNet refuses arrays of different dtypes; we promote them"
INVERTED = "MXNet gives the gradient of the places that were not chosen if one choice is a number"
BACKWARD = "negative indices count from the end, as in NumPy; MXNet's mode raise refuses them"
ERROR = "OutOfRangeError"


def takes() -> list[Sample]:
    return [
        Sample("nd.take", (M, F), {"axis": 0, "mode": "clip"}, fixed=(1,)),
        Sample("nd.take", (M, I32)),
        Sample("nd.take", (X, I64), {"axis": 1}),
        Sample("nd.take", (X, I32), {"axis": -1}),
        Sample("nd.take", (M, onp.asarray([0.9, 1.2], "float32")), fixed=(1,)),
        Sample("nd.take", (M, FAR), {"mode": "clip"}, fixed=(1,)),
        Sample("nd.take", (M, FAR), {"mode": "wrap"}, fixed=(1,)),
        Sample("nd.take", (M, FAR), {"mode": "raise"}, error=ERROR, fixed=(1,)),
        Sample("nd.take", (M, FAR), error=ERROR, differs=SILENT, fixed=(1,)),
        Sample("nd.take", (WHOLE, I32), {"axis": 1}),
        Sample("nd.take", (M, F), {"mode": "throw"}, error="MXNetError", fixed=(1,)),
        Sample("nd:.take", (M, I32)),
        Sample("np.take", (M, I32)),
        Sample("np.take", (M, I32), {"axis": 0}),
        Sample("np.take", (M, onp.asarray(1, "int32")), {"axis": 1}),
        Sample("np.take", (M, FAR), {"axis": 0, "mode": "clip"}, fixed=(1,)),
        Sample("np.take", (M, FAR), {"axis": 1, "mode": "wrap"}, fixed=(1,)),
        Sample("np.take", (M, FAR), {"axis": 0}, error=ERROR, fixed=(1,)),
        Sample("np.take", (M, -I64), {"axis": 0}, differs=BACKWARD, want=M.take(-I64, 0)),
        Sample(
            "np.take",
            (M, 1),
            {"axis": 1},
            differs="a number may be an index, as in NumPy",
            want=M.take(1, 1),
        ),
        Sample("np:.take", (M, I32), {"axis": 0}),
    ]


def picks() -> list[Sample]:
    rows = onp.asarray([0, 3, 1], "float32")
    found = []
    for space in ("nd", "npx"):
        call = f"{space}.pick"
        found += [
            Sample(call, (M, rows), fixed=(1,)),
            Sample(call, (M, rows), {"axis": 1, "keepdims": True}, fixed=(1,)),
            Sample(call, (M, I32), {"axis": 0}),
            Sample(call, (M, rows.reshape(3, 1)), {"axis": 1}, fixed=(1,)),
            Sample(call, (M, FAR), {"mode": "clip"}, fixed=(1,)),
            Sample(call, (M, FAR), {"mode": "wrap"}, fixed=(1,)),
            Sample(call, (M, FAR), error=ERROR, differs=SILENT, fixed=(1,)),
            Sample(call, (X, ints(2, 4, high=3)), {"axis": 1}),
            Sample(call, (M, floats(2)), error="ShapeError"),
        ]
    found += [
        Sample("nd.choose_element_0index", (M, rows), fixed=(1,)),
        Sample("nd:.pick", (M, rows), fixed=(1,)),
        Sample(
            "npx.pick",
            (V, onp.asarray(2, "int32")),
            differs="MXNet needs two axes",
            want=onp.asarray(V[2]),
        ),
    ]
    return found


def hots() -> list[Sample]:
    labels = onp.asarray([1, 0, 2, 5, -1], "float32")
    return [
        Sample("nd.one_hot", (labels,), {"depth": 3}, grad=False),
        Sample("nd.one_hot", (I64, 3)),
        Sample(
            "nd.one_hot", (I32,), {"depth": 3, "on_value": 5, "off_value": -1, "dtype": "int32"}
        ),
        Sample("nd.one_hot", (I32,), {"depth": 3, "on_value": 0.9, "off_value": 0.1}),
        Sample("nd.one_hot", (I32,), {"depth": 3, "dtype": "float64"}),
        Sample("nd:.one_hot", (I32, 3)),
        Sample("npx.one_hot", (I32, 4)),
        Sample("npx.one_hot", (onp.asarray(1, "int32"), 3)),
    ]


def wheres() -> list[Sample]:
    other = floats(3, 4, seed=1)
    return [
        Sample("nd.where", (MASK, M, other), fixed=(0,)),
        Sample("nd.where", (onp.asarray([1, 0, 2], "float32"), M, other), fixed=(0,)),
        Sample("nd.where", (onp.asarray([1, 0, 2], "int32"), M, other)),
        Sample("nd.where", (I32, V, floats(4, seed=1))),
        Sample("nd.where", (MASK, WHOLE, WHOLE + 1), grad=False),
        Sample("nd.where", (MASK, M, floats(2, 4)), error="MXNetError"),
        Sample("np.where", (BOOL, M, other)),
        Sample("np.where", (BOOL, M, 0), grad_differs=INVERTED),
        Sample("np.where", (BOOL, 0.5, M), grad_differs=INVERTED),
        Sample("np.where", (BOOL, 1.0, 0)),
        Sample("np.where", (BOOL, M, SCALAR)),
        Sample("np.where", (MASK, M, other), fixed=(0,)),
        Sample("np.where", (BOOL[0], M, 0), grad_differs=INVERTED),
        Sample(
            "np.where",
            (BOOL, M, WHOLE),
            differs=PROMOTED,
            want=onp.where(BOOL, M, WHOLE.astype("f4")),
        ),
    ]


def gathers() -> list[Sample]:
    places = onp.asarray([[0, 1, 2], [3, 0, 1]], "float32")
    back = onp.asarray([[-1], [0]], "int32")
    return [
        Sample("nd.gather_nd", (M, places), fixed=(1,)),
        Sample("nd.gather_nd", (X, onp.asarray([[0, 1], [2, 0]], "int32"))),
        Sample("nd.gather_nd", (M, onp.asarray([[0, 1]], "int64"))),
        Sample("nd.gather_nd", (M, back), grad=False),  # MXNet corrupts its memory
        Sample("nd.gather_nd", (M, places + 3), error=ERROR, fixed=(1,)),
        Sample("nd.gather_nd", (V, places), error="ShapeError", fixed=(1,)),
        Sample("npx.gather_nd", (M, places), fixed=(1,)),
        Sample("nd.scatter_nd", (floats(3), places), {"shape": (3, 4)}, fixed=(1,)),
        Sample(
            "nd.scatter_nd",
            (floats(2, 4), onp.asarray([[0, 2]], "int32")),
            {"shape": (3, 4)},
        ),
        Sample("nd.scatter_nd", (ints(3), places), {"shape": (4, 4)}, grad=False),
        Sample("nd.contrib.boolean_mask", (M, onp.asarray([1, 0, 2], "float32")), fixed=(1,)),
        Sample("nd.contrib.boolean_mask", (M, onp.asarray([1, 0, 1], "int32"))),
        Sample(
            "nd.contrib.boolean_mask",
            (M, I32),
            {"axis": 1},
            differs="any axis; MXNet knows the first only",
            want=M[:, I32 > 0],
        ),
        Sample("np.nonzero", (BOOL,)),
        Sample("np.nonzero", (WHOLE,)),
        Sample("np.nonzero", (V > 0,)),
        Sample("np.nonzero", (SCALAR,), grad=False),
        Sample("np.flatnonzero", (BOOL,)),
        Sample("npx.nonzero", (BOOL,)),
    ]


def orders() -> list[Sample]:
    found = [
        Sample("nd.sort", (M,), grad=False),  # MXNet cannot differentiate the default axis
        Sample("nd.sort", (M,), {"axis": -1}),
        Sample("nd.sort", (M,), {"axis": 1, "is_ascend": False}),
        Sample("nd.sort", (X,), {"axis": 1}),
        Sample("nd.sort", (M,), {"axis": None}),
        Sample("nd.sort", (WHOLE,)),
        Sample("nd:.sort", (M, 0)),
        Sample("np.sort", (M,)),
        Sample("np.sort", (M, 0)),
        Sample("np.sort", (M,), {"axis": None}),
        Sample("nd.argsort", (M,), grad=False),
        Sample("nd.argsort", (TIES,), grad=False),
        Sample("nd.argsort", (TIES,), {"is_ascend": False}, grad=False),
        Sample("nd.argsort", (M,), {"axis": None}, grad=False),
        Sample("nd.argsort", (M,), {"axis": 0, "dtype": "int32"}, grad=False),
        Sample("nd.argsort", (M,), {"axis": 2}, grad=False, error="ShapeError"),
        Sample("nd:.argsort", (M,), grad=False),
        Sample("np.argsort", (M,), grad=False),
        Sample("np.argsort", (M, 0), grad=False),
        Sample("np.argsort", (TIES,), {"axis": None}, grad=False),
        Sample("np:.argsort", (M,), grad=False),
    ]
    for space in ("nd", "npx"):
        call = f"{space}.topk"
        found += [
            Sample(call, (M,), grad=False),
            Sample(call, (TIES,), {"k": 3}, grad=False),
            Sample(call, (M,), {"k": 2, "ret_typ": "value"}),
            Sample(call, (X,), {"k": 2, "ret_typ": "value", "axis": 1, "is_ascend": True}),
            Sample(call, (TIES,), {"k": 2, "ret_typ": "mask"}, grad=False),
            Sample(call, (M,), {"k": 1, "axis": 0, "dtype": "int32"}, grad=False),
            Sample(call, (M,), {"k": 2, "axis": None}, grad=False),
            Sample(call, (M,), {"k": 3, "axis": None, "ret_typ": "value"}),
            Sample(call, (M,), {"k": 0}, grad=False),
            Sample(call, (M,), {"k": 2, "ret_typ": "both"}, grad=False),
            Sample(call, (WHOLE,), {"k": 2, "ret_typ": "both"}),
            Sample(call, (M,), {"k": 5}, grad=False, error="ShapeError"),
            Sample(call, (M,), {"ret_typ": "all"}, grad=False, error="MXNetError"),
        ]
    more = {"return_index": True, "return_inverse": True, "return_counts": True}
    values = onp.asarray([3, 1, 1, 2, 3], "float32")
    rows = onp.asarray([[1, 2], [1, 2], [0, 1]], "float32")
    found += [
        Sample("nd:.topk", (M,), {"k": 2}, grad=False),
        Sample("np.unique", (values,), grad=False),
        Sample("np.unique", (values,), more, grad=False),
        Sample("np.unique", (WHOLE,), {"return_inverse": True}),
        Sample("np.unique", (WHOLE,), {"return_counts": True}),
        Sample("np.unique", (rows,), {"axis": 0}, grad=False),
        Sample("np.unique", (rows,), {"axis": 0, **more}, grad=False),
    ]
    return found


SAMPLES = [
    *takes(),
    *picks(),
    *hots(),
    *wheres(),
    *gathers(),
    *orders(),
]
