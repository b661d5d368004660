"""What users of MXNet met when they hybridized: equal to the eager block here, or told why not."""

import logging

import numpy as onp
import pytest

import regluon as mx
from regluon.gluon import HybridBlock, nn
from tests.gluon.hybridized import CALLS, bits, check, compiled, pair, values


@pytest.fixture(autouse=True)
def log(caplog):
    caplog.set_level(logging.WARNING, logger="regluon.hybridize")
    return caplog


def test_a_reshape_of_several_axes_by_minus_codes_is_the_same():  # 16279, 12100
    class Merge(HybridBlock):
        def hybrid_forward(self, F, x):
            return F.reshape(x, shape=(-3, 0)), x.reshape((0, -1)), F.reshape(x, (-2, 1))

    assert check(Merge, lambda call: values(2, 3, 4, call=call))._eager is None


def test_an_integer_result_beside_a_float_one_has_no_gradient_and_does_no_harm():  # 16752
    class Best(HybridBlock):
        def hybrid_forward(self, F, x):
            return F.topk(x, k=2, ret_typ="both")

    check(Best, lambda call: values(3, 5, call=call))


def test_several_results_of_which_the_loss_takes_one():  # 16752
    class Many(HybridBlock):
        def __init__(self):
            super().__init__()
            self.dense = nn.Dense(6, in_units=4)

        def hybrid_forward(self, F, x):
            return F.split(self.dense(x), num_outputs=3, axis=1)

    eager, fast = pair(Many)
    for call in range(CALLS):
        found = []
        for net in (eager, fast):
            with mx.autograd.record():
                loss = (net(values(2, 4, call=call))[1] ** 2).sum()
            loss.backward()
            found.append(bits([loss, net.dense.weight.grad(), net.dense.bias.grad()]))
        assert found[0] == found[1]


def test_another_number_of_arguments_after_the_first_call():  # 19635
    class Optional(HybridBlock):
        def hybrid_forward(self, F, x, mask=None, *more):
            x = x if mask is None else x * mask
            return [x, *more]

    net = Optional()
    net.hybridize(passes=False)
    x, mask = values(2, 3), mx.nd.ones((2, 3)) * 2
    for _ in range(CALLS):
        assert len(net(x)) == 1
        assert (net(x, mask)[0].asnumpy() == 2 * x.asnumpy()).all()
        assert len(net(x, mask, x, mask)) == 3
        assert len(net(x, None, x)) == 2
    assert compiled(net) == 4


def test_dropout_in_a_hybridized_block_follows_the_mode_of_each_call():  # 17275, 8836
    net = nn.Dropout(0.5)
    net.hybridize()
    x = mx.nd.ones((50, 50))
    for _ in range(CALLS):
        assert (net(x).asnumpy() == 1).all()
        with mx.autograd.record():
            dropped = net(x).asnumpy()
        assert set(onp.unique(dropped)) == {0.0, 2.0}
        with mx.autograd.record(train_mode=False):
            assert (net(x).asnumpy() == 1).all()


def test_statistics_move_in_training_only_and_are_used_in_prediction():  # 18966, 17785
    def make():
        net = nn.HybridSequential()
        net.add(nn.BatchNorm(in_channels=3), nn.Conv2D(2, 1, in_channels=3))
        return net

    check(make, lambda call: values(4, 3, 5, 5, call=call))


def test_shapes_that_change_from_call_to_call_are_traced_and_give_their_own_gradients():  # 8836
    def make():
        return nn.Dense(3, in_units=4, flatten=False)

    check(make, lambda call: values(2 + call % 3, 4, call=call % 3))
    check(make, lambda call: values(2, 1 + call % 2, 4, call=call % 2))


def test_shapes_and_lengths_are_python_numbers_in_forward():  # 12100
    class Positions(HybridBlock):
        def hybrid_forward(self, F, x):
            steps = F.arange(x.shape[1]) / len(x)
            return F.broadcast_add(x, steps), x.shape[0] * 2

    check(Positions, lambda call: values(2 + call % 2, 3))


def test_slices_and_masks_by_index_work_and_boolean_masks_say_that_they_do_not(log):  # 10990
    class Masked(HybridBlock):
        def forward(self, x):
            return x[:, 1:3] * 2, x[x > 0]

    net = check(Masked, lambda call: values(3, 4, call=call).as_np_ndarray())
    assert net._eager is not None
    (record,) = log.records
    assert "the shape of" in record.getMessage()


def test_zero_sized_and_scalar_arrays_are_the_same():  # 17785
    class Sums(HybridBlock):
        def forward(self, x):
            return mx.np.sum(x), x[0:0], x.reshape(-1)[0]

    mx.npx.set_np()
    check(Sums, lambda call: values(2, 3, call=call).as_np_ndarray())


def test_an_operator_with_more_results_than_are_used():  # 18966
    class Normal(HybridBlock):
        def hybrid_forward(self, F, x):
            return F.BatchNorm(x, F.ones(3), F.zeros(3), F.zeros(3), F.ones(3), fix_gamma=False)

    check(Normal, lambda call: values(4, 3, call=call))


def test_an_error_of_a_compiled_call_names_the_block_and_the_line():  # 10875
    class Looked(HybridBlock):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(4, 2)

        def forward(self, x):
            return self.table(x) * 2

    net = Looked()
    net.initialize()
    net.hybridize()
    for _ in range(CALLS):
        net(mx.nd.array([0, 3])).asnumpy()
    with pytest.raises(mx.MXNetError, match=r"(?s)7.*Looked"):
        net(mx.nd.array([0, 7])).asnumpy()
    assert net(mx.nd.array([1, 1])).shape == (2, 2)
