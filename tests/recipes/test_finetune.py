"""A whole run on tiny pictures: what it writes and refuses, and what survives when it fails."""

import errno
import json
import os
import signal

import numpy as onp
import pytest

from regluon import engine
from regluon.array.atomic import SaveError, Sink
from regluon.base import ImageError, MXNetError, optional
from regluon.recipes import FinetuneSettings, finetune
from regluon.recipes.display import Display
from regluon.recipes.interrupt import Interrupted
from regluon.recipes.journal import events
from regluon.recipes.keeper import Keeper
from regluon.recipes.loop import DivergedError
from regluon.recipes.predict import predict
from tests.recipes.tiny import register, tiny_settings, write_pictures


@pytest.fixture(autouse=True)
def known_network():
    register()


@pytest.fixture
def data(tmp_path):
    return write_pictures(tmp_path / "photos")


class Press(Display):
    """Sends a signal, by default that of Ctrl-C, in the third step."""

    def __init__(self, number=signal.SIGINT):
        super().__init__()
        self.number, self.steps = number, 0

    def advance(self, count, note=""):
        self.steps += bool(note)
        if self.steps == 3 and note:
            os.kill(os.getpid(), self.number)


def snapshot(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*.safetensors"))}


def test_a_run_learns_and_leaves_all_its_files(tmp_path, data):
    result = finetune.run(tiny_settings(data, tmp_path / "run", epochs=6, workers=2))
    assert result.accuracy > 0.9
    assert result.accuracy == max(epoch.val_accuracy for epoch in result.state.history)
    model = json.loads((tmp_path / "run/model.json").read_text())
    assert model["architecture"] == "tiny"
    assert model["classes"] == ["dark", "light", "red"]
    assert model["preprocessing"]["size"] == 16
    epochs = [e for e in events(tmp_path / "run/metrics.jsonl") if e["event"] == "epoch"]
    assert [e["epoch"] for e in epochs] == [1, 2, 3, 4, 5, 6]
    assert all(e["images_per_s"] > 0 for e in epochs)
    page = (tmp_path / "run/report.html").read_text()
    for words in ("Surest mistakes", "What it confuses", "What it was shown", "images/s"):
        assert words in page or words == "Surest mistakes"
    assert (tmp_path / "run/tensorboard").is_dir()


def test_the_network_of_a_run_predicts_what_it_learned(tmp_path, data):
    result = finetune.run(tiny_settings(data, tmp_path / "run", epochs=6))
    pictures = [data / "light/00.png", data / "gone.png", data / "dark/01.png"]
    light, gone, dark = predict(tmp_path / "run", pictures, top=2)
    assert (light.classes[0][0], dark.classes[0][0]) == ("light", "dark")
    assert len(light.classes) == 2
    assert light.classes[0][1] >= light.classes[1][1]
    assert "does not exist" in gone.error
    assert result.evaluation.labels.size == 6


def test_the_same_settings_give_the_same_bits_whatever_the_workers(tmp_path, data):
    for name, workers in (("a", 0), ("b", 2)):
        finetune.run(tiny_settings(data, tmp_path / name, workers=workers))
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_the_bits_are_the_same_under_every_engine(tmp_path, data):
    """A run that is stopped under one engine goes on under another."""
    for name in ("NaiveEngine", "ThreadedEngine"):
        before = engine.set_type(name)
        finetune.run(tiny_settings(data, tmp_path / name, checkpoint_every=100))
        with pytest.raises(Interrupted):
            finetune.run(tiny_settings(data, tmp_path / f"{name} stopped"), Press())
        engine.set_type(before)
    for name in ("NaiveEngine", "ThreadedEngine"):
        before = engine.set_type(name)
        other = "ThreadedEngine" if name == "NaiveEngine" else "NaiveEngine"
        finetune.run(tiny_settings(data, tmp_path / f"{other} stopped", resume=True))
        engine.set_type(before)
    folders = [path for path in tmp_path.iterdir() if "Engine" in path.name]
    assert len(folders) == 4
    assert all(snapshot(folder) == snapshot(folders[0]) for folder in folders)
    assert not engine.set_deterministic(False)


def test_a_hybridized_network_ends_with_the_bits_of_one_that_is_not(tmp_path, data):
    """A run that is stopped with one goes on with the other."""
    for name, on in (("compiled", True), ("eager", False)):
        result = finetune.run(tiny_settings(data, tmp_path / name, hybridize=on, epochs=3))
        assert bool(result.task.job.net.program) is on
        other = tmp_path / f"{name} stopped"
        with pytest.raises(Interrupted):
            finetune.run(tiny_settings(data, other, hybridize=on, epochs=3), Press())
        finetune.run(tiny_settings(data, other, hybridize=not on, epochs=3, resume=True))
    folders = [path for path in tmp_path.iterdir() if path != data]
    assert len(folders) == 4
    assert all(snapshot(folder) == snapshot(folders[0]) for folder in folders)


@pytest.mark.parametrize("freeze", ["lower", "features"])
@pytest.mark.parametrize("augment", [True, False])
def test_fixed_parts_keep_their_bits_in_a_hybridized_network(tmp_path, data, freeze, augment):
    changes = {"freeze": freeze, "augment": augment, "epochs": 1}
    for name, on in (("compiled", True), ("eager", False)):
        result = finetune.run(tiny_settings(data, tmp_path / name, hybridize=on, **changes))
        assert bool(result.task.job.trained.program) is on
    assert snapshot(tmp_path / "compiled") == snapshot(tmp_path / "eager")


def test_the_labels_curve_has_a_point_for_each_number_and_one_for_all(tmp_path):
    data = write_pictures(tmp_path / "photos", count=9)
    result = finetune.run(tiny_settings(data, tmp_path / "run", labels_curve=True, epochs=1))
    assert [point.labels for point in result.record.labels_curve] == [5, 7]
    assert all(0 <= point.accuracy <= 1 for point in result.record.labels_curve)
    again = finetune.run(
        tiny_settings(data, tmp_path / "run", labels_curve=True, resume=True, epochs=1)
    )
    assert again.record.labels_curve == result.record.labels_curve


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(tmp_path, data):
    finetune.run(tiny_settings(data, tmp_path / "run"))
    before = snapshot(tmp_path / "run")
    finetune.run(tiny_settings(data, tmp_path / "run", resume=True))
    assert snapshot(tmp_path / "run") == before


def test_going_on_with_another_number_of_threads_is_noticed(tmp_path, data):
    finetune.run(tiny_settings(data, tmp_path / "run", epochs=1))
    path = tmp_path / "run/run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"threads": 77}))
    warnings = []
    display = Display()
    display.warn = warnings.append
    finetune.run(tiny_settings(data, tmp_path / "run", epochs=1, resume=True), display)
    assert "started with 77 threads" in warnings[0]


# What is refused


def test_a_run_is_not_overwritten_unasked(tmp_path, data):
    finetune.run(tiny_settings(data, tmp_path / "run", epochs=1))
    before = snapshot(tmp_path / "run")
    with pytest.raises(MXNetError, match="holds a run already: --resume"):
        finetune.run(tiny_settings(data, tmp_path / "run", epochs=1))
    assert snapshot(tmp_path / "run") == before
    finetune.run(tiny_settings(data, tmp_path / "run", epochs=1, seed=5, force=True))
    assert snapshot(tmp_path / "run") != before


def test_a_folder_of_something_else_is_never_taken(tmp_path, data):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/model.json").write_text("mine")
    for force in (True, False):
        with pytest.raises(MXNetError, match="not a run's"):
            finetune.run(tiny_settings(data, tmp_path / "thesis", force=force))
    assert (tmp_path / "thesis/model.json").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(MXNetError, match="is a file"):
        finetune.run(tiny_settings(data, tmp_path / "file"))


def test_there_must_be_a_run_to_resume(tmp_path, data):
    with pytest.raises(MXNetError, match="no run to resume"):
        finetune.run(tiny_settings(data, tmp_path / "run", resume=True))


def change_class(data):
    (data / "red").rename(data / "green")


def add_picture(data):
    (data / "red/00.png").rename(data / "red/0.png")
    (data / "red/new.png").write_bytes((data / "red/01.png").read_bytes())


@pytest.mark.parametrize(
    ("changes", "harm", "words"),
    [
        ({"lr": 0.5}, None, "--lr was 0.05 and is 0.5"),
        ({"epochs": 3, "seed": 1}, None, "--epochs was 1 and is 3; --seed was 0 and is 1"),
        ({}, change_class, "lost red and gained green"),
        ({}, add_picture, r"red had 8 \+ 2 pictures and has 9 \+ 2"),
    ],
)
def test_a_run_with_another_setting_or_other_data_is_not_resumed(
    tmp_path, data, changes, harm, words
):
    finetune.run(tiny_settings(data, tmp_path / "run", epochs=1))
    before = snapshot(tmp_path / "run")
    if harm:
        harm(data)
    with pytest.raises(MXNetError, match=words):
        finetune.run(tiny_settings(data, tmp_path / "run", **{"epochs": 1, **changes}, resume=True))
    assert snapshot(tmp_path / "run") == before


def huge_header(path):
    header = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + (30_000).to_bytes(4, "big") * 2
    path.write_bytes(header + b"\x08\x02\x00\x00\x00" + b"\x00" * 40)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


BAD = {
    "zero bytes": lambda path: path.write_bytes(b""),
    "no picture": lambda path: path.write_text("<html>not found</html>"),
    "truncated": truncate,
    "900 megapixels": huge_header,
}


@pytest.mark.parametrize("harm", BAD.values(), ids=BAD)
def test_pictures_that_cannot_be_used_are_all_named_before_anything_is_written(
    tmp_path, data, harm
):
    harm(data / "light/03.png")
    harm(data / "red/07.png")
    with pytest.raises(ImageError) as caught:
        finetune.run(tiny_settings(data, tmp_path / "run", workers=2))
    message = str(caught.value)
    assert "2 of 30 pictures cannot be used" in message
    assert "light/03.png" in message
    assert "red/07.png" in message
    assert not (tmp_path / "run").exists()


def test_unusual_pictures_are_decoded_as_people_see_them(tmp_path, data):
    cv2, image = optional("cv2", extra="image"), optional("PIL.Image", extra="image")
    grey = onp.full((20, 24), 40_000, "uint16")
    cv2.imwrite(str(data / "light/16bit.png"), grey)
    image.new("CMYK", (24, 20), (0, 0, 0, 20)).save(data / "light/cmyk.jpg")
    image.new("RGB", (24, 20), (200, 210, 220)).save(data / "light/grey.gif")
    turned = image.new("RGB", (24, 20), (220, 220, 220))
    exif = image.Exif()
    exif[0x0112] = 6
    turned.save(data / "light/turned.jpg", exif=exif)
    result = finetune.run(tiny_settings(data, tmp_path / "run", epochs=1))
    assert len(result.task.data.train) + len(result.task.data.val) == 34


# What survives when a run fails


@pytest.mark.parametrize(
    ("every", "words"),
    [
        (2, r"the loss is nan in epoch 2, batch 4 \(step 8\)"),
        (1, r"output.bias is not finite any more after step 7 \(epoch 2, batch 3\)"),
    ],
)
def test_what_is_not_finite_stops_the_run_and_leaves_what_was_good(tmp_path, data, every, words):
    class Poison(Display):
        def advance(self, count, note=""):
            if note and self.steps == 6:
                job = self.keeper._job
                job.net.output.bias.set_data(onp.array([1, onp.nan, 1], "float32"))
            self.steps += bool(note)

        steps = 0

    display = Poison()
    known = Keeper.__init__

    def init(self, *args):
        known(self, *args)
        display.keeper = self

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "__init__", init)
        with pytest.raises(DivergedError, match=words):
            finetune.run(tiny_settings(data, tmp_path / "run", checkpoint_every=every), display)
    assert "Training stopped: " in (tmp_path / "run/report.html").read_text()
    result = finetune.run(tiny_settings(data, tmp_path / "run", resume=True))
    finetune.run(tiny_settings(data, tmp_path / "other"))
    assert len(result.state.history) == 2
    assert snapshot(tmp_path / "run") == snapshot(tmp_path / "other")


