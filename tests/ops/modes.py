"""The modes in which every sample runs: both engines, `out=`, views, dtypes, finite differences.

A mode is a function of a `Case`; it raises what is wrong. `MODES` lists them, and a sample's one
test runs them all, so that a new mode meets every operator on its first day.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import signature
from typing import Any

import numpy as onp
import pytest

import regluon as mx
from regluon import base
from regluon.base import ArgumentError, DTypeError, MXNetError, OutOfRangeError
from regluon.engine import selection
from regluon.ops.registry import NAMESPACES, Op
from tests.ops.samples import (
    PLAIN,
    Call,
    Layout,
    Outcome,
    Sample,
    head,
    numpy_of,
    outcome,
    prepare,
)


TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "float16": 2e-3}


@dataclass(frozen=True, eq=False)
class Case:
    """A sample with what MXNet gave for it."""

    family: str
    key: str
    sample: Sample
    digest: str
    golden: Outcome

    def __str__(self) -> str:
        return f"{self.family}-{self.key}{self.sample.id and '-' + self.sample.id}"

    @cached_property
    def op(self) -> Op | None:
        """The record that the sample calls by a public name; None for methods and operators."""
        space, _, name = self.sample.call.rpartition(".")
        return None if ":" in self.sample.call else NAMESPACES.get(space, {}).get(name)

    @cached_property
    def naive(self) -> Outcome:
        """What comes out under the reference engine."""
        return run(self.sample, "NaiveEngine")


@contextmanager
def engine(name: str) -> Iterator[None]:
    """Use the engine called `name`; what is still pending at the end must not fail."""
    before = selection.set_type(name)
    try:
        yield
        mx.nd.waitall()
    finally:
        with suppress(Exception):  # an earlier error is already on its way
            mx.nd.waitall()
        selection.set_type(before)


def run(sample: Sample, name: str, layout: Layout = PLAIN) -> Outcome:
    """Evaluate a sample under an engine; the random numbers are the same every time."""
    mx.random.seed(0)
    with engine(name):
        call = prepare(sample, mx, layout)
        return measured(call, call.run())


def measured(call: Call, outputs: list[Any]) -> Outcome:
    """Return what came out, with zeros where memory is left as it was found."""
    result = outcome(call, outputs)
    return blanked(result) if "empty" in call.sample.call else result


def assert_close(got: onp.ndarray, want: onp.ndarray, rtol: float | None) -> None:
    """Compare dtype, shape, and values up to `rtol` of the largest."""
    assert got.dtype == want.dtype, f"dtype {got.dtype} instead of {want.dtype}"
    assert got.shape == want.shape, f"shape {got.shape} instead of {want.shape}"
    if got.dtype.kind != "f":
        onp.testing.assert_array_equal(got, want)
        return
    finite = want[onp.isfinite(want)]
    largest = float(onp.abs(finite).max()) if finite.size else 1.0
    allowed = (TOLERANCE[got.dtype.name] if rtol is None else rtol) * largest
    onp.testing.assert_allclose(got, want, rtol=0, atol=allowed)


def assert_same(got: Outcome, want: Outcome, rtol: float | None = 0) -> None:
    """Compare outputs, gradients and what was written; bit by bit unless `rtol` says otherwise."""
    assert len(got.outputs) == len(want.outputs), "another number of results"
    for one, other in zip(got.outputs, want.outputs, strict=True):
        assert_close(one, other, rtol)
    assert len(got.grads) == len(want.grads), "another number of gradients"
    for one, other in zip(got.grads, want.grads, strict=True):
        assert_close(one, other, rtol)
    assert got.changed.keys() == want.changed.keys(), "other inputs were written"
    for at, other in want.changed.items():
        assert_close(got.changed[at], other, rtol)


# Against MXNet


def as_mxnet(case: Case) -> None:
    """Results, gradients and writes are MXNet's, or what the sample says instead."""
    sample, golden = case.sample, case.golden
    assert case.digest == sample.digest(), "the sample is new or changed: run tools/make_golden.py"
    if sample.error:
        raises_in_both_engines(case)
        return
    ours = blanked(case.naive) if sample.random else case.naive
    if sample.differs:
        wanted = sample.want if isinstance(sample.want, list) else [sample.want]
        golden = replace(ours, outputs=ours.outputs if sample.want is None else wanted)
    assert not golden.error, f"MXNet raises: say in `differs` why we do not: {golden.error}"
    if sample.grad_differs:
        golden = replace(golden, grads=ours.grads)
    assert_same(ours, golden, sample.rtol)


def blanked(result: Outcome) -> Outcome:
    """Return the result with zeros in place of all values."""
    outputs, grads = (
        [onp.zeros_like(array) for array in arrays] for arrays in (result.outputs, result.grads)
    )
    return replace(result, outputs=outputs, grads=grads)


