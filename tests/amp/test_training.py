"""Training in mixed precision: it converges, scales its loss, and skips steps that overflowed."""

import numpy as onp
import pytest

import regluon as mx
from regluon import amp, gluon, nd
from regluon.base import MXNetError
from tests.ops.modes import engine


ENGINES = ["NaiveEngine", "LazyEngine", "ThreadedEngine"]


def network(places=1):
    net = gluon.nn.HybridSequential(prefix="net_")
    with net.name_scope():
        net.add(gluon.nn.Conv2D(8, 3, padding=1, in_channels=1), gluon.nn.BatchNorm(in_channels=8))
        net.add(gluon.nn.Activation("relu"), gluon.nn.Dense(3, in_units=8 * 36))
    net.initialize(mx.init.Xavier(), ctx=[mx.cpu(place) for place in range(places)])
    return net


def batch():
    """Pictures with a bright corner, top left, top right or bottom left: three classes."""
    label = onp.arange(48) % 3
    pictures = onp.random.RandomState(0).uniform(0, 1, (48, 1, 6, 6)).astype("float32")
    for row, column, number in ((0, 0, 0), (0, 3, 1), (3, 0, 2)):
        pictures[label == number, :, row : row + 3, column : column + 3] += 1
    return nd.array(pictures), nd.array(label)


def weight(*values, **settings):
    """A parameter of these numbers, whose gradient a loss can set."""
    param = gluon.Parameter("weight", shape=(len(values),))
    param.initialize(mx.init.Zero(), **settings)
    param.set_data(nd.array(values))
    return param


def scaled_backward(param, trainer, *factors):
    """Compute these gradients, times the scale."""
    with mx.autograd.record():
        loss = (param.data() * nd.array(factors)).sum()
        with amp.scale_loss(loss, trainer) as scaled:
            scaled.backward()


def trained(param, trainer, *factors):
    """Make one step with these gradients."""
    scaled_backward(param, trainer, *factors)
    trainer.step(1)


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("target", ["bfloat16", "float16"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_small_network_learns(kind, target, compiled):
    with engine(kind):
        amp.init(target)
        net, (x, y) = network(), batch()
        if compiled:
            net.hybridize()
        trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.01})
        amp.init_trainer(trainer)
        cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()
        losses = []
        for _ in range(12):
            with mx.autograd.record():
                output = net(x)
                loss = cross_entropy(output, y)
                with amp.scale_loss(loss, trainer) as scaled:
                    mx.autograd.backward(scaled)
            trainer.step(len(x))
            losses.append(loss.mean().asscalar())
        assert output.dtype == ("bfloat16" if target == "bfloat16" else onp.float16)
        assert losses[-1] < losses[0] / 5
        assert {p.data().dtype for p in net.collect_params().values()} == {onp.float32}


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_an_overflow_leaves_weights_and_states_bit_equal_and_halves_the_scale(kind, bad):
    with engine(kind):
        amp.init("float16")
        param = weight(1, 2)
        trainer = gluon.Trainer([param], "adam", {"learning_rate": 0.1})
        amp.init_trainer(trainer)
        trained(param, trainer, 1, 1)
        before = param.data().asnumpy(), trainer.optimizer.num_update
        scale = trainer._amp_loss_scaler.loss_scale
        trained(param, trainer, 1, bad)
        assert param.data().asnumpy().tobytes() == before[0].tobytes()
        assert trainer.optimizer.num_update == before[1] == 1
        assert trainer._amp_loss_scaler.loss_scale == scale / 2 == 2.0**15
        trained(param, trainer, 1, 1)
        assert (param.data().asnumpy() < before[0]).all()


def test_the_scale_does_not_show_in_the_step():
    amp.init("float16")
    steps = []
    for prepare in (lambda trainer: None, amp.unscale):
        param = weight(1, 2)
        optimizer = mx.optimizer.SGD(learning_rate=1.0, rescale_grad=0.5)
        trainer = gluon.Trainer([param], optimizer)
        amp.init_trainer(trainer)
        with mx.autograd.record():
            loss = (param.data() * nd.array([1, 3])).sum()
            with amp.scale_loss([loss], trainer) as scaled:
                mx.autograd.backward(scaled)
        assert param.grad().asnumpy().tolist() == [2.0**16, 3 * 2.0**16]
        prepare(trainer)
        trainer.step(2)
        steps.append(param.data().asnumpy().tolist())
    assert steps == [[0.75, 1.25]] * 2


