"""What Python asks of arrays: numbers, truth, length, membership, copies, rounding, hashing."""

import copy
import math
import pickle

import numpy as onp
import pytest

import regluon as mx
from regluon import nd, np
from regluon.base import MXNetError


BOTH = pytest.mark.parametrize("space", [nd, np], ids=["nd", "np"])


@BOTH
def test_arrays_of_one_element_are_numbers(space) -> None:
    x = space.array([2.5])
    assert (float(x), int(x), complex(x), bool(x)) == (2.5, 2, 2.5 + 0j, True)
    assert not space.array([0])
    assert math.sqrt(space.array([4.0])) == 2
    for kind in (float, int, complex):
        with pytest.raises(TypeError, match=r"shape \(2,\) is not a"):
            kind(space.array([1, 2]))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(space.array([1, 2]))
    assert not space.zeros((0,))


@BOTH
def test_only_whole_numbers_are_an_index(space) -> None:
    one = space.array([1], dtype="int64")
    assert ["a", "b"][one[0]] == "b"
    assert list(range(5))[one[0] : one[0] + 2] == [1, 2]
    for dtype in ("float32", "bool"):
        with pytest.raises(TypeError, match="only integer arrays"):
            [1, 2][one.astype(dtype)]
    with pytest.raises(TypeError, match="not an index"):
        range(3)[space.array([1, 2], dtype="int32")]


@BOTH
def test_length_iteration_and_membership(space) -> None:
    x = space.array([[1, 2], [3, 4]])
    assert len(x) == 2
    assert [row.asnumpy().tolist() for row in x] == [[1, 2], [3, 4]]
    assert [row.asnumpy().tolist() for row in reversed(x)] == [[3, 4], [1, 2]]
    assert 3 in x
    assert 5 not in x
    assert None not in x
    first, second = x
    assert (second - first).asnumpy().tolist() == [2, 2]
    for call in (len, iter):
        with pytest.raises(TypeError, match="without axes has no length"):
            call(np.array(1.0))


@BOTH
def test_hashing_is_by_identity_and_comparison_by_element(space) -> None:
    x = space.array([1, 2])
    same = space.array([1, 2])
    assert len({x, same, x}) == 2
    assert (x == same).asnumpy().all()
    assert hash(x) == hash(x)


@BOTH
def test_rounding(space) -> None:
    x = space.array([-1.25, 0.5, 2.375])
    assert round(x).asnumpy().tolist() == [-1, 0, 2]
    assert round(x, 1).asnumpy().tolist() == pytest.approx([-1.2, 0.5, 2.4])
    assert math.floor(x).asnumpy().tolist() == [-2, 0, 2]
    assert math.ceil(x).asnumpy().tolist() == [-1, 1, 3]
    assert math.trunc(x).asnumpy().tolist() == [-1, 0, 2]
    assert type(round(x)) is type(x)


@BOTH
def test_whole_division(space) -> None:
    x, y = space.array([7, -7]), space.array([2, 2])
    assert (x // y).asnumpy().tolist() == (x // 2).asnumpy().tolist() == [3, -4]
    assert (7 // y).asnumpy().tolist() == [3, 3]
    whole, rest = divmod(x, 4)
    assert (whole.asnumpy().tolist(), rest.asnumpy().tolist()) == ([1, -2], [3, 1])
    whole, rest = divmod(9, y)
    assert (whole.asnumpy().tolist(), rest.asnumpy().tolist()) == ([4, 4], [1, 1])
    assert type(rest) is type(x)
    same = x
    x //= 2
    assert same is x
    assert x.asnumpy().tolist() == [3, -4]


@BOTH
@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "mod", "pow", "floordiv"])
def test_operators_in_place_keep_the_array_and_its_type(space, name: str) -> None:
    for other in (2, space.array([2, 2], dtype="float16"), onp.float32(2)):
        x = same = space.array([5, 3], dtype="float16")
        expected = getattr(x.asnumpy(), f"__{name}__")(onp.float16(2))
        x = getattr(x, f"__i{name}__")(other)
        assert same is x
        assert x.dtype == onp.float16
        onp.testing.assert_allclose(x.asnumpy(), expected, rtol=2e-3)


def test_a_matrix_product_in_place() -> None:
    x = same = np.array([[1, 2], [3, 4]])
    x @= np.array([[0, 1], [1, 0]])
    assert x.tolist() == [[2, 1], [4, 3]]
    assert same.tolist() == x.tolist()


@BOTH
def test_copies_have_values_of_their_own_and_no_gradient(space) -> None:
    x = space.array([1, 2])
    x.attach_grad()
    with mx.autograd.record():
        y = x * 2
        for made in (copy.copy(y), copy.deepcopy(y)):
            assert type(made) is type(x)
            made[:] = 0
        twin = copy.deepcopy(x)
    assert y.asnumpy().tolist() == [2, 4]
    assert twin.grad is None
    y.backward()
    twin[:] = 9
    assert x.asnumpy().tolist() == [1, 2]


@BOTH
def test_a_structure_is_copied_with_what_it_shares(space) -> None:
    x = space.ones((2,), ctx=mx.cpu(1), dtype="int32")
    pair = copy.deepcopy([x, {"again": x}])
    assert pair[0] is pair[1]["again"] is not x
    assert pair[0].context is mx.cpu(1)
    assert pair[0].dtype == onp.int32


@BOTH
def test_pickling_is_refused_with_the_alternative(space) -> None:
    with pytest.raises(TypeError, match=r"nd\.save"):
        pickle.dumps(space.ones((2,)))


@BOTH
def test_numpy_makes_copies_of_the_type_asked_for(space) -> None:
    x = space.array([1, 2])
    values = onp.asarray(x)
    values[:] = 0
    assert x.asnumpy().tolist() == [1, 2]
    assert onp.array(x, dtype="int64").dtype == onp.int64
    assert onp.array(x, copy=True).tolist() == [1, 2]
    assert onp.array([x, x]).shape == (2, 2)
    with pytest.raises(ValueError, match="from_dlpack"):
        onp.array(x, copy=False)


def test_an_array_that_failed_raises_whatever_it_is_asked_for() -> None:
    x = np.array([[1, 2], [3, 4]])
    with pytest.raises((MXNetError, IndexError)):
        repr(np.take(x, np.array([7]), axis=0, mode="raise"))
