import torch

from regluon.graph.passes.aliases import without_aliases
from tests.graph.programs import assert_no_new_sharing, assert_same_bits, count, traced


X = torch.arange(6.0).reshape(2, 3)


def changed(function, *tensors):
    graph = traced(function, *tensors)
    result = without_aliases(graph)
    assert_same_bits(result, graph, tensors)
    assert_no_new_sharing(result, graph)
    return result


def test_detach_and_views_of_the_same_shape_go():
    graph = changed(lambda x: x.detach().view(2, 3).expand(2, 3).exp(), X)
    assert [node.title for node in graph.nodes] == ["aten.exp.default"]


def test_a_transposition_of_a_transposition_goes_with_the_dead_one_left():
    graph = changed(lambda x: x.t().t().exp(), X)
    assert count(graph, "aten.t.") == 1
    assert graph.nodes[-1].inputs == graph.inputs
    graph = changed(lambda x: x.transpose(0, 1).transpose(1, 0).exp(), X)
    assert count(graph, "aten.transpose") == 1


def test_other_transpositions_stay():
    x = torch.zeros(2, 2, 2)
    assert count(changed(lambda x: x.transpose(0, 1).transpose(1, 2) + 1, x), "aten.trans") == 2


def test_views_of_other_shapes_stay():
    assert count(changed(lambda x: x.view(3, 2) + 1, X), "aten.view") == 1
    assert count(changed(lambda x: x[1:] + 1, X), "aten.slice") == 1


def test_a_write_to_a_detached_value_writes_the_value():
    graph = changed(lambda x: (x.detach().mul_(2), x + 1)[1], X)
    assert count(graph, "aten.detach") == 0


def test_needless_copies_go():
    graph = changed(lambda x: x.clone().exp(), X)
    assert count(graph, "aten.clone") == 0
    graph = changed(lambda x: torch.ops.aten._to_copy(x, dtype=torch.float32).exp(), X)
    assert count(graph, "aten._to_copy") == 0


def test_copies_that_change_strides_or_dtype_stay():
    x = torch.zeros(1, 2, 3, 4)
    clone = changed(lambda x: x.clone(memory_format=torch.channels_last).exp(), x)
    assert count(clone, "aten.clone") == 1
    assert count(changed(lambda x: x.double().exp(), X), "aten._to_copy") == 1


def test_a_copy_stays_that_is_written():
    assert count(changed(lambda x: x.clone().add_(1).exp() + x, X), "aten.clone") == 1


def test_a_copy_stays_whose_source_is_written_later():
    assert count(changed(lambda x: (x.clone(), x.add_(1))[0].exp(), X), "aten.clone") == 1


def test_a_copy_may_go_whose_source_was_written_before():
    assert count(changed(lambda x: x.add_(1).clone().exp(), X), "aten.clone") == 0


def test_a_copy_of_an_input_that_is_returned_stays():
    assert count(changed(lambda x: x.clone(), X), "aten.clone") == 1
    assert count(changed(lambda x: x.clone()[1:], X), "aten.clone") == 1


def test_two_returned_copies_stay_apart():
    def function(x):
        y = x.exp()
        return y.clone(), y.clone()

    assert count(changed(function, X), "aten.clone") == 1


def test_an_output_stays_a_value_of_its_own():
    assert count(changed(lambda x: x.detach(), X), "aten.detach") == 1
    graph = changed(lambda x: (lambda y: (y, y.detach()))(x.exp()), X)
    assert len({*graph.outputs}) == 2


def test_what_is_reshaped_in_place_keeps_its_aliases():
    graph = changed(lambda x: (lambda y: (y.t_(), y.exp())[1])(x.detach()), X)
    assert count(graph, "aten.detach") == 1
