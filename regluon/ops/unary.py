"""Element-wise functions of one array, most of them rows of a table, and casts, copies, clipping.

Functions with real values turn integers into float32; MXNet cuts their results to integers.
"""

from typing import Any

import torch
from torch import Tensor

from regluon.ops.dtype import torch_dtype
from regluon.ops.infer import real, same
from regluon.ops.math import Function, named
from regluon.ops.registry import Infer, Spec, register


def boolean(data: Spec, **attrs: Any) -> tuple[Spec, ...]:
    """The result is boolean, of the first array's shape."""
    return (Spec(data.shape, torch.bool),)


def cast_rule(data: Spec, *, dtype: Any, **attrs: Any) -> tuple[Spec, ...]:
    """The result has the dtype asked for."""
    return (Spec(data.shape, torch_dtype(dtype)),)


def _unary(infer: Infer, name: str, fn: Function, doc: str, nd: str, np: str, npx: str) -> None:
    def unary(data: Tensor) -> Tensor:
        return fn(data)

    named(unary, name, doc)
    symbol = nd.split()[0] if nd else f"_npi_{np.split()[0]}"
    register(infer, nd=nd, np=np, npx=npx, symbol=symbol)(unary)


def _cbrt(x: Tensor) -> Tensor:
    return torch.copysign(x.abs().pow(1 / 3), x)


def _rint(x: Tensor) -> Tensor:
    return torch.ceil(x - 0.5) if x.is_floating_point() else x.clone()


def half_away(x: Tensor) -> Tensor:
    """Round to whole numbers, halves away from zero."""
    if not x.is_floating_point():
        return x.clone()
    cut = torch.trunc(x)  # adding 0.5 first would round the largest float below 0.5 up
    return cut + torch.sign(x) * ((x - cut).abs() >= 0.5)


def _gamma(x: Tensor) -> Tensor:
    below = torch.floor(x)
    odd = (x < 0) & (torch.remainder(below, 2) == 1)
    pole = (x < 0) & (x == below)  # where the sign changes
    return (torch.where(odd, -1, 1) * torch.exp(torch.lgamma(x))).masked_fill(pole, torch.nan)


_BOTH: list[tuple[Infer, str, Function, str]] = [
    # The name in both namespaces, the function, the first sentence of its documentation.
    (same, "sign", torch.sign, "Return -1, 0 or 1, the sign of each element."),
    (same, "ceil", torch.ceil, "Round up to whole numbers."),
    (same, "floor", torch.floor, "Round down to whole numbers."),
    (same, "trunc", torch.trunc, "Round towards zero to whole numbers."),
    (same, "fix", torch.trunc, "Round towards zero to whole numbers."),
    (same, "square", torch.square, "Return the square of each element."),
    (same, "negative", torch.neg, "Change the sign of each element."),
    (real, "sqrt", torch.sqrt, "Return the square root; NaN for negative elements."),
    (real, "cbrt", _cbrt, "Return the cube root, negative for negative elements."),
    (real, "exp", torch.exp, "Return e to the power of each element."),
    (real, "expm1", torch.expm1, "Return exp(x) - 1, exact also for small x."),
    (real, "log", torch.log, "Return the natural logarithm; NaN for negative elements."),
    (real, "log2", torch.log2, "Return the logarithm to base 2."),
    (real, "log10", torch.log10, "Return the logarithm to base 10."),
    (real, "log1p", torch.log1p, "Return log(1 + x), exact also for small x."),
    (real, "sin", torch.sin, "Return the sine of angles in radians."),
    (real, "cos", torch.cos, "Return the cosine of angles in radians."),
    (real, "tan", torch.tan, "Return the tangent of angles in radians."),
    (real, "arcsin", torch.arcsin, "Return the inverse sine, in radians from -pi/2 to pi/2."),
    (real, "arccos", torch.arccos, "Return the inverse cosine, in radians from 0 to pi."),
    (real, "arctan", torch.arctan, "Return the inverse tangent, in radians from -pi/2 to pi/2."),
    (real, "sinh", torch.sinh, "Return the hyperbolic sine."),
    (real, "cosh", torch.cosh, "Return the hyperbolic cosine."),
    (real, "tanh", torch.tanh, "Return the hyperbolic tangent."),
    (real, "arcsinh", torch.arcsinh, "Return the inverse hyperbolic sine."),
    (real, "arccosh", torch.arccosh, "Return the inverse hyperbolic cosine."),
    (real, "arctanh", torch.arctanh, "Return the inverse hyperbolic tangent."),
    (real, "reciprocal", torch.reciprocal, "Return 1 / x."),
]

