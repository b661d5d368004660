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


def _openmp() -> Callable[[int], object] | None:
    """Find `omp_set_num_threads` in the OpenMP library that torch itself uses.

    `torch.set_num_threads` also changes the number for all threads that start later, and MKL's
    for the whole process; OpenMP's function concerns the calling thread only, and MKL and oneDNN
    ask OpenMP.
    """
    folder = Path(torch.__file__).parent / "lib"
    for pattern in ("libgomp*.so*", "libiomp5*.so", "libomp*.dylib"):
        for path in sorted(folder.glob(pattern)):
            try:
                found: Callable[[int], object] = ctypes.CDLL(str(path)).omp_set_num_threads
            except (OSError, AttributeError):
                continue
            return found
    return None


_set = _openmp() or torch.set_num_threads


def given() -> int:
    """Return the number of threads that the user gives to kernels called from this thread.

    A new thread must ask once: torch sets its own number then, and later it would undo ours.
    """
    return torch.get_num_threads()


def use(count: int) -> None:
    """Let kernels called from this thread run on `count` threads."""
    _set(count)


def memory() -> int:
    """Return the bytes of memory of this machine, or 8 GiB where nothing tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 8 << 30
