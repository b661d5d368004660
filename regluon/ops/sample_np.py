"""np.random and npx.random: draws of shape `size`, which the parameters broadcast to."""

import math
from typing import Any

import torch
from torch import Generator, Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops import distributions
from regluon.ops.calling import by_name
from regluon.ops.create import CPU, Shape, full_shape
from regluon.ops.distributions import Draw, Parameter, np_shape
from regluon.ops.dtype import torch_dtype
from regluon.ops.registry import Spec, register


def _infer(
    *parameters: Any, size: Shape | None = None, dtype: Any = None, **rest: Any
) -> tuple[Spec, ...]:
    return (Spec(np_shape(parameters, size), torch_dtype(dtype or "float32")),)


def _draw(
    draw: Draw,
    parameters: tuple[Parameter, ...],
    size: Shape | None,
    dtype: Any,
    device: torch.device,
    generator: Generator,
) -> Tensor:
    full = np_shape(parameters, size)
    blank = torch.empty(full, dtype=torch_dtype(dtype or "float32"), device=device)
    return draw(blank, generator, *parameters)


def _check_scale(loc: Parameter, scale: Parameter, **rest: Any) -> None:
    negative = bool((scale < 0).any()) if isinstance(scale, Tensor) else scale < 0
    if negative:
        raise MXNetError("a standard deviation cannot be negative")


