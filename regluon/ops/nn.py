"""Layers without windows or statistics: fully connected, activations, dropout, embedding."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from regluon.base import MXNetError, ShapeError, nearest
from regluon.ops.bounds import check_below
from regluon.ops.infer import same
from regluon.ops.registry import Spec, register


def _rows(shape: Sequence[int], flatten: bool) -> tuple[int, ...]:
    """Return the shape of the data as the product sees it."""
    if not flatten:
        return tuple(shape)
    return (shape[0], math.prod(shape[1:])) if shape else (1, 1)


def _fully_connected_infer(
    data: Tensor | Spec,
    weight: Tensor | Spec,
    bias: Tensor | Spec | None = None,
    *,
    num_hidden: int = 0,
    no_bias: bool = False,
    flatten: bool = True,
) -> tuple[Spec, ...]:
    shape = _rows(data.shape, flatten)
    if len(weight.shape) != 2 or not shape or shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"weight {tuple(weight.shape)} does not fit data {tuple(data.shape)}: it needs the "
            f"shape (num_hidden, {shape[-1] if shape else '?'})"
        )
    hidden = weight.shape[0]
    if num_hidden and num_hidden != hidden:
        raise ShapeError(f"weight {tuple(weight.shape)} does not have num_hidden={num_hidden} rows")
    if bias is not None and not no_bias and tuple(bias.shape) != (hidden,):
        raise ShapeError(f"bias {tuple(bias.shape)} does not fit {hidden} hidden units")
    return (Spec((*shape[:-1], hidden), data.dtype),)


@register(
    _fully_connected_infer, nd="FullyConnected", npx="fully_connected", symbol="FullyConnected"
)
def fully_connected(
    data: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    num_hidden: int = 0,
    no_bias: bool = False,
    flatten: bool = True,
) -> Tensor:
    """Return data @ weight.T + bias, for a weight of shape (num_hidden, inputs).

    With `flatten` all axes of `data` but the first are one; without it only the last is multiplied.
    `num_hidden` is the weight's and may be left out.

    >>> fully_connected(torch.ones(2, 3, 4), torch.ones(5, 12), no_bias=True).shape
    torch.Size([2, 5])
    """
    rows = data.reshape(_rows(data.shape, True)) if flatten and data.dim() != 2 else data
    if rows.shape[-1:] != weight.shape[1:] or num_hidden not in (0, weight.shape[0]):
        _fully_connected_infer(data, weight, num_hidden=num_hidden, flatten=flatten)  # raises
    return F.linear(rows, weight, None if no_bias else bias)


def _softrelu(data: Tensor) -> Tensor:
    """Return log(1 + exp(x)), which float64 cannot tell from x above 40."""
    return F.softplus(data, 1, 40)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softrelu": _softrelu,
    "softsign": F.softsign,
}


@register(same, nd="Activation", npx="activation", symbol="Activation")
def activation(data: Tensor, act_type: str) -> Tensor:
    """Apply "relu", "sigmoid", "tanh", "softrelu" (log(1 + exp(x))) or "softsign" (x / (1 + |x|)).

    Also "relu6", which MXNet spells clip(x, 0, 6): its gradient costs half as much as that of clip.

    >>> activation(torch.tensor([-1.0, 2.0]), "relu").tolist()
    [0.0, 2.0]
    """
    function = _ACTIVATIONS.get(act_type)
    if function is None:
        raise MXNetError(
            f"unknown act_type {act_type!r}; known: {', '.join(_ACTIVATIONS)}"
            f"{nearest(act_type, _ACTIVATIONS)}"
        )
    return function(data)


@register(same, also={"nd._internal": "relu_over", "np._internal": "relu_over"})
def relu_over(data: Tensor) -> Tensor:
    """Rectify in the memory of `data`, a fresh result of a layer that nobody uses afterwards."""
    return torch.relu_(data)


@register(same, also={"nd._internal": "add_relu", "np._internal": "add_relu"})
def add_relu(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Add two arrays of one shape and rectify the sum, in one array of memory."""
    return torch.relu_(lhs + rhs)


