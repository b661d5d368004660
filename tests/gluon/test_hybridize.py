"""hybridize(): the same results, bit for bit, whatever a block does with arrays."""

from collections import OrderedDict, namedtuple

import pytest

import regluon as mx
from regluon.gluon import HybridBlock, nn
from tests.gluon.hybridized import check, compiled, values


Pair = namedtuple("Pair", "first second")


pytestmark = pytest.mark.usefixtures("engine")


def block(forward, **children):
    """Return a class whose forward is the function, with children made at each instance."""

    class Made(HybridBlock):
        def __init__(self):
            super().__init__()
            for name, make in children.items():
                setattr(self, name, make())

    Made.forward = forward
    return Made


def dense(units, **kwargs):
    return lambda: nn.Dense(units, **kwargs)


def mlp():
    net = nn.HybridSequential()
    net.add(nn.Dense(8, activation="relu"), nn.Dropout(0.5), nn.Dense(3))
    return net


def convolutions():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, padding=1), nn.BatchNorm(), nn.Activation("relu"), nn.MaxPool2D())
    net.add(nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dense(2))
    return net


def nested():
    inner = nn.HybridSequential()
    inner.add(nn.Dense(5), nn.LayerNorm())
    net = nn.HybridSequential()
    net.add(inner, mlp())
    return net


class Shared(HybridBlock):
    def __init__(self):
        super().__init__()
        self.one = nn.Dense(4, in_units=4)
        self.two = nn.Dense(4, in_units=4, params=self.one.params)

    def forward(self, x):
        return self.two(mx.nd.tanh(self.one(x)))


class Scaled(HybridBlock):
    def __init__(self):
        super().__init__()
        self.factor = self.params.get("factor", shape=(4,), init="ones")

    def hybrid_forward(self, F, x, factor):
        return F.broadcast_mul(F.sin(x), factor)


def in_place(self, x):
    with mx.autograd.pause():
        y = x * 2
        y += 1
        y *= x
        y[1:3] = 0
    return y + x


def written_part(self, x):
    y = mx.nd.zeros((3, 4))
    y[1:3] = 5
    with mx.autograd.pause():
        z = x * 3
        z[0] = 7
        z[1:3] += y[1:3]
    return x * z + y


def out_argument(self, x):
    with mx.autograd.pause():
        y = mx.nd.empty((3, 4))
        mx.nd.exp(x, out=y)
        y -= 1
    return x * y


def views(self, x):
    with mx.autograd.pause():
        y = x + 0
        row = y[1]
        row[:] = 3
        flat = y.reshape((12,))
        flat[2:4] = 9
    return x * y, x[0:2] * 2, (x + 1).reshape((4, 3)), (x * 2).T


BLOCKS = {
    "mlp with dropout": mlp,
    "nested": nested,
    "shared parameters": Shared,
    "hybrid_forward": Scaled,
    "list": block(lambda self, x: [self.d(x), x * 2], d=dense(3)),
    "tuple in list": block(lambda self, x: [(x * 2, x + 1), [self.d(x)]], d=dense(3)),
    "namedtuple": block(lambda self, x: Pair(self.d(x), x.exp()), d=dense(2)),
    "dict": block(lambda self, x: {"a": self.d(x), "n": 3, "b": (x.sin(), None)}, d=dense(2)),
    "ordered dict": block(lambda self, x: OrderedDict(z=x.cos(), a=x.sin())),
    "the argument": block(lambda self, x: (x, x * 2, x)),
    "a parameter": block(lambda self, x: (self.d(x), self.d.weight.data()), d=dense(2, in_units=4)),
    "twice the same": block(lambda self, x: [y := x * 2, y]),
    "in place": block(in_place),
    "parts": block(written_part),
    "out": block(out_argument),
    "views": block(views),
    "detached": block(lambda self, x: self.d(x.detach()) * x.detach() + x.sum(), d=dense(4)),
    "blocked": block(lambda self, x: mx.nd.BlockGrad(self.d(x)) + x, d=dense(4)),
    "constants": block(lambda self, x: x + mx.nd.array([1, 2, 3, 4]) * mx.nd.arange(4)),
    "random": block(lambda self, x: x * mx.nd.random.uniform(shape=(4,)) + mx.nd.random.normal()),
    "split": block(lambda self, x: mx.nd.split(x * 2, 2, axis=1)),
    "numbers": block(lambda self, x: x**3 / 7 - 1.5 * x + (x > 0) * x.argmax(axis=1).sum()),
    "softmax": block(lambda self, x: mx.nd.log_softmax(self.d(x)), d=dense(3)),
    "unused parameter": block(lambda self, x: x * 2, d=dense(2, in_units=4)),
    "foreach": block(lambda self, x: mx.nd.contrib.foreach(lambda a, s: (a + s, a * s), x, x[0])),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_results_gradients_and_parameters_are_those_of_the_eager_block(name):
    net = check(BLOCKS[name], lambda call: values(3, 4, call=call))
    assert net._eager is None


def test_batch_normalization_moves_its_statistics_as_the_eager_one():
    net = check(convolutions, lambda call: values(2, 3, 8, 8, call=call))
    assert compiled(net) == 2


def test_optional_arguments_lists_and_none_make_signatures_of_their_own():
    class Optional(HybridBlock):
        def forward(self, x, states=None, scale=None):
            if states is not None:
                x = x + states[0] * states[1]["b"]
            return x if scale is None else x * scale

    def inputs(call):
        x = values(2, 3, call=call)
        states = [values(2, 3, call=9), {"b": values(2, 3, call=8)}]
        return [(x,), (x, states), (x, None, 2.0), (x, None, 3), (x, states, 2.0)][call % 5]

    for start in range(5):
        check(Optional, lambda call, start=start: inputs(start))
    check(Optional, inputs)


def test_numpy_arrays_keep_their_class_and_their_scalars():
    class Mixed(HybridBlock):
        def forward(self, x):
            return mx.np.sum(x), x[0, 1] * 2, mx.npx.relu(x), x.as_nd_ndarray() + 1

    mx.npx.set_np()
    check(Mixed, lambda call: values(2, 3, call=call).as_np_ndarray())


def test_an_argument_given_twice_is_not_two_arguments():
    add = block(lambda self, x, y: x * 2 + y)
    eager, fast = add(), add()
    fast.hybridize(passes=False)
    x, y = values(3), values(3, call=1)
    for given in [(x, x)] * 4 + [(x, y)] * 4 + [(y, y)] * 2:
        assert fast(*given).asnumpy().tolist() == eager(*given).asnumpy().tolist()


def test_a_parameter_as_argument_is_not_taken_for_all_arguments():
    net = nn.Dense(3, in_units=3, use_bias=False)
    net.initialize()
    weight = net.weight.data()
    expected = [net(weight).asnumpy(), net(values(3, 3)).asnumpy()]
    net.hybridize(passes=False)
    for _ in range(5):
        assert (net(weight).asnumpy() == expected[0]).all()
    for _ in range(5):
        assert (net(values(3, 3)).asnumpy() == expected[1]).all()


def test_what_is_written_in_an_argument_is_seen_by_the_caller():
    write = block(lambda self, x: x.__setitem__(0, 7) or x * 2)
    net = write()
    net.hybridize(passes=False)
    for call in range(5):
        for x in (values(3, 2, call=call), values(2, 3, call=call).T, values(6, 2)[2:5]):
            copied = x.copy()
            out = net(x)
            copied[0] = 7
            assert x.asnumpy().tolist() == copied.asnumpy().tolist()
            assert out.asnumpy().tolist() == (copied * 2).asnumpy().tolist()
