"""Function: an operation whose gradient the user writes, on arrays; MXNet's autograd.Function."""

import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from regluon.array.dispatch import push, state, wait
from regluon.array.handle import FunctionNode, Handle
from regluon.base import ContextError, DTypeError, MXNetError, ShapeError, is_user_frame, user_line


class Function:
    """An operation with a gradient of its own, written as two methods on arrays.

    `forward` computes the outputs, unrecorded; it may use NumPy. `backward` gets a gradient for
    every output and returns one for every argument of `forward`, or None for zeros and for what is
    no array. Each instance is called once. The gradient of such a gradient does not exist: asking
    for it is an error.

    >>> import regluon as mx
    >>> class Sigmoid(mx.autograd.Function):
    ...     def forward(self, x):
    ...         y = 1 / (1 + mx.nd.exp(-x))
    ...         self.save_for_backward(y)
    ...         return y
    ...     def backward(self, dy):
    ...         (y,) = self.saved_tensors
    ...         return dy * y * (1 - y)
    >>> x = mx.nd.array([0.0])
    >>> x.attach_grad()
    >>> with mx.autograd.record():
    ...     y = Sigmoid()(x)
    >>> y.backward()
    >>> x.grad.item()
    0.25
    """

    saved_tensors: tuple[Any, ...] = ()
    _used = False

    def forward(self, *inputs: Any) -> Any:
        """Compute the outputs: an array or a sequence of arrays."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def backward(self, *output_grads: Any) -> Any:
        """Compute the gradient of every input from the gradients of the outputs."""
        raise NotImplementedError(f"{type(self).__name__} must define backward")

    def save_for_backward(self, *arrays: Any) -> None:
        """Keep arrays for `backward`, as `saved_tensors`; writing to one before is an error."""
        self.saved_tensors = arrays

    def __call__(self, *inputs: Any) -> Any:
        """Return what `forward` computes, recorded if any of the inputs is."""
        if self._used:
            raise MXNetError(
                f"this {type(self).__name__} was called before; make a new one for every call "
                f"(at {user_line()})"
            )
        self._used = True
        recording, state.recording = state.recording, False
        try:
            outputs = self.forward(*inputs)
        finally:
            state.recording = recording
        arrays = [arg for arg in inputs if isinstance(arg, Handle)]
        if not recording or not any(array.recorded() for array in arrays):
            return outputs
        return _record(self, inputs, arrays, outputs)


def _record(function: Function, inputs: Sequence[Any], arrays: list[Handle], outputs: Any) -> Any:
    """Return the outputs as arrays of the graph; they share storage until one is written."""
    given = [outputs] if isinstance(outputs, Handle) else outputs
    if not isinstance(given, (list, tuple)) or not all(isinstance(o, Handle) for o in given):
        raise MXNetError(
            f"{type(function).__name__}.forward must return an array or a sequence of arrays, "
            f"not {outputs!r} (at {user_line()})"
        )
    graph = {id(array) for array in arrays if array.recorded()}
    saved = [item for item in function.saved_tensors if isinstance(item, Handle)]
    node = FunctionNode(
        tuple(array._node for array in arrays if array._node is not None and id(array) in graph),
        [(weakref.ref(array.root), array.root.version) for array in [*arrays, *saved]],
        [(array, array.root.version) for array in saved],
    )
    results = [type(output)(None, output._ctx, output.spec) for output in given]
    for result, output in zip(results, given, strict=True):
        result.share_with(output)
        if output.spec.dtype.is_floating_point:
            result._node = node
    gradient = _Gradient(function, inputs, given, node)

    def task() -> None:
        values = [a.graph_value() if id(a) in graph else a.value() for a in arrays]
        with torch.enable_grad():
            tensors = _Bridge.apply(  # type: ignore[no-untyped-call]
                gradient, [output.value() for output in given], *values
            )
        for result, tensor in zip(results, tensors, strict=True):
            if result._node is None:
                result._data = tensor
            else:
                result._graph = tensor

    push(task, [*arrays, *given], results, given[0]._ctx, type(function).__name__)
    if isinstance(outputs, Handle):
        return results[0]
    return results if isinstance(outputs, list) else tuple(results)


class _Gradient:
    """What is needed to call a Function's `backward` on torch's gradients of its outputs."""

    def __init__(
        self,
        function: Function,
        inputs: Sequence[Any],
        outputs: Sequence[Handle],
        node: FunctionNode,
    ) -> None:
        self.function = function
        self.name = f"{type(function).__name__}.backward"
        self.wanted = [(arg.spec, arg._ctx) if isinstance(arg, Handle) else None for arg in inputs]
        self.heads = [(type(output), output._ctx) for output in outputs]
        self.node = node

    def __call__(self, tensors: Sequence[Tensor]) -> list[Tensor | None]:
        """Return the gradient of every array among the inputs, None for zeros."""
        before = state.recording, state.training
        state.recording, state.training = False, self.node.training
        try:
            returned = self._returned(tensors)
            found = [
                None if item is None else self._tensor(place, item)
                for place, item in enumerate(returned)
            ]
        except Exception as error:
            raise self._located(error) from error
        finally:
            state.recording, state.training = before
        return [item for item, kind in zip(found, self.wanted, strict=True) if kind is not None]

    def _returned(self, tensors: Sequence[Tensor]) -> list[Any]:
        """Call the user's method; a head gradient that it writes to is copied before."""
        kept = []  # torch may use these tensors elsewhere, so they count as shared
        heads = []
        for tensor, (cls, ctx) in zip(tensors, self.heads, strict=True):
            kept.append(cls(tensor, ctx))
            heads.append(cls(tensor, ctx))
            heads[-1].share_with(kept[-1])
        returned = self.function.backward(*heads)
        found = list(returned) if isinstance(returned, (list, tuple)) else [returned]
        if len(found) != len(self.wanted):
            raise MXNetError(
                f"{self.name} returned {len(found)} gradients for {len(self.wanted)} arguments "
                "of forward; return None for those that have no gradient"
            )
        return found

    def _tensor(self, place: int, gradient: Any) -> Tensor | None:
        """Return the value of one gradient, checked against its input, in its own storage."""
        wanted = self.wanted[place]
        title = f"{self.name}: the gradient of argument {place}"
        if not isinstance(gradient, Handle):
            raise DTypeError(f"{title} must be an array or None, not {gradient!r}")
        if wanted is None:
            raise DTypeError(f"{title} must be None: that argument is no array")
        spec, ctx = wanted
        if gradient.spec.shape != spec.shape:
            raise ShapeError(f"{title} has shape {gradient.spec.shape}, not {spec.shape}")
        if gradient._ctx is not ctx:
            raise ContextError(f"{title} is on {gradient._ctx}, not {ctx}")
        if not spec.dtype.is_floating_point:
            return None
        wait(gradient)
        return gradient.value().to(spec.dtype, copy=True)

    def _located(self, error: Exception) -> MXNetError:
        """Return the error as ours, with the line of the user's program that raised it."""
        kind = type(error) if isinstance(error, MXNetError) else MXNetError
        text = str(error) if isinstance(error, MXNetError) else f"{type(error).__name__}: {error}"
        code = type(self.function).backward.__code__
        place = _raised_at(error.__traceback__) or f"{code.co_filename}:{code.co_firstlineno}"
        return kind(f"{text}\n  in {self.name} at {place}")


