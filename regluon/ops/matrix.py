"""What linear algebra asks of its matrices, and how it says which one of a batch is unfit."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from regluon.base import DTypeError, MXNetError, ShapeError
from regluon.ops.calling import register_meta
from regluon.ops.dtype import dtype_name


F = TypeVar("F", bound=Callable[..., Any])


def register_linalg(name: str, **record: Any) -> Callable[[F], F]:
    """Register a function as `nd.linalg_<name>` and `nd.linalg.<name>`."""
    return register_meta(
        nd=f"linalg_{name}", also={"nd.linalg": name}, symbol=f"_linalg_{name}", **record
    )


def check_real(*arrays: Tensor) -> None:
    """Raise unless the arrays have one dtype, float32 or float64."""
    for array in arrays:
        if array.dtype not in (torch.float32, torch.float64):
            raise DTypeError(
                f"linear algebra needs float32 or float64, not {dtype_name(array.dtype)}; "
                "convert with x.astype('float32')"
            )
    names = [dtype_name(array.dtype) for array in arrays]
    if len(set(names)) > 1:
        raise DTypeError(f"the arrays need one dtype, not {' and '.join(names)}")


def check_matrices(*arrays: Tensor) -> None:
    """Raise unless the arrays are matrices in their last two axes, of one floating-point dtype."""
    check_real(*arrays)
    for array in arrays:
        if array.dim() < 2:
            raise ShapeError(f"matrices have at least two axes, unlike shape {tuple(array.shape)}")


def check_square(*arrays: Tensor) -> None:
    """Raise unless the arrays are square matrices in their last two axes, of one dtype."""
    check_matrices(*arrays)
    for array in arrays:
        if array.shape[-1] != array.shape[-2]:
            raise ShapeError(f"the matrices must be square, unlike shape {tuple(array.shape)}")


def check_each(unfit: Tensor, what: str) -> None:
    """Raise if a matrix is unfit; the message names the first by its index in the batch.

    `unfit` has one element for each matrix: True, or any number but 0. Without values (when only
    shapes are asked for) nothing is checked.

    >>> check_each(torch.tensor([0, 2]), "is singular")
    Traceback (most recent call last):
        ...
    regluon.base.MXNetError: matrix 1 of the batch is singular
    """
    if unfit.is_meta or not bool(unfit.any()):
        return
    at = [int(place) for place in unfit.nonzero()[0]]
    named = str(at[0]) if len(at) == 1 else str(tuple(at))
    raise MXNetError(f"matrix {named} of the batch {what}" if at else f"the matrix {what}")


def whole_as_double(array: Tensor) -> Tensor:
    """Return an array of whole numbers as float64, as NumPy computes with them."""
    return array if array.is_floating_point() else array.double()


def with_axis(array: Tensor) -> Tensor:
    """Return an array, with one axis if it had none: `nd` knows no others."""
    return array if array.dim() else array.reshape(1)
