"""Graph, Node and Value: a straight-line program over tensors as data, and how it is printed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from regluon.base import MXNetError


Run = Callable[..., tuple[Any, ...]]
"""What computes a graph: it takes a tensor for every input and returns one for every output."""


class Meta(NamedTuple):
    """What is known of a tensor without its values.

    Values with the same `storage` number may share memory; 0 stands for memory of its own.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    stride: tuple[int, ...]
    device: torch.device
    storage: int = 0


class Value:
    """One result of a node, or one input of a graph: told apart by identity.

    `meta` is None for what is no tensor, such as a random generator.
    """

    __slots__ = ("meta", "name")

    def __init__(self, name: str, meta: Meta | None = None) -> None:
        self.name = name
        self.meta = meta

    def __repr__(self) -> str:
        return self.name


class Site(NamedTuple):
    """Where a node comes from: the user's line, and the block inside the one that was compiled."""

    line: str = ""
    block: str = ""

    def __str__(self) -> str:
        """Block and line as text, "" for nowhere."""
        return " · ".join(part for part in (self.block, self.line) if part)


NOWHERE = Site()


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One call: `outputs = target(*args, **kwargs)`.

    `target` is an operator of torch (`torch._ops.OpOverload`) or, where `opaque`, any function of
    tensors. Values stand in the arguments themselves and inside lists and tuples. `outputs` has one
    entry per result, None for a result that is no tensor or that nobody can name. A target that
    writes its argument in place has that same Value among its outputs.
    """

    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[Value | None, ...] = ()
    site: Site = NOWHERE
    inputs: tuple[Value, ...] = field(init=False, repr=False)
    """The values among the arguments, in order, once for each place."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(values_in((self.args, self.kwargs))))

    @property
    def opaque(self) -> bool:
        """Whether nothing is known of the target: it is Python, and may write what it is given."""
        return not isinstance(self.target, torch._ops.OpOverload)

    @property
    def title(self) -> str:
        """The name of the target, such as `aten.addmm.default`."""
        return str(self.target) if not self.opaque else getattr(self.target, "__name__", "function")

    def written(self) -> tuple[Value, ...]:
        """Return the arguments that the target writes in place."""
        if self.opaque:
            return self.inputs
        statistics = self.title in _WRITES_STATISTICS
        if statistics and self.args[5:6] == (False,):  # it is not training
            return ()
        found: list[Value] = []
        for place, name in _written_places(self.target):
            given = self.args[place] if place < len(self.args) else None
            found += values_in(self.kwargs.get(name, given))
        if statistics:
            found += values_in(self.args[3:5])
        return tuple(found)

    def failure(self, error: BaseException, python: bool) -> BaseException:
        """Return what to raise for an error of the target, with its name and the user's line.

        It is of the same type; where it is `python` code's own, it is the same exception.
        """
        where = str(self.site)
        note = f"in {self.title}{where and f' at {where}'}"
        if not python:
            try:
                return type(error)(f"{error}\n  {note}").with_traceback(error.__traceback__)
            except TypeError:  # made of more than a text
                pass
        error.add_note(note)
        return error

    @property
    def draws(self) -> bool:
        """Whether the result is random, so that two equal calls differ."""
        return not self.opaque and torch.Tag.nondeterministic_seeded in self.target.tags  # type: ignore[attr-defined]


