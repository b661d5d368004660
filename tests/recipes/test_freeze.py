"""Fixed parts stay fixed to the bit, batch-norm statistics included, and only they do."""

import numpy as onp
import pytest

from regluon.base import MXNetError
from regluon.context import cpu
from regluon.gluon.model_zoo import vision
from regluon.recipes import finetune
from regluon.recipes.folder import scan
from regluon.recipes.freeze import freeze, frozen_parts
from regluon.recipes.pictures import PictureBatches, PictureDataset
from tests.recipes.tiny import register, source_weights, tiny, tiny_settings, write_pictures


@pytest.fixture(autouse=True)
def known_network():
    register()


def values(net):
    return {name: p.data().asnumpy() for name, p in net.structural_params().items()}


def test_lower_is_the_stem_and_the_first_half_of_the_stages():
    net = tiny()
    assert [name for name, _ in frozen_parts(net, "lower")] == ["stem", "stage1", "stage2"]
    assert frozen_parts(net, "none") == []
    with pytest.raises(MXNetError, match="freeze is"):
        frozen_parts(net, "upper")


@pytest.mark.parametrize(
    ("model", "parts"), [("resnet18_v1", 3), ("efficientnet_lite0", 4), ("resnet50_v2", 3)]
)
def test_published_networks_have_a_lower_half(model, parts):
    net = vision.get_model(model)
    names = freeze(net, "lower")
    assert len(frozen_parts(net, "lower")) == parts
    assert names
    assert all(name.startswith("features.") for name in names)


@pytest.mark.parametrize("what", ["lower", "features"])
@pytest.mark.parametrize("augment", [True, False])
def test_fixed_parts_are_bit_equal_after_training_and_all_others_are_not(tmp_path, what, augment):
    source = values(source_weights(tmp_path / "source.safetensors"))
    data = write_pictures(tmp_path / "photos", count=8)
    settings = tiny_settings(
        data,
        tmp_path / "run",
        weights=tmp_path / "source.safetensors",
        freeze=what,
        augment=augment,
        workers=1,
    )
    result = finetune.run(settings)
    trained = values(result.task.job.net)
    assert set(result.record.frozen) == set(result.task.job.frozen)
    frozen = set(result.task.job.frozen)
    assert any("running_mean" in name for name in frozen)
    for name in trained:
        if name.startswith("output."):
            continue
        same = onp.array_equal(trained[name], source[name])
        assert same == (name in frozen), name
    assert any(name.startswith("features.") for name in trained if name not in frozen) == (
        what == "lower"
    )


def test_features_computed_once_are_those_of_the_network(tmp_path):
    source_weights(tmp_path / "source.safetensors")
    data = write_pictures(tmp_path / "photos", count=8)
    settings = tiny_settings(
        data,
        tmp_path / "once",
        weights=tmp_path / "source.safetensors",
        freeze="features",
        augment=False,
    )
    job = finetune.run(settings).task.job
    assert job.trained is job.net.output
    pictures = PictureBatches(PictureDataset(scan(data).val, job.preprocessing), 4, cpu())
    whole = onp.concatenate([job.net(images).asnumpy() for images, _ in pictures(0)])
    output = onp.concatenate([job.trained(rows).asnumpy() for rows, _ in job.val(0)])
    onp.testing.assert_allclose(output, whole, rtol=1e-5, atol=1e-6)
