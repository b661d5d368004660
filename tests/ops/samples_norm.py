"""Samples of normalization, softmax in its forms, and the losses that are operators."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


X = floats(2, 3, 4)
IMAGE = floats(2, 3, 4, 2)
SCORES = floats(2, 4)
LENGTHS = onp.asarray([2, 0], "int32")
# Exact in float32, to which MXNet rounds its attributes.
EXACT = {"eps": 2.0**-10, "momentum": 0.75}

FROZEN = "MXNet's gradient in predict mode is wrong: that of training"
NOT_ITS = "MXNet's gradient is not that of its result, for more than two axes"
HEAD = "MXNet multiplies by the result instead of the gradient that flows in"
UNRECTIFIED = "MXNet's gradient overlooks the rectifier"
AUXILIARY = "MXNet knows the moving statistics as a symbol's auxiliary states only"
WRITES = "MXNet writes ones into a fixed gamma"
UNCHECKED = "MXNet does not check the shape, and reads beyond the end"
PER_CHANNEL = "MXNet 1.9.1 fails unless gamma has one value per group"
NO_DOUBLE = "MXNet takes float32 only"
FAR = "MXNet takes chances below 1e-8 as 1e-8"
LABEL = "MXNet reads beyond the end for a label out of range"


def vectors(size: int, dtype: str = "float32") -> tuple[onp.ndarray, ...]:
    """Return gamma, beta, moving mean and moving variance."""
    spread = floats(size, low=0.5, high=2, dtype=dtype)
    return spread, floats(size, seed=1, dtype=dtype), floats(size, seed=2, dtype=dtype), spread + 1


def batch_norm() -> list[Sample]:
    x64 = IMAGE.astype("float64")
    moving = {"fixed": (3, 4)}  # the positions of the moving statistics
    fixed = (onp.ones(3, "float32"), *vectors(3)[1:])
    free = {**EXACT, "fix_gamma": False}
    return [
        Sample("nd.BatchNorm", (IMAGE, *vectors(3)), EXACT, train=True, differs=WRITES, **moving),
        Sample("nd.BatchNorm", (IMAGE, *fixed), EXACT, train=True, **moving),
        Sample("npx.batch_norm", (IMAGE, *vectors(3)), free, train=True, **moving),
        Sample("nd.BatchNorm", (x64, *vectors(3, "float64")), free, train=True, **moving),
        Sample("nd.BatchNorm", (IMAGE, *vectors(2)), {**free, "axis": -1}, train=True, **moving),
        Sample("nd.BatchNorm", (X, *vectors(3)), free, train=True, **moving),
        Sample("nd.BatchNorm_v1", (IMAGE, *fixed), train=True, differs=AUXILIARY, **moving),
        Sample(
            "nd.contrib.BatchNormWithReLU",
            (IMAGE, *vectors(3)),
            free,
            train=True,
            grad_differs=UNRECTIFIED,
            **moving,
        ),
        Sample("nd.contrib.BatchNormWithReLU", (IMAGE, *fixed), grad=False),
        Sample(
            "nd.contrib.BatchNormWithReLU",
            (IMAGE, *fixed),
            {"output_mean_var": True},
            train=True,
            grad_differs=UNRECTIFIED,
            **moving,
        ),
        Sample(
            "nd.contrib.SyncBatchNorm",
            (IMAGE, *vectors(3)),
            {**free, "key": "a"},
            train=True,
            **moving,
        ),
        Sample("nd.BatchNorm", (floats(5, 3), *vectors(3)), free, train=True, **moving),
        Sample("nd.BatchNorm", (floats(1, 3), *vectors(3)), free, train=True, **moving),
        Sample(
            "nd.BatchNorm",
            (IMAGE, *vectors(3)),
            {**free, "use_global_stats": True},
            train=True,
            **moving,
        ),
        Sample("nd.BatchNorm", (IMAGE, *vectors(3)), {**free, "use_global_stats": True}, **moving),
        Sample(
            "nd.BatchNorm",
            (IMAGE, *vectors(3)),
            {**free, "output_mean_var": True},
            train=True,
            **moving,
        ),
        Sample("nd.BatchNorm", (IMAGE, *vectors(3)), {**free, "output_mean_var": True}, grad=False),
        Sample("nd.BatchNorm", (IMAGE, *fixed), EXACT, grad=False),
        Sample("nd.BatchNorm", (IMAGE, *fixed), grad=False),
        Sample("nd.BatchNorm", (IMAGE, *vectors(3)), free, differs=FROZEN, **moving),
        Sample(
            "nd.BatchNorm", (IMAGE, *vectors(4)), grad=False, differs=UNCHECKED, error="ShapeError"
        ),
    ]


def other_norms() -> list[Sample]:
    g3, b3 = vectors(3)[:2]
    g4, b4 = vectors(4)[:2]
    groups = floats(2, 4, 3)
    return [
        Sample("nd.LayerNorm", (X, g4, b4)),
        Sample("npx.layer_norm", (X, g4, b4)),
        Sample("nd.LayerNorm", (X, g3, b3), {"axis": 1, "eps": 0.25}),
        Sample("nd.LayerNorm", (X, g3, b3), {"axis": 1, "output_mean_var": True}, grad=False),
        Sample("nd.LayerNorm", tuple(a.astype("float64") for a in (X, g4, b4)), {"eps": 0.25}),
        Sample("nd.LayerNorm", (X, g3, b3), error="ShapeError"),
        Sample("nd.InstanceNorm", (X, g3, b3)),
        Sample(
            "nd.InstanceNorm",
            (IMAGE.astype("float64"), *vectors(3, "float64")[:2]),
            {"eps": 0.25},
            differs=NO_DOUBLE,
        ),
        Sample("nd.InstanceNorm", (floats(2, 3), g3, b3), error="ShapeError"),
        Sample("nd.GroupNorm", (groups, floats(2), floats(2, seed=1)), {"num_groups": 2}),
        Sample("nd.GroupNorm", (groups, g4, b4), {"num_groups": 4}),
        Sample("nd.GroupNorm", (groups, g4, b4), {"num_groups": 2}, differs=PER_CHANNEL),
        Sample(
            "nd.GroupNorm",
            (groups, floats(2), floats(2, seed=1)),
            {"num_groups": 2, "output_mean_var": True},
            grad=False,
        ),
        Sample("nd.GroupNorm", (groups, g3, b3), {"num_groups": 3}, grad=False, error="ShapeError"),
        *[
            Sample("nd.L2Normalization", (IMAGE,), {"mode": mode})
            for mode in ("instance", "channel", "spatial")
        ],
        Sample("nd.L2Normalization", (X.astype("float64"),), {"eps": 0.25}),
        Sample("nd.LRN", (floats(1, 5, 2, 2),), {"nsize": 3, "alpha": 0.5, "beta": 0.75}),
    ]


def softmax() -> list[Sample]:
    by_length = {"use_length": True}
    places = onp.asarray([[1, 2, 3], [4, 0, 1]], "int32")
    return [
        *[
            Sample(f"{space}.{name}", (X,))
            for space in ("nd", "npx")
            for name in ("softmax", "log_softmax")
        ],
        *[
            Sample(f"nd.{name}", (X,), {"axis": 1, "temperature": 2.0})
            for name in ("softmax", "log_softmax", "softmin")
        ],
        Sample("nd.softmax", (X.astype("float64"),)),
        Sample("nd.softmax", (200 * X,)),
        Sample("nd.log_softmax", (200 * X,)),
        Sample("nd.softmax", (X,), {"dtype": "float64"}, rtol=1e-6),
        Sample("nd.log_softmax", (X,), {"dtype": "float64"}, rtol=1e-6),
        Sample("nd.softmax", (X.astype("float16"),), {"dtype": "float32"}, grad=False, rtol=1e-3),
        Sample("nd.softmax", (SCORES, LENGTHS), by_length),
        Sample("nd.softmax", (X, places), by_length),
        Sample("nd.softmax", (X, ints(2, 4, low=1, high=4)), {**by_length, "axis": 1}),
        Sample("nd.softmax", (X, LENGTHS), by_length, error="ShapeError"),
        Sample("nd.softmax", (SCORES, floats(2)), by_length, error="DTypeError"),
        Sample("nd.softmax", (X,), {"axis": 3}, error="ShapeError"),
        Sample("nd.softmax", (SCORES, LENGTHS), {**by_length, "temperature": 2.0}),
        Sample("nd.softmin", (X,), {"dtype": "float64"}, rtol=1e-6),
        Sample("nd.log_softmax", (X,), by_length, error="MXNetError"),
        Sample("nd.softmin", (X,), by_length, error="MXNetError"),
        Sample("nd.SoftmaxActivation", (X,), grad_differs=NOT_ITS),
        Sample("nd.SoftmaxActivation", (X,), {"mode": "channel"}),
        Sample(
            "nd.softmax_cross_entropy", (SCORES, onp.asarray([3.0, 0.0], "float32")), fixed=(1,)
        ),
        Sample(
            "nd.softmax_cross_entropy",
            (onp.asarray([[30, 0]], "float32"), onp.asarray([1], "float32")),
            fixed=(1,),
            differs=FAR,
            want=onp.asarray([30], "float32"),
        ),
        Sample(
            "nd.softmax_cross_entropy",
            (SCORES, onp.asarray([3.0, 4.0], "float32")),
            fixed=(1,),
            differs=LABEL,
            error="IndexError",
        ),
        Sample("nd.softmax_cross_entropy", (SCORES, floats(3)), fixed=(1,), error="ShapeError"),
    ]


def softmax_output() -> list[Sample]:
    data, label = floats(4, 3), onp.asarray([0, 2, 1, 1], "float32")
    image = floats(2, 3, 4)
    places = ints(2, 4, high=3, dtype="float32")
    chances = floats(4, 3, low=0, high=1)
    flat = [{}, {"grad_scale": 2.0}, {"smooth_alpha": 0.125}]
    both = [
        {"normalization": kind, "use_ignore": use, "ignore_label": 1.0}
        for kind in ("null", "batch", "valid")
        for use in (False, True)
    ]
    # The gradient is not that of the result: it is compared with MXNet's alone.
    alone = {"train": True, "fixed": (1,)}
    return [
        *[Sample("nd.SoftmaxOutput", (data, label), attrs, **alone) for attrs in flat + both],
        *[
            Sample("nd.SoftmaxOutput", (image, places), {"multi_output": True, **attrs}, **alone)
            for attrs in [{}, *both]
        ],
        Sample("nd.SoftmaxOutput", (data, label), {"out_grad": True}, grad_differs=HEAD, **alone),
        Sample("nd.SoftmaxOutput", (data, chances), {"grad_scale": 2.0}, **alone),
        Sample("nd.SoftmaxOutput", (data, chances), {"normalization": "batch"}, **alone),
        Sample(
            "nd.SoftmaxOutput",
            (image, ints(2, 3, high=3, dtype="float32")),
            {"preserve_shape": True},
            **alone,
        ),
        Sample("nd.SoftmaxOutput", (data, label[:3]), error="ShapeError", **alone),
        Sample("nd.SoftmaxOutput", (data, label + 2), differs=LABEL, error="IndexError", **alone),
    ]


SAMPLES = batch_norm() + other_norms() + softmax() + softmax_output()
