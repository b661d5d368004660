"""mixed_precision=: programs in 16 bits between arguments and results in float32, checked."""

import logging

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import regluon as mx
from regluon import autograd, gluon
from regluon.graph import passes
from tests.gluon.torch_models import MODELS, pair


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(2)
    mx.random.seed(2)


def distance(one, other):
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("train", [True, False])
def test_a_torch_module_is_near_to_itself_in_float32(name, train):
    make, data = MODELS[name]
    module, reference = (module.train(train) for module in pair(make, torch.float32))
    for inner in (m for net in (module, reference) for m in net.modules()):
        if isinstance(inner, nn.Dropout):
            inner.p = 0.0
        if isinstance(inner, nn.LSTM):
            inner.dropout = 0.0
    mx.hybridize(module, mixed_precision="bfloat16")
    x = torch.randn(8, 3, 64, 64) if name == "resnet18" else data()  # for its normalization
    for _ in range(5):
        with torch.set_grad_enabled(train):
            one, other = module(x), reference(x)
        assert one.dtype is torch.float32
        assert distance(one.detach(), other.detach()) < 0.05
    assert "torch.bfloat16" in mx.program(module)
    if train:
        for net, out in ((module, one), (reference, other)):
            net.zero_grad()
            out.square().mean().backward()
        ours, theirs = (
            torch.cat([parameter.grad.flatten() for parameter in net.parameters()])
            for net in (module, reference)
        )
        assert ours.dtype is torch.float32
        assert distance(ours, theirs) < (0.5 if name == "resnet18" else 0.1)


@pytest.mark.parametrize("name", ["vit", "mlp"])
def test_a_step_of_a_torch_module_learns_as_in_float32(name):
    make, data = MODELS[name]
    losses = []
    for dtype in (None, "bfloat16"):
        module, _ = pair(make, torch.float32)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
        step = mx.hybridize_step(module, F.cross_entropy, optimizer, mixed_precision=dtype)
        torch.manual_seed(1)
        x = data()
        losses.append([float(step(x, torch.arange(len(x)) % 2)) for _ in range(12)])
        assert ("torch.bfloat16" in step.program) == (dtype is not None)
    assert losses[0][-1] < 0.7 * losses[0][0]
    assert losses[1][:2] == losses[0][:2]  # those calls are eager
    assert np.allclose(*losses, rtol=0.05, atol=0.01)


def network():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(8, 3, in_channels=3), gluon.nn.BatchNorm(in_channels=8))
    net.add(gluon.nn.Activation("relu"), gluon.nn.GlobalAvgPool2D(), gluon.nn.Dense(4, in_units=8))
    net.initialize(mx.init.Xavier())
    return net


@pytest.mark.parametrize("train", [True, False])
def test_a_block_is_near_to_itself_in_float32(train):
    net = network()
    x = mx.nd.random.normal(shape=(5, 3, 8, 8))
    with autograd.record(train):
        expected = net(x)
    if train:
        expected.backward()
        gradient = net[0].weight.grad().copy()
    net.hybridize(mixed_precision="bfloat16")
    for _ in range(5):
        with autograd.record(train):
            y = net(x)
        if train:
            y.backward()
    assert "torch.bfloat16" in net.program
    assert y.dtype == np.float32
    assert np.allclose(y.asnumpy(), expected.asnumpy(), atol=0.03)
    if train:
        error = (net[0].weight.grad() - gradient).norm() / gradient.norm()
        assert error.asscalar() < 0.2
        assert net[0].weight.grad().dtype == np.float32


def test_a_training_step_of_gluon():
    net = network()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    step = gluon.hybridize_step(net, loss, trainer, mixed_precision="bfloat16")
    x, y = mx.nd.random.normal(shape=(8, 3, 8, 8)), mx.nd.arange(8) % 4
    losses = [step(x, y).mean().item() for _ in range(30)]
    assert losses[-1] < 0.9 * losses[0]
    assert "torch.bfloat16" in step.program
    assert {p.data().dtype for p in net.collect_params().values()} == {np.float32}


def test_a_module_inside_a_network():
    net = gluon.nn.TorchBlock(nn.Linear(6, 2))
    net.hybridize(mixed_precision="bfloat16")
    for _ in range(4):
        y = net(mx.nd.ones((3, 6)))
    assert y.dtype == np.float32
    assert "torch.bfloat16" in mx.program(net.module)


class Large(nn.Module):
    """A product that float16 cannot hold."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((4, 4), 300.0))

    def forward(self, x):
        return (x @ self.weight) * 1e-3


def test_what_16_bits_cannot_hold_stays_in_float32_and_says_so(caplog):
    module = mx.hybridize(Large(), mixed_precision="float16")
    x = torch.full((2, 4), 300.0)
    with caplog.at_level(logging.WARNING, "regluon.hybridize"):
        for _ in range(5):
            y = module(x)
            y.sum().backward()
    assert torch.allclose(y, torch.full((2, 4), 360.0))
    assert "result 0 is off by inf in 16 bits: its norm is inf, in float32 1.02e+03" in caplog.text


def test_what_fails_in_16_bits_stays_in_float32_and_says_so(monkeypatch, caplog):
    def failing(graph, dtype):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(passes, "in_mixed_precision", failing)
    module, reference = pair(MODELS["mlp"][0], torch.float32)
    mx.hybridize(module, mixed_precision="bfloat16")
    x = torch.randn(4, 512)
    for _ in range(4):
        assert torch.equal(module(x), reference(x))
        module(x).sum().backward()
    assert "Sequential stays in float32: in 16 bits it fails: no such kernel" in caplog.text
    assert "aten.addmm" in mx.program(module)


def test_gradients_that_float16_loses_are_noticed(caplog):
    module = mx.hybridize(nn.Linear(4, 2), mixed_precision="float16")
    with caplog.at_level(logging.WARNING, "regluon.hybridize"):
        for _ in range(5):
            module.zero_grad()
            (module(torch.ones(3, 4)) * 1e-9).sum().backward()
    assert "gradient 0 is off by 8.49e-09 in 16 bits: its norm is 0," in caplog.text
    assert torch.allclose(module.weight.grad, torch.full((2, 4), 3e-9))


def test_wrong_arguments_are_named():
    module, net = nn.Linear(1, 1), gluon.nn.Dense(1)
    for call in (
        lambda **options: mx.hybridize(module, **options),
        lambda **options: net.hybridize(**options),
    ):
        with pytest.raises(mx.MXNetError, match="'bfloat16' or 'float16', not 'float64'"):
            call(mixed_precision="float64")
        with pytest.raises(mx.MXNetError, match="unknown dtype 'bf16'"):
            call(mixed_precision="bf16")
        with pytest.raises(mx.MXNetError, match="passes=False forbids"):
            call(mixed_precision="bfloat16", passes=False)
