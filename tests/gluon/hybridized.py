"""Two equal networks, one hybridized, through the same calls: what must be the same bits."""

from collections.abc import Callable
from typing import Any

import numpy as onp

import regluon as mx
from regluon.array.handle import Handle


ENGINES = ["NaiveEngine", "LazyEngine", "ThreadedEngine"]
CALLS = 5  # two are noted, one is traced, the program runs after that


def leaves(thing: Any) -> list[Any]:
    """Return the arrays, and the plain values, of a nested result in order."""
    if isinstance(thing, dict):
        return [leaf for key in thing for leaf in (key, *leaves(thing[key]))]
    if isinstance(thing, (list, tuple)):
        return [type(thing), *(leaf for item in thing for leaf in leaves(item))]
    return [thing]


def bits(thing: Any) -> list[Any]:
    """Return a nested result as values that can be compared bit for bit."""
    found = []
    for leaf in leaves(thing):
        if isinstance(leaf, Handle):
            values = leaf.asnumpy()
            found.append((type(leaf), values.dtype, values.shape, values.tobytes()))
        else:
            found.append(leaf)
    return found


def values(*shape: int, call: int = 0, dtype: str = "float32") -> Any:
    """Return an array that is another one in each call."""
    numbers = onp.random.default_rng([call, *shape]).standard_normal(shape)
    return mx.nd.array(numbers, dtype=dtype)


def reports(net: Any, *args: Any, record: bool = True) -> list[Any]:
    """Call the block, and return bits of results, gradients and parameters."""
    mx.random.seed(3)
    arrays = [leaf for leaf in leaves(list(args)) if isinstance(leaf, Handle)]
    if not record:
        out = net(*args)
        return [bits(out), bits(arrays)]
    for array in arrays:
        if onp.dtype(array.dtype).kind == "f":
            array.attach_grad()
    with mx.autograd.record():
        out = net(*args)
        heads = [leaf for leaf in leaves(out) if isinstance(leaf, Handle) and leaf.recorded()]
        heads = [(head * head).sum() for head in heads]
    if heads:
        mx.autograd.backward(heads)
    params = net.collect_params().values()
    grads = [array.grad for array in arrays if array.grad is not None]
    grads += [param.grad() for param in params if param.grad_req != "null"]
    return [bits(out), bits(grads), bits([p.data() for p in params]), bits(arrays)]


def pair(make: Callable[[], Any], **options: Any) -> tuple[Any, Any]:
    """Return two equal networks, the second one hybridized."""
    nets = []
    for _ in range(2):
        mx.random.seed(1)
        net = make()
        net.initialize(mx.init.Uniform(0.5))
        nets.append(net)
    nets[1].hybridize(passes=False, **options)
    return nets[0], nets[1]


def check(make: Callable[[], Any], inputs: Callable[[int], Any], **options: Any) -> Any:
    """Compare eager and hybridized calls, recorded and not; return the hybridized network."""
    eager, fast = pair(make, **options)
    for record in (True, False):
        for call in range(CALLS):
            given, again = inputs(call), inputs(call)
            given = given if isinstance(given, tuple) else (given,)
            again = again if isinstance(again, tuple) else (again,)
            assert reports(eager, *given, record=record) == reports(fast, *again, record=record)
    return fast


def compiled(net: Any) -> int:
    """Return how many programs a block has."""
    return sum(entry.compiled is not None for entry in net._cache.entries.values())
