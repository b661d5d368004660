"""Functions of np that are more than one operator: where, nan_to_num and linspace."""

from collections.abc import Callable
from typing import Any

from regluon.array import dispatch
from regluon.array.arguments import checked_context
from regluon.base import MXNetError
from regluon.context import Context
from regluon.ops.registry import NAMESPACES


def _np(name: str, *args: Any, out: Any = None, ctx: Context | None = None, **attrs: Any) -> Any:
    """Call the operator that np knows as `name`."""
    return dispatch.invoke(NAMESPACES["np"][name], args, attrs, dispatch.CLASSES["np"], out, ctx)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """Return elements of `x` where the condition is not zero, and of `y` elsewhere.

    `x` and `y` may be numbers. Without both of them: the places where the condition is not zero, a
    tuple with one int64 array per axis; the call waits then.

    >>> import regluon as mx
    >>> mx.np.where(mx.np.array([1, -2]) > 0, 1.0, 0.0)
    array([1., 0.])
    >>> mx.np.where(mx.np.array([0, 1, 2]))
    (array([1, 2], dtype=int64),)
    """
    if (x is None) != (y is None):
        raise MXNetError("where needs both x and y, or neither")
    if x is None:
        return tuple(_np("nonzero", condition))
    return _np("where", condition, x, y)


def nan_to_num(
    x: Any,
    copy: bool = True,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
    out: Any = None,
) -> Any:
    """Return finite numbers: `nan` for NaN, `posinf` and `neginf` for the infinite ones.

    posinf, neginf: the largest and the smallest number of the dtype if None. copy: False writes
    the numbers into `x`, and returns it.

    >>> import regluon as mx
    >>> mx.np.nan_to_num(mx.np.array([mx.np.nan, mx.np.inf, 1]), posinf=9)
    array([0., 9., 1.])
    """
    target = x if out is None and not copy else out
    return _np("nan_to_num", x, nan=nan, posinf=posinf, neginf=neginf, out=target)


def linspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    ctx: Context | None = None,
) -> Any:
    """Make `num` evenly spaced numbers from `start` to `stop`, the last included if `endpoint`.

    retstep: return the distance between two of them, too. dtype: float32 unless given. axis: 0.

    >>> import regluon as mx
    >>> mx.np.linspace(0, 1, 5, retstep=True)
    (array([0.  , 0.25, 0.5 , 0.75, 1.  ]), 0.25)
    """
    attrs = {"start": start, "stop": stop, "num": num, "endpoint": endpoint, "dtype": dtype}
    numbers = _np("linspace", ctx=checked_context(ctx), **attrs)
    gaps = num - 1 if endpoint else num
    return (numbers, (stop - start) / gaps if gaps else float("nan")) if retstep else numbers


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "where": where,
    "nan_to_num": nan_to_num,
    "linspace": linspace,
}
