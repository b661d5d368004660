"""Channels-last: images and features with their channels side by side, as oneDNN likes them."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch

from regluon.graph.node import Graph, Meta, Node, Value, substituted
from regluon.graph.passes.effects import Effects, is_pure


_aten = torch.ops.aten
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
# Operators for which the order of elements in memory is a matter of speed only, and whose results
# have the order of their arguments.
_FOLLOWING = frozenset(
    f"aten.{name}"
    for names in (
        "relu relu_ sigmoid sigmoid_ tanh tanh_ silu silu_ gelu elu hardtanh hardtanh_ hardswish",
        "hardswish_ hardsigmoid leaky_relu leaky_relu_ clamp clamp_ exp log sqrt rsqrt neg abs",
        "add add_ sub sub_ mul mul_ div div_ maximum minimum where gt lt ge le eq ne",
        "threshold_backward sigmoid_backward tanh_backward silu_backward gelu_backward",
        "hardtanh_backward hardswish_backward leaky_relu_backward elu_backward",
        "convolution convolution_backward native_batch_norm native_batch_norm_backward",
        "max_pool2d_with_indices max_pool2d_with_indices_backward avg_pool2d avg_pool2d_backward",
        "_adaptive_avg_pool2d _adaptive_avg_pool2d_backward mean sum cat constant_pad_nd",
    )
    for name in names.split()
) | {"mkldnn._convolution_pointwise", "mkldnn._convolution_pointwise_"}


_COPIES = (_aten._to_copy.default, _aten.clone.default)


def channels_last(graph: Graph) -> Graph:
    """Bring the inputs of convolutions on the CPU into channels-last order, and keep it from there.

    The first convolution's input is converted; what follows keeps the order by itself. Results are
    equal up to rounding, and outputs of the program are laid out as before.
    """
    return relaid(graph, _converted)


def _converted(node: Node) -> bool:
    """Whether a convolution is faster in channels-last order than as it was traced."""
    if node.target is not _aten.convolution.default or not all(v.meta for v in node.inputs[:2]):
        return False
    image, weight = (value.meta for value in node.inputs[:2])
    if image is None or weight is None or len(image.shape) not in _FORMATS:
        return False
    plain = image.stride == contiguous_strides(image.shape)
    known = image.dtype in (torch.float32, torch.bfloat16)
    return plain and known and image.device.type == "cpu" and weight.stride[-1] == 1


def relaid(graph: Graph, converted: Callable[[Node], bool], changed: Iterable[Value] = ()) -> Graph:
    """Convert the first argument of some nodes, and keep the program right where order matters.

    `changed` are results that are laid out otherwise than when they were traced, by a pass that ran
    before. Nodes that depend on the order of elements, such as views, are given the order they had.
    """
    walk = _Walk(graph, set(changed))
    for place, node in enumerate(graph.nodes):
        walk.visit(place, node, converted(node))
    walk.finish()
    table = {value: Value(value.name, _laid(value.meta)) for value in walk.laid()}
    nodes = [substituted(node, table) for node in walk.nodes]
    return graph.with_nodes(nodes, [None if v is None else table.get(v, v) for v in walk.outputs])


class _Walk:
    """The state of `relaid`: nodes so far, values in another order, and copies in the old one."""

    def __init__(self, graph: Graph, changed: set[Value]) -> None:
        self._graph = graph
        self._effects = Effects(graph)
        self._changed = changed
        self._moved: set[Value] = set()
        self._copies: dict[tuple[Value, torch.memory_format], tuple[Value, int]] = {}
        self._sensitive = _first_sensitive(graph, self._effects)
        self._last_write: dict[Value, int] = {}
        for place, node in enumerate(graph.nodes):
            for group in self._effects.groups(node.written()):
                self._last_write[group] = place
        self.nodes: list[Node] = []
        self.outputs: list[Value | None] = list(graph.outputs)

    def visit(self, place: int, node: Node, converted: bool) -> None:
        """Add one node, after what it needs."""
        free = is_following(node) and all(self._is_free(v) for v in node.outputs if v is not None)
        if converted and free and node.inputs[0] not in self._moved:
            source = node.inputs[0]
            form = _FORMATS[len(source.meta.shape)] if source.meta else torch.channels_last
            copy = self._in_order(source, form, place)
            node = replace(node, args=(copy, *node.args[1:]))
            self._moved.add(copy)
        before = self._moved.intersection(node.inputs)
        if not free and before:
            node = substituted(node, {v: self._in_order(v, self._order(v), place) for v in before})
        elif before:
            self._moved.update(v for v in node.outputs if v is not None and _has_order(v))
        self._moved.update(v for v in node.outputs if v in self._changed)
        self.nodes.append(node)

    def finish(self) -> None:
        """Give the outputs the order that they had."""
        end = len(self._graph.nodes)
        for place, value in enumerate(self.outputs):
            if value in self._moved and value is not None:
                self.outputs[place] = self._in_order(value, self._order(value), end)

    def laid(self) -> list[Value]:
        """Return the values of the graph that are in another order than before."""
        return [value for value in self._moved if _has_order(value)]

    def _in_order(self, value: Value, form: torch.memory_format, place: int) -> Value:
        copy, made = self._copies.get((value, form), (None, 0))
        if copy is None or self._effects.is_written(value, made, place):
            copy = Value(f"{value.name}_laid", _ordered(value.meta, form))
            node = Node(_aten.contiguous.default, (value,), {"memory_format": form}, (copy,))
            self.nodes.append(node)
            self._copies[value, form] = (copy, place)
        return copy

    def _order(self, value: Value) -> torch.memory_format:
        meta = value.meta
        assert meta is not None
        plain = meta.stride == contiguous_strides(meta.shape)
        return torch.contiguous_format if plain else _FORMATS[len(meta.shape)]

    def _is_free(self, value: Value) -> bool:
        """Whether the value may be laid out otherwise: it is written by nothing that could tell."""
        group = self._effects.memory(value)
        if self._effects.is_given(value):
            return False
        return self._last_write.get(group, -1) <= self._sensitive.get(group, len(self._graph.nodes))


def is_following(node: Node) -> bool:
    """Whether the order of elements in memory does not change what the node computes."""
    if node.target in _COPIES:
        return node.kwargs.get("memory_format") in (None, torch.preserve_format)
    return node.title.rpartition(".")[0] in _FOLLOWING


def is_free(graph: Graph) -> Callable[[Value], bool]:
    """Return whether a value of the graph may be laid out otherwise."""
    return _Walk(graph, set())._is_free


def _first_sensitive(graph: Graph, effects: Effects) -> dict[Value, int]:
    """Return for every memory the first place where a node reads it that depends on the order.

    If it is written there or later, then a copy in the old order would not be what it was.
    """
    found: dict[Value, int] = {}
    for place, node in enumerate(graph.nodes):
        if not is_following(node):
            writes = not is_pure(node)
            for group in effects.groups(node.inputs):
                found.setdefault(group, place - writes)
    return found


def _has_order(value: Value) -> bool:
    return value.meta is not None and len(value.meta.shape) in _FORMATS


def contiguous_strides(shape: Iterable[int]) -> tuple[int, ...]:
    """Return the strides of a tensor whose elements lie in the order of their indices."""
    strides: list[int] = []
    step = 1
    for size in reversed(tuple(shape)):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def _ordered(meta: Meta | None, form: torch.memory_format) -> Meta | None:
    """Return the description of a copy in another order."""
    if meta is None:
        return None
    return meta._replace(stride=ordered_strides(meta.shape, form), storage=0)


def _laid(meta: Meta | None) -> Meta | None:
    return meta and meta._replace(stride=ordered_strides(meta.shape, _FORMATS[len(meta.shape)]))


def ordered_strides(shape: tuple[int, ...], form: torch.memory_format) -> tuple[int, ...]:
    """Return the strides of a tensor of a shape in one of torch's memory formats."""
    if form is torch.contiguous_format:
        return contiguous_strides(shape)
    inner = contiguous_strides((shape[0], *shape[2:], shape[1]))
    return (inner[0], inner[-1], *inner[1:-1])
