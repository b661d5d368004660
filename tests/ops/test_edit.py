"""Insertion and deletion at random places against NumPy."""

import numpy as onp
from hypothesis import given, settings, strategies as st

import regluon as mx


np = mx.np


@st.composite
def edits(draw):
    """Draw an array, an axis of it or None, and places along it that exist."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    array = onp.arange(onp.prod(shape), dtype="float32").reshape(shape)
    length = array.size if axis is None else shape[axis]
    place = st.integers(-length, length - 1)
    places = draw(place | st.slices(length) | st.lists(place, max_size=4))
    return array, axis, places


@settings(max_examples=200, deadline=None)
@given(edits())
def test_what_is_left_is_what_numpy_leaves(edit):
    array, axis, places = edit
    chosen = onp.asarray(places, "int64") if isinstance(places, list) else places
    got = np.delete(np.array(array), places, axis)
    onp.testing.assert_array_equal(got.asnumpy(), onp.delete(array, chosen, axis))


@settings(max_examples=200, deadline=None)
@given(edits(), st.booleans())
def test_what_is_inserted_stands_where_numpy_puts_it(edit, whole):
    array, axis, places = edit
    chosen = onp.asarray(places, "int64") if isinstance(places, list) else places
    values = onp.float32(-1)
    if whole and axis is not None and not isinstance(places, int):
        shape = list(array.shape)
        everywhere = range(shape[axis])[places] if isinstance(places, slice) else places
        shape[axis] = len(everywhere)
        values = -onp.arange(onp.prod(shape), dtype="float32").reshape(shape) - 1
    given_values = np.array(values) if values.ndim else float(values)
    got = np.insert(np.array(array), places, given_values, axis)
    onp.testing.assert_array_equal(got.asnumpy(), onp.insert(array, chosen, values, axis))
