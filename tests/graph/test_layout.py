import pytest
import torch
from torch import nn

from regluon.graph.passes.aliases import without_aliases
from regluon.graph.passes.functional import functional
from regluon.graph.passes.layout import channels_last, contiguous_strides, ordered_strides
from tests.graph.programs import (
    assert_close,
    assert_no_new_sharing,
    assert_same_bits,
    count,
    inference,
    results,
    run,
    traced,
    training,
)


X = torch.linspace(-1, 1, 2 * 4 * 9 * 8).reshape(2, 4, 9, 8)
W = torch.linspace(-0.1, 0.1, 4 * 4 * 3 * 3).reshape(4, 4, 3, 3)


def network():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 3),
    )


def same_strides(changed, graph, tensors):
    for ours, theirs in zip(results(changed, tensors), results(graph, tensors), strict=True):
        assert ours.stride() == theirs.stride()


def test_the_first_image_is_converted_and_the_order_kept():
    graph, tensors = inference(network().eval(), X)
    result = channels_last(graph)
    assert_close(result, graph, tensors, 1e-5)
    first, *_, last = [n for n in result.nodes if n.title.startswith("aten.contiguous")]
    assert count(result, "aten.contiguous") == 2
    assert first.args[0] is graph.inputs[0]
    assert last.kwargs == {"memory_format": torch.contiguous_format}


def test_training_converts_once_and_gradients_are_laid_out_as_before():
    graph, tensors = training(network(), X)
    graph = functional(without_aliases(graph))
    result = channels_last(graph)
    assert_close(result, graph, tensors, 1e-4)
    assert_no_new_sharing(result, graph)
    same_strides(result, graph, tensors)
    forms = [n.kwargs["memory_format"] for n in result.nodes if "contiguous" in n.title]
    assert forms.count(torch.channels_last) <= 2  # the image, and the gradient after flattening


def test_strides_that_are_noted_are_those_that_come_out():
    graph, tensors = inference(network().eval(), X)
    result = channels_last(graph)
    values = [v for node in result.nodes for v in node.outputs if v is not None]
    made = run(result.with_nodes(result.nodes, values), *tensors)
    for value, tensor in zip(values, made, strict=True):
        if value.meta.shape[-1] > 1:
            assert value.meta.stride == tensor.stride()


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: torch.conv2d(x, w),
        lambda x, w: torch.conv2d(x, w).view(-1)[2:],
        lambda x, w: torch.conv2d(x, w).relu().as_strided((3, 2), (2, 1)),
        lambda x, w: (lambda y: (y.view(2, -1).add_(1), y.relu())[1])(torch.conv2d(x, w)),
        lambda x, w: (lambda y, z: (y.relu_(), z + 1)[1])(
            *(lambda y: (y, y.view(2, -1)))(torch.conv2d(x, w))
        ),
        lambda x, w: (lambda y: (y, y.relu_()))(torch.conv2d(x, w).relu()),
        lambda x, w: torch.conv2d(torch.conv2d(x, w).relu_(), w) + x[:, :, :5, :4],
        lambda x, w: x[:, :, :7, :6].add_(torch.conv2d(x, w)),
        lambda x, w: (lambda y: y.add_(1).view(-1)[0] + y.mul_(2).view(-1))(torch.conv2d(x, w)),
    ],
)
def test_views_writes_and_outputs_are_what_they_were(function):
    graph = traced(function, X, fixed=[W])
    result = channels_last(graph)
    assert_close(result, graph, [X, W], 1e-5)
    assert_no_new_sharing(result, graph)
    same_strides(result, graph, [X, W])


def test_what_is_channels_last_already_is_not_converted():
    x = X.contiguous(memory_format=torch.channels_last)
    graph = traced(lambda x, w: torch.conv2d(x, w).relu(), x, fixed=[W])
    result = channels_last(graph)
    assert_same_bits(result, graph, [x, W])
    assert len(result.nodes) == 2


def test_float64_is_left_alone():
    graph = traced(lambda x, w: torch.conv2d(x, w), X.double(), fixed=[W.double()])
    assert len(channels_last(graph).nodes) == 1


def test_strides_of_a_shape():
    for shape, form in (((2, 3, 4, 5), torch.channels_last), ((2, 3, 4), torch.contiguous_format)):
        tensor = torch.empty(shape, memory_format=form)
        assert ordered_strides(shape, form) == tensor.stride()
    assert contiguous_strides((2, 0, 3)) == torch.empty(2, 0, 3).stride()
