"""Safetensors files: against the format's own library, against hostile headers, bit by bit."""

import json
import struct

import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given, settings, strategies as st

from regluon.array import safetensors_format
from regluon.array.atomic import SaveError
from regluon.array.payload import tensor_bytes
from regluon.array.serialize import load, load_metadata, save
from regluon.base import DTypeError, FormatError, MXNetError


TYPES = [dtype for dtype in safetensors_format._NAMES if dtype != torch.bool]


def some_of_everything():
    arrays = {str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in TYPES}
    arrays["bool"] = torch.tensor([True, False, True])
    arrays["scalar"] = torch.tensor(2.5)
    arrays["empty"] = torch.empty(0, 3)
    arrays["é [0] {dot.name}"] = torch.ones(1, 1, 1)
    arrays["column"] = torch.arange(12.0).reshape(3, 4)[:, 1]
    arrays["learned"] = torch.ones(2, requires_grad=True)
    arrays["conjugate"] = torch.tensor([1 + 2j]).conj()
    return arrays


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        raw = [bytes(tensor_bytes(item)) for item in (found[name], tensor)]
        assert raw[0] == raw[1]


def test_every_type_and_shape_comes_back_in_the_callers_order(tmp_path):
    save(tmp_path / "all.safetensors", some_of_everything())
    assert_same(load(tmp_path / "all.safetensors"), some_of_everything())


def test_the_formats_own_library_reads_what_is_written(tmp_path):
    path = tmp_path / "all.safetensors"
    save(path, some_of_everything(), metadata={"epoch": "3"})
    found = safetensors.torch.load_file(path)
    assert_same({name: found[name] for name in some_of_everything()}, some_of_everything())
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata()["epoch"] == "3"


def test_what_the_formats_own_library_writes_is_read_without_checksums(tmp_path):
    path = tmp_path / "plain.safetensors"
    arrays = {name: tensor.clone() for name, tensor in some_of_everything().items()}
    safetensors.torch.save_file(arrays, path, metadata={"by": "the library"})
    found = load(path)
    assert_same({name: found[name] for name in arrays}, arrays)
    assert load_metadata(path) == {"by": "the library"}


def test_data_are_aligned_to_their_element_size(tmp_path):
    save(tmp_path / "a", {"b": torch.ones(3, dtype=torch.uint8), "d": torch.ones(2).double()})
    raw = (tmp_path / "a").read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    assert length % 8 == 0
    assert header["d"]["data_offsets"] == [0, 16]


def test_a_list_comes_back_as_a_list(tmp_path):
    tensors = [torch.full((2,), float(index)) for index in range(12)]
    save(tmp_path / "list", tensors)
    found = load(tmp_path / "list")
    assert [item[0].item() for item in found] == list(range(12))
    save(tmp_path / "none", [])
    assert load(tmp_path / "none") == []
    save(tmp_path / "named", {})
    assert load(tmp_path / "named") == {}


def test_metadata_come_back_without_regluons_own_keys(tmp_path):
    save(tmp_path / "a", {"w": torch.ones(1)}, metadata={"classes": "cat, dog", "é": "ü"})
    assert load_metadata(tmp_path / "a") == {"classes": "cat, dog", "é": "ü"}


def test_unsuitable_metadata_names_and_types_are_refused(tmp_path):
    one = {"w": torch.ones(1)}
    with pytest.raises(TypeError, match="strings to strings"):
        save(tmp_path / "a", one, metadata={"epoch": 3})
    with pytest.raises(MXNetError, match="reserved"):
        save(tmp_path / "a", one, metadata={"regluon.crc32.w": "0"})
    with pytest.raises(MXNetError, match="__metadata__"):
        save(tmp_path / "a", {"__metadata__": torch.ones(1)})
    with pytest.raises(DTypeError, match=r"array 'w'.*complex128"):
        save(tmp_path / "a", {"w": torch.ones(1, dtype=torch.complex128)})
    assert not list(tmp_path.iterdir())


def test_every_flipped_bit_of_a_file_is_an_error(tmp_path):
    path = tmp_path / "net"
    save(path, {"w": torch.ones(1, 3), "n": torch.tensor(7), "e": torch.empty(0, 3)})
    whole = path.read_bytes()
    for position in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(FormatError):
                load(path)


def test_a_flipped_bit_in_a_tensor_names_the_tensor(tmp_path):
    path = tmp_path / "net"
    save(path, {"conv.weight": torch.ones(8), "conv.bias": torch.zeros(4)})
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(FormatError, match=r"tensor 'conv\.bias' does not match its checksum"):
        load(path)
    assert load(path, verify=False)["conv.bias"][3] != 0


