"""NumPy functions on our arrays: ours of that name, else NumPy's; never a lost gradient."""

import inspect

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon import nd, np
from regluon.array import fallback
from regluon.array.handle import Handle
from regluon.base import ContextError, MXNetError
from tests.array.numpy_calls import CALLS, ELSEWHERE, GONE, B, V, X, Y


def ours(value, space=np):
    if isinstance(value, onp.ndarray):
        return space.array(value, dtype=value.dtype)
    return type(value)(ours(item, space) for item in value) if type(value) is list else value


def plain(value):
    if isinstance(value, Handle):
        return value.asnumpy()
    return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value


def same(found, expected) -> bool:
    found, expected = plain(found), plain(expected)
    if isinstance(expected, tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, (onp.ndarray, onp.generic)):
        return onp.allclose(found, expected, 1e-5, 1e-6) and onp.shape(found) == expected.shape
    return found == expected


def arrays_in(value) -> list:
    items = value if isinstance(value, (list, tuple)) else [value]
    return [item for item in items if isinstance(item, (Handle, onp.ndarray, onp.generic))]


def test_every_name_is_tried() -> None:
    assert set(fallback.NAMES) == {*CALLS, *GONE, *ELSEWHERE}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("way", ["mx.np", "numpy"])
def test_a_function_of_numpy_gives_its_values_as_our_arrays(name: str, way: str) -> None:
    args = CALLS[name]
    numpy_function = getattr(onp, name)
    called = getattr(np, name) if way == "mx.np" else numpy_function
    found = called(*[ours(arg) for arg in args])
    assert same(found, numpy_function(*args))
    given = any(isinstance(arg, (onp.ndarray, list)) for arg in args)
    assert not given or all(type(item) is np.ndarray for item in arrays_in(found))


@pytest.mark.parametrize("name", GONE)
def test_names_that_numpy_has_no_more(name: str) -> None:
    args, expected = GONE[name]
    assert same(getattr(np, name)(*map(ours, args)), onp.asarray(expected))


def test_a_public_function_tells_its_parameters_and_takes_lists() -> None:
    if np.interp.__module__ == "regluon":
        assert list(inspect.signature(np.interp).parameters)[:3] == ["x", "xp", "fp"]
    found = np.interp([0.5], [0, 1], [0, 10])
    assert type(found) is np.ndarray
    assert found.tolist() == [5]


# Operators of ours under NumPy's names

OWN = {
    "sum": lambda m, x: m.sum(x, axis=1, keepdims=True),
    "mean": lambda m, x: m.mean(x, 0),
    "max": lambda m, x: m.max(x),
    "concatenate": lambda m, x: m.concatenate((x, x), 1),
    "stack": lambda m, x: m.stack([x, x], axis=1),
    "where": lambda m, x: m.where(x > 1, x, 0 * x),
    "reshape": lambda m, x: m.reshape(x, (3, 2)),
    "transpose": lambda m, x: m.transpose(x),
    "dot": lambda m, x: m.dot(x, Y.T),
    "clip": lambda m, x: m.clip(x, -1, 1),
    "norm": lambda m, x: m.linalg.norm(x),
    "exp": lambda m, x: m.exp(x),
    "maximum": lambda m, x: m.maximum(x, 0.25),
    "arctan2": lambda m, x: m.arctan2(x, Y),
    "scalar first": lambda m, x: onp.float32(2) * x,
    "array first": lambda m, x: Y - x,
    "float64 scalar": lambda m, x: onp.float64(3) / (x + 10),
    "power": lambda m, x: onp.float32(2) ** x,
    "matmul": lambda m, x: Y.T @ x,
    "reduce": lambda m, x: m.add.reduce(x),
    "reduce axis": lambda m, x: m.multiply.reduce(x, axis=1, keepdims=True),
    "accumulate": lambda m, x: m.add.accumulate(x, axis=1),
    "outer": lambda m, x: m.multiply.outer(x, Y),
    "outer second": lambda m, x: m.subtract.outer(V, x),
    "array without axes": lambda m, x: onp.array(2.0, "float32") * x,
}


