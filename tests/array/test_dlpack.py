"""DLPack both ways: shared memory, finished work, counted writes, and what is refused."""

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon import nd, np, npx
from regluon.base import MXNetError


def test_others_share_our_memory() -> None:
    x = np.arange(4)
    tensor = torch.from_dlpack(x)
    tensor[0] = 9
    assert x.tolist() == [9, 1, 2, 3]
    assert torch.as_tensor(x).data_ptr() == tensor.data_ptr()
    seen = onp.from_dlpack(x)
    x[1] = 8
    mx.nd.waitall()
    assert tensor.tolist() == seen.tolist() == [9, 8, 2, 3]


def test_we_share_the_memory_of_others() -> None:
    tensor, plain = torch.zeros(3), onp.zeros((2, 2), "float32")
    x, y = nd.from_dlpack(tensor), np.from_dlpack(plain)
    x[:] = 1
    y[0] = 2
    mx.nd.waitall()
    assert tensor.tolist() == [1, 1, 1]
    assert plain.tolist() == [[2, 2], [0, 0]]
    assert isinstance(x, nd.NDArray)
    assert isinstance(y, np.ndarray)
    again = npx.from_dlpack(x)
    again[:] = 5
    again.wait_to_read()
    assert x.asnumpy().tolist() == [5, 5, 5]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16", "uint8", "int8",
                                   "int32", "int64", "bool"])  # fmt: skip
def test_every_dtype_goes_both_ways(dtype: str) -> None:
    x = np.array([0, 1, 1]).astype(dtype)
    tensor = torch.from_dlpack(x)
    assert str(tensor.dtype) == f"torch.{dtype}"
    back = np.from_dlpack(tensor)
    assert back.dtype == x.dtype
    assert back.astype("float32").tolist() == [0, 1, 1]


def test_shapes_without_axes_and_without_elements() -> None:
    assert torch.from_dlpack(np.array(3.0)).shape == ()
    assert nd.from_dlpack(torch.tensor(3.0)).shape == (1,)
    assert np.from_dlpack(torch.tensor(3.0)).shape == ()
    assert np.from_dlpack(torch.zeros(0, 2)).shape == (0, 2)
    assert np.from_dlpack(torch.arange(6).reshape(2, 3).T).tolist() == [[0, 3], [1, 4], [2, 5]]


def test_capsules_for_reading_and_writing() -> None:
    for x in (nd.array([1, 2]), np.array([1, 2])):
        for capsule in (x.to_dlpack_for_read(), nd.to_dlpack_for_read(x)):
            assert torch.from_dlpack(capsule).tolist() == [1, 2]
        for number, capsule in ((3, x.to_dlpack_for_write()), (4, npx.to_dlpack_for_write(x))):
            torch.from_dlpack(capsule).fill_(number)
            assert x.asnumpy().tolist() == [number, number]


def test_work_on_an_array_is_finished_before_its_memory_is_lent() -> None:
    x = nd.zeros((3,))
    x += 1
    before = x * 10  # reads x, perhaps later
    torch.from_dlpack(x.to_dlpack_for_write()).fill_(7)
    assert before.asnumpy().tolist() == [10, 10, 10]
    assert x.asnumpy().tolist() == [7, 7, 7]


def test_copies_that_are_not_made_yet_stay_apart() -> None:
    x = nd.arange(6).reshape((2, 3))
    column, turned = x[:, 0], x.T
    torch.from_dlpack(x).fill_(-1)
    assert column.asnumpy().tolist() == [0, 3]
    assert turned.asnumpy().max() == 5
    torch.from_dlpack(column).fill_(9)
    assert x.asnumpy().max() == -1


def test_views_share_with_their_base() -> None:
    x = nd.zeros((2, 3))
    torch.from_dlpack(x[1].to_dlpack_for_write()).fill_(4)
    assert x.asnumpy().tolist() == [[0, 0, 0], [4, 4, 4]]


def finished(y: nd.NDArray) -> None:
    y.backward()
    mx.nd.waitall()


def test_a_gradient_that_needs_the_old_values_is_an_error() -> None:
    x = nd.array([1, 2])
    w = nd.array([3, 4])
    w.attach_grad()
    with mx.autograd.record():
        y = (w * x).sum()
    torch.from_dlpack(x.to_dlpack_for_write()).fill_(0)
    with pytest.raises(MXNetError, match=r"changed in place.*test_dlpack"):
        finished(y)
    with mx.autograd.record():
        y = (w * x).sum()
    x.to_dlpack_for_read()
    y.backward()
    assert w.grad.asnumpy().tolist() == [0, 0]


def test_recorded_arrays_are_refused_under_record_and_plain_elsewhere() -> None:
    x = np.array([1, 2])
    x.attach_grad()
    with mx.autograd.record():
        y = x * 2
        for call in (torch.from_dlpack, nd.to_dlpack_for_read, nd.to_dlpack_for_write):
            with pytest.raises(MXNetError, match=r"recorded for gradients.*detach"):
                call(y)
        assert torch.from_dlpack(y.detach()).tolist() == [2, 4]
    tensor = torch.from_dlpack(y)
    assert not tensor.requires_grad
    assert not torch.from_dlpack(x).requires_grad


@pytest.mark.parametrize("source", [[1.0], 3, "text", object()])
def test_what_has_no_memory_to_lend_is_refused(source: object) -> None:
    with pytest.raises(MXNetError, match=f"from_dlpack cannot take a {type(source).__name__}"):
        nd.from_dlpack(source)


def test_what_must_not_be_written_is_refused() -> None:
    plain = onp.zeros(2)
    plain.flags.writeable = False
    with pytest.raises(MXNetError, match="read-only"):
        np.from_dlpack(plain)
    with pytest.raises(MXNetError, match="detach"):
        np.from_dlpack(torch.zeros(2, requires_grad=True))
    capsule = nd.zeros((2,)).to_dlpack_for_read()
    nd.from_dlpack(capsule)
    with pytest.raises(MXNetError, match="not used before"):
        nd.from_dlpack(capsule)
    with pytest.raises(MXNetError, match="not a list"):
        nd.to_dlpack_for_read([1])


def test_the_device_is_known_without_waiting() -> None:
    assert np.zeros(2).__dlpack_device__() == (1, 0)
    assert np.zeros(2, ctx=mx.cpu(1)).__dlpack_device__() == (1, 0)


@pytest.mark.gpu
def test_arrays_on_a_gpu() -> None:
    x = np.zeros(3, ctx=mx.gpu())
    assert x.__dlpack_device__() == (2, 0)
    torch.from_dlpack(x).fill_(2)
    assert x.tolist() == [2, 2, 2]
    assert np.from_dlpack(torch.ones(2, device="cuda")).context is mx.gpu()
