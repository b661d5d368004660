"""The networks of the zoo, hybridized: the same bits without passes, the same to rounding with."""

import copy
import gc

import numpy as onp
import pytest

import regluon as mx
from regluon.gluon.model_zoo import vision


def networks(*quick: str):
    """All networks of the zoo, of which a few are tested before every commit and on all engines."""
    marks = (pytest.mark.slow, pytest.mark.once, pytest.mark.timeout(300))
    return [
        pytest.param(name, marks=() if name in quick else marks) for name in vision.model_names()
    ]


@pytest.fixture(autouse=True)
def memory():
    """Five of the largest networks take 5 GB: they go before the next ones come."""
    yield
    mx.nd.waitall()
    gc.collect()


def network(name: str):
    mx.random.seed(1)
    net = vision.get_model(name, classes=10)
    net.initialize(mx.init.Xavier())
    net(picture(0))
    return net


def copied(net, dtype: str = "float32", **options: bool):
    """A copy of a network in another precision, hybridized if there are options."""
    net = copy.deepcopy(net)
    net.cast(dtype)
    if options:
        net.hybridize(**options)
    return net


def picture(call: int, dtype: str = "float32"):
    numbers = onp.random.default_rng(call).random((2, 3, 64, 64))
    return mx.nd.array(numbers.astype("float32"), dtype=dtype)


def trained(net, call, dtype="float32"):
    """One step of training, then a prediction; returns outputs, gradients and statistics."""
    mx.random.seed(call)
    x = picture(call, dtype)
    x.attach_grad()
    with mx.autograd.record():
        out = net(x)
        loss = (mx.nd.log_softmax(out) ** 2).mean()
    loss.backward()
    params = net.collect_params()
    found = {"training": out, "x": x.grad, "prediction": net(x)}
    found |= {n: p.grad() if p.grad_req != "null" else p.data() for n, p in params.items()}
    return {key: value.asnumpy() for key, value in found.items()}


def compared(one, other):
    """Yield the pairs of what two equal networks returned."""
    return zip(one.values(), other.values(), strict=True)


def error(found, reference):
    """The largest distance from the reference beside its size, over outputs and all the rest."""
    sizes = [abs(r).max() for r in reference.values()]
    floor = 1e-3 * max(sizes)
    pairs = zip(compared(found, reference), sizes, strict=True)
    return max(abs(f - r).max() / max(size, floor) for (f, r), size in pairs)


@pytest.mark.parametrize("name", networks("resnet18_v1", "efficientnet_lite0"))
def test_without_passes_every_bit_is_the_eager_one_and_with_passes_the_difference_is_rounding(name):
    eager = network(name)
    exact = copied(eager, "float64")
    fast, same = copied(eager, passes=True), copied(eager, passes=False)
    exactly = copied(eager, "float64", passes=True)
    for call in range(4):
        reference = trained(exact, call, "float64")
        assert error(trained(exactly, call, "float64"), reference) < 1e-10
        one = trained(eager, call)
        assert all(onp.array_equal(a, b) for a, b in compared(one, trained(same, call)))
        assert error(trained(fast, call), reference) <= 2 * error(one, reference) + 1e-6
    for net in (same, fast, exactly):
        assert net._eager is None
        assert len([e for e in net._cache.entries.values() if e.compiled]) == 2
