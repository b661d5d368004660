"""NDArray: the array that users hold; its waiting points, views, copies and gradients."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as onp
import torch
from torch import Tensor

from regluon.array import dispatch, tape, twin
from regluon.array.arguments import as_tensor
from regluon.array.classic import ClassicMixin
from regluon.array.handle import Handle
from regluon.array.key import normalize
from regluon.array.part import assigned, part, updated
from regluon.array.protocol import ProtocolMixin
from regluon.array.shortcut import NUMBERS
from regluon.base import ContextError, MXNetError, ShapeError, user_line
from regluon.context import Context
from regluon.engine.selection import selected
from regluon.ops.dtype import numpy_dtype, torch_dtype
from regluon.ops.methods import OperatorMixin
from regluon.ops.registry import NAMESPACES, Op
from regluon.ops.reshape import infer_reshape
from regluon.ops.subscript import plan


if TYPE_CHECKING:  # the methods that are filled in from the operator table
    from regluon.array.typed import NDMethods
else:
    NDMethods = object

_WHOLE = slice(None)
_NUMPY = NAMESPACES["np._internal"]  # in whose results single elements have no axes


class NDArray(Handle, OperatorMixin, ClassicMixin, ProtocolMixin, NDMethods):
    """An array on a context, with MXNet's `nd` semantics.

    Shape, dtype and context are known at once; the values are computed by the engine, and only
    reading them (`asnumpy`, `asscalar`, printing, `wait_to_read`) waits.

    >>> import regluon as mx
    >>> x = mx.nd.array([[1, 2], [3, 4]])
    >>> (x * 2 + 1).sum().item()
    24.0
    """

    __slots__ = ()
    __hash__ = OperatorMixin.__hash__

    _space: ClassVar[str] = "nd"
    _ops: ClassVar[Mapping[str, Op]] = NAMESPACES["nd"]
    _internal: ClassVar[Mapping[str, Op]] = NAMESPACES["nd._internal"]

    def _invoke(self, name: str, *args: Any, out: Any = None) -> Any:
        if out is not None and updated(self, name, args[1]):
            return out
        return dispatch.invoke(self._ops[name], args, {}, type(self), out)

    def _call(self, name: str, *args: Any, **attrs: Any) -> Any:
        table = _NUMPY if dispatch.state.np_shape else self._internal
        return dispatch.invoke(table[name], (self, *args), attrs, type(self))

    # What is known at once

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        return self.spec.shape

    @property
    def dtype(self) -> Any:
        """The type of the elements as a NumPy scalar type."""
        return numpy_dtype(self.spec.dtype)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.spec.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(onp.prod(self.spec.shape, dtype=onp.int64))

    @property
    def context(self) -> Context:
        """Where the array lives."""
        return self._ctx

    ctx = context

    @property
    def stype(self) -> str:
        """The storage type; always `"default"`, which is dense."""
        return "default"

    # Reading values: these wait

    def wait_to_read(self) -> None:
        """Return when the value is computed; raise what went wrong on the way."""
        dispatch.settle(self)

    def wait_to_write(self) -> None:
        """Return when no operator that was called so far reads or writes this array.

        Then another library may write to the memory that `to_torch()` shares.
        """
        selected.engine.wait_to_write(self.root)

    def asnumpy(self) -> Any:
        """Return a copy as a NumPy array (bfloat16 becomes float32)."""
        dispatch.wait(self)
        tensor = self.value()
        if tensor.dtype == torch.bfloat16:
            tensor = tensor.float()
        return onp.array(tensor.cpu().numpy(), order="C")

    def asscalar(self) -> Any:
        """Return the only element as a NumPy scalar."""
        if self.size != 1:
            raise ShapeError(
                f"only an array of one element is a scalar; this one has shape {self.shape}"
            )
        return self.asnumpy().reshape(-1)[0]

    def item(self) -> Any:
        """Return the only element as a Python number."""
        return self.asscalar().item()

    def tolist(self) -> Any:
        """Return the values as nested lists."""
        return self.asnumpy().tolist()

    def to_torch(self) -> Tensor:
        """Return the value as a torch tensor that shares this array's storage.

        >>> import regluon as mx
        >>> x = mx.nd.zeros((2,))
        >>> _ = x.to_torch().add_(1)
        >>> x.asnumpy().tolist()
        [1.0, 1.0]
        """
        dispatch.wait(self)
        if selected.engine.held(self.root):
            self.prepare_write("")
        else:
            for array in self.root.part(user_line()):
                dispatch.wait(array)
        return self.value()

    # Copies and places

    def copy(self) -> Any:
        """Return a copy on the same context."""
        return self.copyto(self._ctx)

    def copyto(self, other: Any) -> Any:
        """Copy to a context (a new array) or into another array of the same shape; returns it."""
        if isinstance(other, Context):
            op = self._internal["copy_to"]
            return dispatch.invoke(op, (self,), {}, type(self), ctx=other)
        if not isinstance(other, NDArray):
            raise ContextError(
                f"a copy goes to a context such as mx.cpu() or into an array, not {other!r}"
            )
        if other is self:
            raise MXNetError("an array cannot be copied to itself")
        if other.shape != self.shape:
            raise ShapeError(f"cannot copy shape {self.shape} into shape {other.shape}")
        other[:] = self if other._ctx is self._ctx else self.copyto(other._ctx)
        return other

    def as_in_context(self, context: Context) -> Any:
        """Return itself if it is on `context` already, else a copy there."""
        return self if self._ctx is context else self.copyto(context)

    as_in_ctx = as_in_context

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """Return the values as `dtype`; with `copy=False` itself where nothing changes."""
        if not copy and self.spec.dtype == torch_dtype(dtype):
            return self
        return dispatch.call("cast", self, dtype=dtype)

    def detach(self) -> Any:
        """Return the same storage without the record of how it was computed."""
        return twin.same_storage(self, type(self), recorded=False)

    def as_nd_ndarray(self) -> "NDArray":
        """Return the same array with `nd` semantics."""
        if self._space == "nd":
            return self
        return twin.same_storage(self, NDArray, recorded=True)

    def as_np_ndarray(self) -> Any:
        """Return the same array with NumPy semantics."""
        if self._space == "np":
            return self
        return twin.same_storage(self, dispatch.CLASSES["np"], recorded=True)

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        """Return a view with another shape; MXNet's codes 0, -1, -2, -3, -4 are understood."""
        if not shape and "shape" in kwargs:
            shape = (kwargs["shape"],)
        if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
            shape = tuple(shape[0])
        full = infer_reshape(self.shape, tuple(shape), bool(kwargs.get("reverse", False)))
        return self._view_op("reshape_view", shape=full)

    def transpose(self, *order: Any, axes: Any = None) -> Any:
        """Return a copy with the axes reversed, or in the order `(1, 0)`, `1, 0` or `axes=`."""
        given = order[0] if len(order) == 1 and not isinstance(order[0], int) else order
        chosen = {"axes": axes if axes is not None else given or None}
        return dispatch.invoke(self._ops["transpose"], (self,), chosen, type(self))

    @property
    def T(self) -> Any:
        """A copy with the axes in reverse order."""
        return self.transpose()

    # Indexing

    def __getitem__(self, key: Any) -> Any:
        found = part(self, key)
        if found is not None:
            return found
        if (type(key) is slice and key == _WHOLE) or (type(key) is tuple and not key):
            return self
        plain, indices = normalize(key, self)
        if indices:
            kind = "mask" if any(i.spec.dtype == torch.bool for i in indices) else "gather"
            return self._call(kind, *indices, key=plain)
        if plan(self.spec.shape, plain).run:
            return self._view_op("slice_view", key=plain)
        return self._call("slice_copy", key=plain)

    def __setitem__(self, key: Any, value: Any) -> None:
        if assigned(self, key, value):
            return
        plain, indices = normalize(key, self)
        if not isinstance(value, (Handle, *NUMBERS)):
            value = type(self)(as_tensor(value, self.spec.dtype, self._ctx.device), self._ctx)
        if isinstance(value, NDArray) and value._ctx is not self._ctx:
            value = value.as_in_context(self._ctx)
        op, pure = self._internal["assign"], self._internal["assigned"]
        twin.assign(op, pure, self, (value, *indices), {"key": plain})

    def _view_op(self, name: str, **attrs: Any) -> Any:
        table = _NUMPY if dispatch.state.np_shape else self._internal
        return twin.invoke_view(table[name], self, attrs, type(self))

    # Gradients

    @property
    def grad(self) -> Any:
        """The gradient that `backward` fills, or None."""
        return None if self._node is None else self._node.grad

    def attach_grad(self, grad_req: str = "write", stype: str | None = None) -> None:
        """Ask for gradients of this array: `write` replaces, `add` accumulates, `null` stops.

        `grad` is zeros from here on, and the array a constant of what was recorded before.

        >>> import regluon as mx
        >>> x = mx.nd.array([2.0])
        >>> x.attach_grad()
        >>> with mx.autograd.record():
        ...     y = x * x
        >>> y.backward()
        >>> x.grad.item()
        4.0
        """
        tape.check_request(grad_req)
        zero = torch.zeros(self.shape, dtype=self.spec.dtype, device=self._ctx.device)
        tape.attach(self, type(self)(zero, self._ctx), grad_req)

    def drop_grad(self) -> None:
        """Forget the gradient and the record of how this array was computed.

        >>> import regluon as mx
        >>> x = mx.nd.array([2.0])
        >>> x.attach_grad()
        >>> x.drop_grad()
        >>> x.grad is None
        True
        """
        tape.attach(self, None, "null")

    def backward(
        self, out_grad: Any = None, retain_graph: bool = False, train_mode: bool = True
    ) -> None:
        """Compute the gradients of all that this array was recorded from; `out_grad` is ones.

        The record is freed unless `retain_graph`. `train_mode` is what `autograd.is_training()`
        says inside the `backward` of an `autograd.Function`.
        """
        tape.backward([self], [out_grad], retain_graph, train_mode)

    def zero_grad(self) -> None:
        """Set the gradient to zero."""
        if self.grad is None:
            raise MXNetError(f"this array has no gradient: call attach_grad() (at {user_line()})")
        self.grad[:] = 0


dispatch.CLASSES["nd"] = NDArray
