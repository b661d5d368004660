"""CachedGraph: the compiled programs of one hybridized block, one for every signature of a call."""

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from operator import is_
from typing import Any

from regluon.array.capture import Capture, Captured, Reason, same_constant
from regluon.array.compiled import Compiled
from regluon.array.dispatch import settle, state
from regluon.array.handle import Handle
from regluon.array.quick import Quick
from regluon.array.stand_in import StandIns
from regluon.base import user_line
from regluon.context import Context
from regluon.gluon.guard import Guard
from regluon.gluon.parameter import Parameter
from regluon.gluon.structure import Place, flatten, frozen, holds, restored
from regluon.graph.calls import difference
from regluon.graph.execution import Plan


_log = logging.getLogger("regluon.hybridize")
_RESPECTS = (
    "structure", "kinds and dtypes", "shapes", "context", "gradients of the arguments",
    "recording", "training", "semantics", "arrays given twice",
)  # fmt: skip
_OFTEN = 16  # so many times programs are made anew before it is worth a warning
_DOUBTS = 3  # so many captures that another thread may have disturbed are made again
_MANY = 64  # so many signatures of one block are compiled; others run eagerly


class Entry:
    """What is known of one signature: captured once, compared with a second capture, compiled."""

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.captured: Captured | None = None
        self.compiled: Compiled | None = None
        self.doubts = 0
        self.taken: list[tuple[Parameter | None, Handle]] = []  # the arrays beside the arguments
        self.flags: list[bool] = []  # which of them gradients flow to
        self.structure: Any = None  # of the results
        self.form: Any = None  # the same, to be compared
        self.results: list[int] = []  # places of results: of outputs, or ~place of the arrays

    def restored(self, outputs: Sequence[Handle], arrays: Sequence[Handle]) -> Any:
        """Return results in the structure that the block returned."""
        if self.structure.__class__ is Place and self.results == [0]:
            return outputs[0]
        results = [outputs[p] if p >= 0 else arrays[~p] for p in self.results]
        return restored(self.structure, results)


