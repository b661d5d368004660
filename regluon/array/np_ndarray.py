"""np.ndarray: NumPy's semantics on top of NDArray: printing, reshape, arrays without axes."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as onp
import torch

from regluon.array import dispatch
from regluon.array.ndarray import NDArray
from regluon.ops.registry import NAMESPACES, Op
from regluon.ops.reshape import complete_shape


class ndarray(NDArray):
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
        text = onp.array2string(self.asnumpy(), separator=", ", prefix="array(")
        notes = []
        if self.spec.dtype not in (torch.float32, torch.bool):
            notes.append(f"dtype={onp.dtype(self.dtype).name}")
        if self._ctx.device_type != "cpu":
            notes.append(f"ctx={self._ctx}")
        return f"array({', '.join([text, *notes])})"

    def __str__(self) -> str:
        return str(self.asnumpy())

    def __matmul__(self, other: Any) -> Any:
        return self._invoke("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self._invoke("matmul", other, self)

    def item(self, *args: int) -> Any:
        """Return the only element, or the one at the given place, as a Python number."""
        return self.asnumpy().item(*args)

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        """Return a view with another shape; one length may be -1."""
        order = kwargs.pop("order", "C")
        if order != "C":
            raise ValueError(f"only order='C' is supported, not {order!r}")
        if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
            shape = tuple(shape[0])
        return self._view_op("reshape_view", shape=complete_shape(self.shape, tuple(shape)))

    def copy(self, order: str = "C") -> Any:
        """Return a copy on the same context."""
        return self.copyto(self._ctx)


dispatch.CLASSES["np"] = ndarray
