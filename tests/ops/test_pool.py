"""Pooling beyond the samples: layouts, memory formats, the "same" convention, what errors say."""

import pytest
import torch

import regluon as mx
from regluon.base import MXNetError, ShapeError
from regluon.ops.pool import pooling


def random(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) - 0.5


@pytest.mark.parametrize("kind", ["max", "avg", "sum"])
@pytest.mark.parametrize("convention", ["valid", "full"])
def test_channels_last_memory_and_layout_change_no_value(kind, convention):
    data = random(2, 3, 7, 6)
    attrs = {"kernel": 3, "stride": 2, "pad": 1, "pool_type": kind}
    plain = pooling(data, **attrs, pooling_convention=convention)
    memory = pooling(
        data.contiguous(memory_format=torch.channels_last), **attrs, pooling_convention=convention
    )
    assert memory.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(memory, plain)
    layout = pooling(data.movedim(1, -1), **attrs, pooling_convention=convention, layout="NHWC")
    torch.testing.assert_close(layout.movedim(-1, 1), plain)


@pytest.mark.parametrize("size", [5, 6, 7])
@pytest.mark.parametrize("kind", ["max", "avg", "sum"])
def test_same_has_a_window_for_every_step_and_cuts_it_at_the_end(size, kind):
    data = random(1, 1, size)
    result = pooling(data, 3, kind, stride=2, pooling_convention="same")
    reduce = {"max": torch.amax, "avg": torch.mean, "sum": torch.sum}[kind]
    wanted = [float(reduce(data[0, 0, at : at + 3])) for at in range(0, size, 2)]
    assert result[0, 0].tolist() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_pooling_takes_the_whole_image_whatever_kernel_and_pad_say(rank):
    data = random(2, 3, *(4, 5, 6)[:rank])
    attrs = {"global_pool": True, "kernel": (2,) * rank, "pad": (1,) * rank}
    axes = tuple(range(2, 2 + rank))
    torch.testing.assert_close(pooling(data, pool_type="max", **attrs), data.amax(axes, True))
    torch.testing.assert_close(pooling(data, pool_type="avg", **attrs), data.mean(axes, True))
    torch.testing.assert_close(pooling(data, pool_type="sum", **attrs), data.sum(axes, True))


MISTAKES = [
    ({"kernel": (5, 5)}, ShapeError, "kernel (5, 5) exceeds the image (4, 4), pad (0, 0)"),
    ({"kernel": (2, 2), "pad": (2, 0)}, ShapeError, "pad (2, 0) must be smaller than kernel"),
    ({"kernel": (2,)}, ShapeError, "kernel=(2,) has 1 sizes, the data 2"),
    ({}, MXNetError, "pooling needs kernel=, or global_pool=True"),
    ({"kernel": 2, "pool_type": "mean"}, MXNetError, "pool_type is max, avg, sum or lp"),
    ({"kernel": 2, "pooling_convention": "ceil"}, MXNetError, "valid, full or same, not 'ceil'"),
    ({"kernel": 2, "pool_type": "lp"}, MXNetError, "needs p_value"),
]


@pytest.mark.parametrize(("attrs", "kind", "message"), MISTAKES)
def test_what_cannot_be_pooled_is_named(attrs, kind, message):
    with pytest.raises(kind) as caught:
        mx.nd.Pooling(mx.nd.ones((1, 2, 4, 4)), **attrs)
    assert message in str(caught.value)
