import math

import numpy as onp
import pytest

import regluon as mx
from regluon.array.dispatch import push
from regluon.base import MXNetError
from regluon.gluon.trainer import StaleGradientError


SHAPES = {"weight": (3, 2), "bias": (2,)}


def parameters(places=1, **settings):
    """Parameters of ones on the first contexts."""
    contexts = [mx.cpu(place) for place in range(places)]
    params = {n: mx.gluon.Parameter(n, shape=s, **settings) for n, s in SHAPES.items()}
    for param in params.values():
        param.initialize(mx.init.One(), ctx=contexts)
    return params


def backward(params, factor=1.0, names=("weight", "bias"), places=None):
    """Make the named gradients `factor` times the number of the context, counted from 1."""
    losses = []
    with mx.autograd.record():
        for name in names:
            for place, ctx in enumerate(params[name].list_ctx()):
                if places is None or place in places:
                    losses.append((params[name].data(ctx) * (factor * (place + 1))).sum())
    mx.autograd.backward(losses)


def values(params):
    return {n: [d.asnumpy().ravel()[0] for d in p.list_data()] for n, p in params.items()}


def test_a_step_divides_by_the_batch_size():
    params = parameters()
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 1.0})
    backward(params, 2.0)
    trainer.step(4)
    assert values(params) == {"weight": [0.5], "bias": [0.5]}


def test_the_optimizers_own_factor_multiplies_that_of_the_batch():
    params = parameters()
    trainer = mx.gluon.Trainer(params, mx.optimizer.SGD(learning_rate=1.0, rescale_grad=0.5))
    for wanted in (0.75, 0.5):
        backward(params)
        trainer.step(2)
        assert values(params) == {"weight": [wanted], "bias": [wanted]}


@pytest.mark.parametrize("kvstore", ["device", "local", "nccl"])
def test_gradients_of_all_contexts_add_up_and_the_copies_stay_equal(kvstore):
    params = parameters(3)
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 0.5, "momentum": 0.5}, kvstore)
    backward(params)
    trainer.step(6)
    assert values(params) == {"weight": [0.5] * 3, "bias": [0.5] * 3}
    assert [g.asnumpy()[0] for g in params["bias"].list_grad()] == [1, 2, 3]
    backward(params)
    trainer.step(6)
    assert values(params) == {"weight": [-0.25] * 3, "bias": [-0.25] * 3}


def test_a_step_leaves_accumulated_gradients_to_the_next_backward():
    params = parameters(2)
    for param in params.values():
        param.grad_req = "add"
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 0.0})
    for _ in range(2):
        backward(params)
        trainer.step(1)
    assert [g.asnumpy()[0] for g in params["bias"].list_grad()] == [2, 4]


def test_without_a_store_every_context_goes_its_own_way():
    params = parameters(2)
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 0.5}, kvstore=None)
    backward(params)
    trainer.step(1)
    assert values(params) == {"weight": [0.5, 0.0], "bias": [0.5, 0.0]}


def test_gradients_are_added_in_the_order_of_the_contexts():
    params = parameters(3)
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 1.0}, update_on_kvstore=False)
    given = [onp.float32(x) for x in (1e8, -1e8, 1.0)]
    losses = []
    with mx.autograd.record():
        for param in params.values():
            for ctx, factor in zip(param.list_ctx(), given, strict=True):
                losses.append((param.data(ctx) * float(factor)).sum())
    mx.autograd.backward(losses)
    trainer.allreduce_grads()
    assert [g.asnumpy()[0] for g in params["bias"].list_grad()] == [1, 1, 1]


def test_gradients_can_be_changed_between_the_two_halves_of_a_step():
    params = parameters(2)
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 1.0}, update_on_kvstore=False)
    backward(params)
    trainer.allreduce_grads()
    for param in params.values():
        for grad in param.list_grad():
            grad[:] = grad.clip(-1, 1)
    trainer.update(4)
    assert values(params) == {"weight": [0.75] * 2, "bias": [0.75] * 2}
    with pytest.raises(StaleGradientError):
        trainer.update(4)


