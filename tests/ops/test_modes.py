"""The modes themselves: each of them fails for an operator that is wrong in its way."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon.base import ShapeError
from regluon.ops.registry import NAMESPACES, Spec
from tests.ops.modes import (
    MODES,
    Case,
    as_mxnet,
    differences,
    dtypes,
    engine,
    into_out,
    lazy,
    views,
)
from tests.ops.observed import Facts, watching
from tests.ops.samples import Outcome, Sample, floats, prepare


X = floats(3, 4)
SINE = NAMESPACES["nd"]["sin"]
CALLS = itertools.count()


def case(**options: Any) -> Case:
    sample = Sample("nd.sin", (X,), **options)
    golden = Outcome(outputs=[onp.sin(X)], grads=[])
    return Case("family", "nd.sin#1", sample, sample.digest(), golden)


@contextmanager
def broken(**fields: Any) -> Iterator[None]:
    """Give the record of `nd.sin` other fields for a while."""
    kept = {name: getattr(SINE, name) for name in fields}
    for name, value in fields.items():
        object.__setattr__(SINE, name, value)
    try:
        yield
    finally:
        for name, value in kept.items():
            object.__setattr__(SINE, name, value)


def layout_bound(data: torch.Tensor) -> torch.Tensor:
    return torch.sin(data) if data.is_contiguous() else torch.sin(data) + 1


def late(data: torch.Tensor) -> torch.Tensor:
    return torch.sin(torch.as_strided(data, data.shape, data.stride(), 0))


def whole_is_garbage(data: torch.Tensor) -> torch.Tensor:
    return torch.sin(data) if data.is_floating_point() else torch.cos(data)


def narrow(data: torch.Tensor) -> torch.Tensor:
    return (torch.sin(data) if data.dtype != torch.float16 else torch.cos(data)).to(data.dtype)


def half_the_gradient(data: torch.Tensor) -> torch.Tensor:
    return (torch.sin(data) + torch.sin(data).detach()) / 2


def counting(data: torch.Tensor) -> torch.Tensor:
    return torch.sin(data) + next(CALLS)


def unknown(data: torch.Tensor) -> torch.Tensor:
    if data.dtype == torch.int32:
        raise RuntimeError("something else went wrong")
    return torch.sin(data)


WRONG = {
    "another value": (as_mxnet, {"fn": torch.cos}),
    "another promise": (lazy, {"infer": lambda data: (Spec(data.shape, torch.float64),)}),
    "another length": (lazy, {"infer": lambda data: (Spec((*data.shape, 1), data.dtype),)}),
    "another value each time": (into_out, {"fn": counting}),
    "values by layout": (views, {"fn": layout_bound}),
    "the base in place of the view": (views, {"fn": late}),
    "values by dtype": (dtypes, {"fn": narrow}),
    "garbage for integers": (dtypes, {"fn": whole_is_garbage}),
    "an unclear error": (dtypes, {"fn": unknown}),
    "half the gradient": (differences, {"fn": half_the_gradient}),
}


@pytest.mark.parametrize(("mode", "fields"), WRONG.values(), ids=WRONG)
def test_a_mode_notices(mode, fields):
    with broken(**fields), pytest.raises((AssertionError, RuntimeError)):
        mode(case(grad=mode is differences))


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_has_nothing_to_say_of_an_operator_that_is_right(mode):
    mode(case(grad=False))


def test_a_sample_that_changed_after_its_golden_data_is_named():
    old = replace(case(grad=False), digest="0123456789abcdef")
    with pytest.raises(AssertionError, match="make_golden"):
        as_mxnet(old)


def test_an_error_that_does_not_come_is_noticed():
    with pytest.raises(pytest.fail.Exception):
        as_mxnet(case(error="ShapeError"))


def test_an_error_must_be_that_of_mxnet_too_or_explained():
    def refusing(data: torch.Tensor) -> torch.Tensor:
        raise ShapeError("not this shape")

    with broken(fn=refusing, infer=refusing):
        with pytest.raises(AssertionError, match="say in `differs`"):
            as_mxnet(case(error="ShapeError"))
        as_mxnet(case(error="ShapeError", differs="we refuse this"))


def watched(fn: Any) -> Facts:
    facts = {op.name: Facts() for table in NAMESPACES.values() for op in table.values()}
    with engine("NaiveEngine"), broken(fn=fn), watching(facts):
        prepare(case(grad=False).sample, mx).run()
    return facts[SINE.name]


def test_writes_shared_storage_and_gradients_are_observed():
    assert watched(torch.sin) == Facts(
        calls=1, linked={"data"}, moved={"data"}, floating={"data"}, results=1
    )
    assert watched(lambda data: data.sin_()).written == {"data"}
    assert watched(lambda data: data[:1]).shared == {"data"}
    assert watched(lambda data: data.detach().sin()).linked == set()
    assert watched(lambda data: data * 0).moved == set()
    assert watched(lambda data: (data.sin(), data.cos())).results == 2
