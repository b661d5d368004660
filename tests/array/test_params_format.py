"""MXNet `.params` files: written by MXNet 1.9.1 (tools/golden_params.py), and broken by us."""

import io
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st

from regluon.array import params_format, payload
from regluon.array.payload import ByteReader
from regluon.array.serialize import load, save
from regluon.base import DTypeError, FormatError


GOLDEN = Path(__file__).resolve().parent.parent / "golden"
SHAPES = {"weight": (2, 3), "é/bias": (4,), "empty": (0, 3)}
TYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64"]
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
SMALL = 2_000  # bytes: these files are read once per byte
READABLE = sorted(
    path
    for path in GOLDEN.glob("*.params")
    if path.stem not in ("v2_row_sparse", "v2_csr") and path.stat().st_size < SMALL
)


def values(shape, dtype="float32"):
    flat = torch.arange(int(torch.Size(shape).numel()))
    return (flat % (2 if dtype == "bool" else 5)).reshape(shape).to(getattr(torch, dtype))


def assert_same(found, expected):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert torch.equal(found, expected)


def entry(magic=V2, stype=0, dims=(2, 3), device=(1, 0), flag=0, *, ndim=None, data=bytes(24)):
    ndim = len(dims) if ndim is None else ndim
    return (
        struct.pack(f"<Iii{len(dims)}q", magic, stype, ndim, *dims)
        + struct.pack("<iii", *device, flag)
        + data
    )


def listing(arrays=(), names=(), *, count=None, name_count=None, reserved=0, magic=0x112):
    count = len(arrays) if count is None else count
    name_count = len(names) if name_count is None else name_count
    parts = [struct.pack("<QQQ", magic, reserved, count), *arrays, struct.pack("<Q", name_count)]
    return b"".join(parts + [struct.pack("<Q", len(name)) + name for name in names])


@pytest.fixture
def parse(tmp_path):
    def parse(data):
        path = tmp_path / "net.params"
        path.write_bytes(data)
        return load(path)

    return parse


@pytest.mark.parametrize("version", ["legacy", "v1", "v2"])
def test_every_version_is_read_by_name(version):
    found = load(GOLDEN / f"{version}_dict.params")
    assert list(found) == list(SHAPES)
    for name, shape in SHAPES.items():
        assert_same(found[name], values(shape))


@pytest.mark.parametrize("version", ["legacy", "v1"])
def test_old_lists_are_read_in_all_their_types(version):
    found = load(GOLDEN / f"{version}_list.params")
    for tensor, dtype in zip(found, TYPES, strict=True):
        assert_same(tensor, values((3, 2), dtype))


def test_every_type_of_mxnet_is_read():
    found = load(GOLDEN / "v2_types.params")
    for dtype in [*TYPES, "bool"]:
        assert_same(found.pop(f"arg:{dtype}"), values((2, 3), dtype))
    assert_same(found.pop("aux:bfloat16"), values((2, 3), "bfloat16"))
    assert not found


def test_files_under_numpy_shapes_hold_scalars():
    found = load(GOLDEN / "v3_dict.params")
    assert_same(found["scalar"], values(()))
    assert_same(found["empty"], values((0, 3)))
    assert_same(found["weight"], values((2, 3)))


def test_an_empty_file_of_mxnet_is_an_empty_list():
    assert load(GOLDEN / "v2_empty.params") == []


@pytest.mark.parametrize("name", ["v2_types", "v2_dict", "v2_list", "v2_empty", "v3_dict"])
def test_what_is_written_equals_what_mxnet_writes_byte_for_byte(tmp_path, name):
    golden = GOLDEN / f"{name}.params"
    save(tmp_path / "again.params", load(golden))
    assert (tmp_path / "again.params").read_bytes() == golden.read_bytes()


@pytest.mark.parametrize("kind", ["row_sparse", "csr"])
def test_a_sparse_array_is_refused_with_the_way_out(kind):
    with pytest.raises(FormatError, match=rf"array 0 is stored as {kind}.*tostype\(\"default\"\)"):
        load(GOLDEN / f"v2_{kind}.params")


def test_a_type_that_mxnet_lacks_is_refused_and_the_old_file_kept(tmp_path):
    path = tmp_path / "net.params"
    path.write_bytes(b"old")
    with pytest.raises(DTypeError, match=r"array 'z'.*torch\.complex64"):
        save(path, {"z": torch.zeros(1, dtype=torch.complex64)})
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.stem)
def test_a_file_truncated_at_any_byte_is_an_error_that_names_the_byte(parse, path):
    whole = path.read_bytes()
    for size in range(1, len(whole)):
        with pytest.raises(FormatError, match=r"byte \d+: .*(truncated|only \d+ bytes follow)"):
            parse(whole[:size])


