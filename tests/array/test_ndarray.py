"""Arrays as users hold them: printing, views and copies by MXNet's rules, reading, errors."""

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon import nd, np
from regluon.base import MXNetError, OutOfRangeError, ShapeError


def grid() -> nd.NDArray:
    return nd.array([[1, 2, 3], [4, 5, 6]])


def test_nd_prints_as_mxnet_does() -> None:
    assert repr(nd.ones((2, 2))) == "\n[[1. 1.]\n [1. 1.]]\n<NDArray 2x2 @cpu(0)>"
    assert repr(nd.ones((1,), dtype="int32")) == "\n[1]\n<NDArray 1 @cpu(0)>"


def test_np_prints_as_mxnet_does() -> None:
    assert repr(np.ones((2, 3))) == "array([[1., 1., 1.],\n       [1., 1., 1.]])"
    assert repr(np.array([1, 2], dtype="int32")) == "array([1, 2], dtype=int32)"
    assert repr(np.ones(2, dtype="float64")) == "array([1., 1.], dtype=float64)"
    assert repr(np.array(3.0)) == "array(3.)"
    assert str(np.array(3.0)) == "3.0"


def test_default_dtypes_are_mxnets() -> None:
    assert nd.array([1, 2]).dtype is onp.float32
    assert nd.array(onp.ones(2)).dtype is onp.float32
    assert np.array([1, 2]).dtype == onp.float32
    assert np.array(onp.ones(2)).dtype == onp.float64
    assert np.array(onp.ones(2, "int64")).dtype == onp.int64


def test_shape_dtype_and_context_are_known_at_once() -> None:
    x = grid()
    assert (x.shape, x.ndim, x.size, x.dtype, x.context, x.stype) == (
        (2, 3), 2, 6, onp.float32, mx.cpu(), "default",
    )  # fmt: skip


WRITES_THROUGH = {
    "row": lambda x: x[0],
    "rows": lambda x: x[0:1],
    "one element": lambda x: x[0, 1],
    "part of a row": lambda x: x[0, 1:3],
    "all": lambda x: x[:],
    "reshape method": lambda x: x.reshape(3, 2),
    "detach": lambda x: x.detach(),
    "new axis": lambda x: x[None],
    "row of a row": lambda x: x[0:2][0][1:],
    "other class": lambda x: x.as_np_ndarray(),
}
COPIES = {
    "column": lambda x: x[:, 0],
    "columns": lambda x: x[:, 1:],
    "steps": lambda x: x[:, ::2],
    "reversed": lambda x: x[::-1],
    "T": lambda x: x.T,
    "expand_dims": lambda x: x.expand_dims(0),
    "reshape function": lambda x: nd.reshape(x, shape=(3, 2)),
    "copy": lambda x: x.copy(),
    "asnumpy": lambda x: nd.array(x.asnumpy()),
}


@pytest.mark.parametrize("kind", WRITES_THROUGH)
def test_a_write_to_a_view_reaches_its_base_and_back(kind: str) -> None:
    x = grid()
    view = WRITES_THROUGH[kind](x)
    view[:] = 9
    assert (x.asnumpy() == 9).sum() == view.size
    x[:] = 7
    assert (view.asnumpy() == 7).all()


@pytest.mark.parametrize("kind", COPIES)
def test_a_write_to_a_copy_or_its_base_leaves_the_other_alone(kind: str) -> None:
    x = grid()
    part = COPIES[kind](x)
    before = part.asnumpy()
    x[:] = 7
    assert (part.asnumpy() == before).all()
    x = grid()
    part = COPIES[kind](x)
    part[:] = 9
    assert (x.asnumpy() == grid().asnumpy()).all()


def test_copies_of_copies_are_independent_too() -> None:
    x = grid()
    a = x.T
    b = a.expand_dims(0)
    a[:] = 0
    assert b.asnumpy().max() == 6
    assert x.asnumpy().max() == 6
    x[:] = 1
    assert b.asnumpy().max() == 6


