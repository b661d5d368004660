"""The contract of metrics, the registry of them, and those made of others or of a function."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as onp
import torch
from torch import Tensor

from regluon.array.dispatch import push
from regluon.array.ndarray import NDArray
from regluon.base import MXNetError, OutOfRangeError, Registry, ShapeError
from regluon.context import Context, cpu


Shape = tuple[int, ...]


def check_label_shapes(
    labels: Any, preds: Any, wrap: bool = False, shape: bool = False
) -> tuple[Any, Any]:
    """Raise unless there are as many labels as predictions (`shape`: unless the shapes are equal).

    With `wrap` a single array counts as a list of one. Returns both.
    """
    if wrap:
        labels = [labels] if isinstance(labels, NDArray | onp.ndarray) else labels
        preds = [preds] if isinstance(preds, NDArray | onp.ndarray) else preds
    found = (labels.shape, preds.shape) if shape else (len(labels), len(preds))
    if found[0] != found[1]:
        kind = "shape" if shape else "number"
        raise ShapeError(
            f"labels and predictions differ in {kind}: {found[0]} labels, {found[1]} predictions"
        )
    return labels, preds


def _statistic(name: str) -> Any:
    """Return a property for an accumulated number that first collects what is still computed."""
    key = f"_{name}"

    def read(metric: "EvalMetric") -> Any:
        metric._settle()
        return getattr(metric, key)

    def write(metric: "EvalMetric", value: Any) -> None:
        setattr(metric, key, value)

    return property(read, write)


class EvalMetric:
    """The base of metrics: `update(labels, preds)` for every batch, `get()` whenever wanted.

    A metric of your own overrides `update` and adds to `sum_metric` and `num_inst`, whose ratio
    `get` returns. `output_names` and `label_names` choose what `update_dict` passes on. The
    built-in metrics override `_measure` and do not wait in `update`: each batch is one task of
    the engine that adds to a running sum on the predictions' context, and `get` reads it.
    """

    _numbers = 2  # how many sums run on each context

    sum_metric = _statistic("sum_metric")
    num_inst = _statistic("num_inst")
    global_sum_metric = _statistic("global_sum_metric")
    global_num_inst = _statistic("global_num_inst")

    def __init__(
        self,
        name: str,
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.name = str(name)
        self.output_names = output_names
        self.label_names = label_names
        self._has_global_stats = bool(kwargs.pop("has_global_stats", False))
        self._kwargs = kwargs
        self._pending: dict[Context, NDArray] = {}
        self._sum_metric = self._global_sum_metric = 0.0
        self._num_inst = self._global_num_inst = 0
        self.reset()

    def __str__(self) -> str:
        return f"EvalMetric: {dict(self.get_name_value())}"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `create(**config)` makes the metric again."""
        return {
            **self._kwargs,
            "metric": type(self).__name__,
            "name": self.name,
            "output_names": self.output_names,
            "label_names": self.label_names,
        }

    def update_dict(self, label: Mapping[str, Any], pred: Mapping[str, Any]) -> None:
        """Add a batch whose labels and predictions have names."""
        labels = [label[name] for name in self.label_names or label]
        preds = [pred[name] for name in self.output_names or pred]
        self.update(labels, preds)

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch: a list of label arrays and one of prediction arrays, or one array each."""
        for label, pred in self._checked(labels, preds):
            self._add(label, pred)

    def _checked(self, labels: Any, preds: Any) -> list[tuple[NDArray, NDArray]]:
        """Return the pairs of a batch whose shapes fit, each on the context of its predictions."""
        labels, preds = check_label_shapes(labels, preds, wrap=True)
        pairs = list(zip(map(_as_array, labels), map(_as_array, preds), strict=True))
        for label, pred in pairs:
            self._check(label.shape, pred.shape)
        return [(label.as_in_context(pred.context), pred) for label, pred in pairs]

    def _check(self, label: Shape, pred: Shape) -> None:
        """Raise if a label array of this shape does not fit predictions of that shape."""

    def _measure(self, label: Tensor, pred: Tensor) -> tuple[Any, Any]:
        """Return what a pair of arrays adds to `sum_metric` and to `num_inst`."""
        raise NotImplementedError(f"{type(self).__name__} must define update(labels, preds)")

    def _add(self, label: NDArray, pred: NDArray) -> None:
        """Queue the measuring of one pair."""
        self._add_up([label, pred], lambda: self._measure(label.value(), pred.value()))

    def _add_up(self, arrays: Sequence[NDArray], measure: Callable[[], Iterable[Any]]) -> None:
        """Queue the adding of what `measure` finds in arrays to the sums on their context."""
        ctx = arrays[0].context
        total = self._pending.get(ctx)
        if total is None:
            zero = torch.zeros(self._numbers, dtype=torch.float64, device=ctx.device)
            total = self._pending[ctx] = NDArray(zero, ctx)

        def task() -> None:
            with torch.no_grad():
                target = total.value()
                for index, part in enumerate(measure()):
                    target[index] += part

        work = sum(array.size for array in arrays)
        push(task, [*arrays, total], [total], ctx, f"metric {self.name}", work=work)

    def _settle(self) -> None:
        """Wait for the running sums and move them into the statistics."""
        for ctx in list(self._pending):
            value, count = self._pending[ctx].asnumpy().tolist()
            del self._pending[ctx]
            self._sum_metric += value
            self._global_sum_metric += value
            self._num_inst += int(count)
            self._global_num_inst += int(count)

    def reset(self) -> None:
        """Forget all batches."""
        self._pending.clear()
        self.global_num_inst = 0
        self.global_sum_metric = 0.0
        self.num_inst = 0
        self.sum_metric = 0.0

    def reset_local(self) -> None:
        """Forget all batches, but not for `get_global`."""
        self._settle()
        self.num_inst = 0
        self.sum_metric = 0.0

    def _value(self, total: float, count: int) -> float:
        return total / count if count else math.nan

    def get(self) -> tuple[Any, Any]:
        """Return name and value (not a number before the first batch); waits for the batches."""
        return self.name, self._value(self.sum_metric, self.num_inst)

    def get_global(self) -> tuple[Any, Any]:
        """Return name and value over all batches since `reset`, whatever `reset_local` did."""
        if not self._has_global_stats:
            return self.get()
        return self.name, self._value(self.global_sum_metric, self.global_num_inst)

    def get_name_value(self) -> list[tuple[str, float]]:
        """Return what `get` returns as a list of (name, value)."""
        return _pairs(self.get())

    def get_global_name_value(self) -> list[tuple[str, float]]:
        """Return what `get_global` returns as a list of (name, value)."""
        return _pairs(self.get_global())


def _as_array(source: Any) -> NDArray:
    if isinstance(source, NDArray):
        return source
    return NDArray(torch.tensor(onp.asarray(source)), cpu())


def _pairs(found: tuple[Any, Any]) -> list[tuple[str, float]]:
    name, value = found
    if isinstance(name, list):
        return list(zip(name, value, strict=True))
    return [(name, value)]


M = TypeVar("M", bound=type[EvalMetric])
_registry = Registry[type[EvalMetric]]("metric")


def register(klass: M) -> M:
    """Decorate a metric class so that `create` finds it by its name in lower case."""
    _registry.register(klass)
    return klass


def alias(*names: str) -> Callable[[M], M]:
    """Decorate a metric class with further names for `create`."""

    def name_too(klass: M) -> M:
        _registry.register(klass, *names)
        return klass

    return name_too


def create(metric: Any, *args: Any, **kwargs: Any) -> EvalMetric:
    """Return a metric by name, from a function as `CustomMetric` takes, or of a list of these.

    >>> import regluon as mx
    >>> mx.metric.create("acc").name, mx.metric.create(["acc", "mse"]).get()[0]
    ('accuracy', ['accuracy', 'mse'])
    """
    if isinstance(metric, EvalMetric):
        return metric
    if isinstance(metric, str):
        return _registry.get(metric)(*args, **kwargs)
    if isinstance(metric, list | tuple):
        return CompositeEvalMetric([create(item, *args, **kwargs) for item in metric])
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    raise MXNetError(f"a metric, its name, a function or a list of these is needed, not {metric!r}")


@register
@alias("composite")
class CompositeEvalMetric(EvalMetric):
    """Several metrics of the same batches; `get` returns lists of names and values."""

    def __init__(
        self,
        metrics: Sequence[Any] | None = None,
        name: str = "composite",
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        self.metrics = [create(item) for item in metrics or ()]
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def add(self, metric: Any) -> None:
        """Add a metric, or its name."""
        self.metrics.append(create(metric))

    def get_metric(self, index: int) -> EvalMetric:
        """Return one of the metrics."""
        if not -len(self.metrics) <= index < len(self.metrics):
            raise OutOfRangeError(f"there is no metric {index} among {len(self.metrics)}")
        return self.metrics[index]

    def update_dict(self, label: Mapping[str, Any], pred: Mapping[str, Any]) -> None:
        """Add a batch whose labels and predictions have names."""
        labels = {n: x for n, x in label.items() if n in (self.label_names or label)}
        preds = {n: x for n, x in pred.items() if n in (self.output_names or pred)}
        for metric in self.metrics:
            metric.update_dict(labels, preds)

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch to every metric."""
        for metric in self.metrics:
            metric.update(labels, preds)

    def reset(self) -> None:
        """Forget all batches."""
        for metric in self.metrics:
            metric.reset()

    def reset_local(self) -> None:
        """Forget all batches, but not for `get_global`."""
        for metric in self.metrics:
            metric.reset_local()

    def get(self) -> tuple[Any, Any]:
        """Return the names and the values of all metrics."""
        return self._listed([metric.get_name_value() for metric in self.metrics])

    def get_global(self) -> tuple[Any, Any]:
        """Return the names and the values over all batches since `reset`."""
        return self._listed([metric.get_global_name_value() for metric in self.metrics])

    def _listed(self, found: list[list[tuple[str, float]]]) -> tuple[list[str], list[float]]:
        flat = [pair for pairs in found for pair in pairs]
        return [name for name, _ in flat], [value for _, value in flat]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `create(**config)` makes the metric again."""
        return {**super().get_config(), "metrics": [m.get_config() for m in self.metrics]}


@register
class CustomMetric(EvalMetric):
    """The mean of what a function of NumPy labels and predictions returns for each batch.

    `feval(label, pred)` returns a number, or (sum, count). Reading the arrays for it waits.
    With `allow_extra_outputs` there may be more predictions than labels.

    >>> import regluon as mx
    >>> metric = mx.metric.CustomMetric(lambda label, pred: abs(label - pred).max(), name="worst")
    >>> metric.update([mx.nd.array([1, 2])], [mx.nd.array([1, 5])])
    >>> metric.get()
    ('worst', 3.0)
    """

    def __init__(
        self,
        feval: Callable[[Any, Any], Any],
        name: str | None = None,
        allow_extra_outputs: bool = False,
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        if name is None:
            name = getattr(feval, "__name__", type(feval).__name__)
            name = f"custom({name})" if "<" in name else name
        super().__init__(name, output_names, label_names, has_global_stats=True)
        self._feval = feval
        self._allow_extra_outputs = allow_extra_outputs

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch: a list of label arrays and one of prediction arrays, or one array each."""
        if not self._allow_extra_outputs:
            labels, preds = check_label_shapes(labels, preds, wrap=True)
        for label, pred in zip(labels, preds, strict=False):
            found = self._feval(_as_array(label).asnumpy(), _as_array(pred).asnumpy())
            value, count = found if isinstance(found, tuple) else (found, 1)
            self.sum_metric += float(value)
            self.num_inst += count
            self.global_sum_metric += float(value)
            self.global_num_inst += count

    def get_config(self) -> dict[str, Any]:
        """Raise: a function has no configuration."""
        raise MXNetError("a metric made of a function cannot be described by its configuration")


def np(
    numpy_feval: Callable[[Any, Any], Any],
    name: str | None = None,
    allow_extra_outputs: bool = False,
) -> CustomMetric:
    """Return the `CustomMetric` of a function of NumPy labels and predictions."""
    return CustomMetric(numpy_feval, name, allow_extra_outputs)
