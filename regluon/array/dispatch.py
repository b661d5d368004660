"""The door: `invoke` is the only way from a call to an engine task; recording flags live here."""

import math
import threading
import weakref
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any, TypeVar

import torch
from torch import Tensor

from regluon import random
from regluon.array import faults
from regluon.array.arguments import as_tensor, flat, out_list, spec_argument, value_argument
from regluon.array.faults import located, mixed_contexts, placed, recorded_write, unfit_out
from regluon.array.handle import Handle, Node, free
from regluon.array.shortcut import NUMBERS, computed, recorded
from regluon.base import user_line
from regluon.context import Context, current_context
from regluon.engine.engine import Engine
from regluon.engine.selection import selected
from regluon.ops.registry import TABLE, Op, Spec


H = TypeVar("H", bound=Handle)

CLASSES: dict[str, type[Handle]] = {}
"""The array class of each family, `nd` and `np`: entered where the classes are defined."""


class _State(threading.local):
    recording = False
    training = False
    numpy = False
    np_shape = False
    casts: Any = None  # mixed precision: what casts the arguments of calls; see regluon.amp
    place: "tuple[Any, Any] | None" = None  # the blocks being called: the innermost, and the rest
    capture: Any = None  # what is told of every call: see capture.py


state = _State()
"""This thread's flags: recording and training, which `autograd` switches, and `mx.util`'s scopes:
`numpy`, what Gluon makes is NumPy-like; `np_shape`, `nd` arrays may have no axes."""


def array_class() -> type[Handle]:
    """Return the class of the arrays that layers and parameters make (see `npx.set_np`)."""
    return CLASSES["np" if state.numpy else "nd"]


def invoke(
    op: Op,
    args: Sequence[Any],
    attrs: dict[str, Any],
    cls: type[H],
    out: Any = None,
    ctx: Context | None = None,
    *,
    priority: int = 0,
) -> Any:
    """Call an operator: return its result, or list of results, as arrays of class `cls`.

    Plain operators on small finished arrays (of any size under NaiveEngine) go a short way, with
    gradients or without; everything else goes through `Issue`. Of the tasks that could run, the
    engine takes the one with the largest `priority` first.
    """
    if state.casts is not None and out is None:
        args, attrs = state.casts(op, args, attrs)
    engine = selected.engine
    limit = engine.direct << op.reach
    if op.plain and out is None and limit >= 0:
        recording = state.recording
        if state.capture is None and not (recording and engine.ordered):
            way = recorded if recording else computed
            result = way(op, args, attrs, cls, limit)
            if result is not None:
                return result
    return Issue(op, args, attrs, cls, ctx, out, priority).issue()


_WHOLE = ((("slice", None, None, None),), (Ellipsis,))
"""Keys of `x[:] = value`, which writes all of an array."""


