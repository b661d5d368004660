"""Tracing: run functions of tensors once and note every operator of torch they come down to."""

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from regluon.base import MXNetError, user_line
from regluon.graph.node import Graph, Meta, Node, Site, Value, meta_of


class ValueRead(MXNetError):
    """The traced code looked at a value: what it does next would be fixed in the program."""

    def __init__(self, site: Site) -> None:
        where = str(site)
        super().__init__(f"the value of an array was read during tracing{where and f' at {where}'}")
        self.site = site


_READS = frozenset(
    getattr(torch.ops.aten, name).default
    for name in ("_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero")
)

_FRESH = torch.ops.aten.lift_fresh.default


class Trace(TorchDispatchMode):
    """While it is entered, every operator that torch executes on this thread becomes a node.

    It may be entered several times, for the forward pass and later for the backward pass: tensors
    are known by identity in between. Operators run as they always do, on real tensors; what is seen
    is below torch's autograd, so that gradients are operators like all others. A tensor that the
    trace has not seen is a constant of the program.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from importing its compiler, two seconds long, to switch it off here."""
        return False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[Node] = []
        self.constants: dict[Value, Tensor] = {}
        self.site: Site | None = None  # of the nodes to come; None asks for the user's line
        self._known: dict[int, tuple[Any, Value]] = {}
        self._generators: dict[int, Value] = {}
        self._kept: list[Any] = []
        self._storages: dict[int, int] = {}
        self._count = 0

    def name(self, tensor: Tensor, prefix: str = "v", value: Value | None = None) -> Value:
        """Give a tensor a value of its own, or return the one it has."""
        known = self.find(tensor)
        if known is not None:
            return known
        if value is None:
            self._count += 1
            value = Value(f"{prefix}{self._count}", self._meta(tensor))
        self._known[id(tensor)] = (weakref.ref(tensor), value)
        return value

    def find(self, tensor: Tensor) -> Value | None:
        """Return the value of a tensor, or None if the trace has not seen it."""
        known = self._known.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None

    def inputs(
        self, things: Iterable[Tensor | torch.Generator], names: Iterable[str]
    ) -> tuple[Value, ...]:
        """Make tensors, or random generators, inputs of the program, under these names."""
        found = []
        for thing, name in zip(things, names, strict=True):
            if isinstance(thing, torch.Generator):
                value = self._generators[_place(thing)] = Value(name)
                self._kept.append(thing)
            else:
                value = self.name(thing, value=Value(name, self._meta(thing)))
            found.append(value)
        return tuple(found)

    def where(self) -> Site:
        """Return where the call is made that is being traced."""
        return Site(user_line())

    def read(self, site: Site) -> None:
        """Refuse to go on: the value of a tensor is asked for."""
        raise ValueRead(site)

    def _meta(self, tensor: Tensor) -> Meta:
        try:
            place = tensor.untyped_storage()._cdata
        except (RuntimeError, NotImplementedError):  # without memory of its own kind
            return meta_of(tensor)
        return meta_of(tensor, self._storages.setdefault(place, len(self._storages) + 1))

    def _value(self, tensor: Tensor) -> Value:
        value = self.find(tensor)
        if value is None:
            value = self.name(tensor, "constant")
            self.constants[value] = tensor.detach()
        return value

    def _fresh(self, tensor: Tensor, site: Site) -> Tensor:
        """Note a tensor made of numbers, as by `torch.tensor`: each call has one of its own."""
        with torch._C._DisableTorchDispatch():
            source = self._value(tensor.clone())
        value = self.name(tensor)
        self.nodes.append(Node(torch.ops.aten.clone.default, (source,), {}, (value,), site))
        return tensor

    def _arg(self, arg: Any) -> Any:
        if isinstance(arg, Tensor):
            return self._value(arg)
        if isinstance(arg, (list, tuple)):
            return [self._arg(item) for item in arg]
        if isinstance(arg, torch.Generator):  # torch hands on another object for the same one
            return self._generators.get(_place(arg), arg)
        return arg

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run one operator and note it."""
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled():  # where torch does not take operators apart itself
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        site = self.site if self.site is not None else self.where()
        if func in _READS:
            self.read(site)
        if func is _FRESH and self.find(args[0]) is None:
            return self._fresh(func(*args), site)
        # Arguments first: an operator in place may be the first to see a tensor.
        with torch._C._DisableTorchDispatch():
            noted = tuple(self._arg(arg) for arg in args)
            named = {name: self._arg(arg) for name, arg in kwargs.items()}
        result = func(*args, **kwargs)
        results = result if isinstance(result, (list, tuple)) else (result,)
        outputs = tuple(self.name(r) if isinstance(r, Tensor) else None for r in _flat(results))
        self.nodes.append(Node(func, noted, named, outputs, site))
        return result

    def opaque(self, function: Callable[..., Any], *args: Any) -> None:
        """Note a call of Python code that returns nothing, such as a check of values, and make it.

        The code runs whenever the program does.
        """
        noted = tuple(self._arg(arg) for arg in args)
        self.nodes.append(Node(function, noted, {}, (), self.site or Site()))
        with torch.utils._python_dispatch._disable_current_modes():
            function(*args)

    def graph(
        self,
        inputs: Sequence[Value],
        outputs: Sequence[Any],
        fixed: Iterable[Value] = (),
    ) -> Graph:
        """Return what was traced so far as a program from `inputs` to the tensors `outputs`."""
        ends = tuple(None if t is None else self._value(t) for t in outputs)
        graph = Graph(tuple(inputs), tuple(self.nodes), ends, frozenset(fixed), self.constants)
        return graph.with_nodes(graph.nodes)


def _flat(results: Iterable[Any]) -> Iterable[Any]:
    for result in results:
        if isinstance(result, (list, tuple)):
            yield from _flat(result)
        else:
            yield result


def _place(generator: torch.Generator) -> int:
    """Return where torch keeps a generator: what it hands on is another object for the same one."""
    place: int = generator._cdata  # type: ignore[attr-defined]
    return place
