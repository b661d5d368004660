"""Samples of the layers: fully connected, convolution, pooling, activations, norms, softmax."""

import itertools

import numpy as onp

from tests.ops.samples import Sample, floats, ints


NAN = onp.asarray([[onp.nan, -1.0, 2.0]], "float32")

NO_BIAS = "MXNet wants no_bias=True where the bias is missing"
NAN_RELU = "MXNet turns NaN into 0; NaN passes through"
RANDOM_SLOPES = "MXNet gives a second array of arbitrary slopes, and fails in training"
SELU = "MXNet's gradient of selu below zero is wrong"
NAN_POOL = "MXNet's maximum overlooks NaN; NaN passes through"
ONEDNN = "MXNet's CPU kernel refuses this layout or target shape; we follow its formula"
SAME = "MXNet 1.9.1 fails for this convention outside its GPU build; we follow its formula"
NUMBER = "MXNet takes one number as a one-dimensional size; it stands for all axes"
CLIPPED = "MXNet clips an index out of range in silence"
OVERRUN = "MXNet does not check the shape, and reads beyond the end"


def f64(*arrays: onp.ndarray) -> tuple[onp.ndarray, ...]:
    return tuple(array.astype("float64") for array in arrays)


def both(name: str, alias: str, *rest, **options) -> list[Sample]:
    """Make the same sample of the nd and the npx name."""
    return [Sample(f"nd.{name}", *rest, **options), Sample(f"npx.{alias}", *rest, **options)]


X23, W43, B4 = floats(2, 3), floats(4, 3), floats(4)
FC = [
    *both("FullyConnected", "fully_connected", (X23, W43, B4), {"num_hidden": 4}),
    Sample("nd.FullyConnected", (*f64(X23, W43, B4), 4)),
    Sample("nd.FullyConnected", (floats(2, 3, 2), floats(4, 6), B4), {"num_hidden": 4}),
    Sample("nd.FullyConnected", (X23, W43), {"num_hidden": 4, "no_bias": True}),
    Sample(
        "nd.FullyConnected",
        (floats(2, 4, 3), W43, B4),
        {"num_hidden": 4, "flatten": False},
    ),
    Sample("nd.FullyConnected", (floats(3), W43, B4), {"num_hidden": 4, "flatten": False}),
    Sample("nd.FullyConnected", (floats(3), floats(4, 1), B4), {"num_hidden": 4}),
    Sample("nd.FullyConnected", (X23, W43), {"num_hidden": 4}, differs=NO_BIAS, want=X23 @ W43.T),
    Sample("nd.FullyConnected", (X23, floats(4, 2), B4), {"num_hidden": 4}, error="ShapeError"),
    Sample("nd.FullyConnected", (X23, W43, B4), {"num_hidden": 5}, error="ShapeError"),
]

ACTIVATIONS = [
    *both("Activation", "activation", (X23,), {"act_type": "tanh"}),
    *[
        Sample("nd.Activation", (40 * X23,), {"act_type": kind}, id=kind)
        for kind in ("relu", "sigmoid", "softrelu", "softsign")
    ],
    Sample("nd.Activation", f64(30 * X23), {"act_type": "softrelu"}),
    Sample("nd.Activation", (NAN,), {"act_type": "relu"}, differs=NAN_RELU, want=NAN.clip(0)),
    Sample("nd.Activation", (X23,), {"act_type": "sigmiod"}, error="MXNetError"),
    Sample("nd.hard_sigmoid", (4 * X23,)),
    Sample("nd.hard_sigmoid", (4 * X23,), {"alpha": 0.75, "beta": 0.25}),
    Sample("nd.hard_sigmoid", f64(4 * X23), rtol=1e-6),
    Sample("nd.hard_sigmoid", (ints(3),), error="DTypeError"),
    *both("LeakyReLU", "leaky_relu", (X23,)),
    *[
        Sample("nd.LeakyReLU", (3 * X23,), {"act_type": kind, "slope": 0.5}, id=kind)
        for kind in ("leaky", "elu", "gelu")
    ],
    Sample("nd.LeakyReLU", (3 * X23,), {"act_type": "selu"}, grad_differs=SELU),
    Sample("nd.LeakyReLU", f64(3 * X23), {"act_type": "gelu"}, rtol=1e-6),
    Sample("nd.LeakyReLU", (floats(2, 3, 2), floats(3)), {"act_type": "prelu"}),
    Sample("nd.LeakyReLU", (X23, floats(1)), {"act_type": "prelu"}),
    Sample(
        "nd.LeakyReLU",
        (X23,),
        {"act_type": "rrelu", "lower_bound": 0.25, "upper_bound": 0.75},
        differs=RANDOM_SLOPES,
        want=onp.where(X23 > 0, X23, X23 / 2),
    ),
    Sample("nd.LeakyReLU", (X23,), {"act_type": "prelu"}, error="MXNetError"),
    Sample("nd.LeakyReLU", (X23, floats(3)), error="MXNetError"),
    Sample("nd.LeakyReLU", (X23,), {"act_type": "glu"}, error="MXNetError"),
    Sample(
        "nd.LeakyReLU",
        (floats(2, 3, 2), floats(2)),
        {"act_type": "prelu"},
        differs=OVERRUN,
        error="ShapeError",
    ),
]


