"""DLPack: the memory of arrays lent to other libraries, and theirs taken in, without a copy.

The other side sees the memory as it is, whatever is written to it later, by either side. So all
work on the array is finished before the memory is handed out, and an array that shares storage by
a lazy copy gets its own first. What the other side then writes is unknown to the graph: an array
that is being recorded is refused.
"""

from collections.abc import Callable
from typing import Any

import numpy as onp
import torch
from torch.autograd.graph import increment_version
from torch.utils import dlpack

from regluon.array import dispatch
from regluon.base import MXNetError, user_line


_CAPSULE: Callable[[torch.Tensor], Any] = getattr(dlpack, "to_dlpack")  # noqa: B009
_TENSOR: Callable[[Any], torch.Tensor] = getattr(dlpack, "from_dlpack")  # noqa: B009


def capsule(
    self: Any,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[Any, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """Return the memory as a DLPack capsule: what `torch.from_dlpack(x)` and others ask for."""
    tensor = _lent(self)
    return tensor.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)


def device(self: Any) -> tuple[int, int]:
    """Return DLPack's type and number of the device; does not wait for the values."""
    place = self._ctx.device
    kind = dlpack.DLDeviceType.kDLCUDA if place.type == "cuda" else dlpack.DLDeviceType.kDLCPU
    return int(kind), place.index or 0


def to_dlpack_for_read(data: Any) -> Any:
    """Return a DLPack capsule of the memory of `data`, for reading.

    >>> import regluon as mx, torch
    >>> x = mx.nd.array([1, 2])
    >>> torch.from_dlpack(mx.nd.to_dlpack_for_read(x))
    tensor([1., 2.])
    """
    return _CAPSULE(_lent(data))


def to_dlpack_for_write(data: Any) -> Any:
    """Return a DLPack capsule of the memory of `data`, for writing.

    Work that reads `data` is finished first. To the graph the array counts as written, now: a
    gradient that needs its old values is an error that names this line.

    >>> import regluon as mx, torch
    >>> x = mx.nd.array([1, 2])
    >>> _ = torch.from_dlpack(mx.nd.to_dlpack_for_write(x)).mul_(10)
    >>> x.asnumpy().tolist()
    [10.0, 20.0]
    """
    tensor = _lent(data)
    dispatch.push(_nothing, [data], [data], data._ctx, "to_dlpack_for_write")
    dispatch.wait(data)
    data.root.version += 1
    data.root.site = user_line()
    increment_version(tensor)
    return _CAPSULE(tensor)


def taken(source: Any) -> torch.Tensor:
    """Return a tensor on the memory of a DLPack capsule or of an object that offers one."""
    if isinstance(source, onp.ndarray) and not source.flags.writeable:
        raise MXNetError("this NumPy array is read-only: arrays of ours may be written; copy it")
    try:
        return _TENSOR(source)
    except (AttributeError, BufferError, RuntimeError, TypeError) as error:
        raise MXNetError(
            f"from_dlpack cannot take a {type(source).__name__}: {error}; it takes a capsule that "
            "was not used before, or an object with __dlpack__, whose memory may be written to"
        ) from error


def _lent(array: Any) -> torch.Tensor:
    if not hasattr(array, "to_torch"):
        raise MXNetError(f"DLPack lends arrays of ours, not a {type(array).__name__}")
    if dispatch.state.recording and array.recorded():
        raise MXNetError(
            f"an array of shape {array.shape} is being recorded for gradients, which do not cross "
            "DLPack: give x.detach(), or use gluon.nn.TorchBlock or as_torch() for gradients "
            f"through torch (at {user_line()})"
        )
    tensor: torch.Tensor = array.to_torch()
    return tensor


def _nothing() -> None:
    """Do nothing, in its turn."""
