"""Single-shot detection (Liu et al. 2016): anchors, training targets, and detections.

Boxes are (xmin, ymin, xmax, ymax) in fractions of the picture, anchors (1, count, 4).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.boxes import kept, offsets, overlaps
from regluon.ops.dtype import check_floating
from regluon.ops.registry import Spec, register


Numbers = float | Sequence[float]
VARIANCES = (0.1, 0.1, 0.2, 0.2)


def _listed(numbers: Numbers) -> list[float]:
    return list(numbers) if isinstance(numbers, Sequence) else [numbers]


def _prior_infer(
    data: Tensor | Spec, *, sizes: Numbers = (1.0,), ratios: Numbers = (1.0,), **rest: Any
) -> tuple[Spec, ...]:
    if len(data.shape) != 4:
        raise ShapeError(f"data is (batch, channels, height, width), not {tuple(data.shape)}")
    check_floating("MultiBoxPrior", data.dtype, half=False)
    each = len(_listed(sizes)) + len(_listed(ratios)) - 1
    return (Spec((1, data.shape[2] * data.shape[3] * each, 4), data.dtype),)


@register(
    _prior_infer,
    npx="multibox_prior",
    also={"nd.contrib": "MultiBoxPrior"},
    symbol="_contrib_MultiBoxPrior",
    differentiable="",
)
def multibox_prior(
    data: Tensor,
    sizes: Numbers = (1.0,),
    ratios: Numbers = (1.0,),
    clip: bool = False,
    steps: Sequence[float] = (-1.0, -1.0),
    offsets: Sequence[float] = (0.5, 0.5),
) -> Tensor:
    """Make anchors around each pixel of a feature map (batch, channels, height, width).

    A pixel has one anchor for each of `sizes`, all with the first of `ratios` (width by height),
    and one of the first size for each further ratio. `steps` are the distances of the pixels in y
    and x, 1 / height and 1 / width where negative, and `offsets` where in a pixel the centre is.
    `clip` cuts anchors at the borders of the picture.

    >>> nd.contrib.MultiBoxPrior(nd.zeros((1, 3, 2, 2)), sizes=(0.5, 0.25), ratios=(1, 2)).shape
    (1, 12, 4)
    """
    _prior_infer(data, sizes=sizes, ratios=ratios)
    height, width = data.shape[2:]
    scales, shapes = _listed(sizes), _listed(ratios)
    kinds = [(size, shapes[0]) for size in scales] + [(scales[0], ratio) for ratio in shapes[1:]]
    halves = [
        (size * height / width * math.sqrt(ratio) / 2, size / math.sqrt(ratio) / 2)
        for size, ratio in kinds
    ]
    down, across = (
        (torch.arange(count, dtype=data.dtype, device=data.device) + offset)
        * (step if step > 0 else 1 / count)
        for count, offset, step in zip((height, width), offsets, steps, strict=True)
    )
    rows, columns = torch.meshgrid(down, across, indexing="ij")
    middle = torch.stack([columns, rows], -1).reshape(-1, 1, 2)
    half = data.new_tensor(halves)
    anchors = torch.cat([middle - half, middle + half], -1).reshape(1, -1, 4)
    return anchors.clamp(0, 1) if clip else anchors


def _anchors(anchor: Tensor | Spec) -> int:
    """Return the number of anchors."""
    shape = tuple(anchor.shape)
    if len(shape) != 3 or shape[0] != 1 or shape[2] != 4:
        raise ShapeError(f"anchors are (1, count, 4), not {shape}")
    check_floating("detection", anchor.dtype, half=False)
    return shape[1]


def _target_infer(
    anchor: Tensor | Spec, label: Tensor | Spec, cls_pred: Tensor | Spec, **rest: Any
) -> tuple[Spec, ...]:
    count, boxes_of, chances_of = _anchors(anchor), tuple(label.shape), tuple(cls_pred.shape)
    if len(boxes_of) != 3 or boxes_of[2] < 5 or len(chances_of) != 3:
        raise ShapeError(
            f"label is (batch, boxes, 5) and cls_pred (batch, classes, anchors), not {boxes_of} "
            f"and {chances_of}"
        )
    if (chances_of[0], chances_of[2]) != (boxes_of[0], count):
        raise ShapeError(f"cls_pred {chances_of} does not fit label {boxes_of}, {count} anchors")
    boxes = Spec((label.shape[0], 4 * count), anchor.dtype)
    return boxes, boxes, Spec((label.shape[0], count), anchor.dtype)


def _matches(over: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return for each anchor the number of its box, and whether it is matched with it.

    First each box in turn takes the free anchor that fits best; of the other anchors, those that
    overlap their best box by more than `threshold` are matched too.
    """
    best, chosen = over.max(1)
    matched = best > threshold if threshold > 0 else torch.zeros_like(best, dtype=torch.bool)
    free = over.clone()
    for _ in range(over.shape[1]):
        at = int(free.argmax())
        anchor, box = divmod(at, over.shape[1])
        if free[anchor, box] <= 1e-6:
            break
        matched[anchor], chosen[anchor] = True, box
        free[anchor], free[:, box] = -1, -1
    return chosen, matched


