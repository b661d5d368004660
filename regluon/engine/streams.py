"""Streams: the queues of work on a device, as lanes know them.

    lane "gpu(0)"                   default stream   --k1--k2-----------(1)--k3----
    lane "gpu(0) copy from cpu(0)"  stream beside    (2)-copy-[a]

A task is finished for the engine when its work is queued on its stream. A copy is queued behind
what the default stream holds by then (2), and what it used is marked with an event [a]. The lane
that computes lets its stream wait for the marks of what it uses (1); the front end waits for them
before it reads a value. Neither stops anything else.
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch

from regluon.context import Context


class Event(Protocol):
    """A place in a stream."""

    def synchronize(self) -> None:
        """Return when the work before this place is done."""


class Stream(Protocol):
    """A queue of work on a device; `beside` is true where it is not the default one."""

    beside: bool
    handle: Any
    """What a tensor must know to keep its memory as long as this stream uses it."""

    def use(self) -> AbstractContextManager[Any]:
        """Queue the work of this thread here, inside a `with` block."""

    def record(self) -> Event:
        """Mark this place."""

    def wait(self, event: Event) -> None:
        """Let what is queued from now on wait for a place in another stream."""

    def wait_for_default(self) -> None:
        """Let what is queued from now on wait for all that the default stream holds."""


class CudaStream:
    """A stream of a CUDA device."""

    def __init__(self, device: torch.device, *, beside: bool) -> None:
        self.beside = beside
        self._default = torch.cuda.default_stream(device)
        self.handle = torch.cuda.Stream(device) if beside else self._default

    def use(self) -> AbstractContextManager[Any]:
        """Make it torch's current stream."""
        return torch.cuda.stream(self.handle)

    def record(self) -> Any:
        """Record a CUDA event."""
        return self.handle.record_event()

    def wait(self, event: Any) -> None:
        """Wait on the device, not on the host."""
        self.handle.wait_event(event)

    def wait_for_default(self) -> None:
        """Wait on the device, not on the host."""
        self.handle.wait_stream(self._default)


def find(ctx: Context, kind: str) -> Stream | None:
    """Return the stream of a lane: the default one for computing, another one beside it.

    kind: of the lane, such as "compute" or "copy from gpu(0)".

    The default stream is what torch's own code uses as well, so that operators, small ones on the
    caller's thread and torch functions on shared storage keep their order. CPUs have no streams.
    """
    if ctx.device_type == "gpu":
        return CudaStream(ctx.device, beside=kind != "compute")
    if kind.startswith("copy from gpu"):
        number = int(kind.rpartition("(")[2].rstrip(")"))
        return CudaStream(torch.device("cuda", number), beside=True)
    return None


def synchronize(device: torch.device) -> None:
    """Return when all that the default stream of a device holds is done."""
    if device.type == "cuda":
        torch.cuda.default_stream(device).synchronize()
