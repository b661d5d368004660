"""Random operators made of a distribution: their signatures, shapes and checks of parameters."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from regluon.base import ArgumentError, DTypeError, ShapeError
from regluon.ops.create import CPU, Shape, full_shape
from regluon.ops.distributions import Draw, Parameter
from regluon.ops.dtype import dtype_name, torch_dtype
from regluon.ops.infer import common_shape
from regluon.ops.math import named
from regluon.ops.registry import Spec, register


REQUIRED = inspect.Parameter.empty


# Conditions


class Condition(NamedTuple):
    """What parameters must fulfil: which of them, a test of numbers or tensors, and its words."""

    of: tuple[int, ...]
    holds: Callable[..., Any]
    words: str


class Distribution(NamedTuple):
    """A distribution: how it is drawn, and what its parameters must fulfil."""

    draw: Draw
    conditions: tuple[Condition, ...] = ()


RISING = Condition((0, 1), lambda low, high: low <= high, "{} must not be above {}")


def above_zero(*positions: int) -> tuple[Condition, ...]:
    """Return the conditions that these parameters are above 0."""
    return tuple(Condition((at,), lambda x: x > 0, "{} must be above 0") for at in positions)


def not_negative(*positions: int) -> tuple[Condition, ...]:
    """Return the conditions that these parameters are at least 0."""
    return tuple(Condition((at,), lambda x: x >= 0, "{} must be at least 0") for at in positions)


def chance(position: int, *, positive: bool = False) -> tuple[Condition, ...]:
    """Return the condition that a parameter is a chance, perhaps not 0."""
    low = above_zero(position) if positive else not_negative(position)
    return (*low, Condition((position,), lambda x: x <= 1, "{} must be at most 1"))


def check_conditions(
    conditions: tuple[Condition, ...], names: tuple[str, ...], values: tuple[Any, ...]
) -> None:
    """Raise if parameters do not fulfil a condition; those without values are left out."""
    for of, holds, words in conditions:
        given = [values[at] for at in of]
        if any(
            value is None or getattr(value, "is_meta", isinstance(value, Spec)) for value in given
        ):
            continue
        fulfilled = holds(*given)
        if not bool(fulfilled.all() if isinstance(fulfilled, Tensor) else fulfilled):
            told = ", ".join(f"{names[at]} is {_shown(values[at])}" for at in of)
            raise ArgumentError(f"{words.format(*(names[at] for at in of))}: {told}")


def _shown(value: Parameter) -> str:
    if not isinstance(value, Tensor):
        return repr(value)
    low, high = torch.aminmax(value)
    return f"an array from {low.item():g} to {high.item():g}"


# Shapes and dtypes


def _common(parameters: tuple[Any, ...]) -> tuple[int, ...] | None:
    shapes = [tuple(item.shape) for item in parameters if isinstance(item, (Tensor, Spec))]
    try:
        return common_shape(shapes) if shapes else None
    except ShapeError:
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


def batch_shape(parameters: tuple[Any, ...], batch: Shape | None) -> tuple[int, ...]:
    """Return the shape of an npx draw: a batch of what the parameters broadcast to.

    >>> batch_shape((torch.zeros(3), 1), 2)
    (2, 3)
    """
    extra = () if batch is None else full_shape(batch)
    return (*extra, *(_common(parameters) or ()))


class Sizing(NamedTuple):
    """How the shape of a draw is asked for: the attribute's name, and the shape that follows."""

    attribute: str
    shape_of: Callable[[tuple[Any, ...], Any], tuple[int, ...]]
    trailing: bool = False  # new axes follow those of array parameters, instead of leading them


ND = Sizing("shape", nd_shape, trailing=True)
NP = Sizing("size", np_shape)
NPX = Sizing("batch_shape", batch_shape)


