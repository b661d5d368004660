"""Trainer: one optimizer step for all Parameters of a network, on every context they live on."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from regluon import autograd, kvstore as kvs, optimizer as opt
from regluon.array.handle import Leaf
from regluon.array.ndarray import NDArray
from regluon.array.serialize import FilePath
from regluon.base import MXNetError, env
from regluon.context import Context
from regluon.gluon.parameter import Parameter
from regluon.gluon.parameter_dict import ParameterDict
from regluon.optimizer import Updater, states


_LARGE = 16 << 20
"""The elements of a Parameter too large to be updated in a "local" store by default."""


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
    kvstore: what adds up the gradients of several contexts: a store, the name of one, or None,
    which leaves each context to itself. A name counts only where there are several contexts.
    compression_params: given to the store's `set_gradient_compression`.
    update_on_kvstore: True updates each Parameter once, in the store, and copies it to all
    contexts; the gradients stay as they are. False adds up the gradients in place on every context
    and updates there, so that they can be changed between `allreduce_grads` and `update`. None is
    True unless the store has no optimizer, it is "local" and some Parameter has over 16 million
    elements, or MXNET_UPDATE_ON_KVSTORE=0 is set. The weights come out the same.

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
        kvstore: str | kvs.KVStoreBase | None = "device",
        compression_params: Mapping[str, Any] | None = None,
        update_on_kvstore: bool | None = None,
    ) -> None:
        self._params = _listed(params)
        self._check_contexts()
        self._given = kvstore
        self._wanted = update_on_kvstore
        self._compression = compression_params
        self._kvstore = _store(kvstore, update_on_kvstore)
        self._kv_initialized = False
        self._update_on_kvstore = False
        # What the store was told of each Parameter: the copies and their versions.
        self._told: dict[int, list[tuple[NDArray, int]]] = {}
        by_index: dict[int | str, Any] = dict(enumerate(self._params))
        if isinstance(optimizer, opt.Optimizer):
            if optimizer_params:
                raise MXNetError("optimizer_params belong to an optimizer given by name")
            self._optimizer = optimizer
            self._optimizer.param_dict = by_index
        else:
            self._optimizer = opt.create(
                optimizer, param_dict=by_index, **dict(optimizer_params or {})
            )
        # The scale of the loss is divided out by these two, under MXNet's names of them.
        self._scale = self._amp_original_scale = self._optimizer.rescale_grad
        self._amp_loss_scaler: Any = None  # an amp.LossScaler
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
        self._init_kvstore()
        self._exchange(work)
        if not (self._update_on_kvstore or self._overflowed(work)):
            self._apply(work)
        _note_used(work)

    def allreduce_grads(self) -> None:
        """Add up the gradients of several contexts: the first half of `step`."""
        work = self._work(ignore_stale_grad=True)
        self._check_halves("allreduce_grads")
        self._exchange(work)

    def update(self, batch_size: float, ignore_stale_grad: bool = False) -> None:
        """Update all Parameters by gradients added up already: the second half of `step`."""
        work = self._work(ignore_stale_grad)
        self._check_halves("update")
        self._rescale(batch_size)
        if not self._overflowed(work):
            self._apply(work)
        _note_used(work)

    def set_loss_scaler(self, scaler: Any) -> None:
        """Skip steps whose gradients overflow, as `scaler` sees it; `amp.init_trainer` calls it.

        The Trainer then updates Parameters itself, not in its kvstore.
        """
        if scaler.dynamic and (self._wanted or self._update_on_kvstore):
            raise MXNetError(
                "steps cannot be skipped where the kvstore updates Parameters: make the Trainer "
                "with update_on_kvstore=False, and call amp.init_trainer() before its first step"
            )
        self._amp_loss_scaler = scaler

    def _overflowed(self, work: list[_Work]) -> bool:
        """Say whether a gradient is not finite, where the loss is scaled: the step is skipped."""
        scaler = self._amp_loss_scaler
        if scaler is None or not work:
            return False
        new = (itertools.compress(item.grads, item.fresh) for item in work)
        return bool(scaler.has_overflow(itertools.chain.from_iterable(new)))

    def _work(self, ignore_stale_grad: bool) -> list[_Work]:
        """Return the Parameters to update, those with a new gradient on some context."""
        if autograd.is_recording():
            raise MXNetError("a step changes Parameters: call it outside autograd.record()")
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

    def _apply(self, work: list[_Work]) -> None:
        """Update the copies on every context by the gradients there."""
        for place, ctx in enumerate(work[0].contexts() if work else ()):
            items = [item for item in work if self._kvstore is not None or item.fresh[place]]
            if ctx not in self._updaters:
                self._updaters[ctx] = Updater(self._optimizer)
            self._updaters[ctx](
                [item.key for item in items],
                [item.grads[place] for item in items],
                [item.copies[place] for item in items],
            )

    # The store

    def _init_kvstore(self) -> None:
        """Decide once, when the shapes are known, whether there is a store and if it updates."""
        several = len(self._params[0].list_ctx()) > 1
        if self._kv_initialized:
            if several and self._kvstore is None and self._given is not None:
                raise MXNetError(
                    "the Parameters were moved from one context to several after the first step: "
                    "make a new Trainer; save_states and load_states bring it what was learned"
                )
            return
        if isinstance(self._given, str) and not several and not self._wanted:
            self._kvstore = None
        if self._kvstore is not None:
            self._update_on_kvstore = self._store_updates(self._kvstore)
            if self._compression:
                self._kvstore.set_gradient_compression(dict(self._compression))
            if self._update_on_kvstore:
                self._kvstore.set_optimizer(self._optimizer)
        self._kv_initialized = True

    def _store_updates(self, store: kvs.KVStoreBase) -> bool:
        capable = store.is_capable(store.OPTIMIZER)
        if self._wanted and not capable:
            raise MXNetError(
                f"the kvstore {store.type!r} cannot update Parameters: use update_on_kvstore=False"
            )
        scaled = self._amp_loss_scaler is not None and self._amp_loss_scaler.dynamic
        if self._wanted is not None or scaled or not capable:
            return bool(self._wanted)
        if self._given == "local":
            sizes = (math.prod(param.list_data()[0].shape) for param in self._params)
            return max(sizes) <= _LARGE
        return env("MXNET_UPDATE_ON_KVSTORE") != "0"

    def _check_halves(self, name: str) -> None:
        self._init_kvstore()
        if self._update_on_kvstore:
            raise MXNetError(
                f"{name}() is one half of a step, but this Trainer updates Parameters in its "
                "kvstore, all at once: make the Trainer with update_on_kvstore=False"
            )

    def _exchange(self, work: list[_Work]) -> None:
        """Let the store add up the new gradients: into them, or into updates of the copies."""
        if self._kvstore is None or not work:
            return
        copies = {item.key: item.copies for item in work}
        self._tell(copies)
        new = [list(itertools.compress(item.grads, item.fresh)) for item in work]
        outs = [item.copies if self._update_on_kvstore else item.grads for item in work]
        self._call_store("pushpull", [item.key for item in work], new, outs)
        self._note_told(copies)

    def _tell(self, copies: Mapping[int, list[NDArray]]) -> None:
        """Enter Parameters that the store does not know, and what was written to others since."""
        new = [key for key in copies if key not in self._told]
        if self._update_on_kvstore and isinstance(self._kvstore, kvs.KVStore):
            for key, told in self._told.items():
                written = _written(copies.get(key, ()), told)
                if written is not None:
                    self._kvstore.replace(key, written)
        if new:
            first = [copies[key][0] for key in new]
            self._call_store("broadcast", new, first, [copies[key] for key in new])
            self._note_told({key: copies[key] for key in new})

    def _note_told(self, copies: Mapping[int, list[NDArray]]) -> None:
        for key, arrays in copies.items():
            self._told[key] = [(array, array.version) for array in arrays]

    def _call_store(self, name: str, keys: list[int], *arrays: Sequence[Any]) -> None:
        """Call a method on all keys at once, or on each where a store of the user's may need it."""
        method = getattr(self._kvstore, name)
        if isinstance(self._kvstore, kvs.KVStore):
            method(keys, *arrays)
        else:
            for key, *given in zip(keys, *arrays, strict=True):
                method(key, *given, priority=-key)

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

    def save_states(self, fname: FilePath) -> None:
        """Save what the optimizer remembers (momentum, counts, learning rate) as safetensors.

        The schedule and the Parameters, with their factors, are not in the file. The file is the
        same whatever `update_on_kvstore` is.
        """
        ctx = self._check_contexts()[0]
        self._init_kvstore()
        if self._kvstore is not None and self._update_on_kvstore:
            self._kvstore.save_optimizer_states(fname, dump_optimizer=True)
            return
        held = self._updaters[ctx].states if ctx in self._updaters else {}
        states.save(fname, self._optimizer, held, self._described())

    def load_states(self, fname: FilePath) -> None:
        """Continue from a file of `save_states`, made with the same optimizer and Parameters.

        The numbers of the optimizer, such as rate and momentum, become those of the file. If the
        file does not fit, `FormatError` or `ShapeError` says why and nothing is changed.
        """
        contexts = self._check_contexts()
        self._init_kvstore()
        if self._kvstore is not None and self._update_on_kvstore:
            trained = enumerate(self._params)
            self._tell({key: p.list_data() for key, p in trained if p.grad_req != "null"})
            self._kvstore.load_optimizer_states(fname)
            return
        finders = [self._finder(ctx) for ctx in contexts]
        found = states.load(fname, self._optimizer, self._described(), finders, contexts)
        for ctx, held in zip(contexts, found, strict=True):
            self._updaters[ctx] = Updater(self._optimizer)
            self._updaters[ctx].states = held

    def _described(self) -> list[tuple[str, tuple[int, ...] | None]]:
        return [(param.name, param.shape) for param in self._params]

    def _finder(self, ctx: Context) -> Callable[[Any], NDArray]:
        return lambda index: self._params[index].data(ctx)


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


def _store(kvstore: Any, updates: bool | None) -> kvs.KVStoreBase | None:
    if kvstore is None:
        if updates:
            raise MXNetError("update_on_kvstore=True needs a store, but kvstore is None")
        return None
    if isinstance(kvstore, str):
        return kvs.create(kvstore)
    if not isinstance(kvstore, kvs.KVStoreBase):
        raise MXNetError(f"kvstore must be a store, the name of one or None, not {kvstore!r}")
    return kvstore


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


def _written(copies: Sequence[NDArray], told: Sequence[tuple[NDArray, int]]) -> NDArray | None:
    """Return the first copy that is another array, or was written to, since the store was told."""
    known = {id(array): version for array, version in told}
    return next((copy for copy in copies if known.get(id(copy)) != copy.version), None)


def _note_used(work: list[_Work]) -> None:
    for copy in itertools.chain.from_iterable(item.copies for item in work):
        if isinstance(copy._node, Leaf):
            copy._node.fresh = False
