"""How many threads torch's kernels use when they are called from the present thread."""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import torch


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_SOFT = 1  # omp_pause_soft: settings stay


def _found(name: str, *patterns: str) -> Callable[..., object] | None:
    """Find a function in the libraries that torch itself uses."""
    folder = Path(torch.__file__).parent / "lib"
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            try:
                found: Callable[..., object] = getattr(ctypes.CDLL(str(path)), name)
            except (OSError, AttributeError):
                continue
            return found
    return None


# `torch.set_num_threads` also changes the number for all threads that start later, and MKL's for
# the whole process. These two concern the calling thread only; oneDNN asks OpenMP.
_set = (
    _found("omp_set_num_threads", "libgomp*.so*", "libiomp5*.so", "libomp*.dylib")
    or torch.set_num_threads
)
_set_mkl = _found("MKL_Set_Num_Threads_Local", "libtorch_cpu.so", "libmkl_rt.so*")
_pause = _found("omp_pause_resource", "libgomp*.so*")
_host = _found("omp_get_initial_device", "libgomp*.so*")


def given() -> int:
    """Return the number of threads that the user gives to kernels called from this thread.

    A new thread must ask once: torch sets its own number then, and later it would undo ours.
    """
    return torch.get_num_threads()


def use(count: int) -> None:
    """Let kernels called from this thread run on `count` threads."""
    _set(count)
    if _set_mkl is not None:
        _set_mkl(count)


def release() -> None:
    """End the threads that kernels called from this thread have kept; the next one starts new ones.

    Every thread that calls kernels keeps such a team. GNU's OpenMP counts them all: where they are
    more than the cores, each waits for its part of a kernel asleep, and waking costs a tenth of a
    network's time.
    """
    if _pause is not None and _host is not None:
        _pause(_SOFT, _host())


def memory() -> int:
    """Return the bytes of memory of this machine, or 8 GiB where nothing tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 8 << 30
