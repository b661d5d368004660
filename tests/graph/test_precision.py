import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regluon.graph import passes
from regluon.graph.passes.functional import functional
from regluon.graph.passes.precision import _RULES, in_mixed_precision
from regluon.graph.passes.shapes import inferred
from regluon.graph.trace import Trace
from tests.graph.programs import (
    assert_close,
    assert_no_new_sharing,
    assert_same_bits,
    count,
    inference,
    results,
    traced,
    training,
)
from tests.graph.test_passes import Network, X as PICTURES


LOW = torch.bfloat16
X = torch.linspace(-1, 1, 12).reshape(3, 4)
W = torch.linspace(-2, 1, 16).reshape(4, 4)


def changed(graph, dtype=LOW):
    """The graph in mixed precision; its descriptions are true, and so is the way of its values."""
    result = in_mixed_precision(graph, dtype)
    result.check()
    assert_no_new_sharing(result, graph)
    found = inferred(result)
    for node in result.nodes:
        for value in node.outputs:
            assert value is None or value.meta.dtype is found[value].dtype, node.title
    for old, new in zip(graph.outputs, result.outputs, strict=True):
        assert old.meta.dtype is new.meta.dtype
    return result


def narrow(graph):
    """The operators with a result in 16 bits, casts left out, in order."""
    return [
        node.title.split(".")[1]
        for node in graph.nodes
        if "_to_copy" not in node.title
        and any(value and value.meta.dtype is LOW for value in node.outputs)
    ]


def test_products_and_what_follows_are_in_16_bits_and_everything_else_is_not():
    graph = traced(lambda x, w: ((x @ w).relu() @ w + 1).exp().sum(), X, W)
    assert narrow(changed(graph)) == ["mm", "relu", "mm", "add"]
    assert count(changed(graph), "aten._to_copy") == 3  # of x, of w once, and of the sum's argument


def test_a_product_of_many_axes_stays_in_16_bits():
    graph = traced(lambda x, w: F.linear(F.linear(x[None], w).relu(), w).exp(), X, W)
    assert narrow(changed(graph)) == ["mm", "_unsafe_view", "relu", "view", "mm", "_unsafe_view"]


def test_inputs_and_results_keep_their_dtypes():
    result = changed(traced(lambda x, w: (x @ w, (x @ w).relu(), x), X, W))
    assert narrow(result) == ["mm", "mm"]  # what is only returned is computed in float32


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_are_left_alone(dtype):
    graph = traced(lambda x, w: (x @ w).relu() @ w, X.to(dtype), W.to(dtype))
    assert [*map(str, changed(graph, torch.float16).nodes)] == [*map(str, graph.nodes)]


def test_the_wider_dtype_wins():
    graph = traced(lambda x, w, b: ((x @ w) + b).relu() @ w, X, W, torch.ones(4))
    assert narrow(changed(graph)) == ["mm", "mm"]


def test_reading_the_bits_of_a_number_needs_all_of_them():
    graph = traced(lambda x, w: (x @ w).view(torch.int32) + 1, X, W)
    assert_close(changed(graph), graph, [X.round(), W.round()])


def test_numbers_that_16_bits_do_not_hold_stay_in_float32():
    graph = traced(lambda x, w: F.hardtanh(x @ w, -1e6, 1e6) @ w, X, W)
    assert narrow(changed(graph)) == ["mm", "hardtanh", "mm"]
    result = changed(graph, torch.float16)
    assert count(result, "aten._to_copy") == 5
    assert_close(result, graph, [X, W], 1e-2)


def test_sums_with_large_or_whole_numbers_stay_in_float32():
    graph = traced(lambda x, w: ((x @ w + 300) @ w + torch.arange(4) * 99) @ w, X, W)
    assert narrow(changed(graph)) == ["mm", "mm", "mm"]


def test_memory_whose_layout_is_known_stays():
    def function(x, w):
        part = (x @ w)[:, 1:3]
        return part.sin(), part.as_strided((3, 2), (4, 1)) @ w[:2]

    graph = traced(function, X, W)
    assert_close(changed(graph), graph, [X, W], 2e-2)


def test_results_go_where_they_are_asked_to():
    out = torch.zeros(3, 4)
    graph = traced(lambda x, w, out: torch.mm(x, w, out=out) + 1, X, W, out)
    assert narrow(changed(graph)) == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_row_that_is_masked_whole_by_the_least_float32_is_the_mean(dtype):
    mask = torch.zeros(1, 1, 3, 3)
    mask[..., 0, :] = mask[..., 1:] = torch.finfo(torch.float32).min

    def function(x, w, mask):
        q = (x @ w)[None, None]
        return F.scaled_dot_product_attention(q, q, q, attn_mask=mask)

    graph = traced(function, X, W, mask)
    assert_close(changed(graph, dtype), graph, [X, W, mask], 2e-2)


def test_memory_that_is_written_stays_in_float32():
    def function(x, w):
        y = x @ w
        first = y @ w
        y.t()[1:].add_(1)
        return first, y @ w, y.relu()

    graph = traced(function, X, W)
    assert narrow(changed(graph)) == ["mm"] * 3
    assert_close(changed(graph), graph, [X, W], 5e-2)
    assert_same_bits(changed(graph, torch.float32), graph, [X, W])


def test_an_input_that_is_written_is_cast_again():
    graph = traced(lambda x, w: (x @ w, w.mul_(2), x @ w)[::2], X, W)
    assert count(changed(graph), "aten._to_copy") == 5
    assert_close(changed(graph), graph, [X, W], 5e-2)


