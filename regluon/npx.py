"""mx.npx: neural-network operators on NumPy-like arrays, and the switch to NumPy semantics."""

from regluon.array import dispatch
from regluon.array.interchange import (  # noqa: F401
    np_load as load,
    save as save,
    waitall as waitall,
)
from regluon.array.namespace import functions, namespaces
from regluon.context import (
    cpu as cpu,
    cpu_pinned as cpu_pinned,
    current_context as current_context,
    gpu as gpu,
    gpu_memory_info as gpu_memory_info,
    num_gpus as num_gpus,
)
from regluon.random import seed as seed


globals().update(functions("npx", "np"), **namespaces("npx", "np"))


def set_np(shape: bool = True, array: bool = True, dtype: bool = False) -> None:
    """Let parameters, layers and data loaders of this thread make NumPy-like arrays."""
    dispatch.state.numpy = array


def reset_np() -> None:
    """Let parameters, layers and data loaders make `nd` arrays again."""
    dispatch.state.numpy = False


def is_np_array() -> bool:
    """Say whether parameters, layers and data loaders make NumPy-like arrays."""
    return dispatch.state.numpy


def is_np_shape() -> bool:
    """Say whether shapes without axes are arrays; here the same switch as `is_np_array`."""
    return dispatch.state.numpy
