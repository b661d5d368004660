"""Scopes that record calls and switch training behaviour; backward over what was recorded."""

import functools
from collections.abc import Callable, Sequence
from threading import get_ident
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from regluon.array import tape
from regluon.array.dispatch import state
from regluon.array.function import Function as Function
from regluon.array.ndarray import NDArray
from regluon.base import MXNetError, user_line


F = TypeVar("F", bound=Callable[..., Any])


class _Scope:
    """Sets this thread's recording and training flags inside `with` or a decorated function."""

    def __init__(self, recording: bool | None, training: bool | None) -> None:
        if callable(training):
            raise MXNetError(
                f"write the decorator with parentheses: @autograd.record() (at {user_line()})"
            )
        self._wanted = (recording, training)
        self._before: dict[int, list[tuple[bool, bool]]] = {}  # per thread: scopes may be shared

    def __enter__(self) -> None:
        self._before.setdefault(get_ident(), []).append((state.recording, state.training))
        recording, training = self._wanted
        if recording is not None:
            state.recording = bool(recording)
        if training is not None:
            state.training = bool(training)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        before = self._before[get_ident()].pop()
        recording, training = self._wanted
        if recording is not None:
            state.recording = before[0]
        if training is not None:
            state.training = before[1]

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def scoped(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return scoped  # type: ignore[return-value]


def record(train_mode: bool = True) -> _Scope:
    """Record calls for gradients; layers behave as in training unless `train_mode` is False.

    The scope is this thread's alone. All four scopes are for `with`, any number of times, and
    decorate functions: `@autograd.record()`.

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
    """Ask for gradients of `variables` into the given arrays, which `x.grad` then is.

    `grad_reqs` is "write", "add" or "null", for all or for each. A gradient has the shape, dtype
    and context of its variable; it may be a view, such as a row of a larger array.

    >>> import regluon as mx
    >>> x, g = mx.nd.array([2.0]), mx.nd.zeros((1,))
    >>> mark_variables(x, g)
    >>> with record():
    ...     y = x * x
    >>> y.backward()
    >>> g.item()
    4.0
    """
    arrays, grads = _listed(variables), _listed(gradients)
    reqs = [grad_reqs] * len(arrays) if isinstance(grad_reqs, str) else list(grad_reqs)
    if not len(arrays) == len(grads) == len(reqs):
        raise MXNetError(
            f"{len(arrays)} variables, {len(grads)} gradients and {len(reqs)} grad_reqs were "
            f"given: as many of each are needed (at {user_line()})"
        )
    for req in reqs:
        tape.check_request(req)
    for array, gradient, req in zip(arrays, grads, reqs, strict=True):
        tape.attach(array, gradient, req)


def backward(
    heads: NDArray | Sequence[NDArray],
    head_grads: NDArray | Sequence[NDArray | None] | None = None,
    retain_graph: bool = False,
    train_mode: bool = True,
) -> None:
    """Compute the gradients of all heads at once, into `.grad` of the arrays that asked for them.

    `head_grads` weigh the heads, by shape and dtype like them; None, for all or for one, means
    ones. The record is freed unless `retain_graph`. `train_mode` is what `is_training()` says
    inside the `backward` of a `Function`; operators do as they did when they were recorded.
    """
    arrays = _listed(heads)
    tape.backward(arrays, _seeds(arrays, head_grads), retain_graph, train_mode)


def grad(
    heads: NDArray | Sequence[NDArray],
    variables: NDArray | Sequence[NDArray],
    head_grads: NDArray | Sequence[NDArray | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    train_mode: bool = True,
) -> list[Any]:
    """Return the gradients of `heads` for `variables` as new arrays; `.grad` stays as it is.

    The result is a list, for a single variable too, as in MXNet. With `create_graph` the gradients
    are recorded themselves, for higher derivatives, and the record is kept. Variables may be
    results inside the graph as well. One that the heads do not depend on is an error.

    >>> import regluon as mx
    >>> x = mx.nd.array([2.0])
    >>> x.attach_grad()
    >>> with record():
    ...     y = x * x * x
    ...     (slope,) = grad(y, x, create_graph=True)
    >>> slope.backward()
    >>> slope.item(), x.grad.item()
    (12.0, 12.0)
    """
    arrays, wanted = _listed(heads), _listed(variables)
    if not wanted:
        raise MXNetError(f"grad() needs at least one variable (at {user_line()})")
    keep = create_graph or bool(retain_graph)
    seeds = _seeds(arrays, head_grads)
    return tape.grad(arrays, wanted, seeds, keep, create_graph, train_mode)


def get_symbol(x: NDArray) -> NoReturn:
    """Raise: what is recorded is torch's graph, there is no `Symbol` of it.

    Instead of `get_symbol(y).list_arguments()`, the arrays with gradients are those that had
    `attach_grad()`, or `net.collect_params()`. The layers of a network and their shapes are
    `net.summary(x)`. Torch's graph is `net.as_torch()(tensor).grad_fn`.
    """
    raise MXNetError(
        "autograd.get_symbol: no Symbol is kept of what was recorded; use net.summary(x) for the "
        f"layers of a network, net.collect_params() for its arguments (at {user_line()})"
    )


def _listed(arrays: NDArray | Sequence[NDArray]) -> list[NDArray]:
    found = [arrays] if isinstance(arrays, NDArray) else list(arrays)
    for item in found:
        if not isinstance(item, NDArray):
            raise MXNetError(f"an array is needed, not {type(item).__name__} (at {user_line()})")
    return found


def _seeds(
    heads: list[NDArray], head_grads: NDArray | Sequence[NDArray | None] | None
) -> list[NDArray | None]:
    if head_grads is None:
        return [None] * len(heads)
    return [head_grads] if isinstance(head_grads, NDArray) else list(head_grads)
