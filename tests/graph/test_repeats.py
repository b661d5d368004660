import torch

from regluon.graph.passes.repeats import without_repeats
from tests.graph.programs import assert_no_new_sharing, assert_same_bits, count, traced


X = torch.arange(6.0).reshape(2, 3)


def changed(function, *tensors):
    graph = traced(function, *tensors)
    result = without_repeats(graph)
    assert_same_bits(result, graph, tensors)
    assert_no_new_sharing(result, graph)
    return result


def test_equal_nodes_become_one_and_so_do_their_users():
    graph = changed(lambda x: (x.exp() + 1) * (x.exp() + 1), X)
    assert [node.title[:8] for node in graph.nodes] == ["aten.exp", "aten.add", "aten.mul"]


def test_equal_views_become_one_though_they_are_written():
    def function(x):
        x.t().add_(1)
        return x.t() * 2

    graph = changed(function, X)
    assert count(graph, "aten.t.") == 1


def test_other_numbers_are_other_calls():
    graph = changed(lambda x: (x + 1) * (x + 2) * (x + 1.0) * (x + True), X)
    assert count(graph, "aten.add") == 4
    assert count(changed(lambda x: x.mul(0.0) + x.mul(-0.0), X), "aten.mul") == 2


def test_a_write_between_keeps_both():
    assert count(changed(lambda x: x.exp() * (x.add_(1), x.exp())[1], X), "aten.exp") == 2
    view = changed(lambda x: x.exp() * (x[0].add_(1), x.exp())[1], X)
    assert count(view, "aten.exp") == 2


def test_a_write_before_or_after_does_not():
    graph = changed(lambda x: (x.add_(1), x.exp() * x.exp(), x.add_(1))[1], X)
    assert count(graph, "aten.exp") == 1


def test_results_that_are_written_stay_apart():
    assert count(changed(lambda x: x.exp() * x.exp().add_(1), X), "aten.exp") == 2

    def first(x):
        y, z = x.exp(), x.exp()
        y[1].zero_()
        return y * z

    assert count(changed(first, X), "aten.exp") == 2


def test_two_outputs_stay_two():
    assert count(changed(lambda x: (x.exp(), x.exp()), X), "aten.exp") == 2
    views = changed(lambda x: (x.exp()[1:], x.exp().t()), X)
    assert count(views, "aten.exp") == 2


def test_random_numbers_are_drawn_twice():
    assert count(changed(lambda x: x + torch.rand(3) + torch.rand(3), X), "aten.rand") == 2


def test_nodes_of_several_results_become_one():
    graph = changed(lambda x: x.max(1)[0] + x.max(1)[1], X)
    assert count(graph, "aten.max") == 1
