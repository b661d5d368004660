"""hybridize(): random blocks, eager against compiled, bit for bit.

The operators are recorded in the order of the program: an array that is used three times has
gradients whose sum depends on that, with hybridize() or without.
"""

import random

import pytest

import regluon as mx
from tests.gluon.hybridized import bits, leaves, pair, values
from tests.gluon.random_blocks import COLUMNS, ROWS, RandomBlock, buffers


pytestmark = pytest.mark.once  # every third block is on another engine
ENGINES = ["NaiveEngine", "LazyEngine", "ThreadedEngine"]
LOST = "an array that no longer exists"
MODES = ["recorded", "recorded", "recorded", "plain", "plain", "training", "plain", "recorded"]


def called(net, call, mode):
    """Call once in this mode; return bits of all that could differ, or the error's kind."""
    mx.random.seed(call)
    x, y = (values(ROWS, COLUMNS, call=2 * call + place) for place in range(2))
    arrays = [x, y]
    if mode == "recorded":
        x.attach_grad()
    try:
        with mx.autograd.record() if mode == "recorded" else mx.autograd.pause(mode == "training"):
            out = net(x, y)
            heads = [leaf for leaf in leaves(out) if isinstance(leaf, mx.nd.NDArray)]
            # Gradients inside and outside of the block are added in another order.
            heads = [head for head in heads if head.recorded() and head is not x]
            heads = [(head * head).sum() for head in heads]
        if mode == "recorded" and heads:
            mx.autograd.backward(heads[: 1 + call % len(heads)])
            arrays.append(x.grad)
        params = net.collect_params().values()
        arrays += [param.grad() for param in params if param.grad_req != "null"]
        return bits([out, arrays, [param.data() for param in params], buffers(net)])
    except mx.MXNetError as error:
        return type(error), str(error).splitlines()[0].partition(" (at")[0]


def same(one, other):
    """Compare what two calls reported; of arrays that an error names, one may be gone by then."""
    if isinstance(one, tuple) and isinstance(other, tuple) and one != other:
        texts = sorted((one[1], other[1]), key=lambda text: LOST in text)
        return one[0] is other[0] and texts[1].partition(LOST)[0] == texts[0][: texts[1].find(LOST)]
    return one == other


def compare(seed):
    mx.engine.set_type(ENGINES[seed % 3])
    eager, fast = pair(lambda: RandomBlock(random.Random(seed)))
    for call, mode in enumerate(MODES):
        one, other = called(eager, call, mode), called(fast, call, mode)
        assert same(one, other), f"block {seed}, call {call}, {mode}\n{eager.steps}"
        if isinstance(one, tuple):
            return


@pytest.fixture(autouse=True)
def engine():
    before = mx.engine.set_deterministic(True, threads_per_task=1)
    previous = mx.engine.set_type("NaiveEngine")
    yield
    mx.engine.set_type(previous)
    mx.engine.set_deterministic(before)


@pytest.mark.parametrize("part", range(4))
def test_random_blocks_recorded_in_order_are_the_same_bit_for_bit(part):
    for seed in range(50 * part, 50 * part + 50):
        compare(seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(40))
def test_many_random_blocks_recorded_in_order_are_the_same_bit_for_bit(part):
    for seed in range(1000 + 100 * part, 1100 + 100 * part):
        compare(seed)
