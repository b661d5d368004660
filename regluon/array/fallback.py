"""NumPy functions on our arrays: our operator of the same name, else NumPy on copies of the values.

NumPy asks an array's `__array_function__` and `__array_ufunc__` before it computes. An operator of
`np` keeps the values where they are and has gradients; what no operator covers is computed by NumPy
in host memory, and the results become arrays again. Gradients cannot cross that: a recorded array
whose result would be real numbers is an error.
"""

from collections.abc import Callable, Mapping
from functools import cache, update_wrapper
from inspect import Parameter, Signature, signature
from typing import Any

import numpy as onp
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from regluon.array import dispatch
from regluon.array.arguments import as_tensor
from regluon.array.handle import Handle
from regluon.base import ContextError, DTypeError, MXNetError, user_line
from regluon.context import Context, current_context
from regluon.ops.dtype import numpy_dtype, torch_dtype
from regluon.ops.registry import NAMESPACES, Op


Function = Callable[..., Any]

_NAMES = (
    "allclose alltrue apply_along_axis apply_over_axes argpartition argwhere array_equal "
    "array_equiv choose compress corrcoef correlate count_nonzero cov digitize divmod extract "
    "flatnonzero float_power frexp heaviside histogram2d histogram_bin_edges histogramdd i0 "
    "in1d interp intersect1d isclose isin ix_ lexsort min_scalar_type modf msort nanargmax "
    "nanargmin nancumprod nancumsum nanmax nanmedian nanmin nanpercentile nanprod nanquantile "
    "nanstd nansum nanvar ndim partition packbits piecewise poly polyadd polydiv polyfit "
    "polyint polymul polysub positive promote_types ptp real result_type rollaxis roots "
    "searchsorted select setdiff1d setxor1d signbit size spacing take_along_axis trapz "
    "tril_indices_from trim_zeros triu_indices_from union1d unpackbits unwrap vander "
    "may_share_memory shares_memory shape genfromtxt"
)
NAMES = _NAMES.split()
"""What `mx.np` offers by way of NumPy, where it has no operator of that name."""

_GONE: Mapping[str, Function] = {  # names that today's NumPy has no more
    "alltrue": lambda a, axis=None, out=None, keepdims=False: onp.all(a, axis, out, keepdims),
    "in1d": lambda ar1, ar2, assume_unique=False, invert=False: onp.isin(
        onp.ravel(ar1), ar2, assume_unique, invert
    ),
    "msort": lambda a: onp.sort(a, axis=0),
    "trapz": getattr(onp, "trapezoid", None) or onp.trapz,  # type: ignore[attr-defined]
}
# What an argument of a universal function may be.
_UNDERSTOOD = (
    Handle, onp.ndarray, onp.generic, int, float, complex, list, tuple, Tensor, type(None),
)  # fmt: skip
# What only shapes and types matter for: nothing is copied.
_OUTSIDE = {
    "shape", "ndim", "size", "result_type", "can_cast", "common_type", "iscomplexobj", "isrealobj",
    "diag_indices_from", "tril_indices_from", "triu_indices_from",
}  # fmt: skip
# Our function of this name has MXNet's meaning, which is not NumPy's.
_DIFFERENT = {"linalg.svd"}
_WRITING = {"copyto", "put", "place", "putmask", "put_along_axis", "fill_diagonal"}
_REDUCTIONS = {
    "add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min",
    "logical_and": "all", "logical_or": "any",
}  # fmt: skip
_ALIASES = {"absolute": "abs", "remainder": "mod", "invert": "bitwise_not"}
_ND_ALIASES = {
    "absolute": "abs",
    "remainder": "modulo",
    "less": "lesser",
    "less_equal": "lesser_equal",
}

OPERATORS: dict[str, Function] = {}
"""The functions of `mx.np`, those of inner namespaces as `linalg.norm`: entered by `regluon.np`."""
_signatures: dict[str, Signature] = {}


def array_function(self: Any, func: Function, types: Any, args: Any, kwargs: Any) -> Any:
    """Compute a NumPy function of arguments that hold arrays of ours; see NumPy's NEP 18."""
    if not all(issubclass(kind, (Handle, onp.ndarray)) for kind in types):
        return NotImplemented
    name = f"{func.__module__}.{func.__name__}".removeprefix("numpy.")
    kind = _Family((args, kwargs))
    if name in ("shares_memory", "may_share_memory"):
        return _share_memory(*args[:2])
    if name in OPERATORS and name not in _DIFFERENT and kwargs.get("order") != "F":
        bound = _bound(name, args, kwargs)
        if bound is not None:
            return kind.own(OPERATORS[name](*bound[0], **bound[1]))
    return compute(func, args, kwargs, kind)


