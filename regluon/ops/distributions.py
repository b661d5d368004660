"""How each distribution is drawn: functions that fill a blank tensor from a given generator.

Where the value is a smooth function of the parameters and of a draw that does not depend on them,
gradients reach the parameters (reparameterization; Kingma and Welling, arXiv 1312.6114).
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from regluon.base import ArgumentError
from regluon.ops.create import Shape, full_shape


Parameter = Tensor | float
Draw = Callable[..., Tensor]


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


def lognormal(blank: Tensor, rng: Generator, mean: Parameter, sigma: Parameter) -> Tensor:
    """Draw values whose logarithms are normal."""
    return torch.exp(normal(blank, rng, mean, sigma))


def exponential(blank: Tensor, rng: Generator, scale: Parameter) -> Tensor:
    """Draw with mean `scale`."""
    return (blank.exponential_(generator=rng) * scale).to(blank.dtype)


def exponential_by_rate(blank: Tensor, rng: Generator, lam: Parameter) -> Tensor:
    """Draw with mean 1 / `lam`."""
    return (blank.exponential_(generator=rng) / lam).to(blank.dtype)


# Inverses of distribution functions, at 1 - exp(-x) for x exponential with mean 1.


def gumbel(blank: Tensor, rng: Generator, loc: Parameter, scale: Parameter) -> Tensor:
    """Draw largest values: with the distribution function exp(-exp(-(x - loc) / scale))."""
    return (loc - blank.exponential_(generator=rng).log() * scale).to(blank.dtype)


def logistic(blank: Tensor, rng: Generator, loc: Parameter, scale: Parameter) -> Tensor:
    """Draw with the distribution function sigmoid((x - loc) / scale)."""
    return (loc + blank.exponential_(generator=rng).expm1().log() * scale).to(blank.dtype)


def pareto(blank: Tensor, rng: Generator, a: Parameter) -> Tensor:
    """Draw with the distribution function 1 - (1 + x) ** -a (Pareto II, Lomax)."""
    return torch.expm1(blank.exponential_(generator=rng) / a).to(blank.dtype)


def power(blank: Tensor, rng: Generator, a: Parameter) -> Tensor:
    """Draw from [0, 1] with the distribution function x ** a."""
    return (-torch.expm1(-blank.exponential_(generator=rng))).pow(1 / a).to(blank.dtype)


def rayleigh(blank: Tensor, rng: Generator, scale: Parameter) -> Tensor:
    """Draw with the distribution function 1 - exp(-x**2 / (2 * scale**2))."""
    return ((2 * blank.exponential_(generator=rng)).sqrt() * scale).to(blank.dtype)


def weibull(blank: Tensor, rng: Generator, a: Parameter) -> Tensor:
    """Draw with the distribution function 1 - exp(-x**a)."""
    return blank.exponential_(generator=rng).pow(1 / a).to(blank.dtype)


# What follows from gamma and Poisson variables.


def _spread(parameter: Parameter, blank: Tensor) -> Tensor:
    """Return a parameter with one value for each draw, in float32 at least."""
    dtype = torch.promote_types(blank.dtype, torch.float32)
    if isinstance(parameter, Tensor):
        return parameter.to(dtype).expand(blank.shape).contiguous()
    return torch.full_like(blank, parameter, dtype=dtype)


def gamma(blank: Tensor, rng: Generator, alpha: Parameter, beta: Parameter) -> Tensor:
    """Draw with shape `alpha` and scale `beta`."""
    drawn: Tensor = torch._standard_gamma(_spread(alpha, blank), generator=rng)
    return (drawn * beta).to(blank.dtype)


def chisquare(blank: Tensor, rng: Generator, df: Parameter) -> Tensor:
    """Draw sums of the squares of `df` standard normal values."""
    return gamma(blank, rng, df / 2, 2.0)


def beta(blank: Tensor, rng: Generator, a: Parameter, b: Parameter) -> Tensor:
    """Draw the share of one of two gamma variables in their sum."""
    first, second = gamma(blank, rng, a, 1.0), gamma(blank, rng, b, 1.0)
    return first / (first + second)


def poisson(blank: Tensor, rng: Generator, lam: Parameter) -> Tensor:
    """Draw counts of mean `lam`."""
    return torch.poisson(_spread(lam, blank), generator=rng).to(blank.dtype)


def negative_binomial(blank: Tensor, rng: Generator, k: Parameter, p: Parameter) -> Tensor:
    """Draw the failures before the k-th success of chance `p`: Poisson with a gamma rate."""
    rate: Tensor = torch._standard_gamma(_spread(k, blank), generator=rng) * ((1 - p) / p)
    return torch.poisson(rate, generator=rng).to(blank.dtype)


def generalized_negative_binomial(
    blank: Tensor, rng: Generator, mu: Parameter, alpha: Parameter
) -> Tensor:
    """Draw counts of mean `mu` and variance mu + alpha * mu**2; `alpha` 0 is Poisson itself."""
    mean, excess = _spread(mu, blank), _spread(alpha, blank)
    shape = torch.where(excess > 0, 1 / excess, 1)
    rate = torch._standard_gamma(shape, generator=rng) * excess * mean
    return torch.poisson(torch.where(excess > 0, rate, mean), generator=rng).to(blank.dtype)


# Whole numbers, classes and orders


def integers(shape: Shape, low: int, high: int, dtype: torch.dtype, rng: Generator) -> Tensor:
    """Draw whole numbers from `low` to `high - 1`."""
    return torch.randint(
        low, high, full_shape(shape), generator=rng, dtype=dtype, device=rng.device
    )


def check_chances(chances: Tensor) -> None:
    """Raise unless every row along the last axis holds chances: none negative, their sum 1."""
    total = chances.sum(-1, dtype=torch.float64)
    slack = 1e-2 if chances.element_size() < 4 else 1e-3
    unfit = (chances < 0).any(-1) | ~((total - 1).abs() <= slack)
    if bool(unfit.any()):
        row = chances[unfit.nonzero()[0].unbind()]
        raise ArgumentError(
            f"chances are not negative and sum to 1, unlike {row.tolist()[:8]}, whose sum is "
            f"{float(row.sum()):g}; divide by the sum, or use softmax"
        )


def categories(chances: Tensor, count: int, rng: Generator) -> Tensor:
    """Draw `count` class numbers for each row of chances: shape (rows, count)."""
    return torch.multinomial(chances, count, replacement=True, generator=rng)


def class_counts(chances: Tensor, draws: int, rows: int, rng: Generator) -> Tensor:
    """Count how often each class comes in `draws` draws: shape (rows, classes), int64.

    One class after another: binomial among the draws that the classes before it left over.
    """
    left = torch.full((rows,), float(draws), dtype=torch.float64, device=chances.device)
    exact = chances.double()
    share = (exact / exact.flip(0).cumsum(0).flip(0)).nan_to_num(0.0).clamp(0, 1)
    counts = []
    for chance in share[:-1]:
        counts.append(torch.binomial(left, chance.expand(rows), generator=rng))
        left = left - counts[-1]
    return torch.stack([*counts, left], -1).long()


def permuted(data: Tensor, rng: Generator) -> Tensor:
    """Return the rows of `data` in random order."""
    return data[torch.randperm(len(data), generator=rng, device=data.device)]
