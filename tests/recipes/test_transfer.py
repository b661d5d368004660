"""Features copied, output rows new or reused by name."""

import numpy as onp
import pytest

from regluon.base import MXNetError, ShapeError
from regluon.context import cpu
from regluon.recipes import finetune
from regluon.recipes.transfer import load_source, new_network
from tests.recipes.tiny import register, source_weights, tiny_settings, write_pictures


@pytest.fixture(autouse=True)
def known_network():
    register()


def values(net):
    return {name: p.data().asnumpy() for name, p in net.structural_params().items()}


def test_features_are_the_sources_and_the_output_is_new(tmp_path):
    expected = values(source_weights(tmp_path / "w.safetensors"))
    source = load_source("tiny", tmp_path / "w.safetensors", cpu())
    net = values(new_network("tiny", 3, source, cpu()))
    for name, array in net.items():
        if name.startswith("output."):
            assert array.shape[0] == 3
        else:
            onp.testing.assert_array_equal(array, expected[name])
    assert net["output.weight"].any()


def test_rows_of_known_classes_are_the_sources_bit_for_bit_and_others_are_fresh(tmp_path):
    expected = values(source_weights(tmp_path / "w.safetensors"))
    classes = ("espresso", "hotdog", "zzz")
    data = write_pictures(tmp_path / "photos", classes)
    lines = []
    settings = tiny_settings(
        data, tmp_path / "run", weights=tmp_path / "w.safetensors", reuse_classes=True
    )
    display = finetune.Display()
    display.say = lines.append
    folder, source = finetune.look_at_data(settings, display), None
    source = load_source("tiny", settings.weights, cpu())
    matching = finetune.look_at_classes(settings, folder, source, display)
    job = finetune.make_job(settings, classes, folder.train, folder.val, source, matching, display)
    fresh = finetune.make_job(settings, classes, folder.train, folder.val, source, None, display)
    for name in ("output.weight", "output.bias"):
        rows = values(job.net)[name]
        onp.testing.assert_array_equal(rows[0], expected[name][967])
        onp.testing.assert_array_equal(rows[1], expected[name][934])
    row = values(job.net)["output.weight"][2]
    assert not (row == expected["output.weight"]).all(1).any()
    assert not onp.array_equal(values(fresh.net)["output.weight"][0], rows[0])
    assert any("row 934, hotdog, hot dog, red hot (found as 'hotdog')" in line for line in lines)
    assert any("not known to the source: zzz" in line for line in lines)


def test_the_report_shows_reused_rows(tmp_path):
    source_weights(tmp_path / "w.safetensors")
    data = write_pictures(tmp_path / "photos", ("hot_dog", "crane", "zzz"), count=4)
    lines = []
    display = finetune.Display()
    display.warn = lines.append
    settings = tiny_settings(
        data,
        tmp_path / "run",
        weights=tmp_path / "w.safetensors",
        reuse_classes=True,
        epochs=1,
    )
    result = finetune.run(settings, display)
    (reused,) = result.record.reused
    assert (reused.name, reused.row, reused.alias) == ("hot_dog", 934, "hotdog")
    assert "crane: could be" in lines[0]
    page = result.folder.report.read_text()
    assert "hotdog, hot dog, red hot" in page
    assert "crane: could be" in page


def test_a_run_is_a_source_with_named_classes(tmp_path):
    data = write_pictures(tmp_path / "photos")
    finetune.run(tiny_settings(data, tmp_path / "first", epochs=1))
    second = tiny_settings(
        data, tmp_path / "second", weights=tmp_path / "first", reuse_classes=True, epochs=1
    )
    reused = finetune.run(second).record.reused
    assert [(r.name, r.row) for r in reused] == [("dark", 0), ("light", 1), ("red", 2)]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"weights": "none", "reuse_classes": True}, MXNetError, "needs pre-trained weights"),
        ({"weights": "gone.safetensors"}, MXNetError, "gone.safetensors"),
        ({"weights": "few.safetensors"}, ShapeError, "7 classes"),
        ({"weights": "."}, MXNetError, "no run's"),
        ({"model": "tinny"}, MXNetError, "did you mean 'tiny'"),
        ({"model": "resnet18_v9", "weights": None}, MXNetError, "did you mean 'resnet18_v"),
        ({"model": "resnet18_v2", "weights": None}, MXNetError, "no published weights"),
    ],
)
def test_a_source_that_does_not_fit_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, changes, error, words
):
    monkeypatch.chdir(tmp_path)
    source_weights("few.safetensors", classes=7)
    data = write_pictures(tmp_path / "photos")
    with pytest.raises(error, match=words):
        finetune.run(tiny_settings(data, tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()
