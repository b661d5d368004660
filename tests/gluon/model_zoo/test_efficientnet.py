"""EfficientNet-Lite against the package efficientnet-lite-pytorch, and on photos."""

import json
from pathlib import Path

import numpy as onp
import pytest
import torch
import torch.nn.functional as F

import regluon as mx
from regluon.base import ShapeError
from regluon.gluon.model_zoo import class_names, name_map, vision
from regluon.gluon.model_zoo.efficientnet import SameConv2D, same_padding
from tests.gluon.model_zoo import seeded
from tests.gluon.model_zoo.pictures import photos


GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "efficientnet.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, onp.ndarray]:
    with onp.load(GOLDEN) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def record(golden: dict[str, onp.ndarray]) -> dict:
    return json.loads(golden["record"].tobytes())


@pytest.fixture(scope="module")
def published() -> vision.EfficientNetLite:
    return vision.efficientnet_lite0(pretrained=True)


def names_of(net: vision.EfficientNetLite, library: str) -> dict[str, str]:
    return name_map.parameter_names(net, net.foreign_names()[library])


def seeded_network(number: int, folder: Path, **kwargs: float) -> vision.EfficientNetLite:
    net = vision.get_model(f"efficientnet_lite{number}")
    names = names_of(net, "efficientnet-lite-pytorch")
    params = net.structural_params()
    values = seeded.weights({names[own]: param.shape for own, param in params.items()})
    state = {name: torch.from_numpy(value) for name, value in values.items()}
    torch.save(state, folder / "state.pth")
    name = f"efficientnet_lite{number}"
    return vision.get_model(name, pretrained=folder / "state.pth", **kwargs)


def close(found: onp.ndarray, wanted: onp.ndarray, tolerance: float = 1e-4) -> None:
    assert found.shape == wanted.shape
    assert abs(found - wanted).max() <= tolerance * abs(wanted).max()


@pytest.mark.parametrize(("number", "batch", "height", "width"), seeded.LITE)
def test_logits_are_those_of_the_reference_at_even_and_odd_sizes(
    number: int, batch: int, height: int, width: int, golden: dict, tmp_path: Path
) -> None:
    key = f"{number}|{height}|{width}"
    net = seeded_network(number, tmp_path)
    x = mx.nd.array(seeded.normal(key, (batch, 3, height, width)))
    close(net(x).asnumpy(), golden[key])


@pytest.mark.parametrize("number", range(5))
def test_every_size_has_the_layers_of_the_reference(number: int, record: dict) -> None:
    net = vision.get_model(f"efficientnet_lite{number}")
    names = names_of(net, "efficientnet-lite-pytorch")
    listed = [(names[own], param.shape, "") for own, param in net.structural_params().items()]
    assert seeded.digest(sorted(listed)) == record["digests"][str(number)]


# The names and shapes in timm 1.0.31, hashed as those of the reference above.
TIMM = {
    0: "e0e7a981a982f15a93633de930ca6054debc2e2aba9243ef05cab23dad5077dd",
    4: "d2ef4b6df4376d0642bd03a2697a1a3d3a7a6cde7d54f45a9f1857e84002d7a2",
}


@pytest.mark.parametrize("number", TIMM)
def test_names_of_timm_fit(number: int) -> None:
    net = vision.get_model(f"efficientnet_lite{number}")
    names = names_of(net, "timm")
    listed = [(names[own], param.shape, "") for own, param in net.structural_params().items()]
    assert seeded.digest(sorted(listed)) == TIMM[number]


def test_training_follows_the_reference(golden: dict, record: dict, tmp_path: Path) -> None:
    net = seeded_network(0, tmp_path, dropout=0.0, drop_path=0.0)
    net.cast("float64")
    names = names_of(net, "efficientnet-lite-pytorch")
    x = mx.nd.array(seeded.normal("training", seeded.LITE_TRAINING), dtype="float64")
    with mx.autograd.record():
        out = net(x)
        loss = (out * mx.nd.array(seeded.normal("head", out.shape), dtype="float64")).sum()
    loss.backward()
    close(out.asnumpy(), golden["training"], 1e-10)
    for own, param in net.structural_params().items():
        name = names[own]
        if param.grad_req != "null":
            found, wanted = param.grad().asnumpy(), record["grads"][name]
        elif name.endswith("running_mean"):
            found, wanted = param.data().asnumpy(), record["means"][name]
        else:
            continue
        weights = seeded.normal(name, found.shape)
        scale = max(abs(found).sum(), 1e-3)  # some gradients are 0 but for rounding
        assert abs(float((found * weights).sum()) - wanted) <= 1e-8 * scale, name


