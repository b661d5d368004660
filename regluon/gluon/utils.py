"""Batches over several contexts, gradient clipping, and the small things that blocks share."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

import numpy as onp

from regluon.array.dispatch import array_class
from regluon.array.interchange import make
from regluon.array.ndarray import NDArray
from regluon.base import MXNetError, ShapeError, nearest
from regluon.context import Context


def split_data(
    data: NDArray, num_slice: int, batch_axis: int = 0, even_split: bool = True
) -> list[NDArray]:
    """Cut `data` into `num_slice` parts along `batch_axis`; the first parts take what is left over.

    Raises `ShapeError` if the parts differ in size, unless `even_split` is False. Then a batch of
    fewer rows gives fewer parts, of one row each.

    >>> import regluon as mx
    >>> [part.shape for part in split_data(mx.nd.zeros((4, 3)), 2)]
    [(2, 3), (2, 3)]
    """
    size = data.shape[batch_axis]
    if size < 1 or num_slice < 1 or (even_split and size % num_slice):
        raise ShapeError(
            f"an array of shape {data.shape} cannot be split into {num_slice} equal parts along "
            f"axis {batch_axis}; use a batch size that is a multiple of {num_slice}, or "
            "even_split=False"
        )
    num_slice = min(num_slice, size)
    each, extra = divmod(size, num_slice)
    ends = onp.cumsum([each + (i < extra) for i in range(num_slice)]).tolist()
    before = (slice(None),) * (batch_axis % data.ndim)
    return [
        data[(*before, slice(start, end))] for start, end in zip([0, *ends], ends, strict=False)
    ]


def split_and_load(
    data: Any, ctx_list: Sequence[Context], batch_axis: int = 0, even_split: bool = True
) -> list[NDArray]:
    """Cut a batch into one part per context, see `split_data`, and bring each part there.

    >>> import regluon as mx
    >>> parts = split_and_load(mx.nd.zeros((4, 3)), [mx.cpu(0), mx.cpu(1)])
    >>> [part.context for part in parts]
    [cpu(0), cpu(1)]
    """
    if not isinstance(data, NDArray):
        data = new_array(data, ctx_list[0])
    if len(ctx_list) == 1:
        return [data.as_in_context(ctx_list[0])]
    parts = split_data(data, len(ctx_list), batch_axis, even_split)
    return [part.as_in_context(ctx) for part, ctx in zip(parts, ctx_list, strict=False)]


def clip_global_norm(
    arrays: Sequence[NDArray], max_norm: float, check_isfinite: bool = True
) -> Any:
    """Scale arrays in place so that the 2-norm over all their elements is at most `max_norm`.

    Returns the norm before: a float, for which it waits, or with `check_isfinite=False` an array of
    one element. A norm that is not finite gives a warning, and then the result is undefined.

    >>> import regluon as mx
    >>> x = mx.nd.array([3.0, 4.0])
    >>> float(clip_global_norm([x], 1.0))
    5.0
    """
    if not arrays:
        raise MXNetError("clip_global_norm needs at least one array")
    ctx = arrays[0].context
    squares = [(x * x).sum().reshape(1).as_in_context(ctx) for x in arrays]
    norm = sum(squares[1:], squares[0]) ** 0.5
    if check_isfinite and not onp.isfinite(norm.asscalar()):
        warnings.warn("the norm is nan or inf, so clipping gives undefined results", stacklevel=2)
    ratio = max_norm / (norm + 1e-8)
    scale = (ratio < 1) * ratio + (ratio >= 1) * onp.float32(1)
    for x in arrays:
        x *= scale.as_in_context(x.context)
    return norm.asscalar() if check_isfinite else norm


def new_array(source: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Return a new array of the kind that `npx.set_np` asks for."""
    kind: Any = array_class()
    found: NDArray = make(source, ctx, dtype, kind)
    return found


def shape_is_known(shape: Sequence[int] | None) -> bool:
    """Say whether every length of a shape is known: 0 and -1 mean unknown.

    >>> shape_is_known((3, 0)), shape_is_known((3, 4)), shape_is_known(None)
    (False, True, False)
    """
    return shape is not None and all(length > 0 for length in shape)


def brief_list(names: Iterable[str], limit: int = 6) -> str:
    """Return names for an error message, the middle of a long list left out."""
    quoted = [repr(str(name)) for name in names]
    if len(quoted) > limit:
        quoted[limit // 2 : -(limit // 2)] = [f"... ({len(quoted) - limit} more)"]
    return ", ".join(quoted) or "none"


def indented(text: str, spaces: int) -> str:
    """Return text with all lines but the first moved to the right."""
    return text.replace("\n", "\n" + " " * spaces)


class HookHandle:
    """Removes a hook again: by `detach()`, or at the end of a `with`."""

    def __init__(self, hooks: "dict[int, Callable[..., Any]]", hook: Callable[..., Any]) -> None:
        self._hooks = hooks
        self._key = id(self)
        hooks[self._key] = hook

    def detach(self) -> None:
        """Remove the hook; a second time does nothing."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> "HookHandle":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.detach()


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that does not exist, with the nearest ones or some that do."""
    names = list(known)
    hint = nearest(name, names) or f"; there are {brief_list(names)}"
    return f"unknown {kind} {name!r}{hint}"