@cache
def _written_places(target: Any) -> tuple[tuple[int, str], ...]:
    """Return place and name of the arguments that an operator writes."""
    return tuple(
        (place, argument.name)
        for place, argument in enumerate(target._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )


# In training they write the running mean and variance, which most schemas do not say, and one says
# whether it trains or not.
_WRITES_STATISTICS = frozenset(
    f"aten.{name}.default"
    for name in (
        "native_batch_norm",
        "cudnn_batch_norm",
        "miopen_batch_norm",
        "_native_batch_norm_legit",
    )
)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A program: inputs, nodes in the order in which they run, and outputs.

    `fixed` are inputs that rarely change between calls, such as parameters: what depends on them
    alone may be computed once. `constants` are tensors that belong to the program. An output is a
    Value, or None where there is no result.
    """

    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value | None, ...]
    fixed: frozenset[Value] = frozenset()
    constants: dict[Value, Tensor] = field(default_factory=dict)

    def with_nodes(
        self, nodes: Iterable[Node], outputs: Iterable[Value | None] | None = None
    ) -> "Graph":
        """Return the graph with other nodes, and constants that are still used."""
        kept = tuple(nodes)
        ends = self.outputs if outputs is None else tuple(outputs)
        used = {value for node in kept for value in node.inputs} | {v for v in ends if v}
        constants = {value: t for value, t in self.constants.items() if value in used}
        return replace(self, nodes=kept, outputs=ends, constants=constants)

    def check(self) -> None:
        """Raise unless every value is defined before it is used, and defined once."""
        known = set(self.inputs) | set(self.constants)
        for place, node in enumerate(self.nodes):
            for value in node.inputs:
                if value not in known:
                    raise MXNetError(f"node {place}, {node.title}, uses {value} before it exists")
            written = set(node.inputs)
            for output in node.outputs:
                if output is not None and output in known and output not in written:
                    raise MXNetError(f"node {place}, {node.title}, defines {output} again")
                if output is not None:
                    known.add(output)
        for output in self.outputs:
            if output is not None and output not in known:
                raise MXNetError(f"the output {output} is never computed")

    def last_uses(self) -> dict[Value, int]:
        """Return for every value the place of the last node that uses or makes it.

        Outputs, inputs and constants live on: they are not in the table.
        """
        places: dict[Value, int] = {}
        for place, node in enumerate(self.nodes):
            for value in (*node.inputs, *node.outputs):
                if value is not None:
                    places[value] = place
        for value in (*self.inputs, *self.constants, *self.outputs):
            if value is not None:
                places.pop(value, None)
        return places

    def __str__(self) -> str:
        """The program as text, with the user's lines beside it."""
        lines = [f"inputs {', '.join(map(str, self.inputs))}"]
        lines += [f"constant {value} {described(value)}" for value in self.constants]
        width = 0
        texts = []
        for node in self.nodes:
            text = f"{', '.join(map(str, node.outputs)) or '_'} = {call_text(node)}"
            texts.append(text)
            width = max(width, min(len(text), 88))
        for node, text in zip(self.nodes, texts, strict=True):
            where = str(node.site)
            lines.append(f"{text:<{width}}  # {where}" if where else text)
        lines.append(f"return {', '.join(map(str, self.outputs))}")
        return "\n".join(lines)


def described(value: Value) -> str:
    """Return shape and dtype of a value as text, such as `float32(2, 3)`."""
    if value.meta is None:
        return ""
    return f"{str(value.meta.dtype).removeprefix('torch.')}{value.meta.shape}"


def call_text(node: Node) -> str:
    """Return the call of a node as source text."""
    words = [_text(arg) for arg in node.args]
    words += [f"{name}={_text(arg)}" for name, arg in node.kwargs.items()]
    return f"{node.title}({', '.join(words)})"


def _text(arg: Any) -> str:
    if isinstance(arg, (list, tuple)):
        inside = ", ".join(_text(item) for item in arg)
        if isinstance(arg, list):
            return f"[{inside}]"
        return f"({inside},)" if len(arg) == 1 else f"({inside})"
    return repr(arg)


def values_in(arg: Any) -> Iterator[Value]:
    """Return the values inside nested arguments, in order."""
    found: list[Value] = []
    _gather(arg, found)
    return iter(found)


def _gather(arg: Any, found: list[Value]) -> None:
    if isinstance(arg, Value):
        found.append(arg)
    elif isinstance(arg, (list, tuple)):
        for item in arg:
            _gather(item, found)
    elif isinstance(arg, dict):
        for item in arg.values():
            _gather(item, found)


def mapped(arg: Any, change: Callable[[Value], Any]) -> Any:
    """Return nested arguments with `change` applied to every value."""
    if isinstance(arg, Value):
        return change(arg)
    if isinstance(arg, (list, tuple)):
        return type(arg)(mapped(item, change) for item in arg)
    if isinstance(arg, dict):
        return {name: mapped(item, change) for name, item in arg.items()}
    return arg


def substituted(node: Node, table: dict[Value, Value]) -> Node:
    """Return the node with other values in the places of some."""
    if not any(value in table for value in (*node.inputs, *node.outputs)):
        return node

    def change(value: Value) -> Value:
        return table.get(value, value)

    return replace(
        node,
        args=mapped(node.args, change),
        kwargs=mapped(node.kwargs, change),
        outputs=tuple(None if v is None else change(v) for v in node.outputs),
    )


def meta_of(tensor: Tensor, storage: int = 0) -> Meta:
    """Return what is known of a tensor without its values."""
    return Meta(tuple(tensor.shape), tensor.dtype, tuple(tensor.stride()), tensor.device, storage)
