"""Random blocks: trees of steps on arrays of one shape, drawn once from a seed."""

import random

import regluon as mx
from regluon.gluon import HybridBlock, nn


ROWS, COLUMNS = 4, 6
nd = mx.nd

UNARY = [
    nd.sin,
    nd.tanh,
    nd.relu,
    nd.sigmoid,
    nd.abs,
    nd.square,
    nd.log_softmax,
    nd.softmax,
    nd.BlockGrad,
    nd.round,
    lambda x: nd.sqrt(nd.abs(x) + 1),
    lambda x: nd.exp(nd.clip(x, -2, 2)),
    lambda x: x * 2 - 1,
    lambda x: 1 / (nd.abs(x) + 1),
    lambda x: -(x**2),
    lambda x: x.detach(),
    lambda x: x.copy(),
    lambda x: x.T.reshape((ROWS, COLUMNS)),
    lambda x: x.reshape((COLUMNS, ROWS)).T,
    lambda x: x.astype("float64").astype("float32"),
    lambda x: nd.broadcast_add(x, x.mean(axis=1, keepdims=True)),
    lambda x: x - x.max(axis=0),
    lambda x: x * x.sum(),
    lambda x: x[::-1],
    lambda x: nd.concat(x[2:], x[:2], dim=0),
    lambda x: nd.concat(*nd.split(x, 3, axis=1), dim=1),
    lambda x: nd.stack(x[0], x[1], x[2] * 2, x[3]),
    lambda x: nd.take(x, nd.array([3, 0, 2, 1])),
    lambda x: nd.one_hot(nd.argmax(x, axis=1), COLUMNS) + x,
    lambda x: nd.where(x > 0, x, x * 0.1),
    lambda x: x * nd.array([1, 2, 3, 4, 5, 6]) + nd.arange(COLUMNS),
    lambda x: nd.sort(x, axis=1),
    lambda x: nd.norm(x, axis=1, keepdims=True) + x,
    lambda x: x * nd.random.uniform(shape=(ROWS, 1)),
    lambda x: x + nd.random.normal(0, 1, shape=(COLUMNS,)),
    lambda x: nd.Dropout(x, p=0.5),
    lambda x: x * 3 if mx.autograd.is_training() else x,
]

BINARY = [
    nd.broadcast_add,
    nd.broadcast_mul,
    nd.broadcast_maximum,
    lambda x, y: x - y,
    lambda x, y: x / (nd.abs(y) + 1),
    lambda x, y: nd.dot(nd.dot(x, y.T) * 0.1, y),
    lambda x, y: nd.where(x > y, x, y),
    lambda x, y: nd.concat(x[1:3], y[0:2], dim=0),
    lambda x, y: x * (x > y),
    lambda x, y: x if x is y else x + y * 2,
]


def add_in_place(y, x):
    y += x


def multiply_part(y, x):
    y[1:3] *= 0.5


def set_row(y, x):
    y[2] = x[1]


def set_by_view(y, x):
    flat = y.reshape((ROWS * COLUMNS,))
    flat[3:9] = 1.5
    flat[1] = 2


def write_out(y, x):
    nd.sin(x, out=y)


def set_all(y, x):
    row = y[1]
    y[:] = x * 2
    row += 1


def set_strided(y, x):
    y[::2, 1:3] = 7


WRITES = [add_in_place, multiply_part, set_row, set_by_view, write_out, set_all, set_strided]

LAYERS = [
    lambda: nn.Dense(COLUMNS, in_units=COLUMNS),
    lambda: nn.Dense(COLUMNS, in_units=COLUMNS, activation="tanh", use_bias=False),
    lambda: nn.BatchNorm(in_channels=COLUMNS),
    lambda: nn.LayerNorm(in_channels=COLUMNS),
    lambda: nn.Dropout(0.4),
    lambda: nn.PReLU(in_channels=1),
]


class RandomBlock(HybridBlock):
    """Draws its steps and its children when it is made, and does them in each call."""

    def __init__(self, rng: random.Random, depth: int = 2):
        super().__init__()
        self.steps = [self.drawn(rng, depth, place) for place in range(rng.randint(2, 9))]
        self.ends = rng.choices(range(100), k=rng.choice([1, 1, 2, 3]))
        self.kind = rng.choice(["one", "list", "tuple", "dict", "arguments"])
        self.buffer = nd.zeros((ROWS, COLUMNS))
        self.flag = rng.random() < 0.5

    def drawn(self, rng, depth, place):
        kind = rng.choices(
            ["unary", "binary", "layer", "write", "argument", "buffer", "child", "flag"],
            [8, 6, 4, 3, 0.5, 1, 2 if depth else 0, 1],
        )[0]
        picks = (rng.randrange(100), rng.randrange(100))
        if kind == "layer":
            setattr(self, f"layer{place}", rng.choice(LAYERS)())
            return kind, getattr(self, f"layer{place}"), picks
        if kind == "child":
            setattr(self, f"child{place}", RandomBlock(rng, depth - 1))
            return kind, getattr(self, f"child{place}"), picks
        table = {"binary": BINARY, "write": WRITES, "argument": WRITES, "buffer": WRITES}
        return kind, rng.choice(table.get(kind, UNARY)), picks

    def forward(self, x, y):
        pool = [x, y]
        for kind, function, (first, second) in self.steps:
            one, other = pool[first % len(pool)], pool[second % len(pool)]
            pool += self.done(kind, function, one, other, x)
        found = [pool[-1 - end % len(pool)] for end in self.ends]
        if self.kind == "one":
            return pool[-1]
        if self.kind == "dict":
            return {f"r{place}": (array, None) for place, array in enumerate(found)}
        return tuple(found) if self.kind == "tuple" else [*found, *(pool[:2] * (len(found) > 2))]

    def done(self, kind, function, one, other, argument):
        if kind in ("unary", "layer"):
            return [function(one)]
        if kind == "binary":
            return [function(one, other)]
        if kind == "flag":
            return [function(one) if self.flag else one * 2]
        if kind == "child":
            found = function(one, other)
            found = [pair[0] for pair in found.values()] if isinstance(found, dict) else found
            return list(found) if isinstance(found, (list, tuple)) else [found]
        with mx.autograd.pause(train_mode=mx.autograd.is_training()):
            if kind == "argument":
                function(argument, other)
                return []
            if kind == "buffer":
                function(self.buffer, one)
                return [self.buffer * 1]
            copy = one + 0
            function(copy, other)
        return [copy]


def buffers(net):
    """The arrays that a random block writes, its children's included."""
    found = [net.buffer] if isinstance(net, RandomBlock) else []
    return found + [array for child in net._children.values() for array in buffers(child)]
