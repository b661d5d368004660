import copy

import pytest
import torch
from torch import nn

from regluon.graph.passes.effects import numbered
from regluon.graph.passes.folding import hoisted
from regluon.graph.passes.functional import functional
from regluon.graph.passes.fusion import with_convolutions_fused, with_norms_folded
from regluon.graph.passes.memory import in_place
from tests.graph.programs import (
    assert_close,
    assert_no_new_sharing,
    assert_same_bits,
    count,
    inference,
    results,
    run,
    traced,
)


X = torch.linspace(-1, 1, 2 * 4 * 9 * 8).reshape(2, 4, 9, 8)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(3)


def settle(norm):
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    if norm.affine:
        nn.init.uniform_(norm.weight)
        nn.init.uniform_(norm.bias)
    return norm


class Block(nn.Module):
    """A residual block in one of the ways in which they are written."""

    def __init__(self, inplace=True, shortcut=True, swapped=False):
        super().__init__()
        self.first, self.norm = nn.Conv2d(4, 8, 3, 2, 1, bias=False), settle(nn.BatchNorm2d(8))
        self.second = nn.Conv2d(8, 8, 3, 1, 1)
        self.beside = nn.Conv2d(4, 8, 1, 2)
        self.relu = nn.ReLU(inplace)
        self.inplace, self.shortcut, self.swapped = inplace, shortcut, swapped

    def forward(self, x):
        y = self.relu(self.norm(self.first(x)))
        other = self.beside(x) if self.shortcut else y
        z = self.second(y)
        if self.inplace:
            z += other
        else:
            z = other + z if self.swapped else z + other
        return self.relu(z)


def fused(module, *tensors, tolerance=1e-5):
    """Fuse in float32 and compare with the module in float64."""
    graph, given = inference(module.eval(), *tensors)
    result = with_convolutions_fused(with_norms_folded(functional(graph)))
    double, wide = inference(copy.deepcopy(module).double(), *(t.double() for t in tensors))
    expected = [t.to(tensors[0].dtype) for t in results(double, wide)[:1]]
    ours = results(result, given)[:1]
    torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance)
    for old, new in zip(results(graph, given), results(result, given), strict=True):
        assert old.stride() == new.stride()
    assert_no_new_sharing(result, graph)
    return result


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(4, 6, 3),
        nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2, bias=False),
        nn.ConvTranspose2d(4, 6, 3, 2),
    ],
)
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_goes_into_the_weights(convolution, affine):
    net = nn.Sequential(convolution, settle(nn.BatchNorm2d(6, affine=affine))).double().eval()
    graph, tensors = inference(net, X.double())
    result = with_norms_folded(graph)
    assert_close(result, graph, tensors)
    assert count(result, "aten.native_batch_norm") == 0
    _, main = hoisted(result)
    assert [node.title for node in main.nodes if "empty" not in node.title] == [
        "aten.convolution.default"
    ]


def test_one_and_three_dimensional_batch_norm_too():
    for net, x in (
        (nn.Sequential(nn.Conv1d(4, 6, 3), settle(nn.BatchNorm1d(6))), X[:, :, 0]),
        (nn.Sequential(nn.Conv3d(4, 6, 3), settle(nn.BatchNorm3d(6))), torch.rand(2, 4, 5, 6, 7)),
    ):
        graph, tensors = inference(net.double().eval(), x.double())
        result = with_norms_folded(graph)
        assert_close(result, graph, tensors)
        assert count(result, "aten.native_batch_norm") == 0


@pytest.mark.parametrize(
    "name", ["_native_batch_norm_legit_no_training", "_native_batch_norm_legit"]
)
def test_other_operators_of_batch_norm_too(name):
    target = getattr(torch.ops.aten, name)
    training = [False] if name.endswith("legit") else []

    def function(x, w, g, b, m, v):
        return target(torch.conv2d(x, w), g, b, m, v, *training, 0.1, 1e-3)[0]

    vectors = [torch.rand(6).double() + 1 for _ in range(4)]
    tensors = [X.double(), torch.rand(6, 4, 3, 3).double(), *vectors]
    graph = traced(function, tensors[0], fixed=tensors[1:])
    result = with_norms_folded(graph)
    assert_close(result, graph, tensors)
    assert count(result, "aten._native") == 0


