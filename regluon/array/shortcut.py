"""The short way through the door: a plain operator on finished arrays, computed on the spot."""

import sys
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


def computed(
    op: Op, args: Sequence[Any], attrs: dict[str, Any], cls: type[H], limit: int, recording: bool
) -> Any:
    """Return the results of a call, recorded if one of the arrays is and `recording`.

    Return None if an argument must be converted, has more than `limit` elements or no value yet,
    and if some of the arrays have no gradient in this operator, though they could.
    """
    values: list[Any] = []
    parents: list[Any] = []
    home: Context | None = None
    bounded = limit < sys.maxsize
    work = 0
    for arg in args:
        if isinstance(arg, Handle):
            live = recording and (node := arg._node) is not None and not node.spent
            if (  # the writer first: when it is gone, the value is the one that it has left
                arg.writer
                or arg.error
                or (live and arg._view)  # its base may be at another place by now
                or (value := arg._graph if live else arg._data) is None
                or (bounded and value.numel() > limit)
            ):
                value = arg.graph_ready(limit) if live else arg.ready(limit)
                if value is None:
                    return None
            work += value.numel() if bounded else 0
            if live:
                parents.append(node)
            values.append(value)
            if home is None:
                home = arg._ctx
            elif home is not arg._ctx:
                raise mixed_contexts(op, args)
        elif arg is None or isinstance(arg, NUMBERS):
            values.append(arg)
        else:
            return None
    if bounded and op.effort is not None and (work := op.effort(*values)) > limit:
        return None
    if home is None or (parents and not (torch.is_grad_enabled() and _smooth(op, args))):
        return None
    run = op.fn if op.check is None else op.run
    try:
        result = run(*values, **attrs) if attrs else run(*values)
    except Exception as error:
        raise located(error, op, args, attrs, user_line()) from error
    plain = not parents and type(result) is Tensor
    return cls(result, home) if plain else _outputs(result, op, args, cls, home, parents, work)


def _smooth(op: Op, args: Sequence[Any]) -> bool:
    """Say whether every array that is in the graph has a gradient in this operator."""
    if op.smooth or op.variadic:
        return op.smooth
    return not any(
        isinstance(arg, Handle) and arg.recorded() and name not in op.differentiable
        for name, arg in zip(op.arrays, args, strict=False)
    )


def _outputs(
    result: Any,
    op: Op,
    args: Sequence[Any],
    cls: type[H],
    ctx: Context,
    parents: Sequence[Node],
    work: int,
) -> H | list[H]:
    """Return results as arrays, in the graph if they have parents there.

    The versions of the arrays that were read are noted then, and the work it was.
    """
    inputs = []
    for arg in args if parents else ():
        if isinstance(arg, Handle):
            root = arg if arg._view is None else arg._view.base
            inputs.append((weakref.ref(root), root.version))
    outputs = []
    for tensor in (result,) if isinstance(result, Tensor) else result:
        output = cls(None if parents else tensor, ctx)
        if parents:
            output._graph = tensor
            output._node = Node(tuple(parents), inputs, work)
        outputs.append(output)
    return outputs if len(outputs) > 1 or op.listed else outputs[0]