def raises_in_both_engines(case: Case) -> None:
    """The call raises the error that the sample names, and so does MXNet unless we differ."""
    wanted = (getattr(base, case.sample.error, IndexError), IndexError)
    for name in ("NaiveEngine", "LazyEngine"):
        with pytest.raises(wanted, match=r"\w"):
            run(case.sample, name)
    told = case.sample.differs or case.golden.error
    assert told, "MXNet computes this: say in `differs` why we do not"


# Engines and declared shapes


def lazy(case: Case) -> None:
    """Under the lazy engine shapes are known before the results, which have the same bits."""
    if not case.sample.error:
        assert_same(promised(case.sample), case.naive)


def promised(sample: Sample) -> Outcome:
    """Evaluate under the lazy engine; what `infer` says before must be true afterwards."""
    mx.random.seed(0)
    with engine("LazyEngine"):
        call = prepare(sample, mx)
        outputs = call.run()
        said = [(out.shape, onp.dtype(out.dtype)) for out in outputs]
        late = measured(call, outputs)
    kept = [(array.shape, array.dtype) for array in late.outputs]
    assert said == kept, f"infer promises {said}, the result is {kept}"
    return late


# out=


def into_out(case: Case) -> None:
    """`out=` is filled with the same bits and returned; one of another shape is an error."""
    plain = case.op is not None and "out" not in case.sample.attrs and not case.sample.error
    if not plain or not case.naive.outputs:
        return
    function = _function_of(case)
    if "out" not in signature(function).parameters:
        return
    for name in ("NaiveEngine", "LazyEngine"):
        with engine(name):
            mx.random.seed(0)
            call = prepare(case.sample, mx)
            blanks = [_blank(call, array, array.shape) for array in case.naive.outputs]
            given = blanks if len(blanks) > 1 or callable(case.op.outputs) else blanks[0]
            returned = call.run(out=given)
            same = len(returned) == len(blanks) and all(
                one is other for one, other in zip(returned, blanks, strict=True)
            )
            assert same, "the call does not return what `out` is"
            assert_same(measured(call, returned), case.naive)
            _refuses_another_shape(case)


def _refuses_another_shape(case: Case) -> None:
    call = prepare(case.sample, mx)
    wrong = [_blank(call, array, (*array.shape, 2)) for array in case.naive.outputs]
    try:
        returned = call.run(out=wrong if len(wrong) > 1 else wrong[0])
    except MXNetError:
        return
    shapes = [array.shape for array in case.naive.outputs]
    drawn = case.op is not None and case.op.random and returned[0].shape == wrong[0].shape
    assert drawn, f"out of shape {wrong[0].shape} is accepted for {shapes}"


def _function_of(case: Case) -> Callable[..., Any]:
    found: Any = mx
    for part in case.sample.call.split("."):
        found = getattr(found, part)
    return found


def _blank(call: Call, like: onp.ndarray, shape: tuple[int, ...]) -> Any:
    """Return an array to write into, of `like`'s dtype, filled with what no result is."""
    return call.space.array(onp.full(shape, 77, like.dtype), dtype=like.dtype)


# Views and memory layouts


def _filler(dtype: onp.dtype) -> Any:
    return {"f": onp.nan, "b": True}.get(dtype.kind, 99)


def _between(array: onp.ndarray) -> onp.ndarray:
    """Return the array between two others, which hold what must not be read."""
    filled = onp.full((3, *array.shape), _filler(array.dtype), array.dtype)
    filled[1] = array
    return filled


ROW = Layout(_between, lambda x: x[1])
TRANSPOSED = Layout(onp.transpose, lambda x: x.transpose())
SCATTERED = Layout(lambda x: onp.moveaxis(_between(x), 0, -1).copy(), lambda x: x[..., 1])


def views(case: Case) -> None:
    """Arrays that are views or lie scattered in memory give the same bits, gradients included."""
    sample = case.sample
    if sample.error or not sample.arrays():
        return
    if case.naive.changed:
        sample = replace(sample, grad=False)  # a recorded view is not written in place
    want = case.naive if sample.grad else replace(case.naive, grads=[])
    assert_same(run(sample, "NaiveEngine", ROW), want)
    assert_same(run(sample, "LazyEngine", ROW), want)
    # Sums may go in another order here, so that their last bits are others.
    assert_same(run(sample, "LazyEngine", TRANSPOSED), want, sample.rtol)
    assert_same(run(sample, "NaiveEngine", SCATTERED), want, sample.rtol)


# Dtypes


EXPECTED = {"float16": 1e-2, "float32": 1e-4}
WHOLE = ("int8", "uint8", "int32", "int64")


def dtypes(case: Case) -> None:
    """In each dtype the result is that of float64 up to rounding, or an error says why not."""
    sample = case.sample
    floats = [array for array in sample.arrays() if array.dtype.kind == "f"]
    if sample.error or sample.random or not floats:
        return
    for dtype in (*EXPECTED, *WHOLE):
        given = sample.mapped(lambda array, dtype=dtype: _cast(array, dtype))
        exact = sample.mapped(lambda array, dtype=dtype: _cast(array, dtype, "float64"))
        with suppress(DTypeError, ArgumentError, OutOfRangeError):  # it does not take this dtype
            want = run(exact, "NaiveEngine")
            got = promised(given)
            for one, other in zip(got.outputs, want.outputs, strict=True):
                assert_near(one, other, dtype)
            for one, other in zip(got.grads, want.grads, strict=False):  # integers have none
                assert_near(one, other, dtype)