def test_a_file_truncated_at_any_byte_is_an_error_that_names_the_byte(tmp_path):
    path = tmp_path / "net"
    save(path, {"w": torch.ones(3), "n": torch.tensor(7)})
    whole = path.read_bytes()
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(FormatError, match=r"byte \d+"):
            load(path)


def raw_file(header, data=b"", length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def record(dtype="F32", shape=(1,), offsets=(0, 4), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


FOUR = bytes(4)
TWICE = b'{"w":' + json.dumps(record()).encode() + b',"w":' + json.dumps(record()).encode() + b"}"
HOSTILE = {
    "header 2**33": (raw_file({}, length=2**33), "the header claims 8589934592 bytes"),
    "header over file": (raw_file({}, length=10), "the header needs 10 bytes"),
    "not JSON": (raw_file(b"{'w': 1}"), "not valid JSON"),
    "not UTF-8": (raw_file(b'{"\xff": 1}'), "not valid JSON"),
    "deep": (raw_file(b'{"w":' + b"[" * 200_000), "not valid JSON"),
    "duplicate": (raw_file(TWICE, FOUR), "'w' is there twice"),
    "half a pair": (raw_file(b'{"\\ud800": 1}'), "not valid JSON"),
    "long number": (raw_file(b'{"w": ' + b"9" * 5000 + b"}"), "not valid JSON"),
    "metadata": (raw_file({"__metadata__": {"a": 1}}), "not a table of strings"),
    "no record": (raw_file({"w": 1}), "tensor 'w': its record"),
    "more keys": (raw_file({"w": record(order="F")}, FOUR), "tensor 'w': its record"),
    "dtype": (raw_file({"w": record("F31")}, FOUR), "tensor 'w': unknown dtype 'F31'"),
    "dtype list": (raw_file({"w": record(["F32"])}, FOUR), "tensor 'w': unknown dtype"),
    "negative": (raw_file({"w": record(shape=[-1])}, FOUR), "tensor 'w': the shape is not"),
    "float size": (raw_file({"w": record(shape=[1.0])}, FOUR), "tensor 'w': the shape is not"),
    "true size": (raw_file({"w": record(shape=[True])}, FOUR), "tensor 'w': the shape is not"),
    "33 dims": (raw_file({"w": record(shape=[1] * 33)}, FOUR), "33 dimensions"),
    "overflow": (raw_file({"w": record(shape=[2**62, 4])}, FOUR), r"more than 2\*\*63"),
    "big shape": (raw_file({"w": record(shape=[2**40])}, FOUR), "4398046511104 bytes, not 4"),
    "offsets": (raw_file({"w": record(offsets=[4, 0])}, FOUR), "not a pair of places"),
    "big offset": (raw_file({"w": record(offsets=[0, 10**4000])}, FOUR), "truncated"),
    "overlap": (raw_file({"w": record(), "v": record()}, FOUR), "its data start at"),
    "hole": (raw_file({"w": record(offsets=[4, 8])}, FOUR * 2), "its data start at"),
    "trailing": (raw_file({"w": record()}, FOUR + b"\0"), "1 bytes follow the last tensor"),
    "bool": (raw_file({"w": record("BOOL", [4])}, b"\0\1\2\0"), "neither 0 nor 1"),
    "list": (raw_file({"__metadata__": {"regluon.layout": "list"}, "w": record()}, FOUR), "list"),
}


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_header_is_an_error_that_names_the_tensor(tmp_path, data, message):
    (tmp_path / "net").write_bytes(data)
    with pytest.raises(FormatError, match=message):
        load(tmp_path / "net")


@settings(max_examples=200, deadline=2000)
@given(data=st.data())
def test_changed_headers_are_refused_wherever_the_formats_own_library_refuses_them(
    tmp_path_factory, data
):
    whole = bytearray(raw_file({"w": record(), "v": record("U8", [2, 2], [4, 8])}, FOUR * 2))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(whole)
    try:
        ours = load(path)
    except FormatError:
        return
    theirs = safetensors.torch.load(bytes(whole))
    assert sorted(ours) == sorted(theirs)


def test_an_array_that_changes_while_it_is_saved_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net"
    save(path, {"w": torch.zeros(3)})
    real = safetensors_format.encode

    def encode_and_change(arrays, metadata, *, is_list):
        for part in real(arrays, metadata, is_list=is_list):
            yield part
            arrays["w"] += 1

    monkeypatch.setattr(safetensors_format, "encode", encode_and_change)
    with pytest.raises(SaveError, match=r"not good: .*tensor 'w'.*previous file is unchanged"):
        save(path, {"w": torch.ones(3)})
    assert load(path)["w"].tolist() == [0, 0, 0]