def convolution() -> list[Sample]:
    x, w, b = floats(2, 4, 5, 6), floats(6, 4, 3, 3), floats(6)
    square = {"kernel": (3, 3), "num_filter": 6}
    last = (0, 2, 3, 1)
    plain = Sample("nd.Convolution", (x, w, b), square)
    return [
        plain,
        Sample("npx.convolution", (x, w, b), square),
        Sample("nd.Convolution_v1", (x, w, b), square),
        Sample("nd.Convolution", (*f64(x, w), b.astype("float64")), square),
        Sample("nd.Convolution", (x, w), {**square, "no_bias": True, "stride": (2, 1)}),
        Sample("nd.Convolution", (x, w, b), {**square, "pad": (1, 2), "dilate": (2, 1)}),
        Sample("nd.Convolution", (x, w[:, :2], b), {**square, "num_group": 2}),
        Sample("nd.Convolution", (x[:, :6], floats(4, 1, 3, 3), b[:4]), depthwise()),
        Sample("nd.Convolution", (floats(2, 3, 7), floats(4, 3, 3), b[:4]), line(stride=(2,))),
        Sample("nd.Convolution", (floats(1, 2, 3, 4, 3), floats(3, 2, 2, 2, 2), b[:3]), cube()),
        Sample(
            "nd.Convolution",
            (floats(1, 2, 4, 4, 3), floats(4, 1, 2, 2, 2)),
            {
                **cube(),
                "num_filter": 4,
                "num_group": 2,
                "no_bias": True,
                "stride": (2, 1, 1),
                "pad": (1, 0, 1),
                "dilate": (1, 2, 1),
            },
        ),
        Sample(
            "nd.Convolution",
            (floats(2, 4, 7), floats(4, 2, 2), b[:4]),
            line(kernel=(2,), dilate=(3,), pad=(2,), num_group=2),
        ),
        Sample(
            "nd.Convolution",
            (x.transpose(last).copy(), w.transpose(last).copy(), b),
            {**square, "layout": "NHWC"},
            differs=ONEDNN,
        ),
        Sample("nd.Convolution", (x, w, b), {**square, "stride": 2}, differs=NUMBER),
        Sample("nd.Convolution", (x, w), square, differs=NO_BIAS),
        Sample("nd.Convolution", (x[:, :3].copy(), w, b), square, error="ShapeError"),
        Sample("nd.Convolution", (x[0], w, b), square, error="ShapeError"),
        Sample("nd.Convolution", (x, w, b), {**square, "num_filter": 5}, error="ShapeError"),
        Sample("nd.Convolution", (x, w, b), {**square, "kernel": (3, 2)}, error="ShapeError"),
    ]


def depthwise() -> dict[str, object]:
    return {"kernel": (3, 3), "num_filter": 4, "num_group": 4}


def line(**more: object) -> dict[str, object]:
    return {"kernel": (3,), "num_filter": 4, **more}


