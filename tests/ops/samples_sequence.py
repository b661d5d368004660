"""Samples of operators on sequences: masks, last steps, reversal, CTC, attention products."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


STEPS = floats(4, 2, 3)  # (steps, batch, features)
LENGTHS = onp.asarray([1, 3], "float32")
BATCH = onp.asarray([1, 2, 0, 2], "int32")  # for the batch on axis 0
SCORES = floats(5, 2, 4, low=-2, high=2)
LABELS = onp.asarray([[1, 2, 0], [3, 3, 1]], "float32")
QKV = floats(3, 2, 12)
FIXED = {"fixed": (1,)}

BOTH_AXES = "MXNet reverses on axis 0 only"
REVERSED = onp.stack([STEPS[0, ::-1], STEPS[1], STEPS[2], STEPS[3, ::-1]])
UNSET = "MXNet leaves the gradient of an impossible sequence as the memory was"
UNCHECKED = "MXNet does not check the shape"
NO_DOUBLE = "MXNet takes float32 only"


def masks() -> list[Sample]:
    use = {"use_sequence_length": True}
    found = []
    for call in ("nd.SequenceMask", "npx.sequence_mask"):
        found += [
            Sample(call, (STEPS,)),
            Sample(call, (STEPS, LENGTHS), use, **FIXED),
            Sample(call, (STEPS, LENGTHS.astype("int32")), {**use, "value": -1.5}),
            Sample(call, (STEPS, BATCH), {**use, "axis": 1}),
        ]
    return [
        *found,
        Sample("nd.SequenceMask", (STEPS[:, :, 0].copy(), LENGTHS, True), **FIXED),
        Sample("nd.SequenceMask", (STEPS, LENGTHS * 9 - 9, True), **FIXED),
        Sample("nd.SequenceMask", (ints(4, 2), LENGTHS, True), {"value": -2.5}, grad=False),
        Sample("nd.SequenceMask", (STEPS.astype("float64"), LENGTHS, True), **FIXED),
        Sample("nd.SequenceMask", (STEPS.astype("float16"), LENGTHS, True), **FIXED),
        Sample("nd.SequenceMask", (STEPS, LENGTHS), error="MXNetError", **FIXED),
        Sample("nd.SequenceMask", (STEPS,), use, error="MXNetError"),
        Sample("nd.SequenceMask", (STEPS, floats(3)), use, error="ShapeError", **FIXED),
        Sample("nd.SequenceMask", (STEPS,), {"axis": 2}, error="MXNetError"),
        Sample("nd.SequenceMask", (floats(3),), error="ShapeError"),
        Sample("nd.SequenceLast", (STEPS,), grad=False),  # MXNet crashes in its backward pass
        Sample("nd.SequenceLast", (STEPS, LENGTHS), use, **FIXED),
        Sample("nd.SequenceLast", (STEPS, BATCH.clip(1)), {**use, "axis": 1}),
        Sample("nd.SequenceLast", (STEPS,), {"axis": 1}, grad=False),
        Sample("nd.SequenceLast", (STEPS[:, :, 0].astype("float64"), LENGTHS, True), **FIXED),
        Sample("nd.SequenceReverse", (STEPS,)),
        Sample("nd.SequenceReverse", (STEPS, LENGTHS), use, **FIXED),
        Sample("nd.SequenceReverse", (STEPS[:, :, 0].astype("float64"), LENGTHS, True), **FIXED),
        Sample("nd.SequenceReverse", (STEPS, LENGTHS - 1), use, **FIXED),
        Sample(
            "nd.SequenceReverse",
            (STEPS, BATCH * [2, 0, 1, 1]),
            {**use, "axis": 1},
            differs=BOTH_AXES,
            want=REVERSED,
        ),
    ]


def losses() -> list[Sample]:
    last = {"blank_label": "last"}
    found = [
        Sample(call, (SCORES, LABELS), **FIXED)
        for call in ("nd.CTCLoss", "nd.ctc_loss", "nd.contrib.CTCLoss", "nd.contrib.ctc_loss")
    ]
    by_data = {"use_data_lengths": True}
    by_label = {"use_label_lengths": True}
    steps, counts = onp.asarray([4, 5], "float32"), onp.asarray([2, 3], "float32")
    return [
        *found,
        Sample("nd.CTCLoss", (SCORES, LABELS.astype("int32"))),
        Sample("nd.CTCLoss", (SCORES, LABELS - 1), last, **FIXED),
        Sample("nd.CTCLoss", (SCORES, LABELS, steps), by_data, fixed=(1, 2)),
        Sample("nd.CTCLoss", (SCORES, LABELS), {"label_lengths": counts, **by_label}, fixed=(1, 2)),
        Sample(
            "nd.CTCLoss", (SCORES, LABELS, steps, counts), {**by_data, **by_label}, fixed=(1, 2, 3)
        ),
        Sample("nd.CTCLoss", (SCORES[:3], LABELS), grad_differs=UNSET, **FIXED),  # 4 would do
        Sample("nd.CTCLoss", (SCORES, LABELS * [[0], [1]]), **FIXED),  # no labels
        Sample("nd.CTCLoss", (SCORES.astype("float64"), LABELS), differs=NO_DOUBLE, **FIXED),
        Sample("nd.CTCLoss", (SCORES, LABELS, steps), error="MXNetError", fixed=(1, 2)),
        Sample("nd.CTCLoss", (SCORES[0], LABELS), error="ShapeError", **FIXED),
        Sample("nd.CTCLoss", (SCORES, LABELS), {"blank_label": "zero"}, error="MXNetError"),
    ]


def attention() -> list[Sample]:
    contrib = "nd.contrib.interleaved_matmul_"
    weights = floats(4, 3, 3)
    queries, pairs, across = floats(2, 2, 4), floats(3, 2, 8), floats(4, 2, 3)
    heads = {"heads": 2}
    return [
        Sample(f"{contrib}selfatt_qk", (QKV,), heads),
        Sample(f"{contrib}selfatt_qk", (QKV.astype("float64"),), heads, differs=NO_DOUBLE),
        Sample(f"{contrib}selfatt_valatt", (QKV, weights), heads),
        Sample(f"{contrib}encdec_qk", (queries, pairs), heads),
        Sample(f"{contrib}encdec_valatt", (pairs, across), heads),
        Sample(f"{contrib}selfatt_qk", (QKV,), {"heads": 5}, differs=UNCHECKED, error="ShapeError"),
        Sample(
            f"{contrib}selfatt_valatt",
            (QKV, weights[:3]),
            heads,
            differs=UNCHECKED,
            error="ShapeError",
        ),
        Sample("nd.contrib.div_sqrt_dim", (STEPS,)),
        Sample("nd.contrib.div_sqrt_dim", (STEPS.astype("float16"),)),
    ]


SAMPLES = masks() + losses() + attention()
