"""Samples of the methods of arrays that are operators too, for both kinds of arrays."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


ABSENT = "MXNet's np arrays have this method, and it raises AttributeError"
LAST_AXIS = "MXNet's np arrays raise TypeError here; ours sort along the last axis"

X = floats(2, 3, low=0.1, high=0.9)
LARGE = floats(2, 3, low=1.1, high=3)
IMAGE = floats(1, 2, 3, 4)

PLAIN = (
    "abs arccos arcsin arcsinh arctan arctanh cbrt ceil cos cosh degrees exp expm1 fix floor log "
    "log10 log1p log2 log_softmax nanprod nansum norm radians rcbrt reciprocal relu rint rsqrt "
    "sigmoid sign sin sinh softmax softmin sqrt square tan tanh trunc"
)
"""Methods that need no argument, and that NumPy's arrays do not have."""

CALLS: tuple[tuple[str, tuple[object, ...], dict[str, object]], ...] = (
    ("arccosh", (LARGE,), {}),
    ("broadcast_axes", (floats(1, 3),), {"axis": 0, "size": 2}),
    ("broadcast_like", (floats(1, 3), X), {}),
    ("depth_to_space", (floats(1, 4, 2, 1), 2), {}),
    ("diag", (X,), {"k": 1}),
    ("expand_dims", (X, 1), {}),
    ("flip", (X,), {"axis": 1}),
    ("one_hot", (ints(3, high=4),), {"depth": 4}),
    ("pick", (X, ints(2, high=3)), {"axis": 1}),
    ("reshape_like", (X, floats(3, 2)), {}),
    ("slice", (X,), {"begin": (0, 1), "end": (2, 3)}),
    ("slice_axis", (X,), {"axis": 1, "begin": 0, "end": 2}),
    ("slice_like", (X, floats(1, 2)), {}),
    ("space_to_depth", (floats(1, 1, 2, 4), 2), {}),
    ("split_v2", (X, (1,)), {"axis": 1}),
    ("tile", (X,), {"reps": (2, 1)}),
    ("topk", (X,), {"k": 2}),
)
"""Methods of `nd` arrays with arguments, which MXNet's np arrays lack."""

BOTH: tuple[tuple[str, tuple[object, ...], dict[str, object]], ...] = (
    ("broadcast_to", (floats(1, 3), (2, 3)), {}),
    ("clip", (X, 0.3, 0.6), {}),
    ("flatten", (IMAGE,), {}),
    ("max", (X,), {"axis": 1}),
    ("mean", (X,), {"axis": 0}),
    ("min", (X,), {"axis": 0, "keepdims": True}),
    ("prod", (X,), {"axis": 1}),
    ("repeat", (X, 2), {"axis": 1}),
    ("round", (X,), {}),
    ("squeeze", (floats(1, 3, 1),), {}),
    ("sum", (X,), {"axis": 1}),
    ("swapaxes", (X, 0, 1), {}),
    ("take", (X, ints(2, high=2)), {"axis": 0}),
)
"""Methods of both kinds of arrays."""

OTHERS = [
    *[
        Sample(f"{space}:.{name}", (X,), {"axis": 1}, grad=False)
        for space in ("nd", "np")
        for name in ("argmax", "argmin", "argsort")
    ],
    *[
        Sample(f"{space}:.{name}", (X,), grad=False, differs=ABSENT if space == "np" else "")
        for space in ("nd", "np")
        for name in ("argmax_channel", "ones_like", "shape_array", "size_array", "zeros_like")
    ],
    Sample("nd:.dot", (X, floats(3, 2)), differs="MXNet's nd arrays lack this method"),
    Sample("np:.dot", (X, floats(3, 2))),
    Sample("nd:.pad", (IMAGE,), {"mode": "edge", "pad_width": (0, 0, 0, 0, 1, 1, 0, 2)}),
    Sample("np:.pad", (X, ((1, 0), (0, 2))), differs=ABSENT, want=onp.pad(X, ((1, 0), (0, 2)))),
    Sample("nd:.split", (X,), {"num_outputs": 3, "axis": 1}),
    Sample("np:.split", (X, 3), {"axis": 1}, differs=ABSENT, want=onp.split(X, 3, axis=1)),
    Sample("nd:.sort", (X,), {"axis": 0, "is_ascend": False}),
    Sample("np:.sort", (X,), grad=False, differs=LAST_AXIS, want=onp.sort(X)),
    Sample("np:.ravel", (X,), differs="MXNet's np arrays lack this method", want=X.ravel()),
    Sample("np:.cumsum", (X,), {"axis": 1}),
    Sample("np:.std", (X,), {"axis": 0}, grad=False),
    Sample("np:.var", (X,), {"axis": 0}, grad=False),
]


def samples() -> list[Sample]:
    plain = [(name, (X,), {}) for name in PLAIN.split()]
    found = []
    for name, args, attrs in (*plain, *CALLS):
        found += [
            Sample(f"nd:.{name}", args, attrs),
            Sample(f"np:.{name}", args, attrs, differs=ABSENT),
        ]
    for name, args, attrs in BOTH:
        found += [Sample(f"{space}:.{name}", args, attrs) for space in ("nd", "np")]
    return [*found, *OTHERS]


SAMPLES = samples()
