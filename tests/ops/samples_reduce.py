"""Samples of reductions."""

from typing import Any

import numpy as onp

from tests.ops.samples import Sample, floats, ints


A = floats(2, 3, 4, low=0.5, high=2.0)
M = floats(2, 3, low=-2, high=2)
SCALAR = onp.asarray(1.5, "float32")
HOLES = onp.asarray([[1, onp.nan, 3], [onp.nan, 5, 0.5]], "float32")
BOOL = onp.asarray([[True, False, True], [False, False, False]])
EMPTY = onp.zeros((0, 3), "float32")
TIES = onp.asarray([[3, 1, 3], [2, 2, 2]], "float32")

WHOLE = "MXNet cuts the result to an integer; ours is float32"
NARROW = "MXNet gives positions in the dtype of the data, which may be too narrow; ours are float32"
ONE = "MXNet leaves the gradient of the sum of the weights out"
NO_GRADIENT = "MXNet gives zeros for the gradient of var and std"
SHARED = "elements that are equal share the gradient; MXNet gives each of them all of it"
EMPTY_MEAN = "the mean of nothing is NaN and its product 1, as in NumPy; MXNet gives 0"


def over_axes(call: str, data: onp.ndarray, nd: bool, **more: Any) -> list[Sample]:
    found = [
        Sample(call, (data,), **more),
        Sample(call, (data,), {"axis": 1}, **more),
        Sample(call, (data,), {"axis": -1, "keepdims": True}, **more),
        Sample(call, (data,), {"axis": (0, 2)}, **more),
        Sample(call, (data,), {"axis": (0, -1), "keepdims": True}, **more),
        Sample(call, (data,), {"keepdims": True}, **more),
        Sample(call, (data.astype("float64"),), {"axis": 0}, id="float64", **more),
        Sample(call, (data.astype("float16"),), {"axis": 0}, id="float16", rtol=4e-3, **more),
        Sample(call, (data,), {"axis": 3}, error="ShapeError", **more),
        Sample(call, (data,), {"axis": ()}, grad=call != "np.std", **more),
    ]
    if nd:
        found += [
            Sample(call, (data,), {"axis": 1, "exclude": True}),
            Sample(call, (data,), {"axis": (0, 1), "exclude": True, "keepdims": True}),
            Sample(call, (data,), {"exclude": True}),
            Sample(call, (data,), {"axis": (0, 1, 2), "exclude": True}),
            Sample(call, (data,), {"axis": (1, 1)}, error="ShapeError"),
        ]
    else:
        smooth = call != "np.std"  # the root has no slope at zero
        found.append(Sample(call, (SCALAR,), grad=smooth, id="no-axes", **more))
    return found


