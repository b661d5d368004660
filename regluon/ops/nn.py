"""Layers without windows or statistics: fully connected, activations, dropout, embedding."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from regluon.base import DTypeError, MXNetError, ShapeError, nearest
from regluon.ops.bounds import check_below
from regluon.ops.dtype import check_floating, dtype_name
from regluon.ops.infer import checked, floating, same
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
    if data.dtype != weight.dtype:
        raise DTypeError(
            f"data is {dtype_name(data.dtype)}, the weight {dtype_name(weight.dtype)}: they must "
            "have one dtype; bring one to the other's with astype"
        )
    hidden = weight.shape[0]
    if num_hidden and num_hidden != hidden:
        raise ShapeError(f"weight {tuple(weight.shape)} does not have num_hidden={num_hidden} rows")
    if bias is not None and not no_bias and tuple(bias.shape) != (hidden,):
        raise ShapeError(f"bias {tuple(bias.shape)} does not fit {hidden} hidden units")
    return (Spec((*shape[:-1], hidden), data.dtype),)


def _work(data: Tensor | Spec, weight: Tensor | Spec, *rest: Any) -> int:
    """Weights come from memory at 4 a nanosecond, 64 products take as long."""
    return weight.numel() // 4 + data.numel() * math.prod(weight.shape[:1]) // 64


@register(
    _fully_connected_infer,
    nd="FullyConnected",
    npx="fully_connected",
    symbol="FullyConnected",
    effort=_work,
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


def _check_activation(data: Any, act_type: str) -> None:
    if act_type not in _ACTIVATIONS:
        raise MXNetError(
            f"unknown act_type {act_type!r}; known: {', '.join(_ACTIVATIONS)}"
            f"{nearest(act_type, _ACTIVATIONS)}"
        )


@register(
    checked(floating, _check_activation), nd="Activation", npx="activation", symbol="Activation"
)
def activation(data: Tensor, act_type: str) -> Tensor:
    """Apply "relu", "sigmoid", "tanh", "softrelu" (log(1 + exp(x))) or "softsign" (x / (1 + |x|)).

    Also "relu6", which MXNet spells clip(x, 0, 6): its gradient costs half as much as that of clip.

    >>> activation(torch.tensor([-1.0, 2.0]), "relu").tolist()
    [0.0, 2.0]
    """
    _check_activation(data, act_type)
    check_floating("Activation", data.dtype)
    return _ACTIVATIONS[act_type](data)


@register(floating, nd="hard_sigmoid", symbol="hard_sigmoid")
def hard_sigmoid(data: Tensor, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """Return alpha * x + beta, cut off below 0 and above 1.

    >>> nd.hard_sigmoid(nd.array([-3, 0, 5])).asnumpy().tolist()
    [0.0, 0.5, 1.0]
    """
    check_floating("hard_sigmoid", data.dtype)
    return (alpha * data + beta).clamp(0, 1)


@register(same, also={"nd._internal": "relu_over", "np._internal": "relu_over"})
def relu_over(data: Tensor) -> Tensor:
    """Rectify in the memory of `data`, a fresh result of a layer that nobody uses afterwards."""
    return torch.relu_(data)


@register(same, also={"nd._internal": "add_relu", "np._internal": "add_relu"})
def add_relu(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Add two arrays of one shape and rectify the sum, in one array of memory."""
    return torch.relu_(lhs + rhs)


_RECTIFIERS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "leaky": F.leaky_relu,
    "elu": F.elu,
    "selu": lambda data, slope: F.selu(data),
    "gelu": lambda data, slope: F.gelu(data),
}


def _check_rectifier(data: Any, gamma: Any = None, act_type: str = "leaky", **rest: Any) -> None:
    if (act_type == "prelu") != (gamma is not None):
        raise MXNetError("the array gamma and act_type='prelu' belong together")
    known = (*_RECTIFIERS, "prelu", "rrelu")
    if act_type not in known:
        raise MXNetError(
            f"act_type is {', '.join(known)}, not {act_type!r}{nearest(act_type, known)}"
        )


@register(
    checked(floating, _check_rectifier),
    nd="LeakyReLU",
    npx="leaky_relu",
    symbol="LeakyReLU",
    instead=("act_type", "rrelu", "rrelu"),
)
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
    "rrelu" with a slope drawn for each element between the bounds, their middle outside training,
    "elu" slope * (exp(x) - 1) below zero, "selu" the self-normalizing one of Klambauer et al. 2017,
    "gelu" x times the normal distribution function of x.

    >>> nd.LeakyReLU(nd.array([-4, 2]), act_type="leaky", slope=0.5).asnumpy().tolist()
    [-2.0, 2.0]
    """
    check_floating("LeakyReLU", data.dtype)
    _check_rectifier(data, gamma, act_type)
    return _prelu(data, gamma) if gamma is not None else _RECTIFIERS[act_type](data, slope)


@register(floating, also={"nd._internal": "rrelu", "np._internal": "rrelu"}, differentiable="data")
def rrelu(
    data: Tensor,
    gamma: Tensor | None = None,
    act_type: str = "rrelu",
    slope: float = 0.25,
    lower_bound: float = 0.125,
    upper_bound: float = 0.334,
    *,
    training: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Draw the slope below zero of each element between the bounds; else take their middle.

    What `leaky_relu` is by act_type "rrelu"; Xu et al. 2015.
    """
    check_floating("LeakyReLU", data.dtype)
    if not training:
        return F.leaky_relu(data, (lower_bound + upper_bound) / 2)
    blank = torch.empty(data.shape, dtype=data.dtype, device=data.device)
    slopes = blank.uniform_(lower_bound, upper_bound, generator=generator)
    return torch.where(data > 0, data, data * slopes)


def _prelu(data: Tensor, gamma: Tensor) -> Tensor:
    channels = data.shape[1] if data.dim() > 1 else data.shape[0]
    if gamma.numel() not in (1, channels):
        raise ShapeError(
            f"gamma {tuple(gamma.shape)} has neither one slope nor one for each of the {channels} "
            f"channels of data {tuple(data.shape)}"
        )
    shape = (-1,) + (1,) * (data.dim() - 2)
    return torch.where(data > 0, data, data * gamma.reshape(shape))


def _check_dropout(data: Any, p: float = 0.5, mode: str = "training", **rest: Any) -> None:
    if not 0 <= p <= 1:
        raise MXNetError(f"p is the chance of a zero, from 0 to 1, not {p}")
    if mode not in ("training", "always"):
        raise MXNetError(f"mode is 'training' or 'always', not {mode!r}")


@register(
    checked(floating, _check_dropout),
    nd="Dropout",
    npx="dropout",
    symbol="Dropout",
    view="lazy copy",
)
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
    _check_dropout(data, p, mode)
    check_floating("Dropout", data.dtype)
    if p == 0 or not (training or mode == "always"):
        return data
    # Row by row in memory, whatever the order of `data` there: else its layout chose the numbers.
    shape = [1 if i in axes else n for i, n in enumerate(data.shape)]
    drawn = torch.empty(shape, dtype=torch.float32, device=data.device)
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
    also={"nd.contrib": "SparseEmbedding"},
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
