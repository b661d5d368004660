"""Keys: the same seed gives the same numbers, per context and per call, on every engine."""

import threading

import regluon as mx
from regluon import engine, random


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
