"""Exact resume: a killed run ends with the same bits, and a bad state is never saved."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as onp
import pytest

from regluon import autograd, gluon, nd, random
from regluon.base import FormatError
from regluon.gluon import nn
from regluon.recipes import checkpoint
from regluon.recipes.loop import DivergedError, State


ROOT = Path(__file__).resolve().parents[2]


def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.recipes.killed_run", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) >= 6
    for name, outcome in found.items():
        assert outcome == found["whole"], name


def trained(steps=3):
    net = nn.HybridSequential(prefix="net_")
    with net.name_scope():  # Trainers sort by name: dense100 comes before dense99
        net.add(nn.Dense(4, in_units=3, activation="relu"), nn.Dropout(0.5))
        net.add(nn.Dense(2, in_units=4))
    net.initialize()
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.01})
    for _ in range(steps):
        train_step(net, trainer)
    return net, trainer


def train_step(net, trainer):
    with autograd.record():
        loss = net(nd.ones((5, 3))).square().sum()
    loss.backward()
    trainer.step(5)


def weights(net):
    return {name: p.data().asnumpy() for name, p in net.structural_params().items()}


def test_everything_comes_back_to_the_bit(tmp_path):
    net, trainer = trained()
    state = State(epoch=2, batch=1, step=3)
    state.tally.loss = 0.1 + 0.2
    checkpoint.save(tmp_path, net, trainer, state)
    train_step(net, trainer)
    expected, draw = weights(net), random.next_key(nd.ones((1,)).context, "x")

    other, its_trainer = trained(steps=1)
    random.seed(99)
    assert checkpoint.load(tmp_path, other, its_trainer) == state
    train_step(other, its_trainer)
    for name, values in weights(other).items():
        onp.testing.assert_array_equal(values, expected[name])
    assert random.next_key(nd.ones((1,)).context, "x") == draw


def test_before_the_first_save_there_is_nothing_to_load(tmp_path):
    assert checkpoint.load(tmp_path, *trained()) is None


def test_only_the_last_checkpoint_is_kept(tmp_path):
    net, trainer = trained()
    for step in (1, 2):
        checkpoint.save(tmp_path, net, trainer, State(step=step))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "optimizer-000002.safetensors",
        "state.json",
        "weights-000002.safetensors",
    ]


def test_weights_that_are_not_finite_never_replace_good_ones(tmp_path):
    net, trainer = trained()
    checkpoint.save(tmp_path, net, trainer, State(step=1))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    net[0].bias.set_data(nd.array([1, float("nan"), 1, 1]))
    with pytest.raises(DivergedError, match=r"0\.bias is not finite"):
        checkpoint.save(tmp_path, net, trainer, State(step=2))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def damage_json(folder):
    (folder / "state.json").write_text('{"version": 1')


def forget_field(folder):
    content = json.loads((folder / "state.json").read_text())
    del content["state"]["step"], content["random"]
    (folder / "state.json").write_text(json.dumps(content))


def other_version(folder):
    (folder / "state.json").write_text('{"version": 7}')


def lose_file(folder):
    next(folder.glob("optimizer-*")).unlink()


def flip_bit(folder):
    path = next(folder.glob("weights-*"))
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damage_json, "state.json is damaged"),
        (forget_field, "state.json is damaged"),
        (other_version, "version 7"),
        (lose_file, "is missing"),
        (flip_bit, "weights-000001.safetensors"),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_the_name_of_its_file(tmp_path, harm, words):
    net, trainer = trained()
    checkpoint.save(tmp_path, net, trainer, State(step=1))
    harm(tmp_path)
    with pytest.raises(FormatError, match=words):
        checkpoint.load(tmp_path, net, trainer)
