"""The backend "inductor": graphs as torch.fx modules, and what cannot be compiled."""

import numpy as np
import pytest
import torch

import regluon as mx
from regluon.gluon import nn
from regluon.graph.inductor import as_fx, inductor
from regluon.graph.trace import Trace


def traced(function, *tensors):
    trace = Trace()
    inputs = trace.inputs(tensors, [f"x{i}" for i in range(len(tensors))])
    with torch.no_grad(), trace:
        results = function(*tensors)
    return trace.graph(inputs, results)


def test_a_graph_is_the_same_as_a_module_of_fx():
    x, moving = torch.randn(4, 8), torch.zeros(8)

    def function(x, moving):
        moving.lerp_(x.mean(0), 0.5)
        first, second = x.split(4, 1)
        return [first * second + torch.tensor([1.0]), torch.cat([first, x], 1)]

    before = moving.clone()
    graph = traced(function, x, moving)
    expected = function(x, before)
    moving.zero_()
    found = as_fx(graph)(x, moving)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert torch.equal(moving, before)


def test_random_numbers_are_refused_with_their_line():
    graph = traced(lambda x: [torch.bernoulli(x)], torch.rand(3))
    with pytest.raises(mx.MXNetError, match=r"cannot compile aten\.bernoulli.*test_inductor\.py"):
        inductor(graph)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_a_block_compiled_by_inductor_is_equal():
    net = nn.HybridSequential()
    net.add(nn.Dense(8, activation="relu", in_units=4), nn.Dense(2, in_units=8))
    net.initialize(mx.init.Xavier())
    x = mx.nd.random.uniform(shape=(3, 4))
    expected = net(x).asnumpy()
    net.hybridize(backend="inductor")
    for _ in range(5):
        np.testing.assert_allclose(net(x).asnumpy(), expected, rtol=1e-5, atol=1e-6)