def array_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """Compute a universal function or one of its methods; see NumPy's NEP 13."""
    outs = kwargs.get("out", ())
    for item in (*inputs, *outs):
        if not isinstance(item, _UNDERSTOOD):
            return NotImplemented
    name = ufunc.__name__
    if method == "__call__" and len(outs) < 2 and kwargs.keys() <= {"out"}:
        cls = _class_of((*inputs, *outs))
        op = _operator(name, cls)
        if op is not None and len(inputs) == len(op.arrays):
            return _invoked(op, inputs, cls, *outs)
    kind = _Family((inputs, kwargs))
    if method in ("reduce", "accumulate") and kwargs.keys() <= {"axis", "keepdims"}:
        own = _REDUCTIONS.get(name) if method == "reduce" else {"add": "cumsum"}.get(name)
        if own in OPERATORS and len(inputs) < 3:
            axis = inputs[1] if len(inputs) == 2 else kwargs.pop("axis", 0)
            return kind.own(OPERATORS[own](inputs[0], axis=axis, **kwargs))
    elif method == "outer" and not kwargs and len(inputs) == 2:
        first, second = inputs
        ones = (1,) * onp.ndim(second)
        return ufunc(onp.reshape(first, (*onp.shape(first), *ones)), second)
    if kwargs.get("where", True) is not True and method == "__call__" and not outs:
        raise MXNetError(f"where= of numpy.{name} needs out=: other elements would have no value")
    call = ufunc if method == "__call__" else getattr(ufunc, method)
    return compute(call, inputs, kwargs, kind, writing=method == "at")


def _class_of(items: Any) -> Any:
    """Return the class of the results of a call: `np` arrays come first."""
    numpy = dispatch.CLASSES["np"]
    for item in items:
        if isinstance(item, numpy):
            return numpy
    return dispatch.CLASSES["nd"]


@cache
def _operator(name: str, cls: Any) -> Op | None:
    """Return the operator of a universal function: for `nd` arrays their own comes first."""
    numpy, classic = NAMESPACES["np"], NAMESPACES["nd"]
    found = numpy.get(name) or numpy.get(_ALIASES.get(name, ""))
    if cls is dispatch.CLASSES["np"]:
        return found
    return classic.get(_ND_ALIASES.get(name, name)) or found


def _invoked(op: Op, inputs: Any, cls: Any, out: Any = None) -> Any:
    """Call an operator, the result perhaps into an array of NumPy's."""
    if not isinstance(out, onp.ndarray):
        return dispatch.invoke(op, inputs, {}, cls, out)
    onp.copyto(out, dispatch.invoke(op, inputs, {}, cls).asnumpy(), "same_kind")
    return out


class _Family:
    """The arrays among the arguments of a call: their class, context and what is recorded."""

    def __init__(self, arguments: Any) -> None:
        self.arrays = [leaf for leaf in pytree.tree_leaves(arguments) if isinstance(leaf, Handle)]
        self.cls = _class_of(self.arrays) if self.arrays else dispatch.CLASSES["np"]
        self.ctx: Context = self.arrays[0]._ctx if self.arrays else current_context()

    def own(self, result: Any) -> Any:
        """Return results of `mx.np` in the class of the arguments."""
        if self.cls is dispatch.CLASSES["np"]:
            return result
        return pytree.tree_map(self._classic, result)

    def _classic(self, leaf: Any) -> Any:
        return self.shaped(leaf.as_nd_ndarray()) if hasattr(leaf, "as_nd_ndarray") else leaf

    def shaped(self, array: Any) -> Any:
        """Give an `nd` array without axes the one that it has there."""
        scalar = not array.shape and not dispatch.state.np_shape
        return array.reshape(1) if scalar and self.cls is dispatch.CLASSES["nd"] else array

    def wrapped(self, value: Any) -> Any:
        """Return a result of NumPy as an array; what we have no type for, or no array is, as is."""
        if not isinstance(value, (onp.ndarray, onp.generic)):
            return value
        try:
            torch_dtype(value.dtype)
        except DTypeError:
            return value
        return self.shaped(self.cls(as_tensor(onp.asarray(value), None, self.ctx.device), self.ctx))

    def check(self, name: str, results: Any) -> None:
        """Raise where arrays are on several contexts, or real results would lose a gradient."""
        for array in self.arrays:
            if array._ctx is not self.ctx:
                raise ContextError(
                    f"the arguments of numpy.{name} are on {self.ctx} and {array._ctx}; bring them "
                    f"to one context: x.as_in_context({self.ctx}) (at {user_line()})"
                )
        if not dispatch.state.recording or not any(map(_is_real, pytree.tree_leaves(results))):
            return
        for array in self.arrays:
            if array.recorded():
                raise MXNetError(
                    f"numpy.{name} has no operator in mx.np: it is computed outside the graph, and "
                    f"its argument of shape {array.spec.shape} is being recorded for gradients. "
                    "Use operators of mx.np, give it x.detach(), or call it outside "
                    f"autograd.record() (at {user_line()})"
                )


