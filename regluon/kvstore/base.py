"""The contract of key-value stores, the table of their kinds, and what a key may be."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from regluon.array.ndarray import NDArray
from regluon.array.serialize import FilePath
from regluon.base import ArgumentError, DTypeError, MXNetError, Registry
from regluon.optimizer import Optimizer


Key = int | str
Pair = tuple[Key, list[NDArray]]


class KVStoreBase:
    """What a `Trainer` asks of a store; a store of your own overrides what it can do.

    `@KVStoreBase.register` makes `create` find the class by its name in lower case.
    """

    OPTIMIZER = "optimizer"

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """Bring the first `value` of a key to all arrays in `out`."""
        raise self._lacks("broadcast")

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """Add up the arrays of a key and write the result to `out`, or to these arrays."""
        raise self._lacks("pushpull")

    def set_optimizer(self, optimizer: Optimizer) -> None:
        """Update the values in the store by what is pushed."""
        raise self._lacks("set_optimizer")

    def is_capable(self, capability: str) -> bool:
        """Say whether the store can do something: "optimizer" is updating its values."""
        if capability.lower() != self.OPTIMIZER:
            raise ArgumentError(f"a store knows the capability 'optimizer', not {capability!r}")
        return False

    def set_gradient_compression(self, compression_params: dict[str, Any]) -> None:
        """Send gradients in fewer bits."""
        raise self._lacks("set_gradient_compression")

    def save_optimizer_states(self, fname: FilePath, dump_optimizer: bool = False) -> None:
        """Save what the optimizer remembers."""
        raise self._lacks("save_optimizer_states")

    def load_optimizer_states(self, fname: FilePath) -> None:
        """Continue from a file of `save_optimizer_states`."""
        raise self._lacks("load_optimizer_states")

    @property
    def type(self) -> str:
        """The name that `create` knows the store by."""
        return type(self).__name__.lower()

    @property
    def rank(self) -> int:
        """The number of this process among the workers."""
        return 0

    @property
    def num_workers(self) -> int:
        """The number of processes that share the store."""
        return 1

    @staticmethod
    def register(klass: "K") -> "K":
        """Decorate a class of stores so that `create` finds it."""
        STORES.register(klass)
        return klass

    def _lacks(self, name: str) -> MXNetError:
        return MXNetError(f"the kvstore {type(self).__name__} does not define {name}()")


K = TypeVar("K", bound=type[KVStoreBase])
STORES = Registry[Callable[[], KVStoreBase]]("kvstore")
"""What makes each kind of store; the files of the kinds enter themselves."""


def create(name: str = "local") -> KVStoreBase:
    """Return a new store: "local", "device", or the name of a registered class.

    "local" adds up in the memory of the CPU, "device" on the devices of the arrays; between
    several `cpu(i)` they are the same. Stores for several machines come in a later release.

    >>> import regluon as mx
    >>> kv = mx.kv.create("local")
    >>> kv.init("w", mx.nd.ones((2,)))
    >>> kv.push("w", [mx.nd.array([1, 2], ctx=mx.cpu(0)), mx.nd.array([3, 4], ctx=mx.cpu(1))])
    >>> total = mx.nd.zeros((2,))
    >>> kv.pull("w", out=total)
    >>> total.asnumpy().tolist()
    [4.0, 6.0]
    """
    if not isinstance(name, str):
        raise MXNetError(f"a kvstore is created by its name, such as 'device', not {name!r}")
    if name.lower() not in STORES.names() and name.lower().startswith(_REMOTE):
        raise MXNetError(
            f"the kvstore {name!r} is for several machines, which this release cannot do; "
            "'device' adds up the devices of one"
        )
    return STORES.get(name)()


_REMOTE = ("dist", "p3", "horovod", "byteps")


def pairs_of(key: Any, value: Any, what: str) -> list[Pair]:
    """Return keys with their arrays: one key and its array or arrays, or a list of each.

    A key that comes twice has the arrays of both places. `what` names the arrays in errors.
    """
    if not isinstance(key, list | tuple):
        return [(_checked(key), _arrays(key, value, what))]
    values = list(value) if isinstance(value, list | tuple) else None
    if values is None or len(values) != len(key):
        count = "no list" if values is None else f"{len(values)} entries"
        raise MXNetError(f"there are {len(key)} keys, but {what} has {count}: one for each key")
    found: dict[Key, list[NDArray]] = {}
    for each, part in zip(key, values, strict=True):
        found.setdefault(_checked(each), []).extend(_arrays(each, part, what))
    check_kinds(found)
    return list(found.items())


def check_kinds(keys: Iterable[Key]) -> None:
    """Raise unless all keys are numbers, or all are strings: "3" and 3 are easily mistaken."""
    kinds = {isinstance(key, str) for key in keys}
    if len(kinds) > 1:
        raise MXNetError("the keys of a store are all numbers or all strings, not both")


def _checked(key: Any) -> Key:
    if isinstance(key, int | str) and not isinstance(key, bool):
        return key
    raise DTypeError(f"a key is a whole number or a string, not {key!r}")


def _arrays(key: Any, value: Any, what: str) -> list[NDArray]:
    arrays = list(value) if isinstance(value, list | tuple) else [value]
    for array in arrays:
        if not isinstance(array, NDArray):
            raise DTypeError(
                f"{what} of key {key!r} must be an array or a list of arrays, one is "
                f"{type(array).__name__}"
            )
    if not arrays:
        raise MXNetError(f"{what} of key {key!r} is an empty list")
    return arrays
