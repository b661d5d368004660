import pytest
import torch
from torch import nn

from regluon.graph.passes.folding import hoisted
from regluon.graph.passes.functional import functional
from regluon.graph.passes.linear import prefers_onednn, with_linears, with_products
from tests.graph.programs import (
    assert_close,
    assert_same_bits,
    count,
    inference,
    traced,
    training,
)


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(inplace=True), nn.Linear(128, 32), nn.ReLU())


X = torch.linspace(-1, 1, 16 * 64).reshape(16, 64)
W = torch.linspace(-1, 1, 64 * 128).reshape(64, 128)


def test_large_products_go_to_onednn_packed_and_with_relu():
    graph, tensors = inference(network(), X)
    result = with_linears(functional(graph), onednn=True)
    assert_close(result, graph, tensors, 1e-5)
    _, main = hoisted(result)
    assert [node.title for node in main.nodes] == ["mkldnn._linear_pointwise.default"] * 2
    assert [node.args[3] for node in main.nodes] == ["relu"] * 2


def test_products_without_bias_and_of_plain_matrices_too():
    graph = traced(lambda x, w: x @ w, X, fixed=[W])
    result = with_linears(graph, onednn=True)
    assert_close(result, graph, [X, W], 1e-5)
    assert count(result, "mkldnn._linear_pointwise") == 1
    graph = traced(lambda x, w: torch.addmm(w[0], x, w), X, fixed=[W])
    result = with_linears(graph, onednn=True)
    assert_close(result, graph, [X, W], 1e-5)
    assert count(result, "mkldnn._linear_pointwise") == 1


def test_the_products_of_training_too():
    graph, tensors = training(network(), X)
    result = with_products(functional(graph), onednn=True)
    assert_close(result, graph, tensors, 1e-4)
    assert count(result, "mkldnn._linear_pointwise") == 5
    assert count(result, "mkldnn._reorder") == 0


def test_nothing_changes_where_onednn_is_not_faster():
    graph, _ = inference(network(), X)
    assert with_linears(graph, onednn=False) is graph


@pytest.mark.parametrize(
    ("function", "tensors"),
    [
        (lambda x, w: x @ w, [X.double(), W.double()]),
        (lambda x, w: x @ w, [X[:, :8], W[:8]]),
        (lambda x, w: x @ w, [X[:0], W]),
        (lambda x, w: torch.addmm(x[:, :1], x, w), [X, W]),
        (lambda x, w: torch.addmm(w[0], x, w, alpha=2), [X, W]),
        (lambda x, w: torch.addmm(w[0], x, w, beta=0), [X, W]),
        (lambda x, w: torch.addmm(x[:, :1].expand(16, 128), x, w), [X, W]),
    ],
)
def test_other_products_stay(function, tensors):
    graph = traced(function, tensors[0], fixed=tensors[1:])
    result = with_linears(graph, onednn=True)
    assert_same_bits(result, graph, tensors)
    assert count(result, "mkldnn") == 0


def test_relu_stays_where_the_product_is_read_again():
    graph = traced(lambda x, w: (lambda y: y.relu() + y)(x @ w), X, fixed=[W])
    result = with_linears(graph, onednn=True)
    assert_close(result, graph, [X, W], 1e-5)
    assert count(result, "aten.relu") == 1


def test_one_row_goes_to_the_operator_for_rows_once_that_is_built():
    graph, tensors = inference(network(), X[:1])
    result = with_linears(functional(graph), onednn=True)
    assert_close(result, graph, tensors, 1e-5)
    built = hasattr(torch.ops.regluon, "linear_row")
    assert count(result, "regluon.linear_row") == 2 * built
    assert count(result, "aten.addmm") == 2 * (not built)


def test_the_faster_library_is_found_once():
    assert prefers_onednn() is prefers_onednn()
