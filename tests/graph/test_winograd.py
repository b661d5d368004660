import pytest
import torch
from torch import nn

from regluon.graph import passes
from regluon.graph.passes.folding import hoisted
from regluon.graph.passes.shapes import inferred
from regluon.graph.passes.winograd import with_tiles, with_tiles_trained
from tests.graph.programs import assert_close, count, inference, run, training


pytestmark = pytest.mark.usefixtures("library")


class Residual(nn.Module):
    def __init__(self, channels, activation=torch.relu):
        super().__init__()
        torch.manual_seed(4)
        self.activation = activation
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.activation(self.second(self.activation(self.first(x))) + x)


def fused(graph):
    return passes.inference(graph, without=("winograd", "memory"))


@pytest.mark.parametrize("size", [(1, 64, 14, 14), (2, 64, 13, 9), (3, 64, 7, 16), (1, 64, 2, 65)])
@pytest.mark.parametrize("threads", [1, 2])
def test_convolutions_of_three_by_three_by_tiles_with_their_sums_and_relu(size, threads):
    x = torch.randn(size, generator=torch.Generator().manual_seed(1))
    graph, tensors = inference(Residual(64), x)
    result = with_tiles(fused(graph), able=True)
    _, main = hoisted(result)
    assert count(main, "regluon.winograd") == 2
    assert not count(main, "mkldnn._convolution_pointwise")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_close(result, graph, tensors, 1e-5)
    finally:
        torch.set_num_threads(before)
    inferred(result)


def test_the_error_is_not_larger_than_that_of_onednn():
    x = torch.randn(1, 128, 28, 28, generator=torch.Generator().manual_seed(1)).relu()
    module = nn.Conv2d(128, 64, 3, padding=1)
    graph, tensors = inference(module, x)
    expected = module.double()(x.double())
    direct, tiles = (
        (run(which, *tensors)[0].double() - expected).abs().max()
        for which in (fused(graph), with_tiles(fused(graph), able=True))
    )
    assert tiles <= direct


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(64, 64, 3, padding=1, stride=2),
        nn.Conv2d(64, 64, 3),
        nn.Conv2d(64, 64, 3, padding=2, dilation=2),
        nn.Conv2d(64, 64, 3, padding=1, groups=2),
        nn.Conv2d(64, 64, 5, padding=1),
        nn.Conv2d(64, 48, 3, padding=1),
    ],
)
def test_other_convolutions_stay(convolution):
    graph, _ = inference(convolution, torch.ones(1, 64, 28, 28))
    graph = fused(graph)
    assert count(with_tiles(graph, able=True), "regluon.winograd") == 0


def test_few_pixels_other_activations_and_other_processors_stay():
    for module, size, able in (
        (Residual(64), 7, True),
        (Residual(64), 14, False),
    ):
        graph, _ = inference(module, torch.ones(1, 64, size, size))
        assert count(with_tiles(fused(graph), able=able), "regluon.winograd") == 0
    graph, tensors = inference(Residual(64, torch.sigmoid), torch.ones(1, 64, 14, 14))
    result = with_tiles(fused(graph), able=True)
    assert_close(result, graph, tensors, 1e-5)


def test_nan_stays():
    x = torch.ones(1, 64, 16, 16)
    x[0, 0, 5, 5] = torch.nan
    graph, tensors = inference(nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()), x)
    found = run(with_tiles(fused(graph), able=True), *tensors)[0]
    assert found[0, :, 4:7, 4:7].isnan().all()
    assert found[0, :, 8:, 8:].isfinite().all()


@pytest.mark.parametrize("channels", [64, 128])
def test_the_convolutions_of_training_and_the_gradients_of_their_images(channels):
    x = torch.randn(2, channels, 33, 34, generator=torch.Generator().manual_seed(1))
    module = Residual(channels, torch.sigmoid).to(memory_format=torch.channels_last)
    graph, tensors = training(module, x.to(memory_format=torch.channels_last))
    result = with_tiles_trained(graph, able=True)
    assert count(result, "regluon.winograd_convolution") == 3  # no gradient is asked for of x
    assert count(result, "aten.convolution_backward") == 2
    assert_close(result, graph, tensors, 1e-4)
    assert_close(passes.training(graph), graph, tensors, 1e-4)
    inferred(result)


def test_training_with_few_pixels_or_another_layout_stays():
    for size, form in ((7, torch.channels_last), (40, torch.contiguous_format)):
        module = Residual(64).to(memory_format=form)
        x = torch.ones(1, 64, size, size).contiguous(memory_format=form)
        graph, _ = training(module, x)
        assert count(with_tiles_trained(graph, able=True), "regluon.winograd_convolution") == 0
