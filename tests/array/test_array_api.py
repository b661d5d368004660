"""mx.np beside NumPy on arrays that hypothesis draws, after the array-api-tests of the standard.

Creation, manipulation, statistics, searching, sorting and sets. A row of `CALLS` draws the
arguments of one function; both libraries are called with them, and must give the same values, or
both must raise. `-m slow` tries thirty times as many arguments.
"""

from collections.abc import Callable
from typing import Any

import numpy as onp
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import regluon as mx


Draw = Callable[[st.SearchStrategy[Any]], Any]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]

FLOATS = ("float32", "float64")
INTS = ("int8", "uint8", "int32", "int64")
EXAMPLES = 20
ERRORS = (mx.MXNetError, ValueError, TypeError, IndexError)


# What is drawn


def array(draw: Draw, low: int = 0, high: int = 3, side: int = 4, dtypes=FLOATS + INTS, empty=True):
    """Draw an array with `low` to `high` axes; fractions are eighths, so that sums are exact."""
    shape = draw(hnp.array_shapes(min_dims=low, max_dims=high, min_side=1, max_side=side))
    if empty and shape and draw(st.integers(0, 9)) == 0:
        shape = (0, *shape[1:])
    return filled(draw, shape, draw(st.sampled_from(dtypes)))


def filled(draw: Draw, shape: tuple[int, ...], dtype: str) -> onp.ndarray:
    whole = draw(hnp.arrays("int8", shape, elements=st.integers(-20, 20), fill=st.nothing()))
    scaled = whole / 8 if dtype in FLOATS else onp.abs(whole) if dtype == "uint8" else whole
    return onp.asarray(scaled, dtype)


def axis_of(draw: Draw, x: onp.ndarray) -> int:
    return draw(st.integers(-x.ndim, x.ndim - 1))


def some_axes(draw: Draw, x: onp.ndarray) -> Any:
    """Draw None, one axis or several."""
    kind = draw(st.sampled_from(["none", "one", "several"]))
    if kind == "none" or x.ndim == 0:
        return None
    if kind == "one":
        return axis_of(draw, x)
    return tuple(draw(st.lists(st.integers(0, x.ndim - 1), min_size=1, unique=True)))


def alike(draw: Draw, count: int, axis_free: bool = False, **limits: Any) -> tuple[list, int]:
    """Draw arrays of one dtype that agree in all axes but, if `axis_free`, the one returned."""
    first = array(draw, low=1, **limits)
    axis = axis_of(draw, first)
    found = [first]
    for _ in range(count - 1):
        shape = list(first.shape)
        if axis_free:
            shape[axis] = draw(st.integers(0, 3))
        found.append(filled(draw, tuple(shape), first.dtype.name))
    return found, axis


def shape_for(draw: Draw, x: onp.ndarray) -> tuple[int, ...]:
    """Draw a shape with as many elements, one of them perhaps left open."""
    size, parts = x.size, []
    while size > 1:
        divisor = draw(st.sampled_from([d for d in range(2, size + 1) if size % d == 0]))
        parts.append(divisor)
        size //= divisor
    parts = draw(st.permutations(parts)) if x.size else [0, *x.shape[1:]]
    if parts and x.size and draw(st.booleans()):
        parts = list(parts)
        parts[draw(st.integers(0, len(parts) - 1))] = -1
    return tuple(parts)


# Arguments of the functions


def with_axis(draw: Draw) -> Arguments:
    x = array(draw, low=1)
    return (x, axis_of(draw, x)), {}


def reduced(draw: Draw) -> Arguments:
    x = array(draw)
    return (x,), {"axis": some_axes(draw, x), "keepdims": draw(st.booleans())}


def reduced_full(draw: Draw) -> Arguments:
    x = array(draw, empty=False)
    return (x,), {"axis": some_axes(draw, x), "keepdims": draw(st.booleans())}


def spread(draw: Draw) -> Arguments:
    (x,), attrs = reduced_full(draw)
    ones = onp.ones_like(x).sum(attrs["axis"]).min()
    return (x,), {**attrs, "ddof": draw(st.integers(0, 1)) if ones > 1 else 0}


def position(draw: Draw) -> Arguments:
    x = array(draw, empty=False)
    return (x,), {"axis": axis_of(draw, x) if x.ndim and draw(st.booleans()) else None}


def ordered(draw: Draw) -> Arguments:
    x = array(draw, low=1)
    return (x,), {"axis": axis_of(draw, x)}


