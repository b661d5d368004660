"""Passes: functions from graph to graph, in the orders in which programs are compiled."""

from collections.abc import Callable, Collection

import torch

from regluon.base import MXNetError
from regluon.graph.node import Graph
from regluon.graph.passes.aliases import without_aliases
from regluon.graph.passes.dead import without_dead
from regluon.graph.passes.effects import numbered
from regluon.graph.passes.folding import folded
from regluon.graph.passes.functional import functional
from regluon.graph.passes.fusion import with_convolutions_fused, with_norms_folded
from regluon.graph.passes.layout import channels_last
from regluon.graph.passes.linear import with_linears, with_products
from regluon.graph.passes.memory import in_place
from regluon.graph.passes.precision import in_mixed_precision
from regluon.graph.passes.repeats import without_repeats


_Passes = tuple[tuple[str, Callable[[Graph], Graph]], ...]

_FUNCTIONAL: _Passes = (
    ("numbers", numbered),
    ("dead", without_dead),
    ("aliases", without_aliases),
    ("functional", functional),
)
_CLEANED: _Passes = (
    *_FUNCTIONAL,
    ("common", without_repeats),
    ("folding", folded),
)
# What has these names may change results within rounding; all else keeps every bit.
ROUNDING = frozenset(("norms", "fusion", "layout", "linear"))

INFERENCE: _Passes = (
    *_CLEANED,
    ("norms", with_norms_folded),
    ("fusion", with_convolutions_fused),
    ("layout", channels_last),
    ("linear", with_linears),
    ("dead", without_dead),
    ("memory", in_place),
)
# Not channels-last: the gradients of weights would have to be brought back into their order, which
# costs as much as it gains. Gluon's convolutions ask for the order that suits them themselves.
TRAINING: _Passes = (
    *_CLEANED,
    ("linear", with_products),
    ("dead", without_dead),
    ("memory", in_place),
)


def inference(
    graph: Graph,
    *,
    exact: bool = False,
    without: Collection[str] = (),
    precision: torch.dtype | None = None,
) -> Graph:
    """Return the graph after the passes for programs whose parameters rarely change.

    `exact` leaves out what changes results within rounding, `without` passes by their names; a
    `precision` is what float32 gives way to in heavy operators.
    Nodes for fixed inputs are left in: `hoisted` takes them out.
    """
    return _passed(graph, INFERENCE, exact, without, precision)


def training(
    graph: Graph,
    *,
    exact: bool = False,
    without: Collection[str] = (),
    precision: torch.dtype | None = None,
) -> Graph:
    """Return the graph after the passes for programs whose parameters change with every call.

    The options are those of `inference`.
    """
    return _passed(graph, TRAINING, exact, without, precision)


def _passed(
    graph: Graph,
    passes: _Passes,
    exact: bool,
    without: Collection[str],
    precision: torch.dtype | None,
) -> Graph:
    unknown = set(without) - {name for name, _ in INFERENCE + TRAINING}
    if unknown:
        raise MXNetError(f"there is no pass {sorted(unknown)[0]!r} to leave out")
    left_out = {*without, *(ROUNDING if exact else ())}
    if precision is not None:
        for _, change in _FUNCTIONAL:
            graph = change(graph)
        graph = in_mixed_precision(graph, precision)
    for name, change in passes:
        if name not in left_out:
            graph = change(graph)
    return graph
