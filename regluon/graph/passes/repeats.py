"""Common subexpressions: what is computed twice from the same values is computed once."""

from collections.abc import Hashable
from typing import Any

from regluon.graph.node import Graph, Node, Value, substituted
from regluon.graph.passes.effects import Effects, is_pure, is_view


def without_repeats(graph: Graph) -> Graph:
    """Use the results of the first of equal nodes for the later ones.

    Equal nodes have the same operator and arguments, and nothing between them writes what they
    read. New memory that the program writes or returns twice stays apart.
    """
    effects = Effects(graph)
    table: dict[Value, Value] = {}
    first: dict[Hashable, tuple[int, Node]] = {}
    nodes: list[Node] = []
    for place, old in enumerate(graph.nodes):
        node = substituted(old, table)
        if not is_pure(node):
            nodes.append(node)
            continue
        key = (node.target, _key(node.args), _key(node.kwargs))
        start, before = first.get(key, (place, node))
        changed = not is_view(node) and any(
            effects.is_written(value, start, place) for value in node.inputs
        )
        if before is not node and not changed and _agree(before, node, start, effects, graph):
            for ours, theirs in zip(before.outputs, node.outputs, strict=True):
                if ours is not None and theirs is not None:
                    table[theirs] = ours
                    effects.merge(ours, theirs)
        else:
            first[key] = (place, node)
            nodes.append(node)
    ends = [None if value is None else table.get(value, value) for value in graph.outputs]
    return graph.with_nodes(nodes, ends)


def _agree(before: Node, node: Node, start: int, effects: Effects, graph: Graph) -> bool:
    """Whether the results of `before`, at place `start`, may be used for those of `node`."""
    for ours, theirs in zip(before.outputs, node.outputs, strict=True):
        if theirs is None:
            continue
        if ours is None or theirs in graph.outputs or effects.is_restless(ours):
            return False
        if is_view(node):
            continue
        if effects.is_written(ours, start) or effects.is_written(theirs):
            return False
        if effects.is_returned(ours) and effects.is_returned(theirs):
            return False
    return True


def _key(arg: Any) -> Hashable:
    """Return what two equal arguments have in common: 1, 1.0 and True are not equal, nan is."""
    if isinstance(arg, Value):
        return arg
    if isinstance(arg, (list, tuple)):
        return tuple(_key(item) for item in arg)
    if isinstance(arg, dict):
        return tuple((name, _key(item)) for name, item in sorted(arg.items()))
    return type(arg), repr(arg)
