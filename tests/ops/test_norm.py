"""Batch normalization beyond the samples: moving statistics, formats, dtypes, what errors say."""

import pytest
import torch

import regluon as mx
from regluon.base import ShapeError
from regluon.ops.norm import batch_norm, group_norm


def random(*shape, dtype=torch.float32):
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))
    return drawn.to(dtype)


def vectors(size):
    return torch.ones(size), torch.zeros(size), torch.zeros(size), torch.ones(size)


def test_moving_statistics_take_their_share_of_mean_and_biased_variance():
    data = random(4, 3, 5, 5) * 3 + 1
    gamma, beta, mean, var = vectors(3)
    batch_norm(data, gamma, beta, mean, var, momentum=0.75, training=True)
    torch.testing.assert_close(mean, 0.25 * data.mean((0, 2, 3)))
    torch.testing.assert_close(var, 0.75 + 0.25 * data.var((0, 2, 3), correction=0))


def test_a_single_value_per_channel_has_variance_zero():
    gamma, beta, mean, var = vectors(3)
    result = batch_norm(random(1, 3), gamma, beta, mean, var, momentum=0.5, training=True)
    assert result.abs().max() < 1e-6
    assert var.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("attrs", [{}, {"training": True, "use_global_stats": True}])
def test_predict_mode_and_global_statistics_change_no_bit_of_the_moving_ones(attrs):
    gamma, beta, mean, var = vectors(3)
    batch_norm(random(4, 3, 5, 5), gamma, beta, mean, var, **attrs)
    assert mean.tolist() == [0, 0, 0]
    assert var.tolist() == [1, 1, 1]


def test_gradients_survive_later_batches():
    data, (gamma, beta, mean, var) = random(4, 3, 5, 5).requires_grad_(), vectors(3)
    gamma.requires_grad_()
    results = [
        batch_norm(data, gamma, beta, mean, var, fix_gamma=False, training=True) for _ in range(2)
    ]
    results[0].sum().backward()
    results[1].sum().backward()
    assert data.grad is not None


def test_a_fixed_gamma_counts_as_one_and_gets_a_gradient_of_zero():
    data, gamma, beta = mx.nd.random.normal(shape=(4, 3)), mx.nd.ones(3) * 5, mx.nd.zeros(3)
    mean, var = mx.nd.zeros(3), mx.nd.ones(3)
    gamma.attach_grad()
    beta.attach_grad()
    gamma.grad[:] = 7
    with mx.autograd.record():
        result = mx.nd.BatchNorm(data, gamma, beta, mean, var)
    result.backward()
    assert abs(result.asnumpy().std(0) - 1).max() < 0.01
    assert gamma.grad.asnumpy().tolist() == [0, 0, 0]
    assert beta.grad.asnumpy().tolist() == [4, 4, 4]


def test_the_memory_format_is_kept_forwards_and_backwards():
    data = random(4, 3, 5, 5).contiguous(memory_format=torch.channels_last).requires_grad_()
    result = batch_norm(data, *vectors(3), training=True)
    assert result.is_contiguous(memory_format=torch.channels_last)
    result.square().sum().backward()
    assert data.grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_data_with_float32_statistics(dtype):
    data = random(4, 3, 5, 5, dtype=dtype)
    gamma, beta, mean, var = vectors(3)
    result = batch_norm(data, gamma, beta, mean, var, training=True)
    assert result.dtype == dtype
    torch.testing.assert_close(mean, 0.1 * data.float().mean((0, 2, 3)), rtol=1e-2, atol=1e-3)


def test_vectors_of_a_wrong_length_are_named():
    three = mx.nd.ones(3)
    with pytest.raises(ShapeError) as caught:
        mx.nd.BatchNorm(mx.nd.ones((2, 4, 5)), mx.nd.ones(4), three, three, three)
    assert "beta (3,) needs the shape (4,) for data (2, 4, 5)" in str(caught.value)
    with pytest.raises(ShapeError, match=r"axis 3 is out of range for shape \(2, 4, 5\)"):
        mx.nd.BatchNorm(mx.nd.ones((2, 4, 5)), three, three, three, three, axis=3)


def test_group_norm_with_a_value_per_group_is_that_with_equal_values_per_channel():
    data, gamma, beta = random(2, 4, 3), torch.tensor([1.0, 2.0]), torch.tensor([0.5, -0.5])
    by_group = group_norm(data, gamma, beta, 2)
    spread = [v.repeat_interleave(2) for v in (gamma, beta)]
    torch.testing.assert_close(by_group, group_norm(data, *spread, 2))
