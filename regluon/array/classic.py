"""ClassicMixin: methods of MXNet's first arrays that are more than an operator of their name."""

from collections.abc import Sequence
from typing import Any

from regluon.array import dispatch


Ends = Sequence[int | None]
Axes = int | Sequence[int]


class ClassicMixin:
    """Views asked for with `inplace=True`, assignment to a range, and storage types."""

    __slots__ = ()

    def expand_dims(self, axis: int, inplace: bool = False) -> Any:
        """Return a copy with an axis of length 1 as number `axis`; a view if `inplace`."""
        return self._reshaped("expand_dims", inplace, axis=axis)

    def squeeze(self, axis: int | Sequence[int] | None = None, inplace: bool = False) -> Any:
        """Return a copy without the axes of length 1, or without those given; a view if `inplace`.

        >>> import regluon as mx
        >>> x = mx.nd.zeros((1, 2))
        >>> x.squeeze(inplace=True)[:] = 1
        >>> x.asnumpy().tolist()
        [[1.0, 1.0]]
        """
        return self._reshaped("squeeze", inplace, axis=axis)

    def flatten(self, inplace: bool = False) -> Any:
        """Return a copy (N, all the rest); a view if `inplace`."""
        return self._reshaped("flatten", inplace)

    def _reshaped(self: Any, name: str, inplace: bool, **attrs: Any) -> Any:
        op = self._ops[name]
        if not inplace:
            return dispatch.invoke(op, (self,), attrs, type(self))
        (spec,) = op.infer(self.spec, **attrs)
        return self._view_op("reshape_view", shape=spec.shape)

    def broadcast_like(
        self: Any, other: Any, lhs_axes: Axes | None = None, rhs_axes: Axes | None = None
    ) -> Any:
        """Return a copy repeated to the shape of `other`, or on `lhs_axes` to its `rhs_axes`."""
        return dispatch.call("broadcast_like", self, other, lhs_axes=lhs_axes, rhs_axes=rhs_axes)

    def slice_assign(self: Any, rhs: Any, begin: Ends, end: Ends, step: Ends) -> Any:
        """Write `rhs` to the part from `begin` to `end` on each of the first axes; returns itself.

        >>> import regluon as mx
        >>> mx.nd.zeros((3,)).slice_assign(mx.nd.ones((1,)), (1,), (2,), (None,)).asnumpy().tolist()
        [0.0, 1.0, 0.0]
        """
        self[tuple(slice(*ends) for ends in zip(begin, end, step, strict=True))] = rhs
        return self

    def slice_assign_scalar(self, value: float, begin: Ends, end: Ends, step: Ends) -> Any:
        """Write a number to the part from `begin` to `end` on each of the first axes."""
        return self.slice_assign(value, begin, end, step)

    def tostype(self, stype: str) -> Any:
        """Return the array in the storage type `"default"`; there is no other."""
        return dispatch.call("cast_storage", self, stype=stype)