class Issue:
    """One call of an operator on its way through the door, when the short way does not fit."""

    __slots__ = (
        "_site", "args", "arrays", "attrs", "cls", "ctx", "graph", "key", "listed", "needed", "op",
        "out", "place", "priority", "recorded", "replaced", "specs", "work", "written",
    )  # fmt: skip

    def __init__(
        self,
        op: Op,
        args: Sequence[Any],
        attrs: dict[str, Any],
        cls: type[Handle],
        ctx: Context | None,
        out: Any,
        priority: int = 0,
    ) -> None:
        self.op = op
        self.priority = priority
        self.cls = cls
        self.attrs = attrs or {k: v for k, v in op.attrs.items() if v is not Parameter.empty}
        self._site = ""
        faults.check_given(op, args, attrs)
        given = [arg for arg in flat(args) if isinstance(arg, Handle)]
        given += [array for array in out_list(out) if not given]
        self.ctx = ctx or (given[0]._ctx if given else current_context())
        self.args = tuple(self._argument(arg) for arg in args)
        if not (op.creates or op.random or any(isinstance(a, Handle) for a in flat(self.args))):
            self.args = tuple(self._number(arg) for arg in self.args)
        self.arrays = [arg for arg in flat(self.args) if isinstance(arg, Handle)]
        if not op.creates and any(array._ctx is not self.ctx for array in self.arrays):
            raise mixed_contexts(op, self.args)
        if op.creates:
            _ = self.ctx.device  # a missing GPU is an error at the call
        if op.training:
            self.attrs.setdefault("training", state.training)
        self.key = random.next_key(self.ctx, op.name) if op.random else 0
        self.place = state.place
        self.out: list[Handle] = out_list(out)
        self.listed = op.listed or isinstance(out, (list, tuple))
        if any(array._ctx is not self.ctx for array in self.out):
            raise mixed_contexts(op, (*self.args, *self.out))
        self.written = list(dict.fromkeys([*self._mutated(), *self.out]))
        whole = op.name == "assign" and attrs["key"] in _WHOLE
        targets = self.args[:1] if whole else self.out
        self.needed = self.arrays[1:] if whole else self.arrays
        self.needed = self.needed + [t.root for t in targets if t._view is not None]
        self.replaced = [t for t in targets if all(t is not array.root for array in self.needed)]
        self.recorded = self._is_recorded()
        self.graph = {id(a) for a in self.arrays if a.recorded()} if self.recorded else set()
        self.specs: tuple[Spec, ...] | None = None
        self.work: float = math.inf
        if self.written:
            self._refuse_write()
            for array in self.written:
                array.prepare_write(self.site)

    @property
    def site(self) -> str:
        """The user's line: to be asked for on the thread, and during the call, that issues this."""
        self._site = self._site or user_line()
        return self._site

    def _argument(self, arg: Any) -> Any:
        """Turn lists, NumPy arrays and tensors into arrays on the call's context."""
        if arg is None or isinstance(arg, (Handle, slice, *NUMBERS)):
            return arg
        if isinstance(arg, (list, tuple)) and any(isinstance(item, Handle) for item in arg):
            return list(arg)
        return self.cls(as_tensor(arg, None, self.ctx.device), self.ctx)

    def _number(self, arg: Any) -> Any:
        """Turn a number into an array: where no argument is one, as in `np.exp(2)`."""
        if not isinstance(arg, NUMBERS):
            return arg
        tensor = torch.as_tensor(arg, device=self.ctx.device)
        return self.cls(tensor if self.cls is CLASSES["np"] else tensor.reshape(1), self.ctx)

    def _mutated(self) -> list[Handle]:
        if self.op.training and not self.attrs["training"]:
            return []  # statistics are only read then
        named = dict(zip(self.op.arrays, self.args, strict=False))
        if self.op.variadic:
            named[self.op.arrays[-1]] = list(self.args[len(self.op.arrays) - 1 :])
        return [array for name in self.op.mutates for array in flat((named[name],))]

    def _is_recorded(self) -> bool:
        if not state.recording or not self.op.differentiable:
            return False
        if self.op.variadic:
            return any(array.recorded() for array in self.arrays)
        named = dict(zip(self.op.arrays, self.args, strict=False))
        return any(
            isinstance(arg, Handle) and arg.recorded()
            for name in self.op.differentiable
            for arg in flat((named.get(name),))
        )

    def _refuse_write(self) -> None:
        """Raise, while nothing has changed yet, where the write cannot be."""
        if state.recording:
            for array in self.written:
                if array.recorded():
                    raise recorded_write(self.op, array)
        if not (selected.engine.inline or self.op.dynamic):
            self._check_out(self._infer())

    def _check_out(self, results: Sequence[Spec | Tensor]) -> None:
        """Raise unless every array in `out=` has the shape and dtype of its result."""
        free = not self.arrays and self.attrs.get("dtype") is None  # as out has it, as in MXNet
        error = unfit_out(self.out, results, free)
        if error is not None:
            raise located(error, self.op, self.args, self.attrs, self.site)

    def issue(self) -> Any:
        """Run the call now, or queue it with the shapes of its results known."""
        engine = selected.engine
        if engine.inline or self.op.dynamic or self._now(engine):
            for array in self.needed if engine.inline or self.op.dynamic else ():
                settle(array)
            results = engine.run(self._compute, self.op.title)
            outputs = self.out or [self.cls(None, self.ctx) for _ in results]
            self._link(outputs)
            self._store(outputs, results)
            for array in self.replaced:
                array.error = None
            return self._returned(outputs)
        label = (self.op.title, self.site)
        outputs = self.out or [self.cls(None, self.ctx, spec) for spec in self._infer()]
        self._link(outputs)

        def task() -> None:
            try:
                self._store(outputs, self._compute())
            except Exception as error:
                raise placed(error, self.place) from error.__cause__

        reads = [var for array in self.arrays for var in dict.fromkeys((array.root, array))]
        writes = [array.root for array in self.written]
        pure = {id(array) for array in self.out if array._view is None}
        reads += [var for var in writes if id(var) not in pure]
        new = outputs if not self.out else []
        written = [*writes, *new]
        source = self.arrays[0]._ctx if self.arrays else self.ctx
        engine.push(
            task,
            reads,
            written,
            self.ctx,
            priority=self.priority,
            kind="compute" if source is self.ctx else f"copy from {source}",
            size=sum(out.spec.nbytes for out in new),
            label=label,
            restores=[] if self.out else self.replaced,
            work=self.work,
        )
        return self._returned(outputs)

    def _now(self, engine: Engine) -> bool:
        """Say whether the caller's thread can run this: it is small, nothing in it unfinished."""
        if engine.small < 0 or (self.recorded and engine.ordered):
            return False
        touched = (*self.arrays, *self.written)
        sizes = [spec.numel() for spec in [array.spec for array in touched] or self._infer()]
        effort = self.op.effort
        self.work = effort(*map(spec_argument, self.args)) if effort else sum(sizes)
        if not free(touched, self.written):
            return False
        if effort:
            return self.work <= engine.small << self.op.reach
        return max(sizes, default=0) <= engine.small

    def _returned(self, outputs: list[Handle]) -> Any:
        if state.capture is not None:
            state.capture.note(self, outputs)
        if not outputs:
            return None
        return outputs if len(outputs) > 1 or self.listed else outputs[0]

    def _infer(self) -> tuple[Spec, ...]:
        if self.specs is not None:
            return self.specs
        specs = [spec_argument(arg) for arg in self.args]
        try:
            self.specs = self.op.infer(*specs, **self.attrs)
            return self.specs
        except Exception as error:
            raise located(error, self.op, self.args, self.attrs, self.site) from error

    def _compute(self) -> tuple[Tensor, ...]:
        """Run the operator's function on tensors; part of the task."""
        given: dict[str, Any] = {}
        if self.op.creates:
            given["device"] = self.ctx.device
        if self.op.random:
            given["generator"] = random.generator(self.key, self.ctx.device)
        for array in self.replaced:
            array.renew()
        values = [value_argument(arg, self.graph) for arg in self.args]
        try:
            with torch.set_grad_enabled(self.recorded):
                result = self.op.run(*values, **self.attrs, **given)
        except Exception as error:
            raise located(error, self.op, self.args, self.attrs, self.site) from error
        if result is None:
            return ()
        return (result,) if isinstance(result, Tensor) else tuple(result)

    def _link(self, outputs: list[Handle]) -> None:
        """Note in the handles what is known before the result: the graph, shared storage, views."""
        if self.recorded:
            parents = tuple(
                array._node
                for array in self.arrays
                if array._node is not None and id(array) in self.graph
            )
            inputs = [(weakref.ref(a.root), a.root.version) for a in self.arrays]
            for output in outputs:
                output._node = Node(parents, inputs, self.work)
        if self.op.view == "lazy copy" and outputs and not self.out:
            outputs[0].share_with(self.arrays[0])

    def _store(self, outputs: list[Handle], results: tuple[Tensor, ...]) -> None:
        if self.out:
            self._write_out(results)
        for output, result in zip(outputs, results, strict=True):
            if self.recorded and output._node is not None:
                output._graph = result
            elif not self.out:
                output._data = result

    def _write_out(self, results: tuple[Tensor, ...]) -> None:
        self._check_out(results)
        for array, result in zip(self.out, results, strict=True):
            target = array.value()
            if result is not target:
                target.copy_(result.detach())