def compute(
    call: Function, args: Any, kwargs: Any, kind: _Family | None = None, *, writing: bool = False
) -> Any:
    """Call a NumPy function on copies of the values, and return its results as arrays.

    Arrays that it writes to (`out=`, the first argument of `numpy.copyto`) get their values back.
    """
    name = getattr(call, "__name__", str(call))
    kind = kind or _Family((args, kwargs))
    convert = _stand_in if name in _OUTSIDE else _values
    host_args, host_kwargs = pytree.tree_map(convert, (tuple(args), dict(kwargs)))
    result = call(*host_args, **host_kwargs)
    written = _written(kwargs.get("out"), host_kwargs.get("out"))
    if (writing or name in _WRITING) and isinstance(args[0], Handle):
        written.append((args[0], host_args[0]))
    kind.check(name, [result, *(values for _, values in written)])
    for target, values in written:
        target[...] = values
    out = kwargs.get("out")
    if out is None:
        return pytree.tree_map(kind.wrapped, result)
    results = result if isinstance(result, tuple) else (result,)
    outs = out if isinstance(out, tuple) else (out,)
    given = [
        kind.wrapped(value) if place is None else place
        for place, value in zip(outs, results, strict=True)
    ]
    return given[0] if len(given) == 1 else tuple(given)


def functions() -> dict[str, Function]:
    """Return the functions of `NAMES` that this NumPy has; they take and return arrays of ours.

    >>> import regluon as mx
    >>> mx.np.interp(mx.np.array([0.5, 2]), mx.np.array([0, 1, 3]), mx.np.array([0, 10, 30]))
    array([ 5., 20.], dtype=float64)
    """
    calls = {name: _GONE.get(name) or getattr(onp, name, None) for name in NAMES}
    return {name: _public(name, call) for name, call in calls.items() if call is not None}


def _public(name: str, call: Function) -> Function:
    def function(*args: Any, **kwargs: Any) -> Any:
        kind = _Family((args, kwargs))
        result = call(*args, **kwargs)
        kind.check(name, result)
        return pytree.tree_map(kind.wrapped, result)

    update_wrapper(function, call, assigned=(), updated=())  # the signature is NumPy's
    function.__name__ = function.__qualname__ = name
    function.__module__ = "regluon"
    function.__doc__ = (
        f"Compute `numpy.{name}` on copies of the values; the results are arrays on the context of "
        "the arguments.\n\nRaises `MXNetError` where a recorded argument would lose its gradient."
    )
    return function


def _bound(name: str, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
    """Return the arguments as our function takes them, or None: it may lack some that NumPy has."""
    if name not in _signatures:
        _signatures[name] = signature(OPERATORS[name])
    ours = _signatures[name]
    kinds = [parameter.kind for parameter in ours.parameters.values()]
    if kinds[0] is Parameter.VAR_POSITIONAL and isinstance(args[0], (list, tuple)):
        kwargs = {**dict(zip(("axis", "out"), args[1:], strict=False)), **kwargs}
        args = args[:1]
    try:
        ours.bind(*args, **kwargs)
    except TypeError:
        return None
    return args, kwargs


def _written(outs: Any, values: Any) -> list[tuple[Any, Any]]:
    """Return the arrays of ours in an `out=` argument, each with its values as NumPy left them."""
    pairs = zip(pytree.tree_leaves(outs), pytree.tree_leaves(values), strict=True)
    return [(array, value) for array, value in pairs if isinstance(array, Handle)]


def _values(leaf: Any) -> Any:
    if isinstance(leaf, Handle):
        array: Any = leaf
        return array.asnumpy()
    return leaf


def _stand_in(leaf: Any) -> Any:
    """Return a NumPy array of the same shape and type, made of one element."""
    if not isinstance(leaf, Handle):
        return leaf
    shape, dtype = leaf.spec
    known = onp.float32 if dtype == torch.bfloat16 else numpy_dtype(dtype)
    return onp.broadcast_to(onp.zeros((), known), shape)


def _is_real(leaf: Any) -> bool:
    return isinstance(leaf, (onp.ndarray, onp.generic)) and leaf.dtype.kind in "fc"


def _share_memory(first: Any, second: Any) -> bool:
    """Say whether a write to one array could change the other."""
    spans: list[tuple[int, int]] = []
    for item in (first, second):
        tensor: Tensor = item.to_torch() if hasattr(item, "to_torch") else torch.from_numpy(item)
        if not tensor.numel():
            return False
        last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
        start = tensor.data_ptr()
        spans.append((start, start + (last + 1) * tensor.element_size()))
    return spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]
