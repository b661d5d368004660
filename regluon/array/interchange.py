"""Arrays from and to the outside: lists, NumPy, torch, files; and waiting for everything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as onp
import torch
from torch import Tensor

from regluon.array import dispatch, serialize
from regluon.array.arguments import as_tensor
from regluon.array.handle import Handle
from regluon.array.ndarray import NDArray
from regluon.array.np_ndarray import ndarray
from regluon.base import ContextError, MXNetError
from regluon.context import Context, cpu, current_context, gpu
from regluon.engine.selection import selected
from regluon.ops.dtype import torch_dtype


A = TypeVar("A", bound=NDArray)


def make(source: Any, ctx: Context | None, dtype: Any, cls: type[A]) -> A:
    """Return a new array of class `cls` with a copy of `source`, any array or nested list."""
    ctx = dispatch.checked_context(ctx) or (
        source._ctx if isinstance(source, Handle) else current_context()
    )
    wanted = None if dtype is None else torch_dtype(dtype)
    if isinstance(source, Handle):
        dispatch.wait(source)
        source = source.value()
    elif wanted is None and cls is not ndarray and not isinstance(source, Tensor):
        wanted = torch.float32
    if isinstance(source, (list, tuple)) and any(isinstance(item, Handle) for item in source):
        source = [item.asnumpy() if isinstance(item, NDArray) else item for item in source]
    tensor = as_tensor(source, wanted, ctx.device)
    if cls is not ndarray and tensor.dim() == 0:
        tensor = tensor.reshape(1)
    return cls(tensor, ctx)


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Return a new array with the values of a nested list, NumPy array, torch tensor or array.

    dtype: float32 unless given, or that of `source_array` if it is an array of ours or torch's.

    >>> import regluon as mx
    >>> mx.nd.array([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    return make(source_array, ctx, dtype, NDArray)


def np_array(object: Any, dtype: Any = None, ctx: Context | None = None) -> ndarray:
    """Return a new array with the values of a nested list, NumPy array, torch tensor or array.

    dtype: that of `object` if it is an array of any kind, else float32, unless given.

    >>> import regluon as mx
    >>> mx.np.array([1, 2])
    array([1., 2.])
    """
    return make(object, ctx, dtype, ndarray)


def context_of(tensor: Tensor) -> Context:
    """Return the context of a torch tensor."""
    if tensor.device.type == "cpu":
        return cpu()
    if tensor.device.type == "cuda":
        return gpu(tensor.device.index or 0)
    raise ContextError(f"regluon has no context for torch device {tensor.device}")


def wrap(tensor: Tensor, cls: type[A], ctx: Context | None = None) -> A:
    """Return an array of class `cls` on the storage of a torch tensor."""
    if not isinstance(tensor, Tensor):
        raise MXNetError(f"from_torch needs a torch.Tensor, not {type(tensor).__name__}")
    plain = tensor.detach()
    if cls is not ndarray and plain.dim() == 0:
        plain = plain.reshape(1)
    return cls(plain, ctx or context_of(tensor))


def from_torch(tensor: Tensor, ctx: Context | None = None) -> NDArray:
    """Return an array that shares the storage of a torch tensor; gradients do not cross.

    The engine writes when it likes: wait for the array before looking at the tensor.

    >>> import regluon as mx, torch
    >>> t = torch.zeros(2)
    >>> x = mx.nd.from_torch(t)
    >>> x[:] = 1
    >>> x.wait_to_read()
    >>> t.tolist()
    [1.0, 1.0]
    """
    return wrap(tensor, NDArray, ctx)


def np_from_torch(tensor: Tensor, ctx: Context | None = None) -> ndarray:
    """Return a NumPy-like array on the storage of a torch tensor; gradients do not cross."""
    return wrap(tensor, ndarray, ctx)


def from_numpy(ndarray: Any, zero_copy: bool = True) -> NDArray:
    """Return an array on the memory of a C-contiguous NumPy array, or on a copy of it."""
    if not isinstance(ndarray, onp.ndarray):
        raise MXNetError(f"from_numpy needs a NumPy array, not {type(ndarray).__name__}")
    if not zero_copy:
        return wrap(torch.tensor(ndarray), NDArray)
    if not (ndarray.flags.c_contiguous and ndarray.flags.writeable):
        raise MXNetError("from_numpy without a copy needs a C-contiguous, writeable NumPy array")
    return wrap(torch.from_numpy(ndarray), NDArray)


def waitall() -> None:
    """Return when every operator called so far is finished; raise what failed."""
    selected.engine.wait_all()


def save(fname: str | Path, data: Any) -> None:
    """Write an array, a list of arrays or a dict of name to array; `.params` in MXNet's format.

    A name that ends in `.safetensors` gives a safetensors file. The write is all or nothing.
    """
    arrays = [data] if isinstance(data, NDArray) else data
    items = arrays.items() if isinstance(arrays, Mapping) else enumerate(arrays)
    tensors: dict[Any, Tensor] = {}
    for name, item in items:
        if not isinstance(item, NDArray):
            raise MXNetError(f"save needs arrays; {name!r} is a {type(item).__name__}")
        tensors[name] = item.to_torch()
    plain = tensors if isinstance(arrays, Mapping) else list(tensors.values())
    kind = "safetensors" if str(fname).endswith(".safetensors") else "params"
    serialize.save(fname, plain, format=kind)


def load(fname: str | Path) -> Any:
    """Read a file of `save`, MXNet or safetensors: a list of arrays, or a dict of name to array."""
    return _loaded(fname, NDArray)


def np_load(file: str | Path) -> Any:
    """Read a file of arrays as NumPy-like arrays: a list, or a dict of name to array."""
    return _loaded(file, ndarray)


def _loaded(fname: str | Path, cls: type[A]) -> list[A] | dict[str, A]:
    found: Sequence[Tensor] | Mapping[str, Tensor] = serialize.load(fname)
    if isinstance(found, Mapping):
        return {name: wrap(tensor, cls) for name, tensor in found.items()}
    return [wrap(tensor, cls) for tensor in found]
