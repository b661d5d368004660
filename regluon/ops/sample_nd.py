"""nd.random: `shape` values for each element of the parameters, or an array (1,) without either.

The functions of `nd.random` take numbers or arrays, as `nd.random_*` and `nd.sample_*` do here;
those two differ from it in the names and the order of their parameters. No gradients reach the
parameters, as in MXNet: what is drawn counts as given.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from regluon.base import ArgumentError, DTypeError, MXNetError
from regluon.ops import distributions
from regluon.ops.calling import by_name
from regluon.ops.create import CPU, Shape
from regluon.ops.distributions import check_chances
from regluon.ops.draw import (
    ND,
    REQUIRED,
    RISING,
    Distribution,
    above_zero,
    chance,
    check_conditions,
    float_dtype,
    nd_shape,
    not_negative,
    register_draw,
    register_like,
)
from regluon.ops.dtype import dtype_name, torch_dtype
from regluon.ops.infer import same
from regluon.ops.registry import Spec, register


_NORMAL = Distribution(distributions.normal, not_negative(1))


class _Row(NamedTuple):
    """A distribution: its parameters in `nd.random` and `nd.random_*`, names in `nd.sample_*`."""

    name: str
    distribution: Distribution
    parameters: dict[str, float]
    sample: tuple[str, ...]
    doc: str


_ROWS = [
    _Row(
        "uniform",
        Distribution(distributions.uniform, (RISING,)),
        {"low": 0, "high": 1},
        ("low", "high"),
        "Draw evenly from [{0}, {1}).",
    ),
    _Row(
        "normal",
        _NORMAL,
        {"loc": 0, "scale": 1},
        ("mu", "sigma"),
        "Draw normal values with mean {0} and standard deviation {1}.",
    ),
    _Row(
        "exponential",
        Distribution(distributions.exponential_by_rate, above_zero(0)),
        {"lam": 1},
        ("lam",),
        "Draw exponentially distributed values of rate {0}: their mean is 1 / {0}.",
    ),
    _Row(
        "gamma",
        Distribution(distributions.gamma, above_zero(0, 1)),
        {"alpha": 1, "beta": 1},
        ("alpha", "beta"),
        "Draw gamma distributed values with shape {0} and scale {1}; the mean is {0} * {1}.",
    ),
    _Row(
        "poisson",
        Distribution(distributions.poisson, not_negative(0)),
        {"lam": 1},
        ("lam",),
        "Draw Poisson distributed counts of mean {0}, as floats.",
    ),
    _Row(
        "negative_binomial",
        Distribution(distributions.negative_binomial, (*above_zero(0), *chance(1, positive=True))),
        {"k": 1, "p": 1},
        ("k", "p"),
        "Draw numbers of failures before the {0}-th success, each success of chance {1}.",
    ),
    _Row(
        "generalized_negative_binomial",
        Distribution(distributions.generalized_negative_binomial, not_negative(0, 1)),
        {"mu": 1, "alpha": 1},
        ("mu", "alpha"),
        "Draw counts of mean {0} and variance {0} + {1} * {0}**2.",
    ),
]

_SCALED = _Row(
    "exponential",
    Distribution(distributions.exponential, not_negative(0)),
    {"scale": 1},
    (),
    "Draw exponentially distributed values of mean {0}.",
)

for _row in _ROWS:
    _name, _own = _row.name, _SCALED if _row.name == "exponential" else _row
    _short = _name if _name in ("uniform", "normal") else ""
    register_draw(
        f"{_name}_nd",
        _own.distribution,
        _own.parameters,
        ND,
        ("shape", "dtype", "device"),
        _own.doc,
        also={"nd.random": _name},
        differentiable="",
    )
    register_draw(
        f"random_{_name}",
        _row.distribution,
        _row.parameters,
        ND,
        ("shape", "device", "dtype"),
        _row.doc,
        nd=f"random_{_name} {_short}",
        symbol=f"_random_{_name}",
        differentiable="",
    )
    register_draw(
        f"sample_{_name}",
        _row.distribution,
        dict.fromkeys(_row.sample, REQUIRED),
        ND,
        ("shape", "dtype"),
        f"{_row.doc[:-1]}; `shape` values for each element of the parameters.",
        nd=f"sample_{_name}",
        symbol=f"_sample_{_name}",
        differentiable="",
    )
    register_like(
        f"{_name}_like",
        _row.distribution,
        _row.parameters,
        f"{_row.doc[:-1]}; in the shape and dtype of `data`.",
        also={"nd.random": f"{_name}_like"},
        symbol=f"_random_{_name}_like",
    )


def _randn_infer(
    shape: Shape = (), loc: float = 0, scale: float = 1, dtype: Any = None
) -> tuple[Spec, ...]:
    check_conditions(_NORMAL.conditions, ("loc", "scale"), (loc, scale))
    return (Spec(nd_shape((), shape), float_dtype(dtype)),)


@register(_randn_infer, also={"nd.random": "randn"}, differentiable="")
@by_name
def randn_nd(
    *shape: int,
    loc: float = 0,
    scale: float = 1,
    dtype: Any = None,
    device: torch.device = CPU,
    generator: Generator,
) -> Tensor:
    """Draw normal values of mean `loc` and deviation `scale`: `randn(2, 3)` has shape (2, 3)."""
    ((full, kind),) = _randn_infer(shape, loc, scale, dtype)
    return distributions.normal(torch.empty(full, dtype=kind, device=device), generator, loc, scale)


def integer_range(low: int, high: int, size: tuple[int, ...], dtype: Any) -> tuple[Spec, ...]:
    """Return the shape and dtype of whole numbers to be drawn, or raise if there are none."""
    if not low < high:
        raise ArgumentError(f"there are no whole numbers from {low} to {high} - 1")
    found = torch_dtype(dtype)
    if found.is_floating_point or found is torch.bool:
        raise DTypeError(f"whole numbers need an integer dtype, not {dtype_name(found)}")
    return (Spec(size, found),)


def _randint_infer(
    low: int, high: int, shape: Shape | None = None, dtype: Any = None
) -> tuple[Spec, ...]:
    return integer_range(low, high, nd_shape((), shape), dtype or "int32")


@register(_randint_infer, also={"nd.random": "randint"}, differentiable="")
def randint_nd(
    low: int,
    high: int,
    shape: Shape | None = None,
    dtype: Any = None,
    device: torch.device = CPU,
    *,
    generator: Generator,
) -> Tensor:
    """Draw whole numbers from `low` to `high - 1`; int32 by default."""
    ((full, kind),) = _randint_infer(low, high, shape, dtype)
    return distributions.integers(full, low, high, kind, generator)


@register(_randint_infer, nd="random_randint", symbol="_random_randint", differentiable="")
def random_randint(
    low: int,
    high: int,
    shape: Shape | None = None,
    device: torch.device = CPU,
    dtype: Any = None,
    *,
    generator: Generator,
) -> Tensor:
    """Draw whole numbers from `low` to `high - 1`; int32 by default."""
    return randint_nd(low, high, shape, dtype, device, generator=generator)


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
    outputs=2,
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
    the chance of each class drawn comes second, and has a gradient: REINFORCE (Williams 1992)
    multiplies it by the reward.

    >>> nd.random.multinomial(nd.array([[0, 1], [1, 0]]), shape=3).asnumpy().tolist()
    [[1, 1, 1], [0, 0, 0]]
    """
    if data.dim() == 0:
        raise MXNetError("multinomial needs at least one axis of chances")
    full = _categories_shape(data, shape)
    rows = data.reshape(-1, data.shape[-1])
    check_chances(rows.detach())
    count = math.prod(full) // max(len(rows), 1)
    drawn = distributions.categories(rows.detach(), count, generator)
    classes = drawn.reshape(full).to(torch_dtype(dtype))
    if not get_prob:
        return classes
    return classes, rows.gather(1, drawn).log().reshape(full)