def conv_norm(change=lambda y: y, training=False):
    def function(x, w, m, v):
        y = torch.conv2d(x, w)
        z = nn.functional.batch_norm(y, m, v, training=training)
        return z + change(y)

    return function


def test_batch_norm_stays_in_training_and_where_the_convolution_is_read_again():
    tensors = [X, torch.rand(6, 4, 3, 3), torch.rand(6), torch.rand(6)]
    for function in (
        conv_norm(lambda y: 0, training=True),
        conv_norm(lambda y: y),
        conv_norm(lambda y: y.add_(1)),
    ):
        graph = traced(function, tensors[0], fixed=tensors[1:])
        result = with_norms_folded(graph)
        assert_same_bits(result, graph, tensors)
        assert count(result, "aten.native_batch_norm") == 1


def test_batch_norm_stays_where_its_statistics_are_inputs_or_written():
    tensors = [X, torch.rand(6, 4, 3, 3), torch.rand(6), torch.rand(6)]
    graph = traced(conv_norm(lambda y: 0), *tensors)
    assert count(with_norms_folded(graph), "aten.native_batch_norm") == 1

    def function(x, w, m, v):
        return conv_norm(lambda y: m.add_(1)[0])(x, w, m, v)

    graph = traced(function, tensors[0], fixed=tensors[1:])
    assert count(with_norms_folded(graph), "aten.native_batch_norm") == 1


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("shortcut", [True, False])
@pytest.mark.parametrize("swapped", [True, False])
def test_a_residual_block_is_as_many_calls_as_convolutions(inplace, shortcut, swapped):
    result = fused(Block(inplace, shortcut, swapped), X)
    _, main = hoisted(result)
    calls = [node.title for node in main.nodes if "empty" not in node.title]
    assert calls == ["mkldnn._convolution_pointwise.default"] * (1 + shortcut) + [
        "mkldnn._convolution_pointwise.binary",
        "aten.contiguous.default",
    ]
    packed = [node for node in result.nodes if "reorder" in node.title]
    assert len(packed) == 2 + shortcut


def test_the_sum_is_written_where_the_other_term_dies():
    graph, tensors = inference(Block().eval(), X)
    changed = with_norms_folded(functional(numbered(graph)))
    result = in_place(with_convolutions_fused(changed))
    assert count(result, "mkldnn._convolution_pointwise_.binary") == 1
    assert_close(result, graph, tensors, 1e-5)


def test_the_sum_is_not_written_into_an_input_or_what_is_read_again():
    for function in (
        lambda x, w: torch.conv2d(x, w, padding=1) + x,
        lambda x, w: (lambda y: torch.conv2d(y, w, padding=1) + y)(x.exp()),
        lambda x, w: (lambda y: (torch.conv2d(x, w, padding=1) + y) * y)(x.exp()),
    ):
        graph = numbered(traced(function, X, fixed=[W]))
        result = in_place(with_convolutions_fused(functional(graph)))
        assert count(result, "mkldnn._convolution_pointwise.binary") == 1
        assert_close(result, graph, [X, W], 1e-5)


@pytest.mark.parametrize(
    "activation",
    [nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.SiLU(), nn.Hardswish(), nn.LeakyReLU(0.2), nn.ReLU6()],
    ids=str,
)
def test_activations_are_applied_by_the_convolution(activation):
    result = fused(nn.Sequential(nn.Conv2d(4, 6, 3), activation), X)
    assert count(result, "mkldnn._convolution_pointwise") == 1
    assert len(result.nodes) == 3  # the packing, the call, and the order of the output


def test_groups_depthwise_dilated_and_three_dimensional_convolutions_are_taken():
    for net in (
        nn.Conv2d(4, 6, 3, groups=2),
        nn.Conv2d(4, 8, 3, 1, 1, groups=4, bias=False),
        nn.Conv2d(4, 6, (2, 3), (1, 2), (0, 1), (2, 1)),
    ):
        assert count(fused(nn.Sequential(net, nn.ReLU()), X), "mkldnn._convolution") == 1
    net = nn.Sequential(nn.Conv3d(4, 6, 3), nn.ReLU())
    assert count(fused(net, torch.rand(2, 4, 5, 6, 7)), "mkldnn._convolution") == 1


