"""Compiled: a captured program as a call on arrays, one task of the engine."""

import math
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from regluon import random
from regluon.array.capture import Captured
from regluon.array.dispatch import push_quietly, state
from regluon.array.faults import placed
from regluon.array.handle import Handle, Node, free
from regluon.array.quick import Quick
from regluon.base import user_line
from regluon.context import Context
from regluon.engine.selection import selected
from regluon.graph.calls import reached, statistics
from regluon.graph.execution import Execution, Plan
from regluon.graph.node import values_in


SHORT = 250e-6  # seconds: a program that takes no longer runs on the caller's thread


class Compiled:
    """Runs a captured program on arrays that stand for `captured.arrays`, in that order.

    title: what messages and the profiler call it.
    arguments: so many of the arrays are arguments of the call; the rest is parameters and the like.
    """

    def __init__(
        self, captured: Captured, ctx: Context, title: str, plan: Plan, arguments: int
    ) -> None:
        self.ctx = ctx
        self.title = title
        self.live = captured.live
        self.written = captured.written
        self.kinds = [(type(out), out.spec) for out in captured.outputs]
        self.recorded = [out.recorded() for out in captured.outputs]
        self.keys = list(captured.calls.keys.values())
        calls = captured.calls
        reaching = reached(calls)
        self.sources = [  # for each output, the places of arrays that its gradient goes to
            [i for i, v in enumerate(calls.inputs) if captured.live[i] and v in found]
            for found in reaching
        ]
        bases = {v for call in calls.calls if call.op is None for v in values_in(call.args)}
        self.straight = [i for i in captured.written if calls.inputs[i] in bases]
        kept = statistics(calls)
        read = [place for place in captured.written if calls.inputs[place] not in kept]
        read = read if self.recording else []
        self.execution = Execution(calls, captured.live, captured.written, plan, arguments, read)
        self.execution.title = title
        self.seconds = math.inf  # of the fastest run so far

    def quick(self, arrays: Sequence[Handle], beside: Sequence[tuple[Any, Handle]]) -> Quick | None:
        """Return the short way of this call, if there is one by now."""
        program = self.execution.program
        simple = not (self.recording or self.written or self.keys or len(self.kinds) != 1)
        plain = all(array._view is None and array._data is not None for array in arrays)
        if not (simple and plain and program and self.seconds < SHORT):
            return None
        return Quick(arrays[0], self.kinds[0][0], beside, program.run)

    @property
    def recording(self) -> bool:
        """Whether results are part of the graph for backward."""
        return any(self.recorded)

    def __call__(self, arrays: Sequence[Handle]) -> list[Handle]:
        """Return the results for these arrays: computed at once if that is short, else queued."""
        keys = [random.next_key(self.ctx, name) for name in self.keys]
        engine = selected.engine
        site = user_line() if self.written else ""
        for place in self.written:
            arrays[place].prepare_write(site)
        if engine.inline or self.now(arrays, self.seconds):
            return self._direct(arrays, keys)
        outputs = [cls(None, self.ctx, spec) for cls, spec in self.kinds]
        self._link(arrays, outputs)
        blocks = state.place

        def task() -> None:
            try:
                self._store(outputs, self._compute(arrays, keys))
            except Exception as error:
                raise placed(error, blocks) from error.__cause__

        self.push(task, arrays, outputs)
        return outputs

    def push(
        self, task: Callable[[], None], arrays: Sequence[Handle], results: Sequence[Handle]
    ) -> None:
        """Queue a task that reads the arrays, and writes some of them and the results."""
        written = [*(arrays[place] for place in self.written), *results]
        size = sum(spec.nbytes for _, spec in self.kinds)
        push_quietly(task, arrays, written, self.ctx, self.title, size=size)

    def now(
        self, arrays: Sequence[Handle], seconds: float, gradients: Sequence[Handle] = ()
    ) -> bool:
        """Say whether the caller's thread can run this: it is short, nothing in it unfinished."""
        engine = selected.engine
        if seconds > SHORT or engine.small < 0 or (self.recording and engine.ordered):
            return False
        return free(arrays, [*(arrays[place] for place in self.written), *gradients])

    def _direct(self, arrays: Sequence[Handle], keys: Sequence[int]) -> list[Handle]:
        engine = selected.engine
        if engine.inline:
            for array in arrays:
                engine.wait_for_var(array.root)
        results = engine.run(lambda: self._compute(arrays, keys), self.title)
        outputs = [cls(None, self.ctx, spec) for cls, spec in self.kinds]
        if self.recording:
            self._link(arrays, outputs)
        self._store(outputs, results)
        return outputs

    def _compute(self, arrays: Sequence[Handle], keys: Sequence[int]) -> Sequence[Tensor]:
        begin = time.perf_counter()
        execution = self.execution
        for place in self.straight:  # views of it are written, which not every layout has
            if not arrays[place].value().is_contiguous():
                arrays[place].make_contiguous()
        if self.recording:
            given = zip(arrays, self.live, strict=True)
            tensors = [a.graph_value() if live else a.value() for a, live in given]
            results = execution.run_recorded(tensors, keys)
        else:
            results = execution.run([array.value() for array in arrays], keys)
        self.seconds = min(self.seconds, time.perf_counter() - begin)
        return results

    def _link(self, arrays: Sequence[Handle], outputs: Sequence[Handle]) -> None:
        """Enter recorded results into the graph of arrays."""
        if not self.recording:
            return
        inputs = [(weakref.ref(array.root), array.root.version) for array in arrays]
        work = self.seconds * 1e9
        for output, recorded, places in zip(outputs, self.recorded, self.sources, strict=True):
            if recorded:
                nodes = [arrays[place]._node for place in places]
                output._node = Node(tuple(n for n in nodes if n is not None), inputs, work)

    def _store(self, outputs: Sequence[Handle], results: Sequence[Tensor]) -> None:
        for output, result in zip(outputs, results, strict=True):
            if output._node is not None:
                output._graph = result
            else:
                output._data = result.detach() if result.requires_grad else result
