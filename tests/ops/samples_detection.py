"""Samples of detection: overlaps, suppression, matching, coding of boxes, single-shot detectors."""

import numpy as onp

from tests.ops.samples import Sample, floats


BOXES = onp.asarray([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 4, 4]], "float32")
FOUND = onp.asarray(
    [
        [0, 0.5, 0.1, 0.1, 0.2, 0.2],
        [1, 0.4, 0.1, 0.1, 0.2, 0.2],
        [0, 0.3, 0.1, 0.1, 0.14, 0.14],
        [2, 0.6, 0.5, 0.5, 0.7, 0.8],
        [0, 0.5, 0.1, 0.1, 0.2, 0.2],
        [0, -0.2, 0.3, 0.3, 0.4, 0.4],
    ],
    "float32",
)
SCORES = onp.asarray([[0.5, 0.6], [0.1, 0.2], [0.3, 0.4]], "float32")
ANCHORS = onp.asarray(
    [
        [0.1, 0.1, 0.3, 0.3],
        [0.2, 0.2, 0.5, 0.6],
        [0.5, 0.5, 0.9, 0.9],
        [0, 0, 0.1, 0.1],
        [0.55, 0.5, 0.9, 1],
    ],
    "float32",
)[None]
LABELS = onp.full((2, 3, 5), -1, "float32")
LABELS[0, :2] = [[1, 0.1, 0.1, 0.35, 0.3], [0, 0.5, 0.5, 0.9, 0.95]]
CHANCES = onp.exp(3 * floats(2, 3, 5))
CHANCES /= CHANCES.sum(1, keepdims=True)
MOVES = floats(2, 20, low=-0.3, high=0.3)

FORMAT = "MXNet forgets the change of the format"
NO_RANK = "MXNet wants at least two axes on both sides"
NO_GRADIENT = {"grad": False}
ONE_MORE = "MXNet makes one match more than topk"
LEFT = "MXNet does not convert boxes that begin left of the picture"
IGNORED = "MXNet ignores background_id"
FEWER = "MXNet ignores minimum_negative_samples"
LEFTOVER = "MXNet leaves arbitrary boxes beyond nms_topk; all of them are -1"
FLOAT32 = "MXNet takes float32 only"
OUTSIDE = "MXNet reads what lies outside the array"


def overlaps() -> list[Sample]:
    by_class = {"id_index": 0}
    alone = {"train": True}  # differences would meet the borders between scores and overlaps
    nms = "nd.contrib.box_nms"
    options = [
        {},
        {"background_id": 0},
        {"topk": 2},
        {"topk": 0},
        {"force_suppress": True},
        {"overlap_thresh": 0.1},
        {"overlap_thresh": 1.0},
        {"valid_thresh": 0.45},
        {"valid_thresh": 9.0},
        {"in_format": "center", "out_format": "center"},
    ]
    shifted = FOUND - onp.asarray([0, 0, 0.2, 0, 0.2, 0], "float32")
    middle = onp.asarray([[2, 0.6, 0.4, 0.65, 0.2, 0.3], *[[-1] * 6] * 5], "float32")
    swapped = FOUND[:, [1, 2, 3, 4, 5, 0]].copy()
    return [
        Sample("nd.contrib.box_iou", (BOXES, BOXES[:2]), **NO_GRADIENT),
        Sample("nd.contrib.box_iou", (BOXES[None], BOXES[:2]), {"format": "center"}, **NO_GRADIENT),
        Sample(
            "nd.contrib.box_iou",
            (BOXES, BOXES[0]),
            differs=NO_RANK,
            want=onp.asarray([1, 1 / 7, 0], "float32"),
            **NO_GRADIENT,
        ),
        Sample(
            "nd.contrib.box_iou", (BOXES.astype("float64"), BOXES.astype("float64")), **NO_GRADIENT
        ),
        Sample("nd.contrib.box_iou", (BOXES, floats(2, 5)), error="ShapeError", **NO_GRADIENT),
        Sample("nd.contrib.box_iou", (BOXES, BOXES), {"format": "side"}, error="MXNetError"),
        *[Sample(nms, (FOUND,), {**by_class, **more}, **alone) for more in options],
        Sample(nms, (FOUND,), **alone),
        Sample(nms, (FOUND.astype("float64"),), **alone),
        Sample(nms, (onp.stack([FOUND, 2 * FOUND[::-1]]),), by_class, **alone),
        Sample(nms, (swapped,), {"coord_start": 1, "score_index": 0, "id_index": 5}, **alone),
        Sample(nms, (FOUND,), {**by_class, "out_format": "center"}, grad_differs=FORMAT, **alone),
        Sample(nms, (FOUND,), {"in_format": "center"}, grad_differs=FORMAT, **alone),
        Sample(
            nms,
            (shifted,),
            {"out_format": "center", "valid_thresh": 0.55},
            differs=LEFT,
            want=middle,
            id="left",
            **alone,
        ),
        Sample("nd.contrib.box_non_maximum_suppression", (FOUND,), by_class, **alone),
        Sample(nms, (FOUND,), {"coord_start": 3}, error="ShapeError"),
        Sample(nms, (FOUND,), {"score_index": 3}, error="MXNetError"),
        Sample(nms, (FOUND[0],), error="ShapeError"),
    ]


