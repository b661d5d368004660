"""copy.deepcopy of parameters, networks and their torch modules: a second one that trains alone."""

import copy

import torch

import regluon as mx
from regluon.gluon import nn


X = mx.nd.array([[1, 2], [3, -1], [0, 1], [2, 2]])


def network() -> nn.HybridSequential:
    net = nn.HybridSequential()
    net.add(nn.Dense(3, in_units=2), nn.BatchNorm(in_channels=3))
    net.initialize(mx.init.Xavier())
    return net


def trained(net: mx.gluon.Block) -> mx.gluon.Block:
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    with mx.autograd.record():
        loss = (net(X) ** 2).sum()
    loss.backward()
    trainer.step(1)
    mx.nd.waitall()
    return net


def test_a_copied_network_computes_the_same_and_trains_alone() -> None:
    net = network()
    twin = copy.deepcopy(net)
    assert list(twin.collect_params()) == list(net.collect_params())
    assert (twin(X).asnumpy() == net(X).asnumpy()).all()
    before = net[0].weight.data().asnumpy()
    trained(twin)
    assert (net[0].weight.data().asnumpy() == before).all()
    assert (twin[0].weight.data().asnumpy() != before).any()
    assert (trained(net)(X).asnumpy() == twin(X).asnumpy()).all()


def test_shared_weights_stay_shared_and_frozen_ones_frozen() -> None:
    first = nn.Dense(2, in_units=2)
    net = nn.HybridSequential()
    net.add(first, nn.Dense(2, in_units=2, params=first.params))
    first.bias.grad_req = "null"
    net.initialize()
    twin = copy.deepcopy(net)
    assert twin[0].weight is twin[1].weight
    assert twin[0].weight is not net[0].weight
    assert twin[0].bias.grad_req == "null"
    trained(twin)


def test_a_network_that_waits_for_shapes_is_copied_as_it_waits() -> None:
    net = nn.Dense(3)
    net.initialize()
    twin = copy.deepcopy(net)
    assert twin(X).shape == (4, 3)
    assert net.weight.shape == (3, 0)


def test_contexts_and_constants_are_kept() -> None:
    net = nn.Dense(1, in_units=2)
    net.initialize(ctx=[mx.cpu(0), mx.cpu(1)])
    assert copy.deepcopy(net).weight.list_ctx() == [mx.cpu(0), mx.cpu(1)]
    const = copy.deepcopy(mx.gluon.Constant("c", [1, 2]))
    const.initialize()
    assert const.data().asnumpy().tolist() == [1, 2]


def stepped(module: torch.nn.Module) -> None:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    module(X.to_torch().clone()).square().sum().backward()
    optimizer.step()


def test_a_copied_torch_module_of_a_block_has_a_block_of_its_own() -> None:
    net = network()
    module = net.as_torch().train()
    twin = copy.deepcopy(module)
    assert twin.training
    assert twin.block is not net
    before = net[0].weight.data().asnumpy()
    stepped(twin)
    assert (net[0].weight.data().asnumpy() == before).all()
    assert twin.block[0].weight.data().asnumpy().tolist() == next(twin.parameters()).tolist()
    assert (twin.block[0].weight.data().asnumpy() != before).any()
    inside = copy.deepcopy(torch.nn.Sequential(module, torch.nn.Linear(3, 1)))
    stepped(inside)
    assert (net[0].weight.data().asnumpy() == before).all()


def test_a_copied_torch_block_has_a_module_of_its_own() -> None:
    layers = torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)
    block = nn.TorchBlock(torch.nn.Sequential(*layers))
    twin = trained(copy.deepcopy(block))
    for param in twin.collect_params().values():
        param.check_adopted()
    assert (layers[0].weight.detach().numpy() != twin.module[0].weight.detach().numpy()).any()
    assert layers[1].running_mean.tolist() == [0, 0, 0]
    assert twin.module[1].running_mean.tolist() != [0, 0, 0]


def test_a_copied_module_in_a_new_block_has_new_parameters() -> None:
    block = nn.TorchBlock(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)))
    other = nn.TorchBlock(copy.deepcopy(block.module))
    mine, theirs = (set(map(id, b.collect_params().values())) for b in (block, other))
    assert not mine & theirs
    trained(other)
