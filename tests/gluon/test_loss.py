import pytest

import regluon as mx
from regluon import gluon
from tests.gluon.cases import check, loss_cases, read, run_loss


GOLDEN = read()


@pytest.mark.parametrize(("name", "row", "numpy"), loss_cases(), ids=lambda value: str(value))
def test_values_and_gradients_are_those_of_mxnet(name, row, numpy):
    check(f"loss: {name}", run_loss(mx, row, numpy), GOLDEN)


def test_labels_of_another_shape_are_refused_with_both_shapes():
    with pytest.raises(mx.base.ShapeError, match=r"labels of shape \(3,\).*predictions of .*2, 3"):
        gluon.loss.SoftmaxCELoss()(mx.nd.ones((2, 3)), mx.nd.ones((3,)))
    with pytest.raises(
        mx.base.ShapeError, match=r"label has shape \(3,\), the prediction \(2, 3\)"
    ):
        gluon.loss.L2Loss()(mx.nd.ones((2, 3)), mx.nd.ones((3,)))


def test_class_numbers_may_have_the_axis_with_length_one_and_any_integer_type():
    pred = mx.nd.array([[1, 2, 3], [3, 2, 1]])
    want = gluon.loss.SoftmaxCELoss()(pred, mx.nd.array([0, 2])).asnumpy()
    for dtype in ("int32", "int64", "uint8"):
        label = mx.nd.array([[0], [2]], dtype=dtype)
        assert (gluon.loss.SoftmaxCELoss()(pred, label).asnumpy() == want).all()


def test_a_label_that_is_not_a_number_is_refused():
    loss, label = gluon.loss.SoftmaxCELoss(), mx.nd.array([0, float("nan")])
    with pytest.raises(mx.base.OutOfRangeError, match="label nan is out of range"):
        loss(mx.nd.ones((2, 3)), label).wait_to_read()


def test_a_loss_written_in_the_old_style():
    class Half(gluon.loss.Loss):
        def hybrid_forward(self, F, pred, label, sample_weight=None):
            return F.mean(F.abs(pred - label), axis=self._batch_axis, exclude=True) / 2

    loss = Half(None, 0)
    assert loss(mx.nd.ones((2, 3)), mx.nd.zeros((2, 3))).asnumpy().tolist() == [0.5, 0.5]
    with pytest.raises(mx.MXNetError, match="weight of a loss is a number or None"):
        Half("2", 0)