for _infer, _name, _fn, _doc in _BOTH:
    _unary(_infer, _name, _fn, _doc, nd=_name, np=_name, npx="")

_SINGLE: list[tuple[Infer, str, Function, str, str, str]] = [
    # Names in nd and in npx.
    (same, "relu", torch.relu, "Return max(x, 0).", "relu", "relu"),
    (real, "sigmoid", torch.sigmoid, "Return 1 / (1 + exp(-x)).", "sigmoid", "sigmoid"),
    (real, "erf", torch.erf, "Return the Gauss error function.", "erf", "erf"),
    (real, "erfinv", torch.erfinv, "Return the inverse of the error function.", "erfinv", "erfinv"),
    (real, "gamma", _gamma, "Return the gamma function.", "gamma", "gamma"),
    (real, "gammaln", torch.lgamma, "Return log(|gamma(x)|).", "gammaln", "gammaln"),
    (real, "softsign", torch.nn.functional.softsign, "Return x / (1 + |x|).", "softsign", ""),
    (real, "rsqrt", torch.rsqrt, "Return 1 / sqrt(x).", "rsqrt", ""),
    (real, "rcbrt", lambda x: 1 / _cbrt(x), "Return 1 / cbrt(x).", "rcbrt", ""),
    (same, "round", half_away, "Round to whole numbers, halves away from zero.", "round", ""),
    (same, "rint", _rint, "Round to whole numbers, halves down, as MXNet does.", "rint", ""),
]

for _infer, _name, _fn, _doc, _nd, _npx in _SINGLE:
    _unary(_infer, _name, _fn, _doc, nd=_nd, np="", npx=_npx)

_unary(same, "abs", torch.abs, "Return absolute values.", "abs", "abs absolute fabs", "")
_unary(same, "rint_np", torch.round, "Round to whole numbers, halves to even.", "", "rint", "")
_unary(real, "degrees", torch.rad2deg, "Convert to degrees.", "degrees", "degrees rad2deg", "")
_unary(real, "radians", torch.deg2rad, "Convert to radians.", "radians", "radians deg2rad", "")


@register(same, np="round around round_", symbol="_npi_around")
def round_np(x: Tensor, decimals: int = 0) -> Tensor:
    """Round to a number of decimals, halves to even; negative ones round left of the point.

    >>> np.round(np.array([2.5, 3.5])).asnumpy().tolist()
    [2.0, 4.0]
    """
    if x.is_floating_point():
        return torch.round(x, decimals=decimals)
    return x.clone() if decimals >= 0 else torch.round(x.double(), decimals=decimals).to(x.dtype)


def _contrib(name: str, fn: Function) -> None:
    def for_nd(data: Tensor) -> Tensor:
        return fn(data).to(data.dtype)

    named(for_nd, name, f"Say as 1 or 0 of the array's dtype what `np.{name}` says.")
    register(same, also={"nd.contrib": name}, differentiable="")(for_nd)


@register(same, nd="logical_not", symbol="logical_not", differentiable="")
def logical_not(data: Tensor) -> Tensor:
    """Say where elements are zero, as 1 or 0 of the array's dtype."""
    return torch.logical_not(data).to(data.dtype)


def _predicate(name: str, fn: Function, doc: str) -> None:
    def for_np(x: Tensor) -> Tensor:
        return fn(x)

    named(for_np, f"{name}_np", doc)
    register(boolean, np=name, symbol=f"_npi_{name}", differentiable="")(for_np)


