"""Dead code: nodes whose results nobody reads, and writes into memory that nobody reads later."""

from regluon.graph.node import Graph, Node
from regluon.graph.passes.effects import Effects, is_removable


def without_dead(graph: Graph) -> Graph:
    """Drop nodes that change neither an output nor an input nor a constant.

    What draws random numbers stays, because the numbers after it would be others; so do opaque
    nodes and checks, which return nothing.
    """
    effects = Effects(graph)
    wanted = {value for value in graph.outputs if value is not None}
    watched = effects.groups((*graph.inputs, *graph.constants, *wanted))
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if (
            not is_removable(node)
            or not wanted.isdisjoint(node.outputs)
            or not watched.isdisjoint(effects.groups(node.written()))
        ):
            kept.append(node)
            wanted.update(node.inputs)
            watched |= effects.groups(node.inputs)
    return graph.with_nodes(reversed(kept))
