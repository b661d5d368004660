"""MXNet's `.params` files: every version is read; what MXNet 1.9.1 can read back is written.

Little-endian. The whole file, then one array:

    u64 0x112 · u64 0 · u64 count · arrays · u64 count or 0 · names (u64 length, UTF-8)

    legacy  u32 ndim                                  · u32 dims · device · flag · elements
    V1      u32 magic              · u32 ndim         · i64 dims · device · flag · elements
    V2, V3  u32 magic · i32 stype  · i32 ndim         · i64 dims · device · flag · elements

`device` is i32 kind and i32 number, `flag` the i32 data type. V3 was written under NumPy shapes: an
array without dimensions is a number there and nothing at all in the older versions. Source of the
layout: `NDArray::Save` and `NDArray::Load` in MXNet 1.9.1 (`src/ndarray/ndarray.cc`).
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

import torch

from regluon.array.payload import ByteReader, Entry, quoted, tensor_bytes
from regluon.base import DTypeError


MAGIC = (0x112).to_bytes(8, "little")
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_LEGACY_DIMS = 32
_LEAST_ARRAY = 20  # bytes of the smallest array that can be: legacy, one dimension of size zero
_LEAST_NAME = 8

_DTYPES = {
    0: torch.float32,
    1: torch.float64,
    2: torch.float16,
    3: torch.uint8,
    4: torch.int32,
    5: torch.int8,
    6: torch.int64,
    7: torch.bool,
    12: torch.bfloat16,
}
_FLAGS = {dtype: flag for flag, dtype in _DTYPES.items()}
_SPARSE = {1: "row_sparse", 2: "csr"}
_DEVICES = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}


def read(reader: ByteReader) -> dict[str, torch.Tensor] | list[torch.Tensor]:
    """Return the arrays of a `.params` file by name, or as a list where they have no names.

    The whole structure is checked before the first tensor is made. Raises `FormatError` with the
    byte and the field.
    """
    entries, names = scan(reader)
    tensors = [reader.tensor(entry) for entry in entries]
    return dict(zip(names, tensors, strict=True)) if names else tensors


def scan(reader: ByteReader) -> tuple[list[Entry], list[str]]:
    """Check the structure from the first byte to the last; returns where the arrays lie."""
    if reader.take(8, "the magic number") != MAGIC:
        raise reader.error("this is not an MXNet .params file", 0)
    if reader.number("Q", "the reserved field"):
        raise reader.error("the reserved field is not zero", 8)
    count = _count(reader, "the number of arrays", _LEAST_ARRAY)
    entries = [_entry(reader, f"array {index}") for index in range(count)]
    names = _names(reader, len(entries))
    if reader.remaining:
        raise reader.error(f"{reader.remaining} bytes follow the end of the file's contents")
    return entries, names


def _count(reader: ByteReader, field: str, least: int) -> int:
    count = reader.number("Q", field)
    if count * least > reader.remaining:
        raise reader.error(
            f"{field} is {count}, but only {reader.remaining} bytes follow", reader.offset - 8
        )
    return count


def _names(reader: ByteReader, arrays: int) -> list[str]:
    start = reader.offset
    count = _count(reader, "the number of names", _LEAST_NAME)
    if count not in (0, arrays):
        raise reader.error(f"{count} names for {arrays} arrays", start)
    seen: dict[str, None] = {}
    for index in range(count):
        start = reader.offset
        length = reader.number("Q", f"the length of name {index}")
        raw = reader.take(length, f"name {index}")
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise reader.error(f"name {index} is not UTF-8 text", start + 8) from None
        if name in seen:
            raise reader.error(f"two arrays are called {quoted(name)}", start)
        seen[name] = None
    return list(seen)


def _entry(reader: ByteReader, label: str) -> Entry:
    shape = _shape(reader, label)
    _choice(reader, f"{label}: the device type", _DEVICES)
    if (number := reader.number("i", f"{label}: the device number")) < 0:
        raise reader.error(f"{label}: the device number is {number}", reader.offset - 4)
    dtype = _DTYPES[_choice(reader, f"{label}: the data type flag", _DTYPES)]
    length = reader.length(shape, dtype.itemsize, label)
    start = reader.offset
    reader.skip(length, f"{label} of shape {shape} and type {dtype}")
    return Entry(label, dtype, shape, start, length)


def _choice(reader: ByteReader, field: str, known: Mapping[int, object]) -> int:
    value = reader.number("i", field)
    if value not in known:
        valid = ", ".join(map(str, known))
        raise reader.error(f"{field} is {value}; known are {valid}", reader.offset - 4)
    return value


def _shape(reader: ByteReader, label: str) -> tuple[int, ...]:
    start = reader.offset
    magic = reader.number("I", f"{label}: the magic number")
    code, least = "q", 1
    if magic in (_V2, _V3):
        _check_dense(reader, label)
        least = 0 if magic == _V3 else 1
    if magic in (_V1, _V2, _V3):
        dims = reader.number("i", f"{label}: the number of dimensions")
    elif magic <= _LEGACY_DIMS:
        dims, code = magic, "I"
    else:
        raise reader.error(f"{label}: unknown magic number {magic:#010x}", start)
    if not least <= dims <= _LEGACY_DIMS:
        hint = ": it was saved before it had a value" if dims in (0, -1) else ""
        raise reader.error(f"{label}: the number of dimensions is {dims}{hint}", reader.offset - 4)
    raw = reader.take(dims * struct.calcsize("<" + code), f"{label}: the shape")
    return struct.unpack(f"<{dims}{code}", raw)


def _check_dense(reader: ByteReader, label: str) -> None:
    stype = reader.number("i", f"{label}: the storage type")
    if stype in _SPARSE:
        raise reader.error(
            f"{label} is stored as {_SPARSE[stype]}; sparse arrays are not read: in MXNet, save "
            'array.tostype("default") instead',
            reader.offset - 4,
        )
    if stype != 0:
        raise reader.error(f"{label}: the storage type is {stype}; known is 0", reader.offset - 4)


def encode(tensors: Sequence[torch.Tensor], names: Sequence[str]) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a `.params` file, exactly as MXNet 1.9.1 writes them.

    V2, or V3 for the whole file where an array has no dimensions: MXNet reads such a file only
    inside `with mx.util.np_shape(True)`. `check_dtype` tells beforehand whether the types fit.
    """
    magic = _V2 if all(tensor.dim() for tensor in tensors) else _V3
    yield MAGIC + struct.pack("<QQ", 0, len(tensors))
    for tensor in tensors:
        shape = tuple(tensor.shape)
        yield struct.pack(f"<Iii{len(shape)}q", magic, 0, len(shape), *shape)
        yield struct.pack("<iii", 1, 0, _FLAGS[tensor.dtype])
        yield tensor_bytes(tensor)
    yield struct.pack("<Q", len(names))
    for name in names:
        raw = name.encode("utf-8")
        yield struct.pack("<Q", len(raw)) + raw


def check_dtype(name: str, tensor: torch.Tensor) -> None:
    """Raise `DTypeError` for an array that MXNet has no type flag for."""
    if tensor.dtype not in _FLAGS:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in _FLAGS)
        raise DTypeError(
            f"array {quoted(name)}: MXNet's .params format has no type for {tensor.dtype}; it has "
            f"{known}: convert the array, or save as safetensors"
        )
