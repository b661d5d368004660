"""Arithmetic of two numbers by the functions of nd: a number, as in MXNet, and no array."""

import pytest

from regluon import nd
from regluon.ops.math import OF_NUMBERS


WANTED = {
    "add": 5,
    "subtract": -1,
    "multiply": 6,
    "divide": 2 / 3,
    "true_divide": 2 / 3,
    "modulo": 2,
    "power": 8,
    "maximum": 3,
    "minimum": 2,
    "equal": 0,
    "not_equal": 1,
    "greater": 0,
    "greater_equal": 0,
    "lesser": 1,
    "lesser_equal": 1,
    "logical_and": 1,
    "logical_or": 1,
    "logical_xor": 0,
}


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_two_numbers_give_a_number(name):
    result = getattr(nd, name)(2, 3)
    assert not isinstance(result, nd.NDArray)
    assert result == WANTED[name]


def test_arguments_by_name_may_be_numbers_too():
    assert nd.power(base=2, exp=3) == 8
    assert nd.add(lhs=2, rhs=nd.ones(1)).asscalar() == 3