@pytest.mark.parametrize("space", [nd, np], ids=["nd", "np"])
@pytest.mark.parametrize("case", OWN)
def test_gradients_flow_through_numpys_functions(case: str, space) -> None:
    call = OWN[case]
    expected = call(onp, X)
    x = ours(X, space)
    x.attach_grad()
    with mx.autograd.record():
        y = call(onp, x)
        loss = (y * 2).sum()
    loss.backward()
    assert type(y) is type(x)
    shape = expected.shape or ((1,) if space is nd else ())
    assert y.shape == shape
    onp.testing.assert_allclose(y.asnumpy(), expected.reshape(shape), 1e-5)
    at = (1, 1)
    up, down = X.astype("float64"), X.astype("float64")
    up[at] += 1e-3
    down[at] -= 1e-3
    slope = (call(onp, up).sum() - call(onp, down).sum()) * 2 / 2e-3
    assert x.grad.asnumpy()[at] == pytest.approx(slope, rel=1e-3, abs=1e-3)


def test_comparisons_keep_the_results_of_their_family() -> None:
    assert (onp.float32(1) < ours(V)).dtype == onp.bool_
    assert (ours(V, nd) > V).dtype == onp.float32
    assert type(ours(V) >= V) is np.ndarray


def test_what_our_function_lacks_is_computed_by_numpy() -> None:
    x = ours(X)
    assert same(onp.mean(x, where=X > 0), onp.mean(X, where=X > 0))
    assert same(onp.add.reduceat(x, [0, 2], axis=1), onp.add.reduceat(X, [0, 2], axis=1))
    assert same(onp.add.reduce(x, axis=None, initial=3), onp.add.reduce(X, axis=None, initial=3))
    assert same(onp.maximum.accumulate(x), onp.maximum.accumulate(X))
    assert same(onp.add(x, 1, dtype="float64"), onp.add(X, 1, dtype="float64"))
    assert same(onp.reshape(x, (3, 2), order="F"), onp.reshape(X, (3, 2), order="F"))
    assert same(onp.linalg.svd(x), onp.linalg.svd(X))
    assert same(onp.fft.fft(ours(V)), onp.fft.fft(V))
    assert onp.unique(x, return_counts=True)[1].asnumpy().tolist() == [1] * 6


def test_what_we_have_no_type_for_stays_numpys() -> None:
    found = np.roots(np.array([1, 0, 1]))
    assert type(found) is onp.ndarray
    assert found.dtype.kind == "c"


def test_bfloat16_is_seen_as_float32() -> None:
    x = ours(V).astype("bfloat16")
    assert onp.ptp(x).item() == 2
    assert onp.result_type(x) == onp.float32


# Results in given arrays


def test_out_is_written_whoever_computes() -> None:
    x, out, plain_out = ours(X), np.zeros((2, 3)), onp.zeros((2, 3), "float32")
    assert onp.add(x, 1, out=out) is out
    assert same(out, X + 1)
    assert onp.add(x, 1, out=plain_out) is plain_out
    assert same(plain_out, X + 1)
    assert onp.heaviside(x, 0, out=out) is out
    assert same(out, onp.heaviside(X, 0))
    row = np.zeros(3)
    assert onp.nanmax(x, axis=0, out=row) is row
    assert same(row, X.max(0))
    fraction, whole = np.zeros((2, 3)), np.zeros((2, 3))
    found = onp.modf(x, out=(fraction, whole))
    assert found[0] is fraction
    assert same((fraction, whole), onp.modf(X))
    sums = onp.add.reduce(x, axis=0, out=row)
    assert sums is row
    assert same(row, X.sum(0))


def test_numpy_arrays_are_changed_in_place_by_ours() -> None:
    array = same_array = X.copy()
    array += ours(Y)
    assert array is same_array
    assert same(array, X + Y)
    with pytest.raises(TypeError, match="same_kind"):
        onp.add(ours(X), 1, out=onp.zeros((2, 3), "int32"))


def test_where_needs_out() -> None:
    x, out = ours(X), np.full((2, 3), 7.0)
    assert onp.exp(x, where=X > 0, out=out) is out
    assert same(out, onp.where(X > 0, onp.exp(X), 7))
    assert same(onp.add.reduce(x, where=ours(X) > 0), onp.add.reduce(X, where=X > 0))
    with pytest.raises(MXNetError, match=r"where= of numpy\.exp needs out="):
        onp.exp(x, where=X > 0)


