"""ResNets against MXNet 1.9.1: the same names, files, logits, gradients and running statistics."""

import json
from pathlib import Path

import numpy as onp
import pytest

import regluon as mx
from regluon.base import MXNetError
from regluon.gluon.model_zoo import vision
from regluon.gluon.model_zoo.pretrained import load_pretrained
from tests.gluon.model_zoo import seeded


GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def read_golden() -> tuple[dict[str, onp.ndarray], dict[str, str]]:
    with onp.load(GOLDEN / "zoo.npz") as stored:
        index, data = json.loads(stored["index"].tobytes()), stored["data"]
    arrays, start = {}, 0
    for key, shape in index["arrays"].items():
        size = int(onp.prod(shape))
        arrays[key] = data[start : start + size].reshape(shape)
        start += size
    return arrays, index["digests"]


ARRAYS, DIGESTS = read_golden()


def close(found: mx.nd.NDArray, wanted: onp.ndarray, tolerance: float = 1e-4) -> None:
    assert found.shape == wanted.shape
    assert abs(found.asnumpy() - wanted).max() <= tolerance * abs(wanted).max()


@pytest.mark.parametrize("key", DIGESTS)
def test_parameters_have_the_names_and_shapes_of_mxnet(key: str) -> None:
    version, layers, thumbnail = key.split("|")
    net = vision.get_resnet(int(version), int(layers), thumbnail=thumbnail == "True", prefix="net_")
    params = net.collect_params().values()
    listed = [(param.name, param.shape, param.grad_req) for param in params]
    assert seeded.digest(listed) == DIGESTS[key]


def test_default_prefixes_are_those_of_mxnet() -> None:
    first, second = (next(iter(vision.resnet18_v2().collect_params())) for _ in range(2))
    assert first.startswith("resnetv2")
    assert first.endswith("_batchnorm0_gamma")
    assert first != second


@pytest.mark.parametrize("name", seeded.NETWORKS)
def test_logits_are_those_of_mxnet(name: str) -> None:
    version, layers, classes, thumbnail, shape = seeded.NETWORKS[name]
    net = vision.get_resnet(version, layers, classes=classes, thumbnail=thumbnail)
    x = mx.nd.array(seeded.normal(name, shape))
    net.initialize(mx.init.Zero())
    net(x)
    params = net.structural_params()
    values = seeded.weights({key: param.shape for key, param in params.items()})
    for key, param in params.items():
        param.set_data(mx.nd.array(values[key]))
    close(net(x), ARRAYS[f"logits|{name}"])


@pytest.mark.parametrize("name", seeded.SMALL)
@pytest.mark.parametrize("way", ["load_parameters", "pretrained"])
def test_a_file_by_mxnet_loads_and_gives_its_logits(name: str, way: str) -> None:
    net = loaded(name, way)
    x = mx.nd.array(seeded.normal(name, seeded.SMALL[name][-1]))
    close(net(x), ARRAYS[f"logits|{name}"])


def loaded(name: str, way: str = "load_parameters") -> vision.ZooNetwork:
    net = seeded.small_network(vision, name)
    path = GOLDEN / f"{name}.params"
    if way == "pretrained":
        load_pretrained(net, name, path)
    else:
        net.load_parameters(path)
    return net


@pytest.mark.parametrize("name", seeded.SMALL)
def test_training_follows_mxnet(name: str) -> None:
    net = loaded(name)
    x = mx.nd.array(seeded.normal(name, seeded.SMALL[name][-1]))
    with mx.autograd.record():
        out = net(x)
        loss = (out * mx.nd.array(seeded.normal("head", out.shape))).sum()
    loss.backward()
    close(out, ARRAYS[f"training|{name}"])
    scale = max(abs(ARRAYS[key]).max() for key in ARRAYS if key.startswith(f"grad|{name}|"))
    for key, param in net.structural_params().items():
        if param.grad_req != "null":
            wanted = ARRAYS[f"grad|{name}|{key}"]
            # Of the largest gradient: many of a network's are sums that cancel to nearly nothing,
            # such as that of a bias before a batch norm.
            bound = 1e-5 * scale
            assert abs(param.grad().asnumpy() - wanted).max() <= bound, key
        elif "running" in key:
            close(param.data(), ARRAYS[f"after|{name}|{key}"])


@pytest.mark.parametrize("name", seeded.SMALL)
def test_a_saved_network_is_read_back_bit_for_bit(name: str, tmp_path: Path) -> None:
    net = loaded(name)
    for file in ("net.params", "net.safetensors"):
        net.save_parameters(tmp_path / file)
        again = seeded.small_network(vision, name)
        again.load_parameters(tmp_path / file)
        for key, param in again.structural_params().items():
            wanted = net.structural_params()[key].data().asnumpy()
            assert (param.data().asnumpy() == wanted).all()


@pytest.mark.parametrize("name", ["resnet18_v1", "resnet50_v1b", "resnet34_v2"])
def test_stages_partition_the_features_below_the_head(name: str) -> None:
    net = vision.get_model(name)
    names = [stage for stage, _ in net.stages()]
    assert names == ["stem", "stage1", "stage2", "stage3", "stage4"]
    staged = [param for _, block in net.stages() for param in block.collect_params()]
    above = [param for param in net.features.collect_params() if param not in set(staged)]
    assert len(staged) == len(set(staged))
    assert all("batchnorm" in param and "stage" not in param for param in above)
    assert len(above) == (4 if name.endswith("v2") else 0)


def test_the_number_of_classes_changes_only_the_output() -> None:
    net = vision.resnet18_v1(classes=7)
    assert net.output.weight.shape == (7, 512)


def test_a_stage_may_keep_the_number_of_channels() -> None:
    net = vision.ResNetV1(vision.BasicBlockV1, [1, 1], [4, 4, 4], classes=2, thumbnail=True)
    net.initialize()
    assert net(mx.nd.zeros((1, 3, 8, 8))).shape == (1, 2)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: vision.get_resnet(1, 20), "18, 34, 50, 101, 152 layers, not 20"),
        (lambda: vision.get_resnet(3, 18), "1, '1b', 2, not 3"),
        (lambda: vision.ResNetV1(vision.BasicBlockV1, [1, 1], [4, 4]), "3 numbers, not [4, 4]"),
    ],
)
def test_impossible_networks_are_refused(make: object, text: str) -> None:
    with pytest.raises(MXNetError) as caught:
        make()  # type: ignore[operator]
    assert text in str(caught.value)


def test_numpy_arrays_pass_through() -> None:
    mx.npx.set_np()
    net = vision.ResNetV2(vision.BasicBlockV2, [1], [4, 4], classes=3, thumbnail=True)
    net.initialize()
    out = net(mx.np.ones((2, 3, 8, 8)))
    assert isinstance(out, mx.np.ndarray)
    assert out.shape == (2, 3)
