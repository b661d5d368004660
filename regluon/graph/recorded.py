"""Recorded: the forward and the backward pass of an execution, traced together or replayed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from regluon.graph import native, passes
from regluon.graph.memory import apart
from regluon.graph.node import Graph, Site
from regluon.graph.passes.memory import in_place
from regluon.graph.split import Halves, split


if TYPE_CHECKING:
    from regluon.graph.execution import Execution

_PATIENCE = 2  # after so many runs whose gradients nobody asked for, they are computed for a trial


# They make what the backward pass needs only where torch records gradients.
_ASKING = ("aten.mkldnn_rnn_layer.default",)


def _asked(graph: Graph) -> Graph:
    """Let operators that ask whether gradients are recorded find it so."""
    if not any(node.title in _ASKING for node in graph.nodes):
        return graph
    nodes = [
        replace(node, target=_recording(node.target)) if node.title in _ASKING else node
        for node in graph.nodes
    ]
    return graph.with_nodes(nodes)


def _recording(target: Callable[..., Any]) -> Callable[..., Any]:
    def recording(*args: Any, **kwargs: Any) -> Any:
        with torch.enable_grad(), torch._C._AutoDispatchBelowAutograd():
            return target(*args, **kwargs)

    recording.__name__ = str(target)
    return recording


class Traced:
    """The first run with gradients: forward and backward pass noted by the same trace."""

    def __init__(self, execution: "Execution") -> None:
        self.execution = execution
        self.trace = execution.tracer()

    needed: tuple[int, ...] = ()
    reused: tuple[int, ...] = ()
    seeded: Sequence[bool] | None = None  # all will do
    made = False

    def forward(
        self, tensors: Sequence[Tensor], keys: Sequence[Any]
    ) -> tuple[list[Tensor], Sequence[Any]]:
        """Run the calls while they are noted; return the results and nothing to be kept."""
        execution = self.execution
        self.keys = keys
        self.before = execution.copies(tensors)
        self.given = execution.leaves(tensors)
        execution.strides = [tensor.stride() for tensor in tensors[: execution.fixed]]
        generators = execution.generators(tensors, keys)
        self.values = execution.entered(self.trace, self.given, generators)
        with torch.enable_grad(), self.trace:
            results = execution.calls.run([*self.given, *generators], self.trace, recording=True)
            self.results = apart(results, [*self.given, *self.trace.constants.values()])
        execution.flags = [result.requires_grad for result in self.results]
        execution.examine(self.trace, self.trace.graph(self.values, self.results))
        if execution.unanswered >= _PATIENCE:
            with execution.rewound(keys):
                self.backward((), (), ones(self.results))
        execution.unanswered += 1
        return [result.detach() for result in self.results], ()

    def backward(
        self, saved: Sequence[Tensor], rest: Sequence[Any], seeds: Sequence[Tensor | None]
    ) -> Sequence[Tensor | None]:
        """Return the gradients of the inputs while they are noted, and make the programs."""
        execution = self.execution
        layouts = [None if seed is None else seed.stride() for seed in seeds]
        seeds = [None if seed is None else seed.contiguous() for seed in seeds]
        named = [seed for seed in seeds if seed is not None]
        places = self.trace.inputs(named, [f"gradient{i}" for i in range(len(named))])
        self.trace.site = Site(block="backward")
        with self.trace:
            laid = [_laid_out(*pair) for pair in zip(seeds, layouts, strict=True)]
            found = gradients(self.results, self.given, execution.live, laid)
        given = tuple(seed is not None for seed in seeds)
        if self.made or execution.halves or execution.refused:
            return found
        self.made = True
        joint = self.trace.graph((*self.values, *places), (*self.results, *found))
        if execution.settled(joint, given):

            def make(exact: bool, precision: torch.dtype | None) -> Replayed:
                # Only apart may results take the memory of others: a half may be run again.
                options: Any = {"exact": exact, "precision": precision, "without": ("memory",)}
                halves = split(passes.training(joint, **options), len(self.results), places)
                return Replayed(execution, halves.changed(in_place), given)

            def agrees(replayed: Replayed, *criterion: Any) -> bool:
                return self._agrees(replayed, seeds, found, *criterion)

            execution.halves = execution.chosen(make, agrees)
        return found

    def _agrees(
        self,
        replayed: "Replayed",
        seeds: Sequence[Tensor | None],
        found: Sequence[Tensor | None],
        *criterion: Any,
    ) -> bool:
        """Run the two programs on the same tensors, and compare results and gradients."""
        execution = self.execution
        before = {place: tensor.clone() for place, tensor in self.before.items()}
        trial = [tensor.detach() for tensor in execution.trial(self.given, before)]
        with torch.no_grad(), execution.rewound(self.keys):
            results, rest = replayed.forward(trial, self.keys)
            inputs = [trial[place] for place in replayed.needed]
            inputs += [results[place] for place in replayed.reused]
            again = replayed.backward(inputs, rest, seeds)
        pairs = ([*results, *again], [*self.results, *found])
        return execution.equals(*pairs, trial, self.given, *criterion)


class Replayed:
    """Compiled programs of the forward and the backward pass."""

    def __init__(self, execution: "Execution", halves: Halves, seeded: Sequence[bool]) -> None:
        self.execution = execution
        self.halves = halves = halves._replace(forward=_asked(halves.forward))
        self.needed = halves.needed
        self.reused = halves.reused
        self.count = len(halves.forward.outputs) - halves.extras
        self.seeded = seeded
        self.first = execution.plan.program(halves.forward, whole=False)
        self.second = execution.plan.program(halves.backward, whole=False)
        self._bridge: native.Replay | None = None

    def bridge(self) -> native.Replay | None:
        """Return both programs as one function in torch's graph, once there is a C++ library."""
        able = self.execution.bridged and not self.execution.read
        if self._bridge is None and able and native.ready():
            self._bridge = native.bridge(
                self.halves.forward,
                self.halves.backward,
                self._again,
                results=self.count,
                needed=self.needed,
                reused=self.reused,
                seeded=[place for place, given in enumerate(self.seeded) if given],
            )
        return self._bridge

    def _again(
        self, inputs: Sequence[Any], seeds: Sequence[Tensor | None], changed: Sequence[int]
    ) -> Sequence[Tensor | None]:
        """Return gradients that can be differentiated, or for other results than were traced."""
        execution = self.execution
        if not torch.is_grad_enabled():
            execution.halves = None
        count = len(execution.calls.inputs)
        keys = [generator.initial_seed() for generator in inputs[count:]]
        return execution.again(inputs[:count], keys, seeds, changed)

    def forward(
        self, tensors: Sequence[Tensor], keys: Sequence[Any]
    ) -> tuple[Sequence[Tensor], Sequence[Any]]:
        """Return the results, and what the backward program needs beside inputs and results."""
        tensors = self.execution.conformed(tensors)
        found = self.first.run(*tensors, *self.execution.generators(tensors, keys))
        return found[: self.count], found[self.count :]

    def backward(
        self, saved: Sequence[Tensor], rest: Sequence[Any], seeds: Sequence[Tensor | None]
    ) -> Sequence[Tensor | None]:
        """Return the gradients of the inputs."""
        given = [seed.contiguous() for seed in seeds if seed is not None]
        return self.second.run(*saved, *rest, *given)


