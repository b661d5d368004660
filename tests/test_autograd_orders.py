"""Derivatives of derivatives: through operators and layers, beside torch and finite differences."""

from collections.abc import Callable
from typing import Any

import numpy as onp
import pytest
import torch
from torch.nn import functional

from regluon import autograd, nd, np
from regluon.base import MXNetError
from regluon.gluon import nn


def leaf(values: Any) -> nd.NDArray:
    x = nd.array(values)
    x.attach_grad()
    return x


def values(shape: tuple[int, ...], seed: int = 0) -> onp.ndarray:
    return onp.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_of_a_sine_and_a_power(order: int) -> None:
    x = leaf([0.5, 1.0])
    t = torch.tensor([0.5, 1.0], requires_grad=True)
    with autograd.record():
        y = nd.sin(x) * x**3
        for _ in range(order - 1):
            (y,) = autograd.grad(y, x, create_graph=True)
    y.backward()
    z = torch.sin(t) * t**3
    for _ in range(order):
        (z,) = torch.autograd.grad(z.sum(), t, create_graph=True)
    onp.testing.assert_allclose(x.grad.asnumpy(), z.detach().numpy(), rtol=1e-5)


def test_gradients_of_gradients_are_recorded_outside_of_record_too() -> None:
    x = leaf([2.0])
    with autograd.record():
        y = x * x * x
    (slope,) = autograd.grad(y, [x], create_graph=True)
    slope.backward()
    assert (slope.asscalar(), x.grad.asscalar()) == (12, 12)


