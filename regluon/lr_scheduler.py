"""Learning-rate schedules: functions from the number of updates to a rate.

A schedule keeps no state, so a run that is resumed at some update, or asks twice, gets the same
rates. (In MXNet a schedule changes its `base_lr` while it is asked.)
"""

import math
from collections.abc import Sequence

from regluon.base import MXNetError


class LRScheduler:
    """The base of schedules: a warm-up, and after it what `_rate(num_update)` of the subclass says.

    base_lr: the rate at the start; an optimizer that is given a `learning_rate` replaces it.
    warmup_steps: updates before the schedule proper, in which the rate rises from
    `warmup_begin_lr` to `base_lr` ("linear") or stays at `warmup_begin_lr` ("constant").
    """

    def __init__(
        self,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0.0,
        warmup_mode: str = "linear",
    ) -> None:
        if not isinstance(warmup_steps, int) or warmup_steps < 0:
            raise MXNetError(f"warmup_steps is a count of updates, not {warmup_steps!r}")
        if warmup_begin_lr > base_lr:
            raise MXNetError(
                f"a warm-up rises: warmup_begin_lr={warmup_begin_lr} is above base_lr={base_lr}"
            )
        if warmup_mode not in ("linear", "constant"):
            raise MXNetError(f"warmup_mode is 'linear' or 'constant', not {warmup_mode!r}")
        self.base_lr = base_lr
        self.warmup_steps = warmup_steps
        self.warmup_begin_lr = warmup_begin_lr
        self.warmup_mode = warmup_mode

    def get_warmup_lr(self, num_update: int) -> float:
        """Return the rate of an update of the warm-up."""
        if self.warmup_mode == "constant":
            return self.warmup_begin_lr
        rise = (self.base_lr - self.warmup_begin_lr) * num_update / self.warmup_steps
        return self.warmup_begin_lr + rise

    def __call__(self, num_update: int) -> float:
        """Return the rate when the most often updated parameter has had `num_update` updates."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        return self._rate(num_update)

    def _rate(self, num_update: int) -> float:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(num_update)")


def _checked_factor(factor: float) -> float:
    if factor > 1:
        raise MXNetError(f"a factor above 1 would raise the rate: {factor}")
    return factor


class FactorScheduler(LRScheduler):
    """Times `factor` after every `step` updates, but not below `stop_factor_lr`.

    base_lr * factor^((num_update - 1) // step): the first decay is in effect at update step + 1.

    >>> import regluon as mx
    >>> schedule = mx.lr_scheduler.FactorScheduler(step=10, factor=0.5, base_lr=1.0)
    >>> [schedule(update) for update in (1, 10, 11, 21)]
    [1.0, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        step: int,
        factor: float = 1,
        stop_factor_lr: float = 1e-8,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0.0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if step < 1:
            raise MXNetError(f"a schedule decays after at least 1 update, not {step}")
        self.step = step
        self.factor = _checked_factor(factor)
        self.stop_factor_lr = stop_factor_lr

    def _rate(self, num_update: int) -> float:
        decays = max(num_update - 1, 0) // self.step
        if decays == 0:
            return self.base_lr
        return max(self.base_lr * self.factor**decays, self.stop_factor_lr)


class MultiFactorScheduler(LRScheduler):
    """Times `factor` after each of the updates listed in `step`.

    >>> import regluon as mx
    >>> schedule = mx.lr_scheduler.MultiFactorScheduler(step=[10, 15], factor=0.1, base_lr=1.0)
    >>> [round(schedule(update), 6) for update in (10, 11, 16)]
    [1.0, 0.1, 0.01]
    """

    def __init__(
        self,
        step: Sequence[int],
        factor: float = 1,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0.0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        self.step = list(step)
        rising = all(a < b for a, b in zip(self.step, self.step[1:], strict=False))
        if not self.step or self.step[0] < 1 or not rising:
            raise MXNetError(f"step lists rising numbers of updates, not {self.step}")
        self.factor = _checked_factor(factor)

    def _rate(self, num_update: int) -> float:
        return self.base_lr * self.factor ** sum(num_update > step for step in self.step)


class _Descent(LRScheduler):
    """From `base_lr` after the warm-up to `final_lr` at update `max_update`, then constant."""

    def __init__(
        self,
        max_update: int,
        base_lr: float,
        final_lr: float,
        warmup_steps: int,
        warmup_begin_lr: float,
        warmup_mode: str,
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(max_update, int) or max_update < 1:
            raise MXNetError(f"max_update is a count of updates from 1 on, not {max_update!r}")
        if max_update <= warmup_steps:
            raise MXNetError(
                f"the warm-up of {warmup_steps} updates leaves nothing of max_update={max_update}"
            )
        self.max_update = max_update
        self.max_steps = max_update - warmup_steps
        self.final_lr = final_lr

    def _rate(self, num_update: int) -> float:
        done = (min(num_update, self.max_update) - self.warmup_steps) / self.max_steps
        return self.final_lr + (self.base_lr - self.final_lr) * self._share(done)

    def _share(self, done: float) -> float:
        """Return how much of the way down is left when the part `done` of the time has passed."""
        raise NotImplementedError


class PolyScheduler(_Descent):
    """Down to `final_lr` at `max_update` by a power of the time left: (1 - done)^pwr.

    >>> import regluon as mx
    >>> schedule = mx.lr_scheduler.PolyScheduler(max_update=10, base_lr=1.0, pwr=2)
    >>> [schedule(update) for update in (0, 5, 10, 20)]
    [1.0, 0.25, 0.0, 0.0]
    """

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        pwr: float = 2,
        final_lr: float = 0.0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0.0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        self.power = pwr

    def _share(self, done: float) -> float:
        return float((1 - done) ** self.power)


class CosineScheduler(_Descent):
    """Down to `final_lr` at `max_update` along half a cosine.

    Loshchilov and Hutter 2017, "SGDR", formula 5 without restarts.

    >>> import regluon as mx
    >>> schedule = mx.lr_scheduler.CosineScheduler(max_update=10, base_lr=1.0)
    >>> [round(schedule(update), 6) for update in (0, 5, 10, 20)]
    [1.0, 0.5, 0.0, 0.0]
    """

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        final_lr: float = 0.0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0.0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)

    def _share(self, done: float) -> float:
        return (1 + math.cos(math.pi * done)) / 2
