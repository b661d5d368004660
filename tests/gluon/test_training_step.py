"""hybridize_step: a training step as one program, equal to the lines it stands for."""

import numpy as np
import pytest

import regluon as mx
from regluon import autograd, gluon
from regluon.gluon import nn


def network(dropout=True):
    mx.random.seed(5)
    net = nn.HybridSequential()
    net.add(nn.Dense(8, activation="relu", in_units=6), nn.BatchNorm(in_channels=8))
    if dropout:
        net.add(nn.Dropout(0.5))
    net.add(nn.Dense(3, in_units=8))
    net.initialize(mx.init.Xavier())
    mx.random.seed(6)
    return net


def batches(count=8, sizes=(4,)):
    draw = np.random.RandomState(0)
    for number in range(count):
        size = sizes[number % len(sizes)]
        yield mx.nd.array(draw.rand(size, 6)), mx.nd.array(draw.randint(0, 3, size))


def trained(compiled, sizes=(4,), rule="sgd", **options):
    net = network()
    trainer = gluon.Trainer(net.collect_params(), rule, {"learning_rate": 0.05})
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    step = gluon.hybridize_step(net, loss, trainer, **options)
    losses = []
    for x, y in batches(12, sizes):
        if compiled:
            losses.append(step(x, y))
            continue
        with autograd.record():
            losses.append(loss(net(x), y))
        losses[-1].backward()
        trainer.step(len(x))
    weights = [param.data().asnumpy() for param in net.collect_params().values()]
    return [*weights, *(item.asnumpy() for item in losses)], step


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_it_does_what_the_lines_do_bit_for_bit_without_passes(engine, rule, static):
    options = {"static_alloc": static, "static_shape": static}
    with_lines, _ = trained(False, rule=rule)
    with_step, step = trained(True, rule=rule, passes=False, **options)
    for one, other in zip(with_lines, with_step, strict=True):
        assert (one == other).all()
    assert "aten.addmm" in step.program
    assert "test_training_step.py" in step.program


def test_passes_change_no_more_than_rounding(engine):
    with_lines, _ = trained(False)
    with_step, _ = trained(True)
    for one, other in zip(with_lines, with_step, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_batches_of_several_sizes_have_a_program_each(engine):
    with_lines, _ = trained(False, sizes=(4, 3))
    with_step, step = trained(True, sizes=(4, 3), passes=False)
    for one, other in zip(with_lines, with_step, strict=True):
        assert (one == other).all()
    assert step.program.count("def program") == 2


def test_a_loss_that_is_a_function_and_gradients_that_add_up():
    weights = []
    for compiled in (False, True):
        net = network(dropout=False)
        net.collect_params().setattr("grad_req", "add")
        trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.05})

        def loss(out, label):
            return ((out - mx.nd.one_hot(label, 3)) ** 2).sum(axis=1)

        step = gluon.hybridize_step(net, loss, trainer, passes=False)
        for x, y in batches(7):
            if compiled:
                step(x, y, batch_size=2)
            else:
                with autograd.record():
                    value = loss(net(x), y)
                value.backward()
                trainer.step(2)
        weights.append([param.data().asnumpy() for param in net.collect_params().values()])
    for one, other in zip(*weights, strict=True):
        assert (one == other).all()


def test_the_network_itself_stays_as_it_was():
    net = network()
    trainer = gluon.Trainer(net.collect_params(), "sgd")
    step = gluon.hybridize_step(net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer)
    for x, y in batches(5):
        step(x, y)
    assert net.program == ""
    assert net(x).shape == (4, 3)


def test_bad_arguments_say_what_is_wanted():
    net = network()
    trainer = gluon.Trainer(net.collect_params(), "sgd")
    loss = gluon.loss.L2Loss()
    with pytest.raises(mx.MXNetError, match=r"needs a gluon\.Trainer, not str"):
        gluon.hybridize_step(net, loss, "sgd")
    with pytest.raises(mx.MXNetError, match="give batch_size="):
        gluon.hybridize_step(net, loss, trainer)(1, 2)


def test_gradients_have_memory_of_their_own():
    """One gradient flows to both sides of a sum; that of a sum over everything is one number."""

    class Sums(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.a = self.params.get("a", shape=(3, 4))
            self.b = self.params.get("b", shape=(3, 4))
            self.c = self.params.get("c", shape=(5,))

        def forward(self, x):
            return (self.a.data() + self.b.data()).sum() + self.c.data().sum() + x.sum()

    net = Sums()
    net.initialize()
    trainer = gluon.Trainer(net.collect_params(), "sgd")
    step = gluon.hybridize_step(net, lambda out: out, trainer)
    for _ in range(6):
        step(mx.nd.ones((2, 2)))
        net.a.grad()[:] = 7
        net.c.grad()[1] = 9
        assert net.b.grad().asnumpy().tolist() == np.ones((3, 4)).tolist()
        assert net.c.grad().asnumpy().tolist() == [1, 9, 1, 1, 1]
    assert step.program
