"""Constant folding, and the part of a program that depends on nothing but fixed inputs."""

from dataclasses import replace

import torch

from regluon.graph.node import Graph, Node, Value, mapped
from regluon.graph.passes.effects import Effects, is_pure


_LARGEST = 1 << 22  # elements: what is larger costs more memory than it saves time


def folded(graph: Graph) -> Graph:
    """Compute once, now, what depends on constants alone, and make it constants.

    Results that the program writes or returns are made anew by every call and stay nodes.
    """
    effects = Effects(graph)
    constants = dict(graph.constants)
    nodes: list[Node] = []
    for node in graph.nodes:
        if not _is_constant(node, constants, effects):
            nodes.append(node)
            continue
        args, kwargs = mapped((node.args, node.kwargs), constants.__getitem__)
        with torch.no_grad():
            result = node.target(*args, **kwargs)
        results = result if isinstance(result, (list, tuple)) else (result,)
        for value, tensor in zip(node.outputs, results, strict=True):
            if value is not None:
                constants[value] = tensor
    return replace(graph, constants=constants).with_nodes(nodes)


def _is_constant(node: Node, constants: dict[Value, torch.Tensor], effects: Effects) -> bool:
    if not all(value in constants for value in node.inputs) or not _is_lasting(node, effects):
        return False
    return not any(
        value is not None and effects.is_owned(value) and _is_large(value) for value in node.outputs
    )


def _is_lasting(node: Node, effects: Effects) -> bool:
    """Whether the results, if nothing but the arguments changes them, serve more than one call."""
    values = [*node.inputs, *(value for value in node.outputs if value is not None)]
    return (
        is_pure(node)
        and not any(effects.is_written(value) for value in values)
        and not any(effects.is_returned(value) for value in node.outputs if value is not None)
    )


def _is_large(value: Value) -> bool:
    return value.meta is None or torch.Size(value.meta.shape).numel() > _LARGEST


def settled(graph: Graph) -> frozenset[Value]:
    """Return the values that stay the same from call to call until a fixed input changes.

    They are the fixed inputs and constants that the program does not write, and what pure nodes
    make of them, so long as it is neither written nor returned.
    """
    effects = Effects(graph)
    found = {value for value in graph.fixed if not effects.is_written(value)}
    found |= {value for value in graph.constants if not effects.is_written(value)}
    for node in graph.nodes:
        if found.issuperset(node.inputs) and _is_lasting(node, effects):
            found.update(value for value in node.outputs if value is not None)
    return frozenset(found)


def hoisted(graph: Graph) -> tuple[Graph, Graph]:
    """Split a program into `prepare`, of fixed inputs only, and `main`, which runs in every call.

    `prepare` takes the fixed inputs in their order. What it returns are further inputs of `main`,
    after its own, and fixed as well.
    """
    stays = settled(graph)
    early: list[Node] = []
    late: list[Node] = []
    for node in graph.nodes:
        moves = any(value in stays for value in node.outputs)
        (early if moves else late).append(node)
    made = {value for node in early for value in node.outputs if value is not None}
    wanted = {value: None for node in late for value in node.inputs if value in made}
    passed = tuple(wanted)
    prepare = Graph(
        tuple(value for value in graph.inputs if value in graph.fixed),
        (),
        (),
        graph.fixed,
        graph.constants,
    ).with_nodes(early, passed)
    main = replace(graph, inputs=graph.inputs + passed, fixed=graph.fixed | set(passed))
    return prepare, main.with_nodes(late)