def test_copies_of_a_gradient_keep_its_value_when_contexts_add_up():
    params = parameters(2)
    trainer = mx.gluon.Trainer(params, "sgd", update_on_kvstore=False)
    backward(params)
    before = params["weight"].grad(mx.cpu(0)).T
    trainer.allreduce_grads()
    assert before.asnumpy().tolist() == [[1, 1, 1], [1, 1, 1]]


# Stale gradients


def test_a_gradient_that_backward_did_not_compute_is_named_and_nothing_changes():
    params = parameters(2)
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 0.5})
    backward(params, names=["weight"])
    with pytest.raises(StaleGradientError, match=r"'bias' on cpu\(0\), 'bias' on cpu\(1\) since"):
        trainer.step(1)
    assert values(params) == {"weight": [1, 1], "bias": [1, 1]}
    assert params["weight"].grad(mx.cpu(0)).asnumpy()[0, 0] == 1
    trainer.step(3, ignore_stale_grad=True)
    assert values(params) == {"weight": [0.5, 0.5], "bias": [1, 1]}


def test_the_error_is_caught_like_mxnets_and_does_not_list_hundreds():
    params = [mx.gluon.Parameter(f"p{i}", shape=(1,)) for i in range(300)]
    for param in params:
        param.initialize()
    with pytest.raises(UserWarning, match=r"'p4' on .* and 295 more") as caught:
        mx.gluon.Trainer(params, "sgd").step(1)
    assert len(str(caught.value)) < 500


def test_a_second_step_needs_a_second_backward():
    params = parameters()
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 0.5})
    backward(params)
    trainer.step(1)
    with pytest.raises(StaleGradientError):
        trainer.step(1)
    trainer.step(1, ignore_stale_grad=True)
    assert values(params) == {"weight": [0.5], "bias": [0.5]}


def test_a_context_without_a_batch_gets_the_others_update():
    params = parameters(2)
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 0.5})
    backward(params)
    trainer.step(3)
    backward(params, places=[1])
    with pytest.raises(StaleGradientError, match=r"'bias' on cpu\(0\)"):
        trainer.step(2)
    trainer.step(2, ignore_stale_grad=True)
    assert values(params) == {"weight": [0, 0], "bias": [0, 0]}


def test_frozen_parameters_stay_and_need_no_gradient():
    params = parameters()
    params["bias"].grad_req = "null"
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 0.5, "wd": 0.1})
    backward(params, names=["weight"])
    trainer.step(1)
    assert values(params)["bias"] == [1]
    params["bias"].grad_req = "write"
    backward(params)
    trainer.step(1)
    assert values(params)["bias"] == [onp.float32(0.45)]


def test_added_gradients_count_until_they_are_zeroed():
    params = parameters(grad_req="add")
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 0.125})
    for wanted in (0.75, 0.375):
        backward(params)
        if wanted == 0.75:
            backward(params)
        trainer.step(1)
        assert values(params) == {"weight": [wanted], "bias": [wanted]}


def test_a_part_of_the_parameters_is_updated_alone():
    params = parameters()
    trainer = mx.gluon.Trainer([params["bias"]], "sgd", {"learning_rate": 0.5})
    backward(params)
    trainer.step(1)
    assert values(params) == {"weight": [1], "bias": [0.5]}


# Numbers


def test_factors_and_rates_may_change_at_any_time():
    params = parameters()
    trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 0.5})
    params["bias"].lr_mult = 0.5
    trainer.set_learning_rate(0.25)
    assert trainer.learning_rate == 0.25
    backward(params)
    trainer.step(1)
    assert values(params) == {"weight": [0.75], "bias": [0.875]}
    assert trainer.optimizer.num_update == 1


