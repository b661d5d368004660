"""Capture: while a block runs eagerly, the door notes here what it does, to make a program."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from regluon.array.dispatch import state
from regluon.array.handle import Handle
from regluon.base import user_line
from regluon.context import Context
from regluon.graph.calls import Call, Calls, sharing
from regluon.graph.node import Meta, Site, Value, values_in


class Reason(NamedTuple):
    """Why a block cannot be a program: what happened, at which line, in which block."""

    text: str
    line: str
    block: Any  # the innermost block that was being called, or None

    def __str__(self) -> str:
        return f"{self.text} (at {self.line})"


class Captured(NamedTuple):
    """What was captured: the calls, the arrays they took from outside, and what they write.

    `arrays` are those that `calls.inputs` stand for: first the arguments of the block, then others
    such as parameters. `live` says which of them gradients flow to. `outputs` are the results.
    """

    calls: Calls
    arrays: list[Handle]
    live: tuple[bool, ...]
    written: tuple[int, ...]
    outputs: list[Handle]


class Capture:
    """Notes the calls of one thread from arguments to results.

    Results are computed as ever meanwhile. Whatever could not be repeated by a program is a
    `reason`: values that are read, work that is no operator, shapes that depend on values.
    """

    def __init__(self, arguments: Sequence[Handle], ctx: Context) -> None:
        self.reason: Reason | None = None
        self.ctx = ctx
        self.arrays = list(arguments)
        self._calls: list[Call] = []
        self._keys: dict[Value, str] = {}
        self._values: dict[int, Value] = {}
        self._kept: list[Handle] = []  # so that no other array gets the identity of one
        self._inputs = [self._enter(a, f"input{i}") for i, a in enumerate(arguments)]
        self._live = [array.recorded() for array in arguments]

    # What the door tells

    def note(self, call: Any, outputs: Sequence[Handle]) -> None:
        """Note a call of an operator that was issued."""
        op = call.op
        if self.reason is not None:
            return
        if op.dynamic:
            self.refuse(f"the shape of {op.title}'s result depends on values")
            return
        if call.ctx is not self.ctx:
            self.refuse(f"{op.title} works on {call.ctx}, the block on {self.ctx}")
            return
        args = tuple(self._argument(arg) for arg in call.args)
        stopped = {self._value(a) for a in call.arrays if id(a) not in call.graph}
        written = tuple(self._value(array.root) for array in call.written)
        key = None
        if op.random:
            key = Value(f"key{len(self._keys)}")
            self._keys[key] = op.name
        targets = tuple(self._value(array) for array in call.out)
        results = () if call.out else tuple(self._enter(out, "") for out in outputs)
        self._calls.append(
            Call(
                fn=op.fn,
                args=args,
                outputs=results,
                op=op,
                attrs=dict(call.attrs),
                out=targets,
                written=written,
                stopped=frozenset(stopped) if call.recorded else frozenset(),
                recorded=call.recorded,
                key=key,
                device=self.ctx.device if op.creates else None,
                site=Site(call.site, call.place[0].name if call.place else ""),
            )
        )

    def read(self) -> None:
        """Note that the program looks at a value."""
        self.refuse("the value of an array was read, on which Python code may depend")

    def refuse(self, text: str) -> None:
        """Note why this cannot be a program; the first reason is kept."""
        if self.reason is None:
            place = state.place
            self.reason = Reason(text, user_line(), place[0] if place else None)

    def rename(self, array: Handle, source: Handle) -> None:
        """From here on `array` is what `source` is."""
        self._values[id(array)] = self._value(source)
        self._kept.append(array)

    def _argument(self, arg: Any) -> Any:
        if isinstance(arg, Handle):
            return self._value(arg)
        return [self._argument(item) for item in arg] if isinstance(arg, list) else arg

    def _value(self, array: Handle) -> Value:
        """Return the value of an array: a result, a view of one, or an array from outside."""
        known = self._values.get(id(array))
        if known is not None:
            return known
        if array._view is None:
            self.arrays.append(array)
            self._live.append(array.recorded())
            value = self._enter(array, f"array{len(self.arrays)}")
            self._inputs.append(value)
            return value
        base = self._value(array._view.base)
        value = self._enter(array, "")
        call = Call(array._view.fn, (base,), (value,), recorded=True, site=Site(user_line()))
        self._calls.append(call)
        return value

    def _enter(self, array: Handle, name: str) -> Value:
        shape, dtype = array.spec
        meta = Meta(shape, dtype, (), self.ctx.device)
        value = Value(name or f"v{len(self._values)}", meta)
        self._values[id(array)] = value
        self._kept.append(array)
        return value

    # The end

    def finish(self, outputs: Sequence[Handle]) -> Captured | None:
        """Return what was captured for these results, or None where there is a reason against."""
        for output in outputs:
            view = output._view
            if view is not None and any(view.base is array for array in (*self.arrays, *outputs)):
                self.refuse("a result is a view into an argument or another result")
        if self.reason is not None:
            return None
        ends = tuple(self._value(output) for output in outputs)
        copied = frozenset(call for call, written in sharing(self._calls) if _parts(call, written))
        calls = Calls(tuple(self._inputs), tuple(self._calls), ends, self._keys, copied)
        changed = {value for call in self._calls for value in call.written}
        written = tuple(i for i, value in enumerate(self._inputs) if value in changed)
        return Captured(calls, self.arrays, tuple(self._live), written, list(outputs))


def _parts(call: Call, written: bool) -> bool:
    """Say whether the result must be a copy: as the door copies before a lazy copy is written."""
    return written and call.op is not None and call.op.view == "lazy copy"


def same_constant(one: Handle, other: Handle) -> bool:
    """Say whether two arrays from outside are the same, or made anew with the same values."""
    if one is other:
        return True
    if one.spec != other.spec or one.recorded() or other.recorded():
        return False
    return torch.equal(one.value(), other.value())


def used(calls: Calls, value: Value) -> bool:
    """Say whether any call takes this input."""
    return any(value in values_in(call.args) for call in calls.calls)
