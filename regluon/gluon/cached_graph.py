"""CachedGraph: the compiled programs of one hybridized block, one for every signature of a call."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from regluon.array.capture import Capture, Captured, Reason, same_constant
from regluon.array.compiled import Compiled
from regluon.array.dispatch import settle, state
from regluon.array.handle import Handle
from regluon.base import user_line
from regluon.context import Context
from regluon.gluon.parameter import Parameter
from regluon.graph.calls import difference
from regluon.graph.execution import Plan


_log = logging.getLogger("regluon.hybridize")
_MANY = 64  # so many signatures of one block are compiled; others run eagerly


class _Plain:
    """Stands in a structure for an array: its place among the arrays."""

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        self.place = place


class Entry:
    """What is known of one signature: captured once, compared with a second capture, compiled."""

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.captured: Captured | None = None
        self.compiled: Compiled | None = None
        self.taken: list[tuple[Parameter | None, Handle]] = []  # the arrays beside the arguments
        self.flags: list[bool] = []  # which of them gradients flow to
        self.structure: Any = None  # of the results
        self.results: list[int] = []  # places of results: of outputs, or ~place of the arrays


class CachedGraph:
    """Calls one block: eagerly at first, through compiled programs as soon as there are some.

    title: the block's name, for messages. parameters: a function that returns the parameters.
    """

    def __init__(
        self, title: str, plan: Plan, parameters: Callable[[], dict[str, Parameter]]
    ) -> None:
        self.title = title
        self.plan = plan
        self.parameters = parameters
        self.entries: dict[Any, Entry] = {}

    def call(self, eager: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Return what `eager(*args)` returns."""
        arrays: list[Handle] = []
        structure = _flatten(args, arrays)
        if not arrays:
            return eager(*args)
        key = _signature(structure, arrays)
        entry = self.entries.get(key)
        if entry is None:
            entry = self._new(key, arrays)
        compiled = entry.compiled
        if compiled is not None:
            taken = self._taken(entry, arrays[0]._ctx)
            if taken is not None:
                return self._replay(entry, compiled, [*arrays, *taken])
            self._log(arrays, "other parameters take part, or other gradients are asked for")
            self.entries[key] = entry = Entry()
        if entry.reason is not None:
            return eager(*args)
        return self._observe(entry, eager, args, arrays)

    # Signatures

    def _new(self, key: Any, arrays: Sequence[Handle]) -> Entry:
        entry = Entry()
        if len(self.entries) == _MANY:
            text = f"{_MANY} signatures are compiled; calls with others run eagerly from now on"
            _log.warning("%s: %s", self.title, text)
        if len(self.entries) >= _MANY:
            entry.reason = Reason("too many signatures", user_line(), None)
            return entry
        self._log(arrays, self._novelty(key) if self.entries else "the first call")
        self.entries[key] = entry
        return entry

    def _novelty(self, key: Any) -> str:
        """Say in which respect a signature is new."""
        words = ("structure", "kinds and dtypes", "shapes", "context", "gradients of the arguments")
        words = (*words, "recording", "training", "semantics")
        new = [
            [word for word, one, other in zip(words, key, old, strict=True) if one != other]
            for old in self.entries
        ]
        best = min(new, key=len)
        return f"new {' and '.join(best)}"

    def _log(self, arrays: Sequence[Handle], why: str) -> None:
        shown = ", ".join(f"{str(a.spec.dtype)[6:]}{a.spec.shape}" for a in arrays)
        _log.info("%s(%s) is traced: %s (at %s)", self.title, shown, why, user_line())

    # The first two calls

    def _observe(
        self, entry: Entry, eager: Callable[..., Any], args: tuple[Any, ...], arrays: list[Handle]
    ) -> Any:
        """Run eagerly and note what happens."""
        capture = Capture(arrays, arrays[0]._ctx)
        state.capture = capture
        try:
            returned = eager(*args)
        finally:
            state.capture = None
        results: list[Handle] = []
        structure = _flatten(returned, results)
        known = {id(array): ~place for place, array in enumerate(capture.arrays)}
        outputs = list({id(r): r for r in results if id(r) not in known}.values())
        known.update({id(output): place for place, output in enumerate(outputs)})
        captured = capture.finish(outputs)
        if captured is None:
            self.leave(entry, capture.reason)
            return returned
        if entry.captured is not None:
            changed = self._changed(entry.captured, captured, len(arrays))
            if changed is not None:
                self.leave(entry, changed)
                return returned
        if entry.captured is None and self.plan.verify is not None:
            entry.captured = captured
            return returned
        entry.captured = None
        entry.structure = structure
        entry.results = [known[id(result)] for result in results]
        owners = {
            id(array): param for param in self.parameters().values() for array in param._copies
        }
        entry.taken = [(owners.get(id(a)), a) for a in captured.arrays[len(arrays) :]]
        entry.flags = list(captured.live[len(arrays) :])
        entry.compiled = Compiled(captured, capture.ctx, self.title, self.plan, len(arrays))
        return returned

    def _changed(self, first: Captured, second: Captured, arguments: int) -> Reason | None:
        """Return the reason why one program cannot stand for two captures, if they differ."""
        pairs = dict(zip(first.calls.inputs, first.arrays, strict=True))
        pairs |= dict(zip(second.calls.inputs, second.arrays, strict=True))
        given = set(first.calls.inputs[:arguments])

        def same(one: Any, other: Any) -> bool:
            if one in given:
                return True
            settle(pairs[one])
            settle(pairs[other])
            return same_constant(pairs[one], pairs[other])

        call = difference(first.calls, second.calls, same)
        if call is None:
            return None
        text = f"two calls alike did different things: {call.title} was called otherwise, or with "
        return Reason(text + "another number or array, the second time", call.site.line, None)

    def leave(self, entry: Entry, reason: Reason | None) -> None:
        """Leave this signature eager, and say why."""
        entry.reason = reason
        _log.info("%s runs eagerly: %s", self.title, reason)

    # All calls after

    def _taken(self, entry: Entry, ctx: Context) -> list[Handle] | None:
        """Return the arrays beside the arguments as they are now, or None if they do not fit."""
        found = []
        for (param, array), live in zip(entry.taken, entry.flags, strict=True):
            if param is not None:
                now = param._data.get(ctx)
                if now is not array:
                    if now is None or now.spec != array.spec or now._ctx is not ctx:
                        return None
                    array = now
            node = array._node
            if (node is not None and not node.spent) is not live:
                return None
            found.append(array)
        return found

    def _replay(self, entry: Entry, compiled: Compiled, arrays: list[Handle]) -> Any:
        outputs = compiled(arrays)
        if entry.structure.__class__ is _Plain and entry.results == [0]:
            return outputs[0]
        results = [outputs[p] if p >= 0 else arrays[~p] for p in entry.results]
        return _restored(entry.structure, results)


