"""What a Trainer saves: runs that continue, files that do not fit."""

import json
import pickle

import numpy as onp
import pytest

import regluon as mx
from regluon.base import FormatError, MXNetError, ShapeError


RULES = {
    "sgd": {"learning_rate": 0.1},
    "momentum": {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01},
    "adam": {"learning_rate": 0.1, "clip_gradient": 0.5},
    "half": {"learning_rate": 0.1, "momentum": 0.9, "multi_precision": True},
}


class Run:
    """A small training that can stop and go on."""

    def __init__(self, rule: str, places: int = 1, start: dict | None = None) -> None:
        dtype = "float16" if rule == "half" else "float32"
        self.contexts = [mx.cpu(place) for place in range(places)]
        self.params = {}
        for name, shape in (("a", (3, 2)), ("b", (2,))):
            self.params[name] = mx.gluon.Parameter(name, shape=shape, dtype=dtype)
            self.params[name].initialize(mx.init.One(), ctx=self.contexts)
            if start:
                self.params[name].set_data(mx.nd.array(start[name], dtype=dtype))
        kind = "adam" if rule == "adam" else "sgd"
        self.trainer = mx.gluon.Trainer(self.params, kind, RULES[rule])

    def steps(self, first: int, last: int) -> None:
        for step in range(first, last):
            with mx.autograd.record():
                losses = [
                    ((param.data(ctx) * (step + place + 1)) ** 2).sum()
                    for param in self.params.values()
                    for place, ctx in enumerate(self.contexts)
                ]
            mx.autograd.backward(losses)
            self.trainer.step(50)

    def values(self) -> dict:
        return {name: p.list_data()[-1].asnumpy() for name, p in self.params.items()}


@pytest.mark.parametrize("places", [1, 2])
@pytest.mark.parametrize("rule", RULES)
def test_a_run_continues_bit_by_bit(rule, places, tmp_path):
    whole = Run(rule, places)
    whole.steps(0, 6)
    first = Run(rule, places)
    first.steps(0, 3)
    first.trainer.save_states(tmp_path / "states")
    second = Run(rule, places, first.values())
    second.trainer.load_states(tmp_path / "states")
    second.steps(3, 6)
    for name, value in whole.values().items():
        onp.testing.assert_array_equal(second.values()[name], value)
    assert second.trainer.optimizer.num_update == 6


def test_states_of_one_context_serve_two(tmp_path):
    first = Run("adam")
    first.steps(0, 2)
    first.trainer.save_states(tmp_path / "states")
    second = Run("adam", 2, first.values())
    second.trainer.load_states(tmp_path / "states")
    second.steps(2, 4)
    copies = [copy.asnumpy() for copy in second.params["a"].list_data()]
    onp.testing.assert_array_equal(*copies)


def test_the_rate_and_the_numbers_of_the_file_count(tmp_path):
    first = Run("momentum")
    first.trainer.set_learning_rate(0.025)
    first.steps(0, 1)
    first.trainer.save_states(tmp_path / "states")
    second = Run("sgd")
    second.trainer.load_states(tmp_path / "states")
    assert second.trainer.learning_rate == 0.025
    assert second.trainer.optimizer.momentum == 0.9


def test_a_trainer_that_never_stepped_can_be_saved(tmp_path):
    Run("adam").trainer.save_states(tmp_path / "states")
    run = Run("adam")
    run.trainer.load_states(tmp_path / "states")
    run.steps(0, 1)
    assert run.trainer.optimizer.num_update == 1


def after_two_steps(rule="momentum"):
    run = Run(rule)
    run.steps(0, 2)
    return run


def fails(run, path, error, text):
    """The file is refused, and the run goes on as if nothing had happened."""
    undisturbed = after_two_steps()
    with pytest.raises(error, match=text):
        run.trainer.load_states(path)
    run.steps(2, 4)
    undisturbed.steps(2, 4)
    for name, value in undisturbed.values().items():
        onp.testing.assert_array_equal(run.values()[name], value)


def test_mxnets_pickles_are_refused_with_an_explanation(tmp_path):
    path = tmp_path / "mxnet.states"
    for protocol in (2, 3, 4):
        path.write_bytes(pickle.dumps({0: onp.zeros(100)}, protocol=protocol))
        fails(after_two_steps(), path, FormatError, "(?s)pickle.*MXNet.*begin with fresh states")


def test_files_of_something_else_are_refused(tmp_path):
    path = tmp_path / "weights"
    mx.nd.save(path, {"a": mx.nd.ones((2,))})
    fails(after_two_steps(), path, FormatError, "not the states of a Trainer")
    path.write_bytes(b"")
    fails(after_two_steps(), path, FormatError, "empty")
    with pytest.raises(FileNotFoundError):
        after_two_steps().trainer.load_states(tmp_path / "nothing")


def test_states_of_another_optimizer_or_network_are_refused(tmp_path):
    path = tmp_path / "states"
    after_two_steps("adam").trainer.save_states(path)
    fails(after_two_steps(), path, FormatError, "states of Adam, not of SGD")
    other = mx.gluon.Parameter("other", shape=(7,))
    other.initialize()
    mx.gluon.Trainer([other], "sgd").save_states(path)
    fails(after_two_steps(), path, FormatError, "1 Parameters, not of 2")
    b = mx.gluon.Parameter("b", shape=(5,))
    b.initialize()
    mx.gluon.Trainer([other, b], "sgd").save_states(path)
    fails(after_two_steps(), path, ShapeError, r"'a' has shape \(3, 2\), in the file \('other'\)")


def test_a_truncated_file_is_refused_at_every_length(tmp_path):
    run = after_two_steps()
    whole = tmp_path / "whole"
    run.trainer.save_states(whole)
    data = whole.read_bytes()
    path = tmp_path / "part"
    before = run.trainer._updaters
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(FormatError):
            run.trainer.load_states(path)
    assert run.trainer._updaters is before


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"states"', '"stains"'),
        lambda text: text.replace('"settings"', '"stains"'),
        lambda text: text.replace('"0"', '"9"'),
        lambda text: text.replace("[[0, 2], [1, 2]]", '[[0, "x"]]'),
        lambda text: text[:-5],
        lambda text: "[]",
    ],
)
def test_a_damaged_description_is_refused(damage, tmp_path):
    path = tmp_path / "states"
    run = after_two_steps()
    run.trainer.save_states(path)
    metadata = mx.array.serialize.load_metadata(path)
    key, text = next(iter(metadata.items()))
    assert json.loads(text)["settings"]["counts"] == [[0, 2], [1, 2]]
    assert damage(text) != text
    tensors = mx.array.serialize.load(path)
    mx.array.serialize.save(path, tensors, metadata={key: damage(text)})
    fails(run, path, FormatError, "damaged")


def test_saving_never_harms_the_old_file(tmp_path):
    path = tmp_path / "missing" / "states"
    with pytest.raises((OSError, MXNetError)):
        after_two_steps().trainer.save_states(path)
    assert not path.parent.exists()
