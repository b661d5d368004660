"""Keys: the same seed gives the same numbers, per context and per call, on every engine."""

import json
import threading
from typing import Any

import numpy as onp
import pytest

import regluon as mx
from regluon import engine, random
from regluon.base import ArgumentError, ContextError


def test_a_seed_restarts_the_numbers() -> None:
    mx.random.seed(3)
    first = mx.nd.random.uniform(shape=(5,)).asnumpy()
    second = mx.nd.random.uniform(shape=(5,)).asnumpy()
    mx.random.seed(3)
    assert (mx.nd.random.uniform(shape=(5,)).asnumpy() == first).all()
    assert (first != second).any()


def test_contexts_draw_different_numbers_and_restart_alone() -> None:
    one = mx.nd.random.uniform(shape=(5,), ctx=mx.cpu(0)).asnumpy()
    two = mx.nd.random.uniform(shape=(5,), ctx=mx.cpu(1)).asnumpy()
    assert (one != two).any()
    mx.random.seed(0, ctx=mx.cpu(1))
    assert (mx.nd.random.uniform(shape=(5,), ctx=mx.cpu(1)).asnumpy() == two).all()
    assert (mx.nd.random.uniform(shape=(5,), ctx=mx.cpu(0)).asnumpy() != one).any()


def test_any_integer_is_a_seed_and_nothing_else() -> None:
    mx.random.seed(3)
    first = mx.nd.random.uniform(shape=(5,)).asnumpy()
    for number in (onp.int64(3), onp.uint8(3)):
        mx.npx.random.seed(number)
        assert (mx.nd.random.uniform(shape=(5,)).asnumpy() == first).all()
    assert json.loads(json.dumps(mx.random.get_state())) == mx.random.get_state()
    for number in (-1, 2**40, 0):
        mx.random.seed(number)
        assert (mx.nd.random.uniform(shape=(5,)).asnumpy() != first).any()
    wrong: Any
    for wrong in ("3", 3.0, True, None):
        with pytest.raises(ArgumentError, match="a seed must be an integer"):
            mx.random.seed(wrong)
    with pytest.raises(ContextError, match="unknown device type 'everywhere'"):
        mx.random.seed(1, ctx="everywhere")
    with pytest.raises(ArgumentError, match="not a state"):
        mx.random.set_state({"seed": 1})


def test_a_seed_of_one_context_leaves_the_others_alone() -> None:
    def drawn(number: int) -> Any:
        return mx.nd.random.normal(shape=(3,), ctx=mx.cpu(number)).asnumpy()

    mx.random.seed(4)
    want = [drawn(0), drawn(0), drawn(1)]
    mx.random.seed(4)
    assert (drawn(0) == want[0]).all()
    mx.random.seed(5, ctx=mx.cpu(1))
    assert (drawn(0) == want[1]).all()
    other = drawn(1)
    assert (other != want[2]).any()
    mx.random.seed(5)
    assert (drawn(1) == other).all()


def test_a_state_continues_where_it_was_taken() -> None:
    mx.nd.random.normal(shape=(3,)).wait_to_read()
    state = mx.random.get_state()
    want = mx.nd.random.normal(shape=(3,)).asnumpy()
    mx.random.seed(99)
    mx.random.set_state(state)
    assert (mx.nd.random.normal(shape=(3,)).asnumpy() == want).all()


def test_the_order_of_running_does_not_matter_only_the_order_of_calls() -> None:
    def draw(read_backwards: bool) -> list[list[float]]:
        mx.random.seed(1)
        a, b = mx.nd.random.normal(shape=(3,)), mx.nd.random.normal(shape=(3,))
        arrays = [b, a] if read_backwards else [a, b]
        return sorted(array.asnumpy().tolist() for array in arrays)

    before = engine.get().name
    results = []
    for name in ("NaiveEngine", "LazyEngine"):
        engine.set_type(name)
        results += [draw(False), draw(True)]
    engine.set_type(before)
    assert all(result == results[0] for result in results)


def test_mixing_depends_on_every_word_and_its_place() -> None:
    assert len({random.mix(*words) for words in [(0,), (1,), (0, 1), (1, 0), (0, 0)]}) == 5


def drawn_by_a_sample() -> list[float]:
    numbers = random.sample_generator().random(2).tolist()
    numbers += mx.nd.random.uniform(shape=(2,)).asnumpy().tolist()
    return [*numbers, random.sample_generator().random()]


def test_draws_inside_a_key_depend_on_the_key_alone() -> None:
    with random.keyed(5):
        first = drawn_by_a_sample()
    mx.random.seed(3)
    mx.nd.random.uniform(shape=(1,)).wait_to_read()
    results: list[list[float]] = []

    def work() -> None:
        with random.keyed(5):
            results.append(drawn_by_a_sample())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    with random.keyed(6):
        other = drawn_by_a_sample()
    assert results == [first]
    assert len(set(first)) == 5
    assert not set(first) & set(other)


def test_a_key_inside_a_key_gives_back_the_outer_one() -> None:
    with random.keyed(1):
        whole = [random.sample_generator().random() for _ in range(2)]
    with random.keyed(1):
        assert random.sample_generator().random() == whole[0]
        with random.keyed(2):
            assert random.sample_generator().random() != whole[1]
        assert random.sample_generator().random() == whole[1]


def test_generators_outside_a_key_follow_the_seed_and_leave_operators_alone() -> None:
    first = [random.sample_generator().random() for _ in range(3)]
    drawn = mx.nd.random.uniform(shape=(2,)).asnumpy()
    mx.random.seed(0)
    assert (mx.nd.random.uniform(shape=(2,)).asnumpy() == drawn).all()
    assert [random.sample_generator().random() for _ in range(3)] == first
    assert len(set(first)) == 3


def test_draws_have_mxnets_short_names_too() -> None:
    assert mx.random.uniform(0, 1, shape=(2, 3)).shape == (2, 3)
    assert mx.ndarray is mx.nd
    assert mx.numpy is mx.np
    assert mx.numpy_extension is mx.npx
