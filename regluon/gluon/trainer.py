"""Trainer: one optimizer step for all Parameters of a network, on every context they live on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from regluon import optimizer as opt
from regluon.array import dispatch, serialize
from regluon.array.handle import Leaf
from regluon.array.ndarray import NDArray
from regluon.base import FormatError, MXNetError, ShapeError, nearest
from regluon.context import Context
from regluon.gluon.parameter import Parameter
from regluon.gluon.parameter_dict import ParameterDict
from regluon.optimizer.optimizer import Index, State, Updater, make_groups


_STORES = ("local", "device", "nccl", "local_allreduce_cpu", "local_allreduce_device")
_KEY = "regluon.trainer"


class StaleGradientError(MXNetError, UserWarning):
    """A step was asked for, but backward did not compute the gradient of some Parameter."""


class _Work(NamedTuple):
    """A Parameter of this step: its copies, their gradients, and which of these are new."""

    key: int
    copies: list[NDArray]
    grads: list[NDArray]
    fresh: list[bool]

    def contexts(self) -> list[Context]:
        """Return where the copies are."""
        return [copy.context for copy in self.copies]


class Trainer:
    """Applies an optimizer to Parameters after each backward pass.

    params: what `net.collect_params()` returns, a mapping of names to Parameters (taken in the
    order of the names), or a list of Parameters; all on the same contexts.
    optimizer: a name such as "sgd" with its arguments in `optimizer_params`, or an `Optimizer`.
    kvstore: "device" and "local" add up the gradients of several contexts, in their order; None
    leaves each context to itself. Stores for several machines come in a later release.
    update_on_kvstore: accepted; the result is the same.

    >>> import regluon as mx
    >>> weight = mx.gluon.Parameter("weight", shape=(1,))
    >>> weight.initialize(mx.init.One())
    >>> trainer = mx.gluon.Trainer([weight], "sgd", {"learning_rate": 0.25})
    >>> with mx.autograd.record():
    ...     loss = weight.data() * 2
    >>> loss.backward()
    >>> trainer.step(batch_size=1)
    >>> weight.data().item()
    0.5
    """

    def __init__(
        self,
        params: ParameterDict | Mapping[str, Parameter] | Sequence[Parameter],
        optimizer: str | opt.Optimizer,
        optimizer_params: Mapping[str, Any] | None = None,
        kvstore: str | None = "device",
        compression_params: Mapping[str, Any] | None = None,
        update_on_kvstore: bool | None = None,
    ) -> None:
        self._params = _listed(params)
        self._check_contexts()
        _check_store(kvstore)
        self._adds_up = kvstore is not None
        if compression_params:
            raise MXNetError("gradients are only compressed between machines: leave it out here")
        by_index: dict[Index, Any] = dict(enumerate(self._params))
        if isinstance(optimizer, opt.Optimizer):
            if optimizer_params:
                raise MXNetError("optimizer_params belong to an optimizer given by name")
            self._optimizer = optimizer
            self._optimizer.param_dict = by_index
        else:
            self._optimizer = opt.create(
                optimizer, param_dict=by_index, **dict(optimizer_params or {})
            )
        self._scale = self._optimizer.rescale_grad
        self._updaters: dict[Context, Updater] = {}

    @property
    def optimizer(self) -> opt.Optimizer:
        """The optimizer."""
        return self._optimizer

    @property
    def learning_rate(self) -> float:
        """The current learning rate; with a schedule, that of the last update."""
        return self._optimizer.learning_rate

    def set_learning_rate(self, lr: float) -> None:
        """Change the learning rate; an error where a schedule decides it."""
        self._optimizer.set_learning_rate(lr)

    def step(self, batch_size: float, ignore_stale_grad: bool = False) -> None:
        """Update all Parameters by their gradients divided by `batch_size`; does not wait.

        Gradients of several contexts are added up first. If backward did not compute a Parameter's
        gradient since the last step, `StaleGradientError` is raised and nothing is changed;
        `ignore_stale_grad=True` leaves such Parameters as they are. To change gradients between
        the two halves of a step, call `allreduce_grads` and `update` instead.
        """
        work = self._work(ignore_stale_grad)
        self._rescale(batch_size)
        self._apply(self._added_up(work, in_place=False))

    def allreduce_grads(self) -> None:
        """Add up the gradients of several contexts: the first half of `step`."""
        self._added_up(self._work(ignore_stale_grad=True), in_place=True)

    def update(self, batch_size: float, ignore_stale_grad: bool = False) -> None:
        """Update all Parameters by gradients added up already: the second half of `step`."""
        work = self._work(ignore_stale_grad)
        self._rescale(batch_size)
        self._apply(work)

    def _work(self, ignore_stale_grad: bool) -> list[_Work]:
        """Return the Parameters to update, those with a new gradient on some context."""
        work = []
        stale = []
        for index, param in enumerate(self._params):
            if param.grad_req == "null":
                continue
            copies = param.list_data()
            fresh = [isinstance(copy._node, Leaf) and copy._node.fresh for copy in copies]
            if any(fresh):
                work.append(_Work(index, copies, param.list_grad(), fresh))
            if not all(fresh):
                stale += [
                    (param.name, copy.context)
                    for copy, new in zip(copies, fresh, strict=True)
                    if not new
                ]
        if stale and not ignore_stale_grad:
            raise _stale_error(stale)
        return work

    def _rescale(self, batch_size: float) -> None:
        if isinstance(batch_size, str) or not batch_size > 0:
            raise MXNetError(f"batch_size is the number of samples, above 0, not {batch_size!r}")
        self._optimizer.rescale_grad = self._scale / batch_size

    def _added_up(self, work: list[_Work], *, in_place: bool) -> list[_Work]:
        """Return the work with the sum of the new gradients on all contexts, group by group.

        A step leaves the gradients themselves alone: with grad_req "add" the next backward pass
        goes on from them.
        """
        if not self._adds_up or not work or len(work[0].copies) == 1:
            return work
        summed = work
        if not in_place:
            summed = [item._replace(grads=[_unfilled(g) for g in item.grads]) for item in work]
        for part in make_groups([item.grads[0] for item in work]):
            _queue_sums(work[part], summed[part])
        return summed

    def _apply(self, work: list[_Work]) -> None:
        """Update the copies on every context, and note that these gradients are used."""
        for place, ctx in enumerate(work[0].contexts() if work else ()):
            items = [item for item in work if self._adds_up or item.fresh[place]]
            if ctx not in self._updaters:
                self._updaters[ctx] = Updater(self._optimizer)
            self._updaters[ctx](
                [item.key for item in items],
                [item.grads[place] for item in items],
                [item.copies[place] for item in items],
            )
        for item in work:
            for copy in item.copies:
                if isinstance(copy._node, Leaf):
                    copy._node.fresh = False

    def _check_contexts(self) -> list[Context]:
        """Return the contexts of the Parameters, which must be the same for all."""
        first, *rest = self._params
        contexts = first.list_ctx()
        for param in rest:
            if param.list_ctx() != contexts:
                raise MXNetError(
                    "all Parameters of a Trainer must be on the same contexts, but "
                    f"{first.name!r} is on {_names(contexts)} and {param.name!r} on "
                    f"{_names(param.list_ctx())}"
                )
        return contexts

    # Files

    def save_states(self, fname: str) -> None:
        """Save what the optimizer remembers (momentum, counts, learning rate) as safetensors.

        The schedule and the Parameters, with their factors, are not in the file.
        """
        ctx = self._check_contexts()[0]
        states = self._updaters[ctx].states if ctx in self._updaters else {}
        arrays: dict[str, NDArray] = {}
        described = {
            "optimizer": type(self._optimizer).__name__,
            "settings": self._optimizer.settings(),
            "parameters": [[param.name, param.shape] for param in self._params],
            "states": [
                [index, _flat(state, str(index), arrays)] for index, state in states.items()
            ],
        }
        for array in arrays.values():
            dispatch.wait(array)
        tensors = {name: array.value() for name, array in arrays.items()}
        metadata = {_KEY: json.dumps(described)}
        serialize.save(fname, tensors, format="safetensors", metadata=metadata)

    def load_states(self, fname: str) -> None:
        """Continue from a file of `save_states`, made with the same optimizer and Parameters.

        The numbers of the optimizer, such as rate and momentum, become those of the file. If the
        file does not fit, `FormatError` or `ShapeError` says why and nothing is changed.
        """
        described, tensors = _read(fname)
        contexts = self._check_contexts()
        try:
            self._check_saved(fname, described)
            states = {
                ctx: {
                    index: _tree(state, tensors, self._params[index].data(ctx))
                    for index, state in described["states"]
                }
                for ctx in contexts
            }
            self._optimizer.restore(described["settings"], contexts)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, MXNetError):
                raise
            raise FormatError(
                f"{fname}: the description of the states is damaged: {error!r}"
            ) from error
        for ctx in contexts:
            self._updaters[ctx] = Updater(self._optimizer)
            self._updaters[ctx].states = states[ctx]

    def _check_saved(self, fname: str, described: dict[str, Any]) -> None:
        """Raise unless the file is of this optimizer and of Parameters of these shapes."""
        name = type(self._optimizer).__name__
        if described["optimizer"] != name:
            raise FormatError(f"{fname} holds states of {described['optimizer']}, not of {name}")
        saved = described["parameters"]
        if len(saved) != len(self._params):
            raise FormatError(
                f"{fname} holds states of {len(saved)} Parameters; this Trainer has "
                f"{len(self._params)}"
            )
        for param, (saved_name, saved_shape) in zip(self._params, saved, strict=True):
            known = param.shape is not None and 0 not in param.shape
            if known and param.shape != tuple(saved_shape):
                raise ShapeError(
                    f"{fname}: Parameter {param.name!r} has shape {param.shape}, in the file "
                    f"({saved_name!r}) it is {tuple(saved_shape)}"
                )


def _listed(params: Any) -> list[Parameter]:
    if isinstance(params, Mapping | ParameterDict):
        params = [params[name] for name in sorted(params.keys())]
    if not isinstance(params, list | tuple):
        raise MXNetError(
            "a Trainer needs Parameters: what net.collect_params() returns, or a list of them, "
            f"not {type(params).__name__}"
        )
    for param in params:
        if not isinstance(param, Parameter):
            raise MXNetError(f"a Trainer needs Parameters; the list holds {type(param).__name__}")
    if not params:
        raise MXNetError("a Trainer needs at least one Parameter; none was given")
    if len({id(param) for param in params}) < len(params):
        raise MXNetError("a Trainer needs every Parameter once; the list repeats some")
    return list(params)


def _check_store(kvstore: Any) -> None:
    if kvstore is None or kvstore in _STORES:
        return
    if isinstance(kvstore, str) and kvstore.startswith(("dist", "p3", "horovod", "byteps")):
        raise MXNetError(
            f"kvstore={kvstore!r} is for several machines, which this release cannot do; "
            "kvstore='device' adds up the contexts of one"
        )
    near = nearest(kvstore, _STORES) if isinstance(kvstore, str) else ""
    raise MXNetError(f"kvstore must be None or one of {', '.join(_STORES)}, not {kvstore!r}{near}")


def _names(contexts: Sequence[Context]) -> str:
    return ", ".join(str(ctx) for ctx in contexts)


def _stale_error(stale: Sequence[tuple[str, Context]]) -> StaleGradientError:
    shown = ", ".join(f"{name!r} on {ctx}" for name, ctx in stale[:5])
    more = f" and {len(stale) - 5} more" if len(stale) > 5 else ""
    return StaleGradientError(
        f"backward() has not computed the gradient of {shown}{more} since the last step: the loss "
        "does not depend on it, or backward() was not called. Nothing was updated. If only a part "
        "of the network is used on purpose, call step(..., ignore_stale_grad=True), or give "
        "Parameters that are not trained grad_req='null'"
    )


def _unfilled(array: NDArray) -> NDArray:
    """Return an array like another one whose values a task will fill in."""
    return type(array)(None, array.context, array.spec)


def _queue_sums(group: Sequence[_Work], summed: Sequence[_Work]) -> None:
    """Queue one task: the new gradients of each Parameter added in the order of the contexts."""
    pairs = [
        ([g for g, new in zip(item.grads, item.fresh, strict=True) if new], total.grads)
        for item, total in zip(group, summed, strict=True)
    ]

    def task() -> None:
        for sources, targets in pairs:
            first = targets[0].context.device
            total = sources[0].value().to(first, copy=True)
            for source in sources[1:]:
                total += source.value().to(first)
            for target in targets[1:]:
                target._data = total.to(target.context.device, copy=True)
            targets[0]._data = total

    grads = [grad for item in group for grad in item.grads]
    targets = [target for item in summed for target in item.grads]
    ctx = grads[0].context
    dispatch.push(task, grads, targets, ctx, "allreduce_grads", priority=-group[0].key)


def _flat(state: State, name: str, arrays: dict[str, NDArray]) -> Any:
    """Enter the arrays of a state under names; return its structure with the names in it."""
    if state is None:
        return None
    if isinstance(state, NDArray):
        arrays[name] = state
        return name
    return [_flat(part, f"{name}.{place}", arrays) for place, part in enumerate(state)]


def _tree(described: Any, tensors: Mapping[str, Tensor], weight: NDArray) -> State:
    """Return the state that `_flat` described, copied to where its weight is.

    It is laid out in memory like its weight, as it was when it was made: kernels take another path
    for other layouts, and round differently, so that a resumed run would end with other bits.
    """
    if described is None:
        return None
    if not isinstance(described, str):
        return tuple(_tree(part, tensors, weight) for part in described)
    saved = tensors[described]
    dispatch.wait(weight)
    value = weight.value()
    like = value if saved.shape == value.shape else saved
    copy = torch.empty_like(like, dtype=saved.dtype, device=value.device)
    return dispatch.array_class()(copy.copy_(saved), weight.context)


def _read(fname: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the description and the tensors of a file of `save_states`."""
    try:
        metadata, tensors = serialize.load_metadata(fname), serialize.load(fname)
    except FormatError as error:
        raise FormatError(
            f"{error}. Trainer.load_states reads what Trainer.save_states of regluon wrote; the "
            "states files of MXNet are pickles and are not read: begin with fresh states"
        ) from error
    if _KEY not in metadata or not isinstance(tensors, dict):
        raise FormatError(f"{fname} holds arrays, but not the states of a Trainer")
    try:
        described = json.loads(metadata[_KEY])
    except ValueError as error:
        raise FormatError(f"{fname}: the description of the states is damaged: {error}") from error
    return described, tensors
