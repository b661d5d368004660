"""Element-wise writes in place as new values, where only the written value sees the write."""

from dataclasses import replace
from typing import Any

import torch

from regluon.graph.node import Graph, Node, Value, substituted
from regluon.graph.passes.effects import Effects, is_random, tags


def functional(graph: Graph) -> Graph:
    """Give element-wise operators in place a result of their own: `v = relu_(v)`, `w = relu(v)`.

    Patterns are then found in one form. It is done where no view of the value was made before, and
    the value is neither an input nor a constant. `memory.in_place` does the reverse.
    """
    effects = Effects(graph)
    seen = _Seen(graph, effects)
    table: dict[Value, Value] = {}
    nodes: list[Node] = []
    for old in graph.nodes:
        target = _out_of_place(old)
        if target is None or not seen.alone(old.inputs[0]):
            nodes.append(substituted(old, table))
            seen.add(old)
            continue
        value = old.inputs[0]
        node = substituted(old, table)
        result = Value(f"{value.name}_", value.meta and value.meta._replace(storage=0))
        nodes.append(replace(node, target=target, outputs=(result,)))
        table[value] = result
    ends = [None if value is None else table.get(value, value) for value in graph.outputs]
    return graph.with_nodes(nodes, ends)


class _Seen:
    """How many values of each memory exist, as the nodes are gone through."""

    def __init__(self, graph: Graph, effects: Effects) -> None:
        self._effects = effects
        self._members: dict[Value, set[Value]] = {}

    def add(self, node: Node) -> None:
        """Note the results of a node."""
        for value in node.outputs:
            if value is not None:
                self._members.setdefault(self._effects.memory(value), set()).add(value)

    def alone(self, value: Value) -> bool:
        """Whether the value is the only one so far that holds its memory."""
        effects = self._effects
        members = self._members.get(effects.memory(value))
        return members == {value} and not effects.is_given(value) and not effects.is_restless(value)


def _out_of_place(node: Node) -> Any:
    """Return the operator that does the same into new memory, or None."""
    if torch.Tag.inplace not in tags(node) or torch.Tag.pointwise not in tags(node):
        return None
    if is_random(node) or node.outputs != node.inputs[:1] or not _of_one_dtype(node):
        return None
    name, _, overload = node.title.removeprefix("aten.").partition(".")
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    return getattr(packet, overload, None)


def _of_one_dtype(node: Node) -> bool:
    """Whether the result has the dtype of the value written, without being cast to it."""
    dtypes = {value.meta.dtype if value.meta else None for value in node.inputs}
    dtype = dtypes.pop()
    return not dtypes and dtype is not None and dtype.is_floating_point
