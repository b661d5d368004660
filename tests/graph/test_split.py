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


def test_both_halves_together_compute_what_was_traced():
    def function(x, w):
        return torch.softmax(torch.tanh(x @ w), 1) * x.sum()

    x, w = torch.randn(3, 4), torch.randn(4, 5)
    both, seed, result, found = halves(function, x, w)
    first = run(both.forward, x, w)
    assert torch.equal(first[0], result)
    given = [[x, w][place] for place in both.needed] + [first[place] for place in both.reused]
    gradients = run(both.backward, *given, *first[1:], seed)
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
    x, seed = torch.rand(3), torch.rand(3)
    trace = Trace()
    inputs = trace.inputs([x, seed], ["x", "seed"])
    with torch.no_grad(), trace:
        y = x.exp()
        slope = seed * y
        y.mul_(2)
        gradient = slope + y
        both = [y.sum(), gradient]
    parts = split(trace.graph(inputs, [x, *both]), 1, inputs[1:])
    first = run(parts.forward, x)
    given = [x for _ in parts.needed] + [first[place] for place in parts.reused]
    found = run(parts.backward, *given, *first[1:], seed)
    for one, other in zip(found, both, strict=True):
        assert torch.equal(one, other)


def test_what_the_backward_pass_has_written_is_read_after():
    x, seed = torch.rand(3), torch.rand(3)
    trace = Trace()
    inputs = trace.inputs([x, seed], ["x", "seed"])
    with torch.no_grad(), trace:
        y = x.exp()
        y.mul_(seed)
        later = y[:2].cos()
    parts = split(trace.graph(inputs, [x, later]), 1, inputs[1:])
    first = run(parts.forward, x)
    given = [x for _ in parts.needed] + [first[place] for place in parts.reused]
    assert torch.equal(run(parts.backward, *given, *first[1:], seed)[0], later)