def test_weights_in_mixed_precision_are_rounded_once():
    net = nn.Sequential(nn.Conv2d(4, 32, 3, bias=False), settle(nn.BatchNorm2d(32)))

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = net

        def forward(self, x):
            weight = self.conv.weight.to(torch.bfloat16)
            return self.norm(torch.conv2d(x.to(torch.bfloat16), weight))

    graph, tensors = inference(Mixed().eval(), X)
    result = with_norms_folded(graph)
    assert count(result, "aten.native_batch_norm") == 0
    (weight,) = (node.args[1] for node in result.nodes if "convolution" in node.title)
    (found,) = run(result.with_nodes(result.nodes, [weight]), *tensors)
    conv, norm = net
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    exact = conv.weight.double() * scale[:, None, None, None]
    assert torch.equal(found, exact.to(torch.bfloat16))


def test_bfloat16_is_taken_where_the_processor_has_it():
    net = nn.Sequential(nn.Conv2d(4, 6, 3), settle(nn.BatchNorm2d(6)), nn.ReLU()).bfloat16()
    result = fused(net, X.bfloat16(), tolerance=0.05)
    supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert count(result, "mkldnn._convolution") == supported


@pytest.mark.parametrize(
    ("net", "x"),
    [
        (nn.Conv2d(4, 6, 3).double(), X.double()),
        (nn.Conv1d(4, 6, 3), X[:, :, 0]),
        (nn.ConvTranspose2d(4, 6, 3), X),
        (nn.Conv2d(4, 6, 3), X[:0]),
    ],
)
def test_other_convolutions_are_left_alone(net, x):
    graph, tensors = inference(net, x)
    result = with_convolutions_fused(graph)
    assert_same_bits(result, graph, tensors)
    assert count(result, "aten.convolution") == 1


def test_weights_that_change_with_every_call_are_not_packed():
    graph = traced(lambda x, w: torch.conv2d(x, w), X, torch.rand(6, 4, 3, 3))
    assert count(with_convolutions_fused(graph), "aten.convolution") == 1


W = torch.rand(4, 4, 3, 3) - 0.5


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: (lambda y: y.relu() + y)(torch.conv2d(x, w)),
        lambda x, w: (lambda y: (y, y.relu()))(torch.conv2d(x, w)),
        lambda x, w: (lambda y: (y.add_(1), y.relu())[1] + y)(torch.conv2d(x, w)),
        lambda x, w: torch.conv2d(x, w).add(torch.ones(1)).mul(2),
        lambda x, w: torch.add(torch.conv2d(x, w), torch.conv2d(x, w), alpha=2),
        lambda x, w: (lambda y: y + y)(torch.conv2d(x, w)),
        lambda x, w: (lambda y: (y.view(-1)[3:9].zero_(), y.relu())[1])(torch.conv2d(x, w)),
        lambda x, w: (lambda y, z: (x.zero_(), y.relu())[1])(torch.conv2d(x, w), 0),
        lambda x, w: torch.conv2d(x, w).flatten(1) + 1,
        lambda x, w: torch.conv2d(x, w).transpose(1, 2).contiguous().view(-1),
        lambda x, w: (lambda y: y.as_strided((3, 2), (2, 1)) + y.sum())(torch.conv2d(x, w)),
    ],
)
def test_wrong_cases_that_look_alike_give_what_they_gave(function):
    graph = traced(function, X, fixed=[W])
    result = in_place(with_convolutions_fused(functional(graph)))
    assert_close(result, graph, [X, W], 1e-4)
    assert_no_new_sharing(result, graph)
    assert (
        count(result, "mkldnn._convolution_pointwise.default")
        + count(result, "aten.convolution")
        + count(result, "mkldnn._convolution_pointwise.binary")
        >= 1
    )
    assert not any("relu" in node.args for node in result.nodes)


def test_an_image_that_is_written_between_keeps_the_calls_apart():
    def function(x, w):
        y = torch.conv2d(x, w)
        x.zero_()
        return y.relu()

    graph = traced(function, X, fixed=[W])
    result = with_convolutions_fused(graph)
    assert_close(result, graph, [X, W], 1e-5)
    assert count(result, "aten.relu") == 1
