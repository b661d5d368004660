"""Metrics of class predictions: accuracy, F1, likelihoods; and the mean loss."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.array.dispatch import push
from regluon.array.ndarray import NDArray
from regluon.base import MXNetError, OutOfRangeError, ShapeError
from regluon.metric.metric import EvalMetric, Shape, alias, check_label_shapes, register
from regluon.ops.registry import Spec


Names = Sequence[str] | None


@register
@alias("acc")
class Accuracy(EvalMetric):
    """The share of samples whose most likely class is the label.

    preds: scores with the classes along `axis`, or class indices in the shape of the labels.
    labels: class indices of any shape with one value per sample.

    >>> import regluon as mx
    >>> accuracy = mx.metric.Accuracy()
    >>> scores = mx.nd.array([[0.3, 0.7], [0.0, 1.0], [0.4, 0.6]])
    >>> accuracy.update([mx.nd.array([0, 1, 1])], [scores])
    >>> accuracy.get()
    ('accuracy', 0.6666666666666666)
    """

    def __init__(
        self,
        axis: int = 1,
        name: str = "accuracy",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True, axis=axis)
        self.axis = axis

    def _check(self, label: Shape, pred: Shape) -> None:
        if label == pred:
            return
        if not -len(pred) <= self.axis < len(pred):
            raise ShapeError(f"predictions of shape {pred} have no axis {self.axis} of classes")
        samples = math.prod(pred) // max(pred[self.axis], 1)
        if math.prod(label) != samples:
            raise ShapeError(
                f"labels of shape {label} do not fit predictions of shape {pred}, which are "
                f"{samples} samples with classes along axis {self.axis}"
            )

    def _measure(self, label: Tensor, pred: Tensor) -> tuple[Any, Any]:
        guess = pred if pred.shape == label.shape else pred.argmax(self.axis)
        same = guess.reshape(-1).to(torch.int32) == label.reshape(-1).to(torch.int32)
        return same.sum(), same.numel()


def _check_scores(label: Shape, pred: Shape) -> None:
    """Raise unless there is one label for each row of a matrix of scores."""
    if len(pred) != 2 or math.prod(label) != pred[0]:
        raise ShapeError(
            f"labels of shape {label} do not fit predictions of shape {pred}: wanted are scores of "
            "shape (samples, classes) and one label per sample"
        )


def _likelihoods(label: Tensor, pred: Tensor) -> Tensor:
    """Return the score of each row's label in float64; wrong labels are an error on the CPU."""
    index = label.reshape(-1, 1).to(torch.int64)
    classes = pred.shape[1]
    if index.device.type == "cpu" and index.numel():
        low, high = int(index.min()), int(index.max())
        if low < 0 or high >= classes:
            raise OutOfRangeError(f"labels from {low} to {high} for {classes} classes")
    return pred.double().gather(1, index)


