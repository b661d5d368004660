"""Errors at the door: what failed, on which shapes, at which line of the user's program."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from regluon.array.arguments import flat, spec_argument
from regluon.array.handle import Handle
from regluon.base import (
    ArgumentError,
    ContextError,
    DTypeError,
    MXNetError,
    OutOfRangeError,
    ShapeError,
    user_line,
)
from regluon.ops.dtype import dtype_name
from regluon.ops.registry import Op, Spec


_WORDS: tuple[tuple[str, type[MXNetError], str], ...] = (
    (r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)", ShapeError,
     "the shapes cannot be broadcast together: {0} and {1} meet on one axis"),
    (r"except in dimension (\d+)\D+(\d+) but got size (\d+) for tensor number (\d+)", ShapeError,
     "the arrays may differ on axis {0} only, but array {3} has {2} where the first has {1}"),
    (r"equal size, but got (.+) at entry 0 and (.+) at entry (\d+)", ShapeError,
     "the arrays must have one shape: array {2} has {1}, the first {0}"),
    (r"multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)", ShapeError,
     "shapes cannot be multiplied: ({0}, {1}) and ({2}, {3}), where {1} columns meet {2} rows"),
    (r"same reduction dim, but got \[(.+)\] X \[(.+)\]", ShapeError,
     "shapes cannot be multiplied: ({0}) and ({1})"),
    (r"with two bool tensors", DTypeError,
     "truth values cannot be subtracted; logical_xor says where they differ"),
    (r"same dtype|should be the same|to have the same d?type", DTypeError,
     "the arrays must have one dtype: bring them to one with astype"),
    (r"not implemented for '|could not infer output dtype|requires a floating point input|"
     r"Unsupported dtype|doesn't support tensors of type|dtypes not supported|only supported for|"
     r"expected scalar type|equal to src.dtype", DTypeError,
     "the operator does not take these dtypes; convert with x.astype('float32')"),
    (r"ZeroDivisionError", ArgumentError, "a whole number is divided by zero"),
    (r"Repeats must be non-negative|tensor with negative dimension", ShapeError,
     "a length cannot be negative"),
)  # fmt: skip
"""What torch says, as a pattern; the class of the error; and our words, or "" for torch's."""


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
    """Return the error with the operator, its shapes and the user's line in the message.

    Attributes are named where they are not the usual ones. What `infer` has to say of the call
    comes first, so that every engine says the same.
    """
    missing = _not_given(op, args)
    try:
        _ = missing or op.dynamic or op.infer(*(spec_argument(arg) for arg in args), **attrs)
    except Exception as said:
        error = said
    given = {name: repr(value) for name, value in attrs.items() if name != "training"}
    usual = {name: repr(op.attrs.get(name)) for name in given}
    shown = ", ".join(
        [_describe(arg) for arg in args]
        + [f"{name}={text}" for name, text in given.items() if text != usual[name]]
    )
    kind, words = _explained(missing or error)
    return kind(f"{words}\n  in {op.title}({shown})\n  called at {site or user_line()}")


def check_given(op: Op, args: Sequence[Any], attrs: dict[str, Any]) -> None:
    """Raise if an argument is None that the operator cannot do without."""
    missing = _not_given(op, args)
    if missing is not None:
        raise located(missing, op, args, attrs, "")


def _not_given(op: Op, args: Sequence[Any]) -> DTypeError | None:
    """Return the error for None as an argument that the operator cannot do without."""
    if not any(arg is None for arg in args):
        return None
    names = (*op.arrays, *itertools.repeat(op.arrays[-1], len(args) - len(op.arrays)))
    empty = (name for name, arg in zip(names, args, strict=False) if arg is None)
    needed = [name for name in empty if name not in op.optional]
    return DTypeError(f"{op.title} needs an array as {needed[0]!r}, not None") if needed else None


def _explained(error: Exception) -> tuple[type[MXNetError], str]:
    """Return the class and words for an error of torch, which has one class for all of them."""
    text = str(error).rstrip()
    if isinstance(error, MXNetError):
        return type(error), text
    for pattern, kind, words in _WORDS:
        found = re.search(pattern, text)
        if found:
            return kind, words.format(*found.groups()) or text
    if isinstance(error, (TypeError, AttributeError)):  # of Python, about a value in our own code
        return DTypeError, f"an argument is of the wrong kind: {text}"
    return (OutOfRangeError if isinstance(error, IndexError) else MXNetError), text


def mixed_contexts(op: Op, args: Sequence[Any]) -> ContextError:
    """Return the error for arrays of several contexts in one call."""
    found = [array._ctx for array in flat(args) if isinstance(array, Handle)]
    names = " and ".join(dict.fromkeys(str(ctx) for ctx in found))
    return ContextError(
        f"{op.title} was given arrays on {names}; bring them together with "
        f"x.as_in_context(ctx) (at {user_line()})"
    )


def recorded_write(op: Op, array: Handle) -> MXNetError:
    """Return the error for a write in place to an array that gradients flow through."""
    return MXNetError(
        f"{op.title} writes in place to an array of shape {array.spec.shape} that is being "
        "recorded for gradients; compute a new array, or write outside autograd.record() "
        f"(at {user_line()})"
    )


def unfit_out(
    out: Sequence[Handle], results: Sequence[Spec | Tensor], free: bool
) -> MXNetError | None:
    """Return the error if arrays in `out=` differ from the results, in dtype too unless `free`."""
    if out and len(out) != len(results):
        return ShapeError(f"out has {len(out)} arrays, the result {len(results)}")
    for array, result in zip(out, results, strict=False):
        spec, shape = array.spec, tuple(result.shape)
        if spec.shape != shape:
            return ShapeError(f"out has shape {spec.shape}, the result {shape}")
        if spec.dtype != result.dtype and not free:
            kept, given = dtype_name(spec.dtype), dtype_name(result.dtype)
            return DTypeError(
                f"out is {kept}, the result {given}; write y = ... for a new array, or bring the "
                f"operands to {kept} with astype"
            )
    return None


def placed(error: Exception, place: tuple[Any, Any] | None) -> Exception:
    """Return the error of a queued call with the path to the block that issued it."""
    while place is not None:
        block, place = place
        error = block.locate(error)
    return error
