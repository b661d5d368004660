"""Calls: what a block did, operator by operator, as the door saw it; run again on any tensors."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from regluon.graph.node import NOWHERE, Site, Value, mapped, values_in
from regluon.graph.trace import Trace
from regluon.ops.registry import Op


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of an operator, or of a function that finds a view.

    `outputs` are new values; `out` are values that results are copied into instead. `stopped` are
    arguments that were no part of the gradient's graph then. `key` is the input that brings the
    random generator. `device` is where an operator without array arguments makes its result.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    outputs: tuple[Value, ...]
    op: Op | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    out: tuple[Value, ...] = ()
    written: tuple[Value, ...] = ()
    stopped: frozenset[Value] = frozenset()
    recorded: bool = False
    key: Value | None = None
    device: torch.device | None = None
    site: Site = NOWHERE

    @property
    def title(self) -> str:
        """The operator's public name."""
        return self.op.title if self.op is not None else "view"

    def run(self, env: dict[Value, Any], trace: Trace | None, copied: bool) -> None:
        """Compute the outputs into `env`."""
        values = [mapped(arg, lambda value: self._given(env, value)) for arg in self.args]
        given: dict[str, Any] = {}
        if self.device is not None:
            given["device"] = self.device
        if self.key is not None:
            given["generator"] = env[self.key]
        if self.op is not None and self.op.check is not None:
            _check(self.op.check, values, self.attrs, trace)
        with torch.set_grad_enabled(self.recorded):
            result = self.fn(*values, **self.attrs, **given)
            if copied:
                result = result.clone(memory_format=torch.preserve_format)
        results = () if result is None else (result,) if isinstance(result, Tensor) else result
        if self.out:
            for value, tensor in zip(self.out, results, strict=True):
                target = env[value]
                if tensor is not target:
                    target.detach().copy_(tensor.detach())
            return
        for value, tensor in zip(self.outputs, results, strict=True):
            env[value] = tensor

    def _given(self, env: dict[Value, Any], value: Value) -> Any:
        tensor = env[value]
        stop = not self.recorded or value in self.stopped
        return tensor.detach() if stop and tensor.requires_grad else tensor


def _check(
    check: Callable[..., None], values: list[Any], attrs: dict[str, Any], trace: Trace | None
) -> None:
    """Check values as the door does; a compiled program checks them, too."""
    if trace is None:
        check(*values, **attrs)
        return
    places = [place for place, value in enumerate(values) if isinstance(value, Tensor)]

    def again(*tensors: Tensor) -> None:
        full = list(values)
        for place, tensor in zip(places, tensors, strict=True):
            full[place] = tensor
        check(*full, **attrs)

    again.__name__ = getattr(check, "__name__", "check")
    trace.opaque(again, *(values[place] for place in places))


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """A whole block: inputs, calls in order, outputs; the slow and obvious way to run a program.

    `keys` are those inputs that stand for random generators, with the name of their operator.
    `copied` are the calls whose result, a view, must be a copy since somebody writes later.
    """

    inputs: tuple[Value, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Value, ...]
    keys: dict[Value, str] = field(default_factory=dict)
    copied: frozenset[Call] = frozenset()

    def run(
        self, given: Sequence[Any], trace: Trace | None = None, *, recording: bool = False
    ) -> list[Tensor]:
        """Compute the outputs from tensors, and generators for `keys`, one for every input.

        The calls that were recorded are so again if `recording`. With a `trace`, which must be
        entered, nodes carry the user's line of each call.
        """
        env: dict[Value, Any] = dict(zip((*self.inputs, *self.keys), given, strict=True))
        scope = nullcontext() if recording else torch.no_grad()
        with scope:
            for call in self.calls:
                if trace is not None:
                    trace.site = call.site
                try:
                    call.run(env, trace, call in self.copied)
                except RuntimeError:
                    if call.op is not None and call.op.view != "write through":
                        raise
                    self._straighten(env, call, trace)
        return [env[value] for value in self.outputs]

    def _straighten(self, env: dict[Value, Any], view: Call, trace: Trace | None) -> None:
        """Find a view that torch cannot find in the memory layout of its base, as the door does.

        The base changes its layout, and its other views are found again; a recorded one is a copy.
        """
        base = next(values_in(view.args))
        if view.op is not None:
            straight = {**env, base: env[base].contiguous()}
            view.run(straight, trace, False)
            env.update((value, straight[value]) for value in view.outputs)
            return
        env[base] = env[base].contiguous()
        for call in self.calls[: self.calls.index(view) + 1]:
            if call.op is None and base in values_in(call.args):
                call.run(env, trace, False)


