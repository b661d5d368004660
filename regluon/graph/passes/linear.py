"""Products with weights in float32 on the CPU, by the kernel that is the fastest for their size."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from time import perf_counter
from typing import Any

import torch

from regluon.graph.node import Graph, Node, Value
from regluon.graph.passes.folding import settled
from regluon.graph.passes.fusion import joined
from regluon.graph.passes.layout import contiguous_strides


_aten = torch.ops.aten
_PRODUCTS = (_aten.addmm.default, _aten.mm.default)
_FEW = 3  # rows up to which the processor waits for the weights, and a plain loop is the fastest
_LARGE = 1 << 16  # multiplications from which oneDNN's greater overhead does not count


def with_linears(graph: Graph, onednn: bool | None = None) -> Graph:
    """Replace products with weights, and ReLU after them, for inference.

    Few rows go to `regluon::linear_row` where that is built, large products to oneDNN where it is
    the faster library on this machine, with weights packed beforehand. `onednn` says that it is.
    """
    return _replaced(graph, settled(graph), onednn)


def with_products(graph: Graph, onednn: bool | None = None) -> Graph:
    """Replace large products by oneDNN's, with plain operands, where it is the faster library."""
    return _replaced(graph, frozenset(), onednn)


def _replaced(graph: Graph, fixed: frozenset[Value], onednn: bool | None) -> Graph:
    turned = {
        node.outputs[0]: node.inputs[0] for node in graph.nodes if node.target is _aten.t.default
    }
    nodes: list[Node] = []
    for node in graph.nodes:
        sizes = _sizes(node)
        if sizes is None:
            nodes.append(node)
        elif sizes[0] <= _FEW and node.args[-1] in fixed and _linear_row() is not None:
            nodes += _by_row(node, turned.get(node.args[-1]))
        elif sizes[0] > _FEW and math.prod(sizes) >= _LARGE and _is_chosen(onednn):
            nodes += _by_onednn(node, turned.get(node.args[-1]), sizes[0], fixed)
        else:
            nodes.append(node)
    if len(nodes) == len(graph.nodes) and all(map(_same, nodes, graph.nodes)):
        return graph
    return joined(graph.with_nodes(nodes), _with_relu)


def _same(first: Node, second: Node) -> bool:
    return first is second


def _is_chosen(onednn: bool | None) -> bool:
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return prefers_onednn() if onednn is None else onednn


def _sizes(node: Node) -> tuple[int, int, int] | None:
    """Return rows, terms and columns of a product in float32 on the CPU, or None."""
    if node.target not in _PRODUCTS or node.kwargs:
        return None
    metas = [value.meta for value in node.inputs]
    if any(m is None or m.dtype is not torch.float32 or m.device.type != "cpu" for m in metas):
        return None
    first, second = node.args[-2].meta.shape, node.args[-1].meta.shape
    if node.target is _aten.addmm.default and node.args[0].meta.shape != second[1:]:
        return None
    return first[0], first[1], second[1]


def _by_row(node: Node, weight: Value | None) -> list[Node]:
    """Return the calls for few rows: the weight, if it has to be turned, and the product."""
    bias, x, matrix = (None, *node.args)[-3:]
    nodes: list[Node] = []
    if weight is None or weight.meta is None or not _is_plain(weight):
        weight = _turned(matrix, nodes, node)
        laid = Value(f"{weight.name}_laid", weight.meta and weight.meta._replace(storage=0))
        form = {"memory_format": torch.contiguous_format}
        nodes.append(Node(_aten.clone.default, (weight,), form, (laid,), node.site))
        weight = laid
    nodes.append(replace(node, target=_linear_row(), args=(x, weight, bias, False)))
    return nodes


def _by_onednn(node: Node, weight: Value | None, rows: int, fixed: frozenset[Value]) -> list[Node]:
    """Return the calls of oneDNN: the weight turned and packed, if it can be, and the product."""
    bias, x, matrix = (None, *node.args)[-3:]
    nodes: list[Node] = []
    if weight is None:
        weight = _turned(matrix, nodes, node)
    if matrix in fixed:
        meta = weight.meta and weight.meta._replace(storage=0)
        packed = Value(f"{weight.name}_packed", meta)
        reorder = torch.ops.mkldnn._reorder_linear_weight.default
        nodes.append(Node(reorder, (weight, rows), {}, (packed,), node.site))
        weight = packed
    args: tuple[Any, ...] = (x, weight, bias, "none", [], "")
    nodes.append(replace(node, target=torch.ops.mkldnn._linear_pointwise.default, args=args))
    return nodes


def _turned(matrix: Value, nodes: list[Node], node: Node) -> Value:
    meta = matrix.meta
    assert meta is not None
    view = meta._replace(shape=meta.shape[::-1], stride=meta.stride[::-1])
    turned = Value(f"{matrix.name}_turned", view)
    nodes.append(Node(_aten.t.default, (matrix,), {}, (turned,), node.site))
    return turned


def _is_plain(value: Value) -> bool:
    return value.meta is not None and value.meta.stride == contiguous_strides(value.meta.shape)


def _with_relu(node: Node, makers: dict[Value, Node]) -> tuple[Node, Node] | None:
    """Join ReLU to the product that it follows."""
    if node.target is not _aten.relu.default or not makers:
        return None
    (before,) = makers.values()
    if before.target is torch.ops.mkldnn._linear_pointwise.default and before.args[3] == "none":
        args: tuple[Any, ...] = (*before.args[:3], "relu", [], "")
    elif before.target is _linear_row() and before.args[3] is False:
        args = (*before.args[:3], True)
    else:
        return None
    return before, replace(node, target=before.target, args=args)


def _linear_row() -> Any:
    """Return the operator for few rows, or None as long as it is not built."""
    packet = getattr(torch.ops.regluon, "linear_row", None)
    return None if packet is None else packet.default


_ROUNDS = 7
_ADVANTAGE = 1.3  # by which oneDNN must be faster to be used: it is called with more overhead


@cache
def prefers_onednn() -> bool:
    """Whether oneDNN multiplies matrices faster than torch's default library does here.

    That is so by a factor of 2 on AMD's processors, where the default is MKL, and not on Intel's.
    It is measured once in a process, within some milliseconds.
    """
    x, weight, bias = torch.ones(64, 512), torch.ones(512, 512), torch.ones(512)
    with torch.no_grad():
        default = partial(torch.addmm, bias, x, weight.t())
        operator = torch.ops.mkldnn._linear_pointwise
        other = partial(operator, x, weight, bias, "none", [], "")
        times = [(_seconds(default), _seconds(other)) for _ in range(_ROUNDS)]
    return min(a for a, _ in times) > _ADVANTAGE * min(b for _, b in times)


def _seconds(call: Callable[[], Any]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start
