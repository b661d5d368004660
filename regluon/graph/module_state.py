"""ModuleState: what a torch module is at one moment, but for the values of its tensors."""

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import attrgetter, call, is_, itemgetter
from typing import Any

import torch
from torch import Tensor


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_OWN = frozenset(vars(torch.nn.Module()))  # dictionaries, which torch never exchanges
_description = attrgetter("shape", "dtype", "device", "requires_grad")


class ModuleState:
    """Remembers a module and all modules inside, to tell whether anything has changed.

    Compared are attributes by identity, classes, hooks, and parameters and buffers by shape, dtype,
    device, strides and `requires_grad`. What lies inside an attribute, such as the items of a list,
    is not looked at. `objection` says why the module must not be compiled as it is, or "".
    """

    def __init__(self, module: torch.nn.Module) -> None:
        named = list(module.named_modules())
        self.modules = [inner for _, inner in named]
        self.paths = {id(inner): path for path, inner in named}
        self._classes = [*map(type, self.modules)]
        self._attributes = [(inner, dict(vars(inner))) for inner in self.modules]
        self._tables = [vars(inner) for inner in self.modules]
        self._tables += [inner._modules for inner in self.modules if inner._modules]
        self._count = sum(map(len, self._tables))
        own = [[name for name in vars(inner) if name not in _OWN] for inner in self.modules]
        own = [["training", *names] for names in own]
        own += [[*inner._modules] for inner in self.modules if inner._modules]
        self._getters = [itemgetter(names[0], *names) for names in own]  # of two names or more
        self._values = [*self._watched()]
        self._hooks = [vars(inner)[name] for inner in self.modules[1:] for name in _HOOKS]
        self._stores: list[dict[str, Any]] = []
        self.names: list[str] = []
        for path, inner in named:
            for store in (inner._parameters, inner._buffers):
                if store:
                    self._stores.append(store)
                    self.names += [f"{path}.{name}" if path else name for name in store]
        self._keys = [*chain.from_iterable(self._stores)]
        slots = [*chain.from_iterable(map(dict.values, self._stores))]
        places: dict[int, int] = {}  # of each tensor among the different ones
        self.slots = [-1 if t is None else places.setdefault(id(t), len(places)) for t in slots]
        self.tensors = self._different(slots)
        self._plain = len(self.tensors) == len(slots)
        self._described = [*map(_description, self.tensors)]
        self._strides = [tensor.stride() for tensor in self.tensors] if self._strided() else []
        parameters = {id(tensor) for tensor in module.parameters()}
        self.trained = [id(tensor) in parameters for tensor in self.tensors]
        self.objection = self._objection()

    def holds(self) -> Sequence[Tensor] | None:
        """Return the parameters and buffers as they are now, each once, or None after a change."""
        if (
            not self._untouched()
            or any(self._hooks)
            or [*map(type, self.modules)] != self._classes
            or [*chain.from_iterable(self._stores)] != self._keys
        ):
            return None
        tensors = [*chain.from_iterable(map(dict.values, self._stores))]
        if not self._plain:
            tensors = self._different(tensors)
        if [*map(_description, tensors)] != self._described:
            return None
        strides = [tensor.stride() for tensor in tensors]
        return tensors if strides == self._strides else None

    def title(self, place: int) -> str:
        """Return the name of a parameter or buffer."""
        return self.names[self.slots.index(place)]

    @contextmanager
    def training(self) -> Iterator[None]:
        """Let all modules train, or not, as they did then."""
        flags = [inner.training for inner in self.modules]
        try:
            for inner, old in self._attributes:
                inner.training = old["training"]
            yield
        finally:
            for inner, flag in zip(self.modules, flags, strict=True):
                inner.training = flag

    @contextmanager
    def swapped(self, tensors: Sequence[Tensor]) -> Iterator[list[str]]:
        """Let the modules have other tensors for a while, and say after it which they replaced."""
        before = [*chain.from_iterable(map(dict.values, self._stores))]
        other = {id(old): tensors[i] for old, i in zip(before, self.slots, strict=True) if i >= 0}
        lists = [  # such as the flat weights of torch.nn.LSTM
            (table, name, value, swapped)
            for table in self._tables
            for name, value in table.items()
            if type(value) is list
            for swapped in [[_exchanged(item, other) for item in value]]
            if any(one is not two for one, two in zip(value, swapped, strict=True))
        ]
        replaced: list[str] = []
        try:
            self._fill([other.get(id(tensor)) for tensor in before])
            for table, name, _, swapped in lists:
                table[name] = swapped
            yield replaced
        finally:
            after = [*chain.from_iterable(map(dict.values, self._stores))]
            for place, (old, new) in enumerate(zip(before, after, strict=True)):
                if new is not other.get(id(old)):
                    replaced.append(self.names[place])
                    before[place] = new  # a tensor of the module's own
            self._fill(before)
            for table, name, value, _ in lists:
                table[name] = value

    def sizes(self) -> dict[str, int]:
        """Return how much is in the containers among the attributes."""
        return {
            f"{type(inner).__name__}.{name}": len(value)
            for inner, attributes in self._attributes
            for name, value in attributes.items()
            if isinstance(value, (list, dict, set))
        }

    def written(self, sizes: dict[str, int]) -> str:
        """Return the name of an attribute that is another one now, or has another size, or ""."""
        for inner, old in self._attributes:
            now = vars(inner)
            for name in now.keys() | old.keys():
                if name not in now or name not in old or not _same(now[name], old[name]):
                    return f"{type(inner).__name__}.{name}"
        after = self.sizes()
        return next((name for name, size in sizes.items() if after[name] != size), "")

    def change(self) -> str:
        """Say in which respect the module has changed."""
        name = self.written(self.sizes())
        return (
            f"{name} has changed"
            if name
            else "a parameter, buffer or module inside is of another kind"
        )

    def _untouched(self) -> bool:
        if sum(map(len, self._tables)) != self._count:
            return False
        try:
            same = all(map(is_, self._watched(), self._values))
            return same or all(map(_same, self._watched(), self._values))
        except KeyError:  # an attribute is gone, and another one is there
            return False

    def _watched(self) -> Iterator[Any]:
        """Return the modules inside, and all attributes but those in which torch keeps its own."""
        return chain.from_iterable(map(call, self._getters, self._tables))

    def _fill(self, tensors: Sequence[Tensor | None]) -> None:
        values = iter(tensors)
        for store in self._stores:
            for name in store:
                store[name] = next(values)

    def _different(self, tensors: Sequence[Tensor | None]) -> list[Tensor]:
        return [*{id(tensor): tensor for tensor in tensors if tensor is not None}.values()]

    def _strided(self) -> bool:
        return all(t.layout is torch.strided and _usual(t) for t in self.tensors)

    def _objection(self) -> str:
        for inner in self.modules:
            if isinstance(inner, torch.jit.ScriptModule):
                return f"{type(inner).__name__} is compiled by torch.jit"
        if any(self._hooks):
            return "a module inside has hooks, which are Python"
        for tensor in self.tensors:
            if not _usual(tensor) or tensor.layout is not torch.strided:
                return f"a parameter or buffer is a {type(tensor).__name__} ({tensor.layout})"
        return ""


def _usual(tensor: Tensor) -> bool:
    """Say whether a tensor has the class that torch's own operators return, and a shape."""
    return type(tensor) in (Tensor, torch.nn.Parameter)


def _exchanged(item: Any, other: dict[int, Tensor]) -> Any:
    """Return the tensor, or a weak reference to it, that stands for the item of a list."""
    if isinstance(item, weakref.ref):
        tensor = other.get(id(item()))
        return item if tensor is None else weakref.ref(tensor)
    return other.get(id(item), item)


_PLAIN = (bool, int, float, complex, str, bytes)


def _same(one: Any, other: Any) -> bool:
    """Say whether an attribute is what it was, or a number or text equal to it."""
    return one is other or (type(one) is type(other) and type(one) in _PLAIN and one == other)
