"""Every kind of index gives and writes what NumPy's does, for `nd` and `np`, with gradients.

`nd` has no arrays without axes: where NumPy gives a number, it gives shape (1,).
"""

import random
from typing import Any

import numpy as onp
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import regluon as mx
from regluon import autograd, nd, np
from regluon.base import MXNetError, OutOfRangeError
from regluon.engine import selection
from regluon.ops import infer
from regluon.ops.registry import Spec


SPACES = {"nd": nd, "np": np}
EXPRESSIONS = 10_000
INTEGERS = ("int8", "int32", "int64", "uint8")


class Draw:
    """Random shapes, keys and values, in NumPy's words and, by `ours`, in regluon's."""

    def __init__(self, seed: int, space: str) -> None:
        self.rng = random.Random(seed)
        self.space = space

    def shape(self) -> tuple[int, ...]:
        least = 1 if self.space == "nd" else 0
        return tuple(self.rng.choice((0, 1, 2, 3, 4, 4)) for _ in range(self.rng.randint(least, 4)))

    def key(self, shape: tuple[int, ...]) -> Any:
        """Return an index that mostly fits `shape`."""
        common = [self.rng.randint(0, 3) for _ in range(self.rng.randint(1, 2))]
        items: list[Any] = []
        axis = 0
        ellipsis = self.rng.random() < 0.3
        while axis < len(shape) and self.rng.random() < 0.85:
            if ellipsis and self.rng.random() < 0.4:
                ellipsis = False
                items.append(...)
                axis += self.rng.randint(0, len(shape) - axis)
                continue
            item, used = self.item(shape[axis:], common)
            items.append(item)
            axis += used
        if len(items) == 1 and self.rng.random() < 0.8:
            return items[0]
        return tuple(items)

    def item(self, rest: tuple[int, ...], common: list[int]) -> tuple[Any, int]:
        size = rest[0]
        kind = self.rng.random()
        if kind < 0.25:
            return self.place(size), 1
        if kind < 0.55:
            ends = [None, None, *range(-size - 2, size + 3)]
            steps = [None, None, 1, 2, 3, -1, -2, -3]
            return slice(*map(self.rng.choice, (ends, ends, steps))), 1
        if kind < 0.65:
            return None, 0
        if kind < 0.68:
            return self.rng.choice((True, False, onp.bool_(True), onp.array(False))), 0
        if kind < 0.76:
            return self.mask(rest, common[-1])
        dims = [1 if self.rng.random() < 0.2 else n for n in common]
        dims = dims[self.rng.randint(0, len(dims)) :] if self.rng.random() < 0.3 else dims
        values = [self.place(size) for _ in range(int(onp.prod(dims)))]
        whole = onp.array(values, dtype="int64").reshape(dims)
        dtype = self.rng.choice(INTEGERS if not values or min(values) >= 0 else INTEGERS[:3])
        return whole.astype(dtype), 1

    def place(self, size: int) -> int:
        if size == 0 or self.rng.random() < 0.005:
            return self.rng.choice((size, -size - 1))
        return self.rng.randrange(-size, size)

    def mask(self, rest: tuple[int, ...], count: int) -> tuple[Any, int]:
        dims = rest[: self.rng.randint(1, min(2, len(rest)))]
        flat = onp.zeros(int(onp.prod(dims)), bool)
        flat[self.rng.sample(range(flat.size), min(count, flat.size))] = True
        wrong = self.rng.random() < 0.01
        return (onp.ones(rest[0] + 1, bool), 1) if wrong else (flat.reshape(dims), len(dims))

    def ours(self, key: Any) -> Any:
        """Return the key with its arrays as lists, NumPy's, torch's or regluon's own."""
        if isinstance(key, tuple):
            return tuple(map(self.ours, key))
        if not isinstance(key, onp.ndarray):
            return key
        form = self.rng.randrange(4)
        if form == 0 and key.ndim and key.size:
            return key.tolist()
        if form == 1:
            return torch.tensor(key)
        if form == 2 and (key.ndim or self.space == "np"):
            return SPACES[self.space].array(key, dtype=key.dtype)
        return key

    def value(self, shape: tuple[int, ...]) -> Any:
        """Return a number or an array that can be written into a part of this shape."""
        if self.rng.random() < 0.2:
            return self.rng.choice((7, 7.5, -3))
        dims = [1 if self.rng.random() < 0.2 else n for n in shape]
        dims = dims[self.rng.randint(0, len(dims)) :] if self.rng.random() < 0.2 else dims
        dims = [1, *dims] if dims and self.rng.random() < 0.1 else dims
        dims = [*dims, 2] if self.rng.random() < 0.01 else dims
        values = onp.arange(1, 1 + int(onp.prod(dims))).reshape(dims)
        return values.astype(self.rng.choice(("float32", "float64", "int64", "int32")))


def outcome(fn, *args):
    """Return what came out, or that it was an error."""
    try:
        return fn(*args)
    except (IndexError, ValueError, TypeError) as error:
        return error


