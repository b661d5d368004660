"""The run of a random program on the engine in use, compared with the run of its good steps.

Arrays that failed must raise at every read until they are overwritten, what a failing step would
have updated must keep its value, and everything else must be as in the reference.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as onp

import regluon as mx
from regluon.random import keyed
from tests.engine.array_model import CONTEXTS, Model, indices, injected
from tests.engine.array_programs import PLACES, Program, Step


class Wrong(AssertionError):
    """Another outcome than the reference says."""


class Run:
    """One run of a program. `reference` is an earlier one to compare with; without, this is it."""

    def __init__(self, program: Program, reference: "Run | None", change: Callable[..., None]):
        self.program, self.reference, self.change = program, reference, change
        self.F = mx.np if program.numpy else mx.nd
        self.exact = True
        self.told: set[int] = set()  # storages of steps that failed at the call already
        self.raised = 0
        self.seen: list[Any] = []
        self.arrays = [self.array(s.ctx, s.size, i) for i, s in enumerate(program.inputs)]
        self.arrays += [None, None]
        self.models = {
            (kind, ctx, size): Model(
                kind,
                self.array(ctx, size, 1000 + size),
                self.array(ctx, size, 2000 + size),
                added=program.added,
            )
            for kind, ctx, size in program.models
        }

    def array(self, ctx: int, size: int, number: int) -> Any:
        rng = onp.random.default_rng([self.program.seed, number])
        values = rng.uniform(-1, 1, (size, size))
        return self.F.array(values, dtype=self.program.dtype, ctx=CONTEXTS[ctx])

    def go(self) -> "Run":
        """Run all steps, and compare every array that is left."""
        for number, step in enumerate(self.program.steps):
            try:
                self._step(step)
            except Exception as error:
                raise Wrong(f"step {number} {step}: {type(error).__name__}: {error}") from error
        self._settle()
        for place in range(len(self.arrays)):
            slot = self.program.slots[place]
            self._compare(f"slot {place}", self.arrays[place], slot.storage)
        for key, (weight, grad) in self.program.models.items():
            model = self.models[key]
            self._compare(f"{key} weight", model.weight, weight)
            self._compare(f"{key} gradient", model.weight.grad, grad)
            if model.kind == "leaf":
                self._compare(f"{key} bias", model.bias, weight)
        return self

    def _settle(self) -> None:
        try:
            mx.nd.waitall()
        except Exception as error:
            if self.reference is None or not injected(error):
                raise
        if not self.program.shared:
            mx.nd.waitall()  # everything was told

    def _step(self, step: Step) -> None:
        if self.reference is None:
            if step.failing:
                self._fill_places(step)
            elif step.name != "setting":
                self._do(step)
            return
        if not self.told.isdisjoint(step.reads):
            self._skip(step)
            return
        try:
            self._insist(lambda: self._do(step), step.failing)
        except Exception as error:
            if not (step.failing and injected(error)):
                raise
            self.raised += 1
            self._skip(step)
            return
        self.told -= step.changes

    def _skip(self, step: Step) -> None:
        self.told |= step.changes
        self._fill_places(step)
        if step.name == "read":
            self.seen.append(None)

    def _fill_places(self, step: Step) -> None:
        """Put arrays where those of a failing step would be, so that they can be overwritten."""
        for place, slot in step.makes:
            if slot.view:
                self._do(step)
                return
            if place < PLACES:
                self.arrays[place] = self.array(slot.ctx, slot.size, 0)
            else:
                self.arrays[place] = None
        if step.name == "read" and self.reference is None:
            self.seen.append(None)

    def _insist(self, fn: Callable[[], Any], failing: bool) -> Any:
        """Call `fn` again where it tells of an earlier step, as every wait may do once."""
        for _ in range(500):
            try:
                return fn()
            except Exception as error:
                if failing or not injected(error):
                    raise
                self.raised += 1
        raise Wrong("the error of another step is raised again and again")

    def _compare(self, what: str, array: Any, storage: int) -> None:
        failing = storage in self.program.failed
        if array is None:  # a loss that was never computed
            self.seen.append(None)
        elif self.reference is None:
            self.seen.append(None if failing else array.asnumpy())
        else:
            self._check(what, array, failing, storage in self.told)

    def _check(self, what: str, array: Any, failing: bool, told: bool) -> None:
        """Compare an array with what the reference saw here."""
        assert self.reference is not None
        want = self.reference.seen[len(self.seen)]
        self.seen.append(None)
        if told:
            return
        if failing:
            for _ in range(2):
                try:
                    array.asnumpy()
                except Exception as error:
                    if not injected(error):
                        raise
                    self.raised += 1
                else:
                    raise Wrong(f"{what} gives data although it failed")
            return
        got = self._insist(array.asnumpy, failing=False)
        if self.exact:
            same = onp.array_equal(got, want, equal_nan=True)
        else:
            same = onp.allclose(got, want, rtol=1e-3, atol=1e-3 * max(1, onp.abs(want).max()))
        if not same:
            worst = onp.abs(got.astype("float64") - want).max()
            raise Wrong(f"{what} is wrong by {worst}")

    # The steps

    def _do(self, step: Step) -> None:
        arrays = [self.arrays[slot] for slot in step.slots]
        do: Callable[..., Any] = getattr(self, "_" + step.name.replace(" ", "_"))
        made = do(step, step.arg, *arrays)
        if not step.makes:
            return
        if len(step.makes) == 1:
            made = (made,)
        for (place, _), array in zip(step.makes, made, strict=True):
            self.arrays[place] = array

    def _unary(self, step: Step, name: str, a: Any) -> Any:
        F = self.F
        if name == "sigmoid":
            return mx.npx.sigmoid(a) if F is mx.np else F.sigmoid(a)
        return getattr(F, name)(a)

    def _binary(self, step: Step, name: str, a: Any, b: Any) -> Any:
        F = self.F
        if name == "dot":
            return F.dot(a, b) / a.shape[0]
        if name == "where":
            return F.where(a < b, a, b * 0.5)
        if name == "less":
            return (a < b) * 0.5 + b * 0.25
        return (a + b) * 0.5 if name == "mean" else a * 0.5 + b

    def _view(self, step: Step, way: int, a: Any) -> Any:
        size = a.shape[0]
        if way == 0 or (way < 3 and self.F is mx.np):  # a.reshape is a copy in mx.np
            return a[0:size]
        if way == 1:
            return a.reshape((size, size))
        return a.reshape((-1,)).reshape((size, size)) if way == 2 else a.detach()

    def _lazy_copy(self, step: Step, way: int, a: Any) -> Any:
        size = a.shape[0]
        if way == 0:
            return a.T
        if way == 1 or self.F is mx.np:
            return self.F.swapaxes(a, 0, 1)
        return mx.nd.reshape(a, (size, size))

    def _copy_away(self, step: Step, method: bool, a: Any) -> Any:
        other = CONTEXTS[step.makes[0][1].ctx]
        return a.as_in_context(other) if method else a.copyto(other)

    def _random(self, step: Step, arg: tuple[int, int], a: Any) -> Any:
        key, kind = arg
        F, numpy = self.F, self.F is mx.np
        with keyed(self.program.seed * 1000 + key):
            if kind == 0:
                return (
                    mx.npx.dropout(a, 0.5, mode="always") if numpy else F.Dropout(a, 0.5, "always")
                )
            draw = F.random.uniform if kind == 1 else F.random.normal
            shape = {"size" if numpy else "shape": a.shape}
            return draw(0, 1, dtype=self.program.dtype, ctx=a.context, **shape) + a * 0.5

    def _two_parts(self, step: Step, arg: None, a: Any) -> Any:
        F = self.F
        if F is mx.np:
            return F.split(F.concatenate([a, a * 0.5], axis=0), 2, axis=0)
        return F.split(F.concat(a, a * 0.5, dim=0), num_outputs=2, axis=0)

    def _take(self, step: Step, shift: int, a: Any) -> Any:
        rows = self._rows(a, shift, step)
        return self.F.take(a, rows, axis=0, mode="raise")

    def _rows(self, a: Any, shift: int, step: Step) -> Any:
        rows = indices(a.shape[0], shift, a.context, bad=step.failing)
        return rows.as_np_ndarray() if self.F is mx.np else rows

    def _row(self, step: Step, arg: tuple[int, float], a: Any) -> None:
        a[arg[0]] = arg[1]

    def _in_place(self, step: Step, sign: str, a: Any) -> None:
        if sign == "+":
            a += 0.5
        else:
            a *= 0.5

    def _in_place_by(self, step: Step, arg: None, a: Any, b: Any) -> None:
        a -= b * 0.5

    def _fill(self, step: Step, arg: tuple[int, float]) -> None:
        self.arrays[arg[0]][:] = arg[1]

    def _copyto(self, step: Step, target: int, b: Any) -> None:
        if self.arrays[target] is not b:
            b.copyto(self.arrays[target])

    def _out(self, step: Step, target: int, b: Any, c: Any) -> None:
        self.F.maximum(b, c, out=self.arrays[target])

    def _take_out(self, step: Step, arg: tuple[int, int], b: Any) -> None:
        target, shift = arg
        rows = self._rows(b, shift, step)
        self.F.take(b, rows, axis=0, mode="raise", out=self.arrays[target])

    def _bad_row(self, step: Step, arg: None, a: Any) -> None:
        a[indices(a.shape[0], 0, a.context, bad=True)] = 77.0

    def _push(self, step: Step, arg: tuple[str, int], a: Any, other: Any) -> None:
        kind, way = arg

        def function() -> None:
            mean = float(other.asnumpy().mean()) if way < 2 else 0.25
            if step.failing:
                raise ValueError("injected into a pushed function")
            if way == 0:
                a.to_torch().mul_(0.5).add_(mean)
            else:
                a[:] = a * 0.5 + mean

        mx.engine.push(function, [other], [a], a.context, kind=kind)

    def _memory(self, step: Step, arg: None) -> Any:
        ((_, slot),) = step.makes
        huge = self.F.zeros((10**7, 10**7), ctx=CONTEXTS[slot.ctx], dtype=self.program.dtype) + 1
        return (mx.npx if self.F is mx.np else mx.nd).slice(huge, (0, 0), (slot.size, slot.size))

    def _read(self, step: Step, way: int, a: Any) -> None:
        storage = next(iter(step.reads))
        if self.reference is None:
            self.seen.append(a.asnumpy())
        elif way == 0 or step.failing:
            self._check("read", a, step.failing, storage in self.told)
        else:
            self.seen.append(None)
            waits = (a.wait_to_read, a.wait_to_write, lambda: a[0].asnumpy())
            self._insist(waits[way - 1] if a.shape else a.asnumpy, failing=False)

    def _waitall(self, step: Step, arg: None) -> None:
        try:
            mx.nd.waitall()
        except Exception as error:
            if not injected(error):
                raise

    def _setting(self, step: Step, arg: tuple[int, int]) -> None:
        self.change(*arg)

    def _forward(self, step: Step, arg: tuple[Any, str], a: Any) -> Any:
        key, bad = arg
        return self.models[key].forward(a, bad)

    def _backward(self, step: Step, arg: None, loss: Any) -> None:
        loss.backward()

    def _update(self, step: Step, arg: tuple[Any, str, int]) -> None:
        key, bad, way = arg
        self.models[key].update(bad, way)


def outcome(runs: list[Run]) -> list[BaseException]:
    """Run several programs, each on a thread of its own; return what went wrong."""
    errors: list[BaseException] = []

    def go(run: Run) -> None:
        try:
            run.go()
        except Exception as error:
            errors.append(error)

    if len(runs) == 1:
        go(runs[0])
        return errors
    people = [threading.Thread(target=go, args=(run,)) for run in runs]
    for person in people:
        person.start()
    for person in people:
        person.join()
    return errors
