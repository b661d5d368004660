"""Samples of single entries and their numbers, and of what arrays are: casts, storage, shapes."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


X = floats(3, 4)
CUBE = floats(2, 3, 4)
WHOLE = ints(3, 4)
COLUMNS = onp.array([2, 0, 3], "int32")
VALUES = floats(3, seed=1)
BLANK = onp.zeros((3, 4), "float32")
FAR = onp.array([2, 0, 4], "int32")
PLACES = onp.array([[1, 0, 1], [2, 1, 0]], "float32")
NUMBERS = onp.array([5, 0, 3], "float32")

CLIPPED = "MXNet clips the index"
UNCHECKED = "MXNet computes with indices out of range"
ANY_DTYPE = "MXNet takes int32 indices only"
GARBAGE = "MXNet gives the first numbers back"
LATE = "MXNet infers nothing here"


def rows() -> list[Sample]:
    filled = X.copy()
    filled[onp.arange(3), COLUMNS] = VALUES
    one_hot = onp.eye(4, dtype="float32")[COLUMNS]
    return [
        Sample("nd.batch_take", (X, COLUMNS), grad=False),
        Sample("nd.batch_take", (WHOLE, COLUMNS)),
        Sample("nd.batch_take", (X, COLUMNS[:, None]), grad=False),
        Sample(
            "nd.batch_take",
            (X, COLUMNS.astype("int64")),
            differs=ANY_DTYPE,
            want=X[onp.arange(3), COLUMNS],
        ),
        Sample("nd.batch_take", (X, FAR), error="OutOfRangeError", differs=CLIPPED),
        Sample("nd.batch_take", (X, COLUMNS[:2]), error="ShapeError"),
        Sample("nd.fill_element_0index", (X, VALUES, COLUMNS.astype("float32")), grad=False),
        Sample("nd.fill_element_0index", (X, VALUES, COLUMNS), differs=LATE, want=filled),
        Sample("nd.fill_element_0index", (X, VALUES[:2], VALUES), error="ShapeError"),
        Sample("nd.choose_element_0index", (X, COLUMNS.astype("float32")), fixed=(1,)),
        Sample("nd.onehot_encode", (COLUMNS.astype("float32"),), {"out": BLANK}, grad=False),
        Sample(
            "nd.onehot_encode", (COLUMNS,), {"out": BLANK}, grad=False, differs=LATE, want=one_hot
        ),
        Sample("nd.onehot_encode", (COLUMNS, X[:2]), grad=False, error="ShapeError"),
        Sample("nd.argmax_channel", (X,), grad=False),
        Sample("nd.argmax_channel", (CUBE,), grad=False),
        Sample("nd.argmax_channel", (WHOLE,)),
        Sample("nd:.argmax_channel", (X,), grad=False),
        Sample("nd.argmax_channel", (VALUES,), grad=False, error="ShapeError"),
    ]


def numbers() -> list[Sample]:
    shape = {"shape": (2, 3)}
    spread = onp.array([[5, 1], [0, 3]], "int32")
    return [
        Sample("nd.ravel_multi_index", (PLACES,), shape, grad=False),
        Sample("nd.ravel_multi_index", (PLACES.astype("int64"),), shape),
        Sample("nd.ravel_multi_index", (PLACES.astype("int32"), (-1, 3))),
        Sample(
            "nd.ravel_multi_index",
            (PLACES + 1,),
            shape,
            grad=False,
            error="OutOfRangeError",
            differs=UNCHECKED,
        ),
        Sample("nd.ravel_multi_index", (PLACES[0],), shape, grad=False, error="ShapeError"),
        Sample("nd.ravel_multi_index", (PLACES, (2,)), grad=False, error="ShapeError"),
        Sample("nd.unravel_index", (NUMBERS,), shape, grad=False),
        Sample("nd.unravel_index", (NUMBERS.astype("int64"),), shape),
        Sample("nd.unravel_index", (NUMBERS * 9,), {"shape": (-1, 3)}, grad=False),
        Sample("nd.unravel_index", (NUMBERS * 4,), {"shape": (3, 4, 2)}, grad=False),
        Sample(
            "nd.unravel_index",
            (spread,),
            shape,
            differs=GARBAGE,
            want=onp.stack(onp.unravel_index(spread, (2, 3))).astype("int32"),
        ),
        Sample(
            "nd.unravel_index",
            (NUMBERS + 1,),
            shape,
            grad=False,
            error="OutOfRangeError",
            differs=UNCHECKED,
        ),
        Sample("nd.shape_array", (CUBE,), grad=False),
        Sample("nd:.shape_array", (CUBE,), grad=False),
        Sample("npx.shape_array", (X,), grad=False),
        Sample("nd.size_array", (CUBE,), grad=False),
        Sample("nd:.size_array", (WHOLE,)),
    ]


def kinds() -> list[Sample]:
    return [
        Sample("nd.amp_cast", (X,), {"dtype": "float16"}),
        Sample("nd.amp_cast", (X, "float32")),
        Sample("nd.amp_cast", (WHOLE,), {"dtype": "float16"}),
        Sample("nd.amp_multicast", (X, X + 1), {"num_outputs": 2}),
        Sample("nd.cast_storage", (X, "default")),
        Sample("nd.cast_storage", (X,), {"stype": "csr"}, error="MXNetError", differs="dense only"),
        Sample("nd.cast_storage", (X,), {"stype": "rows"}, error="MXNetError"),
    ]


def methods() -> list[Sample]:
    part = floats(2, 2, seed=3)
    ranges = (0, 1), (2, 3), (None, None)
    return [
        Sample("nd.crop", (X,), {"begin": (0, 1), "end": (2, None)}),
        Sample("nd:.slice_assign", (X, part, *ranges), grad=False),
        Sample("nd:.slice_assign", (X, part[:1], (0, 0), (1, 4), (None, 2)), grad=False),
        Sample("nd:.slice_assign_scalar", (X, 7.0, *ranges), grad=False),
        Sample("nd:.tostype", (X, "default")),
        Sample("nd:.ones_like", (X,), grad=False),
        Sample("nd:.zeros_like", (WHOLE,)),
        Sample("nd:.split_v2", (X, 2), {"axis": 1}),
        Sample("nd:.split_v2", (X, (1,), 0)),
        Sample("nd:.expand_dims", (X, 1), {"inplace": True}),
        Sample("nd:.expand_dims", (X, -1, True)),
        Sample("nd:.expand_dims", (X, 5, True), error="ShapeError"),
        Sample("nd:.squeeze", (CUBE[:1], 0, True)),
        Sample("nd:.squeeze", (CUBE[:1],), {"inplace": True}),
        Sample("nd:.squeeze", (CUBE,), {"axis": 0, "inplace": True}, error="ShapeError"),
        Sample("nd:.flatten", (CUBE,), {"inplace": True}),
        Sample("nd:.broadcast_like", (X[:1],), {"other": X}),
        Sample("np:.reshape_view", (X, 4, -1)),
    ]


def keywords() -> list[Sample]:
    """The names that MXNet's functions written in Python have for their arguments."""
    return [
        Sample("nd.power", (), {"base": X + 2, "exp": 3}),
        Sample("nd.power", (2, X)),
        Sample("nd.concatenate", (), {"arrays": [X, X], "axis": 1}, grad=False),
        Sample("nd.concatenate", ([X],), {"always_copy": False}, grad=False),
        Sample("nd.moveaxis", (), {"tensor": CUBE, "source": 0, "destination": 2}),
        Sample("nd.zeros", ((2, 3),), {"stype": "default"}),
        Sample("nd.zeros", ((2, 3),), {"stype": "csr"}, error="MXNetError", differs="dense only"),
        Sample("nd.topk", (X,), {"k": -1}, grad=False),
        Sample("nd.split", (X,), {"num_outputs": 1}),
        Sample("nd.split_v2", (X, 1)),
        Sample("nd.gamma", (onp.array([-1, -2.5, 0.5, 3], "float32"),), grad=False),
    ]


SAMPLES = keywords() + rows() + numbers() + kinds() + methods()
