import pytest
import torch
from torch import nn

from regluon.base import MXNetError
from regluon.graph import passes
from regluon.graph.node import Node, Value, meta_of
from regluon.graph.passes.shapes import inferred
from tests.graph.programs import inference, run, traced, training


X = torch.linspace(-1, 1, 2 * 4 * 9 * 8).reshape(2, 4, 9, 8)


def network():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(4, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 3),
        nn.AdaptiveAvgPool2d(1),
    )


def assert_true(graph, tensors):
    """Descriptions are those of the tensors that come out, and share as they do."""
    metas = inferred(graph, [meta_of(tensor) for tensor in tensors])
    values = [v for node in graph.nodes for v in node.outputs if v is not None]
    made = run(graph.with_nodes(graph.nodes, values), *tensors)
    for value, tensor in zip(values, made, strict=True):
        if tensor.numel() and tensor.layout is torch.strided:  # statistics may be left out
            assert metas[value].shape == tuple(tensor.shape)
            assert metas[value].dtype == tensor.dtype
            assert metas[value].device == tensor.device
        if tensor.numel() and tensor.dim() < 4 and tensor.layout is torch.strided:
            assert metas[value].stride == tensor.stride()


def test_values_of_a_network_are_described_for_other_batches():
    graph, (_, *rest) = inference(network().eval(), X)
    assert_true(graph, [X, *rest])
    assert_true(graph, [X[:1], *rest])
    assert_true(graph, [torch.rand(5, 4, 20, 30), *rest])


def test_compiled_programs_and_gradients_are_described():
    graph, tensors = inference(network().eval(), X)
    assert_true(passes.inference(graph), tensors)
    graph, tensors = training(network(), X)
    assert_true(passes.training(graph), tensors)


def test_views_share_their_storage():
    graph = traced(lambda x: (x.t(), x.exp()), X[0, 0])
    metas = inferred(graph)
    view, fresh = (metas[value] for value in graph.outputs)
    assert view.storage == metas[graph.inputs[0]].storage != fresh.storage
    assert view.stride == (1, 8)


def test_operators_on_lists_and_factories_are_described():
    def function(x):
        first, second = x.split(4, 1)
        return torch.cat([first, second, torch.ones(9, 2)], 1).sum(1)

    graph = traced(function, X[0, 0])
    assert_true(graph, [X[0, 0]])


def test_a_shape_that_does_not_fit_is_named_with_its_line():
    graph = traced(lambda x: x.view(9, 8) + 1, X[0, 0].flatten())
    with pytest.raises(MXNetError, match=r"aten\.view\.default at .*test_shapes.py.* these shapes"):
        inferred(graph, [meta_of(torch.zeros(70))])


def test_results_of_python_are_as_they_were():
    graph = traced(lambda x: x.exp(), X[0, 0])
    result = Value("result", meta_of(torch.zeros(3)))
    node = Node(print, graph.inputs, {}, (result,))
    assert inferred(graph.with_nodes([*graph.nodes, node]))[result].shape == (3,)
