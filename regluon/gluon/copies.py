"""Copies of a value on several contexts, as leaves of the graph with their gradients."""

import copy
from collections.abc import Sequence
from typing import Any

import torch

from regluon.array import dispatch, tape
from regluon.array.arguments import checked_context
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
        if checked_context(item) is None or given.count(item) > 1:
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
    if twin is None:
        value = array._data = _in_order(value)
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


def _in_order(value: torch.Tensor) -> torch.Tensor:
    """Return the value with the strides that parameters of its kind have, in a copy if need be.

    Kernels of convolutions on a CPU have the channels last, in memory only: oneDNN is faster so.
    Torch's `contiguous` would keep the strides of 1 x 1 and depthwise kernels, which fit two
    formats. Kernels are chosen by strides: if they depended on where values come from, such as a
    transposed weight in a file, the same weights would give results that differ in the last bits.
    """
    if value.dim() != 4 or value.device.type != "cpu":
        return value.contiguous()
    _, channels, height, width = value.shape
    strides = (channels * height * width, 1, width * channels, channels)
    if value.stride() == strides:
        return value
    return torch.empty_strided(value.shape, strides, dtype=value.dtype).copy_(value)


class Owner:
    """Tells the parameter of a tensor in a torch module; a copied tensor has none as yet."""

    __slots__ = ("param",)

    def __init__(self, param: Any) -> None:
        self.param = param

    def __deepcopy__(self, memo: dict[int, Any]) -> "Owner":
        return Owner(None)


def deep_copy(param: Any, memo: dict[int, Any]) -> Any:
    """Return a copy of a parameter with values and gradients of its own.

    A tensor of a torch module that shares the values is copied with it, once for all that hold it.
    """
    new = memo[id(param)] = object.__new__(type(param))
    apart = {"_copies", "_data", "_grads", "_grad", "_twin"}
    for name, value in vars(param).items():
        vars(new)[name] = None if name in apart else copy.deepcopy(value, memo)
    new._copies = [copy.copy(array) for array in param._copies]
    new._data, new._grads, new._grad = by_context(new._copies), [], {}
    if param._twin is not None:
        new.adopt(copy.deepcopy(param._twin, memo))
    elif new._copies:
        new._attach()
    return new
