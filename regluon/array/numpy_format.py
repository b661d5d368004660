"""NumPy's `.npy` and `.npz` files: written, and read without `eval`, pickle or trust in a size.

    npy  "\\x93NUMPY" · u8 u8 version · u16 (version 1) or u32 length of header · header · elements
    npz  a zip archive of `.npy` files

Source of the layout: the documentation of `numpy.lib.format`.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as onp
import torch

from regluon.array.payload import ByteReader, quoted
from regluon.base import DTypeError, FormatError


_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 1 << 16
# A compressed archive may grow this much when it is read; deflate alone allows 1000 times.
_MAX_GROWTH = 100
_FREE_GROWTH = 256 << 20

_FIELDS = {
    "descr": re.compile(r"""['"]descr['"]\s*:\s*(['"][^'"]*['"]|\[)"""),
    "fortran_order": re.compile(r"""['"]fortran_order['"]\s*:\s*(True|False)\b"""),
    "shape": re.compile(r"""['"]shape['"]\s*:\s*\(([\d\sL,]*)\)"""),
}
_TYPE = re.compile(r"([<>|=]?)(b1|[iu][1248]|f[248]|c8|c16)")
# What the zip module lets through for damaged archives, beside its own error.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    OSError,
)


def read_npy(reader: ByteReader) -> torch.Tensor:
    """Return the array of a `.npy` file; raises `FormatError` with the byte and the field."""
    if reader.take(len(_MAGIC), "the magic string") != _MAGIC:
        raise reader.error("this is not a .npy file", 0)
    version = reader.take(2, "the version")[0]
    if version not in (1, 2, 3):
        raise reader.error(f"the format version is {version}; known are 1, 2 and 3", len(_MAGIC))
    length = reader.number("H" if version == 1 else "I", "the length of the header")
    if length > _MAX_HEADER:
        raise reader.error(f"the header claims {length} bytes; at most {_MAX_HEADER} are read")
    header = reader.take(length, "the header").decode("latin-1")
    dtype = _dtype(reader, _field(reader, header, "descr"))
    shape = _shape(reader, _field(reader, header, "shape"))
    size = reader.length(shape, dtype.itemsize, "the array")
    if size < reader.remaining:
        raise reader.error(f"{reader.remaining - size} bytes follow the array")
    raw = reader.raw(size, f"an array of shape {shape} and type {dtype}")
    order: Literal["C", "F"] = "F" if _field(reader, header, "fortran_order") == "True" else "C"
    array: onp.ndarray[Any, Any] = onp.ndarray(shape, dtype, raw.numpy(), order=order)
    if dtype.kind == "b":
        reader.check_booleans(raw, "the array")
    native = onp.asarray(array, dtype.newbyteorder("="), order="C")
    return torch.from_numpy(native)


def _field(reader: ByteReader, header: str, name: str) -> str:
    found = _FIELDS[name].findall(header)
    if len(found) != 1:
        raise reader.error(f"the header has no readable {name!r}")
    return str(found[0])


def _dtype(reader: ByteReader, descr: str) -> onp.dtype[Any]:
    match = _TYPE.fullmatch(descr.strip("'\""))
    if match:
        return onp.dtype(match.group(0))
    hint = ""
    if "O" in descr:
        hint = ": Python objects are stored as a pickle, which is never read"
    raise reader.error(f"the data type {quoted(descr)} is not read{hint}")


def _shape(reader: ByteReader, text: str) -> tuple[int, ...]:
    sizes = [size.strip().removesuffix("L") for size in text.split(",") if size.strip()]
    if not all(re.fullmatch(r"\d{1,19}", size) for size in sizes):
        raise reader.error(f"the shape ({quoted(text)}) is not a tuple of sizes")
    return tuple(map(int, sizes))


def read_npz(file: io.BufferedIOBase, size: int, name: str) -> dict[str, torch.Tensor]:
    """Return the arrays of a `.npz` archive by name; raises `FormatError`.

    Every member is compared with the archive's own checksum of it. Other zip archives are refused;
    a PyTorch checkpoint is recognised.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_members(members, size, name)
            return {
                info.filename.removesuffix(".npy"): _read_member(archive, info, name)
                for info in members
            }
    except FormatError:
        raise
    except _ZIP_ERRORS as error:
        raise FormatError(f"{name}: the zip archive is damaged or truncated: {error}") from error


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> torch.Tensor:
    with archive.open(info) as member:
        assert isinstance(member, io.BufferedIOBase)
        reader = ByteReader(member, info.file_size, f"{name}, member {quoted(info.filename)}")
        tensor = read_npy(reader)
        member.read(1)  # the archive's checksum is compared when the end is seen
        return tensor


def _check_members(members: list[zipfile.ZipInfo], size: int, name: str) -> None:
    names = [info.filename for info in members]
    if any(member.endswith("data.pkl") for member in names):
        raise FormatError(
            f"{name}: it looks like a PyTorch checkpoint: a pickle, which can run code and is "
            "never read; load it with torch.load(..., weights_only=True) and save it as safetensors"
        )
    foreign = [member for member in names if not member.endswith(".npy")]
    if foreign:
        raise FormatError(
            f"{name}: it looks like a zip archive and not like a .npz file, because it holds "
            f"{quoted(foreign[0])}: unpack it and load the files inside"
        )
    if len(set(names)) != len(names):
        raise FormatError(f"{name}: the archive has two members of the same name")
    total = sum(info.file_size for info in members)
    if total > _FREE_GROWTH + _MAX_GROWTH * size:
        raise FormatError(
            f"{name}: the archive claims {total} bytes of arrays, {total // size} times its own "
            f"size; at most {_MAX_GROWTH} times are read"
        )


def as_numpy(named: Mapping[str, torch.Tensor]) -> dict[str, onp.ndarray[Any, Any]]:
    """Return tensors as NumPy arrays; raises `DTypeError` for types that NumPy lacks."""
    for name, tensor in named.items():
        if tensor.dtype == torch.bfloat16:
            raise DTypeError(
                f"array {quoted(name)} is bfloat16, which NumPy's files do not have; cast it to "
                "float32, or save as safetensors"
            )
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in named.items()}


def write_npy(sink: Any, array: onp.ndarray[Any, Any]) -> None:
    """Write one array in version 1 of the format."""
    onp.lib.format.write_array_header_1_0(sink, onp.lib.format.header_data_from_array_1_0(array))
    sink.write(array.reshape(-1).view(onp.uint8).data)


def write_npz(sink: Any, arrays: Mapping[str, onp.ndarray[Any, Any]]) -> None:
    """Write a zip archive of `.npy` files, uncompressed; equal arrays make equal bytes."""
    with zipfile.ZipFile(sink, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(member, "w", force_zip64=True) as file:
                write_npy(file, array)
