"""Files and memory of arrays: every suffix, both families, NumPy's own reader and writer."""

from pathlib import Path

import numpy as onp
import pytest
import torch

from regluon import nd, np, npx
from regluon.array import serialize
from regluon.base import DTypeError, FormatError, MXNetError


DTYPES = ["float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool"]
SHAPES = [(), (0,), (3,), (2, 3), (2, 0, 3)]


def filled(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.array(onp.arange(onp.prod(shape, dtype=int)).reshape(shape) % 2, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_reads_what_we_write_and_we_what_it_writes(tmp_path, dtype: str) -> None:
    for shape in SHAPES:
        x = filled(shape, dtype)
        np.save(tmp_path / "a.npy", x)
        found = onp.load(tmp_path / "a.npy", allow_pickle=False)
        assert (found.shape, found.dtype) == (shape, onp.dtype(dtype))
        assert (found == x.asnumpy()).all()
        onp.save(tmp_path / "b.npy", found)
        assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
        again = np.load(tmp_path / "b.npy")
        assert (again.shape, again.dtype) == (shape, x.dtype)
        assert again.tolist() == x.tolist()


def test_archives_hold_arrays_by_name_and_by_number(tmp_path) -> None:
    x, y = np.array([1, 2]), np.ones((2, 2), dtype="int8")
    npx.savez(tmp_path / "a", x, y, bias=x)
    with onp.load(tmp_path / "a.npz") as found:
        assert sorted(found) == ["arr_0", "arr_1", "bias"]
        assert (found["arr_1"] == 1).all()
        onp.savez_compressed(tmp_path / "b.npz", **found)
    for name in ("a.npz", "b.npz"):
        again = npx.load(tmp_path / name)
        assert type(again["bias"]) is np.ndarray
        assert again["bias"].tolist() == [1, 2]
    assert type(nd.load(str(tmp_path / "a.npz"))["bias"]) is nd.NDArray
    assert np.load(tmp_path / "a.npz")["arr_1"].dtype == onp.int8
    with pytest.raises(MXNetError, match="another one called 'arr_0'"):
        np.savez(tmp_path / "c", x, arr_0=y)


def test_equal_arrays_make_equal_archives(tmp_path) -> None:
    for name in ("a.npz", "b.npz"):
        npx.savez(tmp_path / name, w=np.ones(3))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("suffix", [".params", ".safetensors", ".npz", ""])
@pytest.mark.parametrize("write", [nd.save, npx.save], ids=["nd", "npx"])
def test_the_suffix_tells_the_format(tmp_path, suffix: str, write) -> None:
    path = str(tmp_path / "a") + suffix
    write(path, {"x": nd.array([1, 2]), "y": np.zeros((2, 0))})
    starts = {".params": b"\x12\x01", "": b"\x12\x01", ".npz": b"PK", ".safetensors": b""}
    assert Path(path).read_bytes().startswith(starts[suffix])
    found = nd.load(path)
    assert found["x"].asnumpy().tolist() == [1, 2]
    assert found["y"].shape == (2, 0)
    assert type(npx.load(path)["x"]) is np.ndarray


def test_lists_and_single_arrays(tmp_path) -> None:
    for name in ("a.params", "a.safetensors", "a.npy"):
        nd.save(tmp_path / name, nd.array([1, 2]))
        (found,) = nd.load(tmp_path / name)
        assert found.asnumpy().tolist() == [1, 2]
        assert npx.load(tmp_path / name)[0].tolist() == [1, 2]
    nd.save(tmp_path / "two.params", [nd.ones((2,)), nd.zeros((1,))])
    assert [array.shape for array in nd.load(tmp_path / "two.params")] == [(2,), (1,)]
    with pytest.raises(MXNetError, match=r"\.npy file holds one array, not 2"):
        nd.save(tmp_path / "two.npy", [nd.ones((2,)), nd.zeros((1,))])
    nd.save(tmp_path / "two.npz", [nd.ones((2,)), nd.zeros((1,))])
    assert sorted(nd.load(tmp_path / "two.npz")) == ["0", "1"]


def test_the_bytes_of_a_file_are_read_too(tmp_path) -> None:
    for name in ("a.params", "a.safetensors", "a.npz"):
        nd.save(tmp_path / name, {"x": nd.array([1, 2])})
        data = (tmp_path / name).read_bytes()
        assert nd.load_frombuffer(data)["x"].asnumpy().tolist() == [1, 2]
        with pytest.raises(FormatError, match="the buffer"):
            nd.load_frombuffer(data[:-3])
    with pytest.raises(FormatError):
        nd.load_frombuffer(b"<!DOCTYPE html>")


def test_types_that_numpys_files_lack_are_refused(tmp_path) -> None:
    for name in ("a.npz", "a.npy"):
        with pytest.raises(DTypeError, match=r"bfloat16.*cast it to float32"):
            nd.save(tmp_path / name, nd.ones((2,)).astype("bfloat16"))
    assert not list(tmp_path.iterdir())


def test_only_arrays_are_saved(tmp_path) -> None:
    for call in (lambda: np.save(tmp_path / "a", [1.0]), lambda: npx.savez(tmp_path / "a", w=3)):
        with pytest.raises(MXNetError, match="only arrays are saved"):
            call()
    with pytest.raises(MXNetError, match="no place for metadata"):
        serialize.save(tmp_path / "a", [torch.ones(1)], format="npy", metadata={"a": "b"})


def test_memory_of_numpy_arrays_is_shared_or_copied() -> None:
    plain = onp.zeros((2, 2), "float32")
    for call, kind in ((nd.from_numpy, nd.NDArray), (npx.from_numpy, np.ndarray)):
        shared, apart = call(plain), call(plain, zero_copy=False)
        assert type(shared) is type(apart) is kind
        shared[:] = 1
        shared.wait_to_read()
        assert plain.sum() == 4
        assert apart.asnumpy().sum() == 0
        plain[:] = 0
    assert type(nd.from_numpy(plain, array_cls=np.ndarray)) is np.ndarray
    with pytest.raises(MXNetError, match="C-contiguous"):
        nd.from_numpy(plain[:, 0])


def test_saving_waits_for_the_values_and_copies_nothing_lazy(tmp_path) -> None:
    x = nd.arange(6).reshape((2, 3))
    x += 1
    nd.save(tmp_path / "a.npz", {"turned": x.T, "row": x[1]})
    found = nd.load(tmp_path / "a.npz")
    assert found["turned"].asnumpy().tolist() == [[1, 4], [2, 5], [3, 6]]
    assert found["row"].asnumpy().tolist() == [4, 5, 6]
