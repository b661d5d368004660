"""Boxes: overlaps, suppression of those that overlap, matching, and coding against anchors.

A box is (xmin, ymin, xmax, ymax) in format "corner", (x, y, width, height) in format "center".
"""

from typing import Any

import numpy as onp
import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.bounds import check_below
from regluon.ops.dtype import check_floating
from regluon.ops.registry import Spec, register


def corners(boxes: Tensor, form: str) -> Tensor:
    """Return boxes of either format by their corners."""
    if form == "corner":
        return boxes
    if form != "center":
        raise MXNetError(f"a format of boxes is 'corner' or 'center', not {form!r}")
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([middle - half, middle + half], -1)


def _centers(boxes: Tensor) -> Tensor:
    """Return boxes that are given by their corners in format "center"."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def overlaps(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Return intersection over union of boxes by corners, broadcast; 0 where both have no area."""
    sides = torch.minimum(lhs[..., 2:], rhs[..., 2:]) - torch.maximum(lhs[..., :2], rhs[..., :2])
    shared = sides.clamp(min=0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1) for boxes in (lhs, rhs)]
    union = areas[0] + areas[1] - shared
    return torch.where(union > 0, shared / union, 0)


def _iou_infer(lhs: Tensor | Spec, rhs: Tensor | Spec, **rest: Any) -> tuple[Spec, ...]:
    if lhs.shape[-1:] != (4,) or rhs.shape[-1:] != (4,):
        raise ShapeError(
            f"boxes have a last axis of length 4, not {tuple(lhs.shape)} and {tuple(rhs.shape)}"
        )
    check_floating("box_iou", lhs.dtype, rhs.dtype)
    return (Spec((*lhs.shape[:-1], *rhs.shape[:-1]), lhs.dtype),)


@register(_iou_infer, also={"nd.contrib": "box_iou"}, symbol="_contrib_box_iou", differentiable="")
def box_iou(lhs: Tensor, rhs: Tensor, format: str = "corner") -> Tensor:
    """Return intersection over union of every box of `lhs` with every box of `rhs`.

    The shapes (..., 4) and (other ..., 4) give (..., other ...).

    >>> boxes = nd.array([[0, 0, 2, 2], [1, 1, 3, 3]])
    >>> nd.contrib.box_iou(boxes, boxes[0]).shape
    (2,)
    """
    _iou_infer(lhs, rhs)
    first, second = corners(lhs, format), corners(rhs, format)
    rows = overlaps(first.reshape(-1, 1, 4), second.reshape(1, -1, 4))
    return rows.reshape(*lhs.shape[:-1], *rhs.shape[:-1])


_ROWS = 256  # boxes compared with all others at a time


def kept(boxes: Tensor, classes: Tensor | None, thresh: float, *, touching: bool = False) -> Tensor:
    """Return the numbers of the boxes, best first, that no kept box before them overlaps.

    To overlap is by more than `thresh`, or as much if `touching`, and within one of the `classes`.
    """
    left = torch.arange(len(boxes), device=boxes.device)
    found = [left[:0]]
    while len(left):
        rows = left[:_ROWS]
        over = overlaps(boxes[rows].unsqueeze(1), boxes[left])
        out = over >= thresh if touching else over > thresh
        if classes is not None:
            out &= classes[rows].unsqueeze(1) == classes[left]
        stay = torch.from_numpy(_staying(out.cpu().numpy())).to(boxes.device)
        found.append(rows[stay[: len(rows)]])
        left = left[len(rows) :][stay[len(rows) :]]
    return torch.cat(found)


def _staying(out: Any) -> Any:
    """Return which columns stay, where row i says whom number i takes out if it stays itself."""
    stay = onp.ones(out.shape[1], bool)
    for at, row in enumerate(out):
        if stay[at]:
            stay[at + 1 :] &= ~row[at + 1 :]
    return stay


def _check_columns(width: int, coord_start: int, score_index: int, id_index: int) -> None:
    boxes = range(coord_start, coord_start + 4)
    single = [score_index] + [id_index] * (id_index >= 0)
    if coord_start < 0 or boxes[-1] >= width or not all(0 <= at < width for at in single):
        raise ShapeError(
            f"coordinates from {coord_start}, scores at {score_index} and classes at {id_index} "
            f"are not all among {width} columns"
        )
    if any(at in boxes for at in single) or len(set(single)) < len(single):
        raise MXNetError("coordinates, scores and classes must have columns of their own")


def _nms_infer(
    data: Tensor | Spec,
    *,
    coord_start: int = 2,
    score_index: int = 1,
    id_index: int = -1,
    **rest: Any,
) -> tuple[Spec, ...]:
    if len(data.shape) < 2:
        raise ShapeError(f"box_nms needs (..., boxes, columns), not shape {tuple(data.shape)}")
    _check_columns(data.shape[-1], coord_start, score_index, id_index)
    check_floating("box_nms", data.dtype)
    return (Spec(tuple(data.shape), data.dtype),)


