"""Programs: the generated Python, its errors, and what is prepared once for all calls."""

import threading

import pytest
import torch

from regluon.graph.node import Graph
from regluon.graph.passes.memory import planned
from regluon.graph.program import Prepared, Program, python, source_of
from regluon.graph.trace import Trace, ValueRead


def traced(function, *tensors, fixed=()):
    trace = Trace()
    inputs = trace.inputs(tensors, [f"x{i}" for i in range(len(tensors))])
    with torch.no_grad(), trace:
        results = function(*tensors)
    return trace.graph(inputs, results, [inputs[place] for place in fixed])


def slow(graph: Graph):
    """Return the Python form, whether there is a C++ library or not."""
    return python(graph, source_of(graph))


def test_the_source_is_the_program_line_by_line():
    graph = traced(lambda x: [torch.relu(x) + 1], torch.ones(2))
    source = source_of(graph)
    assert source.splitlines()[0] == "def program(x0):"
    assert "aten.relu.default" in source
    assert "test_program.py" in source
    assert slow(graph)(torch.tensor([-1.0, 2.0]))[0].tolist() == [1.0, 3.0]


def test_lists_infinities_and_several_results_are_arguments_and_results():
    def function(x):
        first, second = x.split(1)
        masked = torch.where(first > 0, first, float("-inf"))
        return [torch.cat([masked, second]), *torch.sort(x, descending=True)]

    x = torch.tensor([[0.0, 3.0], [2.0, 1.0]])
    found = slow(traced(function, x))(x)
    for one, other in zip(found, function(x), strict=True):
        assert torch.equal(one, other)


def test_dtypes_stand_in_the_source():
    graph = traced(lambda x: [x.to(torch.bfloat16)], torch.ones(2))
    assert "(x0, dtype=torch.bfloat16)" in source_of(graph)
    assert slow(graph)(torch.ones(2))[0].dtype is torch.bfloat16


def test_inputs_may_have_names_that_the_source_uses():
    trace, tensors = Trace(), [torch.full((2,), float(n)) for n in range(4)]
    inputs = trace.inputs(tensors, ["f0", "v1_f0", "torch", "r\u00b2"])
    with torch.no_grad(), trace:
        first, second, third, fourth = tensors
        result = torch.where(first > 0, second, float("inf")).to(torch.float64).split(1)[0]
        result = result * third + fourth
    graph = trace.graph(inputs, [result])
    assert torch.equal(slow(graph)(*tensors)[0], result)


def test_an_error_names_the_operator_and_the_line_it_was_compiled_from():
    graph = traced(lambda x, y: [x @ y], torch.ones(2, 3), torch.ones(3, 2))
    with pytest.raises(RuntimeError, match=r"in aten\.mm\.default at .*test_program"):
        slow(graph)(torch.ones(2, 3), torch.ones(2, 2))


def test_a_value_that_is_read_while_tracing_is_an_error():
    with pytest.raises(ValueRead, match=r"test_program\.py"):
        traced(lambda x: [x if x.sum() > 0 else -x], torch.ones(2))


def test_what_depends_on_fixed_inputs_runs_again_only_after_a_change():
    weight = torch.ones(2, 2)
    graph = traced(lambda x, w: [x @ torch.exp(w)], torch.ones(1, 2), weight, fixed=[1])
    program = Prepared(graph)
    program.prepare.run(weight)  # from here on in C++, if there is a library
    runs = []
    prepare = program.prepare.run

    def counted(*tensors):
        runs.append(tensors)
        return prepare(*tensors)

    program.prepare.run = counted
    x = torch.ones(1, 2)
    for _ in range(3):
        assert torch.equal(program.run(x, weight)[0], x @ torch.exp(weight))
    assert len(runs) == 1
    weight.mul_(2)
    assert torch.equal(program.run(x, weight)[0], x @ torch.exp(weight))
    assert torch.equal(program.run(x, weight + 1)[0], x @ torch.exp(weight + 1))
    assert len(runs) == 3


def test_planned_memory_serves_any_number_of_threads():
    def function(x):
        for _ in range(20):
            x = torch.tanh(x * 1.01) + 0.1
        return [x]

    inputs = [torch.full((64, 64), float(i)) for i in range(8)]
    program = Program(traced(function, inputs[0]), static=True)
    found = [None] * len(inputs)

    def work(place):
        for _ in range(20):
            found[place] = program.run(inputs[place])[0]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for x, result in zip(inputs, found, strict=True):
        assert torch.equal(result, function(x)[0])


def test_the_generated_python_has_planned_memory_too():
    graph = planned(
        traced(lambda x, w: [torch.relu(x @ w) @ w + 1], torch.ones(2, 2), torch.ones(2, 2))
    )
    assert "out=" in source_of(graph)
    x, w = torch.rand(2, 2), torch.rand(2, 2)
    for _ in range(2):
        assert torch.equal(slow(graph)(x, w)[0], torch.relu(x @ w) @ w + 1)


def test_what_a_program_keeps_may_be_written():
    count = torch.zeros(2)
    graph = traced(lambda x: [x + count.add_(1)], torch.ones(2))
    call = slow(graph)
    count.zero_()
    assert [call(torch.ones(2))[0].tolist() for _ in range(2)] == [[2.0, 2.0], [3.0, 3.0]]


def test_two_runs_with_planned_memory_go_on_at_once():
    together: list[threading.Barrier] = []

    def meet(x):
        for barrier in together:
            barrier.wait(20)  # breaks if the other one has to wait for this one

    x, trace = torch.ones(64), Trace()
    inputs = trace.inputs([x], ["x"])
    with trace:
        y = torch.exp(x) * 2
        trace.opaque(meet, y)
        result = y + 1
    program = Program(trace.graph(inputs, [result]), static=True)
    assert "out=" in program.source
    together.append(threading.Barrier(2))
    found = [None, None]

    def work(place):
        found[place] = program.run(torch.full((64,), float(place)))[0]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place in range(2):
        assert torch.equal(found[place], torch.full((64,), float(place)).exp() * 2 + 1)
