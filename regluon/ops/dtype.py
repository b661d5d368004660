"""Data types by any name that users know: NumPy's, torch's, MXNet's strings and type numbers."""

from typing import Any

import numpy as onp
import torch

from regluon.base import DTypeError, nearest


_NAMES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "int32": torch.int32,
    "int64": torch.int64,
    "bool": torch.bool,
    "int16": torch.int16,
}
_STRINGS = {dtype: name for name, dtype in _NAMES.items()}
_CACHE: dict[Any, torch.dtype] = {}


def torch_dtype(dtype: Any) -> torch.dtype:
    """Return the torch dtype named by a string, a NumPy or Python type, or a torch dtype.

    >>> torch_dtype("float32") is torch_dtype(onp.float32) is torch.float32
    True
    """
    if isinstance(dtype, torch.dtype):
        return dtype
    found = _CACHE.get(dtype)
    if found is None:
        found = _CACHE[dtype] = _lookup(dtype)
    return found


def _lookup(dtype: Any) -> torch.dtype:
    if isinstance(dtype, str) and dtype in _NAMES:
        return _NAMES[dtype]
    try:
        name = onp.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in _NAMES:
        raise DTypeError(f"unknown dtype {dtype!r}{nearest(name, _NAMES)}")
    return _NAMES[name]


def dtype_name(dtype: torch.dtype) -> str:
    """Return MXNet's name of a torch dtype, such as `"float32"`."""
    return _STRINGS[dtype] if dtype in _STRINGS else str(dtype).removeprefix("torch.")


def low_precision(target_dtype: Any) -> torch.dtype:
    """Return float16 or bfloat16 as torch's dtype; another one is an error."""
    dtype = torch_dtype(target_dtype)
    if dtype not in (torch.float16, torch.bfloat16):
        raise DTypeError(
            f"the target dtype of mixed precision is 'bfloat16' or 'float16', not "
            f"{dtype_name(dtype)!r}"
        )
    return dtype


def check_floating(what: str, *dtypes: torch.dtype, half: bool = True) -> None:
    """Raise unless all dtypes are floating-point ones; unless `half`, float32 or float64."""
    for dtype in dtypes:
        if not dtype.is_floating_point or (not half and dtype.itemsize < 4):
            wanted = "floating-point numbers" if half else "float32 or float64"
            raise DTypeError(
                f"{what} takes {wanted}, not {dtype_name(dtype)}; convert with x.astype('float32')"
            )


def numpy_dtype(dtype: torch.dtype) -> Any:
    """Return what `array.dtype` shows: NumPy's scalar type, or the name "bfloat16"."""
    name = dtype_name(dtype)
    return name if name == "bfloat16" else onp.dtype(name).type
