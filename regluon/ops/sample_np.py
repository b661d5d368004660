"""np.random and npx.random: draws of shape `size`, which the parameters broadcast to.

Gradients reach array parameters, as in MXNet, but not those of gamma, beta, chisquare and poisson.
"""

import math
from typing import Any

import torch
from torch import Generator, Tensor

from regluon.base import ArgumentError, ShapeError
from regluon.ops import distributions
from regluon.ops.calling import by_name
from regluon.ops.create import CPU, Shape, full_shape
from regluon.ops.distributions import Parameter, check_chances
from regluon.ops.draw import (
    NP,
    NPX,
    REQUIRED,
    Distribution,
    above_zero,
    chance,
    check_conditions,
    float_dtype,
    not_negative,
    np_shape,
    register_draw,
)
from regluon.ops.dtype import torch_dtype
from regluon.ops.factor import cholesky
from regluon.ops.infer import common_shape
from regluon.ops.registry import Spec, register
from regluon.ops.sample_nd import integer_range


_LOCATED = {"loc": 0.0, "scale": 1.0}
_UNIFORM = Distribution(distributions.uniform)
_NORMAL = Distribution(distributions.normal, not_negative(1))
_TYPED, _PLAIN = ("size", "dtype", "device"), ("size", "device")

# The name, the distribution, its parameters, what follows them, the symbol, the documentation.
_SMOOTH: list[tuple[str, Distribution, dict[str, Any], tuple[str, ...], str, str]] = [
    (
        "uniform", _UNIFORM, {"low": 0.0, "high": 1.0}, _TYPED, "_npi_uniform",
        "Draw evenly from [{0}, {1}), or from ({1}, {0}] if {1} is the smaller one.",
    ),
    (
        "normal", _NORMAL, _LOCATED, _TYPED, "_npi_normal",
        "Draw normal values with mean {0} and standard deviation {1}.",
    ),
    (
        "lognormal", Distribution(distributions.lognormal, not_negative(1)),
        {"mean": 0.0, "sigma": 1.0}, _TYPED, "",
        "Draw values whose logarithms are normal with mean {0} and standard deviation {1}.",
    ),
    (
        "exponential", Distribution(distributions.exponential, not_negative(0)),
        {"scale": 1.0}, _PLAIN, "_npi_exponential",
        "Draw exponentially distributed values of mean {0}.",
    ),
    (
        "gumbel", Distribution(distributions.gumbel, not_negative(1)),
        _LOCATED, _PLAIN, "_npi_gumbel",
        "Draw from the distribution of largest values with mode {0} and scale {1}.",
    ),
    (
        "logistic", Distribution(distributions.logistic, not_negative(1)),
        _LOCATED, _PLAIN, "_npi_logistic",
        "Draw with the distribution function 1 / (1 + exp(-(x - {0}) / {1})).",
    ),
    (
        "pareto", Distribution(distributions.pareto, above_zero(0)),
        {"a": REQUIRED}, _PLAIN, "_npi_pareto",
        "Draw from the Pareto II (Lomax) distribution of shape {0}, which starts at 0.",
    ),
    (
        "power", Distribution(distributions.power, above_zero(0)),
        {"a": REQUIRED}, ("size",), "_npi_powerd",
        "Draw from [0, 1] with a density that grows as x ** ({0} - 1).",
    ),
    (
        "rayleigh", Distribution(distributions.rayleigh, not_negative(0)),
        {"scale": 1.0}, _PLAIN, "_npi_rayleigh",
        "Draw from the Rayleigh distribution with mode {0}.",
    ),
    (
        "weibull", Distribution(distributions.weibull, above_zero(0)),
        {"a": REQUIRED}, _PLAIN, "_npi_weibull",
        "Draw from the Weibull distribution of shape {0} and scale 1.",
    ),
]  # fmt: skip

