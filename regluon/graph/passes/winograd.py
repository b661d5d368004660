"""Winograd: convolutions by windows of 3 x 3 with 16 products for 4 results instead of 36."""

import math
from dataclasses import replace
from functools import cache
from typing import Any

import torch

from regluon.graph.node import Graph, Node, Value
from regluon.graph.passes.folding import settled
from regluon.graph.passes.fusion import POINTWISE
from regluon.graph.passes.layout import ordered_strides


_aten = torch.ops.aten
_TILES = 32  # of 2 x 2 results, from which on the larger weights are worth reading
_MANY_TILES, _FEW_WEIGHTS = 512, 1 << 16  # in training, where weights are brought into form anew
_PANEL, _LANES = 64, 16  # what the channels of results and of images are multiples of


def with_tiles(graph: Graph, able: bool | None = None) -> Graph:
    """Replace oneDNN's fused convolutions of 3 x 3 by `regluon::winograd`, for inference.

    It is done for float32 with stride 1 and a border of 1, where there are enough channels and
    pixels, once the operator is built, on processors with AVX-512; `able` says that this is one.
    The weights are brought into their form by nodes that depend on fixed values alone.
    """
    ours = torch.ops.regluon
    if not POINTWISE or not hasattr(ours, "winograd") or not (_wide() if able is None else able):
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


def with_tiles_trained(graph: Graph, able: bool | None = None) -> Graph:
    """Do the same in training, where the weights change with every call, and with the gradients.

    Only what is channels-last already takes part, and where there are many pixels for each weight.
    """
    packet = getattr(torch.ops.regluon, "winograd_convolution", None)
    if packet is None or not (_wide() if able is None else able):
        return graph
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.target is _aten.convolution.default and _is_trained(node, *node.args[:2]):
            args = (*node.args[:3], False)
            nodes.append(replace(node, target=packet.default, args=args))
        elif (
            node.target is _aten.convolution_backward.default
            and node.args[10][0]
            and _is_trained(node, node.args[0], node.args[2], turned=True)
        ):
            args = (node.args[0], node.args[2], None, True)
            first = node.outputs[:1]
            nodes.append(Node(packet.default, args, {}, first, node.site))
            if any(node.args[10][1:]):
                args = (*node.args[:10], [False, *node.args[10][1:]])
                nodes.append(replace(node, args=args, outputs=(None, *node.outputs[1:])))
        else:
            nodes.append(node)
    return graph.with_nodes(nodes)


def _is_trained(node: Node, image: Value, weight: Value, turned: bool = False) -> bool:
    """Whether a convolution, or the gradient of its image, is made by tiles in training."""
    start = 4 if turned else 3
    window = [list(part) for part in node.args[start : start + 3]]
    if window != [[1, 1]] * 3 or node.args[start + 3] or node.args[start + 5] != 1:
        return False
    for value in (image, node.outputs[0]):
        meta = None if value is None else value.meta
        if meta is None or meta.device.type != "cpu":
            return False
        if meta.stride != ordered_strides(meta.shape, torch.channels_last):
            return False
    few = math.prod(weight.meta.shape[:2]) <= _FEW_WEIGHTS if weight.meta else False
    return few and _fits(image, weight, _MANY_TILES, turned)


@cache
def _wide() -> bool:
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def _parts(node: Node) -> tuple[Any, ...] | None:
    """Return image, packed weight, bias, what is added and whether ReLU follows, if that is all."""
    if node.target not in POINTWISE:
        return None
    args = list(node.args)
    other = args.pop(1) if node.target is POINTWISE[1] else None
    image, weight, bias, *window = args[:7]
    if window != [[1, 1], [1, 1], [1, 1], 1]:
        return None
    if other is not None and (args[7:9] != ["add", None] or args[9] not in (None, "relu")):
        return None
    activation = args[7] if other is None else args[9]
    if activation not in ("none", None, "relu"):
        return None
    return image, weight, bias, other, activation == "relu"


def _fits(image: Value, weight: Value, least: int = _TILES, turned: bool = False) -> bool:
    meta, shape = image.meta, weight.meta and weight.meta.shape
    if meta is None or shape is None or weight.meta is None or shape[2:] != (3, 3):
        return False
    tiles = meta.shape[0] * math.prod((size + 1) // 2 for size in meta.shape[2:])
    out, size = shape[1::-1] if turned else shape[:2]
    channels = out % _PANEL == 0 and size % _LANES == 0 and size >= 2 * _LANES
    alike = meta.dtype is weight.meta.dtype is torch.float32
    return alike and channels and tiles >= least
