import pytest
import torch

from regluon.graph.node import Node, Value
from regluon.graph.passes.effects import (
    Effects,
    is_pure,
    is_random,
    is_removable,
    is_view,
    numbered,
)
from tests.graph.programs import assert_same_bits, traced


def one(function, *tensors):
    return traced(function, *tensors).nodes[-1]


X = torch.arange(6.0).reshape(2, 3)


def test_arithmetic_is_pure_and_writes_random_numbers_and_python_are_not():
    assert is_pure(one(torch.exp, X))
    assert not is_pure(one(torch.Tensor.exp_, X))
    assert not is_pure(one(torch.bernoulli, X / 6))
    assert not is_pure(Node(print, (Value("a"),), {}, (Value("b"),)))


def test_what_takes_a_generator_is_random_whatever_its_tags():
    assert is_random(one(torch.Tensor.uniform_, X))
    assert is_random(one(lambda x: torch.nn.functional.dropout(x, 0.5), X)) or is_random(
        one(lambda x: torch.rand(2), X)
    )
    assert not is_random(one(torch.exp, X))


def test_transpositions_are_views_and_copies_are_none():
    assert is_view(one(torch.t, X))
    assert is_view(one(lambda x: x.unbind(0), X))
    assert not is_view(one(torch.clone, X))
    assert not is_view(one(torch.exp, X))


def test_python_and_random_numbers_are_never_removed():
    assert is_removable(one(torch.exp, X))
    assert not is_removable(one(lambda x: torch.rand(2), X))
    assert not is_removable(Node(print, (Value("a"),)))


def test_views_of_views_share_memory_and_results_do_not():
    graph = traced(lambda x: (x.t()[1], x.exp(), x.split(1)[1]), X)
    (x,), (view, fresh, part) = graph.inputs, graph.outputs
    effects = Effects(graph)
    assert effects.may_alias(view, x)
    assert effects.may_alias(part, view)
    assert not effects.may_alias(fresh, x)


def test_a_storage_that_was_freed_and_used_again_is_not_shared():
    def function(x):
        for _ in range(5):
            x = torch.exp(x)  # the result before is freed now, its memory used again
        return x

    graph = traced(function, X)
    effects = Effects(graph)
    values = [node.outputs[0] for node in graph.nodes]
    assert len({effects.memory(value) for value in values}) == 5


def test_inputs_of_one_storage_share_it():
    x = torch.zeros(4)
    graph = traced(lambda x: x[1:] + x[:-1], x)
    assert not Effects(graph).is_written(graph.inputs[0])
    from_views = traced(lambda x: x[1:].add_(1), x)
    assert Effects(from_views).is_written(from_views.inputs[0])


def test_writes_are_known_by_place():
    graph = traced(lambda x: (x.exp(), x.add_(1), x.exp())[2], X)
    effects, (x,) = Effects(graph), graph.inputs
    assert effects.is_written(x)
    assert effects.is_written(x, 1, 2)
    assert not effects.is_written(x, 0, 1)
    assert not effects.is_written(x, 2)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_writes_its_statistics_in_training_only(training):
    def function(x, mean, variance):
        return torch.nn.functional.batch_norm(x, mean, variance, training=training)

    graph = traced(function, X, torch.zeros(3), torch.ones(3))
    effects = Effects(graph)
    assert effects.is_written(graph.inputs[1]) is training
    assert effects.is_written(graph.inputs[2]) is training
    assert not effects.is_written(graph.inputs[0])


def test_what_is_reshaped_in_place_is_restless():
    graph = traced(lambda x: (x.t_(), x.exp())[1], X)
    effects = Effects(graph)
    assert effects.is_restless(graph.inputs[0])
    assert not effects.is_restless(graph.outputs[0])


def test_merged_values_have_the_writes_of_both():
    graph = traced(lambda x, y: (x.add_(1), y.exp())[1], X, X)
    effects, (x, y) = Effects(graph), graph.inputs
    assert not effects.is_written(y)
    effects.merge(x, y)
    assert effects.is_written(y)
    assert effects.is_given(y)


def test_after_numbering_equal_numbers_are_shared_memory():
    def function(x):
        y = x
        for _ in range(5):
            y = torch.exp(y).t().relu_()
        return x.detach(), y

    graph = traced(function, X)
    result = numbered(graph)
    assert_same_bits(result, graph, [X])
    values = {v for node in result.nodes for v in node.outputs}
    assert len({value.meta.storage for value in values}) == 6
    assert result.inputs == graph.inputs
    assert result.outputs[0].meta.storage == graph.inputs[0].meta.storage
