"""Single entries: one of each row by its index, and entries by their number in the flattened array.

An index out of range is an error; MXNet clips it in silence or writes beyond the array.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.bounds import check_below
from regluon.ops.index import one_hot, pick
from regluon.ops.reduce import argmax
from regluon.ops.registry import Spec, register
from regluon.ops.shape import Sizes, as_tuple


def _check_rows(data: Any, *columns: Any) -> None:
    """Raise unless `data` has rows and each of the other arrays one element for each of them."""
    for column in columns:
        if len(data.shape) != 2 or math.prod(column.shape) != data.shape[0]:
            raise ShapeError(
                f"an array (rows, columns) and one index for each row are needed, not "
                f"{tuple(data.shape)} and {tuple(column.shape)}"
            )


def _batch_take_rule(a: Spec, indices: Spec) -> tuple[Spec, ...]:
    _check_rows(a, indices)
    return (Spec(indices.shape, a.dtype),)


def _batch_take_check(a: Tensor, indices: Tensor) -> None:
    _check_rows(a, indices)
    check_below(indices, a.shape[1], "index")


@register(
    _batch_take_rule,
    nd="batch_take",
    symbol="batch_take",
    differentiable="a",
    check=_batch_take_check,
)
def batch_take(a: Tensor, indices: Tensor) -> Tensor:
    """Return one element of each row of `a`, in the shape of `indices`.

    >>> nd.batch_take(nd.array([[1, 2], [3, 4]]), nd.array([1, 0])).asnumpy().tolist()
    [2.0, 3.0]
    """
    return pick(a, indices.reshape(-1)).reshape(indices.shape)


def _fill_rule(lhs: Spec, mhs: Spec, rhs: Spec) -> tuple[Spec, ...]:
    _check_rows(lhs, mhs, rhs)
    return (lhs,)


def _fill_check(lhs: Tensor, mhs: Tensor, rhs: Tensor) -> None:
    _check_rows(lhs, mhs, rhs)
    check_below(rhs, lhs.shape[1], "index")


@register(
    _fill_rule,
    nd="fill_element_0index",
    symbol="fill_element_0index",
    differentiable="lhs mhs",
    check=_fill_check,
)
def fill_element_0index(lhs: Tensor, mhs: Tensor, rhs: Tensor) -> Tensor:
    """Return `lhs` with the element at column `rhs[i]` of row i replaced by `mhs[i]`.

    >>> x = nd.zeros((2, 2))
    >>> nd.fill_element_0index(x, nd.array([5, 6]), nd.array([0, 1])).asnumpy().tolist()
    [[5.0, 0.0], [0.0, 6.0]]
    """
    return lhs.scatter(1, rhs.long().reshape(-1, 1), mhs.reshape(-1, 1).to(lhs.dtype))


def _encoded_rule(out: Spec, indices: Spec) -> tuple[Spec, ...]:
    _check_rows(out, indices)
    return (out,)


@register(_encoded_rule, nd="onehot_encode", symbol="_onehot_encode", differentiable="")
def onehot_encode(out: Tensor, indices: Tensor) -> Tensor:
    """Write 1 at column `indices[i]` of each row i of `out`, 0 elsewhere, and return `out`.

    >>> nd.onehot_encode(nd.array([1, 0]), nd.zeros((2, 2))).asnumpy().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    if out is None:
        raise MXNetError("onehot_encode writes into its second argument; one_hot makes an array")
    _check_rows(out, indices)
    return one_hot(indices.reshape(-1), out.shape[1]).to(out.dtype)


def _channel_rule(data: Spec) -> tuple[Spec, ...]:
    if len(data.shape) < 2:
        raise ShapeError(f"argmax_channel takes (N, C, ...), not {data.shape}")
    return (Spec((data.shape[0], *data.shape[2:]), data.dtype),)


@register(_channel_rule, nd="argmax_channel", symbol="argmax_channel", differentiable="")
def argmax_channel(data: Tensor) -> Tensor:
    """Return where the largest element is along axis 1, in the dtype of the data.

    >>> nd.argmax_channel(nd.array([[1, 3, 2], [6, 5, 4]])).asnumpy().tolist()
    [1.0, 0.0]
    """
    return argmax(data, 1).to(data.dtype)


def _lengths(shape: Sizes) -> tuple[int, ...]:
    """Return an array shape whose first length may be -1, for unknown."""
    lengths = as_tuple(shape)
    if not lengths or lengths[0] < -1 or any(length < 0 for length in lengths[1:]):
        raise ShapeError(f"a shape, of which the first length may be -1, is needed, not {shape}")
    return lengths


def _strides(lengths: Sequence[int]) -> list[int]:
    return [math.prod(lengths[at + 1 :]) for at in range(len(lengths))]


_UNKNOWN = 2**62  # as many as an axis of unknown length may have


def _ravel_rule(data: Spec, shape: Sizes) -> tuple[Spec, ...]:
    if len(data.shape) != 2 or data.shape[0] != len(_lengths(shape)):
        raise ShapeError(f"places in {shape} are an array ({len(_lengths(shape))}, N)")
    return (Spec(data.shape[1:], data.dtype),)


def _ravel_check(data: Tensor, shape: Sizes) -> None:
    for row, length in zip(data, _lengths(shape), strict=False):
        check_below(row, _UNKNOWN if length == -1 else length, "index")


@register(
    _ravel_rule,
    nd="ravel_multi_index",
    symbol="_ravel_multi_index",
    differentiable="",
    check=_ravel_check,
)
def ravel_multi_index(data: Tensor, shape: Sizes) -> Tensor:
    """Return the numbers, in the flattened array of `shape`, of places given as columns (axes, N).

    The first length of `shape` may be -1. Numbers have the dtype of the places: float32 is exact
    up to 2**24.

    >>> nd.ravel_multi_index(nd.array([[0, 1], [2, 0]]), shape=(2, 3)).asnumpy().tolist()
    [2.0, 3.0]
    """
    _ravel_rule(Spec(tuple(data.shape), data.dtype), shape)
    strides = torch.tensor(_strides(_lengths(shape)), device=data.device)
    return (data.long() * strides[:, None]).sum(0).to(data.dtype)


def _unravel_rule(data: Spec, shape: Sizes) -> tuple[Spec, ...]:
    return (Spec((len(_lengths(shape)), *data.shape), data.dtype),)


def _unravel_check(data: Tensor, shape: Sizes) -> None:
    lengths = _lengths(shape)
    check_below(data, _UNKNOWN if lengths[0] == -1 else math.prod(lengths), "index")


@register(
    _unravel_rule,
    nd="unravel_index",
    symbol="_unravel_index",
    differentiable="",
    check=_unravel_check,
)
def unravel_index_nd(data: Tensor, shape: Sizes) -> Tensor:
    """Return the places of elements given by number: one row for each axis of `shape`.

    The first length of `shape` may be -1.

    >>> nd.unravel_index(nd.array([2, 3]), shape=(2, 3)).asnumpy().tolist()
    [[0.0, 1.0], [2.0, 0.0]]
    """
    lengths = _lengths(shape)
    rest = data.long()
    places = [rest.div(stride, rounding_mode="floor") for stride in _strides(lengths)]
    wrapped = [places[0], *(p % n for p, n in zip(places[1:], lengths[1:], strict=True))]
    return torch.stack(wrapped).to(data.dtype)
