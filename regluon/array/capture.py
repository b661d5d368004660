"""Capture: while a block runs eagerly, the door notes here what it does, to make a program."""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as onp

from regluon.array.dispatch import state
from regluon.array.handle import Handle
from regluon.base import user_line
from regluon.context import Context
from regluon.graph.calls import Call, Calls, sharing
from regluon.graph.node import Meta, Site, Value


class Reason(NamedTuple):
    """Why a call cannot be a program: what happened, and at which line.

    `place` are the blocks that were being called, as in `state.place`, where the reason lies in
    what the innermost of them does; None where only this call is meant. What is not `certain` may
    have been another thread.
    """

    text: str
    line: str
    place: Any = None
    certain: bool = True

    def __str__(self) -> str:
        return f"{self.text} (at {self.line})"


class Captured(NamedTuple):
    """What was captured: the calls, the arrays they took from outside, and what they write.

    `arrays` are those that `calls.inputs` stand for: first the arguments of the block, then others
    such as parameters. `live` says which of them gradients flow to. `outputs` are the results.
    `places` has for each call the blocks that were being called.
    """

    calls: Calls
    arrays: list[Handle]
    live: tuple[bool, ...]
    written: tuple[int, ...]
    outputs: list[Handle]
    places: list[Any]


class Capture:
    """Notes the calls of one thread from arguments to results.

    Results are computed as ever meanwhile. Whatever could not be repeated by a program is a
    `reason`: values that are read, work that is no operator, shapes that depend on values.
    """

    def __init__(self, arguments: Sequence[Handle], ctx: Context) -> None:
        self.reason: Reason | None = None
        self.ctx = ctx
        self.arrays = list(arguments)
        self.wrote: set[int] = set()  # the identities of arrays
        self._numbers = _random_numbers()
        self._calls: list[Call] = []
        self._places: list[Any] = []
        self._keys: dict[Value, str] = {}
        self._values: dict[int, Value] = {}
        self._kept: list[Handle] = []  # so that no other array gets the identity of one
        self._inputs = [self._enter(a, f"input{i}") for i, a in enumerate(arguments)]
        self._live = [array.recorded() for array in arguments]

    # What the door tells

    def note(self, call: Any, outputs: Sequence[Handle]) -> None:
        """Note a call of an operator that was issued."""
        op = call.op
        self.wrote.update(id(array.root) for array in call.written)
        self.look()
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
        self._add(
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

    def _add(self, call: Call) -> None:
        self._calls.append(call)
        self._places.append(state.place)

    def read(self) -> None:
        """Note that the program looks at a value."""
        self.refuse("the value of an array was read, on which Python code may depend")

    def look(self) -> None:
        """Note if random numbers were drawn that are not an operator's."""
        if self.reason is None and self._numbers != (now := _random_numbers()):
            self._numbers = now
            self.refuse("random numbers of Python or NumPy were drawn", certain=False)

    def refuse(self, text: str, *, certain: bool = True) -> None:
        """Note why this cannot be a program; the first reason is kept."""
        if self.reason is None:
            self.reason = Reason(text, user_line(), state.place, certain)

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
        self._add(call)
        return value

    def _enter(self, array: Handle, name: str) -> Value:
        shape, dtype = array.spec
        meta = Meta(shape, dtype, (), self.ctx.device)
        value = Value(name or f"v{len(self._values)}", meta)
        self._values[id(array)] = value
        self._kept.append(array)
        return value

    # The end

    def meet(self, result: Handle) -> None:
        """Hear of a result: one that no call made comes from outside, such as a parameter."""
        if result._view is None:
            self._value(result)

    def finish(self, outputs: Sequence[Handle]) -> Captured | None:
        """Return what was captured for these results, or None where there is a reason against."""
        outside = {id(array) for array in self.arrays}
        taken = {id(output) for output in outputs}
        for output in outputs:
            root = id(output.root)
            foreign = root in outside or root in taken or root not in self._values
            if output._view is not None and foreign:
                line = user_line()
                self.reason = self.reason or Reason("a result is a view into another array", line)
            taken.add(root)
        if self.reason is not None:
            return None
        ends = tuple(self._value(output) for output in outputs)
        copied = frozenset(call for call, written in sharing(self._calls) if _parts(call, written))
        calls = Calls(tuple(self._inputs), tuple(self._calls), ends, self._keys, copied)
        changed = {value for call in self._calls for value in call.written}
        written = tuple(i for i, value in enumerate(self._inputs) if value in changed)
        live = tuple(self._live)
        return Captured(calls, self.arrays, live, written, list(outputs), self._places)


def _random_numbers() -> Any:
    """Return the state of the global random generators of Python and NumPy, to be compared."""
    name, keys, *place = onp.random.get_state()
    return random.getstate(), name, onp.asarray(keys).tobytes(), place


def _parts(call: Call, written: bool) -> bool:
    """Say whether the result must be a copy: as the door copies before a lazy copy is written."""
    return written and call.op is not None and call.op.view == "lazy copy"


def same_constant(one: Handle, other: Handle) -> bool:
    """Say whether two arrays from outside are the same, or made anew with the same values."""
    if one is other:
        return True
    if one.spec != other.spec or one.recorded() or other.recorded():
        return False
    ours, theirs = one.value(), other.value()
    return bool(((ours == theirs) | ((ours != ours) & (theirs != theirs))).all())
