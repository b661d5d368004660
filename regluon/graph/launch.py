"""Launch: a program on a GPU as one launch of all its kernels, by a CUDA graph."""

import logging
import threading
from typing import Any

import torch

from regluon.graph.node import Graph, Run
from regluon.graph.passes.effects import Effects


_log = logging.getLogger("regluon.hybridize")


def launchable(graph: Graph, device: str = "cuda") -> bool:
    """Say whether a CUDA graph can be made of a program: all of it on the device, nothing drawn."""
    metas = [value.meta for value in (*graph.inputs, *graph.constants)]
    if not metas or any(meta is None or meta.device.type != device for meta in metas):
        return False
    return not any(node.opaque or node.draws for node in graph.nodes)


class Launch:
    """Runs a program by replaying what its first run queued on the device.

    A CUDA graph remembers addresses. Inputs that are fixed, such as parameters, or written, such as
    running statistics, are used where they are: if one comes to lie elsewhere, the program is
    recorded again. The others are copied into memory of the graph's own, and results out of it.
    What is written is written once per call: recording computes nothing, and the run before it,
    in which libraries make ready, is on copies. Where recording fails, the program runs as ever.

    device: `torch.cuda`, or what stands for it in tests.
    """

    def __init__(self, graph: Graph, run: Run, device: Any = torch.cuda) -> None:
        effects = Effects(graph)
        self._written = [effects.is_written(value) for value in graph.inputs]
        stays = zip(graph.inputs, self._written, strict=True)
        self._stays = [written or value in graph.fixed for value, written in stays]
        self._run = run
        self._device = device
        self._lock = threading.Lock()  # there is one memory for arguments and results
        self._refused = False
        self._recorded: Any = None
        self._places: list[int] | None = None  # of nothing yet, or there may be none that stay
        self._given: list[Any] = []
        self._results: tuple[Any, ...] = ()

    def __call__(self, *tensors: Any) -> tuple[Any, ...]:
        """Return new tensors, as the program does."""
        with self._lock:
            places = [t.data_ptr() for t, stays in zip(tensors, self._stays, strict=True) if stays]
            if self._refused or (places != self._places and not self._record(tensors, places)):
                return self._run(*tensors)
            for own, tensor, stays in zip(self._given, tensors, self._stays, strict=True):
                if not stays:
                    own.copy_(tensor)
            self._recorded.replay()
            return tuple(None if found is None else found.clone() for found in self._results)

    def _record(self, tensors: tuple[Any, ...], places: list[int]) -> bool:
        """Record a run at these places; say whether that was possible."""
        self._recorded, self._results = None, ()
        flags = zip(tensors, self._stays, self._written, strict=True)
        given = [tensor if stays else tensor.clone() for tensor, stays, _ in flags]
        pairs = zip(given, self._written, strict=True)
        self._run(*[tensor.clone() if written else tensor for tensor, written in pairs])
        recorded = self._device.CUDAGraph()
        try:
            # Other threads go on using the device meanwhile.
            with self._device.graph(recorded, capture_error_mode="thread_local"):
                self._results = self._run(*given)
        except RuntimeError as error:
            self._refused = True
            _log.info("the program is no CUDA graph: %s", error)
            return False
        self._recorded, self._given, self._places = recorded, given, places
        return True
