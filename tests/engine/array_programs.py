"""Random programs on real arrays with injected failures, whose outcome is known beforehand.

A program is a list of steps over numbered slots. It is made without running anything, and knows of
each step whether it must fail: because a failure was injected, or because it reads something that
failed. The reference run leaves the failing steps out; every other run carries them out.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


PLACES = 10
"""Slots for square arrays, half of them on each context; two more hold the last losses."""


class Step(NamedTuple):
    """One step on the arrays in `slots`; `makes` are the slots and the new storages that it fills.

    `changes` are the storages that become unusable where it fails, and usable where it does not.
    """

    name: str
    slots: tuple[int, ...]
    makes: tuple[tuple[int, "Slot"], ...]
    reads: frozenset[int]
    changes: frozenset[int]
    failing: bool
    arg: Any


class Slot(NamedTuple):
    """What is known of an array before it exists; it has `size` rows and columns."""

    storage: int
    ctx: int
    size: int
    view: bool = False


class Program:
    """Steps, made from a seed. A `smooth` one has gradients, and no operator that jumps.

    One of several that run at the same time is `shared`: it changes no setting of the process.
    """

    def __init__(self, seed: int, *, smooth: bool, shared: bool = False) -> None:
        self.seed, self.smooth, self.shared = seed, smooth, shared
        self.rng = rng = random.Random(seed)
        self.numpy = rng.random() < 0.4
        self.dtype = rng.choice(("float32", "float32", "float64"))
        self.added = rng.random() < 0.3  # gradients are added up
        self.steps: list[Step] = []
        self.failed: set[int] = set()
        self.storages = 0
        self.sizes = rng.choice(((3, 140), (12, 90), (140,), (5,), (30, 200)))
        self.slots = [
            self._slot(i % 2, self.sizes[i // 2 % len(self.sizes)]) for i in range(PLACES)
        ]
        self.slots += [self._slot(0, 0), self._slot(1, 0)]
        self.inputs = tuple(self.slots[:PLACES])
        kinds = ("leaf",) if self.numpy else ("leaf", "net")
        self.models = {
            (kind, ctx, size): (self._storage(), self._storage())
            for kind in kinds * smooth
            for ctx in (0, 1)
            for size in self.sizes
        }
        for _ in range(rng.choice((20, 60, 150))):
            self._grow()

    def _storage(self) -> int:
        self.storages += 1
        return self.storages - 1

    def _slot(self, ctx: int, size: int) -> Slot:
        return Slot(self._storage(), ctx, size)

    def _add(
        self,
        name: str,
        slots: Sequence[int],
        *,
        makes: Sequence[tuple[int, Slot]] = (),
        reads: Sequence[int] = (),
        writes: Sequence[int] = (),
        fails: bool = False,
        arg: Any = None,
    ) -> None:
        """Append a step that reads the arrays in `slots`, and note what becomes of everything.

        What is both read and written is updated: it keeps its value if the step fails. What is
        assigned to keeps it as well, and if it has none, it gets one from a step that is good.
        """
        read = frozenset((*(self.slots[slot].storage for slot in slots), *reads))
        failing = fails or not read.isdisjoint(self.failed)
        changes = frozenset((*(slot.storage for _, slot in makes), *writes)) - read
        if name in ("copyto", "fill") and failing:
            changes = frozenset()
        self.failed = self.failed | changes if failing else self.failed - changes
        self.steps.append(Step(name, tuple(slots), tuple(makes), read, changes, failing, arg))
        for place, slot in makes:
            self.slots[place] = slot

    def _new(self, like: Slot) -> tuple[int, Slot]:
        return self.rng.randrange(PLACES), self._slot(like.ctx, like.size)

    def _alike(self, slot: int) -> int:
        """Choose a slot with the size and context of another one, perhaps the same."""
        ctx, size = self.slots[slot].ctx, self.slots[slot].size
        fits = [i for i, s in enumerate(self.slots) if s.ctx == ctx and s.size == size]
        return self.rng.choice(fits)

    def _grow(self) -> None:
        a = self.rng.randrange(PLACES)
        kinds = [self._compute] * 6 + [self._write] * 5 + [self._read] * 2 + [self._setting]
        kinds += [self._train] * 4 * self.smooth
        grow: Callable[[int, Slot], None] = self.rng.choice(kinds)
        grow(a, self.slots[a])

    def _compute(self, a: int, slot: Slot) -> None:
        rng, b = self.rng, self._alike(a)
        new = self._new(slot)
        kind = rng.randrange(12)
        if kind < 2:
            jumps = () if self.smooth else ("round", "sort")
            self._add("unary", [a], makes=[new], arg=rng.choice(("tanh", "sigmoid", *jumps)))
        elif kind < 5:
            jumps = () if self.smooth else ("less", "where")
            self._add("binary", [a, b], makes=[new], arg=rng.choice(("add", "mean", "dot", *jumps)))
        elif kind == 5:
            view = slot._replace(view=True)
            self._add("view", [a], makes=[(new[0], view)], arg=rng.randrange(4))
        elif kind < 8:
            self._add("lazy copy", [a], makes=[new], arg=rng.randrange(3))
        elif kind == 8:
            away = new[1]._replace(ctx=1 - slot.ctx)
            self._add("copy away", [a], makes=[(new[0], away)], arg=rng.random() < 0.5)
        elif kind == 9:
            self._add("random", [a], makes=[new], arg=(len(self.steps), rng.randrange(3)))
        elif kind == 10:
            second = ((new[0] + 1) % PLACES, self._slot(slot.ctx, slot.size))
            self._add("two parts", [a], makes=[new, second])
        else:
            fails = rng.random() < 0.6
            self._add("take", [a], makes=[new], fails=fails, arg=rng.randrange(slot.size))

    def _write(self, a: int, slot: Slot) -> None:
        rng, b = self.rng, self._alike(a)
        storage = slot.storage
        part = [storage] if slot.view else []  # a part of an array that failed cures nothing
        kind = rng.randrange(12)
        if kind < 2:
            self._add("row", [a], writes=[storage], arg=(rng.randrange(slot.size), rng.random()))
        elif kind < 4:
            self._add("in place", [a], writes=[storage], arg=rng.choice("+*"))
        elif kind == 4:
            self._add("in place by", [a, b], writes=[storage])
        elif kind == 5:
            self._add("fill", [], reads=part, writes=[storage], arg=(a, rng.random()))
        elif kind == 6:
            self._add("copyto", [b], reads=part, writes=[storage], arg=a)
        elif kind == 7:
            c = self._alike(b)
            self._add("out", [b, c], reads=part, writes=[storage], arg=a)
        elif kind == 8:
            fails = rng.random() < 0.6
            shift = rng.randrange(slot.size)
            arg = (a, shift)
            self._add("take out", [b], reads=part, writes=[storage], fails=fails, arg=arg)
        elif kind == 9:
            self._add("bad row", [a], writes=[storage], fails=True)
        else:
            other = rng.randrange(PLACES)
            fails = rng.random() < 0.4
            arg = (rng.choice(("io", "communicate", "compute")), rng.randrange(3))
            self._add("push", [a, other], writes=[storage], fails=fails, arg=arg)

    def _read(self, a: int, slot: Slot) -> None:
        self._add("read", [a], arg=self.rng.randrange(4))

    def _setting(self, a: int, slot: Slot) -> None:
        kind = self.rng.randrange(6)
        if kind == 0:
            self._add("memory", [], makes=[self._new(slot)], fails=True)
        elif kind == 1:
            self._add("waitall", [])
        elif not self.shared:
            self._add("setting", [], arg=(kind, self.rng.randrange(1, 4)))

    def _train(self, a: int, slot: Slot) -> None:
        """Add a training step on the arrays that belong to a context and size, or on a network."""
        rng, ctx = self.rng, slot.ctx
        kind = "leaf" if self.numpy or rng.random() < 0.6 else "net"
        model = (kind, ctx, slot.size)
        weight, grad = self.models[model]
        bad = rng.choice(("", "", "", "forward", "backward", "changed"))
        if bad == "changed":  # before, so that it has storage of its own
            self._add("in place", [a], writes=[slot.storage], arg="+")
        loss = (PLACES + ctx, self._slot(ctx, 0))
        fails = bad == "forward"
        arg = (model, bad)
        self._add("forward", [a], makes=[loss], reads=[weight], fails=fails, arg=arg)
        if bad == "changed":
            self._add("in place", [a], writes=[slot.storage], arg="+")
        fails = bad in ("backward", "changed")
        added = [grad] if self.added and kind == "leaf" else []
        self._add("backward", [loss[0]], reads=[weight, *added], writes=[grad], fails=fails)
        if rng.random() < 0.5:
            self._add("in place", [a], writes=[slot.storage], arg="*")
        if rng.random() < 0.3:
            self._add("read", [loss[0]], arg=0)
        self._add("update", [], reads=[grad, weight], writes=[weight], arg=(*arg, rng.randrange(4)))
