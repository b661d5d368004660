"""nd.random_pdf_*: the densities (or probabilities) of samples, with gradients to the parameters.

Arrays of parameters have the first axes of `sample`; the last axes of it are independent samples.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from regluon.base import DTypeError, ShapeError
from regluon.ops.calling import register_meta
from regluon.ops.draw import (
    REQUIRED,
    RISING,
    Condition,
    above_zero,
    chance,
    check_conditions,
    not_negative,
    signature,
)
from regluon.ops.dtype import dtype_name
from regluon.ops.math import named


def _within(inside: Tensor, logarithm: Tensor) -> Tensor:
    """Return the logarithm of a density that is 0 where a sample cannot be."""
    return torch.where(inside, logarithm, -torch.inf)


def _log_uniform(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return _within((x >= low) & (x <= high), -torch.log(high - low))


def _log_normal(x: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    return -0.5 * ((x - mu) / sigma).square() - sigma.log() - math.log(2 * math.pi) / 2


def _log_gamma(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    positive = x.where(x > 0, 1)
    logarithm = (alpha - 1) * positive.log() + alpha * beta.log() - beta * x - torch.lgamma(alpha)
    return _within(x > 0, logarithm)


def _log_exponential(x: Tensor, lam: Tensor) -> Tensor:
    return _within(x >= 0, lam.log() - lam * x)


def _log_poisson(x: Tensor, lam: Tensor) -> Tensor:
    count = x.clamp(min=0)
    return _within(x >= 0, torch.special.xlogy(count, lam) - lam - torch.lgamma(count + 1))


def _log_negative_binomial(x: Tensor, k: Tensor, p: Tensor) -> Tensor:
    count = x.clamp(min=0)
    ways = torch.lgamma(count + k) - torch.lgamma(count + 1) - torch.lgamma(k)
    failures: Tensor = torch.special.xlog1py(count, -p)
    return _within(x >= 0, ways + k * p.log() + failures)


def _log_generalized(x: Tensor, mu: Tensor, alpha: Tensor) -> Tensor:
    return _log_negative_binomial(x, 1 / alpha, 1 / (1 + mu * alpha))


def _log_dirichlet(x: Tensor, alpha: Tensor) -> Tensor:
    scale = torch.lgamma(alpha.sum(-1)) - torch.lgamma(alpha).sum(-1)
    result: Tensor = scale + torch.special.xlogy(alpha - 1, x).sum(-1)
    return result


def _aligned(sample: Tensor, parameter: Tensor, event: int) -> Tensor:
    """Return a parameter with axes of length 1 for the samples; `event` axes stay the last."""
    shape, own = tuple(sample.shape), tuple(parameter.shape)
    rank = parameter.dim() - event
    if rank < 0 or own[:rank] != shape[:rank] or own[rank:] != shape[len(shape) - event :]:
        raise ShapeError(
            f"parameters of shape {own} do not have the first axes of samples of shape {shape}"
        )
    return parameter.reshape(own[:rank] + (1,) * (sample.dim() - parameter.dim()) + own[rank:])


class _Row(NamedTuple):
    """A distribution: what it is called, its parameters, and what they must fulfil."""

    name: str
    log_density: Callable[..., Tensor]
    names: str
    conditions: tuple[Condition, ...]
    doc: str
    smooth: bool = True  # samples have gradients: they are no counts, and the density is not flat


def _density(row: _Row) -> None:
    names = tuple(row.names.split())
    event = int(row.name == "dirichlet")

    def density(sample: Tensor, *parameters: Tensor, is_log: bool = False) -> Tensor:
        arrays = (sample, *parameters)
        if not all(a.is_floating_point() and a.dtype == sample.dtype for a in arrays):
            kinds = " and ".join(dtype_name(array.dtype) for array in arrays)
            raise DTypeError(f"sample and parameters need one floating-point dtype, not {kinds}")
        if len({array.shape for array in parameters}) > 1:
            shapes = " and ".join(str(tuple(array.shape)) for array in parameters)
            raise ShapeError(f"the parameters need one shape, not {shapes}")
        check_conditions(row.conditions, names, parameters)
        place = sample if row.smooth else sample.detach()
        logarithm = row.log_density(place, *(_aligned(sample, item, event) for item in parameters))
        return logarithm if is_log else logarithm.exp()

    listed = dict.fromkeys(("sample", *names), (Tensor, REQUIRED))
    named(density, f"random_pdf_{row.name}", f"{row.doc}\n\n{_SHARED}")
    density.__signature__ = signature(  # type: ignore[attr-defined]
        listed | {"is_log": (bool, False)}, {}
    )
    register_meta(
        nd=f"random_pdf_{row.name}",
        symbol=f"_random_pdf_{row.name}",
        differentiable=None if row.smooth else row.names,
    )(density)


_SHARED = "With `is_log` the logarithm is returned. Where a sample cannot be, the density is 0."

_ROWS = [
    _Row(
        "uniform",
        _log_uniform,
        "low high",
        (RISING,),
        "Return the density of the uniform distribution from `low` to `high`.",
        smooth=False,
    ),
    _Row(
        "normal",
        _log_normal,
        "mu sigma",
        above_zero(1),
        "Return the density of the normal distribution of mean `mu` and deviation `sigma`.",
    ),
    _Row(
        "gamma",
        _log_gamma,
        "alpha beta",
        above_zero(0, 1),
        "Return the density of the gamma distribution of shape `alpha` and rate `beta`.",
    ),
    _Row(
        "exponential",
        _log_exponential,
        "lam",
        above_zero(0),
        "Return the density of the exponential distribution of rate `lam`.",
    ),
    _Row(
        "poisson",
        _log_poisson,
        "lam",
        not_negative(0),
        "Return the probability of counts under the Poisson distribution of mean `lam`.",
        smooth=False,
    ),
    _Row(
        "negative_binomial",
        _log_negative_binomial,
        "k p",
        (*above_zero(0), *chance(1, positive=True)),
        "Return the probability of so many failures before `k` successes of chance `p`.",
        smooth=False,
    ),
    _Row(
        "generalized_negative_binomial",
        _log_generalized,
        "mu alpha",
        (*not_negative(0), *above_zero(1)),
        "Return the probability of counts of mean `mu` and variance mu + alpha * mu**2.",
        smooth=False,
    ),
    _Row(
        "dirichlet",
        _log_dirichlet,
        "alpha",
        above_zero(0),
        "Return the density of the Dirichlet distribution, of shares in the last axis.",
    ),
]

for _row in _ROWS:
    _density(_row)
