import numpy as onp
import pytest

import regluon as mx
from regluon.gluon import nn
from tests.gluon.cases import check, numbers, of_file, read, run


GOLDEN = read()


@pytest.mark.parametrize("case", of_file("norm"), ids=lambda case: case.name)
def test_outputs_gradients_names_and_repr_are_those_of_mxnet(case):
    check(f"{case.file}: {case.name}", run(mx, case), GOLDEN)


def statistics(layer):
    return layer.running_mean.data().asnumpy(), layer.running_var.data().asnumpy()


def unchanged(layer, before):
    return all(onp.array_equal(a, b) for a, b in zip(statistics(layer), before, strict=True))


def network():
    """Dense, batch norm, dense: ready to train."""
    net = nn.HybridSequential()
    net.add(nn.Dense(3, in_units=4), nn.BatchNorm(in_channels=3), nn.Dense(1, in_units=3))
    net.initialize()
    return net


def train(net, steps=2):
    for step in range(steps):
        x = mx.nd.array(numbers(f"x{step}", (8, 4), 0, 5))
        with mx.autograd.record():
            loss = (net(x) ** 2).mean()
        loss.backward()


# Which parameters are frozen, and whether MXNet 1.9.1 changes the statistics all the same: it does
# where a gradient passes through the layer.
FROZEN = {
    "nothing": ((), True),
    "the layers before": ((0,), True),
    "the norm, with trained layers before": ((1,), True),
    "the norm and all before": ((0, 1), False),
    "everything": ((0, 1, 2), False),
}


@pytest.mark.parametrize("frozen", FROZEN)
def test_statistics_stay_bit_for_bit_where_no_gradient_passes(frozen):
    layers, moves = FROZEN[frozen]
    net = network()
    for layer in layers:
        net[layer].collect_params().setattr("grad_req", "null")
    before = statistics(net[1])
    if len(layers) == 3:
        with mx.autograd.record():
            net(mx.nd.ones((2, 4)))
    else:
        train(net)
    assert unchanged(net[1], before) is not moves


def test_a_frozen_norm_still_normalizes_by_the_batch_in_training():
    layer = nn.BatchNorm(in_channels=3)
    layer.initialize()
    layer.collect_params().setattr("grad_req", "null")
    with mx.autograd.record():
        y = layer(mx.nd.array(numbers("x", (8, 3), 5, 9)))
    assert abs(y.asnumpy().mean(0)).max() < 1e-5


def test_training_mode_without_recording_leaves_the_statistics():
    layer = nn.BatchNorm(in_channels=3)
    layer.initialize()
    before = statistics(layer)
    with mx.autograd.train_mode():
        layer(mx.nd.array(numbers("x", (8, 3))))
    assert unchanged(layer, before)


def test_values_that_are_not_finite_do_not_reach_frozen_statistics():
    layer = nn.BatchNorm(in_channels=1)
    layer.initialize()
    layer.collect_params().setattr("grad_req", "null")
    before = statistics(layer)
    with mx.autograd.record():
        layer(mx.nd.array([[float("inf")], [float("nan")]]))
    assert unchanged(layer, before)


def test_global_statistics_normalize_and_stay_in_training():
    layer = nn.BatchNorm(in_channels=3, use_global_stats=True)
    layer.initialize()
    before = statistics(layer)
    x = mx.nd.array(numbers("x", (8, 3)))
    with mx.autograd.record():
        y = layer(x)
    y.backward()
    onp.testing.assert_allclose(y.asnumpy(), x.asnumpy(), rtol=1e-4)
    assert unchanged(layer, before)


def test_statistics_never_have_a_gradient():
    layer = nn.BatchNorm(in_channels=3, scale=False)
    layer.collect_params().setattr("grad_req", "write")
    reqs = {name.split("_", 1)[1]: p.grad_req for name, p in layer.collect_params().items()}
    assert reqs == {"gamma": "null", "beta": "write", "running_mean": "null", "running_var": "null"}


def test_each_context_has_its_own_statistics():
    layer = nn.BatchNorm(in_channels=2)
    contexts = [mx.cpu(0), mx.cpu(1)]
    layer.initialize(ctx=contexts)
    with mx.autograd.record():
        y = layer(mx.nd.array([[1, 2], [3, 4]], ctx=contexts[1]))
    y.backward()
    means = [layer.running_mean.data(ctx).asnumpy().tolist() for ctx in contexts]
    assert means[0] == [0.0, 0.0]
    assert means[1] == pytest.approx([0.2, 0.3])