def cube() -> dict[str, object]:
    return {"kernel": (2, 2, 2), "num_filter": 3}


def deconvolution() -> list[Sample]:
    x, w, b = floats(2, 4, 3, 3), floats(4, 3, 3, 3), floats(3)
    square = {"kernel": (3, 3), "num_filter": 3}
    steps = {**square, "stride": (2, 2)}
    fitted = {**steps, "target_shape": (6, 5)}
    return [
        *both("Deconvolution", "deconvolution", (x, w), square),
        Sample("nd.Deconvolution", (x, w, b), {**steps, "no_bias": False}),
        Sample("nd.Deconvolution", f64(x, w), {**steps, "pad": (1, 0), "adj": (1, 1)}),
        Sample("nd.Deconvolution", (x, w), {**steps, "dilate": (2, 1)}),
        Sample("nd.Deconvolution", (x, w), {"kernel": (3, 3), "num_filter": 6, "num_group": 2}),
        Sample(
            "nd.Deconvolution",
            (floats(2, 3, 4), floats(3, 2, 2)),
            {"kernel": (2,), "num_filter": 2},
        ),
        Sample(
            "nd.Deconvolution",
            (floats(2, 3, 4), floats(3, 2, 3)),
            {"kernel": (3,), "num_filter": 2, "stride": (2,), "pad": (1,), "adj": (1,)},
        ),
        Sample(
            "nd.Deconvolution",
            (floats(1, 2, 2, 3, 2), floats(2, 2, 2, 2, 2), b[:2]),
            {**cube(), "num_filter": 2, "stride": (2, 1, 2), "adj": (1, 0, 1), "no_bias": False},
        ),
        Sample(
            "nd.Deconvolution",
            (x, w[:, :2].copy()),
            {"kernel": (3, 3), "num_filter": 4, "num_group": 2, "stride": (1, 2), "pad": (1, 1)},
        ),
        Sample("nd.Deconvolution", (x, w), fitted, differs=ONEDNN),
        Sample("nd.Deconvolution", (x, w), {**steps, "target_shape": (9, 9)}, error="ShapeError"),
        Sample("nd.Deconvolution", (x[:, :3].copy(), w), square, error="ShapeError"),
    ]


def windows() -> list[Sample]:
    """Every pool type by every convention, and paddings and steps that change the windows."""
    found = []
    steps = [(2, 2, 0), (3, 2, 1), (2, 3, 0), (2, 3, 1), (3, 1, 2)]
    for size, (kernel, stride, pad) in itertools.product((5, 6), steps):
        for kind, convention in itertools.product(("max", "avg", "sum"), ("valid", "full")):
            attrs = {
                "kernel": (kernel, kernel),
                "pool_type": kind,
                "stride": (stride, stride),
                "pad": (pad, pad),
                "pooling_convention": convention,
            }
            data = floats(1, 2, size, size + 1)
            found.append(
                # MXNet forgets in predict mode which elements were the largest.
                Sample("nd.Pooling", (data,), attrs, id=f"{kind}-{convention}", train=kind == "max")
            )
            if kind == "avg" and pad and (size, stride) != (5, 3):  # which MXNet has no kernel for
                without = {**attrs, "count_include_pad": False}
                found.append(Sample("nd.Pooling", (data,), without, id=f"{convention}-inside"))
    return found


