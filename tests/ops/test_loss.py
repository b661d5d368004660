"""The softmax output layer beyond the samples: smoothing, the gradient that flows in, errors."""

import numpy as onp
import pytest

import regluon as mx
from regluon.base import MXNetError


def gradient(data, label, head, **attrs):
    x = mx.nd.array(data)
    x.attach_grad()
    with mx.autograd.record():
        result = mx.nd.SoftmaxOutput(x, mx.nd.array(label), **attrs)
    result.backward(mx.nd.array(head))
    return result.asnumpy(), x.grad.asnumpy()


def test_the_gradient_that_flows_in_counts_only_with_out_grad():
    data, head = onp.array([[0.0, 1.0, 2.0]]), onp.array([[1.0, 5.0, -3.0]])
    result, ignoring = gradient(data, [2], head)
    onp.testing.assert_allclose(ignoring, result - [[0, 0, 1]], rtol=1e-6)
    _, times = gradient(data, [2], head, out_grad=True)
    onp.testing.assert_allclose(times, ignoring * head, rtol=1e-6)


def test_smoothing_reaches_every_place_of_an_image():
    data, label = onp.zeros((1, 3, 2)), [[0, 2]]
    result, slope = gradient(data, label, onp.ones((1, 3, 2)), multi_output=True, smooth_alpha=0.5)
    target = onp.array([[[0.5, 0.25], [0.25, 0.25], [0.25, 0.5]]])
    onp.testing.assert_allclose(slope, (result - target) / 2, rtol=1e-6)


def test_an_ignored_label_may_lie_outside_the_classes_and_others_may_not():
    data, head = onp.zeros((2, 3)), onp.ones((2, 3))
    _, slope = gradient(data, [-1, 1], head, use_ignore=True)
    assert slope[0].tolist() == [0, 0, 0]
    with pytest.raises(IndexError, match="label -1 is out of range: there are 3, from 0"):
        gradient(data, [-1, 1], head)


def test_an_unknown_normalization_is_named():
    with pytest.raises(MXNetError, match="null, batch or valid, not 'mean'"):
        gradient(onp.zeros((2, 3)), [0, 1], onp.ones((2, 3)), normalization="mean")
