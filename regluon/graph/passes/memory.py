"""Memory: results in the place of arguments that die, and buffers planned for all calls."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import torch

from regluon.graph.node import Graph, Meta, Node, Value, substituted
from regluon.graph.passes.effects import Effects, is_pure, is_view
from regluon.graph.passes.folding import settled


_aten, _mkldnn = torch.ops.aten, torch.ops.mkldnn


def in_place(graph: Graph) -> Graph:
    """Let element-wise operators write into an argument that nobody reads afterwards.

    The argument must be memory that the program made itself, whole, of the result's shape, strides
    and dtype; no view of it may be read later, and no other argument may be a view of it. What
    depends on fixed inputs alone stays as it is, to be computed once.
    """
    effects, fixed = Effects(graph), settled(graph)
    last = _last_readings(graph, effects)
    table: dict[Value, Value] = {}
    nodes: list[Node] = []
    for place, old in enumerate(graph.nodes):
        found = None
        for target, args, kwargs, written in _candidates(old):
            dying = last[effects.memory(written)] <= place and effects.is_owned(written)
            if dying and written not in fixed and _fits(written, old, effects):
                found = replace(old, target=target, args=args, kwargs=kwargs, outputs=(written,))
                break
        nodes.append(substituted(found or old, table))
        result = old.outputs[0] if old.outputs else None
        if found is not None and result is not None:
            table[result] = nodes[-1].outputs[0] or result
            until = last[effects.memory(result)]
            effects.merge(written, result)
            last[effects.memory(written)] = until
    ends = [None if value is None else table.get(value, value) for value in graph.outputs]
    return graph.with_nodes(nodes, ends)


def _candidates(node: Node) -> Iterator[tuple[Any, tuple[Any, ...], dict[str, Any], Value]]:
    """Yield calls that do the same in place: operator, arguments, and the argument written."""
    if len(node.outputs) != 1 or not is_pure(node):
        return
    if node.target in _JOINED:
        image, other, *rest = node.args
        if image is not other:  # the image is read as long as the sum is written
            yield _mkldnn._convolution_pointwise_.binary, (other, image, *rest), {}, other
        return
    first = node.args[0] if node.args else None
    if node.target in _GRADIENTS and isinstance(first, Value):
        yield _GRADIENTS[node.target], node.args, {"grad_input": first}, first
        return
    target = _inplace_overload(node.target)
    if target is None or not isinstance(first, Value):
        return
    yield target, node.args, node.kwargs, first
    if node.target in _COMMUTATIVE and not node.kwargs and isinstance(node.args[1], Value):
        yield target, node.args[::-1], {}, node.args[1]


_JOINED = [getattr(getattr(_mkldnn, "_convolution_pointwise", None), "binary", None)]
_COMMUTATIVE = (_aten.add.Tensor, _aten.mul.Tensor)
# Gradients of activations, which can be written where the gradient that comes in was.
_GRADIENTS = {
    packet.default: packet.grad_input
    for packet in (_aten.threshold_backward, _aten.sigmoid_backward, _aten.tanh_backward)
}


@cache
def _inplace_overload(target: Any) -> Any:
    """Return the overload of an element-wise operator that writes its first argument, or None."""
    packet = getattr(_aten, f"{target._schema.name.removeprefix('aten::')}_", None)
    found = getattr(packet, target._overloadname, None)
    if torch.Tag.pointwise not in target.tags or found is None:
        return None
    ours, theirs = target._schema.arguments, found._schema.arguments
    alike = [arg.name for arg in ours] == [arg.name for arg in theirs]
    return found if alike and torch.Tag.inplace in found.tags else None


def _fits(written: Value, node: Node, effects: Effects) -> bool:
    """Whether the result fits the argument's memory, and no other argument overlaps it."""
    result = node.outputs[0]
    ours, theirs = written.meta, result.meta if result is not None else None
    if ours is None or theirs is None or ours[:4] != theirs[:4] or not _is_dense(ours):
        return False
    return all(value is written or not effects.may_alias(value, written) for value in node.inputs)


def _is_dense(meta: Meta) -> bool:
    """Whether every element has a place of its own, in memory without gaps."""
    step = 1
    for stride, size in sorted(zip(meta.stride, meta.shape, strict=True)):
        if size != 1 and stride != step:
            return False
        step *= max(size, 1)
    return True