def _cast(array: onp.ndarray, dtype: str, wide: str = "") -> onp.ndarray:
    """Return floats in `dtype`, or its values as `wide`; fractions become whole, from -4 to 4."""
    if array.dtype.kind != "f":
        return array
    if dtype in WHOLE:
        array = onp.nan_to_num(array, posinf=2, neginf=-2)
        array = array if (array == onp.round(array)).all() else onp.round(4 * array)
    kept = onp.asarray(onp.abs(array) if dtype == "uint8" else array, dtype)
    return kept.astype(wide or dtype)


def assert_near(got: onp.ndarray, want: onp.ndarray, dtype: str) -> None:
    """Compare a result for arrays of `dtype` with that for the same numbers in float64."""
    assert got.shape == want.shape, f"{dtype}: shape {got.shape} instead of {want.shape}"
    near, exact = got.astype("float64"), want.astype("float64")
    if dtype in EXPECTED:  # the smallest number of one dtype is not that of another
        largest = float(onp.finfo(dtype).max)
        exact = onp.where(onp.isfinite(exact), onp.clip(exact, -largest, largest), exact)
    loss = EXPECTED["float32"] if dtype in WHOLE else EXPECTED[dtype]
    if got.dtype.name in EXPECTED:
        loss = max(loss, EXPECTED[got.dtype.name])
    if got.dtype.kind in "iu":
        bounds = onp.iinfo(got.dtype)
        inside = (exact >= bounds.min) & (exact <= bounds.max)
        near, exact = near[inside], exact[inside]
        loss = 0.0 if (exact == onp.round(exact)).all() else 1.0
    finite = exact[onp.isfinite(exact)]
    largest = max(1.0, float(onp.abs(finite).max())) if finite.size else 1.0
    onp.testing.assert_allclose(near, exact, rtol=0, atol=loss * largest, err_msg=dtype)


# Gradients


STEP = 1e-6
PLACES = 12


def differences(case: Case) -> None:
    """Gradients in float64 are the limits of finite differences, in places and along a line."""
    sample = case.sample.mapped(lambda array: _cast(array, "float64"))
    if not differentiable(case):
        return
    with engine("NaiveEngine"):
        call = prepare(sample, mx)
        outputs = [out for out in call.run() if onp.issubdtype(out.dtype, onp.floating)]
        if any(onp.dtype(out.dtype) != onp.float64 for out in outputs):
            return  # a dtype attribute asks for less precision than differences need
        call.backward(outputs)
        heads = [head(out.shape, out.dtype) for out in outputs]
        for leaf in call.leaves:
            gradient = numpy_of(leaf.grad)
            for direction in _directions(gradient):
                slope = _slope(call, leaf, direction, heads)
                want = float((direction * gradient)[direction != 0].sum())
                if onp.isfinite(slope):
                    wrong = abs(slope - want) > 1e-5 * max(1.0, abs(slope))
                    assert not wrong, f"slope {slope}, gradient {want} along {direction.tolist()}"


def differentiable(case: Case) -> bool:
    """Say whether a sample has gradients that differences can be compared with."""
    sample = case.sample
    plain = not (sample.random or sample.train or sample.error)
    floats = [array for array in sample.arrays() if array.dtype.kind == "f" and array.size]
    return (
        plain and sample.grad and bool(floats) and (case.op is None or bool(case.op.differentiable))
    )


def _directions(gradient: onp.ndarray) -> Iterator[onp.ndarray]:
    """Yield single places with a finite gradient, and all of them at once if there are more."""
    finite = onp.flatnonzero(onp.isfinite(gradient))
    for place in finite[:: -(-finite.size // PLACES) or 1]:
        yield onp.eye(1, gradient.size, place).reshape(gradient.shape)
    if finite.size > PLACES:
        drawn = onp.random.RandomState(3).uniform(0.5, 1.0, gradient.shape)
        yield onp.where(onp.isfinite(gradient), drawn, 0)


def _slope(call: Call, leaf: Any, direction: onp.ndarray, heads: list[onp.ndarray]) -> float:
    """Return how fast the weighted sum of the outputs changes along `direction`."""
    values = numpy_of(leaf).copy()
    sides = []
    for step in (STEP, -STEP):
        leaf[...] = call.space.array(values + step * direction, dtype="float64")
        ends = [out for out in call.run() if onp.issubdtype(out.dtype, onp.floating)]
        sides.append(
            sum(float((numpy_of(end) * h).sum()) for end, h in zip(ends, heads, strict=True))
        )
    leaf[...] = call.space.array(values, dtype="float64")
    return (sides[0] - sides[1]) / (2 * STEP)


MODES: tuple[Callable[[Case], None], ...] = (
    as_mxnet, lazy, into_out, views, dtypes, differences,
)  # fmt: skip
