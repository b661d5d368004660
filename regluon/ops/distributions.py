"""How each distribution is drawn: functions that fill a blank tensor from a given generator."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from regluon.base import ShapeError
from regluon.ops.create import Shape, full_shape
from regluon.ops.registry import Spec


Parameter = Tensor | float
Draw = Callable[..., Tensor]


def _common(parameters: tuple[Any, ...]) -> tuple[int, ...] | None:
    shapes = [tuple(item.shape) for item in parameters if isinstance(item, (Tensor, Spec))]
    try:
        return tuple(torch.broadcast_shapes(*shapes)) if shapes else None
    except RuntimeError:
        raise ShapeError(f"parameters of shapes {shapes} cannot be broadcast together") from None


def nd_shape(parameters: tuple[Any, ...], shape: Shape | None) -> tuple[int, ...]:
    """Return the shape of an nd draw: `shape` values for every element of array parameters.

    >>> nd_shape((0, 1), None), nd_shape((torch.zeros(3), 1), 2)
    ((1,), (3, 2))
    """
    extra = () if shape is None else full_shape(shape)
    common = _common(parameters)
    return (extra or (1,)) if common is None else (*common, *extra)


def np_shape(parameters: tuple[Any, ...], size: Shape | None) -> tuple[int, ...]:
    """Return the shape of an np draw: `size`, which the parameters must broadcast to.

    >>> np_shape((0, 1), None), np_shape((torch.zeros(3), 1), (2, 3))
    ((), (2, 3))
    """
    common = _common(parameters)
    if size is None:
        return common or ()
    wanted = full_shape(size)
    if common is not None and _common((torch.empty(common), torch.empty(wanted))) != wanted:
        raise ShapeError(f"parameters of shape {common} do not fit size={wanted}")
    return wanted


def draw_nd(draw: Draw, parameters: tuple[Parameter, ...], blank: Tensor, rng: Generator) -> Tensor:
    """Fill `blank`, the trailing axes of which array parameters lack."""
    rank = blank.dim()
    aligned = [
        item.reshape(item.shape + (1,) * (rank - item.dim())) if isinstance(item, Tensor) else item
        for item in parameters
    ]
    return draw(blank, rng, *aligned)


def uniform(blank: Tensor, rng: Generator, low: Parameter, high: Parameter) -> Tensor:
    """Draw evenly from [low, high)."""
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        return (low + blank.uniform_(generator=rng) * (high - low)).to(blank.dtype)
    return blank.uniform_(min(low, high), max(low, high), generator=rng)


def normal(blank: Tensor, rng: Generator, loc: Parameter, scale: Parameter) -> Tensor:
    """Draw with mean `loc` and standard deviation `scale`."""
    if isinstance(loc, Tensor) or isinstance(scale, Tensor):
        return (loc + blank.normal_(generator=rng) * scale).to(blank.dtype)
    return blank.normal_(loc, scale, generator=rng)


def exponential(blank: Tensor, rng: Generator, scale: Parameter) -> Tensor:
    """Draw with mean `scale`."""
    return (blank.exponential_(generator=rng) * scale).to(blank.dtype)


def spread(parameter: Parameter, blank: Tensor) -> Tensor:
    """Return a parameter with one value for each draw."""
    if isinstance(parameter, Tensor):
        return parameter.to(blank.dtype).expand(blank.shape).contiguous()
    return torch.full_like(blank, parameter)


def gamma(blank: Tensor, rng: Generator, alpha: Parameter, beta: Parameter) -> Tensor:
    """Draw with shape `alpha` and scale `beta`."""
    drawn: Tensor = torch._standard_gamma(spread(alpha, blank), generator=rng)
    return (drawn * beta).to(blank.dtype)


def beta(blank: Tensor, rng: Generator, a: Parameter, b: Parameter) -> Tensor:
    """Draw the share of one of two gamma variables in their sum."""
    first, second = gamma(blank, rng, a, 1), gamma(blank, rng, b, 1)
    return first / (first + second)


def poisson(blank: Tensor, rng: Generator, lam: Parameter) -> Tensor:
    """Draw counts of mean `lam`."""
    return torch.poisson(spread(lam, blank), generator=rng)


def negative_binomial(blank: Tensor, rng: Generator, k: Parameter, p: Parameter) -> Tensor:
    """Draw the failures before the k-th success of chance `p`: Poisson with a gamma rate."""
    return torch.poisson(gamma(blank, rng, k, (1 - p) / p), generator=rng)


def generalized_negative_binomial(
    blank: Tensor, rng: Generator, mu: Parameter, alpha: Parameter
) -> Tensor:
    """Draw counts of mean `mu` and variance mu + alpha * mu**2; `alpha` 0 is Poisson itself."""
    mean, excess = spread(mu, blank), spread(alpha, blank)
    shape = torch.where(excess > 0, 1 / excess, 1)
    rate = torch._standard_gamma(shape, generator=rng) * excess * mean
    return torch.poisson(torch.where(excess > 0, rate, mean), generator=rng)


def integers(shape: Shape, low: int, high: int, dtype: torch.dtype, rng: Generator) -> Tensor:
    """Draw whole numbers from `low` to `high - 1`."""
    return torch.randint(
        low, high, full_shape(shape), generator=rng, dtype=dtype, device=rng.device
    )


def categories(chances: Tensor, count: int, rng: Generator) -> Tensor:
    """Draw `count` class numbers for each row of chances: shape (rows, count)."""
    return torch.multinomial(chances, count, replacement=True, generator=rng)


def permuted(data: Tensor, rng: Generator) -> Tensor:
    """Return the rows of `data` in random order."""
    return data[torch.randperm(len(data), generator=rng, device=data.device)]
