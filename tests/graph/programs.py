"""Programs for the tests of passes: traced from functions and modules, and a plain interpreter."""

import torch
from torch.func import functional_call

from regluon.graph.node import Graph, mapped
from regluon.graph.passes.effects import Effects
from regluon.graph.trace import Trace


def run(graph, *tensors):
    """What the graph means, node by node."""
    known = {**graph.constants, **dict(zip(graph.inputs, tensors, strict=True))}
    for node in graph.nodes:
        args, kwargs = mapped((node.args, node.kwargs), known.__getitem__)
        results = node.target(*args, **kwargs)
        results = results if isinstance(results, (list, tuple)) else (results,)
        known |= {v: r for v, r in zip(node.outputs, results, strict=False) if v is not None}
    return [None if value is None else known[value] for value in graph.outputs]


def traced(function, *tensors, fixed=()) -> Graph:
    """The graph of `function(*tensors, *fixed)`, on copies, without gradients."""
    given = [tensor.clone() for tensor in (*tensors, *fixed)]
    trace = Trace()
    inputs = trace.inputs(given, [f"x{place}" for place in range(len(given))])
    with torch.no_grad(), trace:
        results = function(*given)
    results = results if isinstance(results, (list, tuple)) else [results]
    return trace.graph(inputs, results, fixed=inputs[len(tensors) :])


def inference(module, *tensors):
    """The graph of a module, whose parameters and buffers are fixed, and its inputs."""
    names = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    values = [t.detach() for _, t in (*module.named_parameters(), *module.named_buffers())]

    def function(*given):
        state = dict(zip(names, given[len(tensors) :], strict=True))
        return functional_call(module, state, given[: len(tensors)])

    return traced(function, *tensors, fixed=values), [*tensors, *values]


def training(module, *tensors):
    """The graph of outputs, gradients of their sum of squares, and buffers; and its inputs."""
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    leaves = [parameter.detach().clone().requires_grad_() for parameter in parameters.values()]
    rest = [buffer.clone() for buffer in buffers.values()]
    trace = Trace()
    given = [*tensors, *leaves, *rest]
    inputs = trace.inputs(given, [f"x{place}" for place in range(len(given))])
    state = dict(zip((*parameters, *buffers), (*leaves, *rest), strict=True))
    with trace:
        y = functional_call(module, state, tensors)
        gradients = torch.autograd.grad((y * y).sum(), leaves)
    graph = trace.graph(inputs, [y, *gradients], fixed=inputs[len(tensors) :])
    return graph, [*tensors, *(leaf.detach() for leaf in leaves), *buffers.values()]


def copied(tensors):
    return [tensor.clone() for tensor in tensors]


def results(graph, tensors):
    """Outputs, and what the inputs hold afterwards, without touching `tensors`."""
    given = copied(tensors)
    torch.default_generator.manual_seed(7)
    graph.check()
    with torch.no_grad():
        return [None if t is None else t.clone() for t in run(graph, *given)] + given


def assert_same_bits(changed, graph, tensors):
    for ours, theirs in zip(results(changed, tensors), results(graph, tensors), strict=True):
        assert torch.equal(ours.nan_to_num(7), theirs.nan_to_num(7))
        assert ours.dtype == theirs.dtype


def assert_close(changed, graph, tensors, tolerance=1e-10):
    for ours, theirs in zip(results(changed, tensors), results(graph, tensors), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def count(graph, name):
    """How many nodes call an operator, by the start of its title."""
    return sum(node.title.startswith(name) for node in graph.nodes)


def assert_no_new_sharing(changed, graph):
    """Outputs share no memory with each other or with inputs that they did not share before."""
    before, after = Effects(graph), Effects(changed)
    for place, (old, new) in enumerate(zip(graph.outputs, changed.outputs, strict=True)):
        assert before.is_given(old) or not after.is_given(new)
        for other in range(place):
            ours, theirs = changed.outputs[other], graph.outputs[other]
            assert before.may_alias(old, theirs) or not after.may_alias(new, ours)
