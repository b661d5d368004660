"""The short way through the door: a plain operator on finished arrays, computed on the spot."""

import weakref
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as onp
import torch
from torch import Tensor

from regluon.array.faults import located, mixed_contexts
from regluon.array.handle import Handle, Node
from regluon.base import user_line
from regluon.context import Context
from regluon.ops.registry import Op


H = TypeVar("H", bound=Handle)
NUMBERS = (int, float, bool, onp.number, onp.bool_)
"""What stands for an array argument without being converted."""


def computed(op: Op, args: Sequence[Any], attrs: dict[str, Any], cls: type[H], limit: int) -> Any:
    """Return the results of a call that is not recorded.

    Return None if an argument must be converted, has more than `limit` elements or no value yet.
    """
    values: list[Any] = []
    home: Context | None = None
    for arg in args:
        if type(arg) is cls or isinstance(arg, Handle):
            if (  # the writer first: when it is gone, the value is the one that it has left
                arg.writer
                or arg.error
                or arg.mark
                or (value := arg._data) is None
                or value.numel() > limit
            ) and (value := arg.ready(limit)) is None:
                return None
            values.append(value)
            if home is None:
                home = arg._ctx
            elif home is not arg._ctx:
                raise mixed_contexts(op, args)
        elif arg is None or isinstance(arg, NUMBERS):
            values.append(arg)
        else:
            return None
    if home is None or (op.effort and op.effort(*values) > limit):
        return None
    try:
        if op.check is not None:
            op.check(*values, **attrs)
        result = op.fn(*values, **attrs) if attrs else op.fn(*values)
    except Exception as error:
        raise located(error, op, args, attrs, user_line()) from error
    if type(result) is Tensor:
        return cls(result, home)
    outputs = [cls(tensor, home) for tensor in result]
    return outputs if len(outputs) > 1 or op.listed else outputs[0]


def recorded(  # noqa: C901 - every call that it would be divided into is paid per operator
    op: Op, args: Sequence[Any], attrs: dict[str, Any], cls: type[H], limit: int
) -> Any:
    """Return the results of a call under `record`, part of the graph if one of the arrays is.

    Return None as `computed` does, and if an array of the graph has no gradient in this operator.
    """
    values: list[Any] = []
    parents: list[Node] = []
    inputs: list[Any] = []  # with the versions that were read
    home: Context | None = None
    work = 0
    for arg in args:
        if type(arg) is cls or isinstance(arg, Handle):
            live = (node := arg._node) is not None and not node.spent
            if (
                arg.writer
                or arg.error
                or arg.mark
                or (live and arg._view)  # its base may be at another place by now
                or (value := arg._graph if live else arg._data) is None
                or (size := value.numel()) > limit
            ):
                value = arg.graph_ready(limit) if live else arg.ready(limit)
                if value is None:
                    return None
                size = value.numel()
            work += size
            if node is not None and live:
                parents.append(node)
            root = arg if arg._view is None else arg._view.base
            inputs.append((weakref.ref(root), root.version))
            values.append(value)
            if home is None:
                home = arg._ctx
            elif home is not arg._ctx:
                raise mixed_contexts(op, args)
        elif arg is None or isinstance(arg, NUMBERS):
            values.append(arg)
        else:
            return None
    if home is None or not parents:
        return computed(op, args, attrs, cls, limit)
    if not ((op.smooth or _smooth(op, args)) and torch.is_grad_enabled()):
        return None
    if op.effort and (work := op.effort(*values)) > limit:
        return None
    try:
        if op.check is not None:
            op.check(*values, **attrs)
        result = op.fn(*values, **attrs) if attrs else op.fn(*values)
    except Exception as error:
        raise located(error, op, args, attrs, user_line()) from error
    sources = tuple(parents)
    if type(result) is Tensor:
        output = cls(None, home)
        output._graph = result
        output._node = Node(sources, inputs, work)
        return output
    outputs = [cls(None, home) for _ in result]
    for output, tensor in zip(outputs, result, strict=True):
        output._graph = tensor
        output._node = Node(sources, inputs, work)
    return outputs if len(outputs) > 1 or op.listed else outputs[0]


def _smooth(op: Op, args: Sequence[Any]) -> bool:
    """Say whether every array that is in the graph has a gradient in this operator."""
    if op.smooth or op.variadic:
        return op.smooth
    return not any(
        isinstance(arg, Handle) and arg.recorded() and name not in op.differentiable
        for name, arg in zip(op.arrays, args, strict=False)
    )
