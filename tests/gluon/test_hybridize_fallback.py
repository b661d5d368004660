"""hybridize(): what cannot be a program stays eager, block by block, with one warning."""

import inspect
import logging
import random

import numpy as onp
import pytest

import regluon as mx
from regluon.gluon import Block, HybridBlock, nn
from tests.gluon.hybridized import compiled, values


pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(autouse=True)
def log(caplog):
    caplog.set_level(logging.WARNING, logger="regluon.hybridize")
    return caplog


def doubled_if_positive(self, x):
    if x.sum() > 0:  # this line
        return x * 2
    return -x


def counted(self, x):
    for _ in range(int(x[0, 0].asscalar())):  # this line
        x = x + 1
    return x


def by_numpy(self, x):
    return x * float(x.asnumpy().max())  # this line


def masked(self, x):
    return mx.nd.contrib.boolean_mask(x, x[:, 0] > 1)  # this line


def sets_an_attribute(self, x):
    self.last = x  # this line
    return x * 2


def counts_calls(self, x):
    self.calls = getattr(self, "calls", 0) + 1  # this line
    return x * self.calls


def appends(self, x):
    self.seen.append(x.shape)
    return x * len(self.seen)


def draws(self, x):
    if random.random() < 0.5:
        return x * 2  # this line
    return x + 1  # or this line


def draws_numpy(self, x):
    return x + mx.nd.array(onp.random.rand(3))  # this line


CALLS = [0]


def counts_in_a_global(self, x):
    CALLS[0] += 1
    return x + CALLS[0]


def makes_a_gradient(self, x):
    x = x.copy()
    x.attach_grad()  # this line
    with mx.autograd.record():
        y = x * x
    y.backward()
    return x.grad


def chosen(self, x):
    return mx.npx.cond(x.sum() > 0, lambda: x * 2, lambda: -x)  # this line


ODD = [
    doubled_if_positive,
    counted,
    by_numpy,
    masked,
    sets_an_attribute,
    counts_calls,
    appends,
    draws,
    draws_numpy,
    counts_in_a_global,
    makes_a_gradient,
    chosen,
]


class Odd(HybridBlock):
    def __init__(self, forward):
        super().__init__()
        self.seen = []
        self.function = forward

    def forward(self, x):
        return self.function(self, x)


class Net(HybridBlock):
    """An odd block between a sister and a parent that are not."""

    def __init__(self, forward):
        super().__init__()
        self.before = nn.HybridSequential()
        self.before.add(nn.Dense(4, flatten=False), nn.Dense(3, flatten=False))
        self.odd = Odd(forward)
        self.after = nn.Dense(2, flatten=False)

    def forward(self, x):
        return self.after(self.odd(mx.nd.abs(self.before(x)) + 1))


def outputs(forward, hybrid):
    random.seed(3)
    onp.random.seed(3)
    mx.random.seed(3)
    CALLS[0] = 0
    net = Net(forward)
    net.initialize(mx.init.Uniform(1))
    if hybrid:
        net.hybridize(passes=False)
    return net, [net(values(4, 3, call=call)).asnumpy().tolist() for call in range(8)]


@pytest.mark.parametrize("forward", ODD, ids=lambda forward: forward.__name__)
def test_one_warning_names_line_and_block_and_the_rest_is_compiled(forward, log):
    _, expected = outputs(forward, hybrid=False)
    net, found = outputs(forward, hybrid=True)
    assert found == expected
    (record,) = log.records
    text = record.getMessage()
    assert text.startswith(f"{net.odd.name} (Odd) stays eager: ")
    assert "npx.cond and npx.while_loop" in text
    source, first = inspect.getsourcelines(forward)
    lines = [first + i for i, line in enumerate(source) if "this line" in line]
    assert not lines or any(f"{__file__}:{line})" in text for line in lines)
    assert net._eager is None
    assert net.odd._eager is not None
    assert compiled(net.before) == 1
    assert compiled(net.after) == 1


def test_a_branch_on_a_flag_of_python_is_no_reason(log):
    class Flagged(HybridBlock):
        def forward(self, x, double=False):
            print("called with", x.shape)
            return x * 2 if double and mx.autograd.is_training() else x + 1

    net, x = Flagged(), mx.nd.ones((2,))
    net.hybridize(passes=False)
    for _ in range(4):
        assert net(x, True).asnumpy()[0] == 2
        with mx.autograd.train_mode():
            assert net(x, True).asnumpy()[0] == 2
            assert net(x, False).asnumpy()[0] == 2
    assert not log.records
    assert compiled(net) == 3


def test_a_block_that_is_held_but_not_registered_leaves_its_owner_eager(log):
    class Hidden(Block):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x

    hidden = Hidden()

    class Owner(HybridBlock):
        def forward(self, x):
            return hidden(x) + 1

    net = Owner()
    net.hybridize(passes=False)
    for _ in range(4):
        assert net(mx.nd.ones((2,))).asnumpy()[0] == 3
        assert net(-mx.nd.ones((2,))).asnumpy()[0] == 0
    (record,) = log.records
    assert record.getMessage().startswith(f"{net.name} (Owner) stays eager")


def test_hybridize_anew_tries_again(log):
    net = Odd(doubled_if_positive)
    net.hybridize(passes=False)
    x = values(4, 3)
    net(x)
    assert net._eager is not None
    net.function = lambda self, x: x * 2
    net.hybridize(passes=False)
    for _ in range(3):
        net(x)
    assert compiled(net) == 1


def test_a_view_into_an_argument_is_one_after_hybridizing_too(log):
    net = nn.HybridLambda(lambda F, x: x.reshape((3, 2)))
    net.hybridize(passes=False)
    for call in range(10):
        x = mx.nd.zeros((4, 3, 1))[1:3] if call % 2 else mx.nd.zeros((2, 3, 1))
        y = net(x)
        x[0] = 1
        assert y.asnumpy().tolist() == [[1, 1], [1, 0], [0, 0]]
        y[2] = 2
        assert x.asnumpy().ravel().tolist() == [1, 1, 1, 0, 2, 2]
    assert not log.records


def test_a_list_that_forward_changes_is_changed_in_each_call(log):
    class Fill(HybridBlock):
        def forward(self, x, found):
            found.append(x * 2)
            return x + 1

    net = Fill()
    net.hybridize(passes=False)
    for _ in range(5):
        found = []
        net(mx.nd.ones((2,)), found)
        assert len(found) == 1
    assert "changes the list or dict that is its argument" in log.records[0].getMessage()