def test_functions_that_write_to_their_argument_write_to_ours() -> None:
    x = np.zeros((2, 3))
    onp.copyto(x, X)
    assert same(x, X)
    onp.add.at(x, (onp.array([0, 0]),), 1)
    assert same(x, X + [[2], [0]])
    onp.fill_diagonal(x, 9)
    onp.put(x, [5], 4)
    onp.putmask(x, X < -3, 1)
    assert x.tolist() == [[9, 0.5, 4], [3, 9, 1]]
    host = onp.zeros(3, "float32")
    onp.copyto(host, ours(V))
    assert same(host, V)


# Recording

LOST = {
    "interp": lambda x: onp.interp(x, [0, 1], [0, 1]),
    "mx.np.interp": lambda x: np.interp(x, [0, 1], [0, 1]),
    "in a list": lambda x: np.select([B], [x]),
    "ufunc": lambda x: onp.heaviside(x, 0),
    "reduceat": lambda x: onp.add.reduceat(x, [0]),
    "out": lambda x: onp.heaviside(x, 0, out=np.zeros(3)),
    "dtype": lambda x: onp.add(x, 1, dtype="float64"),
    "floor division": lambda x: x // 2,
}


@pytest.mark.parametrize("case", LOST)
def test_a_gradient_is_never_lost_in_silence(case: str) -> None:
    x = ours(V)
    x.attach_grad()
    with mx.autograd.record():
        with pytest.raises(
            MXNetError, match=r"(?s)outside the graph.*recorded.*detach.*test_fallb"
        ):
            LOST[case](x * 1)
        assert LOST[case](x.detach()) is not None
    assert LOST[case](x * 1) is not None


def test_what_has_no_gradient_may_be_asked_under_record() -> None:
    x = ours(V)
    x.attach_grad()
    with mx.autograd.record():
        y = x * 2
        assert onp.allclose(y, V * 2)
        assert onp.shape(y) == (3,)
        assert onp.argwhere(y > 3).shape == (2, 1)
        assert onp.count_nonzero(y) == 3
        assert not onp.signbit(y).asnumpy().any()
        onp.testing.assert_allclose(y, V * 2)


# Families, contexts, strangers


def test_nd_arrays_give_nd_arrays() -> None:
    x = ours(X, nd)
    assert onp.sum(x).shape == onp.nanmax(x).shape == (1,)
    for found in (onp.sum(x), onp.nanmax(x, 0), onp.split(x, 3, axis=1)[0], onp.modf(x)[0]):
        assert type(found) is nd.NDArray
    assert type(onp.add(x, ours(X))) is np.ndarray
    with mx.np_shape():
        assert onp.sum(x).shape == ()


def test_results_are_on_the_context_of_the_arguments() -> None:
    x = np.ones(3, ctx=mx.cpu(1))
    for found in (
        onp.exp(x),
        onp.heaviside(x, 0),
        np.interp(x, [0, 1], [0, 1]),
        2 * onp.ones(3) * x,
    ):
        assert found.context is mx.cpu(1)
    with pytest.raises(ContextError, match=r"cpu\(1\) and cpu\(0\)"):
        onp.heaviside(x, np.ones(3))


class Stranger:
    __array_ufunc__ = None

    def __radd__(self, other):
        return "stranger"


class Loud:
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return "loud"

    def __array_function__(self, func, types, args, kwargs):
        return "loud"


def test_other_kinds_of_arrays_have_their_say() -> None:
    assert onp.add(ours(V), Loud()) == "loud"
    assert onp.concatenate([ours(V), Loud()]) == "loud"
    with pytest.raises(TypeError):
        onp.add(ours(V), "text")
    assert type(onp.add(ours(V), torch.ones(3))) is np.ndarray


def test_shared_memory_is_told_from_equal_values() -> None:
    x = ours(X)
    assert onp.shares_memory(x, x[1])
    assert np.may_share_memory(x, x)
    assert not np.shares_memory(x[0], x[1])
    assert not np.shares_memory(x, x.copy())
    assert not np.shares_memory(x, x.T)
    assert not np.shares_memory(x, np.zeros((0,)))


def test_text_files_are_read(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    found = np.genfromtxt(tmp_path / "a.csv", delimiter=",")
    assert type(found) is np.ndarray
    assert found.tolist() == [[1, 2], [3, 4]]
    onp.save(tmp_path / "a.npy", found)
    assert np.load(tmp_path / "a.npy").tolist() == [[1, 2], [3, 4]]