HOSTILE = {
    "magic": (listing(magic=0x113), "belong to no format"),
    "reserved": (listing(reserved=1), "the reserved field"),
    "count 2**33": (listing(count=2**33), "the number of arrays is 8589934592"),
    "count 2**60": (listing(count=2**60), "the number of arrays is"),
    "count too small": (listing([entry()], count=0), "names for 0 arrays|number of names"),
    "array magic": (listing([entry(magic=0xF993FACB)]), "array 0: unknown magic number 0xf993facb"),
    "legacy ndim": (listing([entry(magic=33)]), "array 0: unknown magic number 0x00000021"),
    "stype": (listing([entry(stype=3)]), "array 0: the storage type is 3"),
    "negative stype": (listing([entry(stype=-1)]), "array 0: the storage type is -1"),
    "ndim 33": (listing([entry(ndim=33)]), "array 0: the number of dimensions is 33"),
    "ndim 2**31-1": (listing([entry(ndim=2**31 - 1)]), "the number of dimensions is 2147483647"),
    "ndim -2": (listing([entry(ndim=-2)]), "the number of dimensions is -2"),
    "no value, V2": (listing([entry(ndim=0)]), "is 0: it was saved before it had a value"),
    "no value, V3": (listing([entry(V3, ndim=-1)]), "is -1: it was saved before it had a value"),
    "dim -1": (listing([entry(dims=(-1, 3))]), "array 0: dimension 0 is -1"),
    "dims over 2**63": (listing([entry(dims=(2**62, 8))]), r"array 0: shape .* more than 2\*\*63"),
    "empty over 2**63": (listing([entry(dims=(0, 2**62, 8))]), r"more than 2\*\*63"),
    "dims over the file": (listing([entry(dims=(2**40,))]), "needs 4398046511104 bytes"),
    "dims just over": (listing([entry(dims=(2, 9))]), "array 0 of shape .2, 9. .* truncated"),
    "device": (listing([entry(device=(4, 0))]), "array 0: the device type is 4"),
    "negative device": (listing([entry(device=(-1, 0))]), "the device type is -1"),
    "device number": (listing([entry(device=(1, -3))]), "the device number is -3"),
    "flag": (listing([entry(flag=8)]), "array 0: the data type flag is 8"),
    "negative flag": (listing([entry(flag=-1)]), "the data type flag is -1"),
    "second array": (listing([entry(), entry(flag=99)]), "array 1: the data type flag is 99"),
    "bool 2": (listing([entry(flag=7, dims=(1,), data=b"\2")]), "neither 0 nor 1"),
    "name count": (listing([entry()], [b"a", b"b"]), "2 names for 1 arrays"),
    "name count 2**60": (listing([entry()], name_count=2**60), "the number of names is"),
    "name length": (listing([entry()], name_count=1) + struct.pack("<Q", 2**33), "name 0 needs"),
    "name 2**60": (listing([entry()], name_count=1) + struct.pack("<Q", 2**60), "name 0 needs"),
    "name not text": (listing([entry()], [b"\xff"]), "name 0 is not UTF-8"),
    "duplicate": (listing([entry(), entry()], [b"w", b"w"]), "two arrays are called 'w'"),
    "long duplicate": (listing([entry()] * 2, [b"w" * 999] * 2), r"called 'w{200}\.\.\.'"),
    "trailing bytes": (listing([entry()]) + b"\0", "1 bytes follow the end"),
    "big-endian": (struct.pack(">QQQQ", 0x112, 0, 0, 0), "big-endian"),
}


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_field_is_an_error_that_names_it_before_memory_is_taken(
    parse, monkeypatch, data, message
):
    taken = []

    def empty(size, **kwargs):
        taken.append(size)
        return torch.zeros(size, **kwargs)

    monkeypatch.setattr(payload.torch, "empty", empty)
    with pytest.raises(FormatError, match=message):
        parse(data)
    assert sum(taken) <= len(data)


def test_every_device_that_mxnet_knows_is_read(parse):
    for kind in (1, 2, 3, 5):
        assert parse(listing([entry(device=(kind, 7))]))[0].shape == (2, 3)


@settings(max_examples=300, deadline=2000)
@given(data=st.data())
def test_changed_bytes_are_read_or_refused_and_take_no_more_memory_than_the_file(data):
    whole = bytearray(data.draw(st.sampled_from(READABLE)).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 8))
    content = bytes(whole[: len(whole) - cut])
    try:
        found = params_format.read(ByteReader(io.BytesIO(content), len(content), "net.params"))
    except FormatError:
        return
    tensors = list(found.values()) if isinstance(found, dict) else found
    assert sum(tensor.nbytes for tensor in tensors) <= len(content)
