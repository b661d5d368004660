"""Inductor: a graph handed to torch's compiler, which takes seconds to minutes, on request."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from regluon.base import MXNetError
from regluon.graph.node import Graph, Value, mapped


def inductor(graph: Graph) -> Callable[..., tuple[Any, ...]]:
    """Return the graph as torch's compiler makes it; programs that draw or check values cannot be.

    It needs a C++ compiler, or Triton on a GPU. The result takes one tensor for every input.
    """
    for node in graph.nodes:
        if node.opaque or node.draws:
            raise MXNetError(
                f"backend='inductor' cannot compile {node.title} ({node.site.line}); leave it out"
            )
    module = as_fx(graph)
    compiled: Callable[..., tuple[Any, ...]] = torch.compile(module, backend="inductor")

    def run(*tensors: Any) -> tuple[Any, ...]:
        with torch.no_grad():
            return compiled(*tensors)

    return run


def as_fx(graph: Graph) -> fx.GraphModule:
    """Return the graph as a module of `torch.fx`."""
    drawn = fx.Graph()
    root = torch.nn.Module()
    table: dict[Value, Any] = {}
    for place, value in enumerate(graph.inputs):
        table[value] = drawn.placeholder(f"input{place}")
    for place, (value, tensor) in enumerate(graph.constants.items()):
        root.register_buffer(f"constant{place}", tensor)
        table[value] = drawn.get_attr(f"constant{place}")
    for node in graph.nodes:
        args, kwargs = mapped((tuple(node.args), node.kwargs), table.__getitem__)
        made = drawn.call_function(node.target, args, kwargs)
        single = len(node.outputs) == 1 and len(node.target._schema.returns) == 1  # type: ignore[attr-defined]
        for place, output in enumerate(node.outputs):
            if output is not None and output not in node.inputs:
                table[output] = made if single else drawn.call_function(_item, (made, place))
    drawn.output(tuple(None if value is None else table[value] for value in graph.outputs))
    return fx.GraphModule(root, drawn)


def _item(results: Any, place: int) -> Any:
    return results[place]
