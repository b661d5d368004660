"""Fused convolutions for inference: batch norm in the weights, activation and sum in the call."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from regluon.graph.node import Graph, Meta, Node, Value
from regluon.graph.passes.effects import Effects
from regluon.graph.passes.folding import settled
from regluon.graph.passes.layout import contiguous_strides, is_free, relaid


_aten, _mkldnn = torch.ops.aten, torch.ops.mkldnn
_POINTWISE: tuple[Any, ...] = (
    (_mkldnn._convolution_pointwise.default, _mkldnn._convolution_pointwise.binary)
    if hasattr(_mkldnn, "_convolution_pointwise")
    else ()
)
_NORMS: dict[
    Any, tuple[int | None, int]
] = {  # where they say that they train, or None; and where epsilon stands
    _aten.native_batch_norm.default: (5, 7),
    _aten.cudnn_batch_norm.default: (5, 7),
    _aten.miopen_batch_norm.default: (5, 7),
    _aten._native_batch_norm_legit.default: (5, 7),
    _aten._native_batch_norm_legit_no_training.default: (None, 6),
    _aten._batch_norm_no_update.default: (None, 6),
}


_WHOLE, _HALVES = torch.float32, (torch.float16, torch.bfloat16)


def with_norms_folded(graph: Graph) -> Graph:
    """Fold batch norm in evaluation into the convolution before it.

    `gamma * (conv(x, w, b) - mean) / deviation + beta` is a convolution by the weights
    `w * scale` with `scale = gamma / deviation`, and the bias `(b - mean) * scale + beta`. Both
    depend on fixed values alone, so that `hoisted` computes them once; the vectors in float64. In
    mixed precision the weights are rounded to 16 bits once, after that.
    """
    uses, fixed = _uses(graph), settled(graph)
    makers = {v: node for node in graph.nodes for v in node.outputs if v is not None}
    nodes: list[Node] = []
    folded: set[Node] = set()
    for node in graph.nodes:
        before = makers.get(node.args[0]) if node.target in _NORMS else None
        if before is None or not _foldable(node, before, uses, fixed):
            nodes.append(node)
            continue
        folded.add(before)
        new = _Folding(before, node, _unrounded(before.args[1], makers))
        nodes += [*new.nodes, new.convolution]
    return graph.with_nodes(node for node in nodes if node not in folded)


def _foldable(norm: Node, before: Node, uses: Counter[Value], fixed: frozenset[Value]) -> bool:
    training, _ = _NORMS[norm.target]
    if before.target is not _aten.convolution.default or uses[norm.args[0]] != 1:
        return False
    if (training is not None and norm.args[training]) or None in norm.args[3:5]:
        return False
    if any(value is not None and uses[value] for value in norm.outputs[1:]):
        return False
    transposed, groups = before.args[6], before.args[8]
    values = [value for value in (*before.args[1:3], *norm.args[1:5]) if value is not None]
    return fixed.issuperset(values) and not (transposed and groups != 1)


def _unrounded(weight: Value, makers: dict[Value, Node]) -> Value:
    """Return the weight as it was before it was cast to 16 bits."""
    maker = makers.get(weight)
    if maker is None or maker.target is not _aten._to_copy.default:
        return weight
    source: Value = maker.args[0]
    given, cast = source.meta, weight.meta
    if given is None or cast is None or (given.dtype, given.device) != (_WHOLE, cast.device):
        return weight
    return source if cast.dtype in _HALVES and given.stride == cast.stride else weight


class _Folding:
    """The nodes that make the weight and the bias of one convolution.

    source: its weight, which has more digits where mixed precision rounds it for the convolution.
    """

    def __init__(self, convolution: Node, norm: Node, source: Value) -> None:
        weight, bias = convolution.args[1:3]
        gamma, beta, mean, variance = norm.args[1:5]
        epsilon = norm.args[_NORMS[norm.target][1]]
        self.nodes: list[Node] = []
        self._site = norm.site
        self._name = weight.name
        meta: Meta = weight.meta
        channels = mean.meta.shape
        self._vector = Meta(channels, torch.float64, (1,), meta.device)
        wide = torch.float32 if meta.dtype.itemsize < 4 else meta.dtype

        scale = self._wide(variance)
        scale = self._call(_aten.rsqrt.default, self._call(_aten.add.Tensor, scale, epsilon))
        if gamma is not None:
            scale = self._call(_aten.mul.Tensor, scale, self._wide(gamma))
        shift = self._wide(mean)
        if bias is None:
            shift = self._call(_aten.neg.default, shift)
        else:
            shift = self._call(_aten.sub.Tensor, self._wide(bias), shift)
        shift = self._call(_aten.mul.Tensor, shift, scale)
        if beta is not None:
            shift = self._call(_aten.add.Tensor, shift, self._wide(beta))

        shape = [1] * len(meta.shape)
        shape[1 if convolution.args[6] else 0] = channels[0]
        spread = self._vector._replace(shape=tuple(shape), stride=contiguous_strides(shape))
        scale = self._cast(scale, wide, self._vector)
        scale = self._call(_aten.view.default, scale, shape, meta=spread._replace(dtype=wide))
        product = self._cast(source, wide, meta)
        product = self._call(_aten.mul.Tensor, product, scale, meta=meta._replace(dtype=wide))
        weight = self._cast(product, meta.dtype, meta)
        bias = self._cast(shift, meta.dtype, self._vector)
        args = (convolution.args[0], weight, bias, *convolution.args[3:])
        self.convolution = replace(convolution, args=args, outputs=norm.outputs[:1], site=norm.site)

    def _wide(self, value: Value) -> Value:
        return self._cast(value, torch.float64, self._vector)

    def _cast(self, value: Value, dtype: torch.dtype, meta: Meta) -> Value:
        if value.meta is not None and value.meta.dtype is dtype:
            return value
        result = meta._replace(dtype=dtype)
        return self._call(_aten._to_copy.default, value, meta=result, dtype=dtype)

    def _call(self, target: Any, *args: Any, meta: Meta | None = None, **kwargs: Any) -> Value:
        # A view is known as one by its operator; all else here is memory of its own.
        meta = (meta or self._vector)._replace(storage=0)
        value = Value(f"{self._name}_{len(self.nodes)}", meta)
        self.nodes.append(Node(target, args, kwargs, (value,), self._site))
        return value


# Activations that oneDNN applies to the results of a convolution: its name, and the numbers it
# needs of the arguments, with their defaults.
_ACTIVATIONS: dict[Any, tuple[str, tuple[float, ...]]] = {
    _aten.relu.default: ("relu", ()),
    _aten.sigmoid.default: ("sigmoid", ()),
    _aten.tanh.default: ("tanh", ()),
    _aten.silu.default: ("swish", ()),
    _aten.hardswish.default: ("hardswish", ()),
    _aten.leaky_relu.default: ("leaky_relu", (0.01,)),
    _aten.hardtanh.default: ("hardtanh", (-1.0, 1.0)),
    _aten.clamp.default: ("hardtanh", ()),
}


def with_convolutions_fused(graph: Graph) -> Graph:
    """Use oneDNN's convolutions on the CPU, with packed weights, activations and sums in the call.

    The weights are packed by nodes that depend on fixed values alone. Results come channels-last;
    where that matters, they are brought back into the order they had.
    """
    if not _POINTWISE:
        return graph
    packed = _packed(graph)
    if packed is graph:
        return graph
    fused = joined(joined(packed, _with_sum), _with_activation)
    changed = [v for node in fused.nodes if node.target in _POINTWISE for v in node.outputs if v]
    return relaid(fused, lambda node: False, changed)


def _packed(graph: Graph) -> Graph:
    """Replace convolutions by oneDNN's, whose weights are packed beforehand."""
    fixed, free = settled(graph), is_free(graph)
    nodes: list[Node] = []
    for node in graph.nodes:
        if not _is_taken(node, fixed, free):
            nodes.append(node)
            continue
        image, weight, bias, stride, padding, dilation, _, _, groups = node.args
        window = (list(padding), list(stride), list(dilation), groups)
        packed = Value(f"{weight.name}_packed", weight.meta._replace(storage=0))
        size = list(image.meta.shape)
        reorder = _mkldnn._reorder_convolution_weight.default
        nodes.append(Node(reorder, (weight, *window, size), {}, (packed,), node.site))
        args: tuple[Any, ...] = (image, packed, bias, *window, "none", [], "")
        nodes.append(replace(node, target=_mkldnn._convolution_pointwise.default, args=args))
    return graph.with_nodes(nodes) if len(nodes) > len(graph.nodes) else graph