def matches() -> list[Sample]:
    match, low = "nd.contrib.bipartite_matching", {"threshold": 1e-12}
    encode, decode = "nd.contrib.box_encode", "nd.contrib.box_decode"
    anchors, refs = 4 * ANCHORS[:, :3], 4 * LABELS[:1, :2, 1:]
    samples = onp.asarray([[1, -1, 1]], "float32")
    number = onp.asarray([[0, 7, 1]], "float32")
    means, stds = floats(4), floats(4, low=0.1, high=0.5)
    moves = floats(2, 3, 4)
    spread = {"std0": 0.1, "std1": 0.2, "std2": 0.3, "std3": 0.4}
    one = [onp.asarray([1, -1, -1], "float32"), onp.asarray([-1, 0], "float32")]
    return [
        Sample(match, (SCORES,), low, **NO_GRADIENT),
        Sample(match, (SCORES,), {"threshold": 0.35}, **NO_GRADIENT),
        Sample(match, (SCORES,), {"threshold": 0.55, "is_ascend": True}, **NO_GRADIENT),
        Sample(match, (onp.stack([SCORES, SCORES[::-1]]),), low, **NO_GRADIENT),
        Sample(match, (SCORES,), {**low, "topk": 1}, differs=ONE_MORE, want=one, **NO_GRADIENT),
        Sample(match, (SCORES[0],), low, error="ShapeError", **NO_GRADIENT),
        Sample(encode, (samples, number, anchors, refs, means, stds), **NO_GRADIENT),
        Sample(
            encode,
            (samples, number + 1, anchors, refs, means, stds),
            differs=OUTSIDE,
            error="IndexError",
            **NO_GRADIENT,
        ),
        Sample(decode, (moves, anchors), spread, **NO_GRADIENT),
        Sample(decode, (moves, anchors), {"format": "corner", "clip": 0.25}, **NO_GRADIENT),
    ]


def single_shot() -> list[Sample]:
    data = floats(1, 3, 2, 3)
    shapes = {"sizes": (0.5, 0.25), "ratios": (1, 2, 0.5)}
    placed = {"sizes": 0.9, "ratios": 2, "clip": True, "steps": (0.3, 0.4), "offsets": (0.1, 0.2)}
    mining = {"negative_mining_ratio": 0.5}
    targets = [
        {},
        {"overlap_threshold": 0.8},
        {"overlap_threshold": -1.0},
        {"variances": (1, 1, 1, 1)},
        {**mining, "ignore_label": -7.0},
        {**mining, "negative_mining_thresh": 0.01},
    ]
    detections = [
        {},
        {"threshold": 0.35},
        {"nms_threshold": 0.1, "force_suppress": True},
        {"clip": False, "nms_threshold": 0.0},
        {"variances": (1, 1, 1, 1), "nms_threshold": 2.0},
    ]
    one_class = CHANCES[:, :2] / CHANCES[:, :2].sum(1, keepdims=True)
    spread = {"nms_topk": 2, "nms_threshold": 0.9}
    found = []
    for call, args, all_attrs in (
        ("multibox_target MultiBoxTarget", (ANCHORS, LABELS, CHANCES), targets),
        ("multibox_detection MultiBoxDetection", (CHANCES, MOVES, ANCHORS), detections),
    ):
        small, large = call.split()
        found += [Sample(f"nd.contrib.{large}", args, more, **NO_GRADIENT) for more in all_attrs]
        found.append(Sample(f"npx.{small}", args, **NO_GRADIENT))
    target, detection = "nd.contrib.MultiBoxTarget", "nd.contrib.MultiBoxDetection"
    return [
        *found,
        Sample("nd.contrib.MultiBoxPrior", (data,), shapes, **NO_GRADIENT),
        Sample("npx.multibox_prior", (data,), shapes, **NO_GRADIENT),
        Sample("nd.contrib.MultiBoxPrior", (data,), placed, **NO_GRADIENT),
        Sample(
            "nd.contrib.MultiBoxPrior", (data.astype("float64"),), differs=FLOAT32, **NO_GRADIENT
        ),
        Sample("nd.contrib.MultiBoxPrior", (data[0],), error="ShapeError", **NO_GRADIENT),
        Sample(
            target,
            (ANCHORS, LABELS, CHANCES),
            {**mining, "minimum_negative_samples": 2},
            differs=FEWER,
            **NO_GRADIENT,
        ),
        Sample(
            target,
            (ANCHORS, LABELS, CHANCES[:1]),
            differs=OUTSIDE,
            error="ShapeError",
            **NO_GRADIENT,
        ),
        Sample(detection, (one_class, MOVES, ANCHORS), **NO_GRADIENT),
        Sample(detection, (CHANCES, MOVES, ANCHORS), spread, differs=LEFTOVER, **NO_GRADIENT),
        Sample(
            detection,
            (CHANCES, MOVES, ANCHORS),
            {"background_id": 1},
            differs=IGNORED,
            error="MXNetError",
            **NO_GRADIENT,
        ),
        Sample(detection, (CHANCES, MOVES[:, :8], ANCHORS), error="ShapeError", **NO_GRADIENT),
    ]


SAMPLES = overlaps() + matches() + single_shot()
