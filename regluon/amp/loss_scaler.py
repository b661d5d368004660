"""LossScaler: the factor that lifts small gradients into the range of float16."""

import logging
from collections.abc import Iterable

from regluon.array.dispatch import call
from regluon.array.ndarray import NDArray
from regluon.base import MXNetError
from regluon.context import Context


_log = logging.getLogger("regluon")
_FIRST, _LARGEST, _SMALLEST = 2.0**16, 2.0**24, 2.0**-16
_PATIENCE = 2000  # steps without overflow before the scale is doubled


class LossScaler:
    """The scale of a loss: halved when gradients overflow, doubled after 2000 steps without.

    dynamic: False keeps the scale at 1 and never looks at gradients: bfloat16 has float32's range.

    >>> LossScaler().loss_scale, LossScaler(dynamic=False).loss_scale
    (65536.0, 1.0)
    """

    def __init__(self, dynamic: bool = True) -> None:
        self.dynamic = dynamic
        self._loss_scale = _FIRST if dynamic else 1.0
        self._unskipped = 0

    @property
    def loss_scale(self) -> float:
        """The scale of the next loss."""
        return self._loss_scale

    def has_overflow(self, grads: Iterable[NDArray]) -> bool:
        """Say whether a number in these arrays is infinite or NaN, and set the next scale by it.

        The arrays of each context are looked at in one task, for whose result this waits. MXNet
        looks at the first context only, and changes its scale one step later.
        """
        if not self.dynamic:
            return False
        groups: dict[Context, list[NDArray]] = {}
        for grad in grads:
            groups.setdefault(grad.context, []).append(grad)
        flags = [call("multi_all_finite", None, *group) for group in groups.values()]
        overflow = not all(flag.item() for flag in flags)
        if overflow:
            self._reduce()
        else:
            self._unskipped += 1
            if self._unskipped == _PATIENCE:
                self._unskipped = 0
                self._loss_scale = min(_LARGEST, self._loss_scale * 2)
                _log.info("AMP: increasing loss scale to %f", self._loss_scale)
        return overflow

    def _reduce(self) -> None:
        self._unskipped = 0
        if self._loss_scale <= _SMALLEST:
            raise MXNetError(
                f"gradients are infinite or NaN at every loss scale down to {self._loss_scale}: it "
                "is the loss, the data or a parameter that is not finite, not the range of float16"
            )
        self._loss_scale /= 2
        _log.info("AMP: decreasing loss scale to %f", self._loss_scale)
