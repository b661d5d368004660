"""Every kind of index gives and writes what NumPy's does, for `nd` and `np`, with gradients.

`nd` has no arrays without axes: where NumPy gives a number, it gives shape (1,).
"""

import random
from typing import Any

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon import nd, np
from regluon.base import MXNetError, OutOfRangeError


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
