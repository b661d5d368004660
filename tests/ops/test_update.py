"""Grouped optimizer steps: equal to the steps of single arrays, in place, nothing else changed."""

import numpy as onp
import pytest
import torch

from regluon.base import MXNetError, ShapeError
from regluon.ops import update


SHAPES = [(3, 4), (5,), (2, 1, 3)]
# name: (number of states, attributes)
RULES = {
    "sgd": (0, {}),
    "sgd_mom": (1, {"momentum": 0.9}),
    "adam": (2, {"beta1": 0.8, "beta2": 0.7, "epsilon": 1e-3}),
}
COMMON = [
    {},
    {"rescale_grad": 0.25},
    {"rescale_grad": 2.0, "clip_gradient": 0.5},
]


def group(states, dtype=torch.float64):
    """Return weights, gradients and states; second moments must not be negative."""
    generator = torch.Generator().manual_seed(3)
    return [
        [torch.rand(shape, generator=generator, dtype=dtype) - 0.5 * (i < 3) for shape in SHAPES]
        for i in range(2 + states)
    ]


def run_group(name, arrays, lrs, wds, attrs):
    getattr(update, f"multi_{name}_update")(*arrays, lrs, wds, **attrs)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("common", COMMON)
@pytest.mark.parametrize("lrs", [(0.1, 0.1, 0.1), (0.1, 0.2, 0.3)])
@pytest.mark.parametrize("wds", [(0.0, 0.0, 0.0), (0.01, 0.01, 0.01), (0.0, 0.5, 0.1)])
def test_a_group_is_updated_as_its_arrays_one_by_one(name, common, lrs, wds):
    states, own = RULES[name]
    grouped, single = group(states), group(states)
    attrs = {**own, **common}
    for _ in range(2):
        run_group(name, grouped, lrs, wds, attrs)
        for at, (lr, wd) in enumerate(zip(lrs, wds, strict=True)):
            arrays = [kind[at] for kind in single]
            new = getattr(update, f"{name}_update")(*arrays, lr=lr, wd=wd, **attrs)
            arrays[0].copy_(new)
    for kind, wanted in zip(grouped, single, strict=True):
        for got, want in zip(kind, wanted, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


def reference(name, arrays, lr, wd, attrs):
    """Make one step by the formulas."""
    weight, grad, *states = arrays
    limit = attrs.get("clip_gradient", -1)
    limit = onp.inf if limit < 0 else limit
    grad = attrs.get("rescale_grad", 1) * grad
    if name == "adam":
        mean, var = states
        grad = (grad + wd * weight).clamp(-limit, limit)
        mean += (1 - attrs["beta1"]) * (grad - mean)
        var += (1 - attrs["beta2"]) * (grad**2 - var)
        weight -= lr * mean / (var.sqrt() + attrs["epsilon"])
        return
    grad = grad.clamp(-limit, limit) + wd * weight
    if name == "sgd_mom":
        states[0].mul_(attrs["momentum"]).sub_(lr * grad)
        weight += states[0]
    else:
        weight -= lr * grad


LAYOUTS = {
    "rows first": lambda array, at: array,
    "channels last": lambda array, at: array.contiguous(memory_format=torch.channels_last),
    "mixed": lambda array, at: (
        array.contiguous(memory_format=torch.channels_last) if at % 2 else array
    ),
    "weights last": lambda array, at: (
        array if at else array.contiguous(memory_format=torch.channels_last)
    ),
    "with gaps": lambda array, at: array.repeat_interleave(2, dim=3)[..., ::2],
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("common", [*COMMON, {"rescale_grad": 0.0}])
def test_every_memory_layout_gives_the_same_numbers(name, layout, common):
    states, own = RULES[name]
    attrs = {**own, **common}
    generator = torch.Generator().manual_seed(5)
    plain = [torch.rand(4, 3, 2, 2, generator=generator).double() for _ in range(2 + states)]
    laid_out = [
        LAYOUTS[layout](array, at).clone(memory_format=torch.preserve_format)
        if layout != "with gaps"
        else LAYOUTS[layout](array, at)
        for at, array in enumerate(plain)
    ]
    strides = [array.stride() for array in laid_out]
    run_group(name, [[array] for array in laid_out], (0.1,), (0.01,), attrs)
    reference(name, plain, 0.1, 0.01, attrs)
    assert [array.stride() for array in laid_out] == strides
    for got, want in zip(laid_out, plain, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("lr", [0.0, 1e-9, 0.5])
def test_momentum_and_rate_may_be_zero_or_tiny(momentum, lr):
    weight, grad, mom = (torch.rand(5, dtype=torch.float64) for _ in range(3))
    wanted = momentum * mom - lr * grad
    update.multi_sgd_mom_update([weight], [grad], [mom], [lr], [0.0], momentum)
    torch.testing.assert_close(mom, wanted, rtol=1e-6, atol=0)


def test_a_beta_of_one_is_refused():
    with pytest.raises(MXNetError, match="must lie in 0 <= beta < 1"):
        run_group("adam", group(2), (0.1,) * 3, (0.0,) * 3, {"beta2": 1.0})


@pytest.mark.parametrize("name", RULES)
def test_gradients_are_left_as_they_were(name):
    states, own = RULES[name]
    arrays = group(states)
    before = [grad.clone() for grad in arrays[1]]
    attrs = {**own, "rescale_grad": 0.5, "clip_gradient": 0.1}
    run_group(name, arrays, (0.1,) * 3, (0.1,) * 3, attrs)
    assert all(torch.equal(a, b) for a, b in zip(arrays[1], before, strict=True))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("clip", [-1.0, 0.5])
def test_nan_reaches_its_weight_and_no_other(name, clip):
    states, own = RULES[name]
    arrays = group(states)
    arrays[1][1][2] = onp.nan
    run_group(name, arrays, (0.1,) * 3, (0.1,) * 3, {**own, "clip_gradient": clip})
    wrong = [weight.isnan().nonzero().tolist() for weight in arrays[0]]
    assert wrong == [[], [[2]], []]


@pytest.mark.parametrize("name", RULES)
def test_a_shape_that_does_not_fit_is_an_error_and_changes_nothing(name):
    states, own = RULES[name]
    arrays = group(states)
    arrays[1][2] = torch.ones(3)
    before = [weight.clone() for weight in arrays[0]]
    with pytest.raises(ShapeError, match=r"weight \(2, 1, 3\) does not fit .* \(3,\)"):
        run_group(name, arrays, (0.1,) * 3, (0.0,) * 3, own)
    with pytest.raises(ShapeError, match="3 weights need as many of each, not 2"):
        run_group(name, group(states), (0.1,) * 2, (0.0,) * 3, own)
    assert all(torch.equal(a, b) for a, b in zip(arrays[0], before, strict=True))
