"""Arrays from and to the outside: lists, NumPy, torch, files; and waiting for everything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as onp
import torch
from torch import Tensor

from regluon.array import dispatch, serialize
from regluon.array.arguments import as_tensor, checked_context
from regluon.array.dlpack import taken
from regluon.array.handle import Handle
from regluon.array.ndarray import NDArray
from regluon.array.np_ndarray import ndarray
from regluon.base import ContextError, MXNetError
from regluon.context import Context, cpu, current_context, gpu
from regluon.engine.selection import selected
from regluon.ops.dtype import torch_dtype


A = TypeVar("A", bound=NDArray)

_SUFFIXES = (".safetensors", ".npz", ".npy")


def make(source: Any, ctx: Context | None, dtype: Any, cls: type[A]) -> A:
    """Return a new array of class `cls` with a copy of `source`, any array or nested list."""
    ctx = checked_context(ctx) or (source._ctx if isinstance(source, Handle) else current_context())
    wanted = None if dtype is None else torch_dtype(dtype)
    if isinstance(source, Handle):
        dispatch.wait(source)
        source = source.value()
    elif wanted is None and cls is not ndarray and not isinstance(source, Tensor):
        wanted = torch.float32
    if isinstance(source, (list, tuple)) and any(isinstance(item, Handle) for item in source):
        source = [item.asnumpy() if isinstance(item, NDArray) else item for item in source]
    tensor = as_tensor(source, wanted, ctx.device)
    return cls(_with_axes(tensor, cls), ctx)


def _with_axes(tensor: Tensor, cls: type[NDArray]) -> Tensor:
    """Give a number the axis that it has in `nd`, unless `np_shape` is on."""
    number = tensor.dim() == 0 and cls is not ndarray and not dispatch.state.np_shape
    return tensor.reshape(1) if number else tensor


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
    return cls(_with_axes(tensor.detach(), cls), ctx or context_of(tensor))


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


def from_numpy(ndarray: Any, zero_copy: bool = True, array_cls: type[A] = NDArray) -> A:  # type: ignore[assignment]
    """Return an array on the memory of a C-contiguous NumPy array, or on a copy of it."""
    if not isinstance(ndarray, onp.ndarray):
        raise MXNetError(f"from_numpy needs a NumPy array, not {type(ndarray).__name__}")
    if not zero_copy:
        return wrap(torch.tensor(ndarray), array_cls)
    if not (ndarray.flags.c_contiguous and ndarray.flags.writeable):
        raise MXNetError("from_numpy without a copy needs a C-contiguous, writeable NumPy array")
    return wrap(torch.from_numpy(ndarray), array_cls)


def np_from_numpy(array: Any, zero_copy: bool = True) -> ndarray:
    """Return a NumPy-like array on the memory of a NumPy array, or on a copy of it."""
    return from_numpy(array, zero_copy, ndarray)


def from_dlpack(dlpack: Any) -> NDArray:
    """Return an array on the memory of a DLPack capsule or of an object with `__dlpack__`.

    >>> import regluon as mx, torch
    >>> t = torch.zeros(2)
    >>> x = mx.nd.from_dlpack(t)
    >>> x[:] = 1
    >>> x.wait_to_read()
    >>> t.tolist()
    [1.0, 1.0]
    """
    return wrap(taken(dlpack), NDArray)


def np_from_dlpack(x: Any) -> ndarray:
    """Return a NumPy-like array on the memory of a DLPack capsule or an object that has one."""
    return wrap(taken(x), ndarray)


def waitall() -> None:
    """Return when every operator called so far is finished; raise what failed."""
    selected.engine.wait_all()


def save(fname: str | Path, data: Any) -> None:
    """Write an array, a list of arrays or a dict of name to array; all or nothing.

    The suffix tells the format: `.safetensors`, `.npz`, `.npy` (one array), else MXNet's.
    """
    arrays = [data] if isinstance(data, NDArray) else data
    items = arrays.items() if isinstance(arrays, Mapping) else enumerate(arrays)
    tensors: dict[Any, Tensor] = {name: _saved(name, item) for name, item in items}
    plain = tensors if isinstance(arrays, Mapping) else list(tensors.values())
    suffix = Path(fname).suffix
    serialize.save(fname, plain, format=suffix[1:] if suffix in _SUFFIXES else "params")


def np_save(file: str | Path, arr: Any) -> None:
    """Write one array to a `.npy` file; the suffix is added where it is missing."""
    serialize.save(_suffixed(file, ".npy"), [_saved("arr", arr)], format="npy")


def np_savez(file: str | Path, *args: Any, **kwds: Any) -> None:
    """Write arrays to a `.npz` file, those without a name as `arr_0`, `arr_1` and so on.

    >>> import regluon as mx, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mx.npx.savez(folder + "/two.npz", mx.np.ones(2), bias=mx.np.zeros(1))
    ...     sorted(mx.npx.load(folder + "/two.npz"))
    ['arr_0', 'bias']
    """
    named = {f"arr_{place}": array for place, array in enumerate(args)}
    if both := sorted(named.keys() & kwds.keys()):
        raise MXNetError(f"savez has an array without a name and another one called {both[0]!r}")
    tensors = {name: _saved(name, array) for name, array in {**named, **kwds}.items()}
    serialize.save(_suffixed(file, ".npz"), tensors, format="npz")


def load(fname: str | Path) -> Any:
    """Read a file of `save`, MXNet, NumPy or safetensors: a list of arrays, or a dict by name."""
    return _wrapped(serialize.load(fname), NDArray)


def load_frombuffer(buf: bytes) -> Any:
    """Read what `load` reads from the bytes of a file."""
    return _wrapped(serialize.load_bytes(buf), NDArray)


def npx_load(file: str | Path) -> Any:
    """Read a file of arrays as NumPy-like arrays: a list, or a dict of name to array."""
    return _wrapped(serialize.load(file), ndarray)


def np_load(file: str | Path) -> Any:
    """Read a file of arrays as NumPy-like arrays: one for `.npy`, a dict of name to array, a list.

    >>> import regluon as mx, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mx.np.save(folder + "/one.npy", mx.np.array([1, 2]))
    ...     mx.np.load(folder + "/one.npy")
    array([1., 2.])
    """
    found = _wrapped(serialize.load(file), ndarray)
    if isinstance(found, list) and serialize.kind_of(file) == "npy":
        return found[0]
    return found


def _saved(name: Any, array: Any) -> Tensor:
    if not isinstance(array, NDArray):
        raise MXNetError(f"only arrays are saved; {name!r} is a {type(array).__name__}")
    dispatch.wait(array)
    return array.value()


def _suffixed(file: str | Path, suffix: str) -> str:
    return str(file) if str(file).endswith(suffix) else f"{file}{suffix}"


def _wrapped(
    found: Sequence[Tensor] | Mapping[str, Tensor], cls: type[A]
) -> list[A] | dict[str, A]:
    if isinstance(found, Mapping):
        return {name: wrap(tensor, cls) for name, tensor in found.items()}
    return [wrap(tensor, cls) for tensor in found]
