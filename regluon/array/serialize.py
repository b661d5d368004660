"""Arrays to files and back, on torch tensors: one function to save, one that reads every format.

| format | read | written | without names | checksums |
|---|---|---|---|---|
| safetensors | yes | the default | yes | of every tensor |
| MXNet `.params`, all versions | yes | V2, V3 for arrays without dimensions | yes | none |
| NumPy `.npz`, `.npy` | yes | yes | `.npy`: one array | of every member of `.npz` |
"""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from regluon.array import file_kind, numpy_format, params_format, safetensors_format
from regluon.array.atomic import Sink, atomic_write
from regluon.array.payload import ByteReader, quoted, reading
from regluon.base import FormatError, MXNetError, nearest


Arrays = dict[str, torch.Tensor] | list[torch.Tensor]
FilePath = str | os.PathLike[str]

_FORMATS = ("safetensors", "params", "npz", "npy")
_PREFIXES = ("arg:", "aux:")


def load(path: FilePath, *, verify: bool = True) -> Arrays:
    """Return the arrays of a file by name, or as a list if they have no names.

    The format is told by the contents, never by the suffix: safetensors, MXNet `.params` of any
    version, `.npz`, `.npy` (a list of one). `verify=False` skips regluon's checksums in safetensors
    files. An MXNet file without arrays is an empty list. Nothing in the file is believed before it
    was checked: raises `FormatError` that names the byte and the field, or says what the file looks
    like and what to do; `FileNotFoundError` suggests near names.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(folder + "/one.safetensors", {"weight": torch.ones(2)})
    ...     load(folder + "/one.safetensors")
    {'weight': tensor([1., 1.])}
    """
    with reading(path) as reader:
        return _load(reader, verify)


def load_bytes(data: bytes, *, verify: bool = True) -> Arrays:
    """Return the arrays of a file whose bytes are in memory; see `load`."""
    return _load(ByteReader(io.BytesIO(data), len(data), "the buffer"), verify)


def kind_of(path: FilePath) -> str:
    """Return what the contents of a file are: safetensors, params, npy, or zip for `.npz`."""
    with reading(path) as reader:
        return _kind(reader)


def load_metadata(path: FilePath) -> dict[str, str]:
    """Return what `save(..., metadata=...)` stored; files of other formats have none."""
    with reading(path) as reader:
        if _kind(reader) != "safetensors":
            return {}
        _, metadata = safetensors_format.scan(reader)
        return safetensors_format.user_metadata(metadata)


def _kind(reader: ByteReader) -> str:
    head = reader.take(min(file_kind.HEAD, reader.size), "the beginning")
    reader.seek(0)
    kind = file_kind.kind(head, reader.size)
    if kind is None:
        raise FormatError(f"{reader.name}: {file_kind.describe(head, reader.size)}")
    return kind


def _load(reader: ByteReader, verify: bool) -> Arrays:
    kind = _kind(reader)
    if kind == "params":
        return params_format.read(reader)
    if kind == "npy":
        return [numpy_format.read_npy(reader)]
    if kind == "zip":
        return numpy_format.read_npz(reader.file, reader.size, reader.name)
    return safetensors_format.read(reader, verify=verify)