_STEPPED: list[tuple[str, Distribution, dict[str, Any], str, str]] = [
    (
        "gamma", Distribution(distributions.gamma, above_zero(0, 1)),
        {"shape": REQUIRED, "scale": 1.0}, "_npi_gamma",
        "Draw gamma distributed values with these {0} and {1} parameters.",
    ),
    (
        "beta", Distribution(distributions.beta, above_zero(0, 1)),
        {"a": REQUIRED, "b": REQUIRED}, "",
        "Draw beta distributed values, which lie in [0, 1] with mean {0} / ({0} + {1}).",
    ),
    (
        "chisquare", Distribution(distributions.chisquare, above_zero(0)), {"df": REQUIRED}, "",
        "Draw sums of the squares of {0} independent standard normal values.",
    ),
    (
        "poisson", Distribution(distributions.poisson, not_negative(0)), {"lam": 1.0}, "",
        "Draw Poisson distributed counts of mean {0}, as floats.",
    ),
]  # fmt: skip

for _name, _of, _parameters, _tail, _symbol, _doc in _SMOOTH:
    _record: dict[str, Any] = {"also": {"np.random": _name}, "symbol": _symbol}
    _unique = "power_function" if _name == "power" else f"{_name}_np"
    register_draw(_unique, _of, _parameters, NP, _tail, _doc, **_record)

for _name, _of, _parameters, _symbol, _doc in _STEPPED:
    _record = {"also": {"np.random": _name}, "symbol": _symbol, "differentiable": ""}
    register_draw(f"{_name}_np", _of, _parameters, NP, _TYPED, _doc, **_record)

for _name, _of, _parameters in (
    ("uniform", _UNIFORM, {"low": 0.0, "high": 1.0}),
    ("normal", _NORMAL, _LOCATED),
):
    register_draw(
        f"{_name}_n",
        _of,
        _parameters,
        NPX,
        ("batch_shape", "dtype", "device"),
        f"Draw a batch of {_name} values: `batch_shape` before the shape of {{0}} and {{1}}.",
        also={"npx.random": f"{_name}_n"},
        symbol=f"_npi_{_name}_n",
    )


def _sized(size: Shape = (), dtype: Any = None, **rest: Any) -> tuple[Spec, ...]:
    return (Spec(full_shape(size), float_dtype(dtype)),)


@register(_sized, also={"np.random": "randn"}, differentiable="")
@by_name
def randn_np(
    *size: int, dtype: Any = None, device: torch.device = CPU, generator: Generator
) -> Tensor:
    """Draw standard normal values: `randn(2, 3)` has shape (2, 3)."""
    blank = torch.empty(size, dtype=float_dtype(dtype), device=device)
    return distributions.normal(blank, generator, 0.0, 1.0)


@register(_sized, also={"np.random": "rand"}, differentiable="")
@by_name
def rand_np(
    *size: int, dtype: Any = None, device: torch.device = CPU, generator: Generator
) -> Tensor:
    """Draw evenly from [0, 1): `rand(2, 3)` has shape (2, 3)."""
    blank = torch.empty(size, dtype=float_dtype(dtype), device=device)
    return distributions.uniform(blank, generator, 0.0, 1.0)


def _randint_infer(
    low: int, high: int | None = None, size: Shape | None = None, dtype: Any = None
) -> tuple[Spec, ...]:
    first, last = (0, low) if high is None else (low, high)
    return integer_range(first, last, np_shape((), size), dtype or "int64")


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
    ((full, kind),) = _randint_infer(low, high, size, dtype)
    first, last = (0, low) if high is None else (low, high)
    return distributions.integers(full, first, last, kind, generator)


def _choice_infer(
    a: Any, p: Any = None, *, size: Shape | None = None, replace: bool = True
) -> tuple[Spec]:
    many = isinstance(a, (Tensor, Spec))
    if many and len(a.shape) != 1:
        raise ShapeError(f"choice takes a vector or a number, not shape {tuple(a.shape)}")
    total = a.shape[0] if many else int(a)
    full = np_shape((), size)
    if p is not None and tuple(p.shape) != (total,):
        raise ShapeError(f"p has shape {tuple(p.shape)}, and there are {total} values")
    if total <= 0 or (math.prod(full) > total and not replace):
        raise ArgumentError(f"cannot take {math.prod(full)} of {total} values")
    return (Spec(full, a.dtype if many else torch.int64),)


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
    ((full, _),) = _choice_infer(a, p, size=size, replace=replace)
    count, total = math.prod(full), len(a) if isinstance(a, Tensor) else int(a)
    if p is not None:
        check_chances(p)
        possible = int((p > 0).sum())
        if not replace and possible < count:
            raise ArgumentError(f"cannot take {count} of {possible} possible values")
        picked = torch.multinomial(p, count, replacement=replace, generator=generator)
    elif replace:
        picked = torch.randint(total, (count,), generator=generator, device=device)
    else:
        picked = torch.randperm(total, generator=generator, device=device)[:count]
    return (a[picked] if isinstance(a, Tensor) else picked).reshape(full)


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


