"""One device with the whole batch, or several with a part of it each: the same training."""

import functools

import numpy as onp
import pytest

import regluon as mx
from regluon.gluon import nn
from regluon.gluon.utils import split_and_load


BATCH = 32
RULES = {
    "sgd": ({"learning_rate": 0.05, "momentum": 0.9, "wd": 1e-3}, 1e-12),
    "adam": ({"learning_rate": 0.002}, 1e-10),
}
ENGINES = ["NaiveEngine", "ThreadedEngine", "ThreadedEngine, nothing inline"]


@pytest.fixture(params=ENGINES)
def engine(request):
    previous = mx.engine.set_type(request.param.split(",")[0])
    before = mx.engine.set_deterministic(True)
    if "nothing inline" in request.param:
        mx.engine.get().small = mx.engine.get().direct = -1
    yield request.param
    mx.engine.set_type("NaiveEngine")
    mx.engine.set_deterministic(before)
    mx.engine.set_type(previous)


def network(contexts):
    """A convolutional network without batch norm, whose statistics would depend on the parts."""
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, activation="relu", in_channels=2), nn.MaxPool2D(2), nn.Flatten())
    net.add(nn.Dense(16, activation="tanh", in_units=36), nn.Dense(5, in_units=16))
    net.cast("float64")
    mx.random.seed(7)
    net.initialize(mx.init.Xavier(), ctx=contexts)
    return net


@functools.cache
def batches():
    random = onp.random.RandomState(3)
    return [
        (random.normal(size=(BATCH, 2, 8, 8)), random.randint(0, 5, BATCH).astype("float64"))
        for _ in range(4)
    ]


def trained(rule, places, steps=20, **settings):
    """Return every copy of every weight after some steps, as NumPy arrays."""
    contexts = [mx.cpu(place) for place in range(places)]
    net = network(contexts)
    loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = mx.gluon.Trainer(net.collect_params(), rule, RULES[rule][0], **settings)
    for step in range(steps):
        data, labels = batches()[step % 4]
        xs = split_and_load(mx.nd.array(data, dtype="float64"), contexts)
        ys = split_and_load(mx.nd.array(labels, dtype="float64"), contexts)
        with mx.autograd.record():
            losses = [loss_of(net(x), y) for x, y in zip(xs, ys, strict=True)]
        for loss in losses:
            loss.backward()
        trainer.step(BATCH)
    params = net.collect_params().values()
    return [[copy.asnumpy() for copy in param.list_data()] for param in params]


@pytest.mark.parametrize("rule", RULES)
def test_one_two_and_four_devices_give_the_same_weights(rule, engine):
    whole = trained(rule, 1)
    for places in (2, 4):
        for (wanted,), copies in zip(whole, trained(rule, places), strict=True):
            assert len(copies) == places
            for copy in copies:
                onp.testing.assert_allclose(copy, wanted, rtol=0, atol=RULES[rule][1])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("updates", [True, False])
def test_replicas_and_runs_are_equal_bit_by_bit(rule, updates, engine):
    first, second = (trained(rule, 2, update_on_kvstore=updates) for _ in range(2))
    for copies, again in zip(first, second, strict=True):
        for copy in (*copies[1:], *again):
            onp.testing.assert_array_equal(copy, copies[0])


@pytest.mark.parametrize("kvstore", ["local", "device"])
def test_it_does_not_matter_who_updates(kvstore, engine):
    in_store, in_place = (
        trained("sgd", 4, 5, kvstore=kvstore, update_on_kvstore=u) for u in (1, 0)
    )
    onp.testing.assert_equal(in_store, in_place)


def test_the_weights_really_moved():
    (start, _), (end, _) = trained("sgd", 1, 0)[0] * 2, trained("sgd", 1)[0] * 2
    assert abs(end - start).max() > 0.05


def test_a_training_on_several_devices_waits_for_nothing():
    previous = mx.engine.set_type("LazyEngine")
    try:
        contexts = [mx.cpu(0), mx.cpu(1)]
        net = network(contexts)
        trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"momentum": 0.9})
        accuracy = mx.metric.CompositeEvalMetric(["acc", "ce", "loss"])
        loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
        data = [[mx.nd.array(part, dtype="float64") for part in batch] for batch in batches()]
        mx.nd.waitall()
        ran = []
        mx.engine.get().observe(ran.append)
        for data_part, label_part in data:
            xs, ys = split_and_load(data_part, contexts), split_and_load(label_part, contexts)
            with mx.autograd.record():
                outputs = [net(x) for x in xs]
                losses = [loss_of(output, y) for output, y in zip(outputs, ys, strict=True)]
            mx.autograd.backward(losses)
            trainer.step(BATCH)
            accuracy.update(ys, outputs)
            assert not ran
        assert accuracy.get()[1][0] > 0
        assert ran
    finally:
        mx.engine.get().observe(None)
        mx.engine.set_type(previous)


@pytest.mark.parametrize("updates", [True, False])
def test_a_failed_step_changes_no_replica_and_training_goes_on(updates):
    previous = mx.engine.set_type("ThreadedEngine")
    before = mx.engine.set_deterministic(True)
    try:
        found = []
        for bad in (True, False):
            contexts = [mx.cpu(0), mx.cpu(1)]
            net = network(contexts)
            trainer = mx.gluon.Trainer(
                net.collect_params(), "sgd", RULES["sgd"][0], update_on_kvstore=updates
            )
            loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
            for step in range(4):
                data, labels = batches()[step % 4]
                if step == 2:
                    if not bad:
                        continue
                    labels = labels.copy()
                    labels[-1] = 99  # on the second device
                xs = split_and_load(mx.nd.array(data, dtype="float64"), contexts)
                ys = split_and_load(mx.nd.array(labels, dtype="float64"), contexts)
                with mx.autograd.record():
                    losses = [loss_of(net(x), y) for x, y in zip(xs, ys, strict=True)]
                mx.autograd.backward(losses)
                trainer.step(BATCH)
                if step == 2:
                    with pytest.raises(mx.MXNetError, match="99"):
                        mx.nd.waitall()
            params = net.collect_params().values()
            found.append([[copy.asnumpy() for copy in p.list_data()] for p in params])
        onp.testing.assert_equal(*found)
    finally:
        mx.engine.set_deterministic(before)
        mx.engine.set_type(previous)
