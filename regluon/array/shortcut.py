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
    """Return the results of a call outside `record`.

    Return None if an argument must be converted, has more than `limit` elements, or no value yet.
    """
    values: list[Any] = []
    home = None
    for arg in args:
        if isinstance(arg, Handle):
            value = arg.ready(limit)
            if value is None:
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
    if home is None:
        return None
    try:
        result = op.fn(*values, **attrs)
    except Exception as error:
        raise located(error, op, args, attrs, user_line()) from error
    if isinstance(result, Tensor):
        return cls(result, home)
    return [cls(item, home) for item in result]


def recorded(op: Op, args: Sequence[Any], attrs: dict[str, Any], cls: type[H], limit: int) -> Any:
    """Return the results of a call under `record` if gradients may flow through all its arrays.

    Return None as `computed` does.
    """
    if not op.smooth or not torch.is_grad_enabled():
        return None
    values: list[Any] = []
    parents: list[Node] = []
    inputs: list[tuple[weakref.ref[Handle], int]] = []
    home = None
    for arg in args:
        if isinstance(arg, Handle):
            node = arg._node
            if node is None or node.spent:
                value = arg.ready(limit)
            else:
                value = arg.graph_ready(limit)
                parents.append(node)
            if value is None:
                return None
            values.append(value)
            root = arg if arg._view is None else arg._view.base
            inputs.append((weakref.ref(root), root.version))
            if home is None:
                home = arg._ctx
            elif home is not arg._ctx:
                raise mixed_contexts(op, args)
        elif arg is None or isinstance(arg, NUMBERS):
            values.append(arg)
        else:
            return None
    if home is None:
        return None
    try:
        result = op.fn(*values, **attrs)
    except Exception as error:
        raise located(error, op, args, attrs, user_line()) from error
    if isinstance(result, Tensor):
        return _output(result, cls, home, parents, inputs)
    return [_output(tensor, cls, home, parents, inputs) for tensor in result]


def _output(
    tensor: Tensor,
    cls: type[H],
    ctx: Context,
    parents: list[Node],
    inputs: list[tuple[weakref.ref[Handle], int]],
) -> H:
    if not parents:
        return cls(tensor, ctx)
    output = cls(None, ctx)
    output._graph = tensor
    output._node = Node(tuple(parents), inputs)
    return output