@register(
    _nms_infer,
    also={"nd.contrib": "box_nms box_non_maximum_suppression"},
    symbol="_contrib_box_nms",
)
def box_nms(
    data: Tensor,
    overlap_thresh: float = 0.5,
    valid_thresh: float = 0.0,
    topk: int = -1,
    coord_start: int = 2,
    score_index: int = 1,
    id_index: int = -1,
    background_id: int = -1,
    force_suppress: bool = False,
    in_format: str = "corner",
    out_format: str = "corner",
) -> Tensor:
    """Keep the boxes that no better one overlaps by more than `overlap_thresh`.

    `data` is (..., boxes, columns): four columns from `coord_start` are the box, `score_index` its
    score, `id_index`, if not negative, its class. Kept boxes come first, best first; all other rows
    are -1. Only the `topk` best with a score above `valid_thresh` take part, none of the class
    `background_id`. Boxes of different classes do not suppress each other unless `force_suppress`.

    >>> boxes = nd.array([[0, 0.4, 0, 0, 2, 2], [0, 0.9, 0, 0, 2, 2.1], [0, 0.5, 5, 5, 6, 6]])
    >>> nd.contrib.box_nms(boxes)[:, 2].asnumpy().tolist()
    [0.0, 5.0, -1.0]
    """
    _nms_infer(data, coord_start=coord_start, score_index=score_index, id_index=id_index)
    if not topk:
        return data.clone()
    batches = data.reshape(-1, *data.shape[-2:])
    results = []
    for rows in batches:
        plain = rows.detach()
        valid = plain[:, score_index] > valid_thresh
        classes = plain[:, id_index] if id_index >= 0 else None
        if classes is not None and background_id >= 0:
            valid &= classes != background_id
        order = plain[:, score_index].sort(descending=True, stable=True).indices
        order = order[valid[order]]
        order = order[:topk] if topk > 0 else order
        boxes = corners(plain[order, coord_start : coord_start + 4], in_format)
        of = None if classes is None or force_suppress else classes[order]
        chosen = rows[order[kept(boxes, of, overlap_thresh)]]
        if in_format != out_format:
            chosen = _reformed(chosen, coord_start, out_format)
        results.append(_filled(chosen, len(rows)))
    return torch.stack(results).reshape(data.shape) if results else data.clone()


def _reformed(rows: Tensor, start: int, out_format: str) -> Tensor:
    boxes = rows[:, start : start + 4]
    boxes = corners(boxes, "center") if out_format == "corner" else _centers(boxes)
    return torch.cat([rows[:, :start], boxes, rows[:, start + 4 :]], 1)


def _filled(rows: Tensor, count: int) -> Tensor:
    """Append rows of -1 up to `count` of them."""
    return torch.cat([rows, rows.new_full((count - len(rows), rows.shape[1]), -1)])


def _matching_infer(data: Tensor | Spec, **rest: Any) -> tuple[Spec, ...]:
    if len(data.shape) < 2:
        raise ShapeError(f"bipartite_matching needs (..., rows, columns), not {tuple(data.shape)}")
    *batch, rows, columns = data.shape
    return Spec((*batch, rows), data.dtype), Spec((*batch, columns), data.dtype)


@register(
    _matching_infer,
    also={"nd.contrib": "bipartite_matching"},
    symbol="_contrib_bipartite_matching",
    outputs=2,
    differentiable="",
)
def bipartite_matching(
    data: Tensor, threshold: float, is_ascend: bool = False, topk: int = -1
) -> tuple[Tensor, Tensor]:
    """Match rows with columns of scores (..., rows, columns), the best free pair first.

    Returns each row's column and each column's row, -1 where there is none. A pair's score is above
    `threshold`; with `is_ascend` small scores are good and it is below. `topk` limits the matches.

    >>> rows, columns = nd.contrib.bipartite_matching(nd.array([[5, 6], [1, 2]]), threshold=0.5)
    >>> rows.asnumpy().tolist(), columns.asnumpy().tolist()
    ([1.0, 0.0], [1.0, 0.0])
    """
    _matching_infer(data)
    rows = data.new_full(data.shape[:-1], -1)
    columns = data.new_full((*data.shape[:-2], data.shape[-1]), -1)
    pairs = data.reshape(-1, *data.shape[-2:])
    flat = zip(pairs, rows.view(len(pairs), -1), columns.view(len(pairs), -1), strict=True)
    for scores, row_of, column_of in flat:
        good = scores.flatten() < threshold if is_ascend else scores.flatten() > threshold
        order = scores.flatten().sort(descending=not is_ascend, stable=True).indices
        places = order[good[order]].tolist()
        most = min(scores.shape) if topk < 0 else min(topk, *scores.shape)
        taken: list[set[int]] = [set(), set()]
        for row, column in (divmod(place, scores.shape[1]) for place in places):
            if len(taken[0]) == most:
                break
            if row not in taken[0] and column not in taken[1]:
                taken[0].add(row)
                taken[1].add(column)
                row_of[row], column_of[column] = column, row
    return rows, columns


