import torch

from regluon.graph.passes.functional import functional
from tests.graph.programs import assert_no_new_sharing, assert_same_bits, count, traced


X = torch.arange(6.0).reshape(2, 3)


def changed(function, *tensors):
    graph = traced(function, *tensors)
    result = functional(graph)
    assert_same_bits(result, graph, tensors)
    assert_no_new_sharing(result, graph)
    return result


def test_writes_to_values_that_nobody_else_sees_become_values():
    graph = changed(lambda x: x.exp().add_(1).relu_().mul_(x).t(), X)
    names = [node.title.split(".")[1] for node in graph.nodes]
    assert names == ["exp", "add", "relu", "mul", "t"]
    assert len({node.outputs for node in graph.nodes}) == 5


def test_writes_to_inputs_and_constants_stay():
    constant = torch.ones(2, 3)
    assert count(changed(lambda x: x.add_(1), X), "aten.add_") == 1
    assert count(traced(lambda x: constant.add_(x), X), "aten.add_") == 1
    graph = traced(lambda x: constant.add_(x), X)
    assert count(functional(graph), "aten.add_") == 1


def test_a_write_stays_that_a_view_sees():
    def function(x):
        y = x.exp()
        view = y[1]
        y.add_(1)
        return view, y

    assert count(changed(function, X), "aten.add_") == 1


def test_a_write_to_a_view_stays():
    def function(x):
        y = x.exp()
        y[1].add_(1)
        return y

    assert count(changed(function, X), "aten.add_") == 1


def test_a_write_stays_after_a_view_of_the_new_value():
    def function(x):
        y = x.exp().add_(1)
        view = y[1]
        y.mul_(2)
        return view, y

    graph = changed(function, X)
    assert count(graph, "aten.add.") == 1
    assert count(graph, "aten.mul_") == 1


def test_a_write_that_casts_stays():
    assert count(changed(lambda x: x.exp().add_(x.double()), X), "aten.add_") == 1
    assert count(changed(lambda x: x.long().add(1).add_(2), X), "aten.add_") == 1


def test_random_writes_stay():
    assert count(changed(lambda x: x.exp().uniform_(), X), "aten.uniform_") == 1
    assert count(changed(lambda x: x.exp().bernoulli_(0.5), X), "aten.bernoulli_") == 1
