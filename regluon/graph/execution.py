"""Execution: captured calls on tensors: traced at the first run, as a compiled program after."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from regluon.graph import passes
from regluon.graph.calls import Calls
from regluon.graph.node import Site, Value
from regluon.graph.program import Prepared, Program
from regluon.graph.split import Halves, split
from regluon.graph.trace import Trace, ValueRead


_log = logging.getLogger("regluon.hybridize")


@dataclass(frozen=True)
class Plan:
    """How a program is made: see `HybridBlock.hybridize`."""

    verify: str | None = "first"
    static_alloc: bool = False
    static_shape: bool = False
    exact: bool = False  # only passes that keep every bit
    backend: str | None = None


class Execution:
    """Computes captured calls, with gradients or without.

    calls: the program as the door saw it.
    live: for each input, whether gradients flow to it.
    written: the places of inputs that the program writes, such as running statistics.

    `refused` says why there is no compiled program, once that is known; the calls are then run one
    by one, as they are for a second derivative.
    """

    def __init__(
        self, calls: Calls, live: Sequence[bool], written: Sequence[int], plan: Plan, fixed: int
    ) -> None:
        self.calls = calls
        self.live = tuple(live)
        self.written = tuple(written)
        self.plan = plan
        self.fixed = fixed  # inputs from this place on are parameters and the like
        self.refused = ""
        self.program: Program | Prepared | None = None
        self.halves: _Replayed | None = None
        self.strides: list[tuple[int, ...]] = []  # of the arguments, as they were traced

    # Without gradients

    def run(self, tensors: Sequence[Tensor], keys: Sequence[int]) -> Sequence[Tensor]:
        """Return the results."""
        generators = _generators(tensors, keys)
        if self.program is not None:
            return self.program.run(*self.conformed(tensors), *generators)
        if self.refused:
            return _apart(self.calls.run([*tensors, *generators]), tensors)
        before = self._copies(tensors)
        trace = Trace()
        values = self._enter(trace, tensors, generators)
        try:
            with trace:
                results = _apart(self.calls.run([*tensors, *generators], trace), tensors)
        except ValueRead as error:
            self.refused = str(error)
            return self._restart(tensors, keys, before)
        graph = trace.graph(values, results, values[self.fixed : len(tensors)])
        program = Prepared(passes.inference(graph, exact=self.plan.exact))
        self.strides = [tensor.stride() for tensor in tensors[: self.fixed]]
        trial = self._trial(tensors, before)
        if self._equal(program.run(*trial, *_generators(tensors, keys)), results, trial, tensors):
            self.program = program
        return results

    # With gradients

    def run_recorded(self, tensors: Sequence[Tensor], keys: Sequence[int]) -> Sequence[Tensor]:
        """Return the results as part of torch's graph; `tensors` are, where they are live."""
        if self.refused:
            generators = _generators(tensors, keys)
            results = self.calls.run([*tensors, *generators], recording=True)
            with torch.enable_grad():
                return _apart(results, tensors)
        half: Any = self.halves or _Traced(self)
        with torch.enable_grad():
            try:
                found = _Bridge.apply(self, half, keys, *tensors)  # type: ignore[no-untyped-call]
            except ValueRead as error:
                self.refused = str(error)
                return self.run_recorded(tensors, keys)
        results: Sequence[Tensor] = found
        return results

    def again(
        self, tensors: Sequence[Tensor], keys: Sequence[int], seeds: Sequence[Tensor | None]
    ) -> Sequence[Tensor | None]:
        """Return gradients that can be differentiated again: the calls run anew, one by one."""
        trial = self._trial(tensors, self._copies(tensors))
        with torch.enable_grad():
            results = self.calls.run([*trial, *_generators(trial, keys)], recording=True)
            return _gradients(results, trial, self.live, seeds, create_graph=True)

    # Pieces

    def conformed(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the tensors, arguments in another memory layout than traced as copies in that."""
        for place, stride in enumerate(self.strides):
            if tensors[place].stride() != stride:
                changed = list(tensors)
                source = tensors[place]
                changed[place] = source.new_empty_strided(source.shape, stride).copy_(source)
                tensors = changed
        return tensors

    def _enter(
        self, trace: Trace, tensors: Sequence[Tensor], generators: Sequence[Generator]
    ) -> tuple[Value, ...]:
        names = [value.name for value in (*self.calls.inputs, *self.calls.keys)]
        return trace.inputs([*tensors, *generators], names)

    def _copies(self, tensors: Sequence[Tensor]) -> dict[int, Tensor]:
        """Return copies of what the program writes, to run it twice."""
        return {place: tensors[place].detach().clone() for place in self.written}

    def _trial(self, tensors: Sequence[Tensor], before: dict[int, Tensor]) -> list[Tensor]:
        return [before.get(place, tensor) for place, tensor in enumerate(tensors)]

    def _restart(
        self, tensors: Sequence[Tensor], keys: Sequence[int], before: dict[int, Tensor]
    ) -> Sequence[Tensor]:
        for place, tensor in before.items():
            tensors[place].detach().copy_(tensor)
        return self.run(tensors, keys)

    def _equal(
        self,
        found: Sequence[Any],
        results: Sequence[Any],
        trial: Sequence[Tensor],
        tensors: Sequence[Tensor],
    ) -> bool:
        """Compare a compiled run with the traced one, what they wrote included, if asked to."""
        if self.plan.verify is None:
            return True
        pairs = [*zip(found, results, strict=True)]
        pairs += [(trial[place], tensors[place]) for place in self.written]
        wrong = far([pair for pair in pairs if None not in pair], self.plan.exact)
        if wrong:
            self.refused = f"the compiled program differs from the eager one: {wrong}"
            _log.warning("%s; the block stays eager", self.refused)
        return not wrong


class _Traced:
    """The first run with gradients: forward and backward pass noted by the same trace."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.trace = Trace()

    needed: tuple[int, ...] = ()

    def forward(
        self, tensors: Sequence[Tensor], keys: Sequence[int]
    ) -> tuple[list[Tensor], Sequence[Any]]:
        execution = self.execution
        self.keys = keys
        self.before = execution._copies(tensors)
        self.given = [tensor.detach() for tensor in tensors]
        for tensor, live in zip(self.given, execution.live, strict=True):
            tensor.requires_grad_(live)
        execution.strides = [tensor.stride() for tensor in tensors[: execution.fixed]]
        generators = _generators(tensors, keys)
        self.values = execution._enter(self.trace, self.given, generators)
        with torch.enable_grad(), self.trace:
            results = execution.calls.run([*self.given, *generators], self.trace, recording=True)
            self.results = _apart(results, self.given)
        return [result.detach() for result in self.results], ()

    def backward(
        self,
        inputs: Sequence[Tensor],
        results: Sequence[Tensor],
        rest: Sequence[Any],
        seeds: Sequence[Tensor | None],
    ) -> Sequence[Tensor | None]:
        execution = self.execution
        named = [seed for seed in seeds if seed is not None]
        places = self.trace.inputs(named, [f"gradient{i}" for i in range(len(named))])
        self.trace.site = Site(block="backward")
        with self.trace:
            found = _gradients(self.results, self.given, execution.live, seeds)
        if execution.halves is None and not execution.refused:
            joint = self.trace.graph((*self.values, *places), (*self.results, *found))
            joint = passes.training(joint, exact=execution.plan.exact)
            given = [seed is not None for seed in seeds]
            replayed = _Replayed(execution, split(joint, len(self.results), places), given)
            if self._agrees(replayed, seeds, found):
                execution.halves = replayed
        return found

    def _agrees(
        self,
        replayed: "_Replayed",
        seeds: Sequence[Tensor | None],
        found: Sequence[Tensor | None],
    ) -> bool:
        """Run the two programs on the same tensors, and compare results and gradients."""
        execution = self.execution
        if execution.plan.verify is None:
            return True
        trial = [tensor.detach() for tensor in execution._trial(self.given, self.before)]
        with torch.no_grad():
            results, rest = replayed.forward(trial, self.keys)
            inputs = [trial[place] for place in replayed.needed]
            gradients = replayed.backward(inputs, results, rest, seeds)
        return execution._equal([*results, *gradients], [*self.results, *found], trial, self.given)


class _Replayed:
    """Compiled programs of the forward and the backward pass."""

    def __init__(self, execution: Execution, halves: Halves, seeded: Sequence[bool]) -> None:
        self.execution = execution
        self.halves = halves
        self.needed = halves.needed
        self.count = len(halves.forward.outputs) - halves.extras
        self.seeded = [place for place, given in enumerate(seeded) if given]
        self.first = Program(halves.forward)
        self.second = Program(halves.backward)

    def forward(
        self, tensors: Sequence[Tensor], keys: Sequence[int]
    ) -> tuple[Sequence[Tensor], Sequence[Any]]:
        tensors = self.execution.conformed(tensors)
        found = self.first.run(*tensors, *_generators(tensors, keys))
        return found[: self.count], found[self.count :]

    def backward(
        self,
        inputs: Sequence[Tensor],
        results: Sequence[Tensor],
        rest: Sequence[Any],
        seeds: Sequence[Tensor | None],
    ) -> Sequence[Tensor | None]:
        reused = [results[place] for place in self.halves.reused]
        return self.second.run(*inputs, *reused, *rest, *[seeds[place] for place in self.seeded])


class _Bridge(torch.autograd.Function):
    """A program in torch's graph."""

    @staticmethod
    def forward(
        ctx: Any, execution: Execution, half: Any, keys: Sequence[int], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Run the forward program."""
        results, ctx.rest = half.forward(tensors, keys)
        ctx.execution, ctx.half, ctx.keys = execution, half, keys
        ctx.inputs = tensors
        needed = [tensors[place] for place in half.needed]
        ctx.save_for_backward(*needed, *results)
        ctx.mark_non_differentiable(*(r for r in results if not r.is_floating_point()))
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *seeds: Any) -> Any:
        """Run the backward program, or what can be differentiated again."""
        saved = ctx.saved_tensors
        seeds = tuple(None if seed is None else seed.contiguous() for seed in seeds)
        if torch.is_grad_enabled():
            found = ctx.execution.again(ctx.inputs, ctx.keys, seeds)
        else:
            count = len(ctx.half.needed)
            found = ctx.half.backward(saved[:count], saved[count:], ctx.rest, seeds)
        return (None, None, None, *found)


def _generators(tensors: Sequence[Tensor], keys: Sequence[int]) -> list[Generator]:
    """Return a generator for every key, so that several draws of one program go on at once."""
    return [Generator(tensors[0].device).manual_seed(key) for key in keys]


def _apart(results: Sequence[Tensor], tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return results in memory of their own: copies of those that share it with another."""
    taken = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    found = []
    for result in results:
        place = result.untyped_storage().data_ptr()
        found.append(result.clone() if place in taken else result)
        taken.add(place)
    return found


def _gradients(
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
    found = iter(
        torch.autograd.grad(
            heads, wanted, given, retain_graph=True, create_graph=create_graph, allow_unused=True
        )
    )
    return [next(found) if flag else None for flag in live]


_TOLERANCE = {torch.float64: 1e-8, torch.float32: 2e-3, torch.float16: 5e-2, torch.bfloat16: 1e-1}


def far(pairs: Sequence[tuple[Tensor, Tensor]], exact: bool) -> str:
    """Say how pairs of tensors differ by more than rounding, or by a single bit if `exact`, or "".

    What is small beside all the others, such as a gradient that is zero but for rounding, is
    measured by them.
    """
    sizes = [_size(other) for _, other in pairs]
    whole = max(sizes, default=0.0)
    for place, ((one, other), size) in enumerate(zip(pairs, sizes, strict=True)):
        if one.shape != other.shape or one.dtype != other.dtype:
            return f"result {place} is {one.dtype} {tuple(one.shape)}"
        limit = 0.0 if exact else _TOLERANCE.get(one.dtype, 0.0) * max(size, 1e-2 * whole)
        error = _size(one.double() - other.double())
        undefined = not torch.equal(one.isfinite(), other.isfinite())
        if undefined or error > limit:
            return f"result {place} is off by {error:.3g}, where the largest value is {size:.3g}"
    return ""


def _size(tensor: Tensor) -> float:
    """Return the largest finite absolute value."""
    values = tensor.double().abs()
    return float(values[values.isfinite()].max()) if values.isfinite().any() else 0.0
