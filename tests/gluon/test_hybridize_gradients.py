"""hybridize(): gradients whichever way they are asked for, equal to those of the eager block."""

import numpy as onp
import pytest

import regluon as mx
from regluon.gluon import HybridBlock, nn
from tests.gluon.hybridized import bits, pair, values


pytestmark = pytest.mark.usefixtures("engine")


def mlp():
    net = nn.HybridSequential()
    net.add(nn.Dense(8, activation="tanh", in_units=4), nn.BatchNorm(), nn.Dropout(0.3))
    net.add(nn.Dense(2, in_units=8))
    return net


class Heads(HybridBlock):
    def __init__(self):
        super().__init__()
        self.one = nn.Dense(3, in_units=4)
        self.two = nn.Dense(2, in_units=4)

    def forward(self, x):
        return self.one(x), mx.nd.sqrt(mx.nd.relu(self.two(x) * 0)), mx.nd.argmax(x, axis=1)


def compare(make, step, rounds=6):
    """Make the same steps with an eager and a hybridized network, and compare what they report."""
    eager, fast = pair(make)
    for call in range(rounds):
        found = []
        for net in (eager, fast):
            mx.random.seed(call)
            found.append(bits(step(net, call)))
        assert found[0] == found[1]
    return fast


def gradients(net):
    return [p.grad() for p in net.collect_params().values() if p.grad_req != "null"]


def gradient(y, x):
    y.backward()
    return x.grad.asnumpy()


def test_two_calls_before_one_backward():
    def step(net, call):
        with mx.autograd.record():
            one, two = net(values(3, 4, call=call)), net(values(3, 4, call=call + 50))
            loss = ((one - two) ** 2).sum()
        loss.backward()
        return [loss, *gradients(net)]

    compare(mlp, step)


def test_backward_never_called_and_called_late():
    def step(net, call):
        with mx.autograd.record():
            unused = net(values(3, 4, call=call))
            out = net(values(3, 4, call=call + 50))
        if call % 2:
            out.backward()
        return [unused, out, *gradients(net)]

    compare(mlp, step, rounds=9)


def test_gradients_that_are_added_and_kept_graphs():
    def step(net, call):
        for param in net.collect_params().values():
            if call == 0 and param.grad_req != "null":
                param.grad_req = "add"
        with mx.autograd.record():
            out = net(values(3, 4, call=call))
        out.backward(retain_graph=True)
        out.backward(mx.nd.ones((3, 2)) * 3)
        with pytest.raises(mx.MXNetError, match="freed"):
            out.backward()
        return [out, *gradients(net)]

    compare(mlp, step)


def test_second_derivatives_are_computed_eagerly():
    def step(net, call):
        x = values(3, 4, call=call)
        x.attach_grad()
        with mx.autograd.record():
            y = net(x).sum()
            slope = mx.autograd.grad(y, x, create_graph=True, retain_graph=True)
            slope = slope[0] if isinstance(slope, list) else slope
            z = (slope * slope).sum()
        z.backward()
        return [y, slope, x.grad, *gradients(net)]

    def twice():
        net = nn.HybridSequential()
        net.add(nn.Dense(5, activation="tanh", in_units=4), nn.Dropout(0.5))
        net.add(nn.Dense(1, in_units=5))
        return net

    compare(twice, step)


def test_a_head_alone_leaves_the_gradients_of_the_others_untouched():
    def step(net, call):
        for param in net.collect_params().values():
            param.grad()[:] = 7
        x = values(3, 4, call=call)
        x.attach_grad()
        with mx.autograd.record():
            one, two, three = net(x)
        if call % 3 == 2:
            mx.autograd.backward([one, two])
        else:
            one.backward()
        return [one, two, three, x.grad, *gradients(net)]

    compare(Heads, step, rounds=9)


def test_which_parameters_had_a_gradient_is_known_to_the_trainer():
    def step(net, call):
        params = net.collect_params()
        trainer = mx.gluon.Trainer(params, "sgd", {"learning_rate": 0.1}, kvstore=None)
        with mx.autograd.record():
            loss = net(values(3, 4, call=call))[0].sum()
        loss.backward()
        with pytest.raises((mx.MXNetError, UserWarning), match="has not computed the gradient"):
            trainer.step(1)
        trainer.step(1, ignore_stale_grad=True)
        return [p.data() for p in params.values()]

    compare(Heads, step)


