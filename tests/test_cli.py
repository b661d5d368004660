"""The command line: what it prints, and one clear line with exit code 2 for what goes wrong."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from regluon.cli import app
from regluon.recipes import finetune
from regluon.recipes.keeper import Keeper
from tests.recipes.tiny import register, source_weights, write_pictures


QUICK = ["--model", "tiny", "--epochs", "1", "--batch-size", "8", "--workers", "0"]


@pytest.fixture(autouse=True)
def known_network():
    register()


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_pictures("photos")


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_finetune_then_predict(data):
    done = call("finetune", data, *QUICK, "--weights", "none", "--lr", "0.05")
    assert done.exit_code == 0, done.output
    for words in ("3 classes, 24 pictures to train on and 6", "epoch 1/1", "validation accuracy"):
        assert words in done.output
    assert "regluon predict runs/photos PICTURE..." in done.output
    said = call("predict", "runs/photos", data / "light/00.png", "--top", "2")
    assert said.exit_code == 0
    assert said.output.startswith("photos/light/00.png: ")
    assert said.output.count("%") == 2


def test_options_reach_the_run(data, monkeypatch):
    seen = []
    monkeypatch.setattr(finetune, "run", lambda settings, display: seen.append(settings) or 1 / 0)
    source_weights("w.safetensors")
    call(
        *("finetune", data, *QUICK, "--freeze", "lower", "--lr", "0.5", "--head-lr-mult", "3"),
        *("--wd", "0.1", "--reuse-classes", "--labels-curve", "--out", "here", "--seed", "4"),
        *("--val-fraction", "0.3", "--image-size", "24", "--no-augment", "--optimizer", "adam"),
        *("--weights", "w.safetensors", "--checkpoint-every", "7", "--resume"),
        "--no-hybridize",
    )
    (settings,) = seen
    assert settings.command() == (
        "regluon finetune photos --out here --model tiny --weights w.safetensors --epochs 1 "
        "--batch-size 8 --optimizer adam --lr 0.5 --head-lr-mult 3.0 --wd 0.1 --freeze lower "
        "--reuse-classes --labels-curve --no-augment --image-size 24 --val-fraction 0.3 --seed 4 "
        "--workers 0 --checkpoint-every 7 --no-hybridize"
    )
    assert settings.resume


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["finetune", "photoz"], "the folder photoz does not exist; did you mean 'photos'?"),
        (["finetune", "photos", "--freeze", "low"], "did you mean 'lower'?"),
        (["finetune", "photos", "--model", "tinny"], "did you mean 'tiny'?"),
        (["finetune", "photos", "--epochs", "0"], "--epochs is 0"),
        (["finetune", "photos", "--device", "tpu"], "--device is 'tpu'"),
        (["finetune", "photos", "--device", "gpu(99)"], "gpu(99) does not exist here"),
        (["finetune", "photos", *QUICK, "--weights", "gone"], "gone"),
        (["finetune", "photos", *QUICK, "--resume"], "no run to resume in runs/photos"),
        (["predict", "nowhere", "photos/light/00.png"], "nowhere does not exist"),
        (["predict", "photos", "photos/light/00.png"], "model.json is missing"),
    ],
)
def test_what_goes_wrong_is_one_line_and_exit_code_2(data, words, message):
    done = call(*words)
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert "Traceback" not in done.output
    assert done.output.startswith("error: ")


def test_an_unknown_option_is_exit_code_2(data):
    assert call("finetune", data, "--frezze", "lower").exit_code == 2


def test_a_picture_that_cannot_be_decoded_is_named_and_the_others_are_classified(data):
    assert call("finetune", data, *QUICK, "--weights", "none").exit_code == 0
    (data / "bad.jpg").write_bytes(b"")
    said = call("predict", "runs/photos", data / "bad.jpg", data / "dark/00.png")
    assert said.exit_code == 2
    assert "photos/bad.jpg" in said.output
    assert "photos/dark/00.png: " in said.output


def test_ctrl_c_says_how_to_go_on(data, monkeypatch):
    def press(self, state, images):
        self._interrupt.asked = True
        known(self, state, images)

    known = Keeper.step_done
    monkeypatch.setattr(Keeper, "step_done", press)
    done = call("finetune", data, *QUICK, "--weights", "none")
    assert done.exit_code == 130
    assert "stopped after step 1; everything is saved" in done.output
    assert "--resume" in done.output


def test_info_shows_versions_and_engine():
    done = call("info")
    assert done.exit_code == 0
    for words in ("torch", "engine", "cpu(0)", "MXNET_ENGINE_TYPE", "simplejpeg"):
        assert words in done.output


def test_help_comes_without_a_command_and_lists_all_of_them():
    for words in ([], ["--help"]):
        output = call(*words).output
        assert all(name in output for name in ("finetune", "predict", "info", "demo"))


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "regluon", "finetune", "no such folder"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert done.returncode == 2
    assert done.stderr == "error: the folder no such folder does not exist\n"
