"""Views and copies that change nothing: what they are made of takes their place."""

from dataclasses import dataclass, field

import torch

from regluon.graph.node import Graph, Node, Value, substituted
from regluon.graph.passes.effects import Effects, is_pure


_aten = torch.ops.aten
# Their result is the first argument, wherever its description (shape, strides, dtype) is the same.
_VIEWS = frozenset(
    (
        _aten.detach.default,
        _aten.alias.default,
        _aten.lift_fresh.default,
        _aten.view.default,
        _aten._unsafe_view.default,
        _aten._reshape_alias.default,
        _aten.reshape.default,
        _aten.expand.default,
        _aten.contiguous.default,
        _aten.squeeze.default,
        _aten.squeeze.dim,
        _aten.squeeze.dims,
        _aten.slice.Tensor,
    )
)
_COPIES = frozenset((_aten._to_copy.default, _aten.clone.default, _aten.lift_fresh_copy.default))
# Twice the same transposition is none.
_INVOLUTIONS = frozenset((_aten.t.default, _aten.transpose.int))


def without_aliases(graph: Graph) -> Graph:
    """Drop nodes whose result is their argument: detach, views of the same shape, needless copies.

    A copy goes only where neither side is written later and no output comes to share memory with an
    input or another output. Outputs stay values of their own, other than the inputs.
    """
    merger = _Merger(graph, Effects(graph))
    nodes: list[Node] = []
    for place, old in enumerate(graph.nodes):
        node = substituted(old, merger.table)
        source = merger.source(node, place)
        if source is None or node.outputs[0] is None:
            merger.note(node)
            nodes.append(node)
        else:
            merger.table[node.outputs[0]] = source
    ends = [None if v is None else merger.table.get(v, v) for v in graph.outputs]
    return graph.with_nodes(nodes, ends)


@dataclass
class _Merger:
    """What is known while the nodes are gone through: what stands for what, and who made it."""

    graph: Graph
    effects: Effects
    table: dict[Value, Value] = field(default_factory=dict)
    transposed: dict[Value, Node] = field(default_factory=dict)
    taken: set[Value] = field(init=False)  # what an output may not become

    def __post_init__(self) -> None:
        outputs = (value for value in self.graph.outputs if value is not None)
        self.taken = {*self.graph.inputs, *self.graph.constants, *outputs}

    def note(self, node: Node) -> None:
        """Remember a node that stays."""
        if node.target in _INVOLUTIONS and node.outputs[0] is not None:
            self.transposed[node.outputs[0]] = node

    def source(self, node: Node, place: int) -> Value | None:
        """Return the value that is the node's result, if there is one that may stand for it."""
        found = self._same(node, place)
        result = node.outputs[0] if node.outputs else None
        if found is None or result is None or self.effects.is_restless(found):
            return None
        if result in self.taken and found in self.taken:
            return None
        if result in self.taken:
            self.taken.add(found)
        return found

    def _same(self, node: Node, place: int) -> Value | None:
        target = node.target
        if target in _INVOLUTIONS:
            first = self.transposed.get(node.args[0])
            return first.inputs[0] if first is not None and _undoes(node, first) else None
        if target not in _VIEWS and target not in _COPIES:
            return None
        source, result = node.inputs[0], node.outputs[0]
        if result is None or not _alike(source, result):
            return None
        if target in _VIEWS or self._copy_is_needless(node, source, result, place):
            return source
        return None

    def _copy_is_needless(self, node: Node, source: Value, result: Value, place: int) -> bool:
        effects = self.effects
        if not is_pure(node) or effects.is_written(source, place) or effects.is_written(result):
            return False
        if effects.is_returned(result) and not effects.is_owned(source):
            return False
        effects.merge(source, result)
        return True


def _alike(first: Value, second: Value) -> bool:
    """Whether two values are described alike, memory aside."""
    one, other = first.meta, second.meta
    return one is not None and other is not None and one[:4] == other[:4]


def _undoes(second: Node, first: Node) -> bool:
    if first.target is not second.target or first.kwargs or second.kwargs:
        return False
    source, result = first.inputs[0], second.outputs[0]
    if result is None or not _alike(source, result):
        return False
    return first.args[1:] in (second.args[1:], second.args[:0:-1])
