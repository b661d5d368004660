"""Scopes that record calls and switch training behaviour; backward over what was recorded."""

import functools
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

from regluon.array import tape
from regluon.array.dispatch import state
from regluon.array.ndarray import NDArray


F = TypeVar("F", bound=Callable[..., Any])


class _Scope:
    """Sets this thread's recording and training flags inside `with` or a decorated function."""

    def __init__(self, recording: bool | None, training: bool | None) -> None:
        self._wanted = (recording, training)
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((state.recording, state.training))
        recording, training = self._wanted
        if recording is not None:
            state.recording = recording
        if training is not None:
            state.training = training

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        state.recording, state.training = self._before.pop()

    def __call__(self, function: F) -> F:
        recording, training = self._wanted

        @functools.wraps(function)
        def scoped(*args: Any, **kwargs: Any) -> Any:
            with _Scope(recording, training):
                return function(*args, **kwargs)

        return scoped  # type: ignore[return-value]


def record(train_mode: bool = True) -> _Scope:
    """Record calls for gradients; layers behave as in training unless `train_mode` is False.

    >>> import regluon as mx
    >>> x = mx.nd.array([3.0])
    >>> x.attach_grad()
    >>> with record():
    ...     y = x * x
    >>> y.backward()
    >>> x.grad.item()
    6.0
    """
    return _Scope(True, train_mode)


def pause(train_mode: bool = False) -> _Scope:
    """Do not record inside this scope; layers behave as in prediction unless `train_mode`."""
    return _Scope(False, train_mode)


def train_mode() -> _Scope:
    """Let layers behave as in training, recording unchanged."""
    return _Scope(None, True)


def predict_mode() -> _Scope:
    """Let layers behave as in prediction, recording unchanged."""
    return _Scope(None, False)


def is_recording() -> bool:
    """Say whether calls on this thread are recorded."""
    return state.recording


def is_training() -> bool:
    """Say whether layers on this thread behave as in training."""
    return state.training


def set_recording(is_recording: bool) -> bool:
    """Switch recording on or off and return the flag before."""
    before, state.recording = state.recording, bool(is_recording)
    return before


def set_training(train_mode: bool) -> bool:
    """Switch training behaviour on or off and return the flag before."""
    before, state.training = state.training, bool(train_mode)
    return before


def mark_variables(
    variables: NDArray | Sequence[NDArray],
    gradients: NDArray | Sequence[NDArray],
    grad_reqs: str | Sequence[str] = "write",
) -> None:
    """Ask for gradients of `variables` into the given arrays."""
    arrays, grads = _listed(variables), _listed(gradients)
    reqs = [grad_reqs] * len(arrays) if isinstance(grad_reqs, str) else list(grad_reqs)
    for array, gradient, req in zip(arrays, grads, reqs, strict=True):
        tape.attach(array, gradient, req)


def backward(
    heads: NDArray | Sequence[NDArray],
    head_grads: NDArray | Sequence[NDArray | None] | None = None,
    retain_graph: bool = False,
    train_mode: bool = True,
) -> None:
    """Compute the gradients of all heads at once; head gradients default to ones."""
    arrays = _listed(heads)
    tape.backward(arrays, _seeds(arrays, head_grads), retain_graph)


def grad(
    heads: NDArray | Sequence[NDArray],
    variables: NDArray | Sequence[NDArray],
    head_grads: NDArray | Sequence[NDArray | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    train_mode: bool = True,
) -> Any:
    """Return the gradients of `heads` for `variables` as new arrays; `.grad` stays as it is.

    With `create_graph` the gradients are recorded themselves, for higher derivatives.
    """
    arrays, wanted = _listed(heads), _listed(variables)
    keep = create_graph if retain_graph is None else retain_graph
    found = tape.grad(arrays, wanted, _seeds(arrays, head_grads), keep, create_graph)
    return found[0] if isinstance(variables, NDArray) else found


def _listed(arrays: NDArray | Sequence[NDArray]) -> list[NDArray]:
    return [arrays] if isinstance(arrays, NDArray) else list(arrays)


def _seeds(
    heads: list[NDArray], head_grads: NDArray | Sequence[NDArray | None] | None
) -> list[NDArray | None]:
    if head_grads is None:
        return [None] * len(heads)
    return [head_grads] if isinstance(head_grads, NDArray) else list(head_grads)