def pooling() -> list[Sample]:
    x, row = floats(2, 3, 4, 5), floats(2, 3, 5)
    two = {"kernel": (2, 2)}
    positive = floats(2, 3, 4, 5, low=0.1, high=1)
    same = {"kernel": (2,), "stride": (2,), "pooling_convention": "same"}
    ends = onp.concatenate([onp.maximum(row[..., :4:2], row[..., 1:4:2]), row[..., 4:]], 2)
    return [
        Sample("npx.pooling", (x,), two, train=True),
        Sample("nd.Pooling_v1", (x,), {**two, "pool_type": "avg", "pad": (1, 1)}),
        Sample("nd.Pooling", f64(x), two),
        Sample("nd.Pooling", f64(row), {"kernel": (3,), "pad": (2,), "pooling_convention": "full"}),
        Sample("nd.Pooling", f64(x), {**two, "pool_type": "avg"}),
        *[
            Sample(
                "nd.Pooling", (x,), {"global_pool": True, "pool_type": kind}, train=kind == "max"
            )
            for kind in ("max", "avg", "sum")
        ],
        *[
            Sample("nd.Pooling", (positive,), {**two, "pool_type": "lp", "p_value": power})
            for power in (1, 2, 3)
        ],
        Sample("nd.Pooling", (row,), {"kernel": (2,), "pool_type": "avg", "pad": (1,)}),
        Sample("nd.Pooling", (row,), {"kernel": (3,), "stride": (2,)}, train=True),
        Sample(
            "nd.Pooling",
            (floats(1, 2, 3, 4, 5),),
            {
                "kernel": (2, 3, 2),
                "stride": (2, 1, 2),
                "pad": (0, 1, 0),
                "pool_type": "avg",
                "pooling_convention": "full",
                "count_include_pad": False,
            },
        ),
        Sample("nd.Pooling", (row,), {"kernel": (3,), "pool_type": "sum"}),
        Sample("nd.Pooling", (floats(1, 2, 3, 4, 3),), {"kernel": (2, 2, 2)}, train=True),
        Sample("nd.Pooling", (floats(1, 2, 3, 4, 3),), {"kernel": (2, 2, 2), "pool_type": "avg"}),
        Sample("nd.Pooling", (floats(1, 2, 3, 4, 3),), {"kernel": (2, 2, 2), "pool_type": "sum"}),
        Sample("nd.Pooling", (row,), same, differs=SAME, want=ends),
        Sample("nd.Pooling", (floats(2, 4, 4, 3),), {**two, "layout": "NHWC"}),
        Sample("nd.Pooling", (x,), {"kernel": 2}, differs=NUMBER),
        Sample(
            "nd.Pooling", (NAN[None],), {"kernel": (3,)}, differs=NAN_POOL, want=NAN[None, :, :1]
        ),
        Sample("nd.Pooling", (x,), {"kernel": (5, 5)}, error="ShapeError"),
        Sample("nd.Pooling", (x,), {**two, "pad": (2, 2)}, error="ShapeError"),
        Sample("nd.Pooling", (x,), {**two, "pool_type": "min"}, error="MXNetError"),
        Sample("nd.Pooling", (x,), {**two, "pool_type": "lp"}, error="MXNetError"),
        Sample("nd.Pooling", (x,), error="MXNetError"),
    ]


TABLE = floats(5, 3)
REST = [
    *both("Embedding", "embedding", (ints(2, 4, high=5), TABLE), {"input_dim": 5, "output_dim": 3}),
    Sample("nd.Embedding", (ints(4, high=5).astype("float32"), TABLE, 5, 3), fixed=(0,)),
    Sample("nd.Embedding", (ints(4, high=5), TABLE.astype("float64"), 5, 3)),
    Sample(
        "nd.Embedding",
        (onp.asarray([1, 5], "int32"), TABLE, 5, 3),
        differs=CLIPPED,
        error="IndexError",
    ),
    Sample(
        "nd.Embedding",
        (onp.asarray([1, -1], "int32"), TABLE, 5, 3),
        differs=CLIPPED,
        error="IndexError",
    ),
    Sample("nd.Embedding", (ints(4, high=5), TABLE, 4, 3), error="ShapeError"),
    *both("Dropout", "dropout", (X23,), {"p": 0.5}),
    *both("Dropout", "dropout", (X23,), {"p": 0.5}, train=True, random=True),
    Sample("nd.Dropout", (floats(4, 3, 2),), {"p": 0.25, "axes": (1, 2)}, train=True, random=True),
    Sample("nd.Dropout", (X23,), {"mode": "always"}, random=True),
    Sample("nd.Dropout", (X23,), {"p": 0.0}, train=True),
    Sample("nd.Dropout", (X23,), {"p": 1.5}, error="MXNetError"),
]

SAMPLES = FC + ACTIVATIONS + convolution() + deconvolution() + windows() + pooling() + REST
