"""The cells of the promotion table: an operator on two types, run under MXNet and under regluon."""

import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as onp


FILE = Path(__file__).resolve().parent.parent / "golden" / "promotion.json"
ARRAYS = ("float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")
NUMBERS = {"2": 2, "1.5": 1.5, "True": True}
OPERATORS: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "**": operator.pow,
    "==": operator.eq,
    "<": operator.lt,
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "/=": operator.itruediv,
    "%=": operator.imod,
}


def cells() -> Iterator[str]:
    """Yield `"nd int32 + 1.5"` and the like."""
    for space in ("nd", "np"):
        for sign in OPERATORS:
            for left in ARRAYS:
                for right in (*ARRAYS, *NUMBERS):
                    yield f"{space} {left} {sign} {right}"
            if "=" not in sign or sign == "==":
                for left in NUMBERS:
                    for right in ARRAYS:
                        yield f"{space} {left} {sign} {right}"


def computed(cell: str, mx: Any) -> str:
    """Return the dtype and the values of a cell under `mx`, or "error"."""
    space, left, sign, right = cell.split()
    (mx.npx.set_np if space == "np" else mx.npx.reset_np)()
    module = mx.np if space == "np" else mx.nd
    try:
        operands = [
            NUMBERS[name] if name in NUMBERS else module.array(values, dtype=name)
            for name, values in ((left, [1, 0, 3]), (right, [1, 1, 2]))
        ]
        result = OPERATORS[sign](*operands).asnumpy()
    except Exception:  # whatever it is, it is no result
        return "error"
    return f"{onp.dtype(result.dtype).name} {[round(float(x), 2) for x in result]}"