def assert_same(got: Any, want: Any, space: str, note: Any) -> None:
    if isinstance(want, Exception) or isinstance(got, Exception):
        assert isinstance(want, Exception), (note, got)
        assert isinstance(got, MXNetError), (note, got, want)
        return
    wanted = onp.asarray(want)
    values = got.asnumpy() if hasattr(got, "asnumpy") else got
    shape = wanted.shape or ((1,) if space == "nd" else ())
    assert values.shape == shape, (note, values, wanted)
    assert values.dtype == wanted.dtype, note
    assert (values == wanted.reshape(shape)).all(), (note, values, wanted)


def overlooked(got: Any, part: Any) -> bool:
    """NumPy looks at no index where the part is empty anyway: there we may find one too large."""
    nothing = not isinstance(part, Exception) and not onp.size(part)
    return isinstance(got, OutOfRangeError) and nothing


def read(x, key):
    part = x[key]
    mx.nd.waitall()
    return part


def write(x, key, value):
    x[key] = value
    return x.asnumpy() if hasattr(x, "asnumpy") else x


@pytest.mark.parametrize("space", SPACES)
def test_ten_thousand_random_indices_give_what_numpys_give(space):
    draw = Draw(1, space)
    failed = 0
    for _ in range(EXPRESSIONS):
        shape = draw.shape()
        plain = onp.arange(int(onp.prod(shape)), dtype="int32").reshape(shape)
        key = draw.key(shape)
        want = outcome(read, plain, key)
        got = outcome(read, SPACES[space].array(plain, dtype="int32"), draw.ours(key))
        if overlooked(got, want):
            continue
        assert_same(got, want, space, (shape, key))
        failed += isinstance(want, Exception)
    assert failed < EXPRESSIONS / 3


@pytest.mark.parametrize("space", SPACES)
def test_ten_thousand_random_assignments_write_what_numpys_write(space):
    draw = Draw(2, space)
    failed = 0
    for _ in range(EXPRESSIONS):
        shape = draw.shape()
        plain = onp.arange(1, 1 + int(onp.prod(shape)), dtype="int32").reshape(shape)
        key = draw.key(shape)
        part = outcome(read, plain, key)
        value = draw.value(() if isinstance(part, Exception) else onp.shape(part))
        ours = SPACES[space].array(plain, dtype="int32")
        got = outcome(write, ours, draw.ours(key), draw.ours(value))
        if isinstance(got, Exception):
            assert (ours.asnumpy() == plain).all(), (shape, key, value)
        while onp.ndim(value) > onp.ndim(part) and value.shape[0] == 1:
            value = value[0]  # which we do too, but NumPy not for a single mask
        want = outcome(write, plain, key, value)
        if overlooked(got, part):
            continue
        assert_same(got, want, space, (shape, key, value))
        failed += isinstance(want, Exception)
    assert failed < EXPRESSIONS / 3


@pytest.mark.parametrize("space", SPACES)
def test_gradients_flow_back_through_every_kind_of_index(space):
    draw = Draw(3, space)
    for _ in range(400):
        shape = draw.shape()
        key = draw.key(shape)
        places = outcome(read, onp.arange(int(onp.prod(shape))).reshape(shape), key)
        if isinstance(places, Exception):
            continue
        x = SPACES[space].zeros(shape)
        x.attach_grad()
        with autograd.record():
            part = outcome(x.__getitem__, draw.ours(key))
            if overlooked(part, places):
                continue
            weights = onp.arange(1.0, 1 + part.size, dtype="float32").reshape(part.shape)
            loss = (part * SPACES[space].array(weights)).sum()
        loss.backward()
        want = onp.zeros(int(onp.prod(shape)), "float32")
        onp.add.at(want, onp.reshape(places, -1), weights.reshape(-1))
        assert (x.grad.asnumpy() == want.reshape(shape)).all(), (shape, key)