def _sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return centres and sizes of boxes that are given by their corners."""
    centers = _centers(boxes)
    return centers[..., :2], centers[..., 2:]


def offsets(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Return how boxes lie to anchors: shifts in units of their sizes, logarithms of ratios."""
    (place, size), (origin, unit) = _sides(boxes), _sides(anchors)
    return torch.cat([(place - origin) / unit, (size / unit).log()], -1)


def _encode_infer(samples: Tensor | Spec, *rest: Any) -> tuple[Spec, ...]:
    matches, anchors = rest[:2]
    if (
        len(samples.shape) != 2
        or matches.shape != samples.shape
        or tuple(anchors.shape[1:]) != (samples.shape[1], 4)
    ):
        raise ShapeError(
            "samples and matches are (batch, anchors), anchors (batch, anchors, 4), not "
            f"{tuple(samples.shape)}, {tuple(matches.shape)} and {tuple(anchors.shape)}"
        )
    check_floating("box_encode", anchors.dtype)
    shape = Spec((*samples.shape, 4), anchors.dtype)
    return shape, shape


def _check_encode(samples: Tensor, matches: Tensor, *rest: Tensor) -> None:
    _encode_infer(samples, matches, *rest)
    check_below(matches[samples > 0.5], rest[1].shape[1], "match")


@register(
    _encode_infer,
    also={"nd.contrib": "box_encode"},
    symbol="_contrib_box_encode",
    outputs=2,
    differentiable="",
    check=_check_encode,
)
def box_encode(
    samples: Tensor, matches: Tensor, anchors: Tensor, refs: Tensor, means: Tensor, stds: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what a detector is to predict for each anchor, and a mask of 1 where that is.

    `samples` (batch, anchors) is 1 for anchors with a target, `matches` its number among the boxes
    `refs` (batch, boxes, 4), by corners as `anchors` (batch, anchors, 4). A target is (shift of the
    centre / size of the anchor, log(size / size of the anchor)), minus `means`, divided by `stds`.

    >>> one, box = nd.ones((1, 1)), nd.array([[[0, 0, 2, 2]]])
    >>> nd.contrib.box_encode(one, one * 0, box, box, nd.zeros(4), nd.ones(4))[0].asnumpy().tolist()
    [[[0.0, 0.0, 0.0, 0.0]]]
    """
    positive = (samples > 0.5).unsqueeze(-1)
    index = matches.long().clamp(0, refs.shape[1] - 1).unsqueeze(-1).expand(*matches.shape, 4)
    targets = (offsets(refs.gather(1, index), anchors) - means) / stds
    return torch.where(positive, targets, 0), positive.expand(*matches.shape, 4).to(anchors.dtype)


def _decode_infer(data: Tensor | Spec, anchors: Tensor | Spec, **rest: Any) -> tuple[Spec, ...]:
    shape = tuple(data.shape)
    if shape[-1:] != (4,) or tuple(anchors.shape[1:]) != shape[1:]:
        raise ShapeError(
            f"data is (batch, anchors, 4) and anchors (1, anchors, 4), not {shape} and "
            f"{tuple(anchors.shape)}"
        )
    check_floating("box_decode", data.dtype, anchors.dtype)
    return (Spec(shape, data.dtype),)


@register(
    _decode_infer,
    also={"nd.contrib": "box_decode"},
    symbol="_contrib_box_decode",
    differentiable="",
)
def box_decode(
    data: Tensor,
    anchors: Tensor,
    std0: float = 1.0,
    std1: float = 1.0,
    std2: float = 1.0,
    std3: float = 1.0,
    clip: float = -1.0,
    format: str = "center",
) -> Tensor:
    """Return the boxes, by corners, that predictions (batch, anchors, 4) mean: box_encode reversed.

    `anchors` (1, anchors, 4) have the given format. The scaled logarithms of sizes are at most
    `clip`, if that is positive.
    """
    _decode_infer(data, anchors)
    scaled = data * data.new_tensor([std0, std1, std2, std3])
    place, size = _sides(corners(anchors, format))
    logs = scaled[..., 2:].clamp(max=clip) if clip > 0 else scaled[..., 2:]
    centre, half = scaled[..., :2] * size + place, logs.exp() * size / 2
    return torch.cat([centre - half, centre + half], -1)
