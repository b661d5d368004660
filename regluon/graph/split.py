"""Split: one traced graph of a forward and its backward pass, taken apart into two programs."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from regluon.graph.node import Graph, Node, Value
from regluon.graph.passes.effects import Effects


class Halves(NamedTuple):
    """A forward program, whose outputs are the results and then `extras`; and a backward one.

    The backward program's inputs are `needed` inputs of the forward program, `reused` results of
    it, the extras, and the gradients of the results.
    """

    forward: Graph
    backward: Graph
    needed: tuple[int, ...]
    reused: tuple[int, ...]
    extras: int

    def changed(self, change: Callable[[Graph], Graph]) -> "Halves":
        """Return the same with another graph in the place of each."""
        return self._replace(forward=change(self.forward), backward=change(self.backward))


def split(joint: Graph, results: int, seeds: Sequence[Value]) -> Halves:
    """Take a graph apart: `joint.outputs` are so many results, then gradients made from `seeds`.

    Everything that does not depend on a seed is forward, but for views that only the backward pass
    looks at: those are found again there, so that what they look at is checked for changes. What
    writes memory that the backward pass has read before, or reads what that has written, stays
    behind it.
    """
    given = set(seeds)
    effects = Effects(joint)
    late: set[Value] = set(given)
    read: set[Value] = set()  # memory, by the backward pass so far
    written: set[Value] = set()
    behind: list[Node] = []
    ahead: list[Node] = []
    for node in joint.nodes:
        seen, changed = effects.groups(node.inputs), effects.groups(node.written())
        depends = any(value in late for value in node.inputs)
        if depends or not (written.isdisjoint(seen) and read.isdisjoint(changed)):
            behind.append(node)
            late.update(value for value in node.outputs if value is not None)
            read |= seen
            written |= changed
        else:
            ahead.append(node)
    ahead, behind = _views_back(joint, ahead, behind, results)
    inputs = [value for value in joint.inputs if value not in given]
    made = {value for node in ahead for value in node.outputs if value is not None}
    ends = joint.outputs[:results]
    wanted = {value for node in behind for value in node.inputs}
    wanted |= {value for value in joint.outputs[results:] if value is not None}
    needed = [place for place, value in enumerate(inputs) if value in wanted]
    reused = [
        place
        for place, value in enumerate(ends)
        if value in wanted and value in made and ends.index(value) == place
    ]
    kept = {ends[place] for place in reused}
    extras = [value for value in dict.fromkeys(_outputs(ahead)) if value in wanted - kept]
    extras = [value for value in extras if value not in inputs]
    first = Graph(tuple(inputs), (), (), joint.fixed, joint.constants)
    second_inputs = [inputs[i] for i in needed] + [end for i in reused if (end := ends[i])]
    second = Graph((*second_inputs, *extras, *seeds), (), (), joint.fixed, joint.constants)
    return Halves(
        first.with_nodes(ahead, (*ends, *extras)),
        second.with_nodes(behind, joint.outputs[results:]),
        tuple(needed),
        tuple(reused),
        len(extras),
    )


def _outputs(nodes: Sequence[Node]) -> list[Value]:
    return [value for node in nodes for value in node.outputs if value is not None]


def _views_back(
    joint: Graph, ahead: list[Node], behind: list[Node], results: int
) -> tuple[list[Node], list[Node]]:
    """Move to the backward pass what only it uses and what only looks at other memory."""
    wanted = {value for node in behind for value in node.inputs}
    wanted |= {value for value in joint.outputs[results:] if value is not None}
    used = {value for value in joint.outputs[:results] if value is not None}
    staying: list[Node] = []
    moving: list[Node] = []
    for node in reversed(ahead):
        outputs = [value for value in node.outputs if value is not None]
        if outputs and not any(v in used for v in outputs) and _view(node):
            if any(value in wanted for value in outputs):
                moving.append(node)
                wanted.update(node.inputs)
        else:
            staying.append(node)
            used.update(node.inputs)
    return staying[::-1], [*moving[::-1], *behind]


def _view(node: Node) -> bool:
    """Say whether a node gives another look at its argument and writes nothing."""
    if node.opaque or node.written():
        return False
    returns = node.target._schema.returns  # type: ignore[attr-defined]
    return bool(returns) and all(item.alias_info is not None for item in returns)
