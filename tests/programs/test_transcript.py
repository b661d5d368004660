"""Programs as in MXNet's tutorials print what MXNet 1.9.1 prints, under every engine."""

import numpy as onp
import pytest

import regluon as mx
from regluon.engine import selection
from tests.programs.transcript import outputs, programs, same


PROGRAMS = programs()


@pytest.fixture(params=["NaiveEngine", "LazyEngine", "ThreadedEngine"])
def engine(request):
    before = selection.set_type(request.param)
    yield
    mx.nd.waitall()
    mx.npx.reset_np()
    selection.set_type(before)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("title", PROGRAMS)
def test_a_program_prints_what_mxnet_prints(title):
    if title.startswith("np_"):
        mx.npx.set_np()
    onp.random.seed(0)
    found = zip(PROGRAMS[title], outputs(PROGRAMS[title], title), strict=True)
    others = [(*statement, output) for statement, output in found if not same(statement[1], output)]
    assert not others


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("[1. 2.]", "[1.00001  2.]", True),
        ("[1. 2.]", "[1. 2.1]", False),
        ("(2, 3)", "(2,)", False),
        ("dense0_weight 1", "dense7_weight 1", True),
        ("nan", "nan", True),
        ("True", "False", False),
    ],
)
def test_numbers_are_compared_by_value_and_the_rest_as_text(one, other, equal):
    assert same(one, other) == equal
