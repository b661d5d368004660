"""Every distribution against its distribution function or its chances; gradients; arguments."""

import math

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon.base import ArgumentError, MXNetError, ShapeError
from regluon.engine import selection
from regluon.ops.registry import NAMESPACES


COUNT = 20_000
CLOSE = 1.95 / math.sqrt(COUNT)  # a Kolmogorov distance that chance exceeds once in 1000 times


def normal(mean=0.0, deviation=1.0):
    return lambda x: torch.special.ndtr((x - mean) / deviation)


def exponential(mean):
    return lambda x: 1 - torch.exp(-x / mean)


def gamma(shape, scale):
    return lambda x: torch.special.gammainc(torch.tensor(shape).double(), x / scale)


def uniform(low, high):
    return lambda x: (x - low) / (high - low)


# The call, its arguments, the distribution function.
CONTINUOUS = [
    ("nd.random.uniform", (-1, 3), uniform(-1, 3)),
    ("nd.random.normal", (2, 0.5), normal(2, 0.5)),
    ("nd.random.exponential", (2.0,), exponential(2)),
    ("nd.random.gamma", (0.5, 3.0), gamma(0.5, 3)),
    ("nd.random.gamma", (4.0, 0.5), gamma(4.0, 0.5)),
    ("nd.random_uniform", (-1, 3), uniform(-1, 3)),
    ("nd.random_normal", (2, 0.5), normal(2, 0.5)),
    ("nd.random_exponential", (2.0,), exponential(0.5)),
    ("nd.random_gamma", (4.0, 0.5), gamma(4.0, 0.5)),
    ("nd.uniform", (-1, 3), uniform(-1, 3)),
    ("nd.normal", (2, 0.5), normal(2, 0.5)),
    ("np.random.uniform", (3.0, -1.0), uniform(-1, 3)),
    ("np.random.normal", (2.0, 0.5), normal(2, 0.5)),
    ("np.random.lognormal", (0.5, 0.25), lambda x: normal(0.5, 0.25)(x.log())),
    ("np.random.exponential", (2.0,), exponential(2)),
    ("np.random.gumbel", (1.0, 2.0), lambda x: torch.exp(-torch.exp((1 - x) / 2))),
    ("np.random.logistic", (1.0, 2.0), lambda x: torch.sigmoid((x - 1) / 2)),
    ("np.random.pareto", (3.0,), lambda x: 1 - (1 + x) ** -3),
    ("np.random.power", (3.0,), lambda x: x**3),
    ("np.random.rayleigh", (2.0,), lambda x: 1 - torch.exp(-(x**2) / 8)),
    ("np.random.weibull", (3.0,), lambda x: 1 - torch.exp(-(x**3))),
    ("np.random.gamma", (0.5, 3.0), gamma(0.5, 3)),
    ("np.random.beta", (2.0, 1.0), lambda x: x * x),
    ("np.random.beta", (1.0, 3.0), lambda x: 1 - (1 - x) ** 3),
    ("np.random.chisquare", (3.0,), gamma(1.5, 2)),
    ("npx.random.uniform_n", (-1.0, 3.0), uniform(-1, 3)),
    ("npx.random.normal_n", (2.0, 0.5), normal(2, 0.5)),
]


def log_gamma(value):
    return torch.lgamma(torch.as_tensor(value, dtype=torch.float64))


def poisson(lam):
    return lambda k: torch.exp(k * math.log(lam) - lam - log_gamma(k + 1))


def negative_binomial(n, p):
    def chances(k):
        ways = log_gamma(k + n) - log_gamma(k + 1) - log_gamma(n)
        return torch.exp(ways + n * math.log(p) + k * math.log1p(-p))

    return chances


def even(low, high):
    return lambda k: ((k >= low) & (k < high)) / (high - low)


# The call, its arguments, the chance of each whole number.
DISCRETE = [
    ("nd.random.poisson", (4.0,), poisson(4)),
    ("nd.random_poisson", (0.5,), poisson(0.5)),
    ("nd.random.negative_binomial", (3, 0.25), negative_binomial(3, 0.25)),
    ("nd.random_negative_binomial", (3, 0.25), negative_binomial(3, 0.25)),
    ("nd.random.generalized_negative_binomial", (2.0, 0.5), negative_binomial(2, 0.5)),
    ("nd.random_generalized_negative_binomial", (2.0, 0.0), poisson(2)),
    ("nd.random.randint", (0, 7), even(0, 7)),
    ("nd.random_randint", (2, 9), even(2, 9)),
    ("np.random.poisson", (40.0,), poisson(40)),
    ("np.random.randint", (11,), even(0, 11)),
    ("np.random.choice", (6,), even(0, 6)),
    ("npx.random.bernoulli", (0.25,), lambda k: torch.where(k == 0, 0.75, 0.25) * (k < 2)),
    ("npx.random.bernoulli", (None, 0.0), even(0, 2)),
]


