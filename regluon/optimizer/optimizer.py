"""The contract of optimizers: rates, decays, counts of updates, groups; and the updater."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import torch

from regluon.array.ndarray import NDArray
from regluon.base import MXNetError, Registry, nearest
from regluon.context import Context, cpu
from regluon.ops.registry import Spec


GROUP_BYTES = 4 << 20
"""The most weights that are updated in one task; a larger weight is a task of its own."""

_DECAYED = ("_weight", "_gamma")
_LOW = (torch.float16, torch.bfloat16)
State = Any  # None, an array, or a tuple of states
Index = int | str


def make_groups(arrays: Sequence[NDArray], limit: int = GROUP_BYTES) -> list[slice]:
    """Divide arrays into runs of consecutive ones of equal type, each of at most `limit` bytes."""
    groups = []
    start = size = 0
    dtype = None
    for index, array in enumerate(arrays):
        spec = array.spec
        bytes_here = math.prod(spec.shape) * spec.dtype.itemsize
        if index > start and (size + bytes_here > limit or spec.dtype != dtype):
            groups.append(slice(start, index))
            start, size = index, 0
        size += bytes_here
        dtype = spec.dtype
    if arrays:
        groups.append(slice(start, len(arrays)))
    return groups


class Optimizer:
    """The base of optimizers; a new rule overrides `create_state` and `update`.

    rescale_grad: factor on every gradient, set by the trainer to 1 / batch size.
    wd: weight decay. clip_gradient: bound on the size of every element of the rescaled gradient.
    learning_rate: by default that of `lr_scheduler`, or the rule's own default. If both are given,
    the rate becomes the schedule's `base_lr`.
    begin_num_update: updates that count as done, for schedules.
    multi_precision: update float16 and bfloat16 weights through a float32 copy in the state.
    param_dict: Parameters by index, whose `lr_mult` and `wd_mult` count; without it those given to
    `set_lr_mult` and `set_wd_mult` do, by index or by the names in `param_idx2name`, and names
    that do not end in `_weight` or `_gamma` are not decayed.
    """

    default_learning_rate: ClassVar[float] = 0.01

    def __init__(
        self,
        rescale_grad: float = 1.0,
        param_idx2name: Mapping[Index, str] | None = None,
        wd: float = 0.0,
        clip_gradient: float | None = None,
        learning_rate: float | None = None,
        lr_scheduler: Any = None,
        begin_num_update: int = 0,
        multi_precision: bool = False,
        param_dict: Mapping[Index, Any] | None = None,
    ) -> None:
        _check_number("learning_rate", learning_rate, optional=True)
        _check_number("clip_gradient", clip_gradient, optional=True)
        _check_number("wd", wd)
        self.rescale_grad = rescale_grad
        self.wd = wd
        self.clip_gradient = clip_gradient
        self.lr = learning_rate
        self.lr_scheduler = lr_scheduler
        if lr_scheduler is None:
            self.lr = self.default_learning_rate if learning_rate is None else learning_rate
        elif learning_rate is not None:
            lr_scheduler.base_lr = learning_rate
        self.begin_num_update = self.num_update = begin_num_update
        self.multi_precision = multi_precision
        self.param_dict: Mapping[Index, Any] = param_dict or {}
        self.idx2name = dict(param_idx2name or {})
        self._all_counts: dict[Context, dict[Index, int]] = {}
        self._index_update_count: dict[Index, int] = self._all_counts.setdefault(cpu(), {})
        # Of rules that use the counts: without updates that failed, known when tasks have run.
        self._all_done: dict[Context, dict[Index, int]] = {}
        self._done: dict[Index, int] = self._all_done.setdefault(cpu(), {})
        self._grouped: tuple[list[Spec], list[slice]] = ([], [])  # of the last weights
        self.set_lr_mult({})
        self.set_wd_mult({})

    @property
    def learning_rate(self) -> float:
        """The rate before the parameters' own factors; of a schedule, that of the last update."""
        if self.lr_scheduler is not None:
            return float(self.lr_scheduler(self.num_update))
        assert self.lr is not None
        return self.lr

    def set_learning_rate(self, lr: float) -> None:
        """Change the rate; an error where a schedule decides it."""
        _check_number("learning_rate", lr)
        if self.lr_scheduler is not None:
            raise MXNetError(
                "this optimizer has a learning-rate schedule, which decides the rate; change the "
                "schedule's base_lr, or make the optimizer without lr_scheduler"
            )
        self.lr = lr

    def set_lr_mult(self, args_lr_mult: Mapping[Index, float]) -> None:
        """Set factors on the rate by index or name, for weights not in `param_dict`."""
        self.lr_mult = dict(args_lr_mult)

    def set_wd_mult(self, args_wd_mult: Mapping[Index, float]) -> None:
        """Set factors on the decay by index or name, for weights not in `param_dict`."""
        names = [name for name in self.idx2name.values() if not name.endswith(_DECAYED)]
        self.wd_mult: dict[Index, float] = dict.fromkeys(names, 0.0)
        self.wd_mult.update(args_wd_mult)

    # What a rule overrides

    def create_state(self, index: Index, weight: NDArray) -> State:
        """Return what the rule remembers of a weight: None, an array, or a tuple of arrays."""
        return None

    def update(self, index: Index, weight: NDArray, grad: NDArray, state: State) -> None:
        """Change `weight` and `state` in place by one gradient."""
        raise NotImplementedError(f"{type(self).__name__} must define update()")

    def update_group(
        self,
        indices: Sequence[Index],
        weights: Sequence[NDArray],
        grads: Sequence[NDArray],
        states: Sequence[State],
    ) -> None:
        """Change weights of one type and context; a rule may override it to do so in one task."""
        for index, weight, grad, state in zip(indices, weights, grads, states, strict=True):
            self.update(index, weight, grad, state)

    # What a rule may use

    def _update_count(self, index: Index | Sequence[Index]) -> None:
        """Count an update of these weights."""
        counts, latest = self._index_update_count, self.num_update
        for each in [index] if isinstance(index, int | str) else index:
            counts[each] = count = counts.get(each, self.begin_num_update) + 1
            latest = max(latest, count)
        self.num_update = latest

    def _get_lrs(self, indices: Sequence[Index]) -> list[float]:
        """Return the rates of these weights."""
        lr = self.learning_rate
        return [lr * factor for factor in self._factors(indices, "lr_mult")]

    def _get_wds(self, indices: Sequence[Index]) -> list[float]:
        """Return the decays of these weights."""
        return [self.wd * factor for factor in self._factors(indices, "wd_mult")]

    def _get_lr(self, index: Index) -> float:
        return self._get_lrs([index])[0]

    def _get_wd(self, index: Index) -> float:
        return self._get_wds([index])[0]

    def _factors(self, indices: Sequence[Index], kind: str) -> list[float]:
        found = list(map(self.param_dict.get, indices))
        if None not in found:
            return [getattr(parameter, kind) for parameter in found]
        table: dict[Index, float] = getattr(self, kind)
        return [
            getattr(parameter, kind)
            if parameter is not None
            else table.get(index, table.get(self.idx2name.get(index, ""), 1.0))
            for index, parameter in zip(indices, found, strict=True)
        ]

    # What the updater and the trainer use

    def create_state_multi_precision(self, index: Index, weight: NDArray) -> State:
        """Return the state, with a float32 copy of the weight before it where that is updated."""
        if not self._through_copy(weight):
            return self.create_state(index, weight)
        copy = weight.astype("float32")
        return copy, self.create_state(index, copy)

    def update_groups(
        self,
        indices: Sequence[Index],
        weights: Sequence[NDArray],
        grads: Sequence[NDArray],
        states: Sequence[State],
    ) -> None:
        """Change weights of one context in groups of consecutive ones, which do not wait."""
        if not weights:
            return
        self._index_update_count = self._all_counts.setdefault(weights[0].context, {})
        self._done = self._all_done.setdefault(weights[0].context, {})
        copied = [(w, s[0]) for w, s in zip(weights, states, strict=True) if self._through_copy(w)]
        if copied:
            grads = [g.astype("float32") if self._through_copy(g) else g for g in grads]
            paired = list(zip(weights, states, strict=True))
            weights = [s[0] if self._through_copy(w) else w for w, s in paired]
            states = [s[1] if self._through_copy(w) else s for w, s in paired]
        specs = [weight.spec for weight in weights]
        if specs != self._grouped[0]:
            self._grouped = (specs, make_groups(weights))
        for part in self._grouped[1]:
            self.update_group(indices[part], weights[part], grads[part], states[part])
        for weight, copy in copied:
            weight[:] = copy

    def _through_copy(self, weight: NDArray) -> bool:
        return self.multi_precision and weight.spec.dtype in _LOW

    def settings(self) -> dict[str, Any]:
        """Return every plain number of the optimizer, and the counts of updates, for a file."""
        plain = {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and isinstance(value, int | float | None)
        }
        counts: dict[Index, int] = {}
        for ctx, each in self._all_counts.items():  # contexts may update different weights
            known = each | self._all_done.get(ctx, {})
            counts |= {index: max(n, counts.get(index, 0)) for index, n in known.items()}
        return {**plain, "counts": list(counts.items())}

    def restore(self, settings: Mapping[str, Any], contexts: Sequence[Context]) -> None:
        """Take over what `settings` returned; the schedule and the Parameters stay as they are."""
        for name, value in settings.items():
            if name in vars(self) and (value is not None or name != "lr"):
                setattr(self, name, value)
        counts = {index: int(count) for index, count in settings.get("counts", [])}
        self._all_counts = {ctx: dict(counts) for ctx in contexts}
        self._all_done = {}
        self._done = self._all_done.setdefault(cpu(), {})