@pytest.mark.parametrize("space", SPACES)
def test_gradients_of_a_written_value_are_those_of_what_stayed(space):
    draw = Draw(4, space)
    for _ in range(400):
        shape = draw.shape()
        key = draw.key(shape)
        part = outcome(read, onp.zeros(shape), key)
        if isinstance(part, Exception) or not onp.size(part):
            continue
        plain = onp.asarray(draw.value(onp.shape(part))).astype("float32")
        while plain.ndim > max(onp.ndim(part), 1) and plain.shape[0] == 1:
            plain = plain[0]
        plain = plain.reshape(-1) if plain.size == 1 else plain
        owner = onp.full(shape, -1)
        count = onp.arange(plain.size).reshape(plain.shape if onp.ndim(part) else -1)
        if isinstance(outcome(write, owner, key, count if plain.size > 1 else 0), Exception):
            continue
        x = SPACES[space].array(plain, dtype="float32")
        x.attach_grad()
        weights = onp.arange(owner.size, dtype="float32").reshape(shape)
        with autograd.record():
            out = SPACES[space].zeros(shape)
            out[draw.ours(key)] = x
            loss = (out * SPACES[space].array(weights)).sum()
        loss.backward()
        want = [weights[owner == n].sum() for n in range(plain.size)]
        assert x.grad.asnumpy().reshape(-1).tolist() == want, (shape, key, plain.shape)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_index_that_hypothesis_finds_gives_what_numpys_gives(data):
    shape = data.draw(hnp.array_shapes(max_dims=4, min_side=0, max_side=4))
    plain = onp.arange(int(onp.prod(shape)), dtype="int32").reshape(shape)
    kinds = [hnp.basic_indices(shape, allow_newaxis=True)]
    if plain.size:
        kinds += [hnp.integer_array_indices(shape), hnp.arrays(bool, shape)]
    key = data.draw(st.one_of(kinds))
    for space, module in SPACES.items():
        assert_same(module.array(plain, dtype="int32")[key], plain[key], space, key)
        ours, copy = module.array(plain, dtype="int32"), plain.copy()
        ours[key] = copy[key] = -1
        assert_same(ours, copy, space, key)


def counted(monkeypatch, calls: int, call) -> int:
    """Return how often shapes were found out on meta tensors in these calls."""
    runs = []
    run = infer._run
    monkeypatch.setattr(infer, "_run", lambda *args: runs.append(args) or run(*args))
    before = selection.set_type("LazyEngine")
    try:
        for i in range(calls):
            call(i)
            if i % 100 == 0:
                mx.nd.waitall()
    finally:
        mx.nd.waitall()
        selection.set_type(before)
    return len(runs)


X = nd.array(onp.arange(4000.0).reshape(1000, 4))
ROWS = nd.array([1, 0], dtype="int32")
BY_PLACE = {
    "x[i]": lambda i: X[i],
    "x[i:i + 2]": lambda i: X[i : i + 2],
    "x[i, 1]": lambda i: X[i, 1],
    "x[::2, i % 4]": lambda i: X[::2, i % 4],
    "x[i, rows]": lambda i: X[i, ROWS],
    "x[[i]]": lambda i: X[[i]],
    "x[i] = 1": lambda i: X.__setitem__(i, 1),
    "x[i] = row": lambda i: X.__setitem__(i, X[0]),
    "x[[i, 0]] = row": lambda i: X.__setitem__([i, 0], X[0]),
}


@pytest.mark.parametrize("form", BY_PLACE)
def test_indexing_finds_shapes_by_hand_wherever_it_points(form, monkeypatch):
    assert counted(monkeypatch, 1000, BY_PLACE[form]) == 0


KEPT = {
    "slice_axis": lambda i: nd.slice_axis(X, axis=0, begin=i, end=i + 2),
    "take": lambda i: nd.take(X, nd.array([i])),
    "pick": lambda i: nd.pick(X, X[:, 0] * 0 + i % 4),
    "roll": lambda i: np.roll(X.as_np_ndarray(), i),
    "times a number": lambda i: X * i,
    "clip": lambda i: nd.clip(X, 0, i),
    "full": lambda i: nd.full((2,), i),
    "dot": lambda i: nd.dot(X, X[i : i + 1], transpose_b=True),
    "topk": lambda i: nd.topk(X[i : i + 3], k=2),
}


@pytest.mark.parametrize("name", KEPT)
def test_shapes_are_found_out_once_for_all_values_and_places(name, monkeypatch):
    assert counted(monkeypatch, 50, KEPT[name]) <= 1


def test_the_memory_of_shapes_is_bounded(monkeypatch):
    monkeypatch.setattr(infer, "_LIMIT", 16)
    monkeypatch.setattr(infer, "_cache", {})
    for size in range(1, 50):
        infer.meta(torch.relu)(Spec((size,), torch.float32))
    assert len(infer._cache) <= 16


@pytest.mark.parametrize("space", SPACES)
def test_indices_and_values_may_come_from_another_context(space):
    F = SPACES[space]
    x = F.array([[1, 2], [3, 4]])
    rows = F.array([1, 0], dtype="int32", ctx=mx.cpu(1))
    part = x[rows]
    assert part.context == mx.cpu(0)
    assert part.asnumpy().tolist() == [[3, 4], [1, 2]]
    x[rows] = F.array([[5, 6], [7, 8]], ctx=mx.cpu(1), dtype="float64")
    assert x.asnumpy().tolist() == [[7, 8], [5, 6]]


def test_of_a_place_written_often_the_last_value_stays_however_many_there_are():
    places = onp.random.RandomState(0).randint(0, 50, 100_000)
    x = nd.zeros((50,))
    x[places] = onp.arange(100_000, dtype="float32")
    want = onp.zeros(50, "float32")
    want[places] = onp.arange(100_000, dtype="float32")
    assert (x.asnumpy() == want).all()
