"""Calls that crash MXNet, or make it read and write outside its arrays: results or errors here."""

import numpy as onp
import pytest

import regluon as mx
from regluon.base import OutOfRangeError


X = mx.nd.array(onp.arange(24).reshape(4, 2, 3))
PICTURES = mx.nd.ones((2, 2, 6, 5))
WINDOW = {"pooled_size": (2, 2), "spatial_scale": 1.0}


@pytest.mark.parametrize("name", ["SequenceLast", "SequenceReverse"])
@pytest.mark.parametrize("lengths", [[5, 1], [-1, 2]])
def test_lengths_outside_the_sequence_are_errors(name, lengths):
    with pytest.raises(OutOfRangeError, match="4, the steps of data"):
        getattr(mx.nd, name)(X, mx.nd.array(lengths), True).wait_to_read()


def test_an_empty_sequence_has_no_last_step():
    with pytest.raises(OutOfRangeError, match=r"1 \.\.\. 4"):
        mx.nd.SequenceLast(X, mx.nd.array([0, 2]), True).wait_to_read()


@pytest.mark.parametrize("axis", [0, 1])
def test_the_last_step_of_whole_sequences_has_a_gradient(axis):
    data = X.copy()
    data.attach_grad()
    with mx.autograd.record():
        last = mx.nd.SequenceLast(data, axis=axis)
    last.backward()
    want = onp.zeros((4, 2, 3))
    want[(-1 if axis == 0 else slice(None),) + ((-1,) if axis else ())] = 1
    onp.testing.assert_array_equal(data.grad.asnumpy(), want)


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        ({"label": [[1, 4], [1, 1]]}, "label 4"),
        ({"label": [[0, 3], [1, 1]], "blank_label": "last"}, "label 3"),
        ({"label": [[1, 0], [1, 1]], "label_lengths": [2, 1]}, "label 0"),
        ({"label": [[1, 2], [1, 1]], "label_lengths": [3, 1]}, "label_lengths"),
        ({"label": [[1, 2], [1, 1]], "data_lengths": [6, 1]}, "data_lengths"),
    ],
)
def test_labels_and_lengths_that_ctc_cannot_have_are_errors(attrs, message):
    given = {name: mx.nd.array(x) if isinstance(x, list) else x for name, x in attrs.items()}
    uses = {f"use_{name}": True for name in attrs if name.endswith("lengths")}
    with pytest.raises(OutOfRangeError, match=message):
        mx.nd.CTCLoss(mx.nd.zeros((5, 2, 4)), **given, **uses).wait_to_read()


@pytest.mark.parametrize("pool", [mx.nd.ROIPooling, mx.nd.contrib.ROIAlign])
def test_a_region_of_a_picture_that_is_not_there_is_an_error(pool):
    with pytest.raises(OutOfRangeError, match="picture of a region 2"):
        pool(PICTURES, mx.nd.array([[2, 0, 0, 1, 1]]), **WINDOW).wait_to_read()


def test_an_aligned_region_may_be_empty_but_not_turned_round():
    point = mx.nd.array([[1, 2, 2, 2, 2]])
    result = mx.nd.contrib.ROIAlign(PICTURES, point, aligned=True, **WINDOW)
    assert (result.asnumpy() == 1).all()
    with pytest.raises(mx.MXNetError, match="ends before it starts"):
        mx.nd.contrib.ROIAlign(
            PICTURES, mx.nd.array([[0, 3, 3, 1, 1]]), aligned=True, **WINDOW
        ).wait_to_read()


@pytest.mark.parametrize("row", [3, -1])
def test_index_copy_refuses_rows_that_are_not_there(row):
    with pytest.raises(OutOfRangeError, match=f"index {row}"):
        mx.nd.contrib.index_copy(
            mx.nd.ones((3, 2)), mx.nd.array([row]), mx.nd.zeros((1, 2))
        ).wait_to_read()


def test_bilinear_upsampling_takes_its_channels_from_the_weight():
    data, weight = mx.nd.ones((1, 2, 3, 3)), mx.nd.ones((2, 1, 4, 4))
    plain = mx.nd.UpSampling(data, weight, scale=2, sample_type="bilinear")
    named = mx.nd.UpSampling(data, weight, scale=2, sample_type="bilinear", num_filter=2)
    onp.testing.assert_array_equal(plain.asnumpy(), named.asnumpy())


def test_the_slopes_of_rrelu_are_drawn_between_the_bounds():
    x = mx.nd.array(onp.linspace(-2, 2, 1001)[:1000])
    x.attach_grad()
    with mx.autograd.record():
        y = mx.nd.LeakyReLU(x, act_type="rrelu", lower_bound=0.2, upper_bound=0.4)
    y.backward()
    slopes = x.grad.asnumpy()
    assert (slopes[x.asnumpy() > 0] == 1).all()
    drawn = slopes[x.asnumpy() < 0]
    assert 0.2 <= drawn.min() < 0.22
    assert 0.38 < drawn.max() <= 0.4
    onp.testing.assert_allclose(y.asnumpy(), x.asnumpy() * slopes, rtol=1e-6)
    again = mx.nd.LeakyReLU(x, act_type="rrelu", lower_bound=0.2, upper_bound=0.4)
    onp.testing.assert_allclose(again.asnumpy()[:500], 0.3 * x.asnumpy()[:500], rtol=1e-6)


def test_a_sparse_activation_moves_its_average_and_adds_to_the_gradient():
    x, mean = mx.nd.array([[0.2, 0.9], [0.4, 0.7]]), mx.nd.array([0.5, 0.5])
    x.attach_grad()
    with mx.autograd.record():
        y = mx.nd.IdentityAttachKLSparseReg(x, mean, penalty=2.0, momentum=0.5) * 3
    y.backward()
    moved = onp.asarray([0.4, 0.65], "float32")
    onp.testing.assert_allclose(mean.asnumpy(), moved, rtol=1e-6)
    pull = 2 * (0.9 / (1 - moved) - 0.1 / moved)
    onp.testing.assert_allclose(x.grad.asnumpy(), onp.broadcast_to(3 + pull, (2, 2)), rtol=1e-5)


def test_a_gradient_is_reversed_on_its_way():
    x = mx.nd.array([1, 2])
    x.attach_grad()
    with mx.autograd.record():
        mx.nd.contrib.gradientmultiplier(x * 3, scalar=-2).backward()
    assert x.grad.asnumpy().tolist() == [-6, -6]


def test_synchronized_statistics_of_several_devices_are_refused():
    one = mx.nd.ones(3)
    with pytest.raises(mx.MXNetError, match="ndev=2"):
        mx.nd.contrib.SyncBatchNorm(mx.nd.ones((2, 3)), one, one, one, one, ndev=2).wait_to_read()
