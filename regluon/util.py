"""mx.util: the scopes of NumPy semantics, and small questions about machine and environment.

Two switches of each thread: `np_array` makes what Gluon creates NumPy-like arrays, `np_shape` lets
`nd` arrays have no axes. `use_np` and its halves decorate functions and whole classes.
"""

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar, cast

import torch

from regluon.array import dispatch
from regluon.array.dispatch import state
from regluon.array.interchange import make
from regluon.array.ndarray import NDArray
from regluon.base import ContextError
from regluon.context import Context, gpu_memory_info, num_gpus


T = TypeVar("T")
Scope = Callable[[bool], AbstractContextManager[None]]

_UFUNC_DEFAULTS = {
    "where": True,
    "casting": "same_kind",
    "order": "K",
    "dtype": None,
    "subok": True,
}
_CASTINGS = ("no", "equiv", "safe", "same_kind", "unsafe")
_UFUNC_DTYPES = ("int8", "uint8", "int32", "int64", "float16", "float32", "float64")


def is_np_array() -> bool:
    """Say whether Gluon makes NumPy-like arrays in this thread."""
    return state.numpy


def is_np_shape() -> bool:
    """Say whether `nd` arrays may have no axes in this thread."""
    return state.np_shape


def set_np_shape(active: bool) -> bool:
    """Let `nd` arrays have no axes, or not, and return how it was before.

    With it `nd.array(3.0)` and `x[0, 0]` have shape `()`; without, `(1,)`. Raises `ValueError` for
    `False` while NumPy-like arrays are switched on, which need it.
    """
    if not active and state.numpy:
        raise ValueError(
            "np_shape cannot be switched off while np_array is on; npx.reset_np() ends both"
        )
    before, state.np_shape = state.np_shape, bool(active)
    return before


def set_np(shape: bool = True, array: bool = True) -> None:
    """Switch NumPy semantics on for this thread: parameters, layers, losses, loaders follow.

    >>> import regluon as mx
    >>> set_np()
    >>> layer = mx.gluon.nn.Dense(2, in_units=3)
    >>> layer.initialize()
    >>> type(layer.weight.data()).__name__
    'ndarray'
    >>> reset_np()
    """
    if array and not shape:
        raise ValueError("array=True needs shape=True: NumPy-like arrays may have no axes")
    state.numpy, state.np_shape = bool(array), bool(shape)


def reset_np() -> None:
    """Switch NumPy semantics off for this thread: Gluon makes `nd` arrays again."""
    set_np(shape=False, array=False)


@contextmanager
def np_array(active: bool = True) -> Iterator[None]:
    """Let Gluon make NumPy-like arrays inside a `with`, or (False) `nd` arrays."""
    before, state.numpy = state.numpy, bool(active)
    try:
        yield
    finally:
        state.numpy = before


@contextmanager
def np_shape(active: bool | None = True) -> Iterator[None]:
    """Let `nd` arrays have no axes inside a `with`, or (False) not; None changes nothing.

    >>> import regluon as mx
    >>> with np_shape():
    ...     mx.nd.array(3.0).shape
    ()
    """
    before = state.np_shape
    if active is not None:
        set_np_shape(active)
    try:
        yield
    finally:
        state.np_shape = before


def use_np_array(func: T) -> T:
    """Run a function, or all that a class defines, with `np_array` on."""
    return cast(T, _scoped(func, np_array))


def use_np_shape(func: T) -> T:
    """Run a function, or all that a class defines, with `np_shape` on."""
    return cast(T, _scoped(func, np_shape))


def use_np(func: T) -> T:
    """Run a function, or all that a class defines, with NumPy semantics: `np_array`, `np_shape`.

    >>> import regluon as mx
    >>> @use_np
    ... class Shift(mx.gluon.HybridBlock):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.by = self.params.get("by", shape=(1,), init="ones")
    ...     def forward(self, x):
    ...         return x + self.by.data()
    >>> net = Shift()
    >>> net.initialize()
    >>> net(mx.np.array([1, 2]))
    array([2., 3.])
    """
    return cast(T, _scoped(func, _np))


@contextmanager
def _np(active: bool) -> Iterator[None]:
    before = state.numpy, state.np_shape
    state.numpy = state.np_shape = active
    try:
        yield
    finally:
        state.numpy, state.np_shape = before


