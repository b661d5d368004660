"""Every operator against MXNet 1.9.1 in every mode, and its record against what it does."""

import doctest
import inspect

import pytest

import regluon as mx
from regluon.ops.methods import METHODS
from regluon.ops.registry import NAMESPACES, TABLE
from tests.ops.golden import read_golden
from tests.ops.modes import MODES, Case
from tests.ops.observed import Facts, observed
from tests.ops.samples import Outcome, families, keyed


def all_cases() -> list[Case]:
    found = []
    for family, samples in families().items():
        golden = read_golden(family)
        for key, sample in keyed(samples):
            found.append(Case(family, key, sample, *golden.get(key, ("", Outcome()))))
    return found


CASES = all_cases()
CALLS = {case.sample.call for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_operator_is_right_in_every_mode(case):
    failures = []
    for mode in MODES:
        try:
            mode(case)
        except Exception as error:
            error.add_note(f"in mode {mode.__name__} of {case}")
            failures.append(error)
    if failures:
        raise ExceptionGroup(f"{case} fails in {len(failures)} modes", failures)


SPACES = [space for space in NAMESPACES if not space.endswith("_internal")]


@pytest.mark.parametrize("space", SPACES)
def test_every_public_name_has_a_sample(space):
    missing = [name for name in NAMESPACES[space] if f"{space}.{name}" not in CALLS]
    assert not missing, f"add samples of {space}: {' '.join(missing)}"


@pytest.mark.parametrize("space", METHODS)
def test_every_method_has_a_sample(space):
    missing = [name for name in METHODS[space] if f"{space}:.{name}" not in CALLS]
    assert not missing, f"add samples of {space}:. with {' '.join(missing)}"


STOPS = ("stop_gradient",)  # gradients arrive here, and end


@pytest.mark.parametrize("op", TABLE.values(), ids=TABLE)
def test_a_record_is_complete_and_says_what_its_function_does(op):
    first = op.doc.partition("\n")[0]
    assert first.endswith((".", ":"))
    assert op.names
    assert callable(op.infer)
    assert set(op.differentiable) | set(op.mutates) <= set(op.arrays)
    assert op.view in ("", "lazy copy", "write through")
    assert callable(op.outputs) or op.outputs >= 0
    facts: Facts = observed()[op.name]
    if facts.calls == 0:
        public = " ".join(set(SPACES) & set(op.names))
        assert not public, f"add a Sample of {op.name} in {public}"
        return
    assert facts.written == set(op.mutates), "mutates= lists the arrays that are written"
    assert facts.shared == ({op.arrays[0]} if op.view else set()), "view= says who shares storage"
    assert callable(op.outputs) or facts.results <= op.outputs, "outputs= is too small"
    asked = set(op.differentiable)
    if asked and op.name not in STOPS:
        assert facts.moved <= asked, "differentiable= leaves an array with gradients out"
        assert asked & facts.floating <= facts.linked, "differentiable= lists more than there is"
    assert bool(facts.shapes) == op.dynamic, "dynamic= says whether values decide the shape"


@pytest.mark.parametrize("op", [op for op in TABLE.values() if ">>>" in op.doc], ids=str)
def test_the_example_of_an_operator_runs(op):
    scope = {**vars(inspect.getmodule(op.fn)), "mx": mx, "nd": mx.nd, "np": mx.np, "npx": mx.npx}
    example = doctest.DocTestParser().get_doctest(op.doc, scope, op.name, None, None)
    assert doctest.DocTestRunner().run(example).failed == 0
