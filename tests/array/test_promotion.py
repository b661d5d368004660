"""What operators give for two types: MXNet's table, and the rules for the cells that differ."""

import json

import numpy as onp
import pytest
import torch

import regluon as mx
from tests.array.promotion import (
    ARRAYS,
    EXPRESSIONS,
    FILE,
    NUMBERS,
    OPERATORS,
    cells,
    computed,
    shown,
)


GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))
VALUES = {"left": [1, 0, 3], "right": [1, 1, 2]}


def plain(name: str, side: str):
    """Return an operand for NumPy, in whose arithmetic nothing is cut."""
    return NUMBERS[name] if name in NUMBERS else onp.array(VALUES[side], dtype=name)


def by_value(left: str, sign: str, right: str) -> list[float]:
    """Return what NumPy computes, in the form of the table."""
    operands = [plain(left, "left"), plain(right, "right")]
    operands = [x.astype(float) if isinstance(x, onp.ndarray) else float(x) for x in operands]
    return [round(float(x), 2) for x in OPERATORS[sign](*operands)]


def promoted(left: str, right: str) -> torch.dtype:
    """Return torch's dtype for two arrays."""
    return torch.promote_types(getattr(torch, left), getattr(torch, right))


def expected(cell: str) -> str | None:
    """Return what the cell holds where we differ from MXNet, or None where we do not."""
    space, left, sign, right = cell.split()
    comparison = sign in ("==", "<")
    whole = [x for x in (left, right) if x in ARRAYS and "float" not in x]
    numbers = [x for x in (left, right) if x in NUMBERS]
    if comparison and numbers and whole:
        # MXNet cuts the number to the array's type first: 1 == 1.5.
        kind = "bool" if space == "np" else whole[0].replace("bool", "int64")
        return f"{kind} {by_value(left, sign, right)}"
    if space == "np" and whole and "1.5" in numbers and sign != "/":
        # An array of integers and 1.5 make float32, as 1.5 is; MXNet computes with 1.
        if sign.endswith("="):
            return "error"  # float32 does not go back into integers by itself
        return f"float32 {by_value(left, sign, right)}"
    return None


def refused_by_mxnet(cell: str) -> str:
    """Return the dtype, or "error", of a cell where MXNet has no answer: arrays are promoted."""
    space, left, sign, right = cell.split()
    if right in NUMBERS:
        return "error"  # in place: the result has another dtype than the array
    kind = str(promoted(left, right)).removeprefix("torch.")
    if left == right == "bool" and sign.rstrip("=") in ("-", "%", "/")[: 3 if space == "nd" else 2]:
        return "error"
    if space == "np" and sign in ("==", "<"):
        return "bool"
    if space == "np" and sign in ("/", "/=") and "float" not in kind:
        kind = "float32"
    in_place = sign.endswith("=") and sign != "=="
    return "error" if in_place and kind != left else kind


@pytest.mark.parametrize("sign", OPERATORS)
@pytest.mark.parametrize("space", ["nd", "np"])
def test_two_types_give_what_mxnet_says_or_the_rules_above(space, sign):
    for cell in cells():
        if not (cell.startswith(space) and f" {sign} " in cell):
            continue
        got = computed(cell, mx)
        if GOLDEN[cell] == "error":
            assert got.split()[0] == refused_by_mxnet(cell), cell
        else:
            assert got == (expected(cell) or GOLDEN[cell]), cell


DIFFERS = {
    # MXNet's answer is 0, or cut to an integer
    "np.zeros((0, 3)).mean()": "ndarray () float32 [nan]",
    'np.sqrt(np.array(4, dtype="int32"))': "ndarray () float32 [2.0]",
    'nd.ones((2,), dtype="int32").mean()': "NDArray (1,) float32 [1.0]",
    # nd has one rule for numbers: shape (1,)
    "nd.array(5)": "NDArray (1,) float32 [5.0]",
    # NumPy refuses this too
    '-np.ones(2, dtype="bool")': "error",
    # MXNet raises
    "np.array(7) // 2": "ndarray () float32 [3.0]",
    "nd.array([7]) // 2": "NDArray (1,) float32 [3.0]",
    "np.array([1]) == None": "False",
    "nd.array([1, 2]) == None": "False",
    "nd.zeros(())": "NDArray () float32 [0.0]",
    "nd.zeros((0,))": "NDArray (0,) float32 []",
    "float(nd.ones((1,)))": "1.0",
    "int(nd.ones((1,)))": "1",
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_arrays_without_axes_or_elements_are_as_in_mxnet(text):
    assert shown(text, mx) == DIFFERS.get(text, GOLDEN[text])
    assert DIFFERS.get(text) != GOLDEN[text]
