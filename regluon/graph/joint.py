"""Joint: results and the gradients of their sum as one program, without torch's graph."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.graph import passes
from regluon.graph.execution import Execution
from regluon.graph.memory import apart, owned
from regluon.graph.program import Program
from regluon.graph.recorded import gradients, ones
from regluon.graph.trace import ValueRead


class Joint:
    """Computes what an execution computes, and the gradients of the sum of all results.

    Gradients are in the order of the inputs, None for those that have none.
    """

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.program: Program | None = None

    def run(
        self, tensors: Sequence[Tensor], keys: Sequence[Any]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
        """Return results and gradients, through the program from the second time on."""
        execution = self.execution
        count = len(execution.flags)
        if self.program is not None and execution.fits(tensors):
            given = execution.conformed(tensors)
            found = self.program.run(*given, *execution.generators(given, keys))
            return found[:count], found[count:]
        if execution.refused or self.program is not None:
            return self._eager(tensors, keys)
        return self._first(tensors, keys)

    def _eager(
        self, tensors: Sequence[Tensor], keys: Sequence[Any]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
        execution = self.execution
        leaves = execution.leaves(tensors)
        with torch.enable_grad():
            given = [*leaves, *execution.generators(tensors, keys)]
            results = execution.calls.run(given, recording=True)
            found = gradients(results, leaves, execution.live, ones(results))
        results = [result.detach() for result in apart(results, leaves)]
        return results, owned(found, [*leaves, *results])

    def _first(
        self, tensors: Sequence[Tensor], keys: Sequence[Any]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
        """Compute both while the operators are noted, and make the program of them."""
        execution = self.execution
        before = execution.copies(tensors)
        leaves = execution.leaves(tensors)
        trace = execution.tracer()
        generators = execution.generators(tensors, keys)
        values = execution.entered(trace, leaves, generators)
        given = [*leaves, *generators]
        try:
            with torch.enable_grad(), trace:
                results = execution.calls.run(given, trace, recording=True)
                results = apart(results, [*leaves, *trace.constants.values()])
                execution.flags = [result.requires_grad for result in results]
                execution.examine(trace, trace.graph(values, results))
                found = gradients(results, leaves, execution.live, ones(results))
                found = owned(found, [*leaves, *results, *trace.constants.values()])
        except ValueRead as error:
            execution.refused = str(error)
            execution.restore(tensors, before)
            return self._eager(tensors, keys)
        graph = trace.graph(values, (*results, *found), values[execution.fixed : len(tensors)])
        results = [result.detach() for result in results]
        if execution.refused or not execution.settled(graph):
            return results, found
        execution.strides = [tensor.stride() for tensor in tensors[: execution.fixed]]

        def make(exact: bool, precision: torch.dtype | None) -> Program:
            return execution.plan.program(passes.training(graph, exact=exact, precision=precision))

        def agrees(program: Program, *criterion: Any) -> bool:
            state = {place: tensor.clone() for place, tensor in before.items()}
            trial = [tensor.detach() for tensor in execution.trial(tensors, state)]
            with torch.no_grad(), execution.rewound(keys):
                again = program.run(*trial, *execution.generators(tensors, keys))
            return execution.equals(again, (*results, *found), trial, tensors, *criterion)

        self.program = execution.chosen(make, agrees)
        return results, found
