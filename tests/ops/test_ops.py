"""Every operator against MXNet 1.9.1, finite differences, and what its record says of it."""

import doctest
import inspect

import numpy as onp
import pytest

import regluon as mx
from regluon import base
from regluon.engine import selection
from regluon.ops.registry import NAMESPACES, TABLE, Op
from tests.ops.golden import read_golden
from tests.ops.samples import Outcome, Sample, evaluate, families, head, keyed, numpy_of, prepare


TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "float16": 2e-3}
STEP = 1e-6

GOLDEN = {family: read_golden(family) for family in families()}
CASES = [
    pytest.param(family, key, sample, id=f"{family}-{key}{sample.id and '-' + sample.id}")
    for family, samples in families().items()
    for key, sample in keyed(samples)
]
FINE = [case for case in CASES if not case.values[2].error]


def operator_of(sample: Sample) -> Op | None:
    """Return the record that a sample calls by a public name, or None for methods and operators."""
    space, _, name = sample.call.rpartition(".")
    return None if ":" in sample.call else NAMESPACES.get(space, {}).get(name)


def assert_close(got: onp.ndarray, want: onp.ndarray, rtol: float | None) -> None:
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    if got.dtype.kind != "f":
        onp.testing.assert_array_equal(got, want)
        return
    finite = want[onp.isfinite(want)]
    largest = float(onp.abs(finite).max()) if finite.size else 1.0
    allowed = (TOLERANCE[got.dtype.name] if rtol is None else rtol) * largest
    onp.testing.assert_allclose(got, want, rtol=0, atol=allowed)


@pytest.mark.parametrize(("family", "key", "sample"), CASES)
def test_result_and_gradients_are_those_of_mxnet(family, key, sample):
    digest, golden = GOLDEN[family].get(key, ("", Outcome()))
    assert digest == sample.digest(), "the sample is new or changed: run tools/make_golden.py"
    if sample.error:
        with pytest.raises((getattr(base, sample.error, IndexError), IndexError)):
            evaluate(sample, mx)
        assert sample.differs or golden.error, "MXNet computes this: say in `differs` why we do not"
        return
    ours = evaluate(sample, mx)
    if sample.differs:
        wanted = sample.want if isinstance(sample.want, list) else [sample.want]
        golden = Outcome(outputs=[] if sample.want is None else wanted)
    assert not golden.error, "MXNet raises here: say in `differs` why we do not"
    if sample.random:
        ours.outputs = [onp.zeros_like(array) for array in ours.outputs]
        ours.grads = [onp.zeros_like(array) for array in ours.grads]
    if golden.outputs:
        assert len(ours.outputs) == len(golden.outputs)
        for got, want in zip(ours.outputs, golden.outputs, strict=True):
            assert_close(got, want, sample.rtol)
    if not sample.differs and not sample.grad_differs:
        assert len(ours.grads) == len(golden.grads)
        for got, want in zip(ours.grads, golden.grads, strict=True):
            assert_close(got, want, sample.rtol)
    if not sample.differs:
        assert ours.changed.keys() == golden.changed.keys()
        for at, want in golden.changed.items():
            assert_close(ours.changed[at], want, sample.rtol)


@pytest.mark.parametrize(("family", "key", "sample"), FINE)
def test_shape_and_dtype_are_known_before_the_result(family, key, sample):
    before = selection.set_type("LazyEngine")
    try:
        outputs = prepare(sample, mx).run()
        promised = [(out.shape, onp.dtype(out.dtype)) for out in outputs]
        kept = [(array.shape, array.dtype) for array in map(numpy_of, outputs)]
    finally:
        selection.set_type(before)
    assert promised == kept


@pytest.mark.parametrize(("family", "key", "sample"), FINE)
def test_a_result_shares_storage_only_if_the_record_says_so(family, key, sample):
    op = operator_of(sample)
    call = prepare(sample, mx)
    outputs = call.run()
    mx.nd.waitall()
    owned = {array.value().untyped_storage().data_ptr() for array in call.inputs if array.size}
    shared = [out for out in outputs if out.value().untyped_storage().data_ptr() in owned]
    inside = [out for out in shared if not any(out is array for array in call.inputs)]
    assert not inside or op is None or op.view, "a write to the result would change the input"


def differentiable(sample: Sample) -> bool:
    plain = not (sample.random or sample.train or sample.error)
    floats = [array for array in sample.arrays() if array.dtype.kind == "f" and array.size]
    op = operator_of(sample)
    return plain and sample.grad and bool(floats) and (op is None or bool(op.differentiable))


@pytest.mark.parametrize(
    ("family", "key", "sample"), [case for case in CASES if differentiable(case.values[2])]
)
def test_gradients_are_the_limits_of_finite_differences(family, key, sample):
    call = prepare(sample, mx, "float64")
    outputs = [out for out in call.run() if onp.issubdtype(out.dtype, onp.floating)]
    if any(onp.dtype(out.dtype) != onp.float64 for out in outputs):
        return  # a dtype attribute asks for less precision than differences need
    heads = [head(out.shape, out.dtype) for out in outputs]
    mx.autograd.backward(outputs, [call.space.array(h, dtype=h.dtype) for h in heads])

    def objective() -> float:
        ends = [out for out in call.run() if onp.issubdtype(out.dtype, onp.floating)]
        return sum(float((numpy_of(end) * h).sum()) for end, h in zip(ends, heads, strict=True))

    for leaf in call.leaves:
        gradient = numpy_of(leaf.grad)
        values = numpy_of(leaf).copy()
        for place in onp.ndindex(values.shape):
            sides = []
            for step in (STEP, -STEP):
                moved = values.copy()
                moved[place] += step
                leaf[...] = call.space.array(moved, dtype=moved.dtype)
                sides.append(objective())
            leaf[...] = call.space.array(values, dtype=values.dtype)
            slope = (sides[0] - sides[1]) / (2 * STEP)
            if onp.isfinite(slope) and onp.isfinite(gradient[place]):
                assert abs(slope - gradient[place]) <= 1e-5 * max(1.0, abs(slope)), place


SAMPLED = {op.name for case in CASES if (op := operator_of(case.values[2])) is not None}
PUBLIC = {
    name: op
    for name, op in TABLE.items()
    if any(not space.endswith("_internal") for space in op.names)
}


@pytest.mark.parametrize("op", PUBLIC.values(), ids=PUBLIC)
def test_every_public_operator_has_a_sample(op):
    assert op.name in SAMPLED, f"add a Sample for {dict(op.names)}"


@pytest.mark.parametrize("op", TABLE.values(), ids=TABLE)
def test_no_field_of_a_record_is_blank(op):
    first = op.doc.partition("\n")[0]
    assert first.endswith((".", ":"))
    assert op.names
    assert callable(op.infer)
    assert set(op.differentiable) <= set(op.arrays)
    assert set(op.mutates) <= set(op.arrays)
    assert op.view in ("", "lazy copy", "write through")
    assert callable(op.outputs) or op.outputs >= 0


@pytest.mark.parametrize("op", [op for op in TABLE.values() if ">>>" in op.doc], ids=str)
def test_the_example_of_an_operator_runs(op):
    scope = {**vars(inspect.getmodule(op.fn)), "mx": mx, "nd": mx.nd, "np": mx.np, "npx": mx.npx}
    example = doctest.DocTestParser().get_doctest(op.doc, scope, op.name, None, None)
    assert doctest.DocTestRunner().run(example).failed == 0