def test_gradients_that_are_sums_are_added_up_in_float32():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(W.clone())

        def forward(self, x):
            return (x @ self.w).tanh() @ self.w

    graph, _ = training(Twice(), X)
    result = changed(functional(graph))
    assert narrow(result).count("mm") == 5
    sums = [node for node in result.nodes if node.title.startswith("aten.add.")]
    assert {value.meta.dtype for node in sums for value in node.inputs} == {torch.float32}


def test_statistics_stay_in_float32():
    graph, tensors = training(Network(), PICTURES)
    result = changed(functional(graph))
    norms = [node for node in result.nodes if "batch_norm" in node.title]
    assert [node.outputs[0].meta.dtype for node in norms] == [LOW] * 4
    assert {v.meta.dtype for node in norms for v in node.outputs[1:]} == {torch.float32}
    ours, exact = results(result, tensors), results(graph, tensors)
    for one, other in zip(ours[-6:], exact[-6:], strict=True):  # what is written to the buffers
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)


def test_a_norm_without_parameters_has_statistics_in_float32():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))
    result = changed(functional(training(net, PICTURES)[0]))
    assert not [name for name in narrow(result) if "batch_norm" in name]


@pytest.mark.parametrize("kind", ["network", "mlp"])
def test_it_is_as_near_to_the_exact_gradients_as_autocast(kind):
    torch.manual_seed(3)
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(300, 64), nn.GELU(), nn.Linear(64, 5))
    net = Network() if kind == "network" else mlp
    graph, tensors = training(net, PICTURES)
    result = passes.training(graph, precision=LOW)
    names = [*dict(net.named_parameters())]
    ours = results(result, tensors)[: len(names) + 1]
    with torch.autocast("cpu", LOW):
        y = net(PICTURES)
    y.float().square().sum().backward()
    autocast = [y, *(parameter.grad for parameter in net.parameters())]
    graph, tensors = training(net.double(), PICTURES.double())
    for one, other, exact in zip(ours, autocast, results(graph, tensors), strict=False):
        assert one.dtype is torch.float32
        limit = 1.2 * (other - exact).norm() + 1e-4 * exact.norm() + 1e-3
        assert (one - exact).norm() <= limit


def test_a_network_for_prediction_is_fused_in_16_bits():
    graph, tensors = inference(Network().eval(), PICTURES)
    result = passes.inference(graph, precision=LOW)
    assert count(result, "aten.native_batch_norm") == 0
    assert narrow(result).count("_convolution_pointwise") + narrow(result).count("convolution") == 2
    assert_close(result, graph, tensors, 3e-2)


def test_opaque_code_gets_what_it_was_written_for():
    seen = []

    def look(tensor):
        seen.append(tensor.dtype)

    x, w = X.clone(), W.clone()
    trace = Trace()
    inputs = trace.inputs([x, w], ["x", "w"])
    with torch.no_grad(), trace:
        y = x @ w
        trace.opaque(look, y)
        z = y @ w
    result = in_mixed_precision(trace.graph(inputs, [z]), LOW)
    results(result, [X, W])
    assert seen == [torch.float32, torch.float32]
    assert narrow(result) == ["mm", "mm"]


def attention(x, w):
    q, k, v = ((x @ w).expand(1, 1, 3, 4) for _ in range(3))
    return F.scaled_dot_product_attention(q, k, v)


def pictures(x, w):
    return (x @ w).view(1, 1, 3, 4)


ACTIVATIONS = (
    F.relu, F.leaky_relu, F.hardtanh, F.hardsigmoid, F.hardswish, torch.sigmoid, torch.tanh, F.gelu,
    F.silu,
)  # fmt: skip
SAMPLES = [
    lambda x, w: (x[0] @ w).sum(),
    lambda x, w: torch.addmv(w[0], w, x[0]),
    lambda x, w: torch.addmm(x, x, w),
    lambda x, w: x[None] @ w[None].clone(),
    lambda x, w: torch.baddbmm(x[None], x[None], w[None]),
    lambda x, w: attention(x, w).sin(),
    lambda x, w: (x @ w).sub(x @ w.t()).neg().sin(),
    lambda x, w: torch.rsub(x @ w, 1).mul(x @ w).sin(),
    lambda x, w: torch.cat([x @ w, x @ w.t()]).clone().sin(),
    lambda x, w: F.avg_pool2d(F.pad(pictures(x, w), (1, 1)), 2).sin(),
    lambda x, w: F.max_pool2d(pictures(x, w), 2).sin(),
    lambda x, w: F.conv2d(x[None, None], w[None, None, :2]).sin(),
    lambda x, w: F.batch_norm(pictures(x, w), torch.zeros(1), torch.ones(1), training=True).sin(),
    lambda x, w: torch.add(x @ w, x @ w.t()).sin(),
    *(lambda x, w, f=f: f(x @ w).sin() for f in ACTIVATIONS),
]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_operator_of_the_table_runs_in_16_bits(dtype):
    """With its gradient, near to float32."""
    met = set()
    for function in SAMPLES:

        class Module(nn.Module):
            def __init__(self):
                super().__init__()
                self.x, self.w = nn.Parameter(X.clone()), nn.Parameter(W.clone())

            def forward(self, function=function):
                return function(self.x, self.w)

        graph, tensors = training(Module())
        result = changed(graph, dtype)
        met |= {
            node.title.split(".")[1]
            for node in result.nodes
            if any(value and value.meta.dtype is dtype for value in node.outputs)
        }
        for one, other in zip(results(result, tensors), results(graph, tensors), strict=True):
            assert (one - other).norm() <= 0.1 * other.norm()
    elsewhere = {name for name in _RULES if "cudnn" in name or "efficient" in name}
    assert set(_RULES) - elsewhere <= met
