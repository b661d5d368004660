"""Samples of transforms of vectors, of positions as data, and of single functions of `contrib`."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


M = floats(2, 3)
OLD, NEW = floats(3, 2), floats(2, 2)
ROWS = onp.asarray([2, 0], "int64")
NAN = onp.asarray([1, onp.nan], "float32")

GPU_ONLY = "MXNet has it on GPUs only"
NO_ZERO = "MXNet fails for empty arrays"
NO_AXES = "MXNet gives an array without axes, as nd has none else; ours has one of length 1"


def transforms() -> list[Sample]:
    spectrum = onp.fft.fft(M)
    pairs = onp.stack([spectrum.real, spectrum.imag], -1).reshape(2, 6).astype("float32")
    places = onp.asarray([[0, 1, 1]], "float32")
    signs = onp.asarray([[1, -1, 1]], "float32")
    sketch = onp.stack([M[:, 0], M[:, 2] - M[:, 1]], 1)
    count = "nd.contrib.count_sketch"
    return [
        Sample("nd.contrib.fft", (M,), differs=GPU_ONLY, want=pairs),
        Sample("nd.contrib.ifft", (pairs,), differs=GPU_ONLY, want=3 * M, rtol=1e-5),
        Sample(
            count,
            (M, places, signs),
            {"out_dim": 2},
            fixed=(1, 2),
            differs=GPU_ONLY,
            want=sketch,
        ),
        Sample(count, (M, places, signs), {"out_dim": 1}, error="IndexError"),
        Sample(count, (M, places[:, :2], signs), {"out_dim": 2}, error="ShapeError"),
        Sample("nd.contrib.quadratic", (M,), {"a": 1.0, "b": 2.0, "c": 3.0}),
        Sample("nd.contrib.quadratic", (ints(3),), {"a": 1, "b": 2, "c": 3}),
    ]


def positions() -> list[Sample]:
    copy, index = "nd.contrib.index_copy", "nd.contrib.index_array"
    return [
        Sample(index, (M,), grad=False),
        Sample(index, (M,), {"axes": (1,)}, grad=False),
        Sample(index, (M,), {"axes": (-1, 0)}, grad=False),
        Sample(index, (ints(2, 2),)),
        Sample(
            index,
            (floats(0, 2),),
            grad=False,
            differs=NO_ZERO,
            want=onp.zeros((0, 2, 2), "int64"),
        ),
        Sample(copy, (OLD, ROWS, NEW)),
        Sample(copy, (OLD, ROWS.astype("float32"), NEW), fixed=(1,)),
        Sample(copy, (OLD, ROWS, NEW[:1]), error="ShapeError"),
    ]


def rest() -> list[Sample]:
    close, like = "nd.contrib.allclose", "nd.contrib.arange_like"
    table = floats(3, 2)
    return [
        *[
            Sample(close, pair, attrs, grad=False, differs=NO_AXES, want=onp.uint8([said]))
            for pair, attrs, said in [
                ((M, M + 1e-7), {}, 1),
                ((M, M + 1e-3), {}, 0),
                ((M, M + 1e-3), {"atol": 1e-2}, 1),
                ((M, M * 1.01), {"rtol": 2e-2}, 1),
                ((NAN, NAN), {}, 1),
                ((NAN, NAN), {"equal_nan": False}, 0),
                ((ints(3), ints(3)), {}, 1),
            ]
        ],
        Sample(close, (M, NAN), grad=False, error="ShapeError"),
        Sample(like, (M,), grad=False),
        Sample(like, (M,), {"axis": 1, "start": 2.0, "step": 0.5}, grad=False),
        Sample("nd.contrib.SparseEmbedding", (ints(2, high=3), table, 3, 2), grad=False),
        Sample("nd.moments", (M,), {"axes": (0,)}),
        Sample("nd.moments", (M,), {"axes": -1, "keepdims": True}),
        Sample("nd.moments", (floats(2, 3, 4).astype("float64"),), {"axes": (0, 2)}),
        Sample(
            "nd.moments",
            (M,),
            differs="MXNet wants axes=",
            want=[M.mean(keepdims=True)[0], M.var(keepdims=True)[0]],
        ),
        Sample(
            "nd.moments",
            (ints(3),),
            {"axes": 0},
            differs="MXNet cuts the mean of integers off",
            error="DTypeError",
        ),
    ]


SAMPLES = transforms() + positions() + rest()
