"""Arguments of calls: flattening, conversion, their specs and their values."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as onp
import torch
from torch import Tensor

from regluon.array.handle import Handle
from regluon.base import ContextError, DTypeError, user_line
from regluon.context import Context


def as_tensor(source: Any, dtype: torch.dtype | None, device: torch.device) -> Tensor:
    """Copy a nested list, NumPy array, number or tensor to a new tensor; default dtype float32."""
    if isinstance(source, Tensor):
        return source.detach().to(device=device, dtype=dtype or source.dtype, copy=True)
    try:
        plain = onp.asarray(source)
        if dtype is None and not isinstance(source, onp.ndarray):
            plain = plain.astype(onp.float32)
        kept = onp.ascontiguousarray(plain).reshape(plain.shape)
        return torch.tensor(kept, dtype=dtype, device=device)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"cannot make an array of {type(source).__name__}: {error}") from error


def flat(args: Sequence[Any]) -> Iterator[Any]:
    """Yield the arguments with lists opened and None left out."""
    for arg in args:
        if isinstance(arg, (list, tuple)):
            yield from arg
        elif arg is not None:
            yield arg


def out_list(out: Any) -> list[Handle]:
    """Return an `out=` argument as a list."""
    if out is None:
        return []
    return list(out) if isinstance(out, (list, tuple)) else [out]


def drawn_as(attrs: dict[str, Any], out: Any, *parameters: Any) -> dict[str, Any]:
    """Return the attributes of a draw: a `shape` or `dtype` that was not given is that of `out`.

    Array parameters have shapes of their own, and leave the attributes as they are.
    """
    if not isinstance(out, Handle) or any(isinstance(item, Handle) for item in parameters):
        return attrs
    own = {"shape": out.spec.shape, "dtype": out.spec.dtype}
    return {name: own.get(name) if value is None else value for name, value in attrs.items()}


def spec_argument(arg: Any) -> Any:
    """Return what `infer` sees of an argument."""
    if isinstance(arg, Handle):
        return arg.spec
    return [item.spec for item in arg] if isinstance(arg, list) else arg


def value_argument(arg: Any, graph: set[int]) -> Any:
    """Return what the kernel sees: the tensor with gradients for arrays whose id is in `graph`."""
    if isinstance(arg, Handle):
        return arg.graph_value() if id(arg) in graph else arg.value()
    return [value_argument(item, graph) for item in arg] if isinstance(arg, list) else arg


def checked_context(ctx: Context | None) -> Context | None:
    """Return a `ctx=` argument, or raise when it is something else, such as a torch device."""
    if ctx is not None and not isinstance(ctx, Context):
        raise ContextError(
            f"ctx must be a context such as mx.cpu(), not {ctx!r} (at {user_line()})"
        )
    return ctx
