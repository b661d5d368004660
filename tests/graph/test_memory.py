import pytest
import torch
from torch import nn

from regluon.graph.passes.effects import numbered
from regluon.graph.passes.memory import in_place, planned
from tests.graph.programs import (
    assert_no_new_sharing,
    assert_same_bits,
    count,
    inference,
    traced,
    training,
)


X = torch.arange(6.0).reshape(2, 3)


def changed(function, *tensors, change=in_place):
    graph = traced(function, *tensors)
    result = change(graph)
    assert_same_bits(result, graph, tensors)
    assert_no_new_sharing(result, graph)
    return result


def titles(graph):
    return [node.title.split(".")[1] for node in graph.nodes]


def test_element_wise_operators_write_into_arguments_that_die():
    graph = changed(lambda x: torch.relu(x.exp() + 1) * 2, X)
    assert titles(graph) == ["exp", "add_", "relu_", "mul_"]


def test_a_sum_may_be_written_into_either_term():
    assert titles(changed(lambda x: x + x.exp(), X)) == ["exp", "add_"]
    assert titles(changed(lambda x: x * x.exp(), X)) == ["exp", "mul_"]
    assert titles(changed(lambda x: x - x.exp(), X)) == ["exp", "sub"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + 1,  # an input
        lambda x: (lambda y: (y + 1) * y)(x.exp())[0:1] * 0 + x,  # read again: first sum only
        lambda x: x.detach() + 1,
        lambda x: (lambda y: (y, y.relu()))(x.exp()),  # an output
        lambda x: (lambda y: (y.t(), y.relu()))(x.exp()),  # an output's view
    ],
)
def test_inputs_outputs_and_what_is_read_again_are_not_written(function):
    graph = traced(function, X)
    first = [node.title for node in graph.nodes if node.title.startswith("aten.relu")]
    result = in_place(graph)
    assert_same_bits(result, graph, [X])
    assert_no_new_sharing(result, graph)
    assert count(result, "aten.relu.") == len(first)


def test_a_constant_is_not_written():
    constant = torch.ones(2, 3)
    graph = changed(lambda x: torch.relu(constant) * x, X)
    assert titles(graph)[0] == "relu"


def test_what_is_read_through_a_view_is_not_written():
    def function(x):
        y = x.exp()
        view = y[1]
        return y.relu() + view

    assert titles(changed(function, X))[2] == "relu"


def test_an_argument_beside_its_own_view_is_not_written():
    x = torch.arange(9.0).reshape(3, 3)
    assert titles(changed(lambda x: (lambda y: y + y.t())(x.exp()), x))[-1] == "add"


def test_an_expanded_argument_is_not_written():
    graph = changed(lambda x: x.sum(0).exp().expand(2, 3) + x, X)
    assert titles(graph)[-1] == "add"


def test_other_shapes_and_dtypes_are_not_written():
    assert titles(changed(lambda x: x.sum(0).exp() + x, X))[-1] == "add"
    assert titles(changed(lambda x: x.exp() > 1, X))[-1] == "gt"


def test_gradients_of_activations_are_written_where_the_gradient_was():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.Tanh())
    graph, tensors = training(net, X)
    result = in_place(graph)
    assert_same_bits(result, graph, tensors)
    assert count(result, "aten.threshold_backward.grad_input") == 1


def test_what_depends_on_fixed_inputs_alone_stays_to_be_hoisted():
    graph = traced(lambda x, w: x @ torch.relu(w.exp()), X, fixed=[X.t()])
    assert count(in_place(graph), "aten.relu.") == 1


def test_buffers_are_planned_and_used_again():
    net = nn.Sequential(*(nn.Sequential(nn.Linear(3, 3), nn.Sigmoid()) for _ in range(5)))
    graph, tensors = inference(net, X)
    result = planned(graph)
    assert_same_bits(result, graph, tensors)
    assert count(result, "aten.addmm.out") == 5
    assert count(result, "aten.sigmoid.out") == 4  # the last one is returned
    storages = {t.untyped_storage().data_ptr() for v, t in result.constants.items()}
    places = {t.data_ptr() for v, t in result.constants.items()}
    assert len(storages) == 1
    assert len(places) == 2


def test_planned_programs_may_be_called_again_without_harm_to_earlier_outputs():
    graph = traced(lambda x: torch.mm(x.exp(), x.t().exp()).relu(), X)
    result = planned(graph)
    assert_same_bits(result, graph, [X])
    assert_same_bits(result, graph, [X * 2])
    assert count(result, "aten.relu.default") == 1


def test_outputs_and_views_of_them_are_not_planned():
    assert not changed(lambda x: x.exp(), X, change=planned).constants
    assert not changed(lambda x: x.exp().t()[1:], X, change=planned).constants


def test_planning_after_writes_in_place_keeps_every_bit():
    def function(x):
        y = torch.relu(x @ x.t()) + 1
        z = y.view(4)[1:3] * 2
        return (y * z).exp().sum(0) + z

    graph = traced(function, X)
    result = planned(in_place(graph))
    assert_same_bits(result, graph, [X])


def test_a_training_step_is_planned():
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2), nn.Tanh())
    graph, tensors = training(net, X)
    result = planned(in_place(numbered(graph)))
    assert_same_bits(result, graph, tensors)
    assert len(result.constants) >= 3