def function(name):
    found = mx
    for part in name.split("."):
        found = getattr(found, part)
    return found


def drawn(name, args, count=COUNT):
    """Draw `count` values in double precision where a dtype can be asked for."""
    size = {"nd": "shape", "np": "size"}.get(name.split(".")[0], "size")
    size = "batch_shape" if name.endswith("_n") else size
    return torch.from_numpy(function(name)(*args, **{size: count}).asnumpy()).double()


def kolmogorov(values, cdf):
    """Return the largest distance of the empirical from the true distribution function."""
    expected = cdf(values.sort().values)
    places = torch.arange(len(values) + 1) / len(values)
    return max(float((expected - places[:-1]).max()), float((places[1:] - expected).max()))


def chi_square(values, chances):
    """Return how many standard deviations the statistic lies above its mean; rare values joined."""
    numbers = torch.arange(int(values.max()) + 1, dtype=torch.float64)
    expected = chances(numbers) * len(values)
    seen = torch.bincount(values.long(), minlength=len(numbers)).double()
    often = expected >= 5
    rest = len(values) - expected[often].sum()
    groups = [((seen - expected) ** 2 / expected)[often]]
    if rest >= 5:
        groups.append(((seen[~often].sum() - rest) ** 2 / rest).reshape(1))
    statistic = torch.cat(groups)
    freedom = len(statistic) - 1
    return float((statistic.sum() - freedom) / math.sqrt(2 * freedom))


@pytest.mark.parametrize(("name", "args", "cdf"), CONTINUOUS)
def test_draws_follow_the_distribution_function(name, args, cdf):
    mx.random.seed(1)
    assert kolmogorov(drawn(name, args), cdf) < CLOSE


@pytest.mark.parametrize(("name", "args", "chances"), DISCRETE)
def test_counts_come_as_often_as_they_should(name, args, chances):
    mx.random.seed(2)
    assert chi_square(drawn(name, args), chances) < 3.5


SAMPLED = {
    "uniform": ([-1.0, 5.0], [3.0, 6.0]),
    "normal": ([2.0, -1.0], [0.5, 2.0]),
    "exponential": ([0.5, 2.0],),
    "gamma": ([4.0, 0.5], [0.5, 2.0]),
    "poisson": ([4.0, 0.5],),
    "negative_binomial": ([3.0, 1.0], [0.25, 0.5]),
    "generalized_negative_binomial": ([2.0, 1.0], [0.5, 0.25]),
}


LAWS = {
    "uniform": uniform,
    "normal": normal,
    "exponential": lambda rate: exponential(1 / rate),
    "gamma": gamma,
    "poisson": poisson,
    "negative_binomial": negative_binomial,
    "generalized_negative_binomial": lambda mu, alpha: negative_binomial(
        1 / alpha, 1 / (1 + mu * alpha)
    ),
}


def assert_follows(name, values, numbers):
    found = torch.from_numpy(values).double()
    if name in ("uniform", "normal", "exponential", "gamma"):
        assert kolmogorov(found, LAWS[name](*numbers)) < CLOSE
    else:
        assert chi_square(found, LAWS[name](*numbers)) < 3.5


@pytest.mark.parametrize("name", SAMPLED)
def test_every_element_of_array_parameters_has_its_own_distribution(name):
    mx.random.seed(3)
    arrays = [mx.nd.array(values) for values in SAMPLED[name]]
    values = function(f"nd.sample_{name}")(*arrays, shape=COUNT).asnumpy()
    for row, numbers in zip(values, zip(*SAMPLED[name], strict=True), strict=True):
        assert_follows(name, row, numbers)


@pytest.mark.parametrize("name", SAMPLED)
def test_draws_like_an_array_have_the_distribution_asked_for(name):
    mx.random.seed(4)
    numbers = [values[0] for values in SAMPLED[name]]
    like = function(f"nd.random.{name}_like")(mx.nd.zeros((200, 100)), *numbers)
    assert_follows(name, like.asnumpy().reshape(-1), numbers)


def test_no_distribution_is_left_out():
    tested = {name for name, *_ in [*CONTINUOUS, *DISCRETE]}
    tested |= {f"nd.sample_{name}" for name in SAMPLED}
    tested |= {f"nd.random.{name}_like" for name in SAMPLED}
    other = {"shuffle", "permutation", "multinomial", "multivariate_normal", "rand", "randn"}
    for space in ("nd.random", "np.random", "npx.random"):
        for name in set(NAMESPACES[space]) - other:
            assert f"{space}.{name}" in tested


