"""What nodes do beside returning results: the memory they write and share, and random numbers.

Every pass asks here, so that writes in place, views, randomness and opaque Python mean the same to
all of them. The answers err on one side: memory that may be shared counts as shared.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import torch

from regluon.graph.node import Graph, Node, Value, substituted, values_in


# Their results may be their argument, though the schema does not say so.
_SHARES_UNDECLARED = frozenset(
    f"aten.{name}.default" for name in ("_unsafe_view", "native_dropout")
)
# Views of the argument, or new memory.
_VIEWS_AT_TIMES = ("aten.reshape.", "aten.contiguous.", "aten.to.")


def is_random(node: Node) -> bool:
    """Whether the node takes numbers from a generator, so that it runs once, and in its turn."""
    if node.opaque:
        return False
    return node.draws or any(arg.name == "generator" for arg in schema(node).arguments)


def is_pure(node: Node) -> bool:
    """Whether the node only computes results from the memory of its arguments."""
    return bool(
        not node.opaque
        and any(node.outputs)
        and not is_random(node)
        and not node.written()
        and torch.Tag.inplace_view not in tags(node)
    )


def is_view(node: Node) -> bool:
    """Whether the results surely are the memory of an argument."""
    if not is_pure(node):
        return False
    shares = all(result.alias_info is not None for result in schema(node).returns)
    return shares and not node.title.startswith(_VIEWS_AT_TIMES)


def is_removable(node: Node) -> bool:
    """Whether nobody misses the node if neither its results nor what it writes is read."""
    return not node.opaque and not is_random(node) and bool(any(node.outputs) or node.written())


def schema(node: Node) -> torch.FunctionSchema:
    """Return the signature of a node's operator."""
    found: torch.FunctionSchema = node.target._schema  # type: ignore[attr-defined]
    return found


def arguments(node: Node) -> Iterator[tuple[Any, Any]]:
    """Yield what the operator declares of each argument, and what the node gives for it."""
    for place, argument in enumerate(schema(node).arguments):
        given = node.args[place] if place < len(node.args) else None
        yield argument, node.kwargs.get(argument.name, given)


def tags(node: Node) -> Iterable[torch.Tag]:
    """Return what torch declares of a node's operator; nothing of opaque ones."""
    return () if node.opaque else node.target.tags  # type: ignore[attr-defined]


class Effects:
    """The memory of one graph: which values may share it, and which nodes write it.

    Values that may share memory, over any number of steps, form one group. Inputs whose `Meta`
    have different storages are taken to be apart in every call, as they were when traced.
    """

    def __init__(self, graph: Graph) -> None:
        self._parent: dict[Value, Value] = {}
        self._unite_equal((*graph.inputs, *graph.constants))
        for node in graph.nodes:
            self._unite(_shared(node))
        self._writes: dict[Value, list[int]] = {}
        self._restless: set[Value] = set()
        for place, node in enumerate(graph.nodes):
            for group in self.groups(node.written()):
                self._writes.setdefault(group, []).append(place)
            if torch.Tag.inplace_view in tags(node):
                self._restless |= self.groups(node.inputs)
        self._given = self.groups((*graph.inputs, *graph.constants))
        self._returned = self.groups(value for value in graph.outputs if value is not None)

    def memory(self, value: Value) -> Value:
        """Return the group of a value, as the value that stands for it."""
        while (above := self._parent.get(value, value)) is not value:
            self._parent[value] = self._parent.get(above, above)
            value = above
        return value

    def groups(self, values: Iterable[Value]) -> set[Value]:
        """Return the groups of values."""
        return {self.memory(value) for value in values}

    def may_alias(self, first: Value, second: Value) -> bool:
        """Whether a write to one value may be seen in the other."""
        return self.memory(first) is self.memory(second)

    def is_written(self, value: Value, start: int = 0, stop: int | None = None) -> bool:
        """Whether a node from place `start` to before `stop` may write what the value holds."""
        places = self._writes.get(self.memory(value), [])
        at = bisect_left(places, start)
        return at < len(places) and (stop is None or places[at] < stop)

    def is_given(self, value: Value) -> bool:
        """Whether the memory may be an input's or a constant's."""
        return self.memory(value) in self._given

    def is_returned(self, value: Value) -> bool:
        """Whether the memory may be an output's."""
        return self.memory(value) in self._returned

    def is_owned(self, value: Value) -> bool:
        """Whether the memory is made and forgotten within the program."""
        return not self.is_given(value) and not self.is_returned(value)

    def is_restless(self, value: Value) -> bool:
        """Whether a node gives the value another shape or another memory in place."""
        return self.memory(value) in self._restless

    def merge(self, first: Value, second: Value) -> None:
        """Note that two values will share memory from now on."""
        before = (self.memory(first), self.memory(second))
        self._unite(before)
        group = self.memory(first)
        places = {place for one in before for place in self._writes.pop(one, [])}
        if places:
            self._writes[group] = sorted(places)
        for groups in (self._given, self._returned, self._restless):
            if not groups.isdisjoint(before):
                groups.add(group)

    def _unite(self, values: Iterable[Value]) -> None:
        for first, second in pairwise(values):
            self._parent[self.memory(second)] = self.memory(first)

    def _unite_equal(self, values: Iterable[Value]) -> None:
        seen: dict[int, Value] = {}
        for value in values:
            if value.meta is not None and value.meta.storage:
                self._unite((seen.setdefault(value.meta.storage, value), value))


def numbered(graph: Graph) -> Graph:
    """Number the storages anew, so that equal numbers mean shared memory for all values.

    A tracer numbers storages by address, and an address is used again once a tensor is gone. Inputs
    and constants live on: they keep their numbers.
    """
    effects = Effects(graph)
    known = [value.meta.storage for value in (*graph.inputs, *graph.constants) if value.meta]
    first = max(known, default=0) + 1
    numbers: dict[Value, int] = {}
    table: dict[Value, Value] = {}
    for node in graph.nodes:
        for value in node.outputs:
            if value is None or value.meta is None or value in table or effects.is_given(value):
                continue
            number = first + len(numbers)
            number = numbers.setdefault(effects.memory(value), number)
            table[value] = Value(value.name, value.meta._replace(storage=number))
    ends = [None if value is None else table.get(value, value) for value in graph.outputs]
    return graph.with_nodes((substituted(node, table) for node in graph.nodes), ends)


def _shared(node: Node) -> list[Value]:
    """Return arguments and results of a node that may share memory."""
    results = [value for value in node.outputs if value is not None]
    if node.opaque or node.title in _SHARES_UNDECLARED:
        return [*node.inputs, *results]
    if not node.inputs:
        return []
    found: list[Value] = []
    if any(result.alias_info is not None for result in schema(node).returns):
        found = [*_aliased(node), *results]
    # A tensor lives at least as long as the call that it is given to: what has the storage of an
    # argument shares it. Elsewhere an equal number may be memory that was freed and used again.
    storages = {value.meta.storage for value in node.inputs if value.meta is not None} - {0}
    ends = [
        v for v in (*node.inputs, *results) if v.meta is not None and v.meta.storage in storages
    ]
    for result in results:
        if result.meta is not None and result.meta.storage in storages:
            found += [v for v in ends if v.meta and v.meta.storage == result.meta.storage]
            found.append(result)
    return found


def _aliased(node: Node) -> list[Value]:
    """Return the arguments that the operator declares to share with its results."""
    return [
        value
        for argument, given in arguments(node)
        if argument.alias_info is not None
        for value in values_in(given)
    ]
