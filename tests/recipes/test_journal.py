"""The log: whole lines, no NaN, and nothing left of what a killed run did after its checkpoint."""

import json
import math

from regluon.recipes.journal import Journal, events


def lines(path):
    return [json.loads(line, parse_constant=pytest_fails) for line in path.read_text().splitlines()]


def pytest_fails(word):
    raise AssertionError(f"{word} is not JSON")


def test_figures_that_are_not_finite_are_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with Journal(path) as journal:
        journal.write("step", 1, loss=math.nan, rate=math.inf, name="Grün")
    assert lines(path) == [{"event": "step", "step": 1, "loss": None, "rate": None, "name": "Grün"}]


def test_a_resumed_log_drops_what_came_after_the_checkpoint(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with Journal(path) as journal:
        for step in (1, 2, 3):
            journal.write("step", step, loss=float(step))
    with path.open("a") as file:
        file.write('{"event": "step", "st')
    with Journal(path, after=2) as journal:
        journal.write("step", 3, loss=30.0)
    assert [event["loss"] for event in lines(path)] == [1.0, 2.0, 30.0]


def test_half_a_line_ends_the_events(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"event": "a", "step": 1}\n{"event"')
    assert [event["event"] for event in events(path)] == ["a"]
    assert list(events(tmp_path / "none")) == []


def test_tensorboard_gets_the_numbers(tmp_path):
    with Journal(tmp_path / "m.jsonl", tmp_path / "board") as journal:
        journal.write("epoch", 1, accuracy=0.5, name="x")
    (written,) = (tmp_path / "board").iterdir()
    assert b"epoch/accuracy" in written.read_bytes()
