"""Custom operators in MXNet's older form: CustomOp, CustomOpProp, `register` and `nd.Custom`."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from regluon.array.dispatch import state
from regluon.array.function import Function
from regluon.array.handle import Handle
from regluon.base import MXNetError, Registry, ShapeError, user_line
from regluon.context import Context
from regluon.ops.dtype import numpy_dtype, torch_dtype


P = TypeVar("P", bound="type[CustomOpProp]")


class CustomOp:
    """The computation of a custom operator, which writes its results into given arrays.

    `req` says for every array how: "write", "add" or "null", for `assign` to do so.
    """

    def forward(
        self,
        is_train: bool,
        req: Sequence[str],
        in_data: list[Any],
        out_data: list[Any],
        aux: list[Any],
    ) -> None:
        """Write the outputs into `out_data`."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def backward(
        self,
        req: Sequence[str],
        out_grad: list[Any],
        in_data: list[Any],
        out_data: list[Any],
        in_grad: list[Any],
        aux: list[Any],
    ) -> None:
        """Write the gradients of the inputs into `in_grad`."""
        raise NotImplementedError(f"{type(self).__name__} must define backward")

    def assign(self, dst: Any, req: str, src: Any) -> None:
        """Write `src` into `dst` as `req` says."""
        if req == "add":
            dst[:] = dst + src
        elif req != "null":
            dst[:] = src


class CustomOpProp:
    """What a custom operator is: its names, shapes and dtypes, and the CustomOp that computes it.

    The arguments of the constructor are those of `nd.Custom`, as text.
    """

    def __init__(self, need_top_grad: bool = True) -> None:
        self.need_top_grad_ = need_top_grad

    def list_arguments(self) -> list[str]:
        """Return the names of the inputs."""
        return ["data"]

    def list_outputs(self) -> list[str]:
        """Return the names of the outputs."""
        return ["output"]

    def list_auxiliary_states(self) -> list[str]:
        """Return the names of the states, which are inputs without gradients."""
        return []

    def infer_shape(self, in_shape: list[list[int]]) -> Any:
        """Return the shapes of inputs, outputs and, unless there are none, states."""
        return in_shape, [in_shape[0]] * len(self.list_outputs()), []

    def infer_type(self, in_type: list[Any]) -> Any:
        """Return the dtypes of inputs, outputs and, unless there are none, states."""
        states = [in_type[0]] * len(self.list_auxiliary_states())
        return in_type, [in_type[0]] * len(self.list_outputs()), states

    def declare_backward_dependency(
        self, out_grad: list[int], in_data: list[int], out_data: list[int]
    ) -> list[int]:
        """Return what `backward` reads; nothing depends on the answer here."""
        return [*out_grad, *in_data, *out_data]

    def create_operator(
        self, ctx: Context, in_shapes: list[list[int]], in_dtypes: list[Any]
    ) -> CustomOp:
        """Return the operator for inputs of these shapes and dtypes on a context."""
        raise NotImplementedError(f"{type(self).__name__} must define create_operator")


OPERATORS = Registry[type[CustomOpProp]]("custom operator")


def register(reg_name: str) -> Callable[[P], P]:
    """Make a CustomOpProp known to `nd.Custom` as `op_type=reg_name`."""

    def decorate(prop: P) -> P:
        if not issubclass(prop, CustomOpProp):
            raise MXNetError(f"{prop.__name__} is no CustomOpProp (at {user_line()})")
        OPERATORS.register(prop, reg_name)
        return prop

    return decorate


def Custom(*data: Any, op_type: str, **kwargs: Any) -> Any:
    """Call a custom operator: arrays in the order of its arguments or by name, options as text.

    Several outputs are a list. New code does better with `autograd.Function`.

    >>> import regluon as mx
    >>> class Double(mx.operator.CustomOp):
    ...     def forward(self, is_train, req, in_data, out_data, aux):
    ...         self.assign(out_data[0], req[0], in_data[0] * 2)
    >>> @mx.operator.register("double")
    ... class DoubleProp(mx.operator.CustomOpProp):
    ...     def create_operator(self, ctx, in_shapes, in_dtypes):
    ...         return Double()
    >>> mx.nd.Custom(mx.nd.array([1, 2]), op_type="double").asnumpy().tolist()
    [2.0, 4.0]
    """
    named = {name: value for name, value in kwargs.items() if isinstance(value, Handle)}
    options: dict[str, Any] = {k: str(v) for k, v in kwargs.items() if k not in named}
    prop = OPERATORS.get(op_type)(**options)
    names = [*prop.list_arguments(), *prop.list_auxiliary_states()]
    given = [*data, *(named.pop(name) for name in names[len(data) :] if name in named)]
    if named or len(given) != len(names) or not all(isinstance(item, Handle) for item in given):
        raise MXNetError(
            f"{op_type} takes the arrays {', '.join(names)}; {len(given)} were given"
            + "".join(f", and {name}, which it does not know" for name in named)
            + f" (at {user_line()})"
        )
    outputs = _Custom(op_type, prop, [array.recorded() for array in given])(*given)
    return outputs[0] if len(outputs) == 1 else outputs


class _Custom(Function):
    """One call of a custom operator."""

    def __init__(self, op_type: str, prop: CustomOpProp, wanted: list[bool]) -> None:
        self.op_type = op_type
        self.prop = prop
        self.count = len(prop.list_arguments())
        self.requests = ["write" if want else "null" for want in wanted[: self.count]]

    def forward(self, *inputs: Any) -> Any:
        """Let the operator write its outputs."""
        data, self.aux = list(inputs[: self.count]), list(inputs[self.count :])
        shapes = [list(array.spec.shape) for array in data]
        dtypes = [numpy_dtype(array.spec.dtype) for array in data]
        out_shapes = self._inferred("infer_shape", shapes)
        out_dtypes = self._inferred("infer_type", dtypes)
        ctx = inputs[0]._ctx
        outputs = [
            _zeros(inputs[0], tuple(shape), torch_dtype(dtype))
            for shape, dtype in zip(out_shapes, out_dtypes, strict=True)
        ]
        self.operator = self.prop.create_operator(ctx, shapes, dtypes)
        requests = ["write"] * len(outputs)
        self.operator.forward(state.training, requests, data, outputs, self.aux)
        self.save_for_backward(*data, *outputs)
        return outputs

    def _inferred(self, method: str, given: list[Any]) -> list[Any]:
        """Return what the operator infers for its outputs."""
        found = list(getattr(self.prop, method)(given))
        outputs = self.prop.list_outputs()
        if len(found) < 2 or len(found[1]) != len(outputs):
            raise ShapeError(
                f"{type(self.prop).__name__}.{method} must return what its inputs and its "
                f"{len(outputs)} outputs are, not {found}"
            )
        return list(found[1])

    def backward(self, *output_grads: Any) -> Any:
        """Let the operator write its gradients."""
        data = list(self.saved_tensors[: self.count])
        outputs = list(self.saved_tensors[self.count :])
        gradients = [_zeros(array, array.spec.shape, array.spec.dtype) for array in data]
        self.operator.backward(
            self.requests, list(output_grads), data, outputs, gradients, self.aux
        )
        kept = zip(gradients, self.requests, strict=True)
        return [g if req == "write" else None for g, req in kept] + [None] * len(self.aux)


def _zeros(like: Handle, shape: tuple[int, ...], dtype: torch.dtype) -> Handle:
    return type(like)(torch.zeros(shape, dtype=dtype, device=like._ctx.device), like._ctx)
