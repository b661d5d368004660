"""Errors at the door: what failed, on which shapes, at which line of the user's program."""

from collections.abc import Sequence
from typing import Any

from regluon.array.arguments import flat
from regluon.array.handle import Handle
from regluon.base import (
    ContextError,
    DTypeError,
    MXNetError,
    OutOfRangeError,
    ShapeError,
    user_line,
)
from regluon.ops.registry import Op


_WORDS: dict[str, type[MXNetError]] = {
    "must match the size of tensor": ShapeError,
    "Sizes of tensors must match": ShapeError,
    "expects each tensor to be equal size": ShapeError,
    "same dtype": DTypeError,
    "should be the same": DTypeError,
}


def _describe(arg: Any) -> str:
    if isinstance(arg, Handle):
        dtype = str(arg.spec.dtype).removeprefix("torch.")
        return f"{dtype}{list(arg.spec.shape)}"
    if isinstance(arg, list):
        return (
            "["
            + ", ".join(_describe(item) for item in arg[:4])
            + (", ...]" * (len(arg) > 4) or "]")
        )
    return repr(arg)


def located(
    error: Exception, op: Op, args: Sequence[Any], attrs: dict[str, Any], site: str
) -> Exception:
    """Return the error with the operator, its shapes and the user's line in the message."""
    shown = ", ".join(
        [_describe(arg) for arg in args]
        + [f"{k}={v!r}" for k, v in attrs.items() if v is not None and k != "training"]
    )
    message = f"{str(error).rstrip()}\n  in {op.name}({shown})\n  called at {site}"
    if isinstance(error, MXNetError):
        return type(error)(message)
    return _kind(error)(message)


def _kind(error: Exception) -> type[MXNetError]:
    """Return the class for an error of torch, which tells shapes from types only in its text."""
    if isinstance(error, IndexError):
        return OutOfRangeError
    kinds = (kind for words, kind in _WORDS.items() if words in str(error))
    return next(kinds, MXNetError)


def mixed_contexts(op: Op, args: Sequence[Any]) -> ContextError:
    """Return the error for arrays of several contexts in one call."""
    found = [array._ctx for array in flat(args) if isinstance(array, Handle)]
    names = " and ".join(dict.fromkeys(str(ctx) for ctx in found))
    return ContextError(
        f"{op.name} was given arrays on {names}; bring them together with "
        f"x.as_in_context(ctx) (at {user_line()})"
    )
