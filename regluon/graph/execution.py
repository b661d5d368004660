"""Execution: captured calls on tensors: traced at the first run, as a compiled program after."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import torch
from torch import Generator, Tensor

from regluon.base import MXNetError
from regluon.graph import passes
from regluon.graph.likeness import far, strayed
from regluon.graph.memory import apart, told_apart
from regluon.graph.node import Graph, Value
from regluon.graph.program import Prepared, Program
from regluon.graph.recorded import Bridge, Replayed, Traced, gradients
from regluon.graph.trace import Trace, ValueRead
from regluon.ops.dtype import low_precision


_log = logging.getLogger("regluon.hybridize")
_BACKENDS = (None, "inductor")
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Plan:
    """How a program is made: see `HybridBlock.hybridize`. Raises MXNetError for other values."""

    verify: str | None = "first"
    static_alloc: bool = False
    static_shape: bool = False  # and with it, on a GPU: one launch
    exact: bool = False  # only passes that keep every bit
    backend: str | None = None
    precision: Any = None  # "bfloat16" or "float16" in place of float32, where that is heavy

    def __post_init__(self) -> None:
        if self.verify not in ("first", None):
            raise MXNetError(f'verify must be "first" or None, not {self.verify!r}')
        if self.backend not in _BACKENDS:
            raise MXNetError(f"backend must be one of {_BACKENDS}, not {self.backend!r}")
        if self.precision is not None:
            object.__setattr__(self, "precision", low_precision(self.precision))
            if self.exact:
                raise MXNetError("mixed_precision changes bits, which passes=False forbids")

    def program(self, graph: Graph, whole: bool = True) -> Program:
        """Compile a graph: a `whole` one, or a half whose results the other half needs."""
        launched = whole and self.static_shape
        return Program(graph, self.static_alloc, self.backend, launched)


class Body(Protocol):
    """What is executed: captured calls, or anything else that makes tensors from tensors.

    `inputs` and `keys` name what `run` is given: tensors, and then random generators.
    """

    @property
    def inputs(self) -> Sequence[Value]: ...  # noqa: D102
    @property
    def keys(self) -> Mapping[Value, str]: ...  # noqa: D102

    def run(
        self, given: Sequence[Any], trace: Trace | None = None, *, recording: bool = False
    ) -> Sequence[Tensor]:
        """Compute the results, in torch's graph if `recording`; an entered `trace` notes how."""


