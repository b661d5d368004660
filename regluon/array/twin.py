"""Twins: arrays that share another's storage; views, and writes to parts, as in `x[key] = v`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from regluon.array.dispatch import Issue, push_quietly, state
from regluon.array.faults import located
from regluon.array.handle import Handle, View
from regluon.base import MXNetError, user_line
from regluon.ops.registry import TABLE, Op


H = TypeVar("H", bound=Handle)


@dataclass(frozen=True, slots=True)
class Part:
    """The function that finds a view: equal to another one if it finds the same part."""

    op: Op
    attrs: dict[str, Any]
    outer: Callable[[Tensor], Tensor] | None  # is called first

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the part of a tensor."""
        outer = self.outer
        result: Tensor = self.op.fn(tensor if outer is None else outer(tensor), **self.attrs)
        return result


def invoke_view(op: Op, array: Handle, attrs: dict[str, Any], cls: type[H]) -> H:
    """Return a view that writes through: `op` on `array`, applied anew to the base's storage."""
    base, outer = (array, None) if array._view is None else (array._view.base, array._view.fn)
    if state.recording and array.recorded():
        result: H = Issue(op, (array,), attrs, cls, None, None).issue()
    else:
        try:
            (spec,) = op.infer(array.spec, **attrs)
        except Exception as error:
            raise located(error, op, (array,), attrs, user_line()) from error
        result = cls(None, array._ctx, spec)
    result._view = View(base, Part(op, attrs, outer))
    return result


def assign(op: Op, pure: Op, target: H, args: Sequence[Any], attrs: dict[str, Any]) -> None:
    """Write part of `target` with `op`; a recorded value makes `target` recorded, as in MXNet."""
    value = args[0]
    if state.recording and isinstance(value, Handle) and value.recorded():
        if target.recorded() or target._view is not None:
            Issue(op, (target, *args), attrs, type(target), None, None)  # raises for recorded ones
            raise MXNetError(f"a recorded value cannot be written into a view (at {user_line()})")
        result = Issue(pure, (target, *args), dict(attrs), type(target), None, None).issue()
        plain = same_storage(value, type(target), recorded=False)
        Issue(op, (target, plain, *args[1:]), attrs, type(target), None, None).issue()
        target._node = result._node
        if state.capture is not None:
            state.capture.rename(target, result)

        def adopt() -> None:
            target._graph = result._graph

        push_quietly(adopt, [result, target], [target], target._ctx, "assign")
        return
    Issue(op, (target, *args), attrs, type(target), None, None).issue()


def same_storage(array: Handle, cls: type[H], *, recorded: bool) -> H:
    """Return another handle of class `cls` on the storage of `array`, recorded or not."""
    view = array._view
    own = view is not None and array.recorded() and array._node is not view.base._node
    if recorded and state.recording and own:
        return invoke_view(TABLE["reshape_view"], array, {"shape": array.spec.shape}, cls)
    twin = cls(None, array._ctx, array.spec)
    twin._view = View(array.root, _identity if view is None else view.fn)
    if recorded:
        twin._node = array._node
    return twin


def _identity(tensor: Tensor) -> Tensor:
    return tensor
