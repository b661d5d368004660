"""Guard: what a program was made from beside arrays: attributes of blocks, globals, closures."""

import dis
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import CellType, CodeType, FunctionType
from typing import Any

import numpy as onp

from regluon.array.handle import Handle


class Changes:
    """Counts the writes to attributes of all blocks: while it stands still, none has changed."""

    count = 0


BOOKKEEPING = frozenset(("_active", "_cache", "_eager", "_unfinished"))
"""The attributes that blocks write about their own calls."""

_PLAIN = (bool, int, float, complex, str, bytes, type(None), tuple)
_CONTAINERS = (list, dict, set)
_MISSING = object()
_Look = Callable[[], Any]


class Guard:
    """Remembers Python values that the calls of a block may depend on, to say what has changed.

    These are the attributes of the block and of all blocks inside, with what is in their lists,
    dictionaries, sets and NumPy arrays; and the global and captured variables (numbers, texts,
    containers and arrays) that the user's methods look at, and functions that these call by name.
    What lies deeper, such as an attribute of an object that is itself an attribute, is not seen.
    """

    def __init__(self, blocks: list[Any]) -> None:
        self._seen = Changes.count
        self._attributes = [(block, _contents(block.__dict__)) for block in blocks]
        self._watched: list[tuple[str, _Look, Any]] = []
        seen: set[Any] = set()
        for block in blocks:
            for function in _functions(block):
                self._watch(function, seen)
            if not _ours(type(block)):
                self._watch_containers(block)

    def changed(self) -> str:
        """Say what is another value now, such as `Net.scale`, or return an empty text."""
        for name, look, value in self._watched:
            if not _same(_frozen(look()), value):
                return name
        if Changes.count != self._seen:
            for block, before in self._attributes:
                now = _contents(block.__dict__)
                for name in now.keys() | before.keys():
                    if name not in now or name not in before or not _same(now[name], before[name]):
                        return f"{type(block).__name__}.{name}"
            self._seen = Changes.count
        return ""

    def _watch(self, function: FunctionType, seen: set[Any]) -> None:
        """Watch what a function looks at outside, and the functions of its module it calls."""
        if function in seen:
            return
        seen.add(function)
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        looks = [(name, _cell(cell)) for name, cell in cells]
        scope = function.__globals__
        looks += [(name, _item(scope, name)) for name in _globals(function.__code__)]
        for name, look in looks:
            value = look()
            if isinstance(value, FunctionType) and value.__globals__ is scope:
                self._watch(value, seen)
            elif isinstance(value, (*_PLAIN, *_CONTAINERS, Handle, onp.ndarray)):
                self._watched.append((f"the variable {name}", look, _frozen(value)))

    def _watch_containers(self, block: Any) -> None:
        for name, value in block.__dict__.items():
            if isinstance(value, (*_CONTAINERS, onp.ndarray)) and name not in _TABLES:
                look = _item(block.__dict__, name)
                self._watched.append((f"{type(block).__name__}.{name}", look, _frozen(value)))


_TABLES = ("_children", "_reg_params", "_forward_hooks", "_forward_pre_hooks")


def _ours(cls: type) -> bool:
    return cls.__module__.split(".")[0] == "regluon"


def _functions(block: Any) -> Iterator[FunctionType]:
    """Yield the methods of the user's classes, and functions among the attributes."""
    for cls in type(block).__mro__:
        if not _ours(cls):
            yield from (f for f in vars(cls).values() if isinstance(f, FunctionType))
    for value in block.__dict__.values():
        if isinstance(value, FunctionType) and not value.__module__.startswith("regluon."):
            yield value


@lru_cache(maxsize=1024)
def _globals(code: CodeType) -> tuple[str, ...]:
    """Return the names of the global variables that code looks at, functions inside included."""
    names = [i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names += _globals(constant)
    return tuple(dict.fromkeys(names))


def _cell(cell: CellType) -> _Look:
    def look() -> Any:
        try:
            return cell.cell_contents
        except ValueError:  # it has no value yet
            return _MISSING

    return look


def _item(scope: dict[str, Any], name: str) -> _Look:
    return lambda: scope.get(name, _MISSING)


def _contents(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: _frozen(v) for name, v in attributes.items() if name not in BOOKKEEPING}


def _frozen(value: Any) -> Any:
    """Return a value, or the list of what is in a container, which does not change with it."""
    if isinstance(value, dict):
        return [value, *value.keys(), *value.values()]
    if isinstance(value, (list, set)):
        return [value, *value]
    if isinstance(value, onp.ndarray):
        return [value, value.tobytes()]
    return value


def _same(one: Any, other: Any) -> bool:
    """Say whether two frozen values are: the same objects, or numbers and texts that are equal."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):  # the first in the list of a container is itself
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, (float, complex)):
        return repr(one) == repr(other)  # 0.0 is not -0.0
    return isinstance(one, _PLAIN) and bool(one == other)