def test_vectors_have_the_mean_and_the_covariance():
    mx.random.seed(5)
    mean, covariance = [1.0, -2.0], [[2.0, 0.6], [0.6, 0.5]]
    values = mx.np.random.multivariate_normal(mean, covariance, size=COUNT).asnumpy()
    assert values.mean(0) == pytest.approx(mean, abs=0.05)
    onp.testing.assert_allclose(onp.cov(values.T), covariance, atol=0.06)
    whitened = onp.linalg.solve(onp.linalg.cholesky(covariance), (values - mean).T)
    for row in whitened:
        assert kolmogorov(torch.from_numpy(row), normal()) < CLOSE
    with pytest.raises(MXNetError, match="not positive definite"):
        mx.np.random.multivariate_normal(mean, [[1.0, 2.0], [2.0, 1.0]]).wait_to_read()
    with pytest.raises(ShapeError, match=r"\(3,\), \(2, 2\)"):
        mx.np.random.multivariate_normal(mx.np.zeros(3), covariance).wait_to_read()


def test_frequent_classes_come_first_and_expected_counts_are_told():
    mx.random.seed(6)
    drawn, true, sampled = mx.nd.contrib.rand_zipfian(mx.nd.array([0, 3]), COUNT, 50)
    classes = torch.from_numpy(drawn.asnumpy())
    assert chi_square(classes, lambda k: torch.log((k + 2) / (k + 1)) / math.log(51)) < 3.5
    share = onp.log([2 / 1, 5 / 4]) / math.log(51)
    assert true.asnumpy() == pytest.approx(COUNT * share)
    zeros = sampled.asnumpy()[drawn.asnumpy() == 0]
    assert zeros == pytest.approx(COUNT * share[0])


# What one draw is as a function of its parameters, where gradients flow: (call, parameters, the
# derivatives by the parameters, given the value).
SMOOTH = [
    ("normal", (2.0, 3.0), lambda x, loc, scale: (1 + 0 * x, (x - loc) / scale)),
    (
        "uniform",
        (2.0, 5.0),
        lambda x, low, high: ((high - x) / (high - low), (x - low) / (high - low)),
    ),
    ("lognormal", (0.5, 0.25), lambda x, mean, sigma: (x, x * (x.log() - mean) / sigma)),
    ("exponential", (2.0,), lambda x, scale: (x / scale,)),
    ("gumbel", (2.0, 3.0), lambda x, loc, scale: (1 + 0 * x, (x - loc) / scale)),
    ("logistic", (2.0, 3.0), lambda x, loc, scale: (1 + 0 * x, (x - loc) / scale)),
    ("rayleigh", (2.0,), lambda x, scale: (x / scale,)),
    ("pareto", (3.0,), lambda x, a: (-(1 + x) * (1 + x).log() / a,)),
    ("weibull", (3.0,), lambda x, a: (-x * x.log() / a,)),
    ("power", (3.0,), lambda x, a: (-x * x.log() / a,)),
]


@pytest.mark.parametrize(("name", "numbers", "derivatives"), SMOOTH)
def test_gradients_reach_the_parameters(name, numbers, derivatives):
    arrays = [mx.np.array([number]) for number in numbers]
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        values = function(f"np.random.{name}")(*arrays, size=(5, 1))
    values.backward()
    wanted = derivatives(torch.from_numpy(values.asnumpy()), *numbers)
    for array, want in zip(arrays, wanted, strict=True):
        onp.testing.assert_allclose(array.grad.asnumpy(), want.sum(0), rtol=2e-4)


@pytest.mark.parametrize("engine", ["NaiveEngine", "LazyEngine"])
def test_an_argument_that_makes_no_sense_is_an_error_at_the_call(engine):
    before = selection.set_type(engine)
    try:
        for call, args, words in [
            ("nd.random.uniform", (2, 1), "low must not be above high: low is 2, high is 1"),
            ("nd.random.normal", (0, -1), "scale must be at least 0: scale is -1"),
            ("nd.random_exponential", (0,), "lam must be above 0"),
            ("nd.random.randint", (3, 3), "no whole numbers from 3 to 3 - 1"),
            ("nd.random.negative_binomial", (1, 1.5), "p must be at most 1"),
            ("np.random.gamma", (math.nan,), "shape must be above 0"),
            ("np.random.multinomial", (-1, [0.5, 0.5]), "n must be at least 0"),
            ("np.random.choice", (0,), "cannot take 1 of 0 values"),
            ("npx.random.bernoulli", (1.5,), "prob must be at most 1"),
            ("npx.random.normal_n", (0.0, -2.0), "scale must be at least 0"),
        ]:
            with pytest.raises(ArgumentError, match=words):
                function(call)(*args)
    finally:
        selection.set_type(before)


def test_an_array_that_makes_no_sense_is_described():
    scale = mx.np.array([1.0, -2.0, 5.0])
    with pytest.raises(ArgumentError, match="scale is an array from -2 to 5"):
        mx.np.random.normal(0.0, scale).wait_to_read()
    with pytest.raises(ArgumentError, match=r"\[0.5, 0.25\], whose sum is 0.75"):
        mx.nd.random.multinomial(mx.nd.array([[0.5, 0.5], [0.5, 0.25]])).wait_to_read()
    with pytest.raises(ArgumentError, match="chances are not negative"):
        mx.np.random.multinomial(3, [-0.5, 1.5]).wait_to_read()
