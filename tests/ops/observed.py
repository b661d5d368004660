"""What operators do when the samples run: who is written, shares storage, passes gradients on."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import regluon as mx
from regluon.array.arguments import flat
from regluon.ops.registry import TABLE, Op
from tests.ops.modes import engine
from tests.ops.samples import families, prepare


@dataclass
class Facts:
    """What was seen of one operator over all samples, to be compared with its record."""

    calls: int = 0
    written: set[str] = field(default_factory=set)  # array parameters changed in place
    shared: set[str] = field(default_factory=set)  # those whose storage a result was in
    linked: set[str] = field(default_factory=set)  # those that a result has a gradient for
    moved: set[str] = field(default_factory=set)  # those whose gradient is not zero everywhere
    floating: set[str] = field(default_factory=set)  # those that were given floats
    results: int = 0  # the largest number of them, above one for each of `*arrays`
    shapes: int = 0  # how often other values gave results of other shapes


@functools.cache
def observed() -> dict[str, Facts]:
    """Run every sample once, watching; return the facts by the operator's name."""
    facts = {name: Facts() for name in TABLE}
    with engine("NaiveEngine"), watching(facts):
        for samples in families().values():
            for sample in samples:
                with suppress(Exception):  # its own test says what is wrong with it
                    prepare(sample, mx).run()
    mx.npx.reset_np()
    return facts


@contextmanager
def watching(facts: dict[str, Facts]) -> Iterator[None]:
    """Put a watcher in front of the function of every operator in the table."""
    functions = {op: op.fn for op in TABLE.values()}
    for op, fn in functions.items():
        object.__setattr__(op, "fn", _watched(op, fn, facts[op.name]))
    try:
        yield
    finally:
        for op, fn in functions.items():
            object.__setattr__(op, "fn", fn)


def _watched(op: Op, fn: Callable[..., Any], facts: Facts) -> Callable[..., Any]:
    def call(*values: Any, **given: Any) -> Any:
        arrays = dict(_tensors(op, values))
        before = {tensor: (tensor._version, tensor.detach().clone()) for tensor in arrays}
        result = fn(*values, **given)
        results = [out for out in flat([result]) if isinstance(out, Tensor)]
        facts.calls += 1
        _note_storage(arrays, before, results, facts)
        facts.results = max(facts.results, len(results) - op.variadic * len(arrays))
        floating = {name for tensor, name in arrays.items() if tensor.is_floating_point()}
        if not floating <= facts.moved:
            with suppress(Exception):  # as when a dtype has no gradient
                _note_gradients(op, fn, values, given, facts)
        if op.dynamic:
            _note_shapes(fn, values, given, results, facts)
        return result

    return call


def _tensors(op: Op, values: tuple[Any, ...]) -> Iterator[tuple[Tensor, str]]:
    """Yield every tensor of a call with the name of its parameter."""
    for at, value in enumerate(values):
        name = op.arrays[min(at, len(op.arrays) - 1)]
        yield from ((item, name) for item in flat([value]) if isinstance(item, Tensor))


def _note_storage(
    arrays: dict[Tensor, str],
    before: dict[Tensor, tuple[int, Tensor]],
    results: list[Tensor],
    facts: Facts,
) -> None:
    written = {
        tensor
        for tensor, (version, values) in before.items()
        # The first is what torch counts, which leaves its fused steps out.
        if tensor._version != version or not torch.equal(tensor.nan_to_num(), values.nan_to_num())
    }
    facts.written |= {arrays[tensor] for tensor in written}
    for tensor, name in arrays.items():
        place = tensor.untyped_storage().data_ptr()
        inside = (out for out in results if out.untyped_storage().data_ptr() == place)
        if place and any(not any(out is array for array in written) for out in inside):
            facts.shared.add(name)


def _note_gradients(
    op: Op, fn: Callable[..., Any], values: tuple[Any, ...], given: dict[str, Any], facts: Facts
) -> None:
    leaves: list[tuple[Tensor, str]] = []

    def fresh(value: Any, name: str) -> Any:
        if isinstance(value, list):
            return [fresh(item, name) for item in value]
        if not isinstance(value, Tensor):
            return value
        copy = value.detach().clone()
        if copy.is_floating_point() and name not in op.mutates:
            leaves.append((copy.requires_grad_(), name))
        return copy

    last = len(op.arrays) - 1
    inputs = [fresh(value, op.arrays[min(at, last)]) for at, value in enumerate(values)]
    facts.floating |= {name for _, name in leaves}
    if "generator" in given:
        given = {**given, "generator": torch.Generator().manual_seed(0)}
    with torch.enable_grad():
        results = [out for out in flat([fn(*inputs, **given)]) if out.requires_grad]
        if not results or not leaves:
            return
        ends = [(out * torch.rand_like(out)).sum() for out in results]
        grads = torch.autograd.grad(ends, [leaf for leaf, _ in leaves], allow_unused=True)
    for (_, name), grad in zip(leaves, grads, strict=True):
        facts.linked |= {name} if grad is not None else set()
        facts.moved |= {name} if grad is not None and grad.abs().sum() > 0 else set()


def _note_shapes(
    fn: Callable[..., Any],
    values: tuple[Any, ...],
    given: dict[str, Any],
    results: list[Tensor],
    facts: Facts,
) -> None:
    for value in (0, 1):
        changed = [torch.full_like(x, value) if isinstance(x, Tensor) else x for x in values]
        others = [out for out in flat([fn(*changed, **given)]) if isinstance(out, Tensor)]
        facts.shapes += [out.shape for out in others] != [out.shape for out in results]