def _negatives(
    matched: Tensor, over: Tensor, scores: Tensor, ratio: float, thresh: float, least: int
) -> Tensor:
    """Return which anchors are background: all others, or those that look least like it."""
    if ratio <= 0:
        return ~matched
    wanted = max(int(int(matched.sum()) * ratio), least)
    possible = (~matched & (over.amax(1) < thresh)).nonzero().squeeze(1)
    background = torch.softmax(scores, 0)[0, possible]
    hardest = possible[background.sort(stable=True).indices[:wanted]]
    return torch.zeros_like(matched).index_fill(0, hardest, True)


@register(
    _target_infer,
    npx="multibox_target",
    also={"nd.contrib": "MultiBoxTarget"},
    symbol="_contrib_MultiBoxTarget",
    outputs=3,
    differentiable="",
)
def multibox_target(
    anchor: Tensor,
    label: Tensor,
    cls_pred: Tensor,
    overlap_threshold: float = 0.5,
    ignore_label: float = -1.0,
    negative_mining_ratio: float = -1.0,
    negative_mining_thresh: float = 0.5,
    minimum_negative_samples: int = 0,
    variances: Sequence[float] = VARIANCES,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the training targets of anchors: boxes and their mask (batch, 4 * anchors), classes.

    `label` (batch, boxes, 5) has rows (class, xmin, ymin, xmax, ymax) up to the first of class -1.
    Each box gets the anchor that overlaps it most, and further anchors by more than
    `overlap_threshold`. Their class is that of the box plus 1, their target relative to the anchor
    and divided by `variances`. All others are background, class 0; with a `negative_mining_ratio`
    only so many for each matched one (at least `minimum_negative_samples`), those with an overlap
    below `negative_mining_thresh` and the least chance of class 0 by `cls_pred` (batch, classes,
    anchors). What remains, and pictures without boxes, have the class `ignore_label`.
    """
    _target_infer(anchor, label, cls_pred)
    places, masks, classes = [], [], []
    for rows, scores in zip(label, cls_pred, strict=True):
        rows = rows[(rows[:, 0] == -1).cumsum(0) == 0]
        target = anchor.new_full(anchor.shape[1:2], ignore_label)
        place, mask = torch.zeros_like(anchor[0]), torch.zeros_like(anchor[0])
        if len(rows):
            over = overlaps(anchor[0].unsqueeze(1), rows[:, 1:5])
            chosen, matched = _matches(over, overlap_threshold)
            negative = _negatives(
                matched, over, scores, negative_mining_ratio, negative_mining_thresh,
                minimum_negative_samples,
            )  # fmt: skip
            target[negative] = 0
            target[matched] = rows[chosen[matched], 0] + 1
            found = offsets(rows[chosen[matched], 1:5], anchor[0, matched])
            place[matched] = found / found.new_tensor(variances)
            mask[matched] = 1
        places.append(place.flatten())
        masks.append(mask.flatten())
        classes.append(target)
    return torch.stack(places), torch.stack(masks), torch.stack(classes)


def _detection_infer(
    cls_prob: Tensor | Spec, loc_pred: Tensor | Spec, anchor: Tensor | Spec, **rest: Any
) -> tuple[Spec, ...]:
    count, chances_of, moves_of = _anchors(anchor), tuple(cls_prob.shape), tuple(loc_pred.shape)
    if len(chances_of) != 3 or chances_of[2] != count:
        raise ShapeError(f"cls_prob is (batch, classes, {count} anchors), not {chances_of}")
    if moves_of != (chances_of[0], 4 * count):
        raise ShapeError(f"loc_pred is (batch, 4 * {count} anchors), not {moves_of}")
    return (Spec((cls_prob.shape[0], count, 6), cls_prob.dtype),)


@register(
    _detection_infer,
    npx="multibox_detection",
    also={"nd.contrib": "MultiBoxDetection"},
    symbol="_contrib_MultiBoxDetection",
    differentiable="",
)
def multibox_detection(
    cls_prob: Tensor,
    loc_pred: Tensor,
    anchor: Tensor,
    clip: bool = True,
    threshold: float = 0.01,
    background_id: int = 0,
    nms_threshold: float = 0.5,
    force_suppress: bool = False,
    variances: Sequence[float] = VARIANCES,
    nms_topk: int = -1,
) -> Tensor:
    """Return detections (batch, anchors, 6): rows (class, score, xmin, ymin, xmax, ymax).

    Each anchor proposes its best class but the background (class 0; the others count from 0 in the
    result) with a chance of at least `threshold`, and its box moved by `loc_pred` times
    `variances`, at most to the borders of the picture if `clip`. The `nms_topk` best are sorted by
    score; the class is -1 where a better box of the class, or of any by `force_suppress`, overlaps
    by `nms_threshold` or more. Rows of -1 follow. A `nms_threshold` outside 0 ... 1 leaves all in
    the order of the anchors.
    """
    _detection_infer(cls_prob, loc_pred, anchor)
    if background_id != 0:
        raise MXNetError(f"the background is class 0; background_id={background_id} has no meaning")
    results = []
    for chances, moves in zip(cls_prob, loc_pred, strict=True):
        score, kind = chances[1:].max(0)
        chosen = (score >= threshold).nonzero().squeeze(1)
        boxes = _moved(anchor[0, chosen], moves.reshape(-1, 4)[chosen], variances)
        boxes = boxes.clamp(0, 1) if clip else boxes
        rows = torch.cat([torch.stack([kind.to(score.dtype), score], 1)[chosen], boxes], 1)
        if 0 < nms_threshold <= 1:
            rows = rows[rows[:, 1].sort(descending=True, stable=True).indices]
            rows = rows[:nms_topk] if nms_topk > 0 else rows
            of = None if force_suppress else rows[:, 0]
            stay = kept(rows[:, 2:], of, nms_threshold, touching=True)
            gone = torch.ones_like(rows[:, 0], dtype=torch.bool).index_fill(0, stay, False)
            rows[:, 0] = rows[:, 0].masked_fill(gone, -1)
        results.append(torch.cat([rows, rows.new_full((len(score) - len(rows), 6), -1)]))
    return torch.stack(results)


def _moved(anchors: Tensor, moves: Tensor, variances: Sequence[float]) -> Tensor:
    scaled = moves * moves.new_tensor(variances)
    size = anchors[:, 2:] - anchors[:, :2]
    centre = scaled[:, :2] * size + (anchors[:, :2] + anchors[:, 2:]) / 2
    half = scaled[:, 2:].exp() * size / 2
    return torch.cat([centre - half, centre + half], 1)