def float_dtype(dtype: Any) -> torch.dtype:
    """Return the dtype of a draw: float32 by default; whole numbers are an error."""
    found = torch_dtype(dtype or "float32")
    if not found.is_floating_point:
        raise DTypeError(f"draws need a floating-point dtype, not {dtype_name(found)}")
    return found


def _aligned(parameter: Parameter, rank: int) -> Parameter:
    if not isinstance(parameter, Tensor):
        return parameter
    return parameter.reshape(parameter.shape + (1,) * (rank - parameter.dim()))


# Operators


def signature(
    before: Mapping[str, tuple[Any, Any]], after: Mapping[str, tuple[Any, Any]]
) -> inspect.Signature:
    """Return a signature of names with (annotation, default): first any, then by name only."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return inspect.Signature(
        [
            inspect.Parameter(name, kind, annotation=annotation, default=default)
            for kind, group in zip(kinds, (before, after), strict=True)
            for name, (annotation, default) in group.items()
        ]
    )


_GENERATOR = {"generator": (torch.Generator, REQUIRED)}


def register_draw(
    name: str,
    distribution: Distribution,
    parameters: Mapping[str, Any],
    sizing: Sizing,
    tail: tuple[str, ...],
    doc: str,
    **record: Any,
) -> None:
    """Register the operator that draws from a distribution.

    `parameters` gives the names and defaults of its parameters, numbers or arrays each; `tail` the
    order of what follows them, among the attribute of `sizing`, "dtype" and "device". `{0}` in
    `doc` stands for the first parameter.
    """
    draw, conditions = distribution
    names = tuple(parameters)

    def asked(values: tuple[Any, ...], attrs: dict[str, Any]) -> Spec:
        check_conditions(conditions, names, values)
        shape = sizing.shape_of(values, attrs.get(sizing.attribute))
        return Spec(shape, float_dtype(attrs.get("dtype")))

    def infer(*values: Any, **attrs: Any) -> tuple[Spec, ...]:
        return (asked(values, attrs),)

    def fn(*values: Any, generator: torch.Generator, **attrs: Any) -> Tensor:
        shape, dtype = asked(values, attrs)
        blank = torch.empty(shape, dtype=dtype, device=attrs["device"])
        if sizing.trailing:
            values = tuple(_aligned(value, len(shape)) for value in values)
        return draw(blank, generator, *values)

    known: dict[str, tuple[Any, Any]] = {
        sizing.attribute: (Shape | None, None),
        "dtype": (Any, None),
        "device": (torch.device, CPU),
    }
    given: dict[str, tuple[Any, Any]] = {
        key: (Parameter, default) for key, default in parameters.items()
    }
    given |= {word: known[word] for word in tail}
    rest = {} if "device" in tail else {"device": known["device"]}
    named(fn, name, doc.format(*(f"`{key}`" for key in names)))
    fn.__signature__ = signature(given, rest | _GENERATOR)  # type: ignore[attr-defined]
    register(infer, **record)(fn)


def register_like(
    name: str, distribution: Distribution, parameters: Mapping[str, float], doc: str, **record: Any
) -> None:
    """Register the operator that draws in the shape and dtype of an array, for fixed parameters."""
    draw, conditions = distribution
    names = tuple(parameters)

    def infer(data: Any, **given: float) -> tuple[Spec, ...]:
        check_conditions(conditions, names, tuple(given[key] for key in names))
        return (Spec(tuple(data.shape), float_dtype(data.dtype)),)

    def fn(data: Tensor, *, generator: torch.Generator, **given: float) -> Tensor:
        ((shape, dtype),) = infer(data, **given)
        blank = torch.empty(shape, dtype=dtype, device=data.device)
        return draw(blank, generator, *(given[key] for key in names))

    named(fn, name, doc.format(*(f"`{key}`" for key in names)))
    given = {"data": (Tensor, REQUIRED)} | {key: (float, parameters[key]) for key in names}
    fn.__signature__ = signature(given, _GENERATOR)  # type: ignore[attr-defined]
    register(infer, differentiable="", **record)(fn)
