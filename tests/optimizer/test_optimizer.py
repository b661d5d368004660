import math

import pytest

import regluon as mx
from regluon.base import MXNetError
from regluon.optimizer.optimizer import make_groups


def test_groups_are_consecutive_of_one_type_and_limited():
    sizes = [(10,), (20,), (5,), (200,), (1,), (1,)]
    arrays = [mx.nd.zeros(size) for size in sizes]
    arrays.append(mx.nd.zeros((1,), dtype="float64"))
    groups = make_groups(arrays, limit=140)
    assert groups == [slice(0, 3), slice(3, 4), slice(4, 6), slice(6, 7)]
    assert make_groups([]) == []


def test_no_group_is_larger_than_four_megabytes_unless_one_weight_is():
    arrays = [mx.nd.zeros((300, 1000)) for _ in range(7)] + [mx.nd.zeros((2000, 1000))]
    groups = make_groups(arrays)
    assert [len(arrays[group]) for group in groups] == [3, 3, 1, 1]
    for group in groups[:-1]:
        assert sum(4 * math.prod(array.shape) for array in arrays[group]) <= 4 << 20


def test_create_takes_any_case_and_suggests_names_and_arguments():
    assert isinstance(mx.optimizer.create("ADAM", beta1=0.5), mx.optimizer.Adam)
    with pytest.raises(MXNetError, match="did you mean 'adam'"):
        mx.optimizer.create("adm")
    with pytest.raises(MXNetError, match="SGD has no argument 'learning_rat'; did you mean 'lear"):
        mx.optimizer.create("sgd", learning_rat=0.1)
    with pytest.raises(MXNetError, match=r"SGD has no argument 'zzz'; it has .*momentum"):
        mx.optimizer.create("sgd", zzz=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("learning_rate", "0.1"), ("learning_rate", True), ("wd", None), ("clip_gradient", [1])],
)
def test_what_is_no_number_is_refused(name, value):
    with pytest.raises(MXNetError, match=f"{name} must be a number"):
        mx.optimizer.create("sgd", **{name: value})


def test_default_rates_are_mxnets():
    assert mx.optimizer.SGD().learning_rate == 0.01
    assert mx.optimizer.Adam().learning_rate == 0.001


def test_the_rate_can_be_set_unless_a_schedule_decides_it():
    optimizer = mx.optimizer.SGD(learning_rate=0.5)
    optimizer.set_learning_rate(0.25)
    assert optimizer.learning_rate == 0.25
    with pytest.raises(MXNetError, match="must be a number"):
        optimizer.set_learning_rate("fast")
    scheduled = mx.optimizer.SGD(lr_scheduler=mx.lr_scheduler.FactorScheduler(3, base_lr=0.5))
    with pytest.raises(MXNetError, match="base_lr"):
        scheduled.set_learning_rate(0.25)
    assert scheduled.learning_rate == 0.5


def test_factors_come_from_parameters_then_indices_then_names():
    weight = mx.gluon.Parameter("w", shape=(1,), lr_mult=0.5, wd_mult=0.25)
    optimizer = mx.optimizer.SGD(
        learning_rate=1.0,
        wd=1.0,
        param_dict={0: weight},
        param_idx2name={1: "a_weight", 2: "a_bias", 3: "a_gamma"},
    )
    assert optimizer._get_lrs([0, 1, 2]) == [0.5, 1.0, 1.0]
    assert optimizer._get_wds([0, 1, 2, 3]) == [0.25, 1.0, 0.0, 1.0]
    optimizer.set_lr_mult({1: 3.0, "a_bias": 2.0})
    optimizer.set_wd_mult({"a_weight": 0.5})
    assert optimizer._get_lrs([0, 1, 2]) == [0.5, 3.0, 2.0]
    assert optimizer._get_wds([0, 1, 2]) == [0.25, 0.5, 0.0]
    weight.lr_mult = 0.125
    assert optimizer._get_lr(0) == 0.125
    assert optimizer._get_wd(0) == 0.25


def test_an_optimizer_of_ones_own_needs_create_state_and_update():
    @mx.optimizer.register
    class Sign(mx.optimizer.Optimizer):
        def create_state(self, index, weight):
            return mx.nd.zeros(weight.shape)

        def update(self, index, weight, grad, state):
            self._update_count(index)
            state += 1
            weight[:] = weight - self._get_lr(index) * (grad * self.rescale_grad).sign()

    updater = mx.optimizer.get_updater(mx.optimizer.create("sign", learning_rate=0.5))
    weights = [mx.nd.ones((2,)), mx.nd.ones((3,))]
    grads = [mx.nd.array([2, -2]), mx.nd.array([0, 1, 5])]
    updater([0, 1], grads, weights)
    updater(0, grads[0], weights[0])
    assert weights[0].asnumpy().tolist() == [0, 2]
    assert weights[1].asnumpy().tolist() == [1, 0.5, 0.5]
    assert updater.states[0].asnumpy().tolist() == [2, 2]
    assert updater.optimizer.num_update == 2


def test_a_rule_without_update_says_so():
    class Lazy(mx.optimizer.Optimizer):
        pass

    with pytest.raises(NotImplementedError, match=r"Lazy must define update"):
        Lazy().update(0, None, None, None)


def test_settings_are_plain_and_restored_with_the_counts():
    optimizer = mx.optimizer.SGD(learning_rate=0.5, momentum=0.9, wd=0.1)
    weight = mx.nd.ones((1,))
    optimizer.update_groups([3], [weight], [weight], [optimizer.create_state(3, weight)])
    settings = optimizer.settings()
    assert settings["counts"] == [(3, 1)]
    other = mx.optimizer.SGD()
    other.restore(settings, [mx.cpu(0), mx.cpu(1)])
    assert other.settings() == settings
    assert (other.momentum, other.wd, other.lr, other.num_update) == (0.9, 0.1, 0.5, 1)


def test_a_restored_rate_of_a_schedule_does_not_replace_a_number():
    scheduled = mx.optimizer.SGD(lr_scheduler=mx.lr_scheduler.FactorScheduler(3))
    plain = mx.optimizer.SGD(learning_rate=0.5)
    plain.restore(scheduled.settings(), [mx.cpu()])
    assert plain.learning_rate == 0.5