def one(draw: Draw) -> Arguments:
    return (array(draw),), {}


def joined(draw: Draw) -> Arguments:
    arrays, axis = alike(draw, draw(st.integers(1, 3)), axis_free=True)
    return (arrays,), {"axis": axis}


def stacked(draw: Draw) -> Arguments:
    arrays, axis = alike(draw, draw(st.integers(1, 3)))
    return (arrays,), {"axis": axis}


def side_by_side(draw: Draw) -> Arguments:
    arrays, _ = alike(draw, 2)
    return (arrays,), {}


def parted(draw: Draw) -> Arguments:
    x = array(draw, low=1, side=6)
    axis = axis_of(draw, x)
    places = sorted(draw(st.lists(st.integers(0, x.shape[axis]), max_size=3)))
    return (x, draw(st.sampled_from([1, x.shape[axis] or 1, tuple(places)]))), {"axis": axis}


def padded(draw: Draw) -> Arguments:
    x = array(draw, low=1, empty=False)
    width = st.tuples(st.integers(0, 2), st.integers(0, 2))
    widths = tuple(draw(width) for _ in x.shape)
    return (x, widths), {"mode": draw(st.sampled_from(["constant", "edge", "symmetric"]))}


def taken(draw: Draw) -> Arguments:
    x = array(draw, low=1, empty=False)
    axis = axis_of(draw, x)
    length = x.shape[axis]
    places = draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=4))
    return (x, onp.asarray(places, "int64")), {"axis": axis}


def chosen(draw: Draw) -> Arguments:
    x = array(draw)
    condition = filled(draw, x.shape, "int8") > 0
    return (onp.asarray(condition), x, filled(draw, x.shape, x.dtype.name)), {}


def vector(draw: Draw) -> Arguments:
    return (array(draw, low=1, high=1, side=8),), {}


def two_vectors(draw: Draw) -> Arguments:
    dtype = draw(st.sampled_from(FLOATS + INTS))
    return tuple(array(draw, 1, 1, 6, (dtype,)) for _ in range(2)), {}


def repeated(draw: Draw) -> Arguments:
    x = array(draw)
    axis = axis_of(draw, x) if x.ndim and draw(st.booleans()) else None
    return (x, draw(st.integers(0, 3))), {"axis": axis}


def rolled(draw: Draw) -> Arguments:
    x = array(draw, low=1)
    return (x, draw(st.integers(-5, 5))), {"axis": draw(st.sampled_from([None, axis_of(draw, x)]))}


