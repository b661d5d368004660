"""The whole API on one page: what a newcomer meets, in the order in which they meet it."""

import numpy as onp
import torch

import regluon as mx
from regluon import autograd, gluon, nd, np, npx
from regluon.gluon import nn


def test_arrays() -> None:
    x = nd.array([[1, 2], [3, 4]])
    y = (x * 2 + 1).sum(axis=1)
    assert y.asnumpy().tolist() == [8, 16]
    assert nd.dot(x, x.T).shape == (2, 2)
    assert (x[0] + nd.ones((2,))).asnumpy().tolist() == [2, 3]
    assert (np.arange(4).reshape(2, 2) > 1).any()


def test_gradients() -> None:
    x = nd.arange(4)
    x.attach_grad()
    with autograd.record():
        y = 2 * nd.dot(x, x)
    y.backward()
    assert x.grad.asnumpy().tolist() == [0, 4, 8, 12]


def test_a_network_learns() -> None:
    mx.random.seed(1)
    data = nd.random.normal(shape=(64, 10))
    labels = data[:, 0] > 0
    net = nn.HybridSequential()
    net.add(nn.Dense(16, activation="relu"), nn.Dense(2))
    net.initialize(mx.init.Xavier())
    net.hybridize()
    loss_of = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.05})
    loader = gluon.data.DataLoader(gluon.data.ArrayDataset(data, labels), 16, shuffle=True)
    for _ in range(8):
        for batch, target in loader:
            with autograd.record():
                loss = loss_of(net(batch), target)
            loss.backward()
            trainer.step(len(batch))
    accuracy = mx.metric.Accuracy()
    accuracy.update(labels, net(data))
    assert accuracy.get()[1] > 0.95


def test_parameters_travel(tmp_path) -> None:
    net = nn.Dense(2, in_units=3)
    net.initialize()
    twin = nn.Dense(2, in_units=3)
    for name in ("net.safetensors", "net.params"):
        net.save_parameters(str(tmp_path / name))
        twin.load_parameters(str(tmp_path / name))
        assert (twin.weight.data().asnumpy() == net.weight.data().asnumpy()).all()


def test_two_logical_devices() -> None:
    net = nn.Dense(1)
    net.initialize(ctx=[mx.cpu(0), mx.cpu(1)])
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    parts = gluon.utils.split_and_load(nd.ones((4, 2)), [mx.cpu(0), mx.cpu(1)])
    with autograd.record():
        losses = [net(part).sum() for part in parts]
    autograd.backward(losses)
    trainer.step(4)
    first, second = (w.asnumpy() for w in net.weight.list_data())
    assert (first == second).all()


def test_the_torch_door() -> None:
    module = torch.nn.Linear(3, 2)
    block = nn.TorchBlock(module)
    x = onp.ones((1, 3), "float32")
    want = module(torch.from_numpy(x)).detach().numpy()
    assert onp.allclose(block(nd.array(x)).asnumpy(), want)
    dense = nn.Dense(2, in_units=3)
    dense.initialize()
    back = dense.as_torch()
    assert torch.allclose(back(torch.from_numpy(x)), dense(nd.array(x)).to_torch())


def test_numpy_mode() -> None:
    npx.set_np()
    net = nn.Dense(2)
    net.initialize()
    out = net(np.ones((1, 3)))
    assert isinstance(out, np.ndarray)
    assert npx.relu(out).shape == (1, 2)


def test_transforms_on_a_picture() -> None:
    transforms = gluon.data.vision.transforms
    chain = transforms.Compose(
        [transforms.RandomResizedCrop(8), transforms.RandomFlipLeftRight(), transforms.ToTensor()]
    )
    assert chain(nd.zeros((20, 30, 3), dtype="uint8")).shape == (3, 8, 8)
