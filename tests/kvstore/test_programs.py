"""Random programs of stores and operators give the same bits under every engine."""

import random

import numpy as onp
import pytest

import regluon as mx


CONTEXTS = [mx.cpu(place) for place in range(3)]
SHAPES = [(3,), (200, 150), (2, 2), (70_000,)]
"""Of small arrays, which are worked on at once, and of large ones, which are queued."""


def run(seed, name, updates):
    """Return all arrays after a random program."""
    draw = random.Random(seed)
    mx.random.seed(seed)
    store = mx.kv.create(name)
    keys = list(range(len(SHAPES)))
    arrays = [[mx.nd.random.normal(shape=s, ctx=ctx) for ctx in CONTEXTS] for s in SHAPES]
    outs = [[mx.nd.zeros(s, ctx=ctx) for ctx in CONTEXTS] for s in SHAPES]
    if updates:
        store.set_optimizer(mx.optimizer.SGD(learning_rate=0.1, momentum=0.5))
    if draw.random() < 0.5:
        store.broadcast(keys, [each[0] for each in arrays], out=outs)
    else:
        store.init(keys, [each[1] for each in arrays])
    for _ in range(40):
        chosen = draw.sample(keys, draw.randint(1, len(keys)))
        places = draw.sample(range(3), draw.randint(1, 3))
        values = [[arrays[key][place] for place in places] for key in chosen]
        targets = [[outs[key][place] for place in draw.sample(range(3), 2)] for key in chosen]
        action = draw.randrange(5)
        if action == 0:
            store.push(chosen, values, priority=draw.randint(-3, 3))
        elif action == 1:
            store.pull(chosen, out=targets)
        elif action == 2:
            store.pushpull(chosen, values, out=draw.choice([targets, None]))
        elif action == 3:
            for key, (value, *_) in zip(chosen, values, strict=True):
                value *= 0.5
                value += outs[key][value.context.device_id] * 0.25
        else:
            arrays[chosen[0]][0] = arrays[chosen[0]][0] - arrays[chosen[0]][1].as_in_context(
                mx.cpu(0)
            )
    return [array.asnumpy() for group in (*arrays, *outs) for array in group]


@pytest.mark.parametrize("updates", [True, False])
@pytest.mark.parametrize("name", ["local", "device"])
def test_random_programs_give_the_same_bits_under_every_engine(name, updates):
    previous = mx.engine.set_type("NaiveEngine")
    try:
        for seed in range(8):
            wanted = None
            for engine in ("NaiveEngine", "LazyEngine", "ThreadedEngine"):
                mx.engine.set_type(engine)
                found = run(seed, name, updates)
                wanted = found if wanted is None else wanted
                for one, other in zip(wanted, found, strict=True):
                    onp.testing.assert_array_equal(one, other)
    finally:
        mx.engine.set_type(previous)