def _check_number(name: str, value: Any, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise MXNetError(f"{name} must be a number, not {value!r}")


O = TypeVar("O", bound=type[Optimizer])  # noqa: E741
_registry = Registry[type[Optimizer]]("optimizer")


def register(klass: O) -> O:
    """Decorate an optimizer class so that `create` finds it by its name in lower case."""
    _registry.register(klass)
    return klass


def create(name: str, **kwargs: Any) -> Optimizer:
    """Return an optimizer by name.

    >>> import regluon as mx
    >>> mx.optimizer.create("sgd", learning_rate=0.5, momentum=0.9).learning_rate
    0.5
    """
    klass = _registry.get(name)
    known = list(_arguments(klass))
    for argument in kwargs:
        if argument not in known:
            raise MXNetError(
                f"{klass.__name__} has no argument {argument!r}"
                f"{nearest(argument, known) or '; it has ' + ', '.join(sorted(known))}"
            )
    return klass(**kwargs)


def _arguments(klass: type) -> Iterator[str]:
    """Yield what the constructor takes, through `**kwargs` handed up to the base."""
    for base in klass.__mro__:
        if "__init__" not in vars(base):
            continue
        _, *parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        yield from (p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return


class Updater:
    """An optimizer with the states of one context's weights: `updater(index, grad, weight)`."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.states: dict[Index, State] = {}

    def __call__(self, index: Any, grad: Any, weight: Any) -> None:
        """Update one weight, or lists of weights in groups; states are made when first needed."""
        if isinstance(index, int | str):
            index, grad, weight = [index], [grad], [weight]
        states = []
        for each, array in zip(index, weight, strict=True):
            if each not in self.states:
                made = self.optimizer.create_state_multi_precision(each, array)
                self.states[each] = made
            states.append(self.states[each])
        self.optimizer.update_groups(index, weight, grad, states)


def get_updater(optimizer: Optimizer) -> Callable[[Any, Any, Any], None]:
    """Return a new `Updater` of the optimizer."""
    return Updater(optimizer)