def sums() -> list[Sample]:
    found = []
    for name in ("sum", "mean", "prod", "max", "min", "nansum", "nanprod"):
        found += over_axes(f"nd.{name}", A, nd=True)
        for dtype in ("int32", "uint8", "int8", "int64"):
            data = ints(2, 3, dtype=dtype, low=1, high=5)
            mean = name == "mean"
            want = data.mean(1, dtype="float32") if mean else None
            differs = WHOLE if mean else ""
            found.append(Sample(f"nd.{name}", (data,), {"axis": 1}, differs=differs, want=want))
    for name in ("sum", "mean", "prod", "max", "min"):
        found += over_axes(f"np.{name}", A, nd=False)
        for dtype in ("int32", "uint8", "int64"):
            data = ints(2, 3, dtype=dtype, low=1, high=5)
            found.append(Sample(f"np.{name}", (data,), {"axis": 1}))
        found.append(Sample(f"np.{name}", (BOOL,), {"axis": 1}))
    for name in ("sum", "mean", "prod"):
        for dtype in ("float64", "int32"):
            data = ints(2, 3, dtype="float32", low=1, high=5)
            found.append(Sample(f"np.{name}", (data,), {"axis": 1, "dtype": dtype}, grad=False))
        data = ints(2, 3, low=1, high=5)
        found.append(Sample(f"np.{name}", (data,), {"dtype": "float32"}))
    found += [
        Sample("nd.sum", (BOOL,), {"axis": 1}),
        Sample("nd.max", (BOOL,), {"axis": 1}),
        Sample("nd.sum_axis", (A,), {"axis": 1}),
        Sample("nd.max_axis", (A,), {"axis": 1}),
        Sample("nd.min_axis", (A,), {"axis": 1}),
        Sample("nd.nansum", (HOLES,), grad=False),
        Sample("nd.nanprod", (HOLES,), {"axis": 1}, grad=False),
        Sample("nd.sum", (HOLES,), {"axis": 0}, grad=False),
        Sample("nd.max", (HOLES,), {"axis": 1}, grad=False),
        Sample("np.min", (HOLES,), {"axis": 1}, grad=False),
        Sample("nd.max", (TIES,), {"axis": 1}, grad=False, differs=SHARED, want=TIES.max(1)),
        Sample("np.sum", (EMPTY,)),
        Sample("np.sum", (EMPTY,), {"axis": 0}),
        Sample("np.mean", (EMPTY,), differs=EMPTY_MEAN, want=onp.asarray(onp.nan, "float32")),
        Sample("np.prod", (EMPTY,), {"axis": 0}, differs=EMPTY_MEAN, want=onp.ones(3, "float32")),
        Sample("np.max", (EMPTY,), error="MXNetError"),
        Sample("np.amax", (A,), {"axis": 0}),
        Sample("np.amin", (A,), {"axis": 0}),
        Sample("nd:.sum", (A,), {"axis": 1}),
        Sample("nd:.mean", (A,)),
        Sample("nd:.max", (A,), {"axis": 0}),
        Sample("np:.sum", (A,), {"axis": 0, "keepdims": True}),
        Sample("np:.mean", (A, 1)),
        Sample("np:.min", (A,)),
        Sample("np:.prod", (A,), {"axis": 2}),
    ]
    return found


def positions() -> list[Sample]:
    found = []
    for name in ("argmax", "argmin"):
        nd, np = f"nd.{name}", f"np.{name}"
        fn = getattr(onp, name)
        found += [
            Sample(nd, (M,), grad=False),
            Sample(nd, (M,), {"axis": 1}, grad=False),
            Sample(nd, (M,), {"axis": -2, "keepdims": True}, grad=False),
            Sample(nd, (M,), {"keepdims": True}, grad=False),
            Sample(nd, (TIES,), {"axis": 1}, grad=False),
            Sample(nd, (M.astype("float64"),), {"axis": 0}, grad=False),
            Sample(nd, (ints(2, 3),), {"axis": 1}),
            Sample(nd, (ints(2, 3, dtype="int64"),)),
            Sample(
                nd,
                (ints(2, 3, dtype="uint8"),),
                {"axis": 1},
                differs=NARROW,
                want=fn(ints(2, 3, dtype="uint8"), 1).astype("float32"),
            ),
            Sample(
                nd,
                (M.astype("float16"),),
                {"axis": 1},
                grad=False,
                differs=NARROW,
                want=fn(M, 1).astype("float32"),
            ),
            Sample(nd, (M,), {"axis": 2}, error="ShapeError"),
            Sample(np, (M,), grad=False),
            Sample(np, (M, 1), grad=False),
            Sample(np, (M,), {"axis": -2}, grad=False),
            Sample(np, (TIES, 1), grad=False),
            Sample(np, (ints(2, 3),), {"axis": 0}),
            Sample(np, (SCALAR,), grad=False),
            Sample(np, (EMPTY,), grad=False, error="ShapeError"),
            Sample(f"nd:.{name}", (M,), {"axis": 1}, grad=False),
            Sample(f"np:.{name}", (M,), {"axis": 1}, grad=False),
        ]
    return found


