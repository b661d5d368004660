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


# What shapes and dtypes the two namespaces give where there are no axes, no elements, or one.
EXPRESSIONS = """
np.array(1, dtype="float64") + np.ones(2)
np.array(1) * np.ones(2, dtype="int32")
np.array(1.5) + np.ones(2, dtype="float16")
np.array(1, dtype="int64") + np.ones(2, dtype="int32")
np.array(5)
np.array(True)
np.array(5).item()
np.array([5])[0]
np.ones(3)[np.array(1)]
np.zeros(())
np.zeros((0,))
np.array([])
np.zeros((0, 3)).sum()
np.zeros((0, 3)).sum(axis=0)
np.zeros((0, 3)).mean()
np.zeros((0, 3)).max()
np.concatenate([np.zeros((0, 2)), np.ones((1, 2))])
np.ones((2, 3)).sum()
np.ones((2, 3)).sum(axis=())
np.ones((2, 3)).sum(keepdims=True)
np.ones(2, dtype="int32").sum()
np.ones(2, dtype="bool").sum()
np.ones(2, dtype="uint8").sum()
np.ones(2, dtype="int32").prod()
np.ones(2, dtype="int32").mean()
np.ones(2).argmax()
np.ones(2).all()
np.dot(np.ones(2), np.ones(2))
np.squeeze(np.ones((1, 1)))
np.array(7) % 4
np.array(7) // 2
np.array(7, dtype="int32") / 2
np.array(-7, dtype="int32") / 2
np.array(7, dtype="int32") ** 2
np.array([1, 2]) > 1
~(np.array([1, 2]) > 1)
np.array([1, 2], dtype="int32") == np.array([1, 3], dtype="int32")
np.array([1]) == None
-np.ones(2, dtype="bool")
np.sqrt(np.array(4, dtype="int32"))
np.abs(np.array(-3, dtype="int32"))
float(np.array(2.5))
int(np.array(7))
bool(np.array(0))
np.arange(3).dtype.name
nd.array(5)
nd.array([])
nd.zeros(())
nd.zeros((0,))
nd.ones((3,))[0]
nd.ones((2, 3)).sum()
nd.ones((2, 3)).sum(axis=1)
nd.ones((2, 3)).sum(axis=())
nd.ones((2, 3)).sum(keepdims=True)
nd.ones((2,), dtype="int32").sum()
nd.ones((2,), dtype="int32").mean()
nd.ones((2, 3)).max()
nd.ones((2,)).argmax(axis=0)
nd.dot(nd.ones((2,)), nd.ones((2,)))
nd.norm(nd.ones((2,)))
nd.ones((1, 1)).squeeze()
nd.array([1, 2]) > 1
nd.array([1, 2], dtype="int32") == 2
nd.array([1, 2], dtype="uint8") > 1
nd.array([True, False])
nd.array([7], dtype="int32") / 2
nd.array([-7], dtype="int32") / 2
nd.array([7], dtype="int32") % 4
nd.array([7]) // 2
2 / nd.array([1, 2])
2 % nd.array([1, 2])
2 ** nd.array([1, 2])
nd.array([1, 2]) == None
nd.array([[1, 2]]) @ nd.array([[1], [2]])
float(nd.ones((1,)))
int(nd.ones((1,)))
bool(nd.zeros((1,)))
len(nd.ones((3, 2)))
""".strip().splitlines()


def shown(text: str, mx: Any) -> str:
    """Return what an expression gives under `mx`: kind, shape, dtype and values, or "error"."""
    (mx.npx.set_np if "np." in text else mx.npx.reset_np)()
    try:
        result = eval(text, {"nd": mx.nd, "np": mx.np})  # the texts above
        if not hasattr(result, "asnumpy"):
            return repr(result)
        values = result.asnumpy()
    except Exception:  # whatever it is, it is no result
        return "error"
    kept = [round(float(x), 4) for x in values.reshape(-1)]
    return f"{type(result).__name__} {result.shape} {onp.dtype(values.dtype).name} {kept}"
