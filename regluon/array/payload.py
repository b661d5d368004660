"""Tensors to the bytes of a file and back; no length, count or shape in a file is believed."""

import errno
import io
import math
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from regluon.base import FormatError, MXNetError, nearest


_CHUNK = 1 << 20
_MAX_DIMS = 32  # NumPy's and MXNet's limit for most of their history


def quoted(name: str) -> str:
    """Return a name for an error message, shortened where a hostile file made it very long."""
    return repr(name if len(name) <= 200 else name[:200] + "...")


@dataclass(frozen=True)
class Entry:
    """Where one array lies in a file, in bytes from its start, and what it is."""

    label: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    length: int


class ByteReader:
    """Reads numbers and tensors from `file`, which holds `size` bytes, and fails by name and place.

    Everything is compared with the bytes that remain before memory is asked for.
    """

    def __init__(self, file: io.BufferedIOBase, size: int, name: str) -> None:
        self.file = file
        self.size = size
        self.name = name
        self.offset = 0

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return self.size - self.offset

    def error(self, message: str, offset: int | None = None) -> FormatError:
        """Return the error to raise about `offset`, or about the place that was read last."""
        return FormatError(
            f"{self.name}: byte {self.offset if offset is None else offset}: {message}"
        )

    def claim(self, length: int, field: str) -> None:
        """Fail unless `length` more bytes are there for `field`."""
        if length > self.remaining:
            raise self.error(
                f"{field} needs {length} bytes and the file ends after {self.remaining}; "
                "it is truncated or damaged"
            )

    def take(self, length: int, field: str) -> bytes:
        """Return the next `length` bytes."""
        self.claim(length, field)
        data = self.file.read(length)
        if len(data) != length:
            raise self.error(f"the file became shorter while {field} was read")
        self.offset += length
        return data

    def number(self, code: str, field: str) -> int:
        """Return the next little-endian integer; `code` is a letter of `struct`."""
        (value,) = struct.unpack("<" + code, self.take(struct.calcsize("<" + code), field))
        return int(value)

    def seek(self, offset: int) -> None:
        """Go to `offset`, counted from the start."""
        self.file.seek(offset)
        self.offset = offset

    def skip(self, length: int, field: str) -> None:
        """Step over `length` bytes that must be there."""
        self.claim(length, field)
        self.seek(self.offset + length)

    def length(self, shape: tuple[int, ...], itemsize: int, field: str) -> int:
        """Return the bytes of an array, having refused impossible and overflowing shapes."""
        if len(shape) > _MAX_DIMS:
            raise self.error(f"{field}: {len(shape)} dimensions, more than {_MAX_DIMS}")
        for axis, size in enumerate(shape):
            if size < 0:
                raise self.error(f"{field}: dimension {axis} is {size}")
        # Zeros count as one here: strides must not overflow for an empty array either.
        if math.prod(max(size, 1) for size in shape) * itemsize >= 1 << 63:
            raise self.error(f"{field}: shape {shape} has more than 2**63 bytes")
        return math.prod(shape) * itemsize

    def tensor(self, entry: Entry) -> torch.Tensor:
        """Return the array at `entry` as a new tensor."""
        self.seek(entry.start)
        raw = self.raw(entry.length, entry.label)
        if entry.dtype == torch.bool:
            self.check_booleans(raw, entry.label)
        return raw.view(entry.dtype).reshape(entry.shape)

    def raw(self, length: int, field: str) -> torch.Tensor:
        """Return the next `length` bytes as a new uint8 tensor."""
        self.claim(length, field)
        storage = torch.empty(length, dtype=torch.uint8)
        view = storage.numpy().data
        done = 0
        while done < length:
            count = self.file.readinto(view[done : done + _CHUNK])
            if not count:
                raise self.error(f"the file became shorter while {field} was read")
            done += count
            self.offset += count
        return storage

    def check_booleans(self, raw: torch.Tensor, field: str) -> None:
        """Fail if bytes that are to be booleans are neither 0 nor 1."""
        if raw.numel() and int(raw.max()) > 1:
            raise self.error(f"{field}: a boolean is neither 0 nor 1")

    def crc32(self, start: int, length: int, crc32: int = 0) -> int:
        """Return the checksum of `length` bytes at `start`, without keeping them."""
        self.seek(start)
        for done in range(0, length, _CHUNK):
            crc32 = zlib.crc32(self.take(min(_CHUNK, length - done), "the data"), crc32)
        return crc32


class MissingFileError(FileNotFoundError, MXNetError):
    """There is no such file; MXNet raises its own error then, Python this one."""


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[ByteReader]:
    """Open a file for parsing; refuses folders, devices and pipes, which have no size."""
    path = Path(path)
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise _missing(path) from error
    if not stat.S_ISREG(status.st_mode):
        raise FormatError(f"{str(path)!r} is not a file but a folder, a device or a pipe")
    with path.open("rb") as file:
        yield ByteReader(file, os.fstat(file.fileno()).st_size, repr(str(path)))


def _missing(path: Path) -> MissingFileError:
    hint = f"; there is no folder {str(path.parent)!r}"
    if path.parent.is_dir():
        hint = nearest(path.name, (item.name for item in path.parent.iterdir()))
    return MissingFileError(errno.ENOENT, f"there is no such file{hint}", str(path))


def tensor_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the elements of a tensor in C order as bytes, without a copy where possible."""
    if not tensor.numel():
        return memoryview(b"")
    whole = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return whole.reshape(-1).view(torch.uint8).numpy().data
