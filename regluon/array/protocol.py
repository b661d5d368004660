"""Protocols: what Python, NumPy, DLPack and notebooks ask of an array by names of their own."""

from collections.abc import Iterator
from typing import Any

import numpy as onp
import torch

from regluon.array import display, dlpack, fallback


class ProtocolMixin:
    """The special methods of arrays that are no operators.

    Arrays are hashed by identity, are true where their only element is, and iterate over the first
    axis. A copy, deep or not, has values of its own and no gradient.
    """

    __slots__ = ()
    __array_priority__ = 1000.0
    __array_function__ = fallback.array_function
    __array_ufunc__ = fallback.array_ufunc
    __dlpack__ = dlpack.capsule
    __dlpack_device__ = dlpack.device
    to_dlpack_for_read = dlpack.to_dlpack_for_read
    to_dlpack_for_write = dlpack.to_dlpack_for_write

    def __array__(self: Any, dtype: Any = None, copy: bool | None = None) -> Any:
        if copy is False:
            raise ValueError(
                "the values cannot be seen by NumPy without a copy; onp.from_dlpack(x) shares them"
            )
        values = self.asnumpy()
        return values if dtype is None else values.astype(dtype, copy=False)

    # Text

    def __repr__(self) -> str:
        return display.nd_text(self)

    def __format__(self, spec: str) -> str:
        return display.formatted(self, spec)

    def _repr_html_(self) -> str:
        return display.table(self)

    # Numbers

    def __bool__(self: Any) -> bool:
        if self.size == 0:
            return False
        if self.size > 1:
            raise ValueError("the truth value of an array with several elements is ambiguous")
        return bool(self.asscalar())

    def __float__(self) -> float:
        return float(_only(self, "a float"))

    def __int__(self) -> int:
        return int(_only(self, "an int"))

    def __index__(self: Any) -> int:
        dtype = self.spec.dtype
        if dtype.is_floating_point or dtype == torch.bool:
            raise TypeError("only integer arrays of one element can be an index")
        return int(_only(self, "an index"))

    def __round__(self, ndigits: int | None = None) -> Any:
        return onp.round(self, ndigits or 0)

    def __trunc__(self: Any) -> Any:
        return self._invoke("trunc", self)

    def __floor__(self: Any) -> Any:
        return self._invoke("floor", self)

    def __ceil__(self: Any) -> Any:
        return self._invoke("ceil", self)

    def __divmod__(self, other: Any) -> Any:
        return onp.divmod(self, other)

    def __rdivmod__(self, other: Any) -> Any:
        return onp.divmod(other, self)

    def __floordiv__(self, other: Any) -> Any:
        return onp.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return onp.floor_divide(other, self)

    def __ifloordiv__(self: Any, other: Any) -> Any:
        return onp.floor_divide(self, other, out=self)

    def __imatmul__(self: Any, other: Any) -> Any:
        return self._invoke("matmul", self, other, out=self)

    # Elements

    def __len__(self: Any) -> int:
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return int(self.shape[0])

    def __iter__(self: Any) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: object) -> bool:
        found = self == value
        return bool(found.asnumpy().any()) if isinstance(found, ProtocolMixin) else bool(found)

    # Copies

    def __copy__(self: Any) -> Any:
        return self.detach().copy()

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        memo[id(self)] = copied = self.__copy__()
        return copied

    def __reduce__(self) -> Any:
        raise TypeError("arrays are not pickled; use mx.nd.save(file, arrays) or x.asnumpy()")


def _only(array: Any, kind: str) -> Any:
    """Return the only element, or raise what Python raises for what is no number."""
    if array.size != 1:
        raise TypeError(f"an array of shape {array.shape} is not {kind}: it needs one element")
    return array.asscalar()
