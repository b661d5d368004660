"""Random operators: shapes, orders, dependence on seed and order alone, dropout's masks."""

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon.base import ArgumentError, ShapeError
from regluon.engine import selection


def draw(name, *args, **attrs):
    """Call a random function by its public name, and return NumPy values."""
    space, _, function = name.split(".")
    return getattr(getattr(mx, space).random, function)(*args, **attrs).asnumpy()


def test_every_integer_of_the_range_comes_and_no_other():
    assert set(draw("nd.random.randint", -2, 3, shape=500).tolist()) == {-2, -1, 0, 1, 2}
    assert set(draw("np.random.randint", 3, size=500).tolist()) == {0, 1, 2}


def test_array_parameters_have_their_own_draws_each():
    low, high = mx.nd.array([0, 10]), mx.nd.array([1, 20])
    values = draw("nd.random.uniform", low, high, shape=(3, 500))
    assert values.shape == (2, 3, 500)
    assert 0 <= values[0].min() < values[0].max() < 1 < 10 <= values[1].min()
    scales = mx.np.array([1.0, 100.0])
    spread = draw("np.random.normal", 0.0, scales, size=(500, 2)).std(0)
    assert spread == pytest.approx([1, 100], rel=0.15)


def test_nd_multinomial_draws_with_the_chances_and_tells_their_logarithm():
    chances = mx.nd.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
    classes, logs = mx.nd.random.multinomial(chances, shape=4000, get_prob=True)
    classes, logs = classes.asnumpy(), logs.asnumpy()
    assert classes[0].max() == 1
    assert classes[1].min() == 1
    assert (classes[1] == 2).mean() == pytest.approx(0.75, abs=0.03)
    known = onp.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
    onp.testing.assert_allclose(logs[1], onp.log(known[1][classes[1]]), rtol=1e-6)


def test_the_logarithm_of_a_drawn_class_has_a_gradient():
    chances = mx.nd.array([[0.25, 0.75]])
    chances.attach_grad()
    with mx.autograd.record():
        classes, logs = mx.nd.random.multinomial(chances, shape=8, get_prob=True)
        reward = (logs * (classes == 1)).sum()
    reward.backward()
    ones = int(classes.asnumpy().sum())
    assert chances.grad.asnumpy()[0].tolist() == pytest.approx([0, ones / 0.75])


def test_a_draw_takes_shape_and_dtype_of_out():
    out = mx.nd.zeros((2, 500), dtype="float64")
    assert mx.nd.random.uniform(2, 3, out=out) is out
    assert 2 <= out.asnumpy().min() < out.asnumpy().max() < 3
    whole = mx.nd.zeros(4, dtype="int64")
    assert mx.random.randint(5, 6, out=whole).asnumpy().tolist() == [5, 5, 5, 5]
    loc = mx.nd.array([1.0, 2.0])
    with pytest.raises(ShapeError):
        mx.nd.random.normal(loc, loc, out=out).wait_to_read()


def test_the_last_class_has_the_chance_that_is_left():
    counts = draw("np.random.multinomial", 10_000, [0.25, 0.25, 0.0])
    assert counts.sum() == 10_000
    assert counts[2] == pytest.approx(5000, abs=250)


def test_np_multinomial_counts_add_up():
    counts = draw("np.random.multinomial", 50, [0.2, 0.8], size=(200,))
    assert (counts.sum(1) == 50).all()
    assert counts.mean(0) == pytest.approx([10, 40], abs=1)
    assert draw("np.random.multinomial", 0, [0.2, 0.8]).tolist() == [0, 0]


def test_shuffles_keep_rows_whole_and_all_of_them():
    rows = onp.arange(60, dtype="float32").reshape(30, 2)
    shuffled = mx.nd.random.shuffle(mx.nd.array(rows)).asnumpy()
    assert sorted(map(tuple, shuffled)) == sorted(map(tuple, rows))
    assert (shuffled != rows).any()
    array = mx.np.array(rows)
    assert mx.np.random.shuffle(array) is None
    assert sorted(map(tuple, array.asnumpy())) == sorted(map(tuple, rows))
    assert (array.asnumpy() != rows).any()


def test_a_permutation_of_a_number_has_every_smaller_one_and_leaves_arrays_alone():
    assert sorted(draw("np.random.permutation", 50).tolist()) == list(range(50))
    array = mx.np.arange(20)
    assert sorted(draw("np.random.permutation", array).tolist()) == list(range(20))
    assert array.asnumpy().tolist() == list(range(20))


def test_a_choice_without_replacement_repeats_nothing_and_ends_with_the_values():
    picked = draw("np.random.choice", 30, 30, replace=False)
    assert sorted(picked.tolist()) == list(range(30))
    with pytest.raises(ArgumentError, match=r"cannot take 2 of 1 possible values"):
        draw("np.random.choice", 3, 2, False, p=[0.0, 1.0, 0.0])
    with pytest.raises(ArgumentError, match=r"cannot take 6 of 5 values"):
        draw("np.random.choice", 5, 6, False)


