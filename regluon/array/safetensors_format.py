"""Safetensors files: the default format, read by all of its rules, written with checksums.

    u64 length of the header · header (JSON, UTF-8) · elements of all tensors, without holes

Files that regluon writes carry in `__metadata__`, beside what the caller gives, the CRC-32 of every
tensor under `regluon.crc32.<name>` (over `"<name> <dtype> <shape>\\n"` and the elements), that of
the caller's metadata under `regluon.crc32`, and `regluon.layout` = `list` for arrays without names.
Other programs ignore these keys. Source of the layout: the format section of safetensors' README.
"""

import json
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping

import torch

from regluon.array.payload import ByteReader, Entry, quoted, tensor_bytes
from regluon.base import DTypeError, FormatError, MXNetError


# The format allows 100 MB; 32 MiB describe 300,000 tensors and bound what a hostile header costs.
MAX_HEADER = 32 << 20
_METADATA = "__metadata__"
_CRC32 = "regluon.crc32"
_LAYOUT = "regluon.layout"

_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn,
    "I16": torch.int16,
    "U16": torch.uint16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "F32": torch.float32,
    "F64": torch.float64,
    "I64": torch.int64,
    "U64": torch.uint64,
    "C64": torch.complex64,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

Header = tuple[dict[str, Entry], dict[str, str]]


def read(
    reader: ByteReader, *, verify: bool = True
) -> dict[str, torch.Tensor] | list[torch.Tensor]:
    """Return the tensors in the order of the header; raises `FormatError`.

    With `verify`, tensors that have a checksum are compared with it; a difference names the tensor.
    """
    entries, metadata = scan(reader)
    tensors = {name: reader.tensor(entry) for name, entry in entries.items()}
    if verify:
        _compare(reader, metadata, {name: crc32(name, tensors[name]) for name in tensors})
    if metadata.get(_LAYOUT) != "list":
        return tensors
    if list(tensors) != [str(index) for index in range(len(tensors))]:
        raise reader.error("the tensors of a list are not numbered", 8)
    return list(tensors.values())


def check_file(reader: ByteReader) -> None:
    """Check structure and checksums of a file without keeping its tensors; raises `FormatError`."""
    entries, metadata = scan(reader)
    crcs = {}
    for name, entry in entries.items():
        crcs[name] = reader.crc32(
            entry.start, entry.length, _identity(name, entry.dtype, entry.shape)
        )
    _compare(reader, metadata, crcs)


def check_dtype(name: str, tensor: torch.Tensor) -> None:
    """Raise `DTypeError` for an array that the format has no type for."""
    if tensor.dtype not in _NAMES:
        raise DTypeError(f"array {quoted(name)}: safetensors has no type for {tensor.dtype}")


def check_metadata(metadata: Mapping[str, str], names: Collection[str]) -> None:
    """Raise `MXNetError` for keys that regluon keeps for itself, `TypeError` for non-strings."""
    for key, text in metadata.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"metadata must map strings to strings, not {key!r} to {text!r}")
        if _is_reserved(key):
            raise MXNetError(f"the metadata key {key!r} is reserved for the file's own checksums")
    if _METADATA in names:
        raise MXNetError(f"safetensors cannot hold an array called {_METADATA!r}")


def user_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata without regluon's own keys."""
    return {key: text for key, text in metadata.items() if not _is_reserved(key)}


def scan(reader: ByteReader) -> Header:
    """Check the header to the last byte; returns the places of the tensors and the metadata."""
    length = reader.number("Q", "the length of the header")
    if length > MAX_HEADER:
        raise reader.error(f"the header claims {length} bytes; at most {MAX_HEADER} are read", 0)
    raw = reader.take(length, "the header")
    start = reader.offset
    header = _json(reader, raw)
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise reader.error(f"{_METADATA} is not a table of strings", 8)
    entries = {name: _entry(reader, name, record, start) for name, record in header.items()}
    end = start
    for entry in sorted(entries.values(), key=lambda entry: (entry.start, entry.length)):
        if entry.start != end:
            raise reader.error(f"{entry.label}: its data start at {entry.start}, not at {end}", 8)
        end += entry.length
    if end != reader.size:
        raise reader.error(f"{reader.size - end} bytes follow the last tensor", end)
    return entries, metadata


def _json(reader: ByteReader, raw: bytes) -> dict[str, object]:
    if not raw.startswith(b"{"):
        raise reader.error("the header is not a JSON object", 8)
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_table)
    except (ValueError, RecursionError) as error:
        raise reader.error(f"the header is not valid JSON: {error}", 8) from None
    assert isinstance(header, dict)
    return header


