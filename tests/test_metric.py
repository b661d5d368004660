from pathlib import Path

import numpy as onp
import pytest

import regluon as mx
from regluon.array.dispatch import push
from regluon.base import MXNetError, OutOfRangeError, ShapeError
from tests.training_cases import METRICS, class_batches


with onp.load(Path(__file__).parent / "golden" / "metric.npz") as archive:
    GOLDEN = dict(archive)


def arrays(batch, space=mx.nd):
    labels, preds = batch
    return [space.array(x) for x in labels], [space.array(x) for x in preds]


@pytest.mark.parametrize("space", [mx.nd, mx.np], ids=["nd", "np"])
@pytest.mark.parametrize("key", METRICS)
def test_values_after_every_batch_equal_mxnets(key, space):
    kind, arguments, batches = METRICS[key]
    metric = mx.metric.create(kind, **arguments)
    values = []
    for batch in batches:
        metric.update(*arrays(batch, space))
        values.append(metric.get()[1])
    onp.testing.assert_allclose(values, GOLDEN[key], rtol=1e-5)
    assert metric.get()[0] == str(GOLDEN[f"name_{key}"])


@pytest.mark.parametrize("key", METRICS)
def test_values_read_once_at_the_end_are_the_same(key):
    kind, arguments, batches = METRICS[key]
    metric = mx.metric.create(kind, **arguments)
    for batch in batches:
        metric.update(*arrays(batch))
    assert metric.get()[1] == pytest.approx(GOLDEN[key][-1], rel=1e-5)
    assert all(isinstance(value, float) for _, value in metric.get_name_value())


@pytest.mark.parametrize("key", METRICS)
def test_reset_forgets_and_nothing_is_not_a_number(key):
    kind, arguments, batches = METRICS[key]
    metric = mx.metric.create(kind, **arguments)
    assert onp.isnan(metric.get()[1])
    metric.update(*arrays(batches[-1]))
    metric.reset()
    assert onp.isnan(metric.get()[1])
    metric.update(*arrays(batches[0]))
    assert metric.get()[1] == pytest.approx(GOLDEN[key][0], rel=1e-5)


def test_the_global_value_survives_a_local_reset():
    metric = mx.metric.Accuracy()
    first, second = (arrays(batch) for batch in class_batches(5)[:2])
    metric.update(*first)
    metric.reset_local()
    assert onp.isnan(metric.get()[1])
    metric.update(*second)
    assert metric.get_global()[1] == pytest.approx(GOLDEN["accuracy"][1])
    assert metric.get_global_name_value()[0][0] == "accuracy"
    assert metric.global_num_inst == 18
    assert metric.num_inst == 9


@pytest.mark.parametrize("key", METRICS)
def test_updating_with_arrays_on_several_contexts_does_not_compute(key):
    previous = mx.engine.set_type("LazyEngine")
    try:
        kind, arguments, batches = METRICS[key]
        metric = mx.metric.create(kind, **arguments)
        labels, preds = arrays(batches[0])
        preds = [pred.copyto(mx.cpu(place)) for place, pred in enumerate(preds)]
        mx.nd.waitall()
        ran = []
        for pred in preds:
            push(lambda: ran.append(1), [pred], [pred], pred.context, "probe")
        metric.update(labels, preds)
        assert not ran
        assert metric.get()[1] == pytest.approx(GOLDEN[key][0], rel=1e-5)
        assert len(ran) == len(preds)
    finally:
        mx.engine.set_type(previous)


def test_single_arrays_and_numpy_arrays_count_as_a_batch():
    metric = mx.metric.Accuracy()
    metric.update(mx.nd.array([1]), mx.nd.array([[0.0, 1.0]]))
    metric.update(onp.array([1]), onp.array([[0.0, 1.0]]))
    metric.update([onp.array([0])], [mx.nd.array([[0.0, 1.0]])])
    assert metric.get()[1] == pytest.approx(2 / 3)


def test_batches_of_several_contexts_add_up():
    metric = mx.metric.Accuracy()
    preds = [mx.nd.array([[0.0, 1.0]], ctx=mx.cpu(place)) for place in (0, 1)]
    metric.update([mx.nd.array([1]), mx.nd.array([0])], preds)
    assert metric.get()[1] == 0.5


def test_recorded_predictions_do_not_keep_their_graph():
    x = mx.nd.array([[1.0, 2.0]])
    x.attach_grad()
    metric = mx.metric.Loss()
    with mx.autograd.record():
        y = x * x
        metric.update(None, [y])
        y.backward()
    assert metric.get()[1] == 2.5
    assert x.grad.asnumpy().tolist() == [[2.0, 4.0]]


