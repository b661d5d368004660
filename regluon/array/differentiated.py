"""Differentiated: a compiled program with its gradients, delivered without a backward pass."""

import math
import time
from collections.abc import Sequence

from torch import Tensor

from regluon import random
from regluon.array.compiled import Compiled
from regluon.array.dispatch import state
from regluon.array.faults import placed
from regluon.array.handle import Handle, Leaf
from regluon.base import user_line
from regluon.engine.selection import selected
from regluon.graph.joint import Joint


class Differentiated:
    """Runs a program forward and backward as one task; gradients go where `attach_grad` said."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self.joint = Joint(compiled.execution)
        self.seconds = math.inf

    def leaves(self, arrays: Sequence[Handle]) -> list[tuple[int, Leaf, Handle]] | None:
        """Return place, node and gradient of every array that gets one.

        None where gradients would have to flow on, through arrays that were computed, and where two
        arrays share one gradient.
        """
        found = []
        for place, (array, live) in enumerate(zip(arrays, self.compiled.live, strict=True)):
            node = array._node
            if not live:
                continue
            if not isinstance(node, Leaf) or node.grad is None or node.grad._view is not None:
                return None
            found.append((place, node, node.grad))
        several = len({id(grad) for _, _, grad in found}) < len(found)
        return None if several else found

    def __call__(
        self, arrays: Sequence[Handle], leaves: Sequence[tuple[int, Leaf, Handle]]
    ) -> list[Handle]:
        """Return the results for these arrays, which are not recorded."""
        compiled = self.compiled
        keys = [random.next_key(compiled.ctx, name) for name in compiled.keys]
        engine = selected.engine
        site = user_line()
        for place in compiled.written:
            arrays[place].prepare_write(site)
        for _, leaf, _ in leaves:
            leaf.fresh = True
        outputs = [cls(None, compiled.ctx, spec) for cls, spec in compiled.kinds]
        blocks = state.place

        def task() -> None:
            begin = time.perf_counter()
            try:
                tensors = [array.value() for array in arrays]
                results, gradients = self.joint.run(tensors, keys)
            except Exception as error:
                raise placed(error, blocks) from error.__cause__
            for output, result in zip(outputs, results, strict=True):
                output._data = result
            _deliver(leaves, gradients)
            self.seconds = min(self.seconds, time.perf_counter() - begin)

        grads = [grad for _, _, grad in leaves]
        touched = [*arrays, *(grad for _, leaf, grad in leaves if leaf.req == "add")]
        if engine.inline or compiled.now(touched, self.seconds / 2, grads):
            for array in touched if engine.inline else ():
                engine.wait_for_var(array.root)
            engine.run(task, compiled.title, site)
            return outputs
        compiled.push(task, touched, [*grads, *outputs])
        return outputs


def _deliver(
    leaves: Sequence[tuple[int, Leaf, Handle]], gradients: Sequence[Tensor | None]
) -> None:
    for place, leaf, grad in leaves:
        found = gradients[place]
        if leaf.req == "add":
            if found is not None:
                grad.value().add_(found)
        elif found is None:
            grad.value().zero_()
        else:
            grad._data = found
            grad.error = None