def test_a_gradient_penalty_trains_the_weights() -> None:
    w, x = leaf(values((4, 3))), leaf(values((5, 3), 1))
    with autograd.record():
        y = nd.tanh(nd.dot(x, w.transpose())).sum()
        (slope,) = autograd.grad(y, [x], create_graph=True)
        penalty = ((slope.square().sum(axis=1).sqrt() - 1) ** 2).mean()
    penalty.backward()
    tw, tx = (torch.tensor(a.asnumpy(), requires_grad=True) for a in (w, x))
    (found,) = torch.autograd.grad(torch.tanh(tx @ tw.T).sum(), tx, create_graph=True)
    ((found.norm(dim=1) - 1) ** 2).mean().backward()
    onp.testing.assert_allclose(w.grad.asnumpy(), tw.grad.numpy(), rtol=1e-4, atol=1e-6)
    onp.testing.assert_allclose(x.grad.asnumpy(), tx.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_a_product_of_a_hessian_and_a_vector() -> None:
    x, v = leaf(values((4,))), nd.array(values((4,), 2))
    with autograd.record():
        y = (x**4).sum() + (x[1:] * x[:-1]).sum() ** 2
        (slope,) = autograd.grad(y, x, create_graph=True)
    (product,) = autograd.grad(slope, x, head_grads=v)
    t = torch.tensor(x.asnumpy())
    hessian = torch.autograd.functional.hessian(
        lambda a: (a**4).sum() + (a[1:] * a[:-1]).sum() ** 2, t
    )
    onp.testing.assert_allclose(product.asnumpy(), hessian.numpy() @ v.asnumpy(), rtol=1e-4)


def test_recorded_head_gradients_have_gradients() -> None:
    x, u = leaf(values((3,))), leaf([1.0, 1.0, 1.0])
    v = nd.array(values((3,), 3))
    with autograd.record():
        y = nd.exp(x) * x
        (back,) = autograd.grad(y, x, head_grads=u, create_graph=True)
    (forward,) = autograd.grad(back, u, head_grads=v)  # the derivative along v
    wanted = onp.exp(x.asnumpy()) * (1 + x.asnumpy()) * v.asnumpy()
    onp.testing.assert_allclose(forward.asnumpy(), wanted, rtol=1e-5)


LAYERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], tuple[int, ...]]] = {
    "softmax": (
        lambda x: nd.softmax(x, axis=-1),
        lambda x: functional.softmax(x, -1),
        (3, 4),
    ),
    "log_softmax": (
        lambda x: nd.log_softmax(x, axis=1),
        lambda x: functional.log_softmax(x, 1),
        (3, 4),
    ),
    "Activation": (
        lambda x: nd.Activation(x, "softrelu"),
        functional.softplus,
        (3, 4),
    ),
    "BatchNorm": (
        lambda x: nd.BatchNorm(
            x, nd.ones(2), nd.zeros(2), nd.zeros(2), nd.ones(2), eps=1e-3, fix_gamma=False
        ),
        lambda x: functional.batch_norm(x, None, None, training=True, eps=1e-3),
        (4, 2, 3),
    ),
    "LayerNorm": (
        lambda x: nd.LayerNorm(x, nd.ones(4), nd.zeros(4), eps=1e-3),
        lambda x: functional.layer_norm(x, (4,), eps=1e-3),
        (3, 4),
    ),
    "Convolution": (
        lambda x: nd.Convolution(
            x, nd.array(values((2, 3, 2, 2), 5)), kernel=(2, 2), num_filter=2, no_bias=True
        ),
        lambda x: functional.conv2d(x, torch.tensor(values((2, 3, 2, 2), 5))),
        (2, 3, 4, 4),
    ),
    "Pooling": (
        lambda x: nd.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg"),
        lambda x: functional.avg_pool2d(x, 2),
        (1, 2, 4, 4),
    ),
    "FullyConnected": (
        lambda x: nd.FullyConnected(x, nd.array(values((2, 4), 6)), no_bias=True, num_hidden=2),
        lambda x: functional.linear(x, torch.tensor(values((2, 4), 6))),
        (3, 4),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_second_derivatives_of_layers_are_torchs(name: str) -> None:
    ours, theirs, shape = LAYERS[name]
    x = leaf(values(shape))
    with autograd.record():
        y = (ours(x) ** 3).sum()
        (slope,) = autograd.grad(y, x, create_graph=True)
        total = (slope**2).sum()
    total.backward()
    t = torch.tensor(values(shape), requires_grad=True)
    (found,) = torch.autograd.grad((theirs(t) ** 3).sum(), t, create_graph=True)
    (found**2).sum().backward()
    assert float(abs(t.grad).max()) > 0
    onp.testing.assert_allclose(x.grad.asnumpy(), t.grad.numpy(), rtol=1e-3, atol=1e-4)


def test_second_derivatives_agree_with_differences_of_first_ones() -> None:
    net = nn.HybridSequential()
    net.add(nn.Conv2D(2, 3, in_channels=1), nn.BatchNorm(in_channels=2), nn.Activation("tanh"))
    net.add(nn.Dense(1, in_units=8))
    net.initialize()
    net.cast("float64")
    start = values((3, 1, 4, 4)).astype("float64")
    direction = values((3, 1, 4, 4), 1).astype("float64")

    def slope(data: onp.ndarray) -> onp.ndarray:
        x = nd.array(data, dtype="float64")
        x.attach_grad()
        with autograd.record():
            y = (net(x) ** 2).sum()
        y.backward()
        return x.grad.asnumpy()

    x = nd.array(start, dtype="float64")
    x.attach_grad()
    with autograd.record():
        (first,) = autograd.grad((net(x) ** 2).sum(), x, create_graph=True)
    (second,) = autograd.grad(first, x, head_grads=nd.array(direction, dtype="float64"))
    step = 1e-5 * direction
    wanted = (slope(start + step) - slope(start - step)) / 2e-5
    onp.testing.assert_allclose(second.asnumpy(), wanted, rtol=1e-5, atol=1e-8)


def test_the_slope_of_a_straight_line_is_a_constant() -> None:
    x = leaf([1.0, 2.0])
    with autograd.record():
        (slope,) = autograd.grad(x * 3, x, create_graph=True)
        total = slope.sum()
    assert slope.asnumpy().tolist() == [3, 3]
    total.backward()
    assert x.grad.asnumpy().tolist() == [0, 0]
    with autograd.record():
        (slope,) = autograd.grad(x * 3, x, create_graph=True)
    (zero,) = autograd.grad(slope, x, create_graph=True)
    assert zero.asnumpy().tolist() == [0, 0]


def test_variables_may_be_results_and_several() -> None:
    x, w = leaf([2.0]), leaf([3.0])
    with autograd.record():
        y = x * w
        z = y * y
    assert [g.asscalar() for g in autograd.grad(z, [y, x, w])] == [12, 36, 24]
    with pytest.raises(MXNetError, match="freed by an earlier backward"):
        z.backward()


def test_a_variable_that_was_not_used_is_an_error() -> None:
    x, other = leaf([2.0]), leaf([1.0])
    with autograd.record():
        y = x * x
    with pytest.raises(MXNetError, match=r"variable 1 of grad\(\).* not used"):
        autograd.grad(y, [x, other])
    with pytest.raises(MXNetError, match="attach_grad"):
        autograd.grad(y, nd.ones(1))
    with pytest.raises(MXNetError, match="at least one variable"):
        autograd.grad(y, [])
    with autograd.record():
        y = x * nd.stop_gradient(other * 2)
    assert [g.asscalar() for g in autograd.grad(y, [x, other])] == [2, 0]


def test_np_arrays_have_higher_derivatives() -> None:
    x = np.array([0.5])
    x.attach_grad()
    with autograd.record():
        (slope,) = autograd.grad(np.exp(2 * x), x, create_graph=True)
    slope.backward()
    assert isinstance(slope, np.ndarray)
    assert x.grad.item() == pytest.approx(4 * onp.e, rel=1e-5)


def test_create_graph_keeps_the_graph_and_retain_graph_too() -> None:
    x = leaf([2.0])
    with autograd.record():
        y = x * x
    for options in ({"create_graph": True}, {"retain_graph": True}, {}):
        assert autograd.grad(y, x, **options)[0].asscalar() == 4
    with pytest.raises(MXNetError, match="retain_graph=True"):
        autograd.grad(y, x)
