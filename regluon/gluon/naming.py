"""Name scopes: the prefixes of blocks, such as `dense0_`, and `net0_dense0_` inside a net."""

import threading
from types import TracebackType

from regluon.gluon.parameter_dict import ParameterDict


class _Local(threading.local):
    def __init__(self) -> None:
        self.scope: NameScope | None = None
        self.counts: dict[str, int] = {}


_local = _Local()


class NameScope:
    """What `block.name_scope()` gives: blocks made inside `with` are named as parts of it."""

    def __init__(self, prefix: str, params: ParameterDict, transparent: bool) -> None:
        self.prefix = prefix
        self.params = params
        self.counts: dict[str, int] = {}
        self._transparent = transparent  # a block with prefix="" leaves names to those around it
        self._outer: list[NameScope | None] = []

    def __enter__(self) -> "NameScope":
        self._outer.append(_local.scope)
        if not self._transparent:
            _local.scope = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _local.scope = self._outer.pop()


def new_scope(prefix: str | None, shared: ParameterDict | None, hint: str) -> NameScope:
    """Name a new block: its full prefix, its parameters, and the scope for what is inside it.

    prefix: the block's own part of the name; by default `hint` and a number that is free.
    shared: parameters of another block, whose names and weights the new block takes.
    """
    scope = _local.scope
    if prefix is None:
        counts = _local.counts if scope is None else scope.counts
        number = counts.get(hint, 0)
        counts[hint] = number + 1
        prefix = f"{hint}{number}_"
    if shared is not None:
        params = ParameterDict(shared.prefix, shared)
    elif scope is None:
        params = ParameterDict(prefix)
    else:
        params = ParameterDict(scope.params.prefix + prefix, scope.params.shared)
    full = prefix if scope is None else scope.prefix + prefix
    return NameScope(full, params, transparent=prefix == "")