def test_views_work_inside_record_and_after_pause() -> None:
    x = grid()
    x.attach_grad()
    with mx.autograd.record():
        y = (x[0] * 2).sum() + (x.reshape(-1)[4:] * 3).sum()
    y.backward()
    assert x.grad.asnumpy().tolist() == [[2, 2, 2], [0, 3, 3]]
    row = x[0]
    row[:] = -1
    assert x.asnumpy()[0].tolist() == [-1, -1, -1]


def test_in_place_operators_keep_the_array() -> None:
    x = grid()
    same, row = x, x[0]
    x += 1
    x *= 2
    x -= 2
    x /= 2
    assert same is x
    assert (x.asnumpy() == grid().asnumpy()).all()
    assert row.asnumpy().tolist() == [1, 2, 3]


def test_writing_in_place_to_a_recorded_array_is_refused_at_the_call() -> None:
    x = grid()
    x.attach_grad()
    with mx.autograd.record():
        with pytest.raises(MXNetError, match=r"writes in place.*test_ndarray"):
            x += 1
        with pytest.raises(MXNetError, match="writes in place"):
            x[0] = 1
        fresh = nd.zeros((2,))
        fresh += 1
    assert fresh.asnumpy().tolist() == [1, 1]


def test_a_recorded_value_written_into_a_fresh_array_carries_its_gradient() -> None:
    x = nd.array([1.0, 2.0])
    x.attach_grad()
    with mx.autograd.record():
        out = nd.zeros((4,))
        out[1:3] = x * 3
        loss = (out * nd.array([1, 10, 100, 1000])).sum()
    loss.backward()
    assert out.asnumpy().tolist() == [0, 3, 6, 0]
    assert x.grad.asnumpy().tolist() == [30, 300]


def test_out_writes_the_result_into_an_array() -> None:
    x, out = grid(), nd.zeros((2, 3))
    assert nd.add(x, x, out=out) is out
    assert (out.asnumpy() == 2 * grid().asnumpy()).all()
    short = nd.zeros((3,))
    with pytest.raises(ShapeError, match="out has shape"):
        nd.add(x, x, out=short).wait_to_read()


def test_indexing_out_of_range_is_an_error_that_names_axis_and_line() -> None:
    x = grid()
    with pytest.raises(OutOfRangeError, match=r"index 2 is out of range for axis 0 of size 2"):
        x[2]
    with pytest.raises(IndexError, match="axis 1 of size 3"):
        x[0, -4]
    with pytest.raises(IndexError, match="too many"):
        x[0, 0, 0]


def test_index_arrays_pick_elements() -> None:
    x = grid()
    assert x[nd.array([1, 0])].asnumpy().tolist() == [[4, 5, 6], [1, 2, 3]]
    assert x[[0, 1], [2, 0]].asnumpy().tolist() == [3, 4]
    assert np.arange(4)[np.array([True, False, True, False], dtype="bool")].tolist() == [0, 2]


def test_shapes_that_do_not_fit_name_both_shapes_and_the_line() -> None:
    with pytest.raises(MXNetError, match=r"float32\[2, 3\].*float32\[2\](.|\n)*test_ndarray"):
        (grid() + nd.array([1, 2])).wait_to_read()


def test_transpose_takes_its_axes_in_every_way_users_write_them() -> None:
    x = nd.zeros((2, 3, 4))
    for turned in (x.transpose((1, 0, 2)), x.transpose(1, 0, 2), x.transpose(axes=(1, 0, 2))):
        assert turned.shape == (3, 2, 4)
    assert x.transpose().shape == x.T.shape == (4, 3, 2)
    assert np.zeros((2, 3)).transpose(1, 0).shape == (3, 2)


def test_a_context_may_follow_the_shape() -> None:
    assert nd.zeros((2,), mx.cpu(1)).context is mx.cpu(1)
    assert nd.ones((2,), ctx=mx.cpu(1)).context is mx.cpu(1)