@register(same, nd="shuffle", also={"nd.random": "shuffle"}, symbol="_shuffle", differentiable="")
def shuffle_nd(data: Tensor, *, generator: Generator) -> Tensor:
    """Return the rows of `data` in random order.

    >>> sorted(nd.random.shuffle(nd.array([1, 2, 3])).asnumpy().tolist())
    [1.0, 2.0, 3.0]
    """
    return distributions.permuted(data, generator)


def _zipfian_infer(true_classes: Any, *, num_sampled: int, range_max: int) -> tuple[Spec, ...]:
    check_conditions(above_zero(0, 1), ("num_sampled", "range_max"), (num_sampled, range_max))
    drawn = (num_sampled,)
    return (
        Spec(drawn, torch.int64),
        Spec(tuple(true_classes.shape), torch.float64),
        Spec(drawn, torch.float64),
    )


@register(_zipfian_infer, also={"nd.contrib": "rand_zipfian"}, outputs=3, differentiable="")
def rand_zipfian(
    true_classes: Tensor, num_sampled: int, range_max: int, *, generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw classes below `range_max`, frequent ones first: for sampled softmax.

    Class k has the chance log((k + 2) / (k + 1)) / log(range_max + 1). The second and third results
    say how often each of `true_classes`, and each class drawn, is expected among `num_sampled`.

    >>> nd.contrib.rand_zipfian(nd.array([3]), 4, 5)[0].shape
    (4,)
    """
    _zipfian_infer(true_classes, num_sampled=num_sampled, range_max=range_max)
    width = math.log(range_max + 1)
    blank = torch.empty(num_sampled, dtype=torch.float64, device=true_classes.device)
    drawn = (blank.uniform_(0, width, generator=generator).exp() - 1).long() % range_max

    def expected(classes: Tensor) -> Tensor:
        exact = classes.double()
        return ((exact + 2) / (exact + 1)).log() / width * num_sampled

    return drawn, expected(true_classes), expected(drawn)