def call(name: str, *args: Any, **attrs: Any) -> Any:
    """Call the operator of this unique name; results have the class of the first array given."""
    cls = next((type(arg) for arg in flat(args) if isinstance(arg, Handle)), None)
    return invoke(TABLE[name], args, attrs, cls or array_class())


def wait(array: Handle) -> None:
    """Return when `array` has its value, to look at it; raise what went wrong on the way."""
    if state.capture is not None:
        state.capture.read()
    settle(array)


def settle(array: Handle) -> None:
    """Return when `array` has its value; raise what went wrong while computing it."""
    selected.engine.wait_for_var(array.root)
    if array._view is not None:
        selected.engine.wait_for_var(array)


_BRIEF = 4  # so much longer than a small operator may other work be that is done at once: a shift


def push(
    fn: Callable[[], None],
    reads: Sequence[Handle],
    writes: Sequence[Handle],
    ctx: Context,
    name: str,
    *,
    priority: int = 0,
    work: float = math.inf,
    site: str = "",
) -> None:
    """Queue work that is no operator, such as a backward pass, over arrays.

    It is done at once where that is possible, if it takes at most some nanoseconds; `work` is an
    estimate of them.
    """
    if state.capture is not None:
        state.capture.refuse(f"{name} is more than an operator")
    engine = selected.engine
    brief = not engine.ordered and 0 <= work <= engine.small << _BRIEF
    if brief and not engine.inline and free(reads, writes):
        engine.run(fn, name, site)
    else:
        push_quietly(fn, reads, writes, ctx, name, priority, site=site, work=work)


def push_quietly(  # noqa: PLR0913 - all but five are rare
    fn: Callable[[], None],
    reads: Sequence[Handle],
    writes: Sequence[Handle],
    ctx: Context,
    name: str,
    priority: int = 0,
    size: int = 0,
    site: str = "",
    work: float = math.inf,
) -> None:
    """Queue work that a capture knows of; its new results take `size` bytes."""
    selected.engine.push(
        fn,
        list(dict.fromkeys(var for array in reads for var in (array.root, array))),
        list(dict.fromkeys(array.root for array in writes)),
        ctx,
        priority=priority,
        size=size,
        label=(name, site or user_line()),
        work=work,
    )