@register(same, nd="LeakyReLU", npx="leaky_relu", symbol="LeakyReLU")
def leaky_relu(
    data: Tensor,
    gamma: Tensor | None = None,
    act_type: str = "leaky",
    slope: float = 0.25,
    lower_bound: float = 0.125,
    upper_bound: float = 0.334,
) -> Tensor:
    """Apply a rectifier that is not flat below zero.

    "leaky" is x or slope * x, "prelu" the same with a learnt slope per channel `gamma` (axis 1),
    "elu" slope * (exp(x) - 1) below zero, "selu" the self-normalizing one of Klambauer et al. 2017,
    "gelu" x times the normal distribution function of x. The bounds are those of "rrelu", which is
    not available.
    """
    if act_type == "leaky":
        return F.leaky_relu(data, slope)
    if act_type == "elu":
        return F.elu(data, slope)
    if act_type == "selu":
        return F.selu(data)
    if act_type == "gelu":
        return F.gelu(data)
    if act_type == "prelu" and gamma is not None:
        return _prelu(data, gamma)
    raise MXNetError(
        "act_type is leaky, prelu (which needs gamma), elu, selu or gelu, not " + repr(act_type)
    )


def _prelu(data: Tensor, gamma: Tensor) -> Tensor:
    channels = data.shape[1] if data.dim() > 1 else data.shape[0]
    if gamma.numel() not in (1, channels):
        raise ShapeError(
            f"gamma {tuple(gamma.shape)} has neither one slope nor one for each of the {channels} "
            f"channels of data {tuple(data.shape)}"
        )
    shape = (-1,) + (1,) * (data.dim() - 2)
    return torch.where(data > 0, data, data * gamma.reshape(shape))


@register(same, nd="Dropout", npx="dropout", symbol="Dropout", view="lazy copy")
def dropout(
    data: Tensor,
    p: float = 0.5,
    mode: str = "training",
    axes: Sequence[int] = (),
    cudnn_off: bool = False,
    *,
    training: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """In training set each element to zero with chance `p` and divide the others by 1 - p.

    In predict mode `data` itself comes back, unless `mode` is "always". Along `axes`, counted from
    0, one draw holds for all elements (variational dropout). Srivastava et al. 2014.
    """
    if not 0 <= p <= 1:
        raise MXNetError(f"p is the chance of a zero, from 0 to 1, not {p}")
    if mode not in ("training", "always"):
        raise MXNetError(f"mode is 'training' or 'always', not {mode!r}")
    if p == 0 or not (training or mode == "always"):
        return data
    drawn = torch.empty_like(data, dtype=torch.float32)
    if axes:
        drawn = drawn.new_empty([1 if i in axes else n for i, n in enumerate(data.shape)])
    # Comparing uniform numbers is four times as fast as torch's Bernoulli draws.
    mask = drawn.uniform_(generator=generator).lt_(1 - p).mul_(1 / (1 - p) if p < 1 else 0)
    return data * mask.to(data.dtype)


def _embedding_infer(
    data: Tensor | Spec,
    weight: Tensor | Spec,
    *,
    input_dim: int = 0,
    output_dim: int = 0,
    **rest: Any,
) -> tuple[Spec, ...]:
    if len(weight.shape) != 2 or (
        (input_dim or weight.shape[0], output_dim or weight.shape[1]) != tuple(weight.shape)
    ):
        raise ShapeError(
            f"weight {tuple(weight.shape)} does not have input_dim={input_dim} rows of "
            f"output_dim={output_dim}"
        )
    return (Spec((*data.shape, weight.shape[1]), weight.dtype),)


def _check_embedding(data: Tensor, weight: Tensor, **rest: Any) -> None:
    check_below(data, len(weight), "embedding index")


@register(
    _embedding_infer,
    nd="Embedding",
    npx="embedding",
    symbol="Embedding",
    differentiable="weight",
    check=_check_embedding,
)
def embedding(
    data: Tensor,
    weight: Tensor,
    input_dim: int = 0,
    output_dim: int = 0,
    dtype: Any = "float32",
    sparse_grad: bool = False,
) -> Tensor:
    """Replace every index in `data` by that row of `weight`, of shape (input_dim, output_dim).

    An index outside 0 ... input_dim - 1 is an error (MXNet clips it). The dimensions are the
    weight's and may be left out; the result has the weight's dtype.

    >>> embedding(torch.tensor([[2.0, 0.0]]), torch.eye(3)).tolist()
    [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]
    """
    _embedding_infer(data, weight, input_dim=input_dim, output_dim=output_dim)
    return F.embedding(data.long(), weight)
