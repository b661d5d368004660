"""CallGraph: the recorded calls that some arrays were computed from."""

from collections.abc import Sequence

from regluon.array.handle import FunctionNode, Handle, Leaf, Node
from regluon.base import MXNetError, user_line


class CallGraph:
    """What a backward pass goes over: `calls`, of which some are `functions`, and `leaves`.

    A call of an `autograd.Function` is in both of the first two.
    """

    __slots__ = ("calls", "functions", "leaves", "nodes")

    def __init__(self, heads: Sequence[Handle]) -> None:
        nodes: set[Node] = set()
        calls: list[Node] = []
        self.nodes = nodes
        self.calls = calls
        self.functions: list[FunctionNode] = []
        self.leaves: list[Leaf] = []
        stack = [head._node for head in heads if head._node is not None]
        while stack:
            node = stack.pop()
            if node in nodes:
                continue
            if node.spent:
                raise MXNetError(
                    "part of this graph was freed by an earlier backward(); call that one with "
                    f"retain_graph=True (at {user_line()})"
                )
            nodes.add(node)
            if type(node) is Leaf:
                self.leaves.append(node)
                continue
            calls.append(node)
            stack += node.parents
            if type(node) is FunctionNode:
                self.functions.append(node)

    def work(self) -> float:
        """Return about how many nanoseconds the calls took a core."""
        return sum([node.work for node in self.calls])

    def live_inputs(self) -> list[Handle]:
        """Return the arrays that the calls read and that still exist: whoever writes them waits."""
        found = [ref() for node in self.calls for ref, _ in node.inputs]
        return [array for array in dict.fromkeys(found) if array is not None]

    def spend(self) -> None:
        """Mark the calls as gone after a backward pass: their results are constants now."""
        for node in self.calls:
            node.spent = True
            node.parents = ()
