"""Positions as data: the index of every element, and rows written where an index array says."""

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.bounds import check_below
from regluon.ops.registry import Spec, register
from regluon.ops.shape import Sizes, as_tuple, one_axis


def _index_infer(data: Spec, *, axes: Sizes | None = None) -> tuple[Spec, ...]:
    count = len(data.shape) if axes is None else len(as_tuple(axes))
    return (Spec((*data.shape, count), torch.int64),)


@register(
    _index_infer,
    also={"nd.contrib": "index_array"},
    symbol="_contrib_index_array",
    differentiable="",
)
def index_array(data: Tensor, axes: Sizes | None = None) -> Tensor:
    """Return each element's index, or that along some axes, as a further last axis of int64.

    >>> nd.contrib.index_array(nd.ones((2, 2)), axes=1).asnumpy().tolist()
    [[[0], [1]], [[0], [1]]]
    """
    chosen = range(data.dim()) if axes is None else as_tuple(axes)
    found = data.new_empty((*data.shape, len(chosen)), dtype=torch.int64)
    for place, axis in enumerate(chosen):
        at = one_axis(axis, data.dim())
        steps = torch.arange(data.shape[at], device=data.device)
        found[..., place] = steps.reshape((-1,) + (1,) * (data.dim() - at - 1))
    return found


def _copy_infer(
    old_tensor: Tensor | Spec, index_vector: Tensor | Spec, new_tensor: Tensor | Spec
) -> tuple[Spec, ...]:
    old, rows, new = (tuple(each.shape) for each in (old_tensor, index_vector, new_tensor))
    if len(rows) != 1 or not old or new != (*rows, *old[1:]):
        raise ShapeError(
            f"index_copy writes new_tensor {new} into rows of old_tensor {old} chosen by "
            f"index_vector {rows}: it needs one row for each"
        )
    return (Spec(old, old_tensor.dtype),)


def _check_copy(old_tensor: Tensor, index_vector: Tensor, new_tensor: Tensor) -> None:
    _copy_infer(old_tensor, index_vector, new_tensor)
    check_below(index_vector, len(old_tensor), "index")


@register(
    _copy_infer,
    also={"nd.contrib": "index_copy"},
    symbol="_contrib_index_copy",
    differentiable="old_tensor new_tensor",
    check=_check_copy,
)
def index_copy(old_tensor: Tensor, index_vector: Tensor, new_tensor: Tensor) -> Tensor:
    """Return `old_tensor` with row index_vector[i] replaced by row i of `new_tensor`, each i once.

    >>> nd.contrib.index_copy(nd.zeros((3, 1)), nd.array([2, 0]), nd.array([[5], [7]])).shape
    (3, 1)
    """
    return old_tensor.index_copy(0, index_vector.long(), new_tensor.to(old_tensor.dtype))
