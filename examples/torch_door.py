"""PyTorch both ways: a torch module inside a Gluon network, and a Gluon network inside torch.

    python examples/torch_door.py

Takes three seconds; both trainings end with an accuracy above 95 %.
"""

import argparse

import torch

import regluon as mx
from regluon import autograd, gluon, nd
from regluon.gluon import nn


def points(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points in the plane, and whether they are inside a circle."""
    data = torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return data, (data.square().sum(1) < 0.6).long()


def torch_inside_gluon(epochs: int) -> float:
    """A torch module becomes a Block: Gluon's Trainer updates its weights where they are."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.ReLU())
    before = module[0].weight.clone()
    net = nn.HybridSequential()
    net.add(nn.TorchBlock(module), nn.Dense(2, in_units=32))
    net[1].initialize(mx.init.Xavier())  # The module has its weights already.
    tensors = points(512)
    data, labels = nd.from_torch(tensors[0]), nd.from_torch(tensors[1])
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.02})
    loss_of = gluon.loss.SoftmaxCrossEntropyLoss()
    for _ in range(epochs):
        with autograd.record():
            loss = loss_of(net(data), labels)
        loss.backward()
        trainer.step(len(labels))
    assert not torch.equal(before, module[0].weight)
    return float((net(data).asnumpy().argmax(1) == tensors[1].numpy()).mean())


def gluon_inside_torch(epochs: int) -> float:
    """A Block becomes a torch module: torch's optimizer updates its Parameters where they are."""
    net = nn.HybridSequential()
    net.add(nn.Dense(32, activation="relu", in_units=2), nn.Dense(2, in_units=32))
    net.initialize(mx.init.Xavier())
    module = net.as_torch()
    data, labels = points(512)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(epochs):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(data), labels).backward()
        optimizer.step()
    # Gluon sees the weights that torch trained.
    answers = net(nd.from_torch(data)).asnumpy().argmax(1)
    return float((answers == labels.numpy()).mean())


def main(epochs: int) -> None:
    mx.random.seed(0)
    torch.manual_seed(0)
    for train in (torch_inside_gluon, gluon_inside_torch):
        accuracy = train(epochs)
        print(f"{train.__name__}: accuracy {accuracy:.1%}")
        assert accuracy > (0.95 if epochs >= 150 else 0.8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="fewer epochs")
    main(60 if parser.parse_args().smoke else 200)
