from pathlib import Path

import numpy as onp
import pytest

import regluon as mx
from tests.training_cases import STEPS, TRAININGS, first_weights, gradients, train


with onp.load(Path(__file__).parent.parent / "golden" / "optimizer.npz") as archive:
    GOLDEN = dict(archive)

# MXNet's operators take their numbers as float32. Those of these runs are round in binary.
EXACT = ("sgd_double", "sgd_plain_double")


@pytest.mark.parametrize("key", TRAININGS)
def test_weights_after_ten_steps_equal_mxnets(key):
    for name, value in train(mx, TRAININGS[key]).items():
        wanted = GOLDEN[f"{key}/{name}"]
        assert value.dtype == wanted.dtype
        tolerance = (1e-10 if key in EXACT else 1e-5) * abs(wanted).max()
        onp.testing.assert_allclose(value, wanted, rtol=0, atol=tolerance)


def run(make, dtype, place=0):
    """Ten updates of one weight by an optimizer, its gradients and the weight before."""
    optimizer = make()
    start = first_weights(dtype)["c_weight"]
    weight = mx.nd.array(start, dtype=dtype)
    state = optimizer.create_state(0, weight)
    grads = [step["c_weight"] for step in gradients(dtype, place)]
    for grad in grads:
        optimizer.update(0, weight, mx.nd.array(grad, dtype=dtype), state)
    return weight.asnumpy(), start, grads


def test_adam_in_double_precision_is_the_formula():
    found, w, grads = run(
        lambda: mx.optimizer.Adam(
            learning_rate=0.1, beta1=0.8, beta2=0.99, wd=0.03, clip_gradient=0.5, rescale_grad=0.25
        ),
        "float64",
    )
    m = v = onp.zeros_like(w)
    for t, grad in enumerate(grads, 1):
        g = onp.clip(0.25 * grad + 0.03 * w, -0.5, 0.5)
        m, v = 0.8 * m + 0.2 * g, 0.99 * v + 0.01 * g * g
        rate = 0.1 * onp.sqrt(1 - 0.99**t) / (1 - 0.8**t)
        w = w - rate * m / (onp.sqrt(v) + 1e-8)
    onp.testing.assert_allclose(found, w, rtol=1e-10, atol=1e-12)


def test_sgd_in_double_precision_is_the_formula():
    found, w, grads = run(
        lambda: mx.optimizer.SGD(
            learning_rate=0.1, momentum=0.9, wd=0.03, clip_gradient=0.5, rescale_grad=0.25
        ),
        "float64",
    )
    m = onp.zeros_like(w)
    for grad in grads:
        m = 0.9 * m - 0.1 * (onp.clip(0.25 * grad, -0.5, 0.5) + 0.03 * w)
        w = w + m
    onp.testing.assert_allclose(found, w, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_a_group_is_updated_as_its_weights_one_by_one(kind):
    settings = {"learning_rate": 0.1, "wd": 0.01, **({"momentum": 0.9} if kind == "sgd" else {})}
    results = []
    for together in (True, False):
        updater = mx.optimizer.get_updater(mx.optimizer.create(kind, **settings))
        weights = [mx.nd.array(w) for w in first_weights("float32").values()]
        for step in gradients("float32", 0):
            grads = [mx.nd.array(g) for g in step.values()]
            if together:
                updater([0, 1, 2], grads, weights)
            else:
                for index in range(3):
                    updater(index, grads[index], weights[index])
        results.append([w.asnumpy() for w in weights])
    for one, other in zip(*results, strict=True):
        onp.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_states_have_the_type_and_place_of_the_weight(kind, dtype):
    settings = {"momentum": 0.9} if kind == "sgd" else {}
    optimizer = mx.optimizer.create(kind, **settings)
    weight = mx.nd.ones((2, 3), dtype=dtype, ctx=mx.cpu(1))
    state = optimizer.create_state(0, weight)
    for array in state if isinstance(state, tuple) else (state,):
        assert array.shape == (2, 3)
        assert array.dtype == weight.dtype
        assert array.context == mx.cpu(1)
        assert not array.asnumpy().any()


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_a_float32_copy_collects_updates_that_float16_would_lose(kind):
    lost = {}
    for multi_precision in (False, True):
        optimizer = mx.optimizer.create(kind, learning_rate=1e-5, multi_precision=multi_precision)
        updater = mx.optimizer.get_updater(optimizer)
        weight, grad = (mx.nd.ones((4,), dtype="float16") for _ in range(2))
        for _ in range(200):
            updater([0], [grad], [weight])
        assert weight.dtype == onp.float16
        lost[multi_precision] = weight.asnumpy()[0] == 1
    assert lost == {False: True, True: False}


def test_not_a_number_reaches_the_weight():
    for kind in ("sgd", "adam"):
        optimizer = mx.optimizer.create(kind, clip_gradient=1.0)
        weight, grad = mx.nd.ones((2,)), mx.nd.array([onp.nan, 1.0])
        optimizer.update(0, weight, grad, optimizer.create_state(0, weight))
        assert onp.isnan(weight.asnumpy()).tolist() == [True, False]


def test_updates_are_counted_and_begin_where_told():
    optimizer = mx.optimizer.SGD(begin_num_update=5)
    weight = mx.nd.ones((1,))
    for _ in range(STEPS):
        optimizer.update("key", weight, weight, None)
    assert optimizer.num_update == 15