def _multinomial_infer(pvals: Spec, *, n: int = 0, size: Shape | None = None) -> tuple[Spec, ...]:
    check_conditions(not_negative(0), ("n",), (n,))
    if len(pvals.shape) != 1 or not pvals.shape[0]:
        raise ShapeError(f"pvals must be a vector, not of shape {tuple(pvals.shape)}")
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
    """Count how often each class comes in `n` draws with chances `pvals`: size + (classes,).

    The last class has the chance that the others leave over.

    >>> np.random.multinomial(5, [0.0, 1.0]).asnumpy().tolist()
    [0, 5]
    """
    ((full, _),) = _multinomial_infer(Spec(tuple(pvals.shape), pvals.dtype), n=n, size=size)
    first = pvals[:-1].double()
    rest = 1 - first.sum(0, keepdim=True)
    chances = torch.cat([first, rest.where(rest.abs() > 1e-6, 0.0)])
    check_chances(chances)
    rows = math.prod(full[:-1])
    return distributions.class_counts(chances, n, rows, generator).reshape(full)


def _cloud(mean: Any, cov: Any, *, size: Shape | None = None, **rest: Any) -> tuple[Spec, ...]:
    shape, matrix = tuple(mean.shape), tuple(cov.shape)
    if not shape or len(matrix) < 2 or matrix[-2:] != (shape[-1], shape[-1]):
        raise ShapeError(
            f"mean and cov need shapes (..., n) and (..., n, n), not {shape}, {matrix}"
        )
    extra = () if size is None else full_shape(size)
    try:
        batch = common_shape((shape[:-1], matrix[:-2]))
    except ShapeError:
        raise ShapeError(f"mean {shape} and cov {matrix} cannot be broadcast together") from None
    return (Spec((*extra, *batch, shape[-1]), mean.dtype),)


@register(_cloud, also={"np.random": "multivariate_normal"})
def multivariate_normal(
    mean: Tensor,
    cov: Tensor,
    size: Shape | None = None,
    check_valid: str | None = None,
    tol: float | None = None,
    *,
    generator: Generator,
) -> Tensor:
    """Draw vectors of mean `mean` (..., n) and covariance `cov` (..., n, n): size + (..., n).

    `cov` must be symmetric and positive definite; one that is not is an error. Gradients reach
    both. `check_valid` and `tol`, which NumPy has for covariances that are not, change nothing.

    >>> np.random.multivariate_normal(np.zeros(2), np.eye(2), size=3).shape
    (3, 2)
    """
    ((full, kind),) = _cloud(mean, cov, size=size)
    factor = cholesky(cov)
    noise = torch.empty(full, dtype=kind, device=mean.device).normal_(generator=generator)
    return mean + (factor @ noise.unsqueeze(-1)).squeeze(-1)


def _bernoulli_infer(
    prob: Any = None, logit: Any = None, *, size: Shape | None = None, dtype: Any = None
) -> tuple[Spec, ...]:
    if (prob is None) == (logit is None):
        raise ArgumentError("bernoulli takes either prob or logit")
    check_conditions(chance(0), ("prob",), (prob,))
    return (Spec(np_shape((prob, logit), size), torch_dtype(dtype or "float32")),)


@register(
    _bernoulli_infer,
    also={"npx.random": "bernoulli"},
    symbol="_npi_bernoulli",
    differentiable="",
)
def bernoulli(
    prob: Parameter | None = None,
    logit: Parameter | None = None,
    size: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw ones with chance `prob`, or with the chance whose log-odds are `logit`, else zeros.

    >>> npx.random.bernoulli(prob=np.array([0, 1])).asnumpy().tolist()
    [0.0, 1.0]
    """
    ((full, kind),) = _bernoulli_infer(prob, logit, size=size, dtype=dtype)
    given = torch.as_tensor(logit if prob is None else prob, dtype=torch.float32, device=device)
    chances = (given.sigmoid() if prob is None else given).expand(full)
    return torch.bernoulli(chances, generator=generator).to(kind)
