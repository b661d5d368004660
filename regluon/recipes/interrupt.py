"""Ctrl-C and SIGTERM as a question that a training loop asks between two steps."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from regluon.base import MXNetError


class Interrupted(MXNetError):
    """A run was asked to stop, and saved all that it needs to go on; the message says how."""


class Interrupt:
    """While active, the first Ctrl-C or SIGTERM only sets `asked`; a second one acts as usual.

    A step that has begun is finished and the state saved, so nothing is half updated. Outside the
    main thread, where Python delivers no signals, nothing changes.

    >>> with Interrupt() as interrupt:
    ...     interrupt.asked
    False
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()
