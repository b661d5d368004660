"""Copies of a value on several contexts, as leaves of the graph with their gradients."""

from collections.abc import Sequence

import torch

from regluon.array import dispatch, tape
from regluon.array.ndarray import NDArray
from regluon.base import ContextError
from regluon.context import Context, current_context


Contexts = Context | Sequence[Context] | None


def plain_shape(shape: int | Sequence[int] | None) -> tuple[int, ...] | None:
    """Return a shape as a tuple with 0 for unknown lengths."""
    if shape is None:
        return None
    lengths = (shape,) if isinstance(shape, int) else tuple(int(length) for length in shape)
    return tuple(0 if length == -1 else length for length in lengths)


def list_contexts(ctx: Contexts) -> list[Context]:
    """Return the contexts that were asked for, the current one by default, each once."""
    given = [ctx or current_context()] if ctx is None or isinstance(ctx, Context) else list(ctx)
    for item in given:
        if dispatch.checked_context(item) is None or given.count(item) > 1:
            raise ContextError(f"ctx must be a context or a list of different ones, not {ctx}")
    if not given:
        raise ContextError("ctx is an empty list: give at least one context")
    return given


def by_context(arrays: Sequence[NDArray]) -> dict[Context | None, NDArray]:
    """Return the arrays by context, and by None if there is only one."""
    table: dict[Context | None, NDArray] = {array.context: array for array in arrays}
    if len(arrays) == 1:
        table[None] = arrays[0]
    return table


def attach(array: NDArray, req: str, twin: torch.Tensor | None) -> NDArray | None:
    """Make `array` a leaf of the graph, as `req` says, and return its gradient.

    A twin is the same value in a torch module: it follows into the array's storage, and if it is a
    `torch.nn.Parameter`, it is the leaf.
    """
    dispatch.wait(array)
    value = array.value()
    if twin is None and value.dim() == 4 and value.device.type == "cpu":
        # Kernels of convolutions: oneDNN is faster with the channels last, in memory only.
        value = array._data = value.contiguous(memory_format=torch.channels_last)
    grad = None if req == "null" else type(array)(torch.zeros_like(value), array.context)
    if twin is not None:
        twin.data = value
    if isinstance(twin, torch.nn.Parameter):
        twin.requires_grad_(req != "null")
        if req != "null":
            tape.adopt(array, twin, grad, req)
            return grad
    tape.attach(array, grad, req)
    return grad