def _last_readings(graph: Graph, effects: Effects) -> dict[Value, int]:
    """Return for every memory the place of the last node that uses it, in any view."""
    found: dict[Value, int] = {}
    for place, node in enumerate(graph.nodes):
        for value in (*node.inputs, *node.outputs):
            if value is not None:
                found[effects.memory(value)] = place
    return found


_ALIGNMENT = 64  # bytes, as torch's own allocator on the CPU


def planned(graph: Graph) -> Graph:
    """Give results of the program's own memory fixed places in one buffer, used again by each call.

    A place is taken over as soon as all that was in it is dead. Only operators take part that write
    into given memory without a copy; inputs, outputs and views of them do not. The program cannot
    be run twice at a time afterwards.
    """
    effects, fixed = Effects(graph), settled(graph)
    last = _last_readings(graph, effects)
    arenas: dict[torch.device, _Arena] = {}
    plan: dict[int, tuple[Any, str, Value, int]] = {}
    for place, node in enumerate(graph.nodes):
        result = node.outputs[0] if len(node.outputs) == 1 else None
        out = None if node.opaque else _out_overload(node.target)
        if out is None or result is None or result.meta is None or result in fixed:
            continue
        if not _is_plannable(node, result, result.meta, effects):
            continue
        arena = arenas.setdefault(result.meta.device, _Arena())
        offset = arena.take(_bytes(result.meta), place, last[effects.memory(result)])
        plan[place] = (*out, result, offset)
    if not plan:
        return graph
    memory = {
        device: torch.empty(arena.size, dtype=torch.uint8, device=device)
        for device, arena in arenas.items()
    }
    constants = dict(graph.constants)
    table: dict[Value, Value] = {}
    nodes: list[Node] = []
    for place, old in enumerate(graph.nodes):
        node = substituted(old, table)
        if place in plan:
            target, name, result, offset = plan[place]
            assert result.meta is not None
            meta = result.meta
            part = memory[meta.device][offset : offset + _bytes(meta)]
            buffer = Value(result.name, meta._replace(storage=-1))
            constants[buffer] = part.view(meta.dtype).as_strided(meta.shape, meta.stride)
            table[result] = buffer
            kwargs = {**node.kwargs, name: buffer}
            node = replace(node, target=target, kwargs=kwargs, outputs=(buffer,))
        nodes.append(node)
    return replace(graph, constants=constants).with_nodes(nodes)


class _Arena:
    """Places in one stretch of memory, taken for a range of nodes."""

    def __init__(self) -> None:
        self.size = 0
        self._taken: list[tuple[int, int, int]] = []  # offset, end, last node

    def take(self, size: int, place: int, until: int) -> int:
        """Return the first offset with `size` bytes that nothing holds at node `place` or later."""
        held = sorted(taken for taken in self._taken if taken[2] >= place)
        offset = 0
        for start, end, _ in held:
            if offset + size <= start:
                break
            offset = max(offset, end)
        end = -(-(offset + size) // _ALIGNMENT) * _ALIGNMENT
        self._taken = [*held, (offset, end, until)]
        self.size = max(self.size, end)
        return offset


def _bytes(meta: Meta) -> int:
    return math.prod(meta.shape) * meta.dtype.itemsize


def _is_plannable(node: Node, result: Value, meta: Meta, effects: Effects) -> bool:
    """Whether the node's result may be written into memory that exists already."""
    if not is_pure(node) or not effects.is_owned(result):
        return False
    if effects.is_restless(result) or not _is_dense(meta) or 0 in meta.shape:
        return False
    return not is_view(node)


@cache
def _out_overload(target: Any) -> tuple[Any, str] | None:
    """Return the overload that writes its result into an argument, and that argument's name."""
    name = target._schema.name
    if not name.startswith("aten::"):
        return None
    packet = getattr(_aten, name.removeprefix("aten::"))
    ours = [(arg.name, str(arg.type)) for arg in target._schema.arguments]
    for overload in packet.overloads():
        found = getattr(packet, overload)
        if torch.Tag.out not in found.tags or torch.Tag.generated in found.tags:
            continue
        arguments = found._schema.arguments
        outs = [arg.name for arg in arguments if arg.is_out]
        if len(outs) == 1 and ours == [(a.name, str(a.type)) for a in arguments if not a.is_out]:
            return found, outs[0]
    return None