def test_logits_with_published_weights_are_those_of_the_reference(
    golden: dict, published: vision.EfficientNetLite
) -> None:
    for name, picture in photos().items():
        found = published(mx.nd.array(picture[None])).asnumpy()
        close(found, golden[f"published|{name}"])


def test_a_cat_is_a_cat_and_a_coffee_an_espresso(published: vision.EfficientNetLite) -> None:
    names = class_names()
    batch = mx.nd.array(onp.stack(list(photos().values())))
    cat, coffee = mx.nd.softmax(published(batch)).asnumpy()
    cats = [names.index(name) for name in names if name.split(",")[0] in CATS]
    assert cats == [281, 282, 285]
    assert cat[cats].sum() > 0.8
    assert names[coffee.argmax()] == "espresso"


@pytest.mark.parametrize("suffix", ["safetensors", "params"])
def test_weights_from_another_file_give_the_same_bits(
    suffix: str, published: vision.EfficientNetLite, tmp_path: Path
) -> None:
    x = mx.nd.random.normal(shape=(1, 3, 64, 64))
    published.save_parameters(tmp_path / f"net.{suffix}")
    fresh, drawn = vision.efficientnet_lite0(), vision.efficientnet_lite0()
    drawn.initialize()
    for net in (fresh, drawn):
        net.load_parameters(tmp_path / f"net.{suffix}")
        assert (net(x).asnumpy() == published(x).asnumpy()).all()


CATS = ("tabby", "tiger cat", "Egyptian cat")


@pytest.mark.parametrize("size", [(8, 8), (9, 9), (8, 9), (13, 6)])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 4])
def test_padding_is_that_of_tensorflow(
    size: tuple[int, int], kernel: int, stride: int, groups: int
) -> None:
    layer = SameConv2D(8, kernel, stride, 4, groups)
    layer.initialize(mx.init.Normal(1))
    x = mx.nd.random.normal(shape=(2, 4, *size))
    data, weight = x.to_torch(), layer.weight.data().to_torch()
    (top, bottom), (left, right) = (same_padding(length, kernel, stride) for length in size)
    padded = F.pad(data, (left, right, top, bottom))
    wanted = F.conv2d(padded, weight, stride=stride, groups=groups)
    assert wanted.shape[2:] == tuple(-(-length // stride) for length in size)
    assert onp.allclose(layer(x).asnumpy(), wanted.numpy(), atol=1e-4)


def test_an_input_of_another_rank_is_refused_by_the_layer() -> None:
    net = vision.EfficientNetLite(0.25, 0.5, size=32, classes=3)
    net.initialize()
    with pytest.raises(ShapeError, match=r"\(3, 32, 32\), not \(batch, [^$]*features\.0"):
        net(mx.nd.zeros((3, 32, 32)))


def test_drop_path_drops_whole_pictures_in_training_only() -> None:
    net = vision.EfficientNetLite(0.25, 0.5, size=32, classes=3, dropout=0.0, drop_path=0.9)
    net.initialize()
    x = mx.nd.random.normal(shape=(2, 3, 32, 32))
    assert (net(x).asnumpy() == net(x).asnumpy()).all()
    with mx.autograd.train_mode():
        assert (net(x).asnumpy() != net(x).asnumpy()).any()


def test_preprocessing_is_that_of_the_published_weights() -> None:
    preprocessing = vision.efficientnet_lite0().preprocessing
    grey = onp.full((224, 224, 3), 200, "uint8")
    assert preprocessing.normalized(grey)[0, 0, 0] == pytest.approx((200 - 127) / 128)
    assert (preprocessing.size, preprocessing.resize_side) == (224, 256)