CALLS: dict[str, Callable[[Draw], Arguments]] = {
    # creation
    "arange": lambda draw: (
        (draw(st.integers(-5, 5)), draw(st.integers(-5, 9)), draw(st.sampled_from([-2, 1, 3]))),
        {"dtype": draw(st.sampled_from(FLOATS + INTS[2:]))},
    ),
    "linspace": lambda draw: (
        (draw(st.integers(-8, 8)), draw(st.integers(-8, 8)), draw(st.integers(1, 9))),
        {"endpoint": draw(st.booleans()), "dtype": "float64"},
    ),
    "full": lambda draw: (
        (draw(hnp.array_shapes(min_dims=0)), draw(st.integers(0, 9))),
        {"dtype": draw(st.sampled_from(FLOATS + INTS))},
    ),
    "eye": lambda draw: (
        (draw(st.integers(0, 4)), draw(st.integers(0, 4)), draw(st.integers(-5, 5))),
        {"dtype": draw(st.sampled_from(FLOATS + INTS))},
    ),
    "zeros_like": one,
    "ones_like": one,
    "full_like": lambda draw: ((array(draw), draw(st.integers(0, 9))), {}),
    "diag": lambda draw: ((array(draw, 1, 2), draw(st.integers(-3, 3))), {}),
    "tril": lambda draw: ((array(draw, 2, 3), draw(st.integers(-3, 3))), {}),
    "meshgrid": lambda draw: (
        two_vectors(draw)[0],
        {"indexing": draw(st.sampled_from(["xy", "ij"]))},
    ),
    # manipulation
    "reshape": lambda draw: (lambda x: ((x, shape_for(draw, x)), {}))(array(draw)),
    "ravel": one,
    "transpose": lambda draw: (lambda x: ((x, draw(st.permutations(range(x.ndim)))), {}))(
        array(draw)
    ),
    "swapaxes": lambda draw: (lambda x: ((x, axis_of(draw, x), axis_of(draw, x)), {}))(
        array(draw, low=1)
    ),
    "moveaxis": lambda draw: (lambda x: ((x, axis_of(draw, x), axis_of(draw, x)), {}))(
        array(draw, low=1)
    ),
    "expand_dims": lambda draw: (lambda x: ((x, draw(st.integers(-x.ndim - 1, x.ndim))), {}))(
        array(draw)
    ),
    "squeeze": lambda draw: ((array(draw, side=2),), {}),
    "atleast_1d": one,
    "atleast_2d": one,
    "atleast_3d": one,
    "broadcast_to": lambda draw: (
        lambda x: ((x, (*draw(hnp.array_shapes(max_dims=2, max_side=3)), *x.shape)), {})
    )(array(draw)),
    "concatenate": joined,
    "stack": stacked,
    "vstack": side_by_side,
    "hstack": side_by_side,
    "dstack": side_by_side,
    "split": parted,
    "array_split": parted,
    "flip": with_axis,
    "roll": rolled,
    "rot90": lambda draw: ((array(draw, 2, 3), draw(st.integers(-5, 5))), {}),
    "repeat": repeated,
    "tile": lambda draw: (
        (array(draw), tuple(draw(st.lists(st.integers(0, 2), min_size=1, max_size=3)))),
        {},
    ),
    "pad": padded,
    "append": lambda draw: (alike(draw, 2)[0], {}),
    "diff": lambda draw: ((array(draw, low=1),), {"n": draw(st.integers(0, 2))}),
    # statistics
    "sum": reduced,
    "prod": reduced,
    "mean": reduced_full,
    "std": spread,
    "var": spread,
    "max": reduced_full,
    "min": reduced_full,
    "any": reduced,
    "all": reduced,
    "median": reduced_full,
    "cumsum": lambda draw: (lambda x: ((x,), {"axis": draw(st.sampled_from([None, -1]))}))(
        array(draw, low=1)
    ),
    "ptp": position,
    "count_nonzero": one,
    # searching
    "argmax": position,
    "argmin": position,
    "nonzero": lambda draw: ((array(draw, low=1),), {}),
    "flatnonzero": one,
    "where": chosen,
    "take": taken,
    "searchsorted": lambda draw: (
        lambda pair: ((onp.sort(pair[0]), pair[1]), {"side": draw(st.sampled_from(["left"]))})
    )(two_vectors(draw)[0]),
    # sorting
    "sort": ordered,
    "argsort": ordered,
    # sets
    "unique": vector,
    "union1d": two_vectors,
    "intersect1d": two_vectors,
    "setdiff1d": two_vectors,
    "isin": two_vectors,
}

THEIRS: dict[str, Callable[..., Any]] = {
    # NumPy promises an order of equal elements only on request; ours keep theirs.
    "argsort": lambda x, axis: onp.argsort(x, axis, kind="stable"),
}


def outcome(function: Callable[..., Any], args: Any, attrs: dict[str, Any]) -> Any:
    """Return the results as a list of NumPy arrays, or None if the call raises."""
    try:
        result = function(*args, **attrs)
    except ERRORS:
        return None
    results = result if isinstance(result, (list, tuple)) else [result]
    return [onp.asarray(item) for item in results]


def wrapped(value: Any) -> Any:
    if isinstance(value, onp.ndarray):
        return mx.np.array(value, dtype=value.dtype)
    return [wrapped(item) for item in value] if isinstance(value, list) else value


def check(name: str, draw: Draw) -> None:
    args, attrs = CALLS[name](draw)
    theirs = outcome(THEIRS.get(name, getattr(onp, name)), args, attrs)
    ours = outcome(getattr(mx.np, name), [wrapped(arg) for arg in args], attrs)
    assert (ours is None) == (theirs is None), "only one of the two raises"
    for one, other in zip(ours or (), theirs or (), strict=True):
        assert one.shape == other.shape
        assert {one.dtype.kind, other.dtype.kind} in ({"f"}, {"b"}, {"i"}, {"u"}, {"i", "u"})
        onp.testing.assert_allclose(one, other.astype(one.dtype), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
@given(st.data())
def test_a_function_gives_what_numpy_gives(name, data):
    check(name, data.draw)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=30 * EXAMPLES, derandomize=True, deadline=None, database=None)
@given(st.data())
def test_a_function_gives_what_numpy_gives_for_many_arguments(name, data):
    check(name, data.draw)
