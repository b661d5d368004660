"""Errors say which block of the network failed."""

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon.gluon import HybridBlock, nn


class Inner(HybridBlock):
    def __init__(self, error=None, **kwargs):
        super().__init__(**kwargs)
        self.error = error
        with self.name_scope():
            self.conv1 = nn.Conv2D(2, 3, in_channels=3)

    def forward(self, x):
        if self.error is not None:
            raise self.error
        return self.conv1(x)


def network(error=None):
    net = nn.HybridSequential(prefix="net_")
    with net.name_scope():
        net.features = nn.HybridSequential()
        net.features.add(Inner(error))
        net.add(net.features)
    net.initialize()
    return net


def test_a_wrong_shape_names_the_path_and_the_layer():
    with pytest.raises(mx.base.ShapeError, match=r"in net.features.0.conv1 \(Conv2D\)$") as caught:
        network()(mx.nd.ones((1, 4, 5, 5)))
    assert str(caught.value).count(" in net") == 1
    assert "input channels" in str(caught.value)


def test_errors_of_other_libraries_keep_their_text_and_get_a_note():
    error = KeyError("mine")
    with pytest.raises(KeyError, match="mine") as caught:
        network(error)(mx.nd.ones((1, 3, 5, 5)))
    assert caught.value is error
    assert error.__notes__ == ["  in net.features.0 (Inner)"]


@pytest.mark.parametrize("given", [torch.ones(1, 3, 5, 5), onp.ones((1, 3, 5, 5)), 3, None])
def test_what_is_no_array_is_refused_by_its_type(given):
    expected = f"Conv2D takes arrays, .* not {type(given).__name__}"
    with pytest.raises(mx.MXNetError, match=expected):
        network()(given)


@pytest.mark.parametrize(
    "layer", [nn.Activation("relu"), nn.MaxPool2D(), nn.Flatten(), nn.Dropout(0.5), nn.Swish()]
)
def test_layers_without_parameters_refuse_it_too(layer):
    refused = pytest.raises(mx.MXNetError, match=r"takes arrays, .* not Tensor")
    with mx.autograd.train_mode(), refused:
        layer(torch.ones(1, 3, 5, 5))


def test_an_error_in_code_of_the_user_is_not_taken_for_a_wrong_argument():
    block = nn.Lambda(lambda x: x.no_such_thing)
    with pytest.raises(AttributeError, match="no_such_thing"):
        block("text")


def test_a_block_that_is_no_registered_child_is_called_by_its_name():
    outside = nn.Dense(2, in_units=3, prefix="outside_")
    outside.initialize()
    net = nn.HybridLambda(lambda F, x: outside(x), prefix="net_")
    with pytest.raises(mx.base.ShapeError, match=r"in net.outside \(Dense\)"):
        net(mx.nd.ones((1, 4)))


def test_a_label_out_of_range_names_value_and_bound():
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    for label, text in [(3, "label 3"), (-1, "label -1")]:
        with pytest.raises(mx.base.OutOfRangeError, match=f"{text} is out of range: there are 3"):
            loss(mx.nd.ones((2, 3)), mx.nd.array([0, label])).wait_to_read()


def test_an_index_out_of_range_names_value_and_bound():
    layer = nn.Embedding(4, 2)
    layer.initialize()
    with pytest.raises(mx.base.OutOfRangeError, match="4 is out of range: there are 4"):
        layer(mx.nd.array([1, 4])).wait_to_read()
