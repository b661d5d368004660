"""Metrics of numbers predicted: the mean over batches of each batch's mean error."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from regluon.base import ShapeError
from regluon.metric.metric import EvalMetric, Shape, register


class _MeanError(EvalMetric):
    """The mean of `_error` over the batches; labels and predictions have the same shape."""

    def __init__(
        self,
        name: str | None = None,
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            name or type(self).__name__.lower(), output_names, label_names, has_global_stats=True
        )

    def _check(self, label: Shape, pred: Shape) -> None:
        columns = [shape if len(shape) != 1 else (*shape, 1) for shape in (label, pred)]
        if columns[0] != columns[1]:
            raise ShapeError(f"labels of shape {label} do not fit predictions of shape {pred}")

    def _measure(self, label: Tensor, pred: Tensor) -> tuple[Any, Any]:
        return self._error(label.double().reshape(pred.shape) - pred.double()), 1

    def _error(self, difference: Tensor) -> Tensor:
        raise NotImplementedError


@register
class MAE(_MeanError):
    """The mean absolute error; 1-d arrays and columns fit each other.

    >>> import regluon as mx
    >>> mae = mx.metric.MAE()
    >>> mae.update([mx.nd.array([2.5, 0.0, 2, 8])], [mx.nd.array([3, -0.5, 2, 7])])
    >>> mae.get()
    ('mae', 0.5)
    """

    def _error(self, difference: Tensor) -> Tensor:
        return difference.abs().mean()


@register
class MSE(_MeanError):
    """The mean squared error; 1-d arrays and columns fit each other."""

    def _error(self, difference: Tensor) -> Tensor:
        return difference.square().mean()


@register
class RMSE(_MeanError):
    """The root of the mean squared error, taken in each batch; 1-d arrays and columns fit."""

    def _error(self, difference: Tensor) -> Tensor:
        return difference.square().mean().sqrt()