def sharing(calls: Sequence[Call]) -> Iterator[tuple[Call, bool]]:
    """Yield the calls whose results may share memory with their first argument.

    With each comes whether something in that memory is written by any call at all.
    """
    parent: dict[Value, Value] = {}

    def root(value: Value) -> Value:
        while value in parent:
            value = parent[value]
        return value

    views = [call for call in calls if call.op is None or call.op.view]
    for call in views:
        source = next(values_in(call.args), None)
        for output in call.outputs:
            if source is not None and root(output) is not root(source):
                parent[root(output)] = root(source)
    written = {root(value) for call in calls for value in call.written}
    for call in views:
        yield call, any(root(output) in written for output in call.outputs)


def reached(calls: Calls) -> list[frozenset[Value]]:
    """Return for every output the inputs that recorded calls computed it from."""
    found = {value: frozenset((value,)) for value in calls.inputs}
    none: frozenset[Value] = frozenset()
    for call in calls.calls:
        taken = [found.get(v, none) for v in values_in(call.args) if v not in call.stopped]
        for output in call.outputs if call.recorded else ():
            found[output] = none.union(*taken)
    return [found.get(output, none) for output in calls.outputs]


def statistics(calls: Calls) -> set[Value]:
    """Return the inputs that are written by layers in training only, which do not read them."""
    written = {
        v: call for call in calls.calls for v in call.written if call.op and call.op.training
    }
    uses = [(v, call) for call in calls.calls for v in (*values_in(call.args), *call.written)]
    other = {v for v, call in uses if written.get(v) is not call}
    return set(written) - other


def difference(first: Calls, second: Calls, same: Callable[[Value, Value], bool]) -> Call | None:
    """Return the first call of `second` that is not the one of `first`, or None if all agree.

    `same` compares two inputs.
    """
    table: dict[Value, Value] = {}
    ours, theirs = (*first.inputs, *first.keys), (*second.inputs, *second.keys)
    table.update(zip(theirs, ours, strict=False))
    for call, twin in zip(first.calls, second.calls, strict=False):
        if call.op is not twin.op or call.recorded != twin.recorded:
            return twin
        if call.op is None and call.fn != twin.fn:
            return twin
        args = mapped((*twin.args, twin.attrs, twin.out), lambda value: table.get(value, value))
        if not _equal((*call.args, call.attrs, call.out), args):
            return twin
        table.update(zip(twin.outputs, call.outputs, strict=True))
    if len(first.calls) != len(second.calls) or len(first.inputs) != len(second.inputs):
        longer = max(first.calls, second.calls, key=len)
        return longer[min(len(first.calls), len(second.calls)) - 1] if longer else None
    for one, other in zip(first.inputs, second.inputs, strict=True):
        if not same(one, other):
            return _first_use(second, other)
    ends = [table.get(value, value) for value in second.outputs]
    return None if ends == list(first.outputs) else second.calls[-1]


def _first_use(calls: Calls, value: Value) -> Call | None:
    return next((call for call in calls.calls if value in values_in(call.args)), None)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, (list, tuple)):
        return (
            isinstance(other, (list, tuple))
            and len(one) == len(other)
            and all(_equal(a, b) for a, b in zip(one, other, strict=True))
        )
    if isinstance(one, dict):
        return isinstance(other, dict) and _equal([*one.items()], [*other.items()])
    if isinstance(one, Value) or isinstance(other, Value):
        return one is other
    if isinstance(one, (float, complex)):
        return repr(one) == repr(other)  # 0.0 is not -0.0, and nan is nan
    return type(one) is type(other) and bool(one == other)