def test_gradients_can_be_clipped_after_unscale():
    amp.init("float16")
    param = weight(0, 0)
    trainer = gluon.Trainer([param], "sgd", {"learning_rate": 1.0})
    amp.init_trainer(trainer)
    scaled_backward(param, trainer, 3, 4)
    amp.unscale(trainer)
    assert param.grad().asnumpy().tolist() == [3, 4]
    gluon.utils.clip_global_norm([param.grad()], 1)
    trainer.step(1)
    onp.testing.assert_allclose(param.data().asnumpy(), [-0.6, -0.8], rtol=1e-5)


def test_the_scale_doubles_after_2000_good_steps_up_to_a_limit():
    scaler, good = amp.LossScaler(), [nd.ones(1)]
    for _ in range(1999):
        assert not scaler.has_overflow(good)
    assert scaler.loss_scale == 2.0**16
    scaler.has_overflow(good)
    assert scaler.loss_scale == 2.0**17
    scaler._loss_scale, scaler._unskipped = 2.0**24, 1999
    scaler.has_overflow(good)
    assert scaler.loss_scale == 2.0**24


def test_gradients_that_are_never_finite_are_an_error_at_last():
    scaler, bad = amp.LossScaler(), [nd.array([float("nan")])]
    for _ in range(32):
        assert scaler.has_overflow(bad)
    with pytest.raises(MXNetError, match="at every loss scale down to"):
        scaler.has_overflow(bad)


def test_bfloat16_scales_nothing_and_looks_at_no_gradient():
    amp.init("bfloat16")
    param = weight(1)
    trainer = gluon.Trainer([param], "sgd", {"learning_rate": 1.0})
    amp.init_trainer(trainer)
    with mx.autograd.record():
        loss = param.data() * 1
        with amp.scale_loss(loss, trainer) as scaled:
            assert scaled is loss
            scaled.backward()
    trainer.step(1)
    assert param.data().asscalar() == 0
    assert not trainer._amp_loss_scaler.has_overflow([nd.array([float("inf")])])


def test_every_trainer_has_its_own_scale():
    amp.init("float16")
    params = weight(1), weight(1)
    trainers = [gluon.Trainer([p], "sgd") for p in params]
    for trainer in trainers:
        amp.init_trainer(trainer)
    trained(params[0], trainers[0], float("inf"))
    assert [t._amp_loss_scaler.loss_scale for t in trainers] == [2.0**15, 2.0**16]


def test_a_step_on_two_contexts_is_skipped_on_both():
    amp.init("float16")
    param = weight(1, ctx=[mx.cpu(0), mx.cpu(1)])
    trainer = gluon.Trainer([param], "sgd", {"learning_rate": 1.0})
    amp.init_trainer(trainer)
    for factors, wanted in (((1, float("inf")), 1), ((1, 1), -1)):
        with mx.autograd.record():
            losses = [d * f for d, f in zip(param.list_data(), factors, strict=True)]
            with amp.scale_loss(losses, trainer) as scaled:
                mx.autograd.backward(scaled)
        trainer.step(1)
        assert [d.asscalar() for d in param.list_data()] == [wanted] * 2


def test_a_store_that_updates_cannot_skip_steps():
    amp.init("float16")
    trainer = gluon.Trainer([weight(1)], "sgd", update_on_kvstore=True)
    with pytest.raises(MXNetError, match="with update_on_kvstore=False"):
        amp.init_trainer(trainer)


@pytest.mark.parametrize("target", ["float16", "bfloat16"])
def test_operators_that_start_the_backward_pass_scale_their_gradient(target):
    amp.init(target)
    param = weight(0.5, 1.5)
    trainer = gluon.Trainer([param], "sgd", {"learning_rate": 1.0})
    amp.init_trainer(trainer)
    with mx.autograd.record():
        out = nd.LinearRegressionOutput(param.data().reshape((2, 1)), nd.zeros((2, 1)))
        with amp.scale_loss(out, trainer) as scaled:
            scaled.backward()
    trainer.step(1)
    assert param.data().asnumpy().tolist() == [0, 0]


def test_calls_in_the_wrong_order_are_named():
    trainer = gluon.Trainer([weight(1)], "sgd")
    with pytest.raises(MXNetError, match=r"amp.init\(\) comes before"):
        amp.init_trainer(trainer)
    with pytest.raises(MXNetError, match=r"init_trainer\(trainer\) comes before"):
        amp.scale_loss(nd.ones(1), trainer).__enter__()
    with pytest.raises(TypeError, match=r"gluon.Trainer, not with SGD"):
        amp.unscale(trainer.optimizer)
