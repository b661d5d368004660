"""Mixed precision: the heavy operators of a program in 16 bits; what it takes and returns stays."""

from typing import Any, NamedTuple

import torch

from regluon.graph.node import NOWHERE, Graph, Node, Value, substituted, values_in
from regluon.graph.passes.effects import Effects, is_view, schema


class _Rule(NamedTuple):
    """How an operator runs in 16 bits; None stands for all places.

    It does if its arguments at `decide` have been computed in 16 bits. Those at `cast` are brought
    to them, and its results at `results` come out in them. It does not if an argument at `unless`
    is given, or none of those at `needs`.
    """

    decide: tuple[int, ...] | None = None
    cast: tuple[int, ...] | None = None
    results: tuple[int, ...] | None = None
    unless: tuple[int, ...] = ()
    needs: tuple[int, ...] = ()


_FOLLOWS = _Rule()
_ALWAYS = _Rule(decide=())
_GRADIENT = _Rule((1,), (0, 1))  # to the second argument, which was in the forward pass
# Without any parameter the statistics of a norm would be in 16 bits as well.
_NORM = _Rule((0,), (0,), (0,), needs=(2, 3, 4))

# Those named cudnn and efficient are a GPU's; they have not been run yet.
_RULES = {
    **dict.fromkeys(("mm", "bmm", "addmm", "baddbmm", "mv", "addmv"), _ALWAYS),
    **dict.fromkeys(("convolution", "convolution_backward"), _ALWAYS),
    # The sums of exponentials, argument or result, stay in float32.
    "_scaled_dot_product_flash_attention_for_cpu": _Rule((), None, (0,)),
    "_scaled_dot_product_flash_attention_for_cpu_backward": _Rule((), (0, 1, 2, 3, 4)),
    # A mask would have to be in 16 bits here, which do not hold the least number of float32.
    "_scaled_dot_product_efficient_attention": _Rule((), (0, 1, 2), (0,), unless=(3,)),
    "_scaled_dot_product_efficient_attention_backward": _Rule((), (0, 1, 2, 3, 5), unless=(4,)),
    # So do statistics, and what scales and shifts by them.
    **dict.fromkeys(("native_batch_norm", "cudnn_batch_norm"), _NORM),
    "native_batch_norm_backward": _NORM._replace(decide=(1,), cast=(0, 1)),
    "cudnn_batch_norm_backward": _NORM._replace(cast=(0, 1)),
    **dict.fromkeys(("add", "sub", "rsub", "mul", "neg", "cat", "clone"), _FOLLOWS),
    "_unsafe_view": _FOLLOWS,
    **dict.fromkeys(("constant_pad_nd", "max_pool2d_with_indices", "avg_pool2d"), _FOLLOWS),
    **dict.fromkeys(("relu", "leaky_relu", "hardtanh", "hardsigmoid", "hardswish"), _FOLLOWS),
    **dict.fromkeys(("sigmoid", "tanh", "gelu", "silu"), _FOLLOWS),
    **dict.fromkeys(("max_pool2d_with_indices_backward", "avg_pool2d_backward"), _GRADIENT),
    **dict.fromkeys(("threshold_backward", "leaky_relu_backward", "hardtanh_backward"), _GRADIENT),
    **dict.fromkeys(("hardsigmoid_backward", "hardswish_backward"), _GRADIENT),
    **dict.fromkeys(("sigmoid_backward", "tanh_backward"), _GRADIENT),
    **dict.fromkeys(("gelu_backward", "silu_backward"), _GRADIENT),
}


def in_mixed_precision(graph: Graph, dtype: torch.dtype) -> Graph:
    """Compute products, convolutions and attention of float32 in `dtype`, and what follows them.

    What follows keeps to 16 bits where that loses little more: rectifiers and other activations,
    sums without large numbers, pooling, batch normalization (with its statistics in float32),
    views. Everything else, such as exponentials, means, norms and losses, runs in float32 as it
    did. Inputs and outputs keep their dtypes; an output is in float32 from the last product on, so
    that gradients that are sums are added up in float32. Memory that is written in place stays in
    float32, and nothing is changed of float64 and of what the program itself computes in 16 bits.

    Micikevicius et al., Mixed Precision Training, 2018 (arXiv:1710.03740). `torch.autocast` casts
    by similar lists while Python runs.
    """
    program = _Narrowed(graph, dtype)
    last = _last(graph)
    for node in graph.nodes:
        if node in last or not program.narrow(node):
            program.keep(node)
    for value in graph.outputs:
        if value is not None:
            program.widen(value)
    return graph.with_nodes(program.nodes)


