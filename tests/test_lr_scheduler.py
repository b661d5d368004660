from pathlib import Path

import numpy as onp
import pytest

import regluon as mx
from regluon.base import MXNetError
from tests.training_cases import SCHEDULES, UPDATES


with onp.load(Path(__file__).parent / "golden" / "lr_scheduler.npz") as archive:
    GOLDEN = dict(archive)


def made(key: str):
    kind, arguments = SCHEDULES[key]
    return getattr(mx.lr_scheduler, kind)(**arguments)


@pytest.mark.parametrize("key", SCHEDULES)
def test_every_update_has_mxnets_rate(key):
    schedule = made(key)
    rates = [schedule(update) for update in UPDATES]
    onp.testing.assert_allclose(rates, GOLDEN[key], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("key", SCHEDULES)
def test_a_rate_does_not_depend_on_what_was_asked_before(key):
    schedule = made(key)
    backwards = [schedule(update) for update in reversed(UPDATES)]
    onp.testing.assert_allclose(backwards[::-1], GOLDEN[key], rtol=1e-12, atol=1e-15)
    assert schedule.base_lr == SCHEDULES[key][1]["base_lr"]


@pytest.mark.parametrize("key", SCHEDULES)
def test_an_optimizers_rate_replaces_that_of_the_schedule(key):
    start = SCHEDULES[key][1].get("warmup_steps", 0)
    own = made(key)(start)
    schedule = made(key)
    optimizer = mx.optimizer.SGD(learning_rate=2 * schedule.base_lr, lr_scheduler=schedule)
    assert optimizer.lr_scheduler(start) == pytest.approx(2 * own)


def test_adams_default_rate_does_not_replace_that_of_the_schedule():
    schedule = mx.lr_scheduler.FactorScheduler(3, base_lr=0.5)
    assert mx.optimizer.Adam(lr_scheduler=schedule).learning_rate == 0.5


@pytest.mark.parametrize(
    ("kind", "arguments", "text"),
    [
        ("FactorScheduler", {"step": 0}, "at least 1 update"),
        ("FactorScheduler", {"step": 1, "factor": 1.5}, "raise the rate"),
        ("FactorScheduler", {"step": 1, "warmup_steps": -1}, "count of updates"),
        ("FactorScheduler", {"step": 1, "warmup_begin_lr": 1.0}, "above base_lr"),
        ("FactorScheduler", {"step": 1, "warmup_mode": "sudden"}, "'sudden'"),
        ("MultiFactorScheduler", {"step": []}, "rising"),
        ("MultiFactorScheduler", {"step": [3, 3]}, "rising"),
        ("MultiFactorScheduler", {"step": [0, 3]}, "rising"),
        ("MultiFactorScheduler", {"step": [1], "factor": 2}, "raise the rate"),
        ("PolyScheduler", {"max_update": 0}, "max_update"),
        ("CosineScheduler", {"max_update": 2.5}, "max_update"),
        ("CosineScheduler", {"max_update": 5, "warmup_steps": 5}, "leaves nothing"),
    ],
)
def test_schedules_that_cannot_be_meant_are_refused(kind, arguments, text):
    with pytest.raises(MXNetError, match=text):
        getattr(mx.lr_scheduler, kind)(**arguments)


def test_a_schedule_of_ones_own_defines_the_call():
    class Halves(mx.lr_scheduler.LRScheduler):
        def __call__(self, num_update):
            return self.base_lr / 2**num_update

    assert mx.optimizer.SGD(lr_scheduler=Halves(base_lr=1.0)).learning_rate == 1.0
    with pytest.raises(NotImplementedError, match="must define"):
        mx.lr_scheduler.LRScheduler()(1)
