"""Samples of operators on shapes: reshape, transpose, broadcast, join, split, pad, slice, turn."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


X = floats(2, 3, 4)
Y = floats(2, 3, 4, seed=1)
M = floats(2, 3)
N = floats(2, 3, seed=1)
V = floats(3)
W = floats(3, seed=1)
ZERO = onp.asarray(1.5, "float32")
THIN = floats(1, 3, 1)
IMAGE = floats(1, 2, 3, 4)
WHOLE = ints(2, 3)
EMPTY = onp.zeros((0, 3), "float32")

NEGATIVE = "negative axes are counted from the end; MXNet refuses them here"
ANY_RANK = "MXNet pads only the last axes of 4 or 5; we pad any"
PROMOTED = "MXNet refuses arrays of different dtypes; we promote them"
ZEROS = "MXNet gives zeros for this gradient"
NO_BACKWARD = "MXNet has no gradient for this mode"
TURN = "MXNet turns the gradient the wrong way"
MORE = "MXNet 1.9.1 refuses this; we follow NumPy"


def reshapes() -> list[Sample]:
    nd_codes = [(0, -3), (-1,), (0, 0, 0, 1), (6, 4), (-2, 1), (-4, 1, 2, -2), (0, -4, 3, -1, 0)]
    npx_codes = [(-2, -1), (-4,), (-5, -4), (-6, 1, 2, -4), (-6, 1, -1, -4), (-2, -5), (4, 6), -1]
    found = [Sample("nd.reshape", (X,), {"shape": codes}) for codes in nd_codes]
    found += [Sample("npx.reshape", (X, codes)) for codes in npx_codes]
    found += [
        Sample("nd.reshape", (X,), {"shape": 24}),
        Sample("nd.reshape", (floats(10, 5, 4),), {"shape": (-1, 0), "reverse": True}, grad=False),
        Sample("nd.reshape", (X,), {"shape": (-1, 0), "reverse": False}),
        Sample("nd.Reshape", (X,), {"target_shape": (2, 12)}),
        Sample("nd.reshape", (floats(3, 8),), {"shape": (0, 2, -1, -4), "reverse": True}),
        Sample("nd.reshape", (WHOLE,), {"shape": (3, 2)}),
        Sample("nd.reshape", (X,), {"shape": (0, 0, 0, 0)}, error="ShapeError"),
        Sample("nd.reshape", (X,), {"shape": (-1, -1)}, error="ShapeError"),
        Sample("np.reshape", (X, (4, -1))),
        Sample("np.reshape", (X, -1)),
        Sample("np.reshape", (ZERO, (1, 1))),
        Sample("np.reshape", (EMPTY, (3, -1))),
        Sample("np.reshape", (X, (5, 5)), error="ShapeError"),
        Sample("np.reshape", (X, (-2, 12)), error="ShapeError"),
        Sample(
            "np.reshape",
            (X, (4, 6)),
            {"order": "F"},
            error="MXNetError",
            differs="the order F is refused; MXNet ignores it silently",
        ),
        Sample("npx.reshape", (THIN, (-3, -4))),
        Sample("npx.reshape", (X, (-1, -2)), {"reverse": True}),
        Sample("npx.reshape", (X, (-5, -2)), {"reverse": True}),
        Sample("npx.reshape", (floats(2, 6), (-2, 2, -1, -6)), {"reverse": True}),
        Sample("npx.reshape", (X, (-3, -4)), error="ShapeError"),
        Sample("npx.reshape", (X, (-2, -2, -2, -2)), error="ShapeError"),
        Sample("nd.reshape_like", (M, floats(3, 2, seed=4))),
        Sample("npx.reshape_like", (M, floats(3, 2, seed=4))),
        Sample(
            "nd.reshape_like",
            (floats(6, 7), floats(3, 2, 4, seed=4)),
            {"lhs_begin": 0, "lhs_end": 1, "rhs_begin": 0, "rhs_end": 2},
        ),
        Sample(
            "nd.reshape_like",
            (floats(5, 12), floats(4, 2, 2, 3, seed=4)),
            {"lhs_begin": 1, "lhs_end": 2, "rhs_begin": 1, "rhs_end": None},
        ),
        Sample("nd.flatten", (X,)),
        Sample("nd.Flatten", (V,)),
        Sample("npx.batch_flatten", (X,)),
        Sample("np.ravel", (X,)),
        Sample("np.ravel", (ZERO,)),
        Sample("nd.expand_dims", (X,), {"axis": -1}),
        Sample("nd.expand_dims", (X, 1)),
        Sample("nd.expand_dims", (X, 5), error="ShapeError"),
        Sample("np.expand_dims", (X, -4)),
        Sample("np.expand_dims", (ZERO, 0)),
        Sample("nd.squeeze", (THIN,)),
        Sample("nd.squeeze", (floats(1, 1),)),
        Sample("nd.squeeze", (THIN,), {"axis": 0}),
        Sample("nd.squeeze", (THIN,), {"axis": (0, 2)}),
        Sample("nd.squeeze", (X,), {"axis": 0}, error="ShapeError"),
        Sample("np.squeeze", (floats(1, 1),)),
        Sample("np.squeeze", (THIN, -1)),
        Sample("np.squeeze", (THIN, (0, 2))),
        Sample("np.squeeze", (X, 0), error="ShapeError"),
        Sample("nd:.reshape", (X, (0, -1))),
        Sample("nd:.reshape", (X, 4, -1)),
        Sample("np:.reshape", (X, 4, -1)),
        Sample("nd:.flatten", (X,)),
        Sample("np:.flatten", (X,)),
        Sample("nd:.expand_dims", (X, 0)),
        Sample("np:.squeeze", (THIN,)),
    ]
    return found


def orders() -> list[Sample]:
    return [
        Sample("nd.transpose", (X,)),
        Sample("nd.transpose", (X,), {"axes": (1, 0, 2)}),
        Sample(
            "nd.transpose", (X,), {"axes": (0, -1, 1)}, differs=NEGATIVE, want=X.transpose(0, 2, 1)
        ),
        Sample("nd.transpose", (X,), {"axes": (1, 0)}, error="ShapeError"),
        Sample("np.transpose", (X,)),
        Sample("np.transpose", (X, (0, -1, 1))),
        Sample("np.transpose", (ZERO,)),
        Sample("nd.swapaxes", (X,), {"dim1": 0, "dim2": -1}),
        Sample("nd.SwapAxis", (X, 1, 2)),
        Sample("nd.swapaxes", (X, 1, 3), error="ShapeError"),
        Sample("np.swapaxes", (X, 0, -1)),
        Sample("nd.moveaxis", (X, 0, 2)),
        Sample("nd.moveaxis", (X, (0, 1), (1, 2))),
        Sample("np.moveaxis", (X, 0, -1)),
        Sample("np.moveaxis", (X, (0, 1), (-1, -2))),
        Sample("np.moveaxis", (X, (0, 1), (0,)), error="ShapeError"),
        Sample("np.rollaxis", (X, 2), grad=False),  # MXNet cannot record it
        Sample("np.rollaxis", (X, 2, 1), grad=False),  # MXNet cannot record it
        Sample("np.rollaxis", (X, 0, 3), grad=False),  # MXNet cannot record it
        Sample("nd:.T", (X,)),
        Sample("np:.T", (X,)),
        Sample("nd:.transpose", (X, (2, 0, 1))),
        Sample("np:.transpose", (X, 1, 0, 2)),
        Sample("nd:.swapaxes", (X, 0, 1)),
    ]


def broadcasts() -> list[Sample]:
    row = floats(1, 3)
    return [
        Sample("nd.broadcast_to", (row,), {"shape": (2, 3)}),
        Sample("nd.broadcast_to", (row,), {"shape": (2, 0)}),
        Sample("nd.broadcast_to", (row,), {"shape": (2, 4)}, error="ShapeError"),
        Sample("nd:.broadcast_to", (row, (2, 3))),
        Sample("np.broadcast_to", (V, (2, 3))),
        Sample("np.broadcast_to", (ZERO, (2, 3))),
        Sample("np.broadcast_to", (V, 3)),
        Sample("np.broadcast_to", (V, (2, 2)), error="ShapeError"),
        Sample("nd.broadcast_axis", (THIN,), {"axis": (0, 2), "size": (2, 4)}),
        Sample("nd.broadcast_axes", (THIN,), {"axis": 2, "size": 3}),
        Sample(
            "nd.broadcast_axes",
            (THIN,),
            {"axis": -1, "size": 3},
            differs=NEGATIVE,
            want=onp.broadcast_to(THIN, (1, 3, 3)),
        ),
        Sample("nd.broadcast_axis", (THIN,), {"axis": 1, "size": 2}, error="ShapeError"),
        Sample("nd.broadcast_like", (row, M)),
        Sample("nd.broadcast_like", (row, floats(5, 2)), {"lhs_axes": (0,), "rhs_axes": (1,)}),
        Sample("nd.tile", (M,), {"reps": 2}),
        Sample("nd.tile", (M,), {"reps": (2, 1, 2)}),
        Sample("nd.tile", (M,), {"reps": ()}),
        Sample("nd:.tile", (M, (2, 1))),
        Sample("np.tile", (V, (2, 1))),
        Sample("np.tile", (M, (2,))),
        Sample("np.tile", (ZERO, 3)),
        Sample("nd.repeat", (M,), {"repeats": 2}),
        Sample("nd.repeat", (M,), {"repeats": 2, "axis": -1}),
        Sample("np.repeat", (V, 2)),
        Sample("np.repeat", (M, 3), {"axis": 0}),
        Sample("np.repeat", (M, [1, 2]), {"axis": 0}, differs=MORE, want=M.repeat([1, 2], 0)),
        Sample("np.repeat", (M, [1, 2]), {"axis": 1}, error="ShapeError", differs="as NumPy"),
        Sample("np.atleast_1d", (ZERO,), grad_differs=ZEROS),
        Sample("np.atleast_1d", (ZERO, V), grad_differs=ZEROS),
        Sample("np.atleast_2d", (V,), grad_differs=ZEROS),
        Sample("np.atleast_2d", (ZERO, X), grad_differs=ZEROS),
        Sample("np.atleast_3d", (ZERO,), grad_differs=ZEROS),
        Sample("np.atleast_3d", (V, M), grad_differs=ZEROS),
    ]


def joins() -> list[Sample]:
    found = [
        Sample("nd.concat", (X, Y)),
        Sample("nd.concat", (X, Y, X), {"dim": -1}),
        Sample("nd.Concat", (M, floats(3, 3)), {"dim": 0}),
        Sample("nd.concat", (M,), {"dim": 0}),
        Sample("nd.concat", (M, floats(3, 2)), {"dim": 1}, error="MXNetError"),
        Sample(
            "nd.concat",
            (M, WHOLE),
            {"dim": 0},
            differs=PROMOTED,
            want=onp.concatenate([M, WHOLE.astype("float32")]),
        ),
        Sample("nd.concatenate", ([X, Y],), {"axis": 1}, grad=False),
        Sample("np.concatenate", ([X, Y],)),
        Sample("np.concatenate", ((X, Y), -1)),
        Sample("np.concatenate", ([M, V],), {"axis": None}),
        Sample("np.concatenate", ([X, V],), error="MXNetError"),
        Sample("nd.stack", (M, N)),
        Sample("nd.stack", (M, N), {"axis": -1}),
        Sample("nd.stack", (M, V), error="MXNetError"),
        Sample("np.stack", ([V, W],)),
        Sample("np.stack", ((M, N), 1)),
        Sample("np.stack", ([ZERO, ZERO],)),
    ]
    for name in ("vstack", "hstack", "dstack"):
        for pair in ([V, W], [M, N], [X, Y], [ZERO, ZERO]):
            found.append(Sample(f"np.{name}", (pair,)))
    found += [
        Sample("np.row_stack", ([V, W],)),
        Sample("np.column_stack", ([V, W],)),
        Sample("np.column_stack", ([V, floats(3, 2)],)),
        Sample("nd.split", (X,), {"num_outputs": 3}),
        Sample("nd.split", (X,), {"num_outputs": 3, "axis": 1, "squeeze_axis": True}),
        Sample("nd.SliceChannel", (X,), {"num_outputs": 2, "axis": -1}),
        Sample("nd.split", (X,), {"num_outputs": 2}, error="ShapeError"),
        Sample("nd.split_v2", (X, 2)),
        Sample("nd.split_v2", (X, (1, 2)), {"axis": 1, "squeeze_axis": True}),
        Sample("nd:.split", (X,), {"num_outputs": 2, "axis": 0}),
        Sample("np.split", (X, 2)),
        Sample("np.split", (X, 3), {"axis": 1}),
        Sample("np.split", (X, [1, 2], 1)),
        Sample("np.split", (X, 1)),
        Sample("np.split", (X, 2, 1), error="ShapeError"),
        Sample(
            "np.split", (X, [1, 5]), {"axis": 1}, differs=MORE, want=onp.split(X, [1, 5], axis=1)
        ),
        Sample("np.split", (EMPTY, 2)),
    ]
    return found


def pads() -> list[Sample]:
    widths = (0, 0, 0, 0, 1, 2, 2, 1)
    found = [
        Sample("nd.pad", (IMAGE,), {"mode": "constant", "pad_width": widths, "constant_value": 5}),
        Sample("nd.pad", (IMAGE,), {"mode": "edge", "pad_width": widths}),
        Sample("nd.Pad", (IMAGE,), {"mode": "reflect", "pad_width": widths}),
        Sample(
            "nd.pad",
            (M,),
            {"mode": "constant", "pad_width": (1, 0, 0, 2)},
            differs=ANY_RANK,
            want=onp.pad(M, ((1, 0), (0, 2))),
        ),
        Sample("nd.pad", (M,), {"mode": "constant", "pad_width": (1, 0)}, error="ShapeError"),
        Sample("nd.pad", (M,), {"mode": "wave", "pad_width": (1, 0, 1, 0)}, error="MXNetError"),
        Sample("np.pad", (V, (1, 2))),
        Sample("np.pad", (M, ((1, 0), (0, 2)))),
        Sample("np.pad", (V, 1), differs=MORE, want=onp.pad(V, 1)),
        Sample(
            "np.pad",
            (M, ((1, 0), (0, 2))),
            {"mode": "constant", "constant_values": 5},
            differs="MXNet ignores constant_values",
            want=onp.pad(M, ((1, 0), (0, 2)), constant_values=5),
        ),
        Sample("np.pad", (M, (1, 2, 3)), error="ShapeError", differs="as NumPy"),
    ]
    for mode in ("edge", "reflect", "symmetric"):
        for data, widths in ((V, (2, 1)), (M, ((1, 0), (1, 2)))):
            want = onp.pad(data, widths, mode)
            found.append(
                Sample("np.pad", (data, widths), {"mode": mode}, differs=NO_BACKWARD, want=want)
            )
    return found


def slices() -> list[Sample]:
    return [
        Sample("nd.slice", (X,), {"begin": (0, 1), "end": (1, None)}),
        Sample("nd.slice", (X,), {"begin": (None, 2), "end": (None, 0), "step": (None, -1)}),
        Sample("nd.slice", (X,), {"begin": (0, -2), "end": (5, 10)}),
        Sample("nd.slice", (X,), {"begin": 1, "end": 2}),
        Sample("nd.slice", (X,), {"begin": (0, 0, 0), "end": (2, 3, 4), "step": (1, 2, 3)}),
        Sample("nd.slice", (X,), {"begin": (0, 0, 0, 0), "end": (1, 1, 1, 1)}, error="ShapeError"),
        Sample("npx.slice", (X,), {"begin": (0, 1), "end": (1, None)}),
        Sample("nd:.slice", (X,), {"begin": (1,), "end": (2,)}),
        Sample("nd.slice_axis", (X,), {"axis": 1, "begin": 1, "end": None}),
        Sample("nd.slice_axis", (X, -1, -3, -1)),
        Sample("nd.slice_axis", (X,), {"axis": 1, "begin": 0, "end": 7}, error="ShapeError"),
        Sample("nd.slice_axis", (X,), {"axis": 1, "begin": 2, "end": 1}, error="ShapeError"),
        Sample("nd:.slice_axis", (X, 0, 0, 1)),
        Sample("nd.slice_like", (X, floats(1, 2, 4))),
        Sample("nd.slice_like", (X, floats(1, 2)), {"axes": (0, 1)}),
        Sample("nd.slice_like", (X, floats(1, 2, 1)), {"axes": (-1,)}),
        Sample("nd.slice_like", (X, floats(5, 2, 4)), error="ShapeError"),
        Sample("nd.slice_like", (X, M), error="ShapeError"),
        Sample("nd.flip", (X,), {"axis": 1}),
        Sample("nd.reverse", (X,), {"axis": (0, 2)}),
        Sample("nd.reverse", (X,), {"axis": -1}, differs=NEGATIVE, want=onp.flip(X, -1)),
        Sample("nd:.flip", (X, 0)),
        Sample("np.flip", (X,)),
        Sample("np.flip", (X, 1)),
        Sample("np.flip", (X, (0, 1))),
        Sample("np.roll", (X, 1)),
        Sample("np.roll", (X, -1), {"axis": 1}),
        Sample("np.roll", (X, (1, 2)), {"axis": (0, 1)}),
        Sample("np.roll", (X, 2), {"axis": (0, 1)}),
        Sample("np.rot90", (X,), grad_differs=TURN),
        Sample("np.rot90", (X, 2, (1, 2))),
        Sample("np.rot90", (X, -1), {"axes": (0, 2)}, grad_differs=TURN),
        Sample("np.rot90", (WHOLE, 3)),
    ]


SAMPLES = [
    *reshapes(),
    *orders(),
    *broadcasts(),
    *joins(),
    *pads(),
    *slices(),
]
