import torch

from regluon.graph.node import Node
from regluon.graph.passes.dead import without_dead
from tests.graph.programs import assert_same_bits, count, traced


X = torch.arange(6.0).reshape(2, 3)


def changed(function, *tensors):
    graph = traced(function, *tensors)
    result = without_dead(graph)
    assert_same_bits(result, graph, tensors)
    return result


def test_what_nobody_reads_goes_with_all_that_led_to_it():
    graph = changed(lambda x: ((x.exp() + 1).t(), x.sin())[1], X)
    assert [node.title for node in graph.nodes] == ["aten.sin.default"]


def test_writes_into_memory_that_nobody_reads_go():
    graph = changed(lambda x: (x.exp().add_(1).view(6)[2:].zero_(), x.sin())[1], X)
    assert len(graph.nodes) == 1


def test_a_write_stays_that_is_read_through_a_view():
    def function(x):
        y = x.exp()
        view = y[1]
        y.add_(1)
        return view * 2

    assert count(changed(function, X), "aten.add_") == 1


def test_a_write_to_a_view_of_an_output_stays():
    def function(x):
        y = x.exp()
        y[1].zero_()
        return y

    assert count(changed(function, X), "aten.zero_") == 1


def test_a_write_after_the_last_reading_goes():
    def function(x):
        y = x.exp()
        z = y * 2
        y.add_(1)
        return z

    assert count(changed(function, X), "aten.add_") == 0


def test_writes_to_inputs_and_constants_stay():
    counter = torch.zeros(1)
    graph = changed(lambda x: (x.detach().add_(1), x.sin())[1], X)
    assert count(graph, "aten.add_") == 1
    graph = traced(lambda x: (counter.add_(1), x.sin())[1], X)
    assert count(without_dead(graph), "aten.add_") == 1


def test_running_statistics_are_still_updated():
    def function(x, mean, variance):
        torch.nn.functional.batch_norm(x, mean, variance, training=True)
        return x + 1

    graph = changed(function, X, torch.zeros(3), torch.ones(3))
    assert count(graph, "aten.native_batch_norm") == 1


def test_random_numbers_are_drawn_although_unread():
    graph = changed(lambda x: (torch.rand(3), x + torch.rand(2, 3))[1], X)
    assert count(graph, "aten.rand") == 2


def test_opaque_nodes_stay():
    graph = traced(lambda x: x.exp(), X)
    graph = graph.with_nodes([Node(print, (graph.inputs[0],)), *graph.nodes])
    assert len(without_dead(graph).nodes) == 2


def test_constants_that_nobody_uses_go():
    constant = torch.ones(2, 3)
    graph = changed(lambda x: (constant + 1, x.sin())[1], X)
    assert not graph.constants
