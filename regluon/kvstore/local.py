"""KVStore: one process, many devices; each of them adds up and updates its part of the keys."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NoReturn

import torch

from regluon import autograd
from regluon.array import dispatch
from regluon.array.ndarray import NDArray
from regluon.array.serialize import FilePath
from regluon.base import DTypeError, FormatError, MXNetError, ShapeError, nearest, user_line
from regluon.context import Context, cpu
from regluon.engine.selection import selected
from regluon.kvstore.base import STORES, Key, KVStoreBase, Pair, check_kinds, pairs_of
from regluon.kvstore.compression import TwoBit
from regluon.optimizer import Optimizer, Updater, get_updater, states
from regluon.optimizer.optimizer import make_groups


NAMES = ("local", "device", "nccl", "local_allreduce_cpu", "local_allreduce_device")


class KVStore(KVStoreBase):
    """Values by key, for arrays on several contexts of one process; no method waits.

    Pushed arrays of a key are added up in their order. The sum replaces the value, or with
    `set_optimizer` or `set_updater` changes it. Each key has a home among the contexts, where its
    value is, and where it is added up and updated; homes are chosen at the first `broadcast` or
    `push` so that each context holds as many bytes as any other. Keys that come in one call are
    worked on in groups, as those of optimizers: consecutive ones of one home, at most 4 MB.

    >>> import regluon as mx
    >>> kv = mx.kv.create("device")
    >>> kv.init(3, mx.nd.zeros((2,)))
    >>> kv.set_optimizer(mx.optimizer.SGD(learning_rate=0.5))
    >>> weight = mx.nd.zeros((2,))
    >>> kv.pushpull(3, mx.nd.ones((2,)), out=weight)
    >>> weight.asnumpy().tolist()
    [-0.5, -0.5]
    """

    def __init__(self, name: str = "local") -> None:
        self._type = name
        self._values: dict[Key, NDArray] = {}
        self._sums: dict[Key, NDArray] = {}  # what an updater is given
        self._settled: set[Key] = set()  # the keys whose home is chosen
        self._load: dict[Context, int] = {}  # the bytes at home there
        self._updater: Callable[[Any, Any, Any], None] | None = None
        self._compression: TwoBit | None = None

    @property
    def type(self) -> str:
        """The name that `create` was given."""
        return self._type

    def is_capable(self, capability: str) -> bool:
        """Say whether the store can do something: "optimizer" is updating its values."""
        super().is_capable(capability)
        return True

    # Values

    def init(self, key: Any, value: Any) -> None:
        """Enter new keys with their values, which are copied."""
        with autograd.pause():
            self._enter(pairs_of(key, value, "value"))

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """Enter new keys with their values, and copy these to the arrays in `out`."""
        pairs, outs = pairs_of(key, value, "value"), pairs_of(key, out, "out")
        self._check_fit(outs, {key: arrays[0] for key, arrays in pairs})
        with autograd.pause():
            self._enter(pairs, outs)
        self._pull(outs, priority)

    def push(self, key: Any, value: Any, priority: int = 0) -> None:
        """Add up the arrays of each key; the sum becomes its value, or updates it."""
        self._push(self._known(key, value, "value"), priority)

    def pull(
        self, key: Any, out: Any = None, priority: int = 0, ignore_sparse: bool = True
    ) -> None:
        """Copy the value of each key to the arrays in `out`, converted to their type."""
        self._pull(self._known(key, out, "out"), priority)

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """Push `value` and pull to `out`; without `out` to the arrays in `value`."""
        pairs = self._known(key, value, "value")
        outs = pairs if out is None else self._known(key, out, "out")
        self._push(pairs, priority)
        self._pull(outs, priority)

    def replace(self, key: Any, value: Any) -> None:
        """Overwrite the values of keys, which keep their homes, whatever updater there is."""
        with autograd.pause():
            for each, arrays in self._known(key, value, "value"):
                self._values[each] = arrays[0].copyto(self._values[each].context)

    def row_sparse_pull(
        self, key: Any, out: Any = None, priority: int = 0, row_ids: Any = None
    ) -> NoReturn:
        """Raise: values are dense."""
        raise MXNetError(
            "row_sparse_pull: the values of a store are dense arrays; pull() copies all rows, "
            "and x.take(row_ids) chooses some of them"
        )

    def set_gradient_compression(self, compression_params: dict[str, Any]) -> None:
        """Reduce what several contexts push to three values; see `compression.TwoBit`.

        Here it shows how a training takes it: between devices of one machine it saves no time.
        """
        if "device" not in self._type:
            raise MXNetError(f"a store {self._type!r} compresses nothing; one named 'device' does")
        self._compression = TwoBit(compression_params)

    # The optimizer

    def set_optimizer(self, optimizer: Optimizer) -> None:
        """Update values from now on by an optimizer, which takes the sums as gradients."""
        if not isinstance(optimizer, Optimizer):
            raise DTypeError(
                "set_optimizer takes an optimizer such as mx.optimizer.SGD(), not "
                f"{type(optimizer).__name__}"
            )
        self.set_updater(get_updater(optimizer))

    def set_updater(self, updater: Callable[[Any, Any, Any], None]) -> None:
        """Call `updater(key, sum, value)` for each pushed key; it changes `value` in place."""
        if not callable(updater):
            raise DTypeError(f"an updater is a function of key, sum and value, not {updater!r}")
        self._updater = updater

    _set_updater = set_updater  # MXNet 1.9's name

    def save_optimizer_states(self, fname: FilePath, dump_optimizer: bool = False) -> None:
        """Save what the optimizer remembers of each key, as safetensors.

        The counts of updates are always in the file, the other numbers of the optimizer, such as
        its rate, with `dump_optimizer`.
        """
        updater = self._own_updater("save")
        states.save(
            fname,
            updater.optimizer,
            updater.states,
            self._described(updater.optimizer),
            numbers=dump_optimizer,
        )

    def load_optimizer_states(self, fname: FilePath) -> None:
        """Continue from a file of `save_optimizer_states`, with the same optimizer and keys.

        If the file does not fit, `FormatError` or `ShapeError` says why and nothing is changed.
        """
        updater = self._own_updater("load")
        optimizer = updater.optimizer
        contexts = list(dict.fromkeys(value.context for value in self._values.values()))
        (updater.states,) = states.load(
            fname, optimizer, self._described(optimizer), [self._find], contexts
        )
        self._settled.update(self._values)  # the states stay where they are

    def _find(self, key: Key) -> NDArray:
        if key not in self._values:
            raise FormatError(f"the file has states of key {key!r}, which this store has not")
        return self._values[key]

    def _own_updater(self, action: str) -> Updater:
        if isinstance(self._updater, Updater):
            return self._updater
        raise MXNetError(
            f"there are no optimizer states to {action}: call set_optimizer() on the store first"
        )

    def _described(self, optimizer: Optimizer) -> list[tuple[str, tuple[int, ...] | None]]:
        """Return names and shapes of all weights: of the Parameters, if the optimizer has some."""
        if optimizer.param_dict:
            return [(param.name, param.shape) for param in optimizer.param_dict.values()]
        return [(str(key), self._values[key].shape) for key in sorted(self._values)]

    # Keys and homes

    def _enter(self, pairs: Sequence[Pair], outs: Sequence[Pair] = ()) -> None:
        for key, arrays in pairs:
            if key in self._values:
                raise MXNetError(
                    f"the store has a key {key!r} already: a key is given to init or broadcast "
                    "once, and a store serves one Trainer"
                )
            if len(arrays) > 1:
                raise MXNetError(f"a key has one value, {len(arrays)} were given for {key!r}")
        check_kinds([*self._values, *(key for key, _ in pairs)])
        self._values.update((key, arrays[0]) for key, arrays in pairs)
        if outs:
            self._settle(outs)
        for key, (array,) in pairs:
            if self._values[key] is array:  # it has not moved, so it is no copy yet
                self._values[key] = array.copy()

    def _known(self, key: Any, value: Any, what: str) -> list[Pair]:
        """Return the pairs of a call whose keys must exist, and whose arrays must fit them."""
        if value is None:
            raise MXNetError(f"no arrays were given as {what}")
        pairs = pairs_of(key, value, what)
        for each, _ in pairs:
            if each not in self._values:
                raise MXNetError(
                    f"the store has no key {each!r}{self._hint(each)}; init() enters it"
                )
        self._check_fit(pairs, self._values)
        return pairs

    def _hint(self, key: Key) -> str:
        other = int(key) if isinstance(key, str) and key.isdecimal() else str(key)
        if other in self._values:
            return f"; did you mean {other!r}?"
        return nearest(str(key), [str(known) for known in self._values])

    def _check_fit(self, pairs: Iterable[Pair], values: dict[Key, NDArray]) -> None:
        for key, arrays in pairs:
            for array in arrays:
                if array.shape != values[key].shape:
                    raise ShapeError(
                        f"key {key!r} has shape {values[key].shape}, an array given for it "
                        f"{array.shape}"
                    )

    def _settle(self, pairs: Sequence[Pair]) -> None:
        """Choose homes for the keys that have none yet: large groups first, where least is."""
        new = [pair for pair in pairs if pair[0] not in self._settled]
        if not new:
            return
        contexts = list(dict.fromkeys(array.context for _, given in new for array in given))
        if self._type in ("local", "local_allreduce_cpu"):
            contexts = [ctx for ctx in contexts if ctx.device_type != "gpu"] or [cpu()]
        values = [self._values[key] for key, _ in new]
        groups = [(sum(map(_bytes, values[part])), part) for part in make_groups(values)]
        for size, part in sorted(groups, key=lambda group: -group[0]):
            home = min(contexts, key=lambda ctx: self._load.get(ctx, 0))
            self._load[home] = self._load.get(home, 0) + size
            for key, _ in new[part]:
                self._values[key] = self._values[key].as_in_context(home)
                self._settled.add(key)

    def _groups(self, pairs: Iterable[Pair]) -> Iterator[tuple[int, Context, list[Pair]]]:
        """Yield the pairs in groups of one home, each with the number of its first pair."""
        first = 0
        for home, run in itertools.groupby(pairs, lambda pair: self._values[pair[0]].context):
            members = list(run)
            for part in make_groups([self._values[key] for key, _ in members]):
                yield first, home, members[part]
                first += len(members[part])

    # Tasks

    def _push(self, pairs: Sequence[Pair], priority: int) -> None:
        for key, arrays in pairs:
            if len({array.spec.dtype for array in arrays}) > 1:
                raise DTypeError(f"the arrays pushed to key {key!r} have several dtypes")
        self._settle(pairs)
        for first, home, group in self._groups(pairs):
            sums = [self._sum_of(key, arrays, home) for key, arrays in group]
            self._add_up(group, sums, home, priority - first)
            self._update([key for key, _ in group], sums)

    def _sum_of(self, key: Key, arrays: Sequence[NDArray], home: Context) -> NDArray:
        """Return the array that the sum goes to: the value itself, where nothing updates it."""
        first = arrays[0]
        if self._updater is not None and len(arrays) == 1 and first.context is home:
            return first
        table = self._values if self._updater is None else self._sums
        if key not in table or table[key].spec != first.spec:
            table[key] = type(first)(None, home, first.spec)
        return table[key]

    def _add_up(
        self, group: Sequence[Pair], sums: Sequence[NDArray], home: Context, priority: int
    ) -> None:
        work = [
            (target, key, arrays)
            for target, (key, arrays) in zip(sums, group, strict=True)
            if target is not arrays[0]
        ]
        compression = self._compression

        def task() -> None:
            for target, key, arrays in work:
                tensors = [array.value().to(home.device) for array in arrays]
                if compression is not None and len(tensors) > 1:
                    tensors = [compression(key, n, tensor) for n, tensor in enumerate(tensors)]
                first, *others = tensors
                if target._data is None:
                    target._data = torch.empty_like(first)
                if not others:
                    target._data.copy_(first)
                for place, other in enumerate(others):
                    torch.add(target._data if place else first, other, out=target._data)

        sources = [array for _, _, arrays in work for array in arrays]
        _queue(task, sources, [target for target, _, _ in work], home, "kvstore.push", priority)

    def _update(self, keys: list[Key], sums: list[NDArray]) -> None:
        values = [self._values[key] for key in keys]
        if isinstance(self._updater, Updater):
            self._updater(keys, sums, values)
        elif self._updater is not None:
            for each in zip(keys, sums, values, strict=True):
                self._updater(*each)

    def _pull(self, pairs: Sequence[Pair], priority: int) -> None:
        for first, _, group in self._groups(pairs):
            contexts = dict.fromkeys(array.context for _, arrays in group for array in arrays)
            for ctx in contexts:
                work = [
                    (self._values[key], array)
                    for key, arrays in group
                    for array in arrays
                    if array.context is ctx
                ]
                _queue_copies(work, ctx, priority - first)


def _bytes(array: NDArray) -> int:
    return array.spec.nbytes


def _queue_copies(work: Sequence[tuple[NDArray, NDArray]], ctx: Context, priority: int) -> None:
    def task() -> None:
        for source, target in work:
            target.value().copy_(source.value())

    targets = [target for _, target in work]
    _queue(task, [source for source, _ in work], targets, ctx, "kvstore.pull", priority)


def _queue(
    fn: Callable[[], None],
    reads: Sequence[NDArray],
    writes: Sequence[NDArray],
    ctx: Context,
    name: str,
    priority: int,
) -> None:
    """Queue work that overwrites arrays: if it fails, they have no value until the next time."""
    if not writes:
        return
    if dispatch.state.recording and any(array.recorded() for array in writes):
        raise MXNetError(
            f"{name} writes in place to an array that is being recorded for gradients; call it "
            f"outside autograd.record() (at {user_line()})"
        )
    site = user_line()
    for array in writes:
        array.prepare_write(site)
    parts = [array for array in writes if array.root is not array]  # the rest of a base stays
    touched = [*reads, *parts]
    selected.engine.push(
        fn,
        list(dict.fromkeys(var for array in touched for var in (array.root, array))),
        list(dict.fromkeys(array.root for array in writes)),
        ctx,
        priority=priority,
        kind="compute" if ctx.device_type != "gpu" else "communicate",
        label=(name, site),
    )


for _name in NAMES:
    STORES.register(partial(KVStore, _name), _name)