def _table(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse what JSON parsers disagree about: repeated names and halves of surrogate pairs."""
    found: dict[str, object] = {}
    for name, value in pairs:
        name.encode("utf-8")
        if isinstance(value, str):
            value.encode("utf-8")
        if name in found:
            raise ValueError(f"{quoted(name)} is there twice")
        found[name] = value
    return found


def _entry(reader: ByteReader, name: str, record: object, base: int) -> Entry:
    label = f"tensor {quoted(name)}"
    if not isinstance(record, dict) or set(record) != {"dtype", "shape", "data_offsets"}:
        raise reader.error(f"{label}: its record is not dtype, shape and data_offsets", 8)
    dtype = _DTYPES.get(record["dtype"]) if isinstance(record["dtype"], str) else None
    if dtype is None:
        known = ", ".join(_DTYPES)
        raise reader.error(f"{label}: unknown dtype {record['dtype']!r}; known are {known}", 8)
    shape, offsets = _sizes(record["shape"]), _sizes(record["data_offsets"])
    if shape is None:
        raise reader.error(f"{label}: the shape is not a list of sizes", 8)
    if offsets is None or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise reader.error(f"{label}: data_offsets is not a pair of places", 8)
    start, end = offsets
    if end > reader.size - base:
        raise reader.error(f"{label}: its data end after the end of the file; it is truncated")
    length = reader.length(shape, dtype.itemsize, label)
    if length != end - start:
        raise reader.error(f"{label}: {shape} of {dtype} is {length} bytes, not {end - start}", 8)
    return Entry(label, dtype, shape, base + start, length)


def _sizes(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list) or not all(type(item) is int and item >= 0 for item in value):
        return None
    return tuple(value)


def crc32(name: str, tensor: torch.Tensor) -> int:
    """Return the checksum of a tensor: of its name, type and shape, then of its elements."""
    identity = _identity(name, tensor.dtype, tuple(tensor.shape))
    return zlib.crc32(tensor_bytes(tensor), identity)


def _identity(name: str, dtype: torch.dtype, shape: tuple[int, ...]) -> int:
    return zlib.crc32(f"{name} {_NAMES[dtype]} {list(shape)}\n".encode())


def _is_reserved(key: str) -> bool:
    return key in (_CRC32, _LAYOUT) or key.startswith(_CRC32 + ".")


def _metadata_crc32(metadata: Mapping[str, str]) -> int:
    told = {key: text for key, text in metadata.items() if not key.startswith(_CRC32)}
    return zlib.crc32(json.dumps(told, sort_keys=True).encode())


def _compare(reader: ByteReader, metadata: Mapping[str, str], crcs: Mapping[str, int]) -> None:
    if not any(key.startswith(_CRC32) for key in metadata):
        return
    found = {f"{_CRC32}.{name}": (f"tensor {quoted(name)}", crc) for name, crc in crcs.items()}
    found[_CRC32] = ("the metadata", _metadata_crc32(metadata))
    for key, (label, crc) in found.items():
        if metadata.get(key) != f"{crc:08x}":
            raise FormatError(
                f"{reader.name}: {label} does not match its checksum: the file is damaged, or a "
                "program changed it and kept the old checksums (verify=False reads it anyway)"
            )


def encode(
    arrays: Mapping[str, torch.Tensor], metadata: Mapping[str, str], *, is_list: bool
) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a safetensors file with checksums.

    The header keeps the caller's order; the data come by falling element size, as the format's own
    library writes them, so that every tensor is aligned in a mapped file.
    """
    placed = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    told = {**metadata, **({_LAYOUT: "list"} if is_list else {})}
    crcs = {f"{_CRC32}.{name}": f"{crc32(name, tensor):08x}" for name, tensor in arrays.items()}
    metadata_crc32 = f"{_metadata_crc32(told):08x}"
    header: dict[str, object] = {_METADATA: {**told, _CRC32: metadata_crc32, **crcs}}
    records: dict[str, dict[str, object]] = {name: {} for name in arrays}
    end = 0
    for name in placed:
        tensor = arrays[name]
        start, end = end, end + tensor.numel() * tensor.dtype.itemsize
        records[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    header.update(records)
    raw = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    raw += b" " * (-len(raw) % 8)
    yield struct.pack("<Q", len(raw)) + raw
    for name in placed:
        yield tensor_bytes(arrays[name])
