"""`.npy` and `.npz`: against NumPy, and refused where NumPy would run a pickle or take memory."""

import io
import struct
import zipfile

import numpy as onp
import pytest
import torch
from hypothesis import given, settings, strategies as st

from regluon.array import numpy_format
from regluon.array.serialize import load
from regluon.base import FormatError


TYPES = ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]


def arrays():
    found = {name: (onp.arange(6) % 2).reshape(2, 3).astype(name) for name in TYPES}
    found["scalar"] = onp.array(1.5)
    found["empty"] = onp.zeros((0, 3))
    found["fortran"] = onp.asfortranarray(onp.arange(24.0).reshape(2, 3, 4))
    found["big"] = onp.arange(5, dtype=">f4")
    found["big fortran"] = onp.asfortranarray(onp.arange(6, dtype=">c8").reshape(2, 3))
    return found


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert found.numpy().dtype == expected.dtype.newbyteorder("=")
    assert found.is_contiguous()
    assert (found.numpy() == expected).all()


@pytest.mark.parametrize("savez", [onp.savez, onp.savez_compressed])
def test_npz_is_read_by_name(tmp_path, savez):
    savez(tmp_path / "all.npz", **arrays())
    found = load(tmp_path / "all.npz")
    assert list(found) == list(arrays())
    for name, expected in arrays().items():
        assert_same(found[name], expected)


@pytest.mark.parametrize("name", list(arrays()))
def test_npy_is_a_list_of_one(tmp_path, name):
    onp.save(tmp_path / "one.npy", arrays()[name])
    (found,) = load(tmp_path / "one.npy")
    assert_same(found, arrays()[name])


def test_an_empty_archive_has_no_arrays(tmp_path):
    onp.savez(tmp_path / "none.npz")
    assert load(tmp_path / "none.npz") == {}


def npy(header, data=b"", version=1):
    raw = header.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(raw))
    return b"\x93NUMPY" + bytes((version, 0)) + length + raw + data


def head(descr="'<f4'", order="False", shape="(1,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


HOSTILE = {
    "version": (npy(head(), version=9), "the format version is 9"),
    "long header": (npy(" " * 70_000, version=2), "at most 65536"),
    "no shape": (npy("{'descr': '<f4', 'fortran_order': False}"), "no readable 'shape'"),
    "two shapes": (npy(head() + head()), "no readable 'descr'"),
    "code": (npy(head(shape="(print(1),)")), "no readable 'shape'"),
    "objects": (npy(head("'|O'")), "stored as a pickle, which is never read"),
    "structured": (npy(head("[('a', '<f4')]")), "is not read"),
    "text": (npy(head("'<U8'")), "'<U8'.* is not read"),
    "long double": (npy(head("'<f16'")), "is not read"),
    "spaces": (npy(head(shape="(1 2,)")), "not a tuple of sizes"),
    "big": (npy(head(shape="(1099511627776,)"), bytes(4)), "needs 4398046511104 bytes"),
    "overflow": (npy(head(shape="(4611686018427387904, 4)")), r"more than 2\*\*63"),
    "short": (npy(head(shape="(2,)"), bytes(4)), "truncated"),
    "trailing": (npy(head(), bytes(5)), "1 bytes follow"),
    "bool": (npy(head("'|b1'"), b"\7"), "neither 0 nor 1"),
}


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_npy_is_an_error(tmp_path, data, message):
    (tmp_path / "one.npy").write_bytes(data)
    with pytest.raises(FormatError, match=message):
        load(tmp_path / "one.npy")


def archive(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
    return buffer.getvalue()


def test_foreign_archives_are_recognised(tmp_path):
    path = tmp_path / "net.npz"
    path.write_bytes(archive([("archive/data.pkl", b""), ("archive/data/0", b"")]))
    with pytest.raises(FormatError, match=r"PyTorch checkpoint.*weights_only=True"):
        load(path)
    path.write_bytes(archive([("photo.jpg", b"")]))
    with pytest.raises(FormatError, match=r"a zip archive.*'photo\.jpg'"):
        load(path)


def test_a_member_error_names_the_member(tmp_path):
    path = tmp_path / "net.npz"
    path.write_bytes(archive([("w.npy", npy(head(shape="(9,)")))]))
    with pytest.raises(FormatError, match=r"net\.npz.*member 'w\.npy': byte \d+: .*truncated"):
        load(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_an_error(tmp_path):
    path = tmp_path / "net.npz"
    path.write_bytes(archive([("w.npy", npy(head(), bytes(4)))] * 2))
    with pytest.raises(FormatError, match="two members"):
        load(path)


def test_an_archive_that_grows_out_of_bounds_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(numpy_format, "_FREE_GROWTH", 0)
    path = tmp_path / "bomb.npz"
    zeros = npy(head(shape="(1048576,)"), bytes(4 << 20))
    path.write_bytes(archive([("w.npy", zeros)], zipfile.ZIP_DEFLATED))
    with pytest.raises(FormatError, match="times its own size"):
        load(path)


def test_a_flipped_bit_is_found_by_the_archives_checksum(tmp_path):
    path = tmp_path / "net.npz"
    onp.savez(path, w=onp.arange(1000.0))
    damaged = bytearray(path.read_bytes())
    damaged[4000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(FormatError, match=r"damaged.*w\.npy"):
        load(path)


def test_an_archive_truncated_at_any_byte_is_an_error(tmp_path):
    path = tmp_path / "net.npz"
    onp.savez(path, w=onp.ones(3))
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(FormatError):
            load(path)


@settings(max_examples=300, deadline=2000)
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(tmp_path_factory, data):
    buffer = io.BytesIO()
    kind = data.draw(st.sampled_from(["npy", "npz", "npz compressed"]))
    if kind == "npy":
        onp.save(buffer, onp.arange(6.0).reshape(2, 3))
    else:
        savez = onp.savez if kind == "npz" else onp.savez_compressed
        savez(buffer, w=onp.arange(6.0), v=onp.ones((2, 2), "i4"))
    whole = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(whole)
    try:
        found = load(path)
    except FormatError:
        return
    tensors = found if isinstance(found, list) else found.values()
    assert all(isinstance(tensor, torch.Tensor) for tensor in tensors)