def test_scalars_and_truth() -> None:
    assert nd.array([2.5]).asscalar() == onp.float32(2.5)
    assert nd.array([2.5]).item() == 2.5
    assert int(nd.array([3])) == 3
    assert [10, 20][nd.array([1], dtype="int32")] == 20
    assert bool(nd.array([1]))
    with pytest.raises(ShapeError, match="one element"):
        grid().asscalar()
    with pytest.raises(ValueError, match="ambiguous"):
        bool(grid())
    with pytest.raises(TypeError, match="no length"):
        len(np.array(1.0))


def test_asnumpy_is_a_copy_and_to_torch_is_not() -> None:
    x = grid()
    x.asnumpy()[:] = 0
    assert x.asnumpy().max() == 6
    tensor = x.to_torch()
    tensor[:] = 5
    assert (x.asnumpy() == 5).all()
    assert not tensor.requires_grad


def test_from_torch_and_from_numpy_share_memory() -> None:
    tensor, plain = torch.zeros(3), onp.zeros(3, "float32")
    x, y = nd.from_torch(tensor), nd.from_numpy(plain)
    x[:] = 1
    y[:] = 2
    nd.waitall()
    assert tensor.tolist() == [1, 1, 1]
    assert plain.tolist() == [2, 2, 2]
    assert np.from_torch(torch.tensor(1.0)).shape == ()
    with pytest.raises(MXNetError, match=r"torch\.Tensor"):
        nd.from_torch([1])


def test_numpy_arrays_mix_with_ours() -> None:
    x = grid()
    assert (onp.ones((2, 3), "float32") + x).asnumpy().max() == 7
    assert isinstance(onp.ones((2, 3), "float32") * x, nd.NDArray)
    assert onp.asarray(x).shape == (2, 3)


def test_copyto_and_astype() -> None:
    x, y = grid(), nd.zeros((2, 3), ctx=mx.cpu(1))
    assert x.copyto(y) is y
    assert (y.asnumpy() == x.asnumpy()).all()
    assert x.astype("float64").dtype is onp.float64
    assert x.astype("float32", copy=False) is x
    assert x.as_in_context(mx.cpu()) is x
    with pytest.raises(ShapeError, match="copy shape"):
        x.copyto(nd.zeros((3,)))


def test_pickling_is_refused_with_the_alternative() -> None:
    with pytest.raises(TypeError, match=r"nd\.save"):
        grid().__reduce__()


def test_arrays_hash_by_identity_and_iterate_by_row() -> None:
    x = grid()
    assert len({x, x}) == 1
    assert [row.asnumpy().tolist() for row in x] == [[1, 2, 3], [4, 5, 6]]


def test_save_and_load_round_trip(tmp_path) -> None:
    for name in ("a.params", "a.safetensors"):
        nd.save(tmp_path / name, {"x": grid(), "y": nd.arange(3)})
        found = nd.load(tmp_path / name)
        assert sorted(found) == ["x", "y"]
        assert (found["x"].asnumpy() == grid().asnumpy()).all()
    nd.save(str(tmp_path / "b.params"), [grid()])
    assert nd.load(str(tmp_path / "b.params"))[0].shape == (2, 3)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: nd.ones((2, 3)) + nd.ones(2), ValueError),
        (lambda: nd.concat(nd.ones((2, 3)), nd.ones((3, 4)), dim=0), ValueError),
        (lambda: nd.stack(nd.ones(2), nd.ones(3)), ValueError),
        (
            lambda: nd.FullyConnected(
                nd.ones((1, 3), dtype="float64"), nd.ones((2, 3)), nd.ones(2), num_hidden=2
            ),
            TypeError,
        ),
    ],
)
def test_errors_of_torch_get_the_class_of_their_kind(call, kind) -> None:
    with pytest.raises(kind) as caught:
        call().asnumpy()
    assert isinstance(caught.value, MXNetError)