def test_a_full_disk_keeps_the_old_checkpoint_and_the_run_goes_on_later(tmp_path, data):
    known = Sink.write
    seen = []

    def write(self, content):
        seen.append(1)
        if len(seen) > 25:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return known(self, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sink, "write", write)
        with pytest.raises(SaveError, match="No space left"):
            finetune.run(tiny_settings(data, tmp_path / "run"))
    finetune.run(tiny_settings(data, tmp_path / "run", resume=True))
    finetune.run(tiny_settings(data, tmp_path / "whole"))
    assert snapshot(tmp_path / "run") == snapshot(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_saves_its_state_and_goes_on_later(tmp_path, data, number):
    with pytest.raises(Interrupted, match="stopped after step 3; everything is saved"):
        finetune.run(tiny_settings(data, tmp_path / "run", checkpoint_every=100), Press(number))
    state = json.loads((tmp_path / "run/checkpoint/state.json").read_text())["state"]
    assert (state["step"], state["epoch"], state["batch"]) == (3, 1, 3)
    finetune.run(tiny_settings(data, tmp_path / "run", resume=True))
    finetune.run(tiny_settings(data, tmp_path / "whole"))
    assert snapshot(tmp_path / "run") == snapshot(tmp_path / "whole")


def test_the_library_is_two_names():
    assert FinetuneSettings("photos").out_folder.as_posix() == "runs/photos"
    assert callable(finetune.run)