_predicate("logical_not", torch.logical_not, "Say where elements are zero.")
_predicate("isnan", torch.isnan, "Say where elements are not a number.")
_predicate("isinf", torch.isinf, "Say where elements are infinite.")
_predicate("isposinf", torch.isposinf, "Say where elements are infinite and positive.")
_predicate("isneginf", torch.isneginf, "Say where elements are infinite and negative.")
_predicate("isfinite", torch.isfinite, "Say where elements are neither infinite nor NaN.")


for _name, _fn in (("isnan", torch.isnan), ("isinf", torch.isinf), ("isfinite", torch.isfinite)):
    _contrib(_name, _fn)


@register(same, nd="clip", symbol="clip")
def clip(data: Tensor, a_min: float, a_max: float) -> Tensor:
    """Limit elements to the range from `a_min` to `a_max`; the gradient outside is zero.

    >>> nd.clip(nd.array([-2, 0, 2]), -1, 1).asnumpy().tolist()
    [-1.0, 0.0, 1.0]
    """
    return _clamp(data, a_min, a_max)


@register(same, np="clip", symbol="_npi_clip")
def clip_np(a: Tensor, a_min: float | None, a_max: float | None) -> Tensor:
    """Limit elements to the range from `a_min` to `a_max`, of which one may be None."""
    return _clamp(a, a_min, a_max)


@register(same, np="nan_to_num", symbol="_npi_nan_to_num")
def nan_to_num(
    x: Tensor,
    copy: bool = True,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """Return finite numbers: `nan` for NaN, `posinf` and `neginf` for the infinite ones.

    posinf, neginf: the largest and the smallest number of the dtype if None. copy: False writes
    them into `x`, and returns it.

    >>> np.nan_to_num(np.array([np.nan, np.inf, 1]), posinf=9).asnumpy().tolist()
    [0.0, 9.0, 1.0]
    """
    return torch.nan_to_num(x, nan, posinf, neginf)


def _clamp(data: Tensor, low: float | None, high: float | None) -> Tensor:
    if not data.is_floating_point() and data.dtype != torch.bool:
        info = torch.iinfo(data.dtype)  # torch would let a bound outside wrap around
        low, high = (
            None if end is None else min(max(int(end), info.min), info.max) for end in (low, high)
        )
    return torch.clamp(data, low, high)


@register(cast_rule, nd="cast Cast", npx="cast", symbol="Cast", view="lazy copy")
def cast(data: Tensor, dtype: Any) -> Tensor:
    """Convert to another dtype; floats are cut towards zero when they become integers.

    >>> nd.cast(nd.array([1.7, -1.7]), "int32").asnumpy().tolist()
    [1, -1]
    """
    target = torch_dtype(dtype)
    return data.view_as(data) if data.dtype == target else data.to(target)


@register(same, nd="identity", symbol="_copy")
def identity(data: Tensor) -> Tensor:
    """Return a copy."""
    return data.clone()


@register(same, np="copy", symbol="_np_copy")
def copy_np(a: Tensor) -> Tensor:
    """Return a copy."""
    return a.clone()


@register(same, nd="BlockGrad stop_gradient", symbol="BlockGrad", view="lazy copy")
def stop_gradient(data: Tensor) -> Tensor:
    """Return the same values without a way back for gradients."""
    return data.detach()


@register(real, nd="smooth_l1", npx="smooth_l1", symbol="smooth_l1")
def smooth_l1(data: Tensor, scalar: float = 1.0) -> Tensor:
    """Return 0.5 (s x)^2 where |x| < 1 / s^2, and |x| - 0.5 / s^2 elsewhere, with s = `scalar`.

    From R. Girshick, "Fast R-CNN", 2015.

    >>> nd.smooth_l1(nd.array([0.5, 2.0])).asnumpy().tolist()
    [0.125, 1.5]
    """
    squared = scalar * scalar
    size = torch.abs(data)
    return torch.where(size < 1 / squared, 0.5 * squared * data * data, size - 0.5 / squared)
