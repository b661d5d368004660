"""Samples of operators that arrange elements: diagonals, insertion, deletion, sections, grids."""

from typing import Any

import numpy as onp

from tests.ops.samples import Sample, floats, ints


X = floats(2, 3, 4)
M = floats(2, 3)
S = floats(3, 3)
V = floats(4)
ZERO = onp.asarray(1.5, "float32")
WHOLE = ints(2, 3)
MASK = onp.asarray([True, False, True])
EMPTY = onp.zeros((0, 3), "float32")

MORE = "MXNet 1.9.1 refuses this; we follow NumPy"
NO_BACKWARD = "MXNet has no gradient here"
DIAGONAL = "a diagonal outside the matrix is empty, as in np; MXNet refuses it here"
SILENT = "MXNet computes something without a word; this is an error, as in NumPy"


def twice(call: str, *args: Any, **attrs: Any) -> list[Sample]:
    """Return a sample whose values are MXNet's, and one whose gradients MXNet does not have."""
    return [
        Sample(call, args, attrs, grad=False),
        Sample(call, args, attrs, differs=NO_BACKWARD, id="gradient"),
    ]


def at(*places: int) -> onp.ndarray:
    return onp.asarray(places, "int64")


def diagonals() -> list[Sample]:
    found = [Sample("nd.diag", (V,), {"k": k}) for k in (0, 1, -2)]
    found += [Sample("nd.diag", (M,), {"k": k}) for k in (0, 1, -1)]
    found += [Sample("np.diag", (V,), {"k": k}) for k in (0, 1, -2)]
    found += [Sample("np.diag", (M,), {"k": k}) for k in (0, 1, -1, 3)]
    return [
        *found,
        Sample("nd.diag", (M,), {"k": 9}, differs=DIAGONAL, want=onp.zeros(0, "float32")),
        Sample("nd.diag", (X,)),
        Sample("nd.diag", (X,), {"k": 1, "axis1": 1, "axis2": 2}),
        Sample("nd.diag", (X,), {"k": -1, "axis1": 2, "axis2": -3}),
        Sample("nd.diag", (X,), {"axis1": 1, "axis2": 1}, error="ShapeError"),
        Sample("np.diag", (WHOLE,)),
        Sample("np.diag", (X,), error="ShapeError"),
        Sample("np.diag", (ZERO,), error="ShapeError"),
        Sample("np.diagflat", (M,)),
        Sample("np.diagflat", (V, -1)),
        Sample("np.diagflat", (V,), {"k": 2}),
        Sample("np.diagflat", (ZERO,), differs=MORE, want=onp.diagflat(ZERO)),
        Sample("np.diagonal", (M,)),
        Sample("np.diagonal", (M, 1)),
        Sample("np.diagonal", (M, 5)),
        Sample("np.diagonal", (X,), {"offset": -1, "axis1": 0, "axis2": 2}),
        Sample("np.diagonal", (X,), {"axis1": -1, "axis2": -2}),
        Sample("np.diagonal", (V,), error="ShapeError"),
        Sample("np.diagonal", (M,), {"axis1": 1, "axis2": 1}, error="ShapeError"),
        Sample("np.trace", (M,)),
        Sample("np.trace", (S,), {"offset": 1}),
        Sample("np.trace", (X,), {"offset": 0, "axis1": 1, "axis2": 2}),
        Sample("np.trace", (WHOLE,), {"offset": -1}),
        Sample("np.trace", (V,), error="ShapeError"),
        Sample("np.tril", (M,)),
        Sample("np.tril", (X, 1)),
        Sample("np.tril", (M,), {"k": -1}),
        Sample("np.tril", (V,)),
        Sample("np.tril", (WHOLE,)),
        Sample("np.tril", (ZERO,), error="ShapeError"),
        Sample("np.diag_indices_from", (S,), grad=False),
        Sample("np.diag_indices_from", (onp.zeros((2, 2, 2), "int32"),)),
        Sample("np.diag_indices_from", (M,), error="ShapeError"),
    ]