@register(_infer, also={"np.random": "uniform"}, symbol="_npi_uniform")
def uniform_np(
    low: Parameter = 0.0,
    high: Parameter = 1.0,
    size: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw evenly from [low, high); gradients reach array bounds."""
    return _draw(distributions.uniform, (low, high), size, dtype, device, generator)


@register(_infer, also={"np.random": "normal"}, symbol="_npi_normal", check=_check_scale)
def normal_np(
    loc: Parameter = 0.0,
    scale: Parameter = 1.0,
    size: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw normal values with mean `loc` and standard deviation `scale`; gradients reach both."""
    return _draw(distributions.normal, (loc, scale), size, dtype, device, generator)


def _sized(size: Shape = (), dtype: Any = None, **rest: Any) -> tuple[Spec, ...]:
    return _infer(size=size, dtype=dtype)


@register(_sized, also={"np.random": "randn"}, differentiable="")
@by_name
def randn_np(
    *size: int, dtype: Any = None, device: torch.device = CPU, generator: Generator
) -> Tensor:
    """Draw standard normal values: `randn(2, 3)` has shape (2, 3)."""
    return _draw(distributions.normal, (0.0, 1.0), size, dtype, device, generator)


@register(_sized, also={"np.random": "rand"}, differentiable="")
@by_name
def rand_np(
    *size: int, dtype: Any = None, device: torch.device = CPU, generator: Generator
) -> Tensor:
    """Draw evenly from [0, 1): `rand(2, 3)` has shape (2, 3)."""
    return _draw(distributions.uniform, (0.0, 1.0), size, dtype, device, generator)


@register(_infer, also={"np.random": "exponential"}, symbol="_npi_exponential")
def exponential_np(
    scale: Parameter = 1.0,
    size: Shape | None = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw exponentially distributed values of mean `scale`."""
    return _draw(distributions.exponential, (scale,), size, None, device, generator)


@register(_infer, also={"np.random": "gamma"}, symbol="_npi_gamma", differentiable="")
def gamma_np(
    shape: Parameter,
    scale: Parameter = 1.0,
    size: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw gamma distributed values with these shape and scale parameters."""
    return _draw(distributions.gamma, (shape, scale), size, dtype, device, generator)


@register(_infer, also={"np.random": "beta"}, differentiable="")
def beta_np(
    a: Parameter,
    b: Parameter,
    size: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw beta distributed values, which lie in [0, 1] with mean a / (a + b)."""
    return _draw(distributions.beta, (a, b), size, dtype, device, generator)


@register(_infer, also={"np.random": "poisson"}, differentiable="")
def poisson_np(
    lam: Parameter = 1.0,
    size: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw Poisson distributed counts of mean `lam`, as float32 by default."""
    return _draw(distributions.poisson, (lam,), size, dtype, device, generator)


def _randint_infer(size: Shape | None = None, dtype: Any = None, **rest: Any) -> tuple[Spec, ...]:
    return _infer(size=size, dtype=dtype or "int64")


@register(
    _randint_infer, also={"np.random": "randint"}, symbol="_random_randint", differentiable=""
)
def randint_np(
    low: int,
    high: int | None = None,
    size: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw whole numbers from `low` to `high - 1`, or from 0 to `low - 1`; int64 by default."""
    first, last = (0, low) if high is None else (low, high)
    full = np_shape((), size)
    return distributions.integers(full, first, last, torch_dtype(dtype or "int64"), generator)


def _choice_infer(a: Any, p: Any = None, *, size: Shape | None = None, **rest: Any) -> tuple[Spec]:
    return (Spec(np_shape((), size), a.dtype if isinstance(a, Spec) else torch.int64),)


@register(_choice_infer, also={"np.random": "choice"}, symbol="_npi_choice", differentiable="")
@by_name
def choice(
    a: Tensor | int,
    size: Shape | None = None,
    replace: bool = True,
    p: Tensor | None = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw from the values of the vector `a`, or from 0 to `a - 1`, with chances `p` (or equal).

    Without `replace` no value comes twice, and more than there are is an error.
    """
    full = np_shape((), size)
    count = math.prod(full)
    total = _population(a)
    if p is not None:
        if tuple(p.shape) != (total,):
            raise ShapeError(f"p has shape {tuple(p.shape)}, and there are {total} values")
        picked = torch.multinomial(p, count, replacement=replace, generator=generator)
    elif replace:
        picked = torch.randint(total, (count,), generator=generator, device=device)
    elif count > total:
        raise MXNetError(f"cannot take {count} of {total} values without replacement")
    else:
        picked = torch.randperm(total, generator=generator, device=device)[:count]
    return (a[picked] if isinstance(a, Tensor) else picked).reshape(full)


def _population(a: Tensor | int) -> int:
    if not isinstance(a, Tensor):
        return int(a)
    if a.dim() != 1:
        raise ShapeError(f"choice takes a vector or a number, not shape {tuple(a.shape)}")
    return len(a)


@register(
    lambda x: (),
    also={"np.random": "shuffle"},
    symbol="_npi_shuffle",
    outputs=0,
    mutates="x",
    differentiable="",
)
def shuffle_np(x: Tensor, *, generator: Generator) -> None:
    """Bring the rows of `x` into random order, in place; returns nothing."""
    x.copy_(distributions.permuted(x, generator))


def _permutation_infer(x: Any, **rest: Any) -> tuple[Spec, ...]:
    return (x,) if isinstance(x, Spec) else (Spec((int(x),), torch.int64),)


@register(_permutation_infer, also={"np.random": "permutation"}, differentiable="")
def permutation(x: Tensor | int, device: torch.device = CPU, *, generator: Generator) -> Tensor:
    """Return the rows of `x`, or the numbers below `x`, in random order; `x` stays as it is."""
    if isinstance(x, Tensor):
        return distributions.permuted(x, generator)
    return torch.randperm(int(x), generator=generator, device=device)


def _multinomial_infer(pvals: Spec, *, size: Shape | None = None, **rest: Any) -> tuple[Spec, ...]:
    extra = () if size is None else full_shape(size)
    return (Spec((*extra, *pvals.shape), torch.int64),)


@register(
    _multinomial_infer,
    also={"np.random": "multinomial"},
    symbol="_npi_multinomial",
    differentiable="",
)
@by_name
def multinomial_np(
    n: int, pvals: Tensor, size: Shape | None = None, *, generator: Generator
) -> Tensor:
    """Count how often each class comes in `n` draws with chances `pvals`: size + (classes,)."""
    if pvals.dim() != 1:
        raise ShapeError(f"pvals must be a vector, not shape {tuple(pvals.shape)}")
    extra = () if size is None else full_shape(size)
    rows = math.prod(extra)
    counts = torch.zeros((rows, len(pvals)), dtype=torch.int64, device=pvals.device)
    if n and rows:
        drawn = distributions.categories(pvals.expand(rows, -1), n, generator)
        counts.scatter_add_(1, drawn, torch.ones_like(drawn))
    return counts.reshape(*extra, len(pvals))


@register(_infer, also={"npx.random": "bernoulli"}, symbol="_npi_bernoulli", differentiable="")
def bernoulli(
    prob: Parameter | None = None,
    logit: Parameter | None = None,
    size: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw ones with chance `prob`, or with the chance whose log-odds are `logit`, else zeros."""
    if (prob is None) == (logit is None):
        raise MXNetError("bernoulli takes either prob or logit")
    given = prob if logit is None else logit
    full = np_shape((given,), size)
    chance = torch.as_tensor(given, dtype=torch.float32, device=device)
    chance = (chance.sigmoid() if prob is None else chance).expand(full)
    return torch.bernoulli(chance, generator=generator).to(torch_dtype(dtype or "float32"))