class Execution:
    """Computes a body, such as captured calls, with gradients or without.

    calls: what is computed, the slow way.
    live: for each input, whether gradients flow to it.
    written: the places of inputs that the program writes, such as running statistics.
    read: those among them that gradients may depend on, so that a second run needs them unwritten.

    `refused` says why there is no compiled program, once that is known; the calls are then run one
    by one, as they are for a second derivative.
    """

    def __init__(
        self,
        calls: Body,
        live: Sequence[bool],
        written: Sequence[int],
        plan: Plan,
        fixed: int,
        read: Sequence[int] = (),
    ) -> None:
        self.calls = calls
        self.live = tuple(live)
        self.written = tuple(written)
        self.read = tuple(read)
        self.plan = plan
        self.fixed = fixed  # inputs from this place on are parameters and the like
        self.title = "the program"  # for messages
        self.warn: Callable[[str], None] = self._warn  # why it is refused
        self.freeze = True  # compute what depends on parameters alone again after an update only
        self.refused = ""
        self.program: Program | Prepared | None = None
        self.halves: Replayed | None = None
        self.flags: list[bool] = []  # which results are part of torch's graph
        self.unanswered = 0  # runs with gradients since anybody asked for those
        self.strides: list[tuple[int, ...]] = []  # of the arguments, as they were traced

    @property
    def source(self) -> str:
        """The source of the programs made so far."""
        made = [self.program] if self.program else []
        halves = [self.halves.first, self.halves.second] if self.halves else []
        return "\n".join(program.source for program in (*made, *halves))

    # Without gradients

    def run(self, tensors: Sequence[Tensor], keys: Sequence[Any]) -> Sequence[Tensor]:
        """Return the results."""
        if self.program is not None and self.fits(tensors):
            return self.program.run(*self.conformed(tensors), *self.generators(tensors, keys))
        with torch.no_grad():
            return self._first(tensors, keys)

    def _first(self, tensors: Sequence[Tensor], keys: Sequence[Any]) -> Sequence[Tensor]:
        """Run the calls, and make a program of them if that can be."""
        generators = self.generators(tensors, keys)
        if self.refused or self.program is not None:
            return apart(self.calls.run([*tensors, *generators]), tensors)
        tensors = told_apart(tensors)
        before = self.copies(tensors)
        trace = self.tracer()
        values = self.entered(trace, tensors, generators)
        try:
            with trace:
                results = self.calls.run([*tensors, *generators], trace)
                results = apart(results, [*tensors, *trace.constants.values()])
        except ValueRead as error:
            self.refused = str(error)
            self.restore(tensors, before)
            return self.run(tensors, keys)
        fixed = values[self.fixed : len(tensors)] if self.freeze else ()
        graph = trace.graph(values, results, fixed)
        self.examine(trace, graph)
        if self.refused or not self.settled(graph):
            return results
        optimized = passes.inference if self.freeze else passes.training

        def make(exact: bool, precision: torch.dtype | None) -> Program | Prepared:
            whole = optimized(graph, exact=exact, precision=precision)
            return Prepared(whole, self.plan.program) if self.freeze else self.plan.program(whole)

        def agrees(program: Program | Prepared, *criterion: Any) -> bool:
            trial = self.trial(tensors, {p: tensor.clone() for p, tensor in before.items()})
            with self.rewound(keys):
                found = program.run(*trial, *self.generators(tensors, keys))
            return self.equals(found, results, trial, tensors, *criterion)

        self.strides = [tensor.stride() for tensor in tensors[: self.fixed]]
        self.program = self.chosen(make, agrees)
        return results

    # With gradients

    def run_recorded(self, tensors: Sequence[Tensor], keys: Sequence[Any]) -> Sequence[Tensor]:
        """Return the results as part of torch's graph; `tensors` are, where they are live."""
        if self.refused or (self.halves is not None and not self.fits(tensors)):
            generators = self.generators(tensors, keys)
            with torch.enable_grad():
                run = self.calls.run([*tensors, *generators], recording=True)
                return apart(run, tensors)
        ready = self.halves
        if ready is not None and (bridge := ready.bridge()) is not None:
            given = self.conformed(tensors)
            with torch.enable_grad():
                joined: Any = bridge(*given, *self.generators(given, keys))
                return tuple(joined)
        half: Any = ready or Traced(self)
        with torch.enable_grad():
            try:
                found = Bridge.apply(self, half, keys, *tensors)  # type: ignore[no-untyped-call]
            except ValueRead as error:
                self.refused = str(error)
                return self.run_recorded(tensors, keys)
        results: Sequence[Tensor] = found
        return results

    def again(
        self,
        tensors: Sequence[Tensor],
        keys: Sequence[int],
        seeds: Sequence[Tensor | None],
        changed: Sequence[int],
        before: Mapping[int, Tensor] = MappingProxyType({}),
    ) -> Sequence[Tensor | None]:
        """Return gradients, in torch's graph where it records: the calls run anew, one by one.

        changed: the places of inputs that were written since, by anybody.
        before: copies of inputs as they were before the program wrote them.
        """
        for place in {*changed} - {*self.written}:
            name = self.calls.inputs[place].name
            raise RuntimeError(f"{name} has been modified by an inplace operation")
        create = torch.is_grad_enabled()
        with torch.enable_grad(), self.rewound(keys):
            trial = self.trial(tensors, {**self.copies(tensors), **before})
            for place in before:
                if self.live[place]:  # what was written is part of the graph with its old values
                    trial[place] = tensors[place].clone()
                    trial[place].detach().copy_(before[place])
            results = self.calls.run([*trial, *self.generators(trial, keys)], recording=True)
            return gradients(results, trial, self.live, seeds, create_graph=create)

    # What other bodies do otherwise

    bridged = True  # the keys of a run are the seeds of its generators

    def tracer(self) -> Trace:
        """Return a new trace."""
        return Trace()

    def generators(self, tensors: Sequence[Tensor], keys: Sequence[Any]) -> list[Generator]:
        """Return a generator for every key, so that several draws of one program go on at once."""
        return [Generator(tensors[0].device).manual_seed(key) for key in keys]

    def rewound(self, keys: Sequence[Any]) -> AbstractContextManager[Any]:
        """Return a scope in which random numbers are those of the run that had these keys."""
        return nullcontext()

    def examine(self, trace: Trace, graph: Graph) -> None:
        """Look at what was traced, the backward pass aside; it may be `refused`."""

    def settled(self, graph: Graph, seeded: tuple[bool, ...] = ()) -> bool:
        """Say whether a graph may be compiled already, made for the gradients that there were."""
        return True

    # Pieces

    def fits(self, tensors: Sequence[Tensor]) -> bool:
        """Say whether what the program writes has the memory layout that it was traced with."""
        return not self.written or all(
            tensors[place].stride() == self.strides[place]
            for place in self.written
            if place < len(self.strides)
        )

    def conformed(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the tensors, arguments in another memory layout than traced as copies in that."""
        for place, stride in enumerate(self.strides):
            if tensors[place].stride() != stride:
                changed = list(tensors)
                source = tensors[place]
                changed[place] = source.new_empty_strided(source.shape, stride).copy_(source)
                tensors = changed
        return tensors

    def entered(
        self, trace: Trace, tensors: Sequence[Tensor], generators: Sequence[Generator]
    ) -> tuple[Value, ...]:
        """Return the values that a trace is to know these inputs by."""
        names = [value.name for value in (*self.calls.inputs, *self.calls.keys)]
        return trace.inputs([*tensors, *generators], names)

    def copies(self, tensors: Sequence[Tensor]) -> dict[int, Tensor]:
        """Return copies of what the program writes, to run it twice."""
        return {place: tensors[place].detach().clone() for place in self.written}

    def trial(self, tensors: Sequence[Tensor], before: dict[int, Tensor]) -> list[Tensor]:
        """Return inputs for a second run: copies in place of what the first run wrote."""
        return [before.get(place, tensor) for place, tensor in enumerate(tensors)]

    def leaves(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the tensors as the beginnings of a graph of torch's own, where they are live."""
        found = [tensor.detach() for tensor in tensors]
        for leaf, live in zip(found, self.live, strict=True):
            leaf.requires_grad_(live)
        return found

    def restore(self, tensors: Sequence[Tensor], before: Mapping[int, Tensor]) -> None:
        """Undo what the program wrote."""
        for place, tensor in before.items():
            tensors[place].detach().copy_(tensor)

    def chosen(
        self,
        make: Callable[[bool, torch.dtype | None], _Made],
        agrees: Callable[[_Made, bool, torch.dtype | None], bool],
    ) -> _Made | None:
        """Return the first program that agrees with the traced run, or None.

        make: returns a program by `exact`, which is tried where the passes that round change too
            much (as where many rectifiers have inputs next to zero, and few samples take part), and
            by the precision of heavy operators.
        agrees: runs a program and calls `equals`, if the plan says so. A program in 16 bits, which
            can be compared only roughly, is tried after the same one in float32.
        """
        precision = self.plan.precision
        for exact in (True,) if self.plan.exact else (False, True):
            if self.plan.verify is None:
                return make(exact, precision)
            found = make(exact, None)
            if agrees(found, exact, None):
                return found if precision is None else self._narrower(found, make, agrees, exact)
        return None

    def _narrower(
        self,
        wide: _Made,
        make: Callable[[bool, torch.dtype | None], _Made],
        agrees: Callable[[_Made, bool, torch.dtype | None], bool],
        exact: bool,
    ) -> _Made:
        """Return the program in 16 bits, or with a warning the one in float32."""
        try:
            found = make(exact, self.plan.precision)
            if agrees(found, True, self.plan.precision):
                return found
        except Exception as error:  # there is no such kernel in 16 bits, or the like
            _log.warning("%s stays in float32: in 16 bits it fails: %s", self.title, error)
        return wide

    def _warn(self, reason: str) -> None:
        _log.warning("%s stays eager: %s", self.title, reason)

    def equals(
        self,
        found: Sequence[Any],
        results: Sequence[Any],
        trial: Sequence[Tensor],
        tensors: Sequence[Tensor],
        last: bool,
        precision: torch.dtype | None,
    ) -> bool:
        """Say whether a compiled run is like the traced one, what they wrote included.

        Unless it is the `last` program that can be tried, nothing is logged if they differ.
        """
        pairs = [*zip(found, results, strict=True)]
        count = len(self.flags) or len(pairs)  # the others are gradients
        seen = pairs[:count] + [(trial[place], tensors[place]) for place in self.written]
        if precision is not None:
            wrong = strayed(seen, _present(pairs[count:]))
            if wrong:
                _log.warning("%s stays in float32: %s", self.title, wrong)
            return not wrong
        wrong = far(seen + _present(pairs[count:]), self.plan.exact)
        if wrong and last:
            self.refused = f"the compiled program differs from the eager one: {wrong}"
            self.warn(self.refused)
        return not wrong


def _present(pairs: Sequence[tuple[Any, Any]]) -> list[tuple[Tensor, Tensor]]:
    """Return the gradients that there are."""
    return [pair for pair in pairs if None not in pair]