def test_a_choice_follows_its_chances():
    picked = draw("np.random.choice", 3, 4000, p=[0.25, 0.0, 0.75])
    assert (picked == 1).sum() == 0
    assert (picked == 2).mean() == pytest.approx(0.75, abs=0.03)
    with pytest.raises(ShapeError, match=r"p has shape \(2,\), and there are 3 values"):
        draw("np.random.choice", 3, 2, p=[0.5, 0.5])


def all_kinds():
    """Draw once with every kind of random operator."""
    chances = mx.nd.array([0.25, 0.75])
    return [
        mx.nd.random.uniform(shape=100),
        mx.nd.random.normal(shape=100),
        mx.nd.random.randint(0, 1000, shape=100),
        mx.nd.random.gamma(2, 2, shape=100),
        mx.nd.random.multinomial(chances, shape=100),
        mx.nd.random.shuffle(mx.nd.arange(100)),
        mx.nd.random.uniform(shape=100),
        mx.nd.Dropout(mx.nd.ones(100), mode="always"),
    ]


def values_of(arrays):
    return [array.asnumpy() for array in arrays]


def same(first, second):
    return [onp.array_equal(a, b) for a, b in zip(first, second, strict=True)]


def test_a_seed_repeats_every_draw_and_another_one_none():
    mx.random.seed(5)
    first = values_of(all_kinds())
    mx.random.seed(5)
    assert all(same(first, values_of(all_kinds())))
    mx.random.seed(6)
    assert not any(same(first, values_of(all_kinds())))
    assert not onp.array_equal(first[0], first[6])


def test_draws_do_not_depend_on_the_engine_or_the_order_of_reading():
    results = {}
    before = selection.set_type("NaiveEngine")
    try:
        for engine in ("NaiveEngine", "LazyEngine"):
            selection.set_type(engine)
            mx.random.seed(7)
            arrays = all_kinds()
            results[engine] = values_of(reversed(arrays))
    finally:
        selection.set_type(before)
    assert all(same(results["NaiveEngine"], results["LazyEngine"]))


def test_draws_do_not_depend_on_the_number_of_threads():
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            mx.random.seed(8)
            data = mx.nd.ones((300, 1000))
            drawn = [mx.nd.random.normal(shape=300_000), mx.nd.Dropout(data, mode="always")]
            found.append(values_of(drawn))
    finally:
        torch.set_num_threads(threads)
    assert all(same(*found))


def test_torchs_own_generator_is_neither_used_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    mx.random.seed(9)
    first = values_of(all_kinds())
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    mx.random.seed(9)
    assert all(same(first, values_of(all_kinds())))


def test_contexts_have_draws_of_their_own():
    mx.random.seed(10)
    here = draw("nd.random.uniform", shape=10, ctx=mx.cpu(0))
    there = draw("nd.random.uniform", shape=10, ctx=mx.cpu(1))
    assert not onp.array_equal(here, there)
    mx.random.seed(10)
    assert onp.array_equal(there, draw("nd.random.uniform", shape=10, ctx=mx.cpu(1)))


def test_dropout_keeps_the_share_and_scales_what_it_keeps():
    data = mx.nd.ones((100, 200))
    with mx.autograd.train_mode():
        kept = mx.nd.Dropout(data, p=0.25).asnumpy()
    assert set(onp.unique(kept).tolist()) == {0.0, onp.float32(1 / 0.75)}
    assert (kept == 0).mean() == pytest.approx(0.25, abs=0.02)
    with mx.autograd.train_mode():
        assert not mx.nd.Dropout(data, p=1.0).asnumpy().any()


def test_dropout_gives_the_gradient_the_mask_of_the_values():
    data = mx.nd.ones((50, 20))
    data.attach_grad()
    with mx.autograd.record():
        kept = mx.nd.Dropout(data, p=0.5)
    kept.backward()
    onp.testing.assert_array_equal(data.grad.asnumpy(), kept.asnumpy())


def test_dropout_draws_once_for_all_elements_along_its_axes():
    with mx.autograd.train_mode():
        kept = mx.nd.Dropout(mx.nd.ones((40, 5, 6)), p=0.5, axes=(1, 2)).asnumpy()
    assert (kept == kept[:, :1, :1]).all()
    assert 0 < kept.mean() < 2


def test_dropout_outside_training_returns_equal_values_that_do_not_follow_writes():
    data = mx.nd.ones((2, 3))
    result = mx.nd.Dropout(data, p=0.5)
    data[:] = 5
    assert result.asnumpy().tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dropout_of_other_dtypes_keeps_the_share(dtype):
    data = mx.nd.ones((100, 200), dtype=dtype)
    kept = mx.nd.Dropout(data, p=0.1, mode="always")
    assert kept.dtype == data.dtype
    assert (kept.astype("float32").asnumpy() == 0).mean() == pytest.approx(0.1, abs=0.01)
