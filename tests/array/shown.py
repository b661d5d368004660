"""Arrays to print, as expressions of `mx`; MXNet says in display.json how they look."""

from pathlib import Path
from typing import Any


FILE = Path(__file__).resolve().parent.parent / "golden" / "display.json"

DTYPES = ("float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")
SHAPES = (
    "(1,)",
    "(3,)",
    "(2, 3)",
    "(2, 1, 3)",
    "(2, 2, 2, 2)",
    "()",
    "(0,)",
    "(0, 3)",
    "(2, 0, 3)",
)
VALUES = (
    "[0.1, -2.5, 1e-7]",
    "[1e10, 1.0]",
    "[1/3, 100.0]",
    "[float('nan'), float('inf'), -1.0]",
    "[-0.0, 0.0]",
    "[[1.25, 1000.5], [3e-5, 7.0]]",
    "3.75",
)


def expressions() -> list[str]:
    """Return the expressions; all are evaluated with NumPy's semantics switched on."""
    found = []
    for space in ("nd", "np"):
        for dtype in DTYPES:
            found += [f"mx.{space}.ones({shape}, dtype={dtype!r})" for shape in SHAPES]
        for values in VALUES:
            found += [
                f"mx.{space}.array({values}, dtype={dtype!r})" for dtype in ("float32", "float64")
            ]
        for stop, shape in (
            ("1001", ""),
            ("2000", ".reshape((2, 1000))"),
            ("8000", ".reshape((20, 20, 20))"),
        ):
            found += [
                f"mx.{space}.arange({stop}, dtype={d!r}){shape}" for d in ("float32", "int64")
            ]
    return found


def shown(expression: str, mx: Any) -> list[str]:
    """Return what `repr` and `str` give."""
    array = eval(expression, {"mx": mx})
    return [repr(array), str(array)]