def _is_taken(node: Node, fixed: frozenset[Value], free: Callable[[Value], bool]) -> bool:
    """Whether oneDNN takes the convolution, and its result may be channels-last."""
    if node.target is not _aten.convolution.default or node.args[6]:
        return False
    image, weight, bias = node.args[:3]
    metas = [value.meta for value in (image, weight, bias) if value is not None]
    result = node.outputs[0]
    if None in metas or result is None or len(image.meta.shape) not in (4, 5):
        return False
    dtype = image.meta.dtype
    known = dtype is torch.float32 or (
        dtype is torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    alike = all(meta.dtype is dtype and meta.device.type == "cpu" for meta in metas)
    return known and alike and 0 not in image.meta.shape and weight in fixed and free(result)


def joined(
    graph: Graph, join: Callable[[Node, dict[Value, Node]], tuple[Node, Node] | None]
) -> Graph:
    """Let `join` make one node of two: of one, and of an only argument's maker before it.

    The new node stands where the second stood, so nothing between may write what the first reads.
    """
    uses, effects, free = _uses(graph), Effects(graph), is_free(graph)
    makers: dict[Value, Node] = {}
    places: dict[Node, int] = {}
    nodes: list[Node] = []
    gone: set[Node] = set()
    for place, node in enumerate(graph.nodes):
        once = {v: makers[v] for v in node.inputs if v in makers and uses[v] == 1}
        found = join(node, once)
        if found is not None:
            before, both = found
            still = not any(effects.is_written(v, places[before], place) for v in before.inputs)
            if still and all(free(value) for value in node.outputs if value is not None):
                gone.add(before)
                node = both
        places[node] = place
        makers.update((value, node) for value in node.outputs if value is not None)
        nodes.append(node)
    return graph.with_nodes(node for node in nodes if node not in gone)


def _with_sum(node: Node, makers: dict[Value, Node]) -> tuple[Node, Node] | None:
    """Join a sum to the convolution that is one of its terms; the later one, if both are."""
    if node.target is not _aten.add.Tensor or node.kwargs or len(node.inputs) != 2:
        return None
    for value, other in (node.inputs[::-1], node.inputs):
        before = makers.get(value)
        if before is None or before.target is not _POINTWISE[0] or before.args[7] != "none":
            continue
        if value.meta is None or other.meta is None or value.meta[:2] != other.meta[:2]:
            continue
        image, *rest = before.args[:7]
        args = (image, other, *rest, "add", None, None, [], "")
        return before, replace(node, target=_POINTWISE[1], args=args)
    return None


def _with_activation(node: Node, makers: dict[Value, Node]) -> tuple[Node, Node] | None:
    """Join an activation to the convolution whose result it takes; after a sum, ReLU only."""
    if node.target not in _ACTIVATIONS or not makers or node.kwargs:
        return None
    name, defaults = _ACTIVATIONS[node.target]
    numbers = [*node.args[1:], *defaults[len(node.args) - 1 :]]
    (before,) = makers.values()
    if name == "hardtanh" and (len(numbers) != 2 or None in numbers):
        return None
    if before.target is _POINTWISE[0] and before.args[7] == "none":
        args = (*before.args[:7], name, [float(number) for number in numbers], "")
    elif before.target is _POINTWISE[1] and before.args[10] is None and name == "relu":
        args = (*before.args[:10], name, [], "")
    else:
        return None
    return before, replace(node, target=before.target, args=args)


def _uses(graph: Graph) -> Counter[Value]:
    """Count for every value the places where it is used, outputs included."""
    uses = Counter(value for node in graph.nodes for value in node.inputs)
    uses.update(value for value in graph.outputs if value is not None)
    return uses
