"""What the error says about files that are often given in place of arrays."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile

import pytest
import torch

from regluon.array.serialize import load, load_metadata
from regluon.base import FormatError


def tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("net.params"))
    return buffer.getvalue()


def checkpoint(new):
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(1)}, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
CASES = {
    "empty": (b"", "empty.*interrupted"),
    "five bytes": (b"12345", "ends at byte 5"),
    "zeros": (bytes(600), "begins with zeros.*older copy"),
    "lfs": (LFS, r"Git LFS pointer: run `git lfs pull`"),
    "html": (b"\n<!DOCTYPE html><html><title>404</title></html>", "web page.*in place of the"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "web page"),
    "symbol": (json.dumps({"nodes": [], "heads": []}).encode(), r"JSON: an MXNet symbol.*\.params"),
    "index": (json.dumps({"weight_map": {}}).encode(), "JSON: the index of a model"),
    "json": (b"[1, 2, 3, 4, 5]", "JSON"),
    "text": (b"Entry not found\n", r"text that begins with 'Entry not found"),
    "new torch": (checkpoint(True), r"PyTorch checkpoint.*weights_only=True"),
    "old torch": (checkpoint(False), "old PyTorch checkpoint.*pickle, which can run code"),
    "pickle": (pickle.dumps({"w": [1.0] * 20}), "Python pickle: which can run code"),
    "gzip": (gzip.compress(bytes(99)), "gzip archive: unpack"),
    "bzip2": (bz2.compress(bytes(99)), "bzip2 archive: unpack"),
    "xz": (lzma.compress(bytes(99)), "xz archive: unpack"),
    "tar": (tar(), "tar archive: unpack"),
    "recordio": (b"\x0a\x23\xd7\xce" + bytes(range(20)), "RecordIO"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "HDF5"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(20), "PNG picture"),
    "noise": (bytes(range(200, 240)), "first bytes c8 c9 ca cb cc cd ce cf belong to no format"),
}


@pytest.mark.parametrize(("data", "message"), CASES.values(), ids=list(CASES))
def test_the_error_names_the_file_says_what_it_is_and_what_to_do(tmp_path, data, message):
    path = tmp_path / "net.params"
    path.write_bytes(data)
    for reader in (load, load_metadata):
        if data.startswith(b"PK") and reader is load_metadata:
            continue
        with pytest.raises(FormatError, match=rf"net\.params.*{message}"):
            reader(path)


class Payload:
    def __reduce__(self):
        return (exec, ("raise SystemExit('the pickle ran')",))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_never_runs(tmp_path, protocol):
    path = tmp_path / "trainer.states"
    path.write_bytes(pickle.dumps(Payload(), protocol))
    with pytest.raises(FormatError, match=r"trainer\.states"):
        load(path)
