"""Element-wise arithmetic of two operands: numbers, broadcasting, MXNet's dtype rules.

In `nd` a number takes the dtype of the array, so that integer arrays stay integer: `x * 1.5` is
`x * 1`, and `x / 2` is cut towards zero. In `np` the rules are torch's, which are NumPy's with
float32 as the default float: an integer array times 1.5, or divided, is float32. Arrays of
different dtypes are promoted in both.
"""

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.infer import broadcast, broadcast_shape, promoted, same
from regluon.ops.registry import Spec, register


Function = Callable[..., Tensor]


OF_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "true_divide": operator.truediv,
    "modulo": operator.mod,
    "power": operator.pow,
    "maximum": max,
    "minimum": min,
    "equal": lambda lhs, rhs: int(lhs == rhs),
    "not_equal": lambda lhs, rhs: int(lhs != rhs),
    "greater": lambda lhs, rhs: int(lhs > rhs),
    "greater_equal": lambda lhs, rhs: int(lhs >= rhs),
    "lesser": lambda lhs, rhs: int(lhs < rhs),
    "lesser_equal": lambda lhs, rhs: int(lhs <= rhs),
    "logical_and": lambda lhs, rhs: int(bool(lhs and rhs)),
    "logical_or": lambda lhs, rhs: int(bool(lhs or rhs)),
    "logical_xor": lambda lhs, rhs: int(bool(lhs) != bool(rhs)),
}
"""What functions of nd give for two numbers: a number."""