def test_a_schedule_counts_steps_not_parameters_or_contexts():
    params = parameters(2)
    schedule = mx.lr_scheduler.FactorScheduler(step=2, factor=0.5, base_lr=1.0)
    trainer = mx.gluon.Trainer(params, "sgd", {"lr_scheduler": schedule})
    rates = []
    for _ in range(5):
        backward(params)
        trainer.step(1)
        rates.append(trainer.learning_rate)
    assert rates == [1, 1, 0.5, 0.5, 0.25]


def test_not_a_number_is_the_users_business():
    params = parameters()
    trainer = mx.gluon.Trainer(params, "adam")
    backward(params, math.nan)
    trainer.step(1)
    assert onp.isnan(params["weight"].data().asnumpy()).all()


def test_a_step_reads_no_value():
    previous = mx.engine.set_type("LazyEngine")
    try:
        ran = []
        params = parameters(2)
        trainer = mx.gluon.Trainer(params, "sgd", {"momentum": 0.9})
        backward(params)
        grad = params["weight"].grad(mx.cpu(0))
        push(lambda: ran.append(1), [grad], [grad], mx.cpu(0), "probe")
        trainer.step(1)
        assert not ran
        params["weight"].data(mx.cpu(0)).wait_to_read()
        assert ran
    finally:
        mx.engine.set_type(previous)


def test_a_step_inside_record_says_what_is_wrong():
    params = parameters()
    trainer = mx.gluon.Trainer(params, "sgd")
    backward(params)
    with mx.autograd.record(), pytest.raises(MXNetError, match=r"outside autograd\.record"):
        trainer.step(1)


# Wrong arguments


def uninitialized():
    return [mx.gluon.Parameter("lonely", shape=(1,))]


def scattered():
    return [*parameters(1).values(), *parameters(2).values()]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: mx.gluon.Trainer(3, "sgd"), "not int"),
        (lambda: mx.gluon.Trainer([3], "sgd"), "the list holds int"),
        (lambda: mx.gluon.Trainer([], "sgd"), "at least one"),
        (lambda: mx.gluon.Trainer([parameters()["bias"]] * 2, "sgd"), "repeats"),
        (lambda: mx.gluon.Trainer(uninitialized(), "sgd"), "'lonely' is not initialized"),
        (lambda: mx.gluon.Trainer(scattered(), "sgd"), r"cpu\(0\) and .* cpu\(0\), cpu\(1\)"),
        (lambda: mx.gluon.Trainer(parameters(), "sdg"), "did you mean 'sgd'"),
        (lambda: mx.gluon.Trainer(parameters(), "sgd", {"lr": 1}), "has no argument 'lr'"),
        (lambda: mx.gluon.Trainer(parameters(), mx.optimizer.SGD(), {"wd": 1}), "by name"),
        (lambda: mx.gluon.Trainer(parameters(), "sgd", kvstore="dist_sync"), "several machines"),
        (lambda: mx.gluon.Trainer(parameters(), "sgd", kvstore="devise"), "did you mean 'device'"),
        (lambda: mx.gluon.Trainer(parameters(), "sgd", kvstore=3), "not 3"),
        (
            lambda: mx.gluon.Trainer(parameters(), "sgd", kvstore=None, update_on_kvstore=True),
            "needs a store",
        ),
    ],
)
def test_wrong_arguments_are_explained(make, text):
    with pytest.raises(MXNetError, match=text):
        make()


@pytest.mark.parametrize("batch_size", [0, -1, "4", math.nan])
def test_a_batch_has_a_size(batch_size):
    params = parameters()
    trainer = mx.gluon.Trainer(params, "sgd")
    backward(params)
    with pytest.raises(MXNetError, match="batch_size is the number of samples"):
        trainer.step(batch_size)
    trainer.step(1)


def test_a_step_before_the_shapes_are_known_says_so():
    param = mx.gluon.Parameter("later", shape=(0, 2), allow_deferred_init=True)
    param.initialize()
    trainer = mx.gluon.Trainer([param], "sgd")
    with pytest.raises(mx.gluon.DeferredInitializationError, match="'later'"):
        trainer.step(1)
