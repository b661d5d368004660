"""The demo on a tiny network: it compares four ways, prints a table and writes its report."""

import dataclasses

import pytest

from regluon import engine
from regluon.recipes import demo, trial
from regluon.recipes.display import Lines
from regluon.recipes.loop import State
from regluon.recipes.record import Epoch
from tests.recipes.tiny import register, source_weights


@pytest.fixture(autouse=True)
def known_network():
    register()


def attempt(*scores, steps=6):
    epochs = [Epoch(i, 1.0, 0.5, 1.0, score, 100.0) for i, score in enumerate(scores, 1)]
    return demo.Attempt(epochs, steps, "rate 0.01")


@pytest.mark.parametrize("full", [False, True])
def test_the_demo_compares_four_ways(tmp_path, full):
    source_weights(tmp_path / "w.safetensors")
    settings = demo.DemoSettings(
        out=tmp_path / "demo",
        full=full,
        model="tiny",
        weights=tmp_path / "w.safetensors",
        epochs=1,
        patch=64,
        train_per_class=4,
    )
    lines = []
    result = demo.run_demo(settings, Lines(lines.append))
    assert [one.name for one in result.contenders] == list(demo.WAYS)
    assert {one.seeds for one in result.contenders} == {3 if full else 1}
    page = result.report.read_text()
    for words in ("smoke demo", "one CC0 photo", "from scratch", "raw pixels", "test accuracy"):
        assert words in page
    for row in ("asynchronous engine", "hybridize", "bf16"):
        assert f">{row}</th>" in page or f">{row}</td>" in page
    table = [line for line in lines if line.startswith(tuple(demo.WAYS))]
    assert len(table) == 4
    assert str(result.report) in lines[-1]
    # Doing it again takes the place of what was there.
    if not full:
        demo.run_demo(settings, Lines(lines.append))


def test_steps_to_the_target_are_counted_at_the_end_of_epochs():
    assert attempt(0.9, 0.96, 0.94).steps_to_target == 12
    assert attempt(0.9, 0.94).steps_to_target is None


def test_the_engines_take_turns_and_are_compared_without_the_first_epochs(monkeypatch):
    seen = []

    def tried(task, name, watcher):
        for epoch in (1, 2, 3, 4):
            watcher.epoch_begun(State(epoch=epoch), 10)
            seen.append(engine.get().name)
        speeds = zip((1.0, 20.0, 30.0, 22.0), range(1, 5), strict=True)
        return demo.Attempt([Epoch(i, 1, 0.5, 1, 0.5, speed) for speed, i in speeds], 6)

    monkeypatch.setattr(demo, "attempt", tried)
    before = engine.get().name
    best = demo.best_from_scratch(demo.DemoSettings().training(0), Lines(print))
    assert engine.get().name == before
    assert seen == ["NaiveEngine", "ThreadedEngine"] * 6
    assert demo.engine_speed([best], "ThreadedEngine") == 21
    assert demo.engine_speed([best], "NaiveEngine") == 30
    assert demo.engine_speed([attempt(0.5)], "NaiveEngine") is None


def test_steps_take_turns_and_the_first_ones_do_not_count():
    now, seen = [0.0], []

    def way(name, seconds):
        def made():
            seen.append(name)
            now[0] += 9.0 if seen.count(name) <= trial.WARM else seconds
            return 8

        return made

    assert trial.speeds({"a": way("a", 2.0), "b": way("b", 4.0)}, lambda: now[0]) == {
        "a": 4,
        "b": 2,
    }
    assert seen == ["a", "b"] * (trial.WARM + 1)  # that was enough time
    seen.clear()
    trial.speeds({"a": way("a", 0.1)}, lambda: 0.1 * len(seen))
    assert len(seen) == trial.WARM + trial.STEPS


def test_a_measure_that_does_not_help_says_so():
    rows = demo.step_measures({"eager": 10.0, "hybridized": 20.0, "bf16": 5.0})
    assert [(row.name, row.speed_with, row.speed_without) for row in rows] == [
        ("hybridize", 20.0, 10.0),
        ("bf16", 5.0, 20.0),
    ]
    assert "does not help" in rows[1].note
    (_, good) = demo.step_measures({"eager": 10.0, "hybridized": 20.0, "bf16": 25.0})
    assert "does not help" not in good.note


def test_a_contender_is_the_mean_over_the_seeds_with_its_spread():
    one = demo.contender("fine-tuned", [attempt(0.9, 1.0), attempt(0.95, 0.96), attempt(0.5, 0.98)])
    assert one.accuracy == pytest.approx(0.98)
    assert one.std == pytest.approx(0.02)
    assert one.steps_to_target == pytest.approx((12 + 6 + 12) / 3)
    step, *spread = one.points[0]
    assert step == 6
    assert spread == pytest.approx([0.7833333, 0.5, 0.95])
    assert demo.contender("raw pixels", [attempt(0.5), attempt(0.99)]).steps_to_target is None


def test_a_demo_that_does_not_show_what_it_should_says_so():
    lines = []
    poor = [demo.contender(name, [attempt(0.5)]) for name in demo.WAYS]
    demo.show(poor, {name: [attempt(0.5)] for name in demo.WAYS}, Lines(lines.append))
    assert lines[-1].startswith("warning: fine-tuning should")
    good = [dataclasses.replace(poor[0], accuracy=0.99), *poor[1:]]
    lines.clear()
    demo.show(good, {name: [attempt(0.5)] for name in demo.WAYS}, Lines(lines.append))
    assert not any(line.startswith("warning") for line in lines)


def test_the_state_of_a_run_is_plain_data():
    state = State(epoch=2, history=[Epoch(1, 1.0, 0.5, 1.0, 0.5, 10.0, {"features": 0.1})])
    assert State.from_plain(state.plain()) == state
