"""Samples of output layers, whose gradients are those of a loss, and of surrogate gradients."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


SCORES = floats(2, 3, low=-2, high=2)
BINARY = ints(2, 3, high=2, dtype="float32")
CLASSES = onp.asarray([2, 0], "float32")
MEAN = onp.asarray([0.25, 0.5, 0.75], "float32")
CHANCES = floats(2, 3, low=0.1, high=0.9)
HALVES = onp.asarray([[0.5, 1.5, -0.5], [2.4, -1.6, -2.5]], "float32")

AUXILIARY = "MXNet knows the moving average as a symbol's auxiliary state only"
LABEL = "MXNet takes a label out of range for one that no class has"
# The gradient is not that of the result: it is compared with MXNet's alone.
ALONE = {"train": True}
FIXED = {"train": True, "fixed": (1,)}


def regressions() -> list[Sample]:
    column, row = floats(4, 1), ints(4, high=2, dtype="float32")
    found = []
    for name in ("Linear", "Logistic", "MAE"):
        call = f"nd.{name}RegressionOutput"
        found += [
            Sample(call, (SCORES, BINARY), **FIXED),
            Sample(call, (SCORES, BINARY), {"grad_scale": 2.5}, **FIXED),
            Sample(call, (SCORES.astype("float64"), BINARY.astype("float64")), rtol=1e-6, **FIXED),
            Sample(call, (column, row), **FIXED),
            Sample(call, (column[:, 0].copy(), row), **FIXED),
            Sample(call, (floats(2, 2, 3), floats(2, 2, 3, seed=1)), **FIXED),
            Sample(call, (SCORES, CLASSES), error="ShapeError", **FIXED),
        ]
    return found


def losses() -> list[Sample]:
    hinge = {"margin": 0.6, "regularization_coefficient": 2.0}
    scaled = {"grad_scale": 3.0}
    return [
        Sample("nd.SVMOutput", (SCORES, CLASSES), **FIXED),
        Sample("nd.SVMOutput", (SCORES, CLASSES), hinge, **FIXED),
        Sample("nd.SVMOutput", (SCORES, CLASSES), {**hinge, "use_linear": True}, **FIXED),
        Sample("nd.SVMOutput", (SCORES.astype("float64"), CLASSES.astype("float64")), **FIXED),
        Sample("nd.SVMOutput", (SCORES, floats(3)), error="ShapeError", **FIXED),
        Sample("nd.SVMOutput", (SCORES, CLASSES + 1), differs=LABEL, error="IndexError", **FIXED),
        Sample("nd.MakeLoss", (SCORES,), **ALONE),
        Sample("nd.MakeLoss", (SCORES,), {**scaled, "normalization": "batch"}, **ALONE),
        Sample(
            "nd.MakeLoss",
            (SCORES,),
            {**scaled, "normalization": "valid", "valid_thresh": 0.2},
            **ALONE,
        ),
        Sample(
            "nd.MakeLoss",
            (SCORES,),
            {**scaled, "normalization": "valid", "valid_thresh": 9.0},
            **ALONE,
        ),
        Sample("nd.MakeLoss", (SCORES,), {"normalization": "mean"}, error="MXNetError", **ALONE),
        Sample("nd.make_loss", (SCORES,), **ALONE),
        Sample("nd.make_loss", (SCORES.astype("float64"),), **ALONE),
        Sample(
            "nd.IdentityAttachKLSparseReg",
            (CHANCES, MEAN),
            {"penalty": 0.5},
            differs=AUXILIARY,
            want=CHANCES,
            **FIXED,
        ),
        Sample("nd.IdentityAttachKLSparseReg", (CHANCES, CLASSES), error="ShapeError", **FIXED),
        Sample("nd.Softmax", (SCORES, CLASSES), {"grad_scale": 2.0}, **FIXED),
    ]


def surrogates() -> list[Sample]:
    contrib = "nd.contrib."
    return [
        Sample(f"{contrib}round_ste", (HALVES,), **ALONE),
        Sample(f"{contrib}round_ste", (HALVES.astype("float64"),), **ALONE),
        Sample(f"{contrib}round_ste", (ints(3),)),
        Sample(f"{contrib}sign_ste", (HALVES,), **ALONE),
        Sample(f"{contrib}sign_ste", (ints(3, low=-2, high=3),)),
        Sample(f"{contrib}gradientmultiplier", (SCORES,), {"scalar": -0.5}, **ALONE),
        Sample(f"{contrib}gradientmultiplier", (SCORES,), {"scalar": 3, "is_int": False}, **ALONE),
    ]


SAMPLES = regressions() + losses() + surrogates()
