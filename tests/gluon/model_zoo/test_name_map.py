"""Weights of torchvision and timm fit the same architecture here, or the error says why not."""

from pathlib import Path

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon.base import FormatError, ShapeError
from regluon.gluon.model_zoo import vision
from regluon.gluon.model_zoo.name_map import parameter_names
from regluon.gluon.model_zoo.pretrained import load_pretrained
from tests.gluon.model_zoo.torch_resnet import torch_resnet


def saved(path: Path, state: dict) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("layers", "name"), [(18, "resnet18_v1"), (34, "resnet34_v1"), (50, "resnet50_v1b")]
)
def test_logits_with_torchvision_weights_are_those_of_torch(
    layers: int, name: str, tmp_path: Path
) -> None:
    source = torch_resnet(layers)
    path = saved(tmp_path / "net.pth", source.state_dict())
    net = vision.get_model(name, classes=10, pretrained=path)
    x = torch.randn(2, 3, 70, 65)
    with torch.no_grad():
        wanted = source(x).numpy()
    found = net(mx.nd.array(x.numpy())).asnumpy()
    assert abs(found - wanted).max() <= 1e-4 * abs(wanted).max()


def test_bottlenecks_of_torch_are_refused_by_those_of_mxnet(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth", torch_resnet(50).state_dict())
    with pytest.raises(FormatError) as caught:
        vision.resnet50_v1(classes=10, pretrained=path)
    assert "lacks 'layer1.0.conv1.bias'" in str(caught.value)
    assert "resnet50_v1b" in str(caught.value)


def test_other_depths_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth", torch_resnet(34).state_dict())
    with pytest.raises(FormatError, match=r"it has 'layer1\.2\.conv1\.weight'"):
        vision.resnet18_v1(classes=10, pretrained=path)
    with pytest.raises(FormatError, match=r"net\.pth"):
        vision.resnet18_v2(classes=10, pretrained=path)


def test_a_misspelt_name_gets_the_nearest_one(tmp_path: Path) -> None:
    state = torch_resnet(18).state_dict()
    state["layer1.0.conv1.wieght"] = state.pop("layer1.0.conv1.weight")
    path = saved(tmp_path / "net.pth", state)
    with pytest.raises(FormatError) as caught:
        vision.resnet18_v1(classes=10, pretrained=path)
    text = str(caught.value)
    assert "lacks 'layer1.0.conv1.weight'; did you mean 'layer1.0.conv1.wieght'" in text
    assert "torchvision" in text


def test_a_shape_that_differs_names_both(tmp_path: Path) -> None:
    state = torch_resnet(18).state_dict()
    state["layer2.0.conv1.weight"] = torch.zeros(128, 64, 5, 5)
    path = saved(tmp_path / "net.pth", state)
    with pytest.raises(ShapeError) as caught:
        vision.resnet18_v1(classes=10, pretrained=path)
    assert "(128, 64, 5, 5)" in str(caught.value)
    assert "(128, 64, 3, 3)" in str(caught.value)
    assert "features.5.0.body.0.weight" in str(caught.value)


def test_another_number_of_classes_says_how_to_go_on(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth", torch_resnet(18).state_dict())
    with pytest.raises(ShapeError) as caught:
        vision.resnet18_v1(classes=3, pretrained=path)
    assert "classes=10" in str(caught.value)
    assert "(10, 512)" in str(caught.value)
    assert "(3, 512)" in str(caught.value)


def test_features_pass_to_a_network_with_other_classes(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth", torch_resnet(18).state_dict())
    old = vision.resnet18_v1(classes=10, pretrained=path)
    new = vision.resnet18_v1(classes=3)
    new.features = old.features
    new.output.initialize()
    x = mx.nd.random.normal(shape=(1, 3, 64, 64))
    assert new(x).shape == (1, 3)
    assert (new.features(x).asnumpy() == old.features(x).asnumpy()).all()


def test_half_precision_weights_are_converted(tmp_path: Path) -> None:
    state = torch_resnet(18).half().state_dict()
    net = vision.resnet18_v1(classes=10, pretrained=saved(tmp_path / "net.pth", state))
    assert net.output.weight.data().dtype == onp.float32
    wanted = state["fc.weight"].float().numpy()
    assert (net.output.weight.data().asnumpy() == wanted).all()


def test_every_parameter_has_a_name_in_every_library() -> None:
    for name in vision.model_names():
        net = vision.get_model(name)
        for layers in net.foreign_names().values():
            table = parameter_names(net, layers)
            assert set(table) == set(net.structural_params())
            assert len(set(table.values())) == len(table)


def test_a_failed_load_changes_nothing(tmp_path: Path) -> None:
    net = vision.get_resnet(1, 18, classes=10)
    net.initialize()
    before = net.output.weight.data().asnumpy()
    state = torch_resnet(18).state_dict()
    del state["fc.bias"]
    from_file = saved(tmp_path / "net.pth", state)
    with pytest.raises(FormatError, match=r"lacks 'fc\.bias'"):
        load_pretrained(net, "resnet18_v1", from_file)
    assert (net.output.weight.data().asnumpy() == before).all()