class CachedGraph:
    """Calls one block: eagerly at first, through compiled programs as soon as there are some."""

    def __init__(self, block: Any, plan: Plan) -> None:
        self.block = block
        self.plan = plan
        self.entries: dict[Any, Entry] = {}
        self.guard: Guard | None = None  # of all entries
        self.renewed = 0  # how often the guard had all entries made anew
        self.full = False  # there are too many entries
        self.odd = False  # a call with arguments that are no data was seen
        self.quick: Quick | None = None  # the short way of the last call that has one

    def __deepcopy__(self, memo: dict[int, Any]) -> "CachedGraph":
        """A copied block makes programs of its own."""
        return CachedGraph(copy.deepcopy(self.block, memo), self.plan)

    @property
    def title(self) -> str:
        """The block's name, for messages."""
        name: str = self.block.name
        return name

    def call(self, eager: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Return what `eager(*args)` returns."""
        arrays: list[Handle] = []
        structure = flatten(args, arrays)
        if not arrays:
            return eager(*args)
        try:
            key = _signature(structure, arrays)
        except TypeError as error:
            self._pass_over(error)
            return eager(*args)
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
        return self._observe(entry, eager, args, structure, arrays)

    @property
    def source(self) -> str:
        """The source of all programs made so far."""
        made = (e.compiled.execution for e in self.entries.values() if e.compiled is not None)
        return "\n".join(source for execution in made if (source := execution.source))

    def ready(self, args: tuple[Any, ...]) -> tuple[Entry, list[Handle]] | None:
        """Return what is compiled for these arguments and all arrays it takes, or None."""
        arrays: list[Handle] = []
        structure = flatten(args, arrays)
        if not arrays or not self.unchanged():
            return None
        entry = self.entries.get(_signature(structure, arrays))
        if entry is None or entry.compiled is None:
            return None
        taken = self._taken(entry, arrays[0]._ctx)
        return None if taken is None else (entry, [*arrays, *taken])

    def unchanged(self) -> bool:
        """Say whether all is as it was for the programs; if not, they are made anew."""
        if self.guard is None:
            return True
        what = self.guard.changed()
        if not what:
            return True
        _log.info("%s is traced again: %s has changed (at %s)", self.title, what, user_line())
        self.renewed += 1
        if self.renewed == _OFTEN:
            text = "%s is traced again and again, as %s changes: make that an array or an argument"
            _log.warning(text, self.title, what)
        self.clear()
        return False

    def clear(self) -> None:
        """Forget all programs."""
        self.entries.clear()
        self.guard = self.quick = None

    def _pass_over(self, error: TypeError) -> None:
        """Leave a call eager whose arguments cannot be remembered."""
        level = logging.INFO if self.odd else logging.WARNING
        self.odd = True
        _log.log(level, "%s runs eagerly for this call: %s (at %s)", self.title, error, user_line())

    # Signatures

    def _new(self, key: Any, arrays: Sequence[Handle]) -> Entry:
        entry = Entry()
        if len(self.entries) >= _MANY and not self.full:
            self.full = True
            text = f"{_MANY} signatures are compiled; calls with others run eagerly from now on"
            _log.warning("%s: %s", self.title, text)
        if len(self.entries) >= _MANY:
            entry.reason = Reason("too many signatures", user_line())
            return entry
        if self.guard is None:
            self.guard = Guard([self.block, *descendants(self.block)])
        self._log(arrays, self._novelty(key) if self.entries else "its first call")
        self.entries[key] = entry
        if len(set(key[-1])) < len({id(array) for array in arrays}):
            self.leave(entry, Reason("two arguments share memory", user_line()))
        return entry

    def _novelty(self, key: Any) -> str:
        """Say in which respect a signature is new."""
        new = [
            [word for word, one, other in zip(_RESPECTS, key, old, strict=True) if one != other]
            for old in self.entries
        ]
        best = min(new, key=len)
        best = best[:1] if best[0] == _RESPECTS[0] else best  # all else follows from it
        return f"new {' and '.join(best)}"

    def _log(self, arrays: Sequence[Handle], why: str) -> None:
        shown = ", ".join(f"{str(a.spec.dtype)[6:]}{a.spec.shape}" for a in arrays)
        _log.info("%s(%s) is traced: %s (at %s)", self.title, shown, why, user_line())

    # The first two calls

    def _observe(
        self,
        entry: Entry,
        eager: Callable[..., Any],
        args: tuple[Any, ...],
        structure: Any,
        arrays: list[Handle],
    ) -> Any:
        """Run eagerly and note what happens.

        Other arrays stand for the arguments the second time, and for views always.
        """
        first = entry.captured
        stand_ins = StandIns(arrays, range(len(arrays)) if first is None else first.written)
        given = stand_ins.given
        args = args if all(map(is_, given, arrays)) else restored(structure, given)
        capture = Capture(given, arrays[0]._ctx)
        state.capture = capture
        try:
            returned = eager(*args)
            capture.look()
            if not holds(args, structure, given):
                capture.refuse("forward() changes the list or dict that is its argument")
        finally:
            state.capture = None
            stand_ins.leave(capture.wrote)
        results: list[Handle] = []
        shape = flatten(returned, results)
        captured = self._finished(entry, capture, results)
        if captured is not None:
            known = {id(array): ~place for place, array in enumerate(captured.arrays)}
            known.update({id(output): i for i, output in enumerate(captured.outputs)})
            self._advance(entry, captured, shape, [known[id(result)] for result in results], arrays)
        return restored(shape, stand_ins.resolved(results))

    def _finished(
        self, entry: Entry, capture: Capture, results: Sequence[Handle]
    ) -> Captured | None:
        """Return what was captured, or leave the block eager and return None."""
        if capture.reason is None and self.guard is not None:
            what = self.guard.changed()
            if what:
                capture.refuse(f"forward() changes {what}")
        for result in results:
            capture.meet(result)
        known = {id(array) for array in capture.arrays}
        outputs = list({id(r): r for r in results if id(r) not in known}.values())
        captured = capture.finish(outputs)
        reason = capture.reason
        if reason is not None:
            entry.doubts += 1
            if reason.certain or entry.doubts > _DOUBTS:
                self.leave(entry, reason)
        return captured

    def _advance(
        self,
        entry: Entry,
        captured: Captured,
        structure: Any,
        results: list[int],
        arrays: Sequence[Handle],
    ) -> None:
        """Go on with an entry after a capture: to the next one, to a program, or nowhere."""
        first = entry.captured
        try:
            form = frozen(structure)
        except TypeError as error:
            self.leave(entry, Reason(f"of the results, {error}", user_line()))
            return
        if first is not None:
            changed = self._changed(first, captured, len(arrays))
            if form != entry.form or results != entry.results:
                text = "two calls alike returned something else"
                changed = changed or Reason(text, user_line(), state.place)
            if changed is not None:
                beside = {id(array) for array in captured.arrays[len(arrays) :]}
                if any(id(array) in beside for array in arrays) and not entry.doubts:
                    entry.doubts += 1  # the first capture took the one for the other
                    first = None
                else:
                    self.leave(entry, changed)
                    return
        entry.captured, entry.results = captured, results
        entry.structure, entry.form = structure, form
        if first is None and self.plan.verify is not None:
            return
        entry.captured = None
        owners = {
            id(array): param
            for param in self.block.structural_params().values()
            for array in param._copies
        }
        entry.taken = [(owners.get(id(a)), a) for a in captured.arrays[len(arrays) :]]
        entry.flags = list(captured.live[len(arrays) :])
        entry.compiled = Compiled(captured, arrays[0]._ctx, self.title, self.plan, len(arrays))

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
        text += "another number or array, the second time"
        for captured in (first, second):
            for noted, place in zip(captured.calls.calls, captured.places, strict=True):
                if noted is call:
                    return Reason(text, call.site.line, place)
        return Reason(text, call.site.line, state.place)

    def leave(self, entry: Entry, reason: Reason) -> None:
        """Leave this signature eager, or the block that is the reason, and say why."""
        entry.reason = reason
        entry.captured = None
        if reason.place is None:
            _log.info("%s runs eagerly: %s", self.title, reason)
            return
        known = {id(block) for block in (self.block, *descendants(self.block))}
        place = reason.place
        while id(place[0]) not in known:  # a block that is held, but was never registered
            place = place[1]
        block = place[0]
        self.clear()
        if block._eager is None:
            block._eager = reason._replace(place=None)
            _log.warning(
                "%s (%s) stays eager: %s. The blocks inside and beside it are compiled. %s",
                block.name,
                type(block).__name__,
                reason,
                "A choice can be nd.where, a loop over rows npx.foreach; npx.cond and "
                "npx.while_loop keep what depends on values in a small block of its own",
            )

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
        if len(arrays) == len(entry.taken) + 1 and entry.results == [0]:
            self.quick = compiled.quick(arrays, entry.taken)
        return entry.restored(outputs, arrays)


def _signature(structure: Any, arrays: Sequence[Handle]) -> Any:
    specs = [array.spec for array in arrays]
    return (
        frozen(structure),
        tuple((type(array), spec.dtype) for array, spec in zip(arrays, specs, strict=True)),
        tuple(spec.shape for spec in specs),
        tuple(array._ctx for array in arrays),
        tuple(array.recorded() for array in arrays) if state.recording else (),
        state.recording,
        state.training,
        (state.numpy, state.np_shape, state.casts),
        _twice(arrays),
    )


def _twice(arrays: Sequence[Handle]) -> tuple[int, ...]:
    """Return for each array the place of the first one in the same storage."""
    if len(arrays) == 1:
        return (0,)
    first: dict[int, int] = {}
    return tuple(first.setdefault(id(array.root), i) for i, array in enumerate(arrays))


def descendants(block: Any) -> Iterator[Any]:
    """Yield all blocks inside a block."""
    for child in block._children.values():
        yield child
        yield from descendants(child)
