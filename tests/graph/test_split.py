"""Split: the forward and the backward half of one traced graph."""

import torch

from regluon.graph.program import python, source_of
from regluon.graph.split import split
from regluon.graph.trace import Trace


def halves(function, *tensors):
    trace = Trace()
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    inputs = trace.inputs(leaves, [f"x{i}" for i in range(len(leaves))])
    with trace:
        result = function(*leaves)
    seed = torch.randn_like(result)
    places = trace.inputs([seed], ["seed"])
    with trace:
        found = torch.autograd.grad(result, leaves, seed)
    joint = trace.graph((*inputs, *places), (result, *found))
    return split(joint, 1, places), seed, result, found


def run(graph, *tensors):
    return python(graph, source_of(graph))(*tensors)


def run_both(parts, tensors, seed):
    """Return the result of the forward half, and the gradients of the backward one."""
    first = run(parts.forward, *tensors)
    given = [tensors[place] for place in parts.needed] + [first[place] for place in parts.reused]
    return first[0], run(parts.backward, *given, *first[1:], seed)


def noted(function, x, seed):
    """Return the halves of a program that returns `x` and then what the function does."""
    trace = Trace()
    inputs = trace.inputs([x, seed], ["x", "seed"])
    with torch.no_grad(), trace:
        found = function(x, seed)
    return split(trace.graph(inputs, [x, *found]), 1, inputs[1:]), found


def test_both_halves_together_compute_what_was_traced():
    def function(x, w):
        return torch.softmax(torch.tanh(x @ w), 1) * x.sum()

    x, w = torch.randn(3, 4), torch.randn(4, 5)
    both, seed, result, found = halves(function, x, w)
    first, gradients = run_both(both, [x, w], seed)
    assert torch.equal(first, result)
    for one, other in zip(gradients, found, strict=True):
        assert torch.equal(one, other)


def test_a_view_that_only_the_backward_pass_needs_is_found_there():
    def linear(x, w):
        return torch.nn.functional.linear(x, w)

    both, *_ = halves(linear, torch.ones(2, 3), torch.ones(4, 3))
    assert [node.title for node in both.forward.nodes] == ["aten.t.default", "aten.mm.default"]
    assert 0 in both.needed


def test_results_that_the_backward_pass_needs_are_not_kept_twice():
    both, *_ = halves(torch.exp, torch.ones(3))
    assert both.reused == (0,)
    assert both.extras == 0


def test_what_the_backward_pass_reads_is_not_written_before():
    """A program whose last node writes what another one reads, as after the pass on memory."""

    def function(x, seed):
        y = x.exp()
        slope = seed * y
        y.mul_(2)
        gradient = slope + y
        return [y.sum(), gradient]

    x, seed = torch.rand(3), torch.rand(3)
    parts, both = noted(function, x, seed)
    _, found = run_both(parts, [x], seed)
    for one, other in zip(found, both, strict=True):
        assert torch.equal(one, other)


def test_what_the_backward_pass_has_written_is_read_after():
    def function(x, seed):
        y = x.exp()
        y.mul_(seed)
        return [y[:2].cos()]

    x, seed = torch.rand(3), torch.rand(3)
    parts, (later,) = noted(function, x, seed)
    assert torch.equal(run_both(parts, [x], seed)[1][0], later)