def _scoped(target: Any, scope: Scope) -> Any:
    """Return a function inside a scope, or a class whose own functions are."""
    if inspect.isclass(target):
        for name, value in list(vars(target).items()):
            if isinstance(value, (staticmethod, classmethod)):
                setattr(target, name, type(value)(_scoped(value.__func__, scope)))
            elif isinstance(value, property):
                parts = (value.fget, value.fset, value.fdel)
                setattr(target, name, property(*(part and _scoped(part, scope) for part in parts)))
            elif inspect.isfunction(value):
                setattr(target, name, _scoped(value, scope))
        return target
    if not callable(target):
        raise TypeError(f"only functions and classes are decorated, not a {type(target).__name__}")

    @functools.wraps(target)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with scope(True):
            return target(*args, **kwargs)

    return inside


def default_array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Return a new array of the kind that Gluon makes now: `np` under `set_np`, else `nd`."""
    kind: Any = dispatch.array_class()
    found: NDArray = make(source_array, ctx, dtype, kind)
    return found


def set_module(module: str | None) -> Callable[[T], T]:
    """Return a decorator that sets `__module__`, by which documentation finds its place."""

    def decorate(target: T) -> T:
        if module is not None:
            target.__module__ = module
        return target

    return decorate


def np_ufunc_legal_option(key: str, value: Any) -> bool:
    """Say whether NumPy's universal functions take the keyword `key` with this value.

    >>> np_ufunc_legal_option("casting", "safe"), np_ufunc_legal_option("dtype", "text")
    (True, False)
    """
    if key == "dtype":
        return getattr(value, "__name__", value) in _UFUNC_DTYPES
    legal = {
        "where": True,
        "casting": value in _CASTINGS if isinstance(value, str) else False,
        "order": isinstance(value, str),
        "subok": isinstance(value, bool),
    }
    return legal.get(key, False)


def wrap_np_unary_func(func: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function `f(x, out=None)` NumPy's keywords, of which only the defaults are taken."""

    @functools.wraps(func)
    def checked(x: Any, out: Any = None, **kwargs: Any) -> Any:
        _check_ufunc_options(func.__name__, kwargs)
        return func(x, out=out)

    return checked


def wrap_np_binary_func(func: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function `f(x1, x2, out=None)` NumPy's keywords, only with their defaults."""

    @functools.wraps(func)
    def checked(x1: Any, x2: Any, out: Any = None, **kwargs: Any) -> Any:
        _check_ufunc_options(func.__name__, kwargs)
        return func(x1, x2, out=out)

    return checked


def _check_ufunc_options(name: str, options: dict[str, Any]) -> None:
    for key, value in options.items():
        if key not in _UFUNC_DEFAULTS:
            raise TypeError(f"{name} has no keyword {key!r}")
        default = _UFUNC_DEFAULTS[key]
        if value is default or (isinstance(value, str) and value == default):
            continue
        if np_ufunc_legal_option(key, value):
            raise NotImplementedError(f"{name} takes only {key}={default!r}, not {value!r}")
        raise TypeError(f"{name} does not understand {key}={value!r}")


def get_gpu_count() -> int:
    """Return how many GPUs torch can use."""
    return num_gpus()


def get_gpu_memory(gpu_dev_id: int) -> tuple[int, int]:
    """Return the free and the total memory of a GPU in bytes."""
    return gpu_memory_info(gpu_dev_id)


def get_cuda_compute_capability(ctx: Context) -> int:
    """Return the compute capability of a GPU as one number, such as 90 for 9.0."""
    if not isinstance(ctx, Context) or ctx.device_type != "gpu":
        raise ContextError(f"a GPU context such as mx.gpu(0) has a compute capability, not {ctx}")
    major, minor = torch.cuda.get_device_capability(ctx.device)
    return major * 10 + minor


def getenv(name: str) -> str | None:
    """Return an environment variable of this process, or None."""
    return os.environ.get(name)


def setenv(name: str, value: str | None) -> None:
    """Set an environment variable of this process, or remove it with None.

    What regluon reads once, such as `MXNET_ENGINE_TYPE`, must be set before.
    """
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
