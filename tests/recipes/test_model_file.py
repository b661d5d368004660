"""A trained network on disk: what comes back, and what is refused by the name of the file."""

import json

import numpy as onp
import pytest

from regluon import nd
from regluon.base import FormatError, MXNetError
from regluon.gluon.model_zoo import Preprocessing
from regluon.recipes.model_file import load_model, write_model
from tests.recipes.tiny import register, tiny


@pytest.fixture
def folder(tmp_path):
    register()
    net = tiny(classes=2)
    net.initialize()
    net.save_parameters(tmp_path / "model.safetensors")
    write_model(tmp_path / "model.json", "tiny", ["a", "b"], Preprocessing(24))
    return tmp_path, net


def test_a_network_comes_back_with_its_classes_and_preprocessing(folder):
    path, net = folder
    model = load_model(path)
    assert model.classes == ("a", "b")
    assert model.preprocessing == Preprocessing(24)
    x = nd.ones((1, 3, 24, 24))
    onp.testing.assert_array_equal(model.net(x).asnumpy(), net(x).asnumpy())


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"version": 9}, FormatError, "version 9"),
        ({"classes": 3}, FormatError, "is damaged"),
        ({"preprocessing": {"side": 3}}, FormatError, "unknown preprocessing entry 'side'"),
        ({"architecture": "tinny"}, MXNetError, "did you mean 'tiny'"),
        ({"classes": ["a", "b", "c"]}, MXNetError, "output.weight"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(folder, change, error, words):
    path, _ = folder
    content = json.loads((path / "model.json").read_text())
    (path / "model.json").write_text(json.dumps(content | change))
    with pytest.raises(error, match=words):
        load_model(path)


def test_half_a_description_and_missing_files_are_refused(folder):
    path, _ = folder
    (path / "model.json").write_text('{"version": 1')
    with pytest.raises(FormatError, match=r"model\.json is damaged"):
        load_model(path)
    (path / "model.json").unlink()
    with pytest.raises(MXNetError, match=r"model\.json is missing"):
        load_model(path)