@pytest.mark.parametrize(
    ("metric", "label", "pred", "text"),
    [
        (mx.metric.Accuracy(), (3,), (4, 5), r"\(3,\) do not fit .*\(4, 5\).*4 samples"),
        (mx.metric.Accuracy(axis=2), (4, 1), (4, 5), "no axis 2"),
        (mx.metric.TopKAccuracy(top_k=2), (3,), (4, 5), r"\(4, 5\)"),
        (mx.metric.TopKAccuracy(top_k=2), (4,), (4,), "samples, classes"),
        (mx.metric.CrossEntropy(), (4, 2), (4, 5), r"\(4, 2\)"),
        (mx.metric.Perplexity(None), (4, 2), (4, 5), r"\(4, 2\)"),
        (mx.metric.Perplexity(None, axis=0), (4,), (4, 5), "axis 0"),
        (mx.metric.F1(), (3,), (4, 2), r"\(3,\)"),
        (mx.metric.MAE(), (4,), (4, 2), r"\(4,\) do not fit .*\(4, 2\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named_and_count_nothing(metric, label, pred, text):
    with pytest.raises(ShapeError, match=text):
        metric.update([mx.nd.zeros(label)], [mx.nd.zeros(pred)])
    assert onp.isnan(metric.get()[1])


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ShapeError, match="1 labels, 2 predictions"):
        mx.metric.Accuracy().update([mx.nd.zeros(1)], [mx.nd.zeros(1)] * 2)
    with pytest.raises(ShapeError, match=r"\(2,\) labels, \(3,\) predictions"):
        mx.metric.check_label_shapes(mx.nd.zeros(2), mx.nd.zeros(3), shape=True)


def updated(metric, label, pred):
    metric.update([label], [pred])
    return metric.get()


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_without_a_class_is_an_error_and_the_rest_still_counts(label):
    metric = mx.metric.CrossEntropy()
    pred = mx.nd.array([[0.5, 0.5]])
    metric.update([mx.nd.array([1])], [pred])
    with pytest.raises(OutOfRangeError, match=f"labels from {label} to {label} for 2 classes"):
        updated(metric, mx.nd.array([label]), pred)
    assert metric.get()[1] == pytest.approx(onp.log(2), rel=1e-5)


def test_f1_is_for_two_classes():
    with pytest.raises(MXNetError, match="two classes"):
        mx.metric.F1().update([mx.nd.zeros(1)], [mx.nd.zeros((1, 3))])
    metric = mx.metric.F1()
    metric.update([mx.nd.array([0, 1])], [mx.nd.array([[1, 0], [0, 1]])])
    with pytest.raises(MXNetError, match="two classes"):
        updated(metric, mx.nd.array([0, 1, 2]), mx.nd.zeros((3, 2)))
    assert metric.get()[1] == 1
    with pytest.raises(MXNetError, match="macro"):
        mx.metric.F1(average="weighted")


def test_one_class_is_no_top_k():
    with pytest.raises(MXNetError, match="use Accuracy"):
        mx.metric.TopKAccuracy()


def test_a_composite_updates_all_its_metrics():
    metric = mx.metric.create(["acc", mx.metric.CrossEntropy(name="ce")])
    metric.add(mx.metric.TopKAccuracy(2))
    for batch in class_batches(5):
        metric.update(*arrays(batch))
    names, values = metric.get()
    assert names == ["accuracy", "ce", "top_k_accuracy_2"]
    assert values[0] == pytest.approx(GOLDEN["accuracy"][-1])
    assert dict(metric.get_name_value())["ce"] == pytest.approx(
        GOLDEN["cross_entropy"][-1], rel=1e-5
    )
    assert metric.get_global()[0] == names
    assert "accuracy" in str(metric)
    assert isinstance(metric.get_metric(0), mx.metric.Accuracy)
    with pytest.raises(OutOfRangeError, match="no metric 3 among 3"):
        metric.get_metric(3)
    metric.reset_local()
    metric.reset()
    assert onp.isnan(metric.get()[1]).all()


def test_named_labels_and_outputs_are_chosen():
    metric = mx.metric.CompositeEvalMetric(
        [mx.metric.MAE(output_names=["a"], label_names=["x"])], output_names=["a"]
    )
    labels = {"x": mx.nd.array([1.0]), "y": mx.nd.array([5.0])}
    metric.update_dict(labels, {"a": mx.nd.array([3.0]), "b": mx.nd.array([0.0])})
    assert metric.get() == (["mae"], [2.0])


def test_functions_become_metrics():
    def worst(label, pred):
        return abs(label - pred).max()

    metric = mx.metric.create(worst)
    metric.update([mx.nd.array([1.0, 2.0])], [mx.nd.array([1.0, 4.0])])
    assert metric.get() == ("worst", 2.0)
    summed = mx.metric.np(lambda label, pred: (label.sum(), label.size), allow_extra_outputs=True)
    summed.update([mx.nd.array([1.0, 2.0])], [mx.nd.zeros(1), mx.nd.zeros(1)])
    assert summed.get() == ("custom(<lambda>)", 1.5)
    with pytest.raises(MXNetError, match="configuration"):
        summed.get_config()


def test_a_metric_of_ones_own_adds_to_the_statistics():
    @mx.metric.register
    @mx.metric.alias("count")
    class CountMetric(mx.metric.EvalMetric):
        def __init__(self):
            super().__init__("count")

        def update(self, labels, preds):
            self.sum_metric += len(labels)
            self.num_inst += 1

    metric = mx.metric.create("count")
    metric.update([1, 2], [])
    assert metric.get() == metric.get_global() == ("count", 2.0)


def test_create_makes_a_metric_from_its_configuration_and_suggests():
    metric = mx.metric.create(**mx.metric.TopKAccuracy(3, name="top").get_config())
    assert isinstance(metric, mx.metric.TopKAccuracy)
    assert mx.metric.create(metric) is metric
    assert mx.metric.create(["acc"]).get_config()["metrics"][0]["metric"] == "Accuracy"
    with pytest.raises(MXNetError, match="did you mean 'accuracy'"):
        mx.metric.create("acuracy")
    with pytest.raises(MXNetError, match="a metric, its name"):
        mx.metric.create(3)
