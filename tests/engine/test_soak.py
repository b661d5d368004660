"""Random programs on real arrays with injected failures: no wrong value, no hang, no leak.

`tools/soak_engine.py` runs them for as long as one likes; here is what fits into a test.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.soak_engine import MODES, Census, Soak, growth


ROOT = Path(__file__).parents[2]


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
    """In a process of its own: the memory of one that ran other tests moves by itself."""
    command = [sys.executable, "-m", "tools.soak_engine", "--minutes", "0.6", "--patience", "40"]
    run = subprocess.run(
        [*command, "--seed", str(seed)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 wrong, 0 hangs; no leak" in run.stdout


def test_what_grows_is_told() -> None:
    calm = Census(threads=1, files=5, arrays=0, tasks=0, native=3, memory=300.0)
    assert growth([calm]) == []
    assert growth([calm, calm._replace(memory=320.0), calm]) == []
    assert "memory" in growth([calm, calm, calm._replace(memory=400.0)])[0]
    assert "tasks" in growth([calm, calm._replace(tasks=1)])[0]