def spreads() -> list[Sample]:
    found = []
    for name in ("var", "std"):
        found += over_axes(f"np.{name}", A, nd=False, grad_differs=NO_GRADIENT)
        found += [
            Sample(f"np.{name}", (A,), {"axis": 2, "ddof": 1}, grad_differs=NO_GRADIENT),
            Sample(f"np.{name}", (floats(1),), {"ddof": 1}, grad=False),
            Sample(f"np.{name}", (A,), {"dtype": "float64"}, rtol=1e-7, grad_differs=NO_GRADIENT),
            Sample(
                f"np.{name}",
                (ints(2, 3),),
                {"axis": 1},
                differs=WHOLE,
                want=getattr(onp, name)(ints(2, 3), 1).astype("float32"),
            ),
            Sample(f"np:.{name}", (A,), {"axis": 1}, grad_differs=NO_GRADIENT),
        ]
    return found


def others() -> list[Sample]:
    weights = floats(3, low=0.5, high=2, seed=3)
    whole = (ints(2, 3), ints(2, low=1, high=4))
    wide = M.astype("float64")
    return [
        Sample("nd.norm", (M,)),
        Sample("nd.norm", (wide,)),
        Sample("nd.norm", (M,), {"ord": 1}),
        Sample("nd.norm", (M,), {"ord": 1, "axis": 1}),
        Sample("nd.norm", (M,), {"axis": 0, "keepdims": True}),
        Sample("nd.norm", (A,), {"axis": (1, 2)}),
        Sample("nd.norm", (M,), {"ord": 3}, error="MXNetError"),
        Sample(
            "nd.norm",
            (ints(2, 3),),
            {"axis": 1},
            differs=WHOLE,
            want=onp.linalg.norm(ints(2, 3), axis=1).astype("float32"),
        ),
        Sample(
            "nd.norm",
            (M,),
            {"out_dtype": "float64"},
            differs="MXNet refuses another dtype for the result",
            want=onp.linalg.norm(wide).reshape(1),
        ),
        Sample("nd:.norm", (M,)),
        Sample("nd.cumsum", (M,)),
        Sample("nd.cumsum", (M,), {"axis": 1, "dtype": "float64"}),
        Sample("nd.cumsum", (ints(2, 3, dtype="int8"),)),
        Sample("np.cumsum", (M,)),
        Sample("np.cumsum", (A, 1)),
        Sample("np.cumsum", (A,), {"axis": -1}, differs="MXNet fails", want=A.cumsum(-1)),
        Sample("np.cumsum", (BOOL,), {"axis": 1}),
        Sample("np.cumsum", (SCALAR,)),
        Sample("np.cumsum", (M,), {"axis": 2}, error="ShapeError"),
        Sample("np:.cumsum", (M, 0)),
        Sample("np.any", (BOOL,), {"axis": 1}),
        Sample("np.any", (M,), grad=False),
        Sample("np.any", (A,), {"axis": (0, 1), "keepdims": True}, grad=False),
        Sample("np.all", (BOOL,), {"axis": 0}),
        Sample("np.all", (ints(2, 3),), {"axis": (0, 1)}),
        Sample("np:.all", (BOOL,)),
        Sample("np:.any", (BOOL,)),
        Sample("np.average", (M,)),
        Sample("np.average", (M,), {"axis": 1, "weights": weights}),
        Sample("np.average", (M,), {"axis": 0, "weights": abs(M) + 0.1}),
        Sample("np.average", (M,), {"weights": abs(M) + 0.1, "returned": True}, grad_differs=ONE),
        Sample("np.average", (M,), {"returned": True}),
        Sample(
            "np.average",
            (M,),
            {"axis": 1, "weights": weights, "returned": True},
            differs="the sum of the weights has the result's shape, as in NumPy; MXNet: no axes",
            want=list(onp.average(M, 1, weights, returned=True)),
        ),
        Sample("np.average", (M,), {"weights": weights}, error="ShapeError", differs="as NumPy"),
        Sample(
            "np.average",
            (whole[0],),
            {"axis": 0, "weights": whole[1]},
            differs=WHOLE,
            want=onp.average(whole[0], 0, whole[1]).astype("float32"),
        ),
    ]


SAMPLES = [*sums(), *positions(), *spreads(), *others()]
