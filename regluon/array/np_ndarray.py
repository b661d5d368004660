"""np.ndarray: NumPy's semantics on top of NDArray: printing, reshape, arrays without axes."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as onp

from regluon.array import dispatch, display
from regluon.array.ndarray import NDArray
from regluon.context import Context
from regluon.ops.dtype import numpy_dtype
from regluon.ops.methods import BitOperatorMixin
from regluon.ops.registry import NAMESPACES, Op
from regluon.ops.reshape import complete_shape


class ndarray(NDArray, BitOperatorMixin):
    """An array with NumPy's semantics, as `mx.np` makes them; uninitialized if called directly.

    >>> import regluon as mx
    >>> x = mx.np.arange(4).reshape(2, 2)
    >>> x.sum()
    array(6.)
    """

    __slots__ = ()

    _space: ClassVar[str] = "np"
    _ops: ClassVar[Mapping[str, Op]] = NAMESPACES["np"]
    _internal: ClassVar[Mapping[str, Op]] = NAMESPACES["np._internal"]

    def __repr__(self) -> str:
        return display.np_text(self)

    def __str__(self) -> str:
        return display.np_string(self)

    @property
    def dtype(self) -> Any:
        """The type of the elements as a NumPy dtype; "bfloat16", which NumPy has not, by name."""
        known = numpy_dtype(self.spec.dtype)
        return known if isinstance(known, str) else onp.dtype(known)

    def __matmul__(self, other: Any) -> Any:
        return self._invoke("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self._invoke("matmul", other, self)

    def clip(self, min: float | None = None, max: float | None = None, out: Any = None) -> Any:
        """Return the elements limited to the range `min` to `max`, of which one may be None."""
        attrs = {"a_min": min, "a_max": max}
        return dispatch.invoke(self._ops["clip"], (self,), attrs, type(self), out)

    def astype(  # type: ignore[override]  # MXNet's order, which is NumPy's
        self,
        dtype: Any,
        order: str = "K",
        casting: str = "unsafe",
        subok: bool = True,
        copy: bool = True,
    ) -> Any:
        """Return the values as `dtype`; with `copy=False` itself where nothing changes."""
        if order != "K" or casting != "unsafe":
            raise ValueError("astype knows only order='K' and casting='unsafe'")
        return super().astype(dtype, copy)

    def as_in_ctx(self, ctx: Context) -> Any:
        """Return itself if it is on `ctx` already, else a copy there."""
        return self.as_in_context(ctx)

    def item(self, *args: int) -> Any:
        """Return the only element, or the one at the given place, as a Python number."""
        return self.asnumpy().item(*args)

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        """Return a copy with another shape; one length may be -1."""
        return dispatch.invoke(
            self._ops["reshape"], (self,), {"newshape": _sizes(shape), "order": order}, type(self)
        )

    def reshape_view(self, *shape: Any) -> Any:
        """Return a view with another shape: a write to it reaches this array, and back."""
        return self._view_op("reshape_view", shape=complete_shape(self.shape, _sizes(shape)))

    def copy(self, order: str = "C") -> Any:
        """Return a copy on the same context."""
        return self.copyto(self._ctx)


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the lengths of `x.reshape(2, 3)` or `x.reshape((2, 3))`."""
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


dispatch.CLASSES["np"] = ndarray
