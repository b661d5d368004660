"""Contexts: where an array lives. `cpu(i)` are distinct logical devices, `gpu(i)` is `cuda:i`."""

import threading
from types import TracebackType
from typing import ClassVar

import torch

from regluon.base import ContextError


class Context:
    """A device by type and number; equal contexts are one object.

    Several `cpu(i)` share the machine's memory and cores but never mix in one operator, so a
    program for many devices runs, and is tested, without any GPU.

    >>> cpu(1) is Context("cpu", 1)
    True
    >>> with cpu(1):
    ...     current_context()
    cpu(1)
    """

    __slots__ = ("_device", "_outer", "device_id", "device_type")

    _known: ClassVar[dict[tuple[str, int], "Context"]] = {}
    _types: ClassVar[tuple[str, ...]] = ("cpu", "gpu", "cpu_pinned", "cpu_shared")

    device_type: str
    device_id: int
    _device: torch.device | None
    _outer: threading.local

    def __new__(cls, device_type: "str | Context", device_id: int = 0) -> "Context":
        """Return the one context of this type and number."""
        if isinstance(device_type, Context):
            return device_type
        if device_type not in cls._types:
            raise ContextError(
                f"unknown device type {device_type!r}; known: {', '.join(cls._types)}"
            )
        if not isinstance(device_id, int) or device_id < 0:
            raise ContextError(f"a device number must be an integer from 0, not {device_id!r}")
        key = (device_type, device_id)
        found = cls._known.get(key)
        if found is None:
            found = object.__new__(cls)
            found.device_type, found.device_id = key
            found._device = None
            found._outer = threading.local()
            found = cls._known.setdefault(key, found)
        return found

    @property
    def device(self) -> torch.device:
        """The torch device with this context's memory; raises ContextError for a missing GPU."""
        if self._device is None:
            self._device = self._find_device()
        return self._device

    def _find_device(self) -> torch.device:
        if self.device_type != "gpu":
            return torch.device("cpu")
        count = num_gpus()
        if self.device_id >= count:
            found = ", ".join(f"gpu({i})" for i in range(count)) or "no GPU"
            raise ContextError(
                f"{self} does not exist here: torch {torch.__version__} found {found}; "
                "use mx.cpu(), or choose with mx.num_gpus()"
            )
        return torch.device("cuda", self.device_id)

    def empty_cache(self) -> None:
        """Give cached GPU memory back to the system; does nothing on a CPU."""
        if self.device_type == "gpu":
            torch.cuda.empty_cache()

    def __enter__(self) -> "Context":
        if not hasattr(self._outer, "stack"):
            self._outer.stack = []
        self._outer.stack.append(_local.current)
        _local.current = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _local.current = self._outer.stack.pop()

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    def __reduce__(self) -> tuple[type["Context"], tuple[str, int]]:
        return Context, (self.device_type, self.device_id)


def cpu(device_id: int = 0) -> Context:
    """Return the CPU context of this number."""
    return Context("cpu", device_id)


def gpu(device_id: int = 0) -> Context:
    """Return the GPU context of this number; a missing GPU is an error when it is first used."""
    return Context("gpu", device_id)


def cpu_pinned(device_id: int = 0) -> Context:
    """Return the context of page-locked CPU memory, from which copies to a GPU are fast."""
    return Context("cpu_pinned", device_id)


def num_gpus() -> int:
    """Return how many GPUs torch can use."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def gpu_memory_info(device_id: int = 0) -> tuple[int, int]:
    """Return the free and the total memory of a GPU in bytes."""
    return torch.cuda.mem_get_info(gpu(device_id).device)


class _Local(threading.local):
    current: Context = cpu(0)


_local = _Local()


def current_context() -> Context:
    """Return the context that new arrays of this thread are made on."""
    return _local.current