def test_an_array_changed_before_backward_is_the_same_error():
    square = type("Square", (HybridBlock,), {"forward": lambda self, x: x * x * x})

    def step(net, call):
        x = values(3, call=call)
        x.attach_grad()
        with mx.autograd.record():
            y = net(x)
        y.wait_to_read()
        x[0] = 5
        with pytest.raises(mx.MXNetError, match=r"changed in place after it was used"):
            gradient(y, x)
        return []

    compare(square, step)


def test_a_parameter_changed_before_backward_is_the_same_error():
    def step(net, call):
        x = values(3, 4, call=call)
        x.attach_grad()
        with mx.autograd.record():
            y = net(x)
        net.weight.set_data(mx.nd.ones((2, 4)))
        with pytest.raises(mx.MXNetError, match="changed in place after it was used"):
            gradient(y, x)
        return []

    compare(lambda: nn.Dense(2, in_units=4), step)


def test_training_with_a_trainer_is_the_same_bit_for_bit():
    def step(net, call):
        if call == 0:
            net.trainer = mx.gluon.Trainer(
                net.collect_params(), "adam", {"learning_rate": 0.01}, kvstore=None
            )
        loss_function = mx.gluon.loss.SoftmaxCrossEntropyLoss()
        x, y = values(6, 4, call=call), mx.nd.array([0, 1, 0, 1, 1, 0])
        with mx.autograd.record():
            loss = loss_function(net(x), y)
        loss.backward()
        net.trainer.step(6)
        return [loss, *(p.data() for p in net.collect_params().values())]

    compare(mlp, step, rounds=10)


def test_dropout_draws_what_the_eager_block_draws_whatever_else_is_drawn():
    def step(net, call):
        mx.random.seed(call)
        first = mx.nd.random.uniform(shape=(2,))
        with mx.autograd.train_mode():
            out = net(mx.nd.ones((20, 20)))
        return [first, out, mx.nd.random.uniform(shape=(2,))]

    compare(lambda: nn.Dropout(0.5), step)


def test_a_recorded_array_from_outside_gets_its_gradient():
    inner = mx.nd.ones((3,))
    inner.attach_grad()

    def step(net, call):
        x = values(3, call=call)
        x.attach_grad()
        with mx.autograd.record():
            net.hidden = [inner * 2]
            y = net(x)
        y.backward()
        return [y, x.grad, inner.grad]

    class Outside(HybridBlock):
        def forward(self, x):
            return x * self.hidden[0]

    compare(Outside, step)


def test_arrays_written_inside_are_written_in_each_call():
    class Running(HybridBlock):
        def __init__(self):
            super().__init__()
            self.total = mx.nd.zeros((3,))
            self.count = self.params.get("count", shape=(1,), init="zeros", grad_req="null")

        def forward(self, x):
            with mx.autograd.pause():
                self.total += x
                self.count.data()[:] += 1
            return x * self.total / self.count.data()

    def step(net, call):
        x = values(3, call=call)
        x.attach_grad()
        with mx.autograd.record():
            y = net(x)
        y.backward()
        return [y, x.grad, net.total, net.count.data(), net(x)]

    compare(Running, step)


def test_an_argument_that_is_written_has_its_gradient_whichever_results_are_asked_for():
    class Written(HybridBlock):
        def forward(self, x):
            with mx.autograd.pause():
                x[1] = 2
            return x * x, x * 3

    def step(net, call):
        x = values(3, call=call)
        x.attach_grad()
        with mx.autograd.record():
            heads = net(x)
        mx.autograd.backward(heads[: 1 + call % 2])
        return [x, x.grad, *heads]

    compare(Written, step, rounds=8)


def test_second_derivatives_of_what_writes_are_right_or_refused():
    class Counting(HybridBlock):
        def __init__(self):
            super().__init__()
            self.count = mx.nd.zeros((1,))

        def forward(self, x):
            with mx.autograd.pause():
                self.count += 1
            return x * x * self.count

    eager, fast = pair(Counting)
    for call in range(6):
        found = []
        for net in (eager, fast):
            x = values(3, call=call)
            x.attach_grad()
            with mx.autograd.record():
                y = net(x)
                slope = mx.autograd.grad([y], [x], create_graph=True, retain_graph=True)[0]
            found.append((slope.asnumpy(), y.asnumpy()))
        assert onp.array_equal(found[0], found[1])