def broadcast_nd(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
    """The arrays are broadcast and promoted; a number does not change their dtype."""
    dtype = promoted(*(array for array in arrays if isinstance(array, Spec)))
    if dtype == torch.bool and not all(isinstance(array, Spec) for array in arrays):
        dtype = torch.int64
    return (Spec(broadcast_shape(*arrays), dtype),)


def broadcast_real(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
    """The arrays are broadcast and promoted; integers become float32."""
    dtype = promoted(*arrays)
    return (Spec(broadcast_shape(*arrays), dtype if dtype.is_floating_point else torch.float32),)


def _broadcast_np(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
    return broadcast(*map(_count, arrays))


def alike(lhs: Any, rhs: Any) -> tuple[Any, Any]:
    """Let an array without axes count in the dtype of a result, which torch would not."""
    if not (isinstance(lhs, Tensor) and isinstance(rhs, Tensor)) or lhs.dtype == rhs.dtype:
        return lhs, rhs
    if lhs.dim() and rhs.dim():
        return lhs, rhs
    dtype = torch.promote_types(lhs.dtype, rhs.dtype)
    return lhs.to(dtype), rhs.to(dtype)


def _count(value: Any) -> Any:
    """Return True and False as 1 and 0, which are what the operators of np take them for."""
    return int(value) if value is True or value is False else value


def _is_float(value: Any) -> bool:
    """Say whether an operand is a floating-point array."""
    return isinstance(value, Tensor) and value.is_floating_point()


def whole(lhs: Any, rhs: Any) -> tuple[Any, Any]:
    """Cut the fraction off a number that meets an integer array, as nd does; booleans are int64."""
    if not isinstance(rhs, Tensor):
        return (lhs, rhs) if _is_float(lhs) else (_integers(lhs), int(rhs))
    if not isinstance(lhs, Tensor):
        return (lhs, rhs) if _is_float(rhs) else (int(lhs), _integers(rhs))
    return lhs, rhs


def _integers(array: Tensor) -> Tensor:
    return array.long() if array.dtype == torch.bool else array


def _floats(lhs: Any, rhs: Any) -> tuple[Tensor, Tensor]:
    """Return both operands as tensors of floating-point numbers."""
    pair = alike(_tensor(lhs, rhs), _tensor(rhs, lhs))
    return pair if _is_float(pair[0]) or _is_float(pair[1]) else (pair[0].float(), pair[1].float())


def _tensor(value: Any, like: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    dtype = like.dtype if _is_float(like) else torch.float32
    return torch.scalar_tensor(value, dtype=dtype, device=like.device)


def _arithmetic(name: str, fn: Function, doc: str, *, nd: str, np: str) -> Function:
    """Record an operator by nd's rule for numbers, and return it; as `<name>_np`, by np's."""

    # Tensors of one dtype come first, as they nearly always do: this is the shortest way.

    def for_nd(lhs: Tensor, rhs: Tensor) -> Tensor:
        if type(lhs) is type(rhs) is Tensor and lhs.dtype is rhs.dtype:
            return fn(lhs, rhs)
        if isinstance(lhs, Tensor) and (isinstance(rhs, Tensor) or lhs.is_floating_point()):
            return fn(*alike(lhs, rhs))
        return fn(*whole(lhs, rhs))

    def for_np(lhs: Tensor, rhs: Tensor) -> Tensor:
        if type(lhs) is type(rhs) is Tensor and lhs.dtype is rhs.dtype:
            return fn(lhs, rhs)
        return fn(*alike(_count(lhs), _count(rhs)))

    named(for_nd, name, doc)
    named(for_np, f"{name}_np", doc)
    register(_broadcast_np, np=np, symbol=f"_npi_{np.split()[0]}")(for_np)
    return register(broadcast_nd, nd=nd, symbol=nd.split()[-1])(for_nd)


def named(fn: Function, name: str, doc: str) -> None:
    """Give a function that a row of a table makes its name and docstring."""
    fn.__name__ = name
    fn.__doc__ = doc


def _counted(lhs: Any, rhs: Any) -> tuple[Any, Any]:
    """Let arrays of truth values count beside numbers and other arrays; torch refuses some."""
    if isinstance(lhs, Tensor) and lhs.dtype == torch.bool:
        lhs = lhs.to(rhs.dtype) if isinstance(rhs, Tensor) else lhs.long()
    if isinstance(rhs, Tensor) and rhs.dtype == torch.bool:
        rhs = rhs.to(lhs.dtype) if isinstance(lhs, Tensor) else rhs.long()
    return _count(lhs), _count(rhs)


def _difference(lhs: Any, rhs: Any) -> Tensor:
    return torch.sub(*_counted(lhs, rhs))


def _raised(lhs: Any, rhs: Any) -> Tensor:
    lhs, rhs = _counted(lhs, rhs)
    if isinstance(lhs, Tensor) and lhs.dtype == torch.bool:
        return torch.logical_or(lhs, ~rhs)
    return torch.pow(lhs, rhs)


def _remainder(lhs: Any, rhs: Any) -> Tensor:
    # Torch has no derivative where the first operand is a number.
    return torch.remainder(_tensor(lhs, rhs) if _is_float(rhs) else lhs, rhs)


def _larger(lhs: Any, rhs: Any) -> Tensor:
    if isinstance(lhs, Tensor) and isinstance(rhs, Tensor):
        return torch.maximum(lhs, rhs)
    return torch.clamp(lhs, min=rhs) if isinstance(lhs, Tensor) else torch.clamp(rhs, min=lhs)


def _smaller(lhs: Any, rhs: Any) -> Tensor:
    if isinstance(lhs, Tensor) and isinstance(rhs, Tensor):
        return torch.minimum(lhs, rhs)
    return torch.clamp(lhs, max=rhs) if isinstance(lhs, Tensor) else torch.clamp(rhs, max=lhs)


_EXTREME = """Return the {} of two values, element by element; either operand may be a number.

Equal elements of two arrays share the gradient; an element equal to a number keeps all of it.
"""

_arithmetic(
    "add",
    torch.add,
    """Add two arrays, or an array and a number, with broadcasting.

    >>> nd.add(nd.ones((2, 1)), nd.ones((1, 3))).shape
    (2, 3)
    """,
    nd="add broadcast_add broadcast_plus",
    np="add",
)
_arithmetic(
    "subtract",
    _difference,
    """Subtract `rhs` from `lhs`, with broadcasting; either may be a number.

    >>> nd.subtract(5, nd.array([1, 2])).asnumpy().tolist()
    [4.0, 3.0]
    """,
    nd="subtract broadcast_sub broadcast_minus",
    np="subtract",
)
_arithmetic(
    "multiply",
    torch.mul,
    "Multiply two arrays, or an array and a number, with broadcasting.",
    nd="multiply broadcast_mul",
    np="multiply",
)
_arithmetic(
    "modulo",
    _remainder,
    """Return the remainder of division, with the sign of the divisor as in Python.

    >>> nd.modulo(nd.array([-3, 7]), 2).asnumpy().tolist()
    [1.0, 1.0]
    """,
    nd="modulo broadcast_mod",
    np="mod remainder modulo",
)
_power = _arithmetic(
    "power",
    _raised,
    "Raise `lhs` to the power `rhs`, with broadcasting; either may be a number.",
    nd="broadcast_power",
    np="power",
)


@register(broadcast_nd, nd="power", symbol="broadcast_power")
def power_nd(base: Tensor, exp: Tensor) -> Tensor:
    """Raise `base` to the power `exp`, with broadcasting; either may be a number."""
    return _power(base, exp)


_arithmetic(
    "maximum",
    _larger,
    _EXTREME.format("larger"),
    nd="maximum broadcast_maximum",
    np="maximum",
)
_arithmetic(
    "minimum",
    _smaller,
    _EXTREME.format("smaller"),
    nd="minimum broadcast_minimum",
    np="minimum",
)


@register(broadcast_nd, nd="divide true_divide broadcast_div", symbol="broadcast_div")
def divide(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Divide `lhs` by `rhs`, with broadcasting; quotients of integers are cut towards zero.

    >>> nd.divide(nd.array([-3, 5], dtype="int32"), 2).asnumpy().tolist()
    [-1, 2]
    """
    if _is_float(lhs) or _is_float(rhs):
        return torch.div(*alike(lhs, rhs))
    return torch.div(*whole(lhs, rhs), rounding_mode="trunc")


@register(broadcast_real, np="divide true_divide", symbol="_npi_true_divide")
def divide_np(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Divide `lhs` by `rhs`, with broadcasting; quotients of integers are float32.

    >>> np.divide(np.array([-3, 5], dtype="int32"), 2).asnumpy().tolist()
    [-1.5, 2.5]
    """
    return torch.div(*alike(lhs, rhs))


@register(broadcast_real, nd="broadcast_hypot", np="hypot", symbol="broadcast_hypot")
def hypot(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Return the hypotenuse of the right triangle with these legs; integers become float32."""
    return torch.hypot(*_floats(lhs, rhs))


@register(broadcast_real, np="arctan2", symbol="_npi_arctan2")
def arctan2(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Return the angle of the point (rhs, lhs), in radians from -pi to pi."""
    return torch.arctan2(*_floats(lhs, rhs))


@register(broadcast_real, np="copysign", symbol="_npi_copysign")
def copysign(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Return the size of `lhs` with the sign of `rhs`; integers become float32."""
    return torch.copysign(*_floats(lhs, rhs))


def _check_equal(lhs: Any, rhs: Any) -> None:
    if lhs.shape != rhs.shape:
        raise ShapeError(
            f"shapes {tuple(lhs.shape)} and {tuple(rhs.shape)} differ, and this operator does not "
            "broadcast; its broadcast_ form does"
        )


def _equal_shapes(lhs: Any, rhs: Any) -> tuple[Spec, ...]:
    _check_equal(lhs, rhs)
    return broadcast_nd(lhs, rhs)


def _elementwise(name: str, fn: Function, verb: str) -> None:
    """Record the form of an operator that does not broadcast."""

    def strict(lhs: Tensor, rhs: Tensor) -> Tensor:
        _check_equal(lhs, rhs)
        return fn(lhs, rhs)

    named(strict, name, f"{verb} two arrays of one shape.")
    register(_equal_shapes, nd=name, symbol=name)(strict)


_elementwise("elemwise_add", torch.add, "Add")
_elementwise("elemwise_sub", torch.sub, "Subtract")
_elementwise("elemwise_mul", torch.mul, "Multiply")
_elementwise("elemwise_div", divide, "Divide")


@register(same, nd="add_n ElementWiseSum", symbol="add_n")
def add_n(*args: Tensor) -> Tensor:
    """Add any number of arrays of one shape.

    >>> nd.add_n(nd.ones(2), nd.ones(2), nd.ones(2)).asnumpy().tolist()
    [3.0, 3.0]
    """
    for other in args[1:]:
        _check_equal(args[0], other)
    return reduce(torch.add, args) if len(args) > 1 else args[0].clone()