class _Narrowed:
    """The nodes of the new program so far, and the form in 16 bits of values that have one."""

    def __init__(self, graph: Graph, dtype: torch.dtype) -> None:
        self.nodes: list[Node] = []
        self._site = NOWHERE  # of the nodes to come
        self._dtype = dtype
        self._effects = effects = Effects(graph)
        strided = (node for node in graph.nodes if node.title == "aten.as_strided.default")
        self._strided = effects.groups(value for node in strided for value in node.inputs)
        self._forms: dict[Value, Value] = {}
        self._born: set[Value] = set()  # computed in 16 bits
        self._widened: set[Value] = set()  # those of them that are there in float32, too

    def keep(self, node: Node) -> None:
        """Add a node as it was."""
        self._site = node.site
        for value in node.inputs:
            self.widen(value)
        self.nodes.append(node)

    def widen(self, value: Value) -> None:
        """Let a value be there in float32."""
        if value in self._born and value not in self._widened:
            self._widened.add(value)
            self._cast(self._forms[value], value, torch.float32)

    def narrow(self, node: Node) -> bool:
        """Add a node in 16 bits, if it is to run so."""
        rule = _rule(node)
        if rule is None or not _holds(node, self._dtype):
            return False
        deciding = _floats(_chosen(node.args, rule.decide))
        given = {*_floats(_chosen(node.args, rule.cast))}  # masks, which have names, stay
        changed = _floats(_chosen(node.outputs, rule.results))
        if not self._born.issuperset(deciding) or not _all_float32({*given, *changed}):
            return False
        written = {value for value in changed if self._is_bound(value)}
        if not given or not changed or (written and deciding):
            return False
        self._site = node.site
        table = {value: self._form(value) for value in given}
        for value in node.inputs:
            if value not in given:
                self.widen(value)
        table |= {value: self._named(value) for value in changed}
        self.nodes.append(substituted(node, table))
        self._born.update(changed)
        self._forms |= {value: table[value] for value in changed}
        for value in written:  # they are no longer equal then
            self.widen(value)
            self._born.remove(value)
            del self._forms[value]
        return True

    def _form(self, value: Value) -> Value:
        """Return a value in 16 bits."""
        form = self._forms.get(value)
        if form is None:
            form = self._named(value)
            self._cast(value, form, self._dtype)
            if not self._is_bound(value):
                self._forms[value] = form
        return form

    def _named(self, value: Value) -> Value:
        assert value.meta is not None
        meta = value.meta._replace(dtype=self._dtype, storage=0)
        return Value(f"{value.name}_{len(self.nodes)}", meta)

    def _cast(self, source: Value, result: Value, dtype: torch.dtype) -> None:
        cast = torch.ops.aten._to_copy.default
        self.nodes.append(Node(cast, (source,), {"dtype": dtype}, (result,), self._site))

    def _is_bound(self, value: Value) -> bool:
        """Say whether a value stays in its memory: a node writes that, or knows its layout."""
        effects = self._effects
        strided = effects.memory(value) in self._strided
        return strided or effects.is_written(value) or effects.is_restless(value)


def _rule(node: Node) -> _Rule | None:
    """Return the rule of a node's operator."""
    if node.opaque or schema(node).is_mutable or node.title == "aten.view.dtype":
        return None
    if is_view(node):
        return _FOLLOWS
    rule = _RULES.get(node.title.removeprefix("aten.").partition(".")[0])
    if rule is None or any(_chosen(node.args, rule.unless)):
        return None
    return rule if not rule.needs or any(_chosen(node.args, rule.needs)) else None


def _holds(node: Node, dtype: torch.dtype) -> bool:
    """Say whether 16 bits hold the numbers given, such as the value of a padding.

    Of a sum with a large number little else would be left.
    """
    numbers = [arg for arg in (*node.args, *node.kwargs.values()) if type(arg) in (int, float)]
    summed = node.title.startswith(("aten.add.", "aten.sub.", "aten.rsub."))
    if summed and any(
        value.meta and not value.meta.dtype.is_floating_point for value in node.inputs
    ):
        return False
    most = 1.0 if summed else torch.finfo(dtype).max
    return is_view(node) or all(abs(number) <= most for number in numbers)


def _chosen(things: tuple[Any, ...], places: tuple[int, ...] | None) -> list[Any]:
    """Return arguments or results by their places, all of them for None."""
    return [thing for place, thing in enumerate(things) if places is None or place in places]


def _floats(arguments: Any) -> list[Value]:
    """Return the values of floating point in nested arguments."""
    return [v for v in values_in(arguments) if v.meta and v.meta.dtype.is_floating_point]


def _all_float32(values: set[Value]) -> bool:
    """Say whether all of these values are of float32."""
    return all(value.meta.dtype is torch.float32 for value in values if value.meta)


def _last(graph: Graph) -> set[Node]:
    """Return the nodes after the last one that is always in 16 bits, on the way to an output."""
    found: set[Node] = set()
    others: set[Value] = set()  # what other nodes use
    for node in reversed(graph.nodes):
        rule = _rule(node)
        follows = rule is not None and rule.decide != ()
        if follows and others.isdisjoint(filter(None, node.outputs)):
            found.add(node)
        else:
            others.update(node.inputs)
    return found
