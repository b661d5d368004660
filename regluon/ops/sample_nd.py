"""nd.random: `shape` values for each element of the parameters, or an array (1,) without either."""

import math
from typing import Any

import torch
from torch import Generator, Tensor

from regluon.base import MXNetError
from regluon.ops import distributions
from regluon.ops.calling import by_name
from regluon.ops.create import CPU, Shape
from regluon.ops.distributions import Draw, Parameter, draw_nd, nd_shape
from regluon.ops.dtype import torch_dtype
from regluon.ops.infer import same
from regluon.ops.registry import Spec, register


def _infer(
    *parameters: Any, shape: Shape | None = None, dtype: Any = None, **rest: Any
) -> tuple[Spec, ...]:
    return (Spec(nd_shape(parameters, shape), torch_dtype(dtype or "float32")),)


def _draw(
    draw: Draw,
    parameters: tuple[Parameter, ...],
    shape: Shape | None,
    dtype: Any,
    device: torch.device,
    generator: Generator,
) -> Tensor:
    full = nd_shape(parameters, shape)
    blank = torch.empty(full, dtype=torch_dtype(dtype or "float32"), device=device)
    return draw_nd(draw, parameters, blank, generator)


@register(
    _infer,
    nd="uniform random_uniform sample_uniform",
    also={"nd.random": "uniform"},
    symbol="_random_uniform",
    differentiable="",
)
def uniform_nd(
    low: Parameter = 0,
    high: Parameter = 1,
    shape: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw evenly from [low, high): `shape` values for each element of `low` and `high`."""
    return _draw(distributions.uniform, (low, high), shape, dtype, device, generator)


@register(
    _infer,
    nd="normal random_normal sample_normal",
    also={"nd.random": "normal"},
    symbol="_random_normal",
    differentiable="",
)
def normal_nd(
    loc: Parameter = 0,
    scale: Parameter = 1,
    shape: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw normal values with mean `loc` and standard deviation `scale`."""
    return _draw(distributions.normal, (loc, scale), shape, dtype, device, generator)


@register(
    lambda shape=(), dtype=None, **rest: _infer(shape=shape, dtype=dtype),
    also={"nd.random": "randn"},
    differentiable="",
)
@by_name
def randn_nd(
    *shape: int,
    loc: float = 0,
    scale: float = 1,
    dtype: Any = None,
    device: torch.device = CPU,
    generator: Generator,
) -> Tensor:
    """Draw normal values: `randn(2, 3)` has shape (2, 3)."""
    return _draw(distributions.normal, (loc, scale), shape, dtype, device, generator)


@register(
    _infer,
    nd="random_exponential",
    also={"nd.random": "exponential"},
    symbol="_random_exponential",
    differentiable="",
)
def exponential_nd(
    scale: Parameter = 1,
    shape: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw exponentially distributed values of mean `scale`."""
    return _draw(distributions.exponential, (scale,), shape, dtype, device, generator)


@register(
    _infer,
    nd="random_gamma sample_gamma",
    also={"nd.random": "gamma"},
    symbol="_random_gamma",
    differentiable="",
)
def gamma_nd(
    alpha: Parameter = 1,
    beta: Parameter = 1,
    shape: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw gamma distributed values with shape `alpha` and scale `beta` (mean alpha * beta)."""
    return _draw(distributions.gamma, (alpha, beta), shape, dtype, device, generator)


@register(
    _infer,
    nd="random_poisson sample_poisson",
    also={"nd.random": "poisson"},
    symbol="_random_poisson",
    differentiable="",
)
def poisson_nd(
    lam: Parameter = 1,
    shape: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw Poisson distributed counts of mean `lam`, as floats."""
    return _draw(distributions.poisson, (lam,), shape, dtype, device, generator)


@register(
    _infer,
    nd="random_negative_binomial sample_negative_binomial",
    also={"nd.random": "negative_binomial"},
    symbol="_random_negative_binomial",
    differentiable="",
)
def negative_binomial_nd(
    k: Parameter = 1,
    p: Parameter = 1,
    shape: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw numbers of failures before the k-th success, each success of chance `p`."""
    return _draw(distributions.negative_binomial, (k, p), shape, dtype, device, generator)


@register(
    _infer,
    nd="random_generalized_negative_binomial sample_generalized_negative_binomial",
    also={"nd.random": "generalized_negative_binomial"},
    symbol="_random_generalized_negative_binomial",
    differentiable="",
)
def generalized_negative_binomial_nd(
    mu: Parameter = 1,
    alpha: Parameter = 1,
    shape: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw counts of mean `mu` and variance mu + alpha * mu**2."""
    draw = distributions.generalized_negative_binomial
    return _draw(draw, (mu, alpha), shape, dtype, device, generator)


def _integer_infer(
    shape: Shape | None = None, dtype: Any = "int32", **rest: Any
) -> tuple[Spec, ...]:
    return _infer(shape=shape, dtype=dtype or "int32")


@register(
    _integer_infer,
    nd="random_randint",
    also={"nd.random": "randint"},
    symbol="_random_randint",
    differentiable="",
)
def randint_nd(
    low: int,
    high: int,
    shape: Shape | None = None,
    dtype: Any = "int32",
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw whole numbers from `low` to `high - 1`; int32 by default."""
    full = nd_shape((), shape)
    return distributions.integers(full, low, high, torch_dtype(dtype or "int32"), generator)


def _categories_infer(
    data: Spec, *, shape: Shape | None = None, get_prob: bool = False, dtype: Any = "int32"
) -> tuple[Spec, ...]:
    drawn = Spec(_categories_shape(data, shape), torch_dtype(dtype))
    return (drawn, Spec(drawn.shape, data.dtype)) if get_prob else (drawn,)


def _categories_shape(data: Tensor | Spec, shape: Shape | None) -> tuple[int, ...]:
    extra = nd_shape((), shape) if shape is not None else ()
    return (*tuple(data.shape)[:-1], *extra) or (1,)


@register(
    _categories_infer,
    nd="sample_multinomial",
    also={"nd.random": "multinomial"},
    symbol="_sample_multinomial",
    differentiable="",
)
def multinomial_nd(
    data: Tensor,
    shape: Shape | None = None,
    get_prob: bool = False,
    dtype: Any = "int32",
    *,
    generator: Generator,
) -> Tensor | tuple[Tensor, Tensor]:
    """Draw class numbers with the chances in the last axis of `data`, which sum to 1.

    The result has the shape of the other axes and then `shape`. With `get_prob` the logarithm of
    the chance of each class drawn comes second.
    """
    if data.dim() == 0:
        raise MXNetError("multinomial needs at least one axis of chances")
    full = _categories_shape(data, shape)
    rows = data.reshape(-1, data.shape[-1])
    count = math.prod(full) // max(len(rows), 1)
    drawn = distributions.categories(rows, count, generator)
    classes = drawn.reshape(full).to(torch_dtype(dtype))
    if not get_prob:
        return classes
    return classes, rows.gather(1, drawn).log().reshape(full)


@register(same, nd="shuffle", also={"nd.random": "shuffle"}, symbol="_shuffle", differentiable="")
def shuffle_nd(data: Tensor, *, generator: Generator) -> Tensor:
    """Return the rows of `data` in random order."""
    return distributions.permuted(data, generator)


@register(
    same,
    nd="random_uniform_like uniform_like",
    also={"nd.random": "uniform_like"},
    symbol="_random_uniform_like",
    differentiable="",
)
def uniform_like(
    data: Tensor, low: float = 0.0, high: float = 1.0, *, generator: Generator
) -> Tensor:
    """Draw evenly from [low, high), in the shape and dtype of `data`."""
    return distributions.uniform(torch.empty_like(data), generator, low, high)


@register(
    same,
    nd="random_normal_like normal_like",
    also={"nd.random": "normal_like"},
    symbol="_random_normal_like",
    differentiable="",
)
def normal_like(
    data: Tensor, loc: float = 0.0, scale: float = 1.0, *, generator: Generator
) -> Tensor:
    """Draw normal values of mean `loc` and deviation `scale`, in the shape and dtype of `data`."""
    return distributions.normal(torch.empty_like(data), generator, loc, scale)


@register(
    same,
    nd="random_exponential_like",
    also={"nd.random": "exponential_like"},
    symbol="_random_exponential_like",
    differentiable="",
)
def exponential_like(data: Tensor, lam: float = 1.0, *, generator: Generator) -> Tensor:
    """Draw exponentially distributed values of rate `lam`, in the shape and dtype of `data`."""
    return distributions.exponential(torch.empty_like(data), generator, 1 / lam)


@register(
    same,
    nd="random_gamma_like",
    also={"nd.random": "gamma_like"},
    symbol="_random_gamma_like",
    differentiable="",
)
def gamma_like(
    data: Tensor, alpha: float = 1.0, beta: float = 1.0, *, generator: Generator
) -> Tensor:
    """Draw gamma values with shape `alpha` and scale `beta`, in the shape and dtype of `data`."""
    return distributions.gamma(torch.empty_like(data), generator, alpha, beta)


@register(
    same,
    nd="random_poisson_like",
    also={"nd.random": "poisson_like"},
    symbol="_random_poisson_like",
    differentiable="",
)
def poisson_like(data: Tensor, lam: float = 1.0, *, generator: Generator) -> Tensor:
    """Draw Poisson distributed counts of mean `lam`, in the shape and dtype of `data`."""
    return distributions.poisson(torch.empty_like(data), generator, lam)
