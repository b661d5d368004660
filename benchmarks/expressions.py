"""Small expressions that read the same for regluon, torch and MXNet: one row of the table each."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


COUNT = 200
"""How often a step computes its expression."""


def _chain(a: Any) -> None:
    """Record ten operators and differentiate the last."""
    leaf = a.leaf
    a.forget(leaf)
    with a.record():
        y = leaf * a.x
        for _ in range(3):
            y = y + leaf
            y = y * a.x
        y = (y - leaf).tanh().sum()
    y.backward()


EXPRESSIONS: dict[str, Callable[[Any], object]] = {
    "x[3]": lambda a: a.x[3],
    "x[1:3]": lambda a: a.x[1:3],
    "x[:, 1]": lambda a: a.x[:, 1],
    "x[indices]": lambda a: a.x[a.indices],
    "x.sum()": lambda a: a.x.sum(),
    "x.mean(axis=1)": lambda a: a.x.mean(axis=1),
    "row + column": lambda a: a.row + a.column,
    "dot 32x32": lambda a: a.dot(a.square, a.square),
    "x += y": lambda a: a.sum.__iadd__(a.x),
    "x[3] = 1": lambda a: a.sum.__setitem__(3, 1),
    "x[1:3] = y": lambda a: a.sum.__setitem__(slice(1, 3), a.rows),
    "backward of 10": _chain,
}
"""By name; `a` holds the arrays and the few functions that the three libraries call differently."""


def arrays(make: Callable[[Any], Any], integers: Callable[[Any], Any], **others: Any) -> Any:
    """Return the operands of every expression, as arrays of one library."""
    table = [[0.01 * (row - column) for column in range(4)] for row in range(8)]
    return SimpleNamespace(
        x=make(table),
        sum=make(table),
        leaf=make(table),
        row=make([[0.5] * 8]),
        column=make([[0.5]] * 8),
        rows=make([[0.5] * 4] * 2),
        square=make([[0.1] * 32] * 32),
        indices=integers([1, 5, 2]),
        **others,
    )


def repeated(name: str, operands: Any, wait: Callable[[], object]) -> Callable[[], None]:
    """Return a step that computes an expression `COUNT` times."""
    expression = EXPRESSIONS[name]

    def step() -> None:
        for _ in range(COUNT):
            expression(operands)
        wait()

    return step