def save(
    path: FilePath,
    arrays: Mapping[str, torch.Tensor] | Sequence[torch.Tensor],
    *,
    format: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Save arrays with or without names, all or nothing; CPU copies of their values are written.

    `format` is `safetensors`, `params`, `npz` or `npy` (a list of one array); by default the suffix
    `.params` means MXNet's format and every other one safetensors. `metadata` (strings, safetensors
    only) comes back from `load_metadata`. The file is complete, read back and on the disk before it
    takes the name of the old one: see `regluon.array.atomic`. Raises `SaveError` if it cannot be
    written, `DTypeError` for a type the format lacks, `TypeError` for what is no array: the old
    file is unchanged.

    MXNet reads a `.params` file with an array without dimensions only under NumPy shapes.
    """
    format = format or ("params" if Path(path).suffix == ".params" else "safetensors")
    if format not in _FORMATS:
        raise MXNetError(f"unknown file format {format!r}{nearest(format, _FORMATS)}")
    named = _named(arrays)
    is_list = not isinstance(arrays, Mapping)
    if format == "safetensors":
        _save_safetensors(path, named, metadata or {}, is_list=is_list)
        return
    if metadata:
        raise MXNetError(f"the .{format} format has no place for metadata; save as safetensors")
    if format == "params":
        _save_params(path, named, [] if is_list else list(named))
    else:
        _save_numpy(path, named, archive=format == "npz")


def strip_prefixes(arrays: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the arrays without the `arg:` and `aux:` that MXNet's exported models put first.

    Raises `FormatError` if two names become one.

    >>> sorted(strip_prefixes({"arg:fc_weight": torch.ones(1), "aux:bn_mean": torch.ones(1)}))
    ['bn_mean', 'fc_weight']
    """
    plain = {}
    for name, tensor in arrays.items():
        short = name[4:] if name.startswith(_PREFIXES) else name
        if short in plain:
            raise FormatError(f"two arrays are called {quoted(short)} without 'arg:' and 'aux:'")
        plain[short] = tensor
    return plain


def _named(arrays: object) -> dict[str, torch.Tensor]:
    """Return the arrays by name, or by number where they have none, having looked at each."""
    if isinstance(arrays, Mapping):
        named = dict(arrays)
    elif isinstance(arrays, list | tuple):
        named = {str(index): tensor for index, tensor in enumerate(arrays)}
    else:
        raise TypeError(f"save takes a dict or a list of arrays, not {type(arrays).__name__}")
    for name, tensor in named.items():
        if not isinstance(name, str):
            raise TypeError(f"the name of an array must be a string, not {name!r}")
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise MXNetError(f"the array name {quoted(name)} cannot be stored as UTF-8") from None
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"array {quoted(name)} is a {type(tensor).__name__}, not a tensor")
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            raise TypeError(f"array {quoted(name)} is sparse, quantized or without data")
    return named


def _save_params(path: FilePath, named: dict[str, torch.Tensor], names: list[str]) -> None:
    for name, tensor in named.items():
        params_format.check_dtype(name, tensor)
    tensors = list(named.values())

    def write(sink: Sink) -> None:
        for part in params_format.encode(tensors, names):
            sink.write(part)

    def check(written: Path) -> None:
        with reading(written) as reader:
            params_format.scan(reader)

    atomic_write(path, write, check=check)


def _save_numpy(path: FilePath, named: dict[str, torch.Tensor], *, archive: bool) -> None:
    if not archive and len(named) != 1:
        raise MXNetError(f"a .npy file holds one array, not {len(named)}; save as .npz")
    arrays = numpy_format.as_numpy(named)

    def write(sink: Sink) -> None:
        if archive:
            numpy_format.write_npz(sink, arrays)
        else:
            numpy_format.write_npy(sink, *arrays.values())

    def check(written: Path) -> None:
        with reading(written) as reader:
            if archive:
                numpy_format.read_npz(reader.file, reader.size, reader.name)
            else:
                numpy_format.read_npy(reader)

    atomic_write(path, write, check=check)


def _save_safetensors(
    path: FilePath, named: dict[str, torch.Tensor], metadata: Mapping[str, str], *, is_list: bool
) -> None:
    safetensors_format.check_metadata(metadata, named)
    for name, tensor in named.items():
        safetensors_format.check_dtype(name, tensor)

    def write(sink: Sink) -> None:
        for part in safetensors_format.encode(named, metadata, is_list=is_list):
            sink.write(part)

    def check(written: Path) -> None:
        with reading(written) as reader:
            safetensors_format.check_file(reader)

    atomic_write(path, write, check=check)
