"""Networks by name."""

import pytest

import regluon as mx
from regluon.base import MXNetError
from regluon.gluon.model_zoo import vision


def test_every_name_makes_the_network_of_that_name() -> None:
    for name in vision.model_names():
        net = vision.get_model(name.upper(), classes=3)
        assert net.output.weight.shape[0] == 3
        assert getattr(vision, name).__name__ == name


def test_vision_is_where_mxnet_has_it() -> None:
    assert mx.gluon.model_zoo.vision.get_model is vision.get_model


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(ValueError, match=r"'resnet81_v1'; did you mean 'resnet18_v1'"):
        vision.get_model("resnet81_v1")
    with pytest.raises(MXNetError, match="known: efficientnet_lite0, "):
        vision.get_model("zzz")


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="clases"):
        vision.get_model("resnet18_v1", clases=3)


def test_loaded_weights_go_to_the_context() -> None:
    net = vision.efficientnet_lite0(pretrained=True, ctx=mx.cpu(1))
    assert net.output.weight.list_ctx() == [mx.cpu(1)]
