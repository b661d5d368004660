"""Losses: one number per sample of a batch, for `backward` to start from."""

from typing import Any

from regluon.array.absent import refused
from regluon.array.dispatch import call, invoke
from regluon.array.np_ndarray import ndarray
from regluon.base import MXNetError, ShapeError
from regluon.gluon.hybrid import HybridBlock
from regluon.ops.registry import TABLE


_CROSS_ENTROPY = TABLE["sparse_cross_entropy"]
_MEAN = TABLE["mean"]
_SUM = TABLE["sum"]


class Loss(HybridBlock):
    """The base of all losses; a subclass computes one number per sample in `forward`.

    weight: a factor on the loss, or None.
    batch_axis: the axis of the samples (under `npx.set_np` it is always the first).

    Every loss takes `sample_weight`, which must be broadcastable to the elements: for predictions
    (batch, n) and one weight per sample it has the shape (batch, 1).
    """

    def __init__(self, weight: float | None, batch_axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if weight is not None and not isinstance(weight, (int, float)):
            raise MXNetError(f"the weight of a loss is a number or None, not {weight!r}")
        self._weight = weight
        self._batch_axis = batch_axis

    def __repr__(self) -> str:
        return f"{type(self).__name__}(batch_axis={self._batch_axis}, w={self._weight})"

    def _weighted(self, loss: Any, sample_weight: Any, factor: float = 1) -> Any:
        if sample_weight is not None:
            loss = call("multiply", loss, sample_weight)
        if self._weight is not None:
            factor *= self._weight
        return loss if factor == 1 else loss * factor

    def _reduced(self, loss: Any, op: Any = _MEAN) -> Any:
        """Return the mean over all axes but that of the batch."""
        if len(loss.shape) == 1:
            return loss
        axis = 0 if isinstance(loss, ndarray) else self._batch_axis
        return invoke(op, (loss,), {"axis": axis, "exclude": True}, type(loss))


def _fitted(label: Any, pred: Any) -> Any:
    """Return the label in the shape of the prediction."""
    if label.shape == pred.shape:
        return label
    if label.size != pred.size:
        raise ShapeError(f"label has shape {label.shape}, the prediction {pred.shape}")
    return label.reshape(pred.shape)


def _cross_entropy_of_scores(pred: Any, label: Any) -> Any:
    """Return -label log(sigmoid(pred)) - (1 - label) log(1 - sigmoid(pred)) without overflow."""
    soft = call("activation", -call("abs", pred), act_type="softrelu")
    return call("relu", pred) - pred * label + soft


class L2Loss(Loss):
    """Half the mean squared difference: 1/2 (label - pred)^2.

    >>> import regluon as mx
    >>> mx.gluon.loss.L2Loss()(mx.nd.array([[1, 3]]), mx.nd.array([[1, 1]])).asnumpy().tolist()
    [1.0]
    """

    def __init__(self, weight: float | None = 1.0, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def forward(self, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """Return shape (batch,)."""
        loss = call("square", _fitted(label, pred) - pred)
        return self._reduced(self._weighted(loss, sample_weight, 0.5))


class L1Loss(Loss):
    """The mean absolute difference: |label - pred|.

    >>> import regluon as mx
    >>> mx.gluon.loss.L1Loss()(mx.nd.array([[1, 3]]), mx.nd.array([[1, 1]])).asnumpy().tolist()
    [1.0]
    """

    def __init__(self, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def forward(self, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """Return shape (batch,)."""
        loss = call("abs", _fitted(label, pred) - pred)
        return self._reduced(self._weighted(loss, sample_weight))


class SigmoidBinaryCrossEntropyLoss(Loss):
    """Cross-entropy of chances for independent yes-or-no labels; alias `SigmoidBCELoss`.

    from_sigmoid: the predictions are chances already; otherwise the sigmoid is taken here, in a
    form that does not overflow: max(x, 0) - x label + log(1 + exp(-|x|)).

    Called with (pred, label, sample_weight, pos_weight); `pos_weight` is a factor on the positive
    term, one per class.

    >>> import regluon as mx
    >>> loss = mx.gluon.loss.SigmoidBCELoss()
    >>> round(loss(mx.nd.array([[0.0]]), mx.nd.array([[1.0]])).item(), 4)
    0.6931
    """

    def __init__(
        self,
        from_sigmoid: bool = False,
        weight: float | None = None,
        batch_axis: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_sigmoid = from_sigmoid

    def forward(
        self, pred: Any, label: Any, sample_weight: Any = None, pos_weight: Any = None
    ) -> Any:
        """Return shape (batch,)."""
        label = _fitted(label, pred)
        kind = self._from_chances if self._from_sigmoid else self._from_scores
        return self._reduced(self._weighted(kind(pred, label, pos_weight), sample_weight))

    def _from_scores(self, pred: Any, label: Any, pos_weight: Any) -> Any:
        if pos_weight is None:
            return _cross_entropy_of_scores(pred, label)
        soft = call("activation", -call("abs", pred), act_type="softrelu")
        factor = 1 + call("multiply", pos_weight - 1, label)
        return pred - pred * label + factor * (soft + call("relu", -pred))

    def _from_chances(self, pred: Any, label: Any, pos_weight: Any) -> Any:
        tiny = 1e-12
        yes = call("log", pred + tiny) * label
        if pos_weight is not None:
            yes = call("multiply", yes, pos_weight)
        return -(yes + call("log", 1 - pred + tiny) * (1 - label))


class SoftmaxCrossEntropyLoss(Loss):
    """Cross-entropy of the softmax of scores: -log softmax(pred)[label]; alias `SoftmaxCELoss`.

    axis: the classes.
    sparse_label: labels are class numbers, of pred's shape without `axis`; otherwise chances of
        pred's shape.
    from_logits: predictions are logarithms of chances already, as by `log_softmax`.

    A class number outside 0 ... classes - 1 is an error that names it.

    >>> import regluon as mx
    >>> loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    >>> round(loss(mx.nd.zeros((1, 3)), mx.nd.array([2])).item(), 4)
    1.0986
    """

    def __init__(
        self,
        axis: int = -1,
        sparse_label: bool = True,
        from_logits: bool = False,
        weight: float | None = None,
        batch_axis: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._axis = axis
        self._sparse_label = sparse_label
        self._from_logits = from_logits

    def forward(self, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """Return shape (batch,)."""
        if self._sparse_label:
            attrs = {
                "axis": self._axis,
                "from_logits": self._from_logits,
                "keepdims": sample_weight is not None or len(pred.shape) > 2,
            }
            loss = invoke(_CROSS_ENTROPY, (pred, label), attrs, type(pred))
        else:
            if not self._from_logits:
                pred = call("log_softmax", pred, axis=self._axis)
            loss = -call("sum", pred * _fitted(label, pred), axis=self._axis, keepdims=True)
        return self._reduced(self._weighted(loss, sample_weight))


class KLDivLoss(Loss):
    """The Kullback-Leibler divergence of chances: sum of label (log(label) - pred).

    from_logits: predictions are logarithms of chances; otherwise their softmax is taken along
    `axis`. All axes but that of the batch are summed, not averaged, as in MXNet.

    >>> import regluon as mx
    >>> half = mx.nd.array([[0.5, 0.5]])
    >>> round(mx.gluon.loss.KLDivLoss()(mx.nd.log(half), half).item(), 6)
    0.0
    """

    def __init__(
        self,
        from_logits: bool = True,
        axis: int = -1,
        weight: float | None = None,
        batch_axis: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_logits = from_logits
        self._axis = axis

    def forward(self, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """Return shape (batch,)."""
        if not self._from_logits:
            pred = call("log_softmax", pred, axis=self._axis)
        loss = label * (call("log", label + 1e-12) - pred)
        return self._reduced(self._weighted(loss, sample_weight), _SUM)


class HuberLoss(Loss):
    """|label - pred| - rho / 2 where that is above rho, else (label - pred)^2 / (2 rho).

    >>> import regluon as mx
    >>> mx.gluon.loss.HuberLoss()(mx.nd.array([[3.0]]), mx.nd.array([[1.0]])).item()
    1.5
    """

    def __init__(
        self, rho: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._rho = rho

    def forward(self, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """Return shape (batch,)."""
        # smooth_l1 changes from square to straight at 1 / scalar^2.
        difference = _fitted(label, pred) - pred
        loss = call("smooth_l1", difference, scalar=self._rho**-0.5)
        return self._reduced(self._weighted(loss, sample_weight))


class HingeLoss(Loss):
    """max(0, margin - pred label) for labels -1 and 1.

    >>> import regluon as mx
    >>> mx.gluon.loss.HingeLoss()(mx.nd.array([[0.5]]), mx.nd.array([[1.0]])).item()
    0.5
    """

    def __init__(
        self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def forward(self, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """Return shape (batch,)."""
        loss = call("relu", self._margin - pred * _fitted(label, pred))
        return self._reduced(self._weighted(loss, sample_weight))


class SquaredHingeLoss(Loss):
    """max(0, margin - pred label)^2 for labels -1 and 1.

    >>> import regluon as mx
    >>> mx.gluon.loss.SquaredHingeLoss()(mx.nd.array([[0.5]]), mx.nd.array([[1.0]])).item()
    0.25
    """

    def __init__(
        self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def forward(self, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """Return shape (batch,)."""
        loss = call("square", call("relu", self._margin - pred * _fitted(label, pred)))
        return self._reduced(self._weighted(loss, sample_weight))


class LogisticLoss(Loss):
    """log(1 + exp(-pred label)) for labels -1 and 1, or 0 and 1 by `label_format="binary"`.

    >>> import regluon as mx
    >>> round(mx.gluon.loss.LogisticLoss()(mx.nd.array([[0.0]]), mx.nd.array([[1.0]])).item(), 4)
    0.6931
    """

    def __init__(
        self,
        weight: float | None = None,
        batch_axis: int = 0,
        label_format: str = "signed",
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        if label_format not in ("signed", "binary"):
            raise MXNetError(f"label_format is 'signed' or 'binary', not {label_format!r}")
        self._label_format = label_format

    def forward(self, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """Return shape (batch,)."""
        label = _fitted(label, pred)
        if self._label_format == "signed":
            label = (label + 1) / 2
        loss = _cross_entropy_of_scores(pred, label)
        return self._reduced(self._weighted(loss, sample_weight))


SigmoidBCELoss = SigmoidBinaryCrossEntropyLoss
SoftmaxCELoss = SoftmaxCrossEntropyLoss


globals()["__getattr__"] = refused("gluon.loss", globals())  # no type checker sees this