def _signature(structure: Any, arrays: Sequence[Handle]) -> Any:
    specs = [array.spec for array in arrays]
    return (
        _frozen(structure),
        tuple((type(array), spec.dtype) for array, spec in zip(arrays, specs, strict=True)),
        tuple(spec.shape for spec in specs),
        tuple(array._ctx for array in arrays),
        tuple(array.recorded() for array in arrays) if state.recording else (),
        state.recording,
        state.training,
        (state.numpy, state.np_shape),
    )


def _flatten(thing: Any, arrays: list[Handle]) -> Any:
    """Return a structure with places instead of arrays, which are added to the list."""
    if isinstance(thing, Handle):
        arrays.append(thing)
        return _Plain(len(arrays) - 1)
    if isinstance(thing, (list, tuple)):
        parts = [_flatten(item, arrays) for item in thing]
        if isinstance(thing, tuple) and hasattr(thing, "_fields"):
            return type(thing)(*parts)
        return parts if isinstance(thing, list) else tuple(parts)
    if isinstance(thing, dict):
        return {key: _flatten(item, arrays) for key, item in thing.items()}
    return thing


def _restored(structure: Any, arrays: Sequence[Handle]) -> Any:
    if isinstance(structure, _Plain):
        return arrays[structure.place]
    if isinstance(structure, (list, tuple)):
        parts = [_restored(item, arrays) for item in structure]
        if isinstance(structure, tuple) and hasattr(structure, "_fields"):
            return type(structure)(*parts)
        return parts if isinstance(structure, list) else tuple(parts)
    if isinstance(structure, dict):
        return {key: _restored(item, arrays) for key, item in structure.items()}
    return structure


def _frozen(structure: Any) -> Any:
    """Return a structure as a key: numbers count by type and value."""
    if isinstance(structure, _Plain):
        return _Plain
    if isinstance(structure, (list, tuple)):
        return (type(structure), *map(_frozen, structure))
    if isinstance(structure, dict):
        return (dict, *((key, _frozen(item)) for key, item in structure.items()))
    try:
        hash(structure)
    except TypeError:
        return (type(structure), id(structure))
    return (type(structure), structure)


def descendants(block: Any) -> Iterator[Any]:
    """Yield all blocks inside a block."""
    for child in block._children.values():
        yield child
        yield from descendants(child)