def _raised_at(trace: TracebackType | None) -> str:
    """Return the innermost line of a traceback that is the user's own."""
    place = ""
    while trace is not None:
        if is_user_frame(trace.tb_frame):
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


class _Bridge(torch.autograd.Function):
    """A Function in torch's graph: passes tensors of the outputs on, and gradients back."""

    @staticmethod
    def forward(
        ctx: Any, gradient: _Gradient, outputs: Sequence[Tensor], *inputs: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the outputs, computed before, as results of the inputs."""
        ctx.gradient = gradient
        results = tuple(output.detach() for output in outputs)
        ctx.mark_non_differentiable(*(r for r in results if not r.is_floating_point()))
        return results

    @staticmethod
    def backward(ctx: Any, *tensors: Tensor) -> tuple[Tensor | None, ...]:
        """Let the user's code compute the gradients, which have none themselves."""
        found = ctx.gradient(tensors)
        if torch.is_grad_enabled():  # create_graph=True
            ends = [None if item is None else item.detach().requires_grad_() for item in found]
            found = _End.apply(ctx.gradient.name, *ends)  # type: ignore[no-untyped-call]
        return (None, None, *found)


class _End(torch.autograd.Function):
    """The end of differentiability: raises when a gradient of a Function's gradient is asked."""

    @staticmethod
    def forward(ctx: Any, name: str, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients as they are."""
        ctx.name = name
        return tuple(None if item is None else item.detach() for item in gradients)

    @staticmethod
    def backward(ctx: Any, *tensors: Tensor) -> Any:
        """Say what to do instead."""
        raise MXNetError(
            f"{ctx.name} is not recorded, so that its result cannot be differentiated again; "
            "compute the forward pass with operators instead of an autograd.Function"
        )
