"""Quick: the short way of a compiled program that takes one array: a few checks and one call."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from regluon.array.dispatch import state
from regluon.array.handle import Handle
from regluon.engine.selection import selected


class Quick:
    """Calls a program of one argument and one result, or returns None where more must be done.

    Nothing is recorded, written or drawn by such a program. It runs here if all arrays are what
    they were when it last ran the long way, with values that may have changed in place.
    """

    __slots__ = (
        "_beside",
        "_cls",
        "_ctx",
        "_dtype",
        "_fixed",
        "_flags",
        "_result",
        "_run",
        "_shape",
        "_stride",
    )  # fmt: skip

    def __init__(
        self,
        argument: Handle,
        result: type[Handle],
        beside: Sequence[tuple[Any, Handle]],
        run: Callable[..., Any],
    ) -> None:
        tensor = argument.value()
        self._cls = type(argument)
        self._shape = tensor.shape
        self._dtype = tensor.dtype
        self._stride = tensor.stride()
        self._ctx = argument._ctx
        self._flags = (state.training, state.numpy, state.np_shape, state.casts)
        self._result = result
        self._beside = [
            (owner, array, array._data)
            for owner, array in beside  # a parameter or None, and the array that it had
        ]
        self._fixed = tuple(array.value() for _, array in beside)
        self._run = run

    def __call__(self, x: Any) -> Any:
        """Return the result as an array."""
        if type(x) is not self._cls or x.writer is not None or x.error is not None:
            return None
        data = x._data
        engine = selected.engine
        ctx = self._ctx
        if data is None or x._ctx is not ctx or engine.direct < 0 or engine.observer is not None:
            return None
        if data.shape != self._shape or data.dtype is not self._dtype:
            return None
        flags = state
        if flags.recording or flags.capture is not None or data.stride() != self._stride:
            return None
        if (flags.training, flags.numpy, flags.np_shape, flags.casts) != self._flags:
            return None
        for owner, array, tensor in self._beside:
            if (
                array._data is not tensor
                or array.writer is not None
                or array.error is not None
                or (owner is not None and owner._data.get(ctx) is not array)
            ):
                return None
        try:
            results: tuple[Tensor, ...] = self._run(data, *self._fixed)
        except Exception:  # the long way says what is wrong, and where
            return None
        return self._result(results[0], ctx)
