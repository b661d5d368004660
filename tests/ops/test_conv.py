"""Convolution beyond the samples: layouts, memory formats, target shapes, what errors say."""

import pytest
import torch

import regluon as mx
from regluon.base import MXNetError, ShapeError
from regluon.ops.conv import convolution, deconvolution


LAST = torch.channels_last


def random(*shape, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape)), dtype=dtype) - 0.5


@pytest.mark.parametrize(("layout", "rank"), [("NWC", 1), ("NHWC", 2), ("NDHWC", 3)])
def test_channels_can_stand_last_in_data_weight_and_result(layout, rank):
    space, kernel = (6, 5, 4)[:rank], (3, 2, 2)[:rank]
    data, weight = random(2, 3, *space), random(4, 3, *kernel)
    first = convolution(data, weight, pad=1)
    last = convolution(data.movedim(1, -1), weight.movedim(1, -1), pad=1, layout=layout)
    torch.testing.assert_close(last.movedim(-1, 1), first)
    turned = random(3, 4, *kernel)
    first = deconvolution(data, turned, stride=2)
    last = deconvolution(data.movedim(1, -1), turned.movedim(1, -1), stride=2, layout=layout)
    torch.testing.assert_close(last.movedim(-1, 1), first)


def test_one_number_stands_for_all_axes():
    data, weight = random(2, 3, 7, 7), random(4, 3, 3, 3)
    pairs = convolution(data, weight, stride=(2, 2), pad=(1, 1), dilate=(2, 2))
    assert torch.equal(convolution(data, weight, stride=2, pad=1, dilate=2), pairs)


def test_a_channels_last_weight_brings_data_result_and_gradients_into_its_format():
    data = random(2, 3, 8, 8, dtype=torch.float32)
    weight = random(4, 3, 3, 3, dtype=torch.float32).contiguous(memory_format=LAST)
    weight.requires_grad_()
    result = convolution(data, weight, pad=1)
    assert result.is_contiguous(memory_format=LAST)
    result.square().sum().backward()
    assert weight.grad.is_contiguous(memory_format=LAST)
    plain = convolution(data, weight.detach().contiguous(), pad=1)
    assert plain.is_contiguous()
    torch.testing.assert_close(result.detach(), plain)


@pytest.mark.parametrize("target", [(7, 7), (6, 7), (5, 6), (3, 4)])
def test_a_target_shape_is_reached(target):
    data, weight = random(2, 3, 3, 3), random(3, 4, 3, 3)
    result = deconvolution(data, weight, stride=(2, 2), target_shape=target)
    assert tuple(result.shape[2:]) == target
    whole = deconvolution(data, weight, stride=(2, 2))
    before = [(7 - size + 1) // 2 for size in target]
    part = whole[:, :, before[0] :, before[1] :][:, :, : target[0], : target[1]]
    torch.testing.assert_close(result, part)


MISTAKES = [
    ((16, 4, 224, 224), (64, 3, 7, 7), {}, "needs 3 input channels, data (16, 4, 224, 224) has 4"),
    ((1, 4, 8, 8), (6, 4, 3, 3), {"num_group": 2}, "needs 8 input channels"),
    ((1, 3, 8, 8), (6, 3, 3, 3), {"num_filter": 5}, "has 6 filters, num_filter is 5"),
    ((1, 3, 8, 8), (6, 3, 3, 3), {"kernel": (5, 5)}, "does not have kernel=(5, 5)"),
    ((1, 3, 8, 8), (6, 3, 3, 3), {"kernel": (3,)}, "has 1 sizes, the data 2"),
    ((3, 8, 8), (6, 3, 3, 3), {}, "not (3, 8, 8) and (6, 3, 3, 3)"),
    ((1, 3, 8, 8), (6, 3, 3, 3), {"layout": "NWC"}, "layout NWC is for 3 axes, the data has 4"),
]


@pytest.mark.parametrize(("data", "weight", "attrs", "message"), MISTAKES)
def test_wrong_shapes_are_named(data, weight, attrs, message):
    with pytest.raises(ShapeError) as caught:
        mx.nd.Convolution(mx.nd.ones(data), mx.nd.ones(weight), no_bias=True, **attrs)
    assert message in str(caught.value)


def test_an_unknown_layout_is_an_error_with_the_nearest_one():
    with pytest.raises(MXNetError, match="unknown layout 'NHCW'; did you mean"):
        convolution(random(1, 3, 8, 8), random(6, 3, 3, 3), layout="NHCW")
