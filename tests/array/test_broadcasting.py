"""Element-wise functions on shapes that broadcast: shape, dtype and values are NumPy's."""

import numpy as onp
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from regluon import autograd, nd, np
from regluon.base import ShapeError


SPACES = {"nd": nd, "np": np}
DTYPES = ("float32", "float64", "int32", "int64")
CASES = settings(max_examples=25, deadline=None)
ARITHMETIC = ("add", "subtract", "multiply", "maximum", "minimum", "mod")
REAL = ("true_divide", "hypot", "arctan2", "copysign")
COMPARISON = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
LOGIC = ("logical_and", "logical_or", "logical_xor")
ROOTS = ("sin", "cos", "tanh", "arctan", "arcsinh", "exp", "expm1", "cbrt", "degrees", "radians")
UNARY = (*ROOTS, "absolute", "negative", "sign", "square", "floor", "ceil", "trunc")
ND_NAMES = {"mod": "modulo", "absolute": "abs", "true_divide": "divide"}
SHAPES = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=4)


def values(shape: tuple[int, ...], dtype: str, seed: int) -> onp.ndarray:
    """Return numbers from -3 to 3 without 0, quarters if they may be."""
    drawn = onp.random.RandomState(seed).randint(1, 13, shape) / 4
    signs = onp.random.RandomState(seed + 1).choice((-1, 1), shape)
    return onp.asarray(onp.ceil(drawn) * signs if "int" in dtype else drawn * signs, dtype)


def torch_dtype(*names: str) -> str:
    """Return the dtype of an operation on arrays of these dtypes."""
    kinds = [torch.empty(1, dtype=getattr(torch, name)) for name in names]
    return str(torch.result_type(*kinds)).removeprefix("torch.")


def check(space: str, got, want: onp.ndarray, dtype: str) -> None:
    """Compare a result with NumPy's, computed in float64 or whole numbers."""
    shape = want.shape or ((1,) if space == "nd" else ())
    assert got.shape == shape
    assert onp.dtype(got.dtype).name == dtype
    onp.testing.assert_allclose(got.asnumpy(), want.reshape(shape), rtol=1e-5, atol=1e-6)


def called(space: str, name: str, *args):
    module = SPACES[space]
    names = (ND_NAMES.get(name, name), f"broadcast_{name}") if space == "nd" else (name,)
    function = next((getattr(module, n) for n in names if hasattr(module, n)), None)
    return None if function is None else function(*args)


@pytest.mark.parametrize("name", [*ARITHMETIC, *REAL, *COMPARISON, *LOGIC])
@given(SHAPES, st.sampled_from(DTYPES), st.sampled_from(DTYPES))
@CASES
def test_two_operands_broadcast_as_in_numpy(name, shapes, first, second):
    one, two = shapes.input_shapes
    a, b = values(one, first, 0), values(two, second, 2)
    kind = torch_dtype(first, second)
    with onp.errstate(all="ignore"):
        want = onp.asarray(getattr(onp, name)(a, b))
    assert want.shape == shapes.result_shape
    for space, module in SPACES.items():
        if space == "nd" and not (a.shape and b.shape):
            continue
        got = called(space, name, module.array(a, dtype=first), module.array(b, dtype=second))
        if got is None:
            continue
        dtype, wanted = kind, want
        if name in REAL and "int" in kind and (space == "np" or name != "true_divide"):
            dtype = "float32"
        elif name == "true_divide" and "int" in kind:
            wanted = onp.trunc(want)
        elif name in (*COMPARISON, *LOGIC) and space == "np":
            dtype = "bool"
        check(space, got, wanted, dtype)


@pytest.mark.parametrize("name", UNARY)
@given(hnp.array_shapes(max_dims=4, min_side=0, max_side=4), st.sampled_from(DTYPES))
@CASES
def test_functions_of_one_array_keep_its_shape(name, shape, dtype):
    x = values(shape, dtype, 5)
    with onp.errstate(all="ignore"):
        want = onp.asarray(getattr(onp, name)(x))
    kept = "float32" if name in ROOTS and "int" in dtype else dtype
    for space, module in SPACES.items():
        got = called(space, name, module.array(x, dtype=dtype))
        if got is not None:
            check(space, got, want, kept)


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, min_side=0, max_side=3))
@CASES
def test_where_broadcasts_three_arrays(shapes):
    a, b, c = (values(shape, "float32", seed) for seed, shape in enumerate(shapes.input_shapes))
    want = onp.where(a > 0, b, c)
    got = np.where(np.array(a) > 0, np.array(b), np.array(c))
    check("np", got, onp.asarray(want), "float32")


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=1, max_side=4))
@CASES
def test_gradients_of_what_was_broadcast_are_summed(shapes):
    a, b = (np.array(values(shape, "float64", 0)) for shape in shapes.input_shapes)
    a.attach_grad()
    b.attach_grad()
    with autograd.record():
        loss = (a * b).sum()
    loss.backward()
    full = shapes.result_shape
    for x, other in ((a, b), (b, a)):
        spread = onp.broadcast_to(other.asnumpy(), full)
        extra = tuple(range(len(full) - x.ndim))
        kept = tuple(n + len(extra) for n, size in enumerate(x.shape) if size == 1)
        want = spread.sum(axis=extra + kept, keepdims=True).reshape(x.shape)
        onp.testing.assert_allclose(x.grad.asnumpy(), want)


@given(hnp.array_shapes(max_dims=3, max_side=3), hnp.array_shapes(max_dims=3, max_side=3))
@CASES
def test_shapes_that_do_not_broadcast_are_an_error_that_names_both(one, two):
    try:
        shape = onp.broadcast_shapes(one, two)
    except ValueError:
        for module in SPACES.values():
            with pytest.raises(ShapeError) as caught:
                module.ones(one) + module.ones(two)
            assert f"shapes {one} and {two} cannot be broadcast" in str(caught.value)
    else:
        assert (nd.ones(one) + nd.ones(two)).shape == shape


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3))
@CASES
def test_the_result_goes_into_out_or_into_an_operand_of_its_shape(shapes):
    a, b = (values(shape, "float32", 3) for shape in shapes.input_shapes)
    out = np.zeros(shapes.result_shape)
    assert np.add(np.array(a), np.array(b), out=out) is out
    onp.testing.assert_allclose(out.asnumpy(), a + b, rtol=1e-6)
    x = np.array(a)
    if a.shape == shapes.result_shape:
        x += np.array(b)
        onp.testing.assert_allclose(x.asnumpy(), a + b, rtol=1e-6)
    else:
        with pytest.raises(ShapeError, match="out has shape"):
            x += np.array(b)
        assert (x.asnumpy() == a).all()