def edits() -> list[Sample]:
    pair = floats(2, seed=1)
    return [
        Sample("np.append", (M, S)),
        Sample("np.append", (M, S, 0)),
        Sample("np.append", (M, floats(2, 1)), {"axis": -1}),
        Sample("np.append", (M, 2.0), differs=MORE, want=onp.append(M, onp.float32(2))),
        Sample("np.append", (WHOLE, V), differs=MORE, want=onp.append(WHOLE, V).astype("float32")),
        Sample("np.append", (M, V, 0), error="ShapeError"),
        *twice("np.delete", V, 1),
        *twice("np.delete", V, slice(None, None, 2)),
        *twice("np.delete", M, 4),
        *twice("np.delete", M, -1, axis=1),
        *twice("np.delete", X, slice(1, 3), axis=2),
        *twice("np.delete", V, at(0, 3, 0)),
        Sample("np.delete", (WHOLE, at(1)), {"axis": 0}),
        Sample("np.delete", (V, [0, -1]), differs=MORE, want=V[1:3]),
        Sample("np.delete", (S, MASK), {"axis": 0}, differs=MORE, want=S[1:2]),
        Sample("np.delete", (V, slice(3, 1)), grad=False),
        Sample("np.delete", (V, slice(3, 0, -2)), grad=False),
        Sample("np.delete", (V, 4), error="OutOfRangeError"),
        Sample("np.delete", (V, at(0, -5)), error="OutOfRangeError", differs=SILENT),
        Sample("np.delete", (V, MASK), error="ShapeError", differs="as NumPy"),
        *twice("np.insert", V, 1, 9),
        *twice("np.insert", V, -1, 9.5),
        *twice("np.insert", V, 4, 9),
        Sample("np.insert", (WHOLE, 1, 2.7)),
        *twice("np.insert", V, slice(0, 2), pair),
        *twice("np.insert", M, 1, pair, axis=1),
        *twice("np.insert", M, 1, floats(3, seed=2), axis=0),
        *twice("np.insert", M, 2, floats(3, 1, seed=2), axis=1),
        *twice("np.insert", V, at(1, 1), pair),
        *twice("np.insert", V, at(3, 0), pair),
        *twice("np.insert", M, at(0, 2), floats(2, 2, seed=1), axis=1),
        *twice("np.insert", M, at(1), floats(3, 3), axis=0),
        Sample("np.insert", (V, [1, 4], 9), differs=MORE, want=onp.insert(V, [1, 4], 9)),
        Sample("np.insert", (M, 1, 9), {"axis": 1}, differs=MORE, want=onp.insert(M, 1, 9, 1)),
        Sample("np.insert", (V, 5, 9), error="OutOfRangeError"),
        Sample("np.insert", (M, 1, V), {"axis": 1}, error="ShapeError", differs=SILENT),
        *twice("np.resize", M, (3, 4)),
        *twice("np.resize", M, 4),
        Sample("np.resize", (WHOLE, (2, 1, 2))),
        Sample("np.resize", (M, (0, 2)), grad=False),
        Sample("np.resize", (EMPTY, (2,)), grad=False),
        Sample("np.resize", (M, (-1, 2)), error="ShapeError"),
        Sample("np.expand_dims", (M, -1)),
    ]


def sections() -> list[Sample]:
    return [
        Sample("np.array_split", (V, 2)),
        Sample("np.array_split", (V, 3)),
        Sample("np.array_split", (V, 5)),
        Sample("np.array_split", (V, [1, 3])),
        Sample("np.array_split", (X, (1, 1)), {"axis": 1}),
        Sample("np.array_split", (X, 2), {"axis": -2}),
        Sample("np.array_split", (WHOLE, 2), {"axis": 1}),
        Sample("np.array_split", (V, 0), error="ShapeError"),
        Sample("np.hsplit", (M, 3)),
        Sample("np.hsplit", (V, 2)),
        Sample("np.hsplit", (X, [1])),
        Sample("np.hsplit", (M, 2), error="ShapeError", differs=SILENT),
        Sample("np.hsplit", (ZERO, 1), error="ShapeError"),
        Sample("np.vsplit", (M, 2)),
        Sample("np.vsplit", (S, (1, 2))),
        Sample("np.vsplit", (V, 2), error="ShapeError"),
        Sample("np.dsplit", (X, 2)),
        Sample("np.dsplit", (X, [3])),
        Sample("np.dsplit", (M, 2), error="ShapeError"),
        Sample("np.flipud", (M,)),
        Sample("np.flipud", (V,)),
        Sample("np.flipud", (ZERO,), error="ShapeError"),
        Sample("np.fliplr", (X,)),
        Sample("np.fliplr", (WHOLE,)),
        Sample("np.fliplr", (V,), error="ShapeError"),
    ]


def grids() -> list[Sample]:
    long, short = floats(3), floats(2, seed=1)
    found = [Sample("np.meshgrid", (V,)), Sample("np.meshgrid", (V, short, long))]
    for indexing in ("xy", "ij"):
        found.append(Sample("np.meshgrid", (long, short), {"indexing": indexing}))
        want = list(onp.meshgrid(long, short, indexing=indexing, sparse=True))
        attrs = {"indexing": indexing, "sparse": True}
        found.append(Sample("np.meshgrid", (long, short), attrs, differs=MORE, want=want))
    found += [
        Sample("np.meshgrid", (V, ints(3)), {"indexing": "ij"}),
        Sample("np.meshgrid", (ZERO, short)),
        Sample("np.meshgrid", (V, V), {"indexing": "yx"}, error="MXNetError"),
        Sample("np.broadcast_arrays", (long, floats(2, 1))),
        Sample("np.broadcast_arrays", (ZERO, WHOLE)),
        Sample("np.broadcast_arrays", (V,)),
        Sample("np.broadcast_arrays", (V, long), error="ShapeError"),
        Sample("np.unravel_index", (ints(4, high=6), (2, 3))),
        Sample("np.unravel_index", (at(1, 23), (2, 3, 4))),
        Sample("np.unravel_index", (5, (3, 3))),
        Sample("np.unravel_index", (at(1, 9), (3, 3)), error="OutOfRangeError"),
        Sample("np.unravel_index", (at(1), (3, 3)), {"order": "F"}, error="MXNetError"),
    ]
    return found


SAMPLES = [*diagonals(), *edits(), *sections(), *grids()]
