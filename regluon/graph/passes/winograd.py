"""Winograd: convolutions by windows of 3 x 3 with 16 products for 4 results instead of 36."""

import math
from dataclasses import replace
from functools import cache
from typing import Any

import torch

from regluon.graph.node import Graph, Node, Value
from regluon.graph.passes.folding import settled
from regluon.graph.passes.fusion import _POINTWISE


_TILES = 32  # of 2 x 2 results, from which on the larger weights are worth reading
_PANEL, _LANES = 64, 16  # what the channels of results and of images are multiples of


def with_tiles(graph: Graph, able: bool | None = None) -> Graph:
    """Replace oneDNN's fused convolutions of 3 x 3 by `regluon::winograd`, for inference.

    It is done for float32 with stride 1 and a border of 1, where there are enough channels and
    pixels, once the operator is built, on processors with AVX-512; `able` says that this is one.
    The weights are brought into their form by nodes that depend on fixed values alone.
    """
    ours = torch.ops.regluon
    if not _POINTWISE or not hasattr(ours, "winograd") or not (_wide() if able is None else able):
        return graph
    fixed = settled(graph)
    sources = {
        node.outputs[0]: node.args[0]
        for node in graph.nodes
        if node.target is torch.ops.mkldnn._reorder_convolution_weight.default
    }
    nodes: list[Node] = []
    for node in graph.nodes:
        parts = _parts(node)
        source = sources.get(parts[1]) if parts is not None else None
        if parts is None or source not in fixed or not _fits(parts[0], source):
            nodes.append(node)
            continue
        image, _, bias, other, relu = parts
        out, size = source.meta.shape[:2]
        shape = (16, out // _PANEL, size, _PANEL)
        strides = tuple(math.prod(shape[place + 1 :]) for place in range(len(shape)))
        formed = Value(
            f"{source.name}_tiles", source.meta._replace(shape=shape, stride=strides, storage=0)
        )
        nodes.append(Node(ours.winograd_weight.default, (source,), {}, (formed,), node.site))
        args = (image, formed, bias, other, relu)
        nodes.append(replace(node, target=ours.winograd.default, args=args))
    return graph.with_nodes(nodes)


@cache
def _wide() -> bool:
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def _parts(node: Node) -> tuple[Any, ...] | None:
    """Return image, packed weight, bias, what is added and whether ReLU follows, if that is all."""
    if node.target not in _POINTWISE:
        return None
    args = list(node.args)
    other = args.pop(1) if node.target is _POINTWISE[1] else None
    image, weight, bias, *window = args[:7]
    if window != [[1, 1], [1, 1], [1, 1], 1]:
        return None
    if other is not None and (args[7:9] != ["add", None] or args[9] not in (None, "relu")):
        return None
    activation = args[7] if other is None else args[9]
    if activation not in ("none", None, "relu"):
        return None
    return image, weight, bias, other, activation == "relu"


def _fits(image: Value, weight: Value) -> bool:
    meta, shape = image.meta, weight.meta and weight.meta.shape
    if meta is None or shape is None or meta.dtype is not torch.float32:
        return False
    tiles = meta.shape[0] * math.prod((size + 1) // 2 for size in meta.shape[2:])
    channels = shape[0] % _PANEL == 0 and shape[1] % _LANES == 0 and shape[1] >= 2 * _LANES
    return shape[2:] == (3, 3) and channels and tiles >= _TILES
