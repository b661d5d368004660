"""block.as_torch(): torch trains a block; both see the same weights."""

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon.gluon import nn
from tests.gluon.cases import convnet, mlp, numbers


def network(build=mlp, shape=(4, 3), **kwargs):
    net = build(mx, prefix="net_")
    net.initialize(mx.init.Xavier(), **kwargs)
    net(mx.nd.ones(shape, ctx=kwargs.get("ctx")))
    return net


def copy_of(net, build, shape):
    other = network(build, shape)
    for key, param in other.structural_params().items():
        param.set_data(net.structural_params()[key].data().asnumpy())
    return other


def train_by_torch(module, x, y, steps=5):
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        (module(x) - y).square().mean().backward()
        optimizer.step()


def train_by_regluon(net, x, y, steps=5):
    x, y = mx.nd.array(x.numpy()), mx.nd.array(y.numpy())
    for _ in range(steps):
        with mx.autograd.record():
            loss = (net(x) - y).square().mean()
        loss.backward()
        for param in net.collect_params().values():
            if param.grad_req != "null":
                array = param.data()
                array[:] = array - 0.1 * param.grad()


def assert_equal_weights(one, other):
    mx.nd.waitall()
    for key, param in one.structural_params().items():
        onp.testing.assert_allclose(
            param.data().asnumpy(),
            other.structural_params()[key].data().asnumpy(),
            rtol=0,
            atol=1e-6,
            err_msg=key,
        )


@pytest.mark.parametrize(("build", "shape"), [(mlp, (4, 3)), (convnet, (4, 3, 6, 6))])
def test_five_steps_by_torch_equal_five_steps_by_regluon(build, shape):
    net = network(build, shape)
    other = copy_of(net, build, shape)
    x, y = torch.tensor(numbers("x", shape)), torch.tensor(numbers("y", (4, 2)))
    module = net.as_torch().train()
    train_by_torch(module, x, y)
    train_by_regluon(other, x, y)
    assert_equal_weights(net, other)
    module.eval()
    mine = net(mx.nd.array(x.numpy())).asnumpy()
    assert (module(x).detach().numpy() == mine).all()


def test_names_parameters_and_buffers_are_those_of_the_block():
    module = network(convnet, (2, 3, 6, 6)).as_torch()
    assert [name for name, _ in module.named_parameters()] == [
        "0.0.weight", "0.1.gamma", "0.1.beta", "1.weight", "1.bias", "2.beta", "5.weight", "5.bias",
    ]  # fmt: skip
    assert [name for name, _ in module.named_buffers()] == [
        "0.1.running_mean", "0.1.running_var", "2.gamma", "2.running_mean", "2.running_var",
    ]  # fmt: skip


def test_the_module_and_its_parts_are_one_set_of_weights():
    net = network()
    first, second = net.as_torch(), net.as_torch()
    assert all(a is b for a, b in zip(first.parameters(), second.parameters(), strict=True))
    part = net[0].as_torch()
    assert part.weight is dict(first.named_parameters())["0.weight"]


def test_gradients_reach_inputs_and_stay_apart_from_regluons():
    net = network()
    module = net.as_torch()
    x = torch.ones(4, 3, requires_grad=True)
    module(x).sum().backward()
    assert x.grad.abs().sum() > 0
    weight = net[0].weight
    assert weight.torch_tensor().grad.abs().sum() > 0
    assert not weight.grad().asnumpy().any()
    with mx.autograd.record():
        loss = net(mx.nd.ones((4, 3))).sum()
    loss.backward()
    assert weight.grad().asnumpy().any()


def test_train_and_eval_decide_how_layers_behave():
    net = nn.HybridSequential()
    net.add(nn.Dropout(0.5))
    module = net.as_torch()
    x = torch.ones(100)
    assert (module.eval()(x) == 1).all()
    assert (module.train()(x) == 0).any()


def test_without_gradients_nothing_is_recorded():
    module = network().as_torch()
    with torch.no_grad():
        assert not module(torch.ones(4, 3)).requires_grad


def test_frozen_parameters_are_not_trained():
    net = network()
    net[0].collect_params().setattr("grad_req", "null")
    before = net[0].weight.data().asnumpy()
    module = net.as_torch()
    assert [p.requires_grad for p in module.parameters()] == [False, False, True, True, True, True]
    train_by_torch(module, torch.ones(4, 3), torch.ones(4, 2))
    assert (net[0].weight.data().asnumpy() == before).all()


def test_loading_and_casting_the_block_changes_the_module(tmp_path):
    net = network()
    module = net.as_torch()
    net.save_parameters(tmp_path / "w")
    saved = next(module.parameters()).detach().clone()
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.zero_()
    net.load_parameters(tmp_path / "w")
    mx.nd.waitall()
    assert torch.equal(next(module.parameters()), saved)
    net.cast("float64")
    assert module(torch.ones(4, 3, dtype=torch.float64)).dtype == torch.float64


def test_lists_in_and_out():
    class Pair(mx.gluon.HybridBlock):
        def forward(self, pair, factor):
            return pair[0] * factor, [pair[1], None]

    a, (b, nothing) = Pair().as_torch()([torch.ones(2), torch.zeros(2)], 3)
    assert (a.tolist(), b.tolist(), nothing) == ([3, 3], [0, 0], None)


def test_a_block_on_another_context_of_the_cpu():
    module = network(ctx=mx.cpu(1)).as_torch()
    assert module(torch.ones(4, 3)).shape == (4, 2)


def test_parameters_without_values_are_an_error_that_names_one():
    net = mlp(mx, prefix="net_")
    net.initialize()
    with pytest.raises(mx.gluon.DeferredInitializationError, match="net_dense0_weight"):
        net.as_torch()


def test_a_module_moved_by_torch_is_noticed():
    module = network().as_torch()
    module.double()
    with pytest.raises(mx.MXNetError, match="no longer share storage"):
        module(torch.ones(4, 3))
