"""Random programs on real arrays with injected failures: no wrong value, no hang, no leak.

`tools/soak_engine.py` runs them for as long as one likes; here is what fits into a test.
"""

import pytest

from tools.soak_engine import MODES, Census, Soak, growth


def soak(seed: int, seconds: float, batches: int) -> None:
    run = Soak(seed, patience=0, log=lambda line: None)  # pytest has a watchdog of its own
    good = run.run(seconds, batches, every=10)
    assert good, "\n".join([*run.wrong, run.summary()])
    assert run.counted["failing steps"] > 0
    assert run.counted["errors raised"] > 0
    if batches >= len(MODES):
        assert set(run.modes) == set(MODES)


def test_every_engine_and_setting_gives_the_right_values_whatever_fails() -> None:
    soak(7, seconds=50, batches=2 * len(MODES))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_many_random_programs_leave_nothing_behind(seed: int) -> None:
    soak(seed, seconds=35, batches=1_000_000)


def test_what_grows_is_told() -> None:
    calm = Census(threads=1, files=5, arrays=0, tasks=0, native=3, memory=300.0)
    assert growth([calm]) == []
    assert growth([calm, calm._replace(memory=320.0), calm]) == []
    assert "memory" in growth([calm, calm, calm._replace(memory=400.0)])[0]
    assert "tasks" in growth([calm, calm._replace(tasks=1)])[0]