@register
@alias("top_k_accuracy", "top_k_acc")
class TopKAccuracy(EvalMetric):
    """The share of samples whose label is among the `top_k` (at least 2) most likely classes.

    preds: scores of shape (samples, classes). labels: class indices, one per sample.
    """

    def __init__(
        self,
        top_k: int = 1,
        name: str = "top_k_accuracy",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        if top_k <= 1:
            raise MXNetError(f"top_k={top_k}: use Accuracy for the most likely class")
        super().__init__(name, output_names, label_names, has_global_stats=True, top_k=top_k)
        self.top_k = top_k
        self.name += f"_{top_k}"

    def _check(self, label: Shape, pred: Shape) -> None:
        _check_scores(label, pred)

    def _measure(self, label: Tensor, pred: Tensor) -> tuple[Any, Any]:
        top = pred.float().topk(min(self.top_k, pred.shape[1]), dim=1).indices
        return (top == label.reshape(-1, 1).to(torch.int64)).sum(), pred.shape[0]


@register
class F1(EvalMetric):
    """The harmonic mean of precision and recall of class 1 of two.

    average: "macro" is the mean of the batches' scores, "micro" the score of all samples together.
    """

    def __init__(
        self,
        name: str = "f1",
        output_names: Names = None,
        label_names: Names = None,
        average: str = "macro",
    ) -> None:
        if average not in ("macro", "micro"):
            raise MXNetError(f"average is 'macro' or 'micro', not {average!r}")
        self.average = average
        self._numbers = 2 if average == "macro" else 3
        super().__init__(name, output_names, label_names, average=average)

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self._counts = torch.zeros(3, dtype=torch.float64)

    reset_local = reset

    def _check(self, label: Shape, pred: Shape) -> None:
        _check_scores(label, pred)
        if pred[1] > 2:
            raise MXNetError("F1 is defined here for two classes only")

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch: a list of label arrays and one of prediction arrays, or one array each."""
        counts = [self._count(label, pred) for label, pred in self._checked(labels, preds)]
        if not counts:
            return
        arrays = [each.as_in_context(counts[0].context) for each in counts]

        def measure() -> Iterable[Any]:
            found = torch.stack([array.value() for array in arrays]).sum(0)
            return found if self.average == "micro" else (_f1(found), 1)

        self._add_up(arrays, measure)

    def _count(self, label: NDArray, pred: NDArray) -> NDArray:
        """Queue counting the hits, the guesses and the truths of class 1."""
        counts = NDArray(None, pred.context, Spec((3,), torch.float64))

        def task() -> None:
            truth = label.value().reshape(-1).to(torch.int32)
            if len(truth.unique()) > 2:
                raise MXNetError("F1 is defined here for two classes only")
            true, guess = truth == 1, pred.value().argmax(1) == 1
            counts._data = torch.stack([(true & guess).sum(), guess.sum(), true.sum()]).double()

        name = f"metric {self.name}"
        push(task, [label, pred], [counts], pred.context, name, work=label.size + pred.size)
        return counts

    def _settle(self) -> None:
        if self.average == "macro":
            super()._settle()
            return
        for ctx in list(self._pending):
            self._counts += torch.from_numpy(self._pending[ctx].asnumpy())
            del self._pending[ctx]
            self._sum_metric, self._num_inst = _f1(self._counts), 1


def _f1(counts: Tensor) -> float:
    hits, guesses, truths = counts.tolist()
    return float(2 * hits / (guesses + truths)) if hits else 0.0


@register
class Perplexity(EvalMetric):
    """exp of the mean negative log likelihood; samples labelled `ignore_label` are left out.

    preds: probabilities with the classes along the last axis. labels: one class index per sample.
    """

    def __init__(
        self,
        ignore_label: int | None,
        axis: int = -1,
        name: str = "perplexity",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        super().__init__(
            name, output_names, label_names, has_global_stats=True, ignore_label=ignore_label
        )
        self.ignore_label = ignore_label
        self.axis = axis

    def _check(self, label: Shape, pred: Shape) -> None:
        if self.axis not in (-1, len(pred) - 1):
            raise ShapeError(f"the classes are along the last axis, not along axis {self.axis}")
        _check_scores(label, (math.prod(pred[:-1]), pred[-1]))

    def _measure(self, label: Tensor, pred: Tensor) -> tuple[Any, Any]:
        flat, scores = label.reshape(-1), pred.reshape(-1, pred.shape[-1])
        if self.ignore_label is not None:
            kept = flat != self.ignore_label
            flat, scores = flat[kept], scores[kept]
        return -_likelihoods(flat, scores).clamp(min=1e-10).log().sum(), flat.numel()

    def _value(self, total: float, count: int) -> float:
        return math.exp(total / count) if count else math.nan


@register
@alias("ce")
class CrossEntropy(EvalMetric):
    """The mean of -log(p + eps), p the probability predicted for the label.

    preds: probabilities of shape (samples, classes). labels: class indices, one per sample.
    """

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "cross-entropy",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True, eps=eps)
        self.eps = eps

    def _check(self, label: Shape, pred: Shape) -> None:
        _check_scores(label, pred)

    def _measure(self, label: Tensor, pred: Tensor) -> tuple[Any, Any]:
        return -(_likelihoods(label, pred) + self.eps).log().sum(), pred.shape[0]


@register
@alias("nll_loss")
class NegativeLogLikelihood(CrossEntropy):
    """The same number as `CrossEntropy` under the name that MXNet gives it here."""

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "nll-loss",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        super().__init__(eps, name, output_names, label_names)


@register
class Loss(EvalMetric):
    """The mean of all values in the predictions, which are losses; labels are not looked at."""

    def __init__(
        self, name: str = "loss", output_names: Names = None, label_names: Names = None
    ) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch of losses: a list of arrays, or one array."""
        _, preds = check_label_shapes(preds, preds, wrap=True)
        super().update(preds, preds)

    def _measure(self, label: Tensor, pred: Tensor) -> tuple[Any, Any]:
        return pred.double().sum(), pred.numel()