class Bridge(torch.autograd.Function):
    """A program in torch's graph."""

    @staticmethod
    def forward(
        ctx: Any, execution: "Execution", half: Any, keys: Sequence[Any], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Run the forward program."""
        ctx.before = {place: tensors[place].detach().clone() for place in execution.read}
        results, ctx.rest = half.forward(tensors, keys)
        ctx.execution, ctx.half, ctx.keys = execution, half, keys
        ctx.inputs = tensors
        ctx.versions = [tensor._version for tensor in tensors]
        needed = [tensors[place] for place in half.needed]
        ctx.save_for_backward(*needed, *[results[place] for place in half.reused])
        flags = zip(results, execution.flags, strict=True)
        ctx.mark_non_differentiable(*(result for result, flag in flags if not flag))
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *seeds: Any) -> Any:
        """Run the backward program, or what can be differentiated again."""
        saved = ctx.saved_tensors
        half, execution = ctx.half, ctx.execution
        execution.unanswered = 0
        fits = half.seeded is None or half.seeded == tuple(seed is not None for seed in seeds)
        if not fits:  # the loss takes other results than the one that was traced
            execution.halves = None
        if torch.is_grad_enabled() or not fits:
            versions = enumerate(zip(ctx.inputs, ctx.versions, strict=True))
            changed = [place for place, (tensor, then) in versions if tensor._version != then]
            found = execution.again(ctx.inputs, ctx.keys, seeds, changed, ctx.before)
        else:
            found = half.backward(saved, ctx.rest, seeds)
        return (None, None, None, *found)


def _laid_out(seed: Tensor | None, stride: tuple[int, ...] | None) -> Tensor | None:
    """Return a gradient in the memory layout that it came in, on which sums depend in a bit."""
    if seed is None or stride is None or seed.stride() == stride or 0 in stride:
        return seed
    return seed.new_empty_strided(seed.shape, stride).copy_(seed)


def ones(results: Sequence[Tensor]) -> list[Tensor | None]:
    """Return where the gradients of the sum of all results begin."""
    return [torch.ones_like(result) if result.requires_grad else None for result in results]


def gradients(
    results: Sequence[Tensor],
    inputs: Sequence[Tensor],
    live: Sequence[bool],
    seeds: Sequence[Tensor | None],
    *,
    create_graph: bool = False,
) -> list[Tensor | None]:
    """Return the gradient of every live input that the results depend on, None for all others."""
    pairs = [
        (result, seed)
        for result, seed in zip(results, seeds, strict=True)
        if seed is not None and result.requires_grad
    ]
    wanted = [tensor for tensor, flag in zip(inputs, live, strict=True) if flag]
    if not pairs or not wanted:
        return [None] * len(inputs)
    heads, given = zip(*pairs, strict=True)
    # What torch.autograd.grad calls in the end; it would import half a second of symbolic shapes.
    engine = torch.autograd.Variable._execution_engine
    options = {"allow_unreachable": True, "accumulate_grad": False}
    found = iter(engine.run_backward(heads, given, True, create_graph, tuple(wanted), **options))
    return [next(found) if flag else None for flag in live]
