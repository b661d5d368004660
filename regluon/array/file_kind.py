"""What a file is, by its first bytes; and what to do about a file that holds no arrays."""

from regluon.array import params_format


HEAD = 512  # how many bytes of the beginning the functions below want to see

_NPY = b"\x93NUMPY"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PICKLE = "which can run code and is never read; save its arrays as safetensors or .npz instead"
_UNPACK = "unpack it and load the files inside"
_SHORT = 80  # characters of a text file that a message quotes

# First bytes, what such a file is, what to do.
_LOOKALIKES = (
    (b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull` to get the real file"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9", "an old PyTorch checkpoint", f"a pickle, {_PICKLE}"),
    (b"\x80\x02", "a Python pickle", _PICKLE),
    (b"\x80\x03", "a Python pickle", _PICKLE),
    (b"\x80\x04", "a Python pickle", _PICKLE),
    (b"\x80\x05", "a Python pickle", _PICKLE),
    (b"\0\0\0\0\0\0\x01\x12", "a big-endian MXNet file", "save it on a little-endian machine"),
    (b"\x0a\x23\xd7\xce", "an MXNet RecordIO file", "it holds records, not arrays"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)", "convert it to safetensors or .npz first"),
    (b"GGUF", "a GGUF model", "convert it to safetensors first"),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"\x89PNG", "a PNG picture", "read pictures with regluon.image"),
    (b"\xff\xd8\xff", "a JPEG picture", "read pictures with regluon.image"),
)


def kind(head: bytes, size: int) -> str | None:
    """Return `params`, `safetensors`, `npy` or `zip` for a file that may hold arrays, else None."""
    magic = params_format.MAGIC
    if head.startswith(magic) or (0 < size < len(magic) and magic.startswith(head)):
        return "params"
    if head.startswith(_NPY):
        return "npy"
    if head.startswith(_ZIP):
        return "zip"
    # The header's length comes first; no length in use reaches its last byte.
    if head[7:9] == b"\0{":
        return "safetensors"
    return None


def describe(head: bytes, size: int) -> str:
    """Say what a file that holds no arrays looks like, and what to do about it."""
    if not size:
        return "the file is empty: saving or downloading it was interrupted; get it again"
    if size <= 8:
        return f"the file ends at byte {size}, before any format can be told; get it again"
    if not head.strip(b"\0"):
        return (
            "the file begins with zeros: the machine probably stopped before its data reached "
            "the disk; use an older copy"
        )
    for prefix, looks, advice in _LOOKALIKES:
        if head.startswith(prefix):
            return f"it looks like {looks}: {advice}"
    if head[257:262] == b"ustar":
        return f"it looks like a tar archive: {_UNPACK}"
    return _describe_text(head)


def _describe_text(head: bytes) -> str:
    text = head.decode("utf-8", errors="ignore").lstrip("\ufeff \t\r\n")
    low = text.lower()
    if low.startswith(("<!doctype html", "<html", "<?xml", "<error")):
        return (
            "it looks like a web page (HTML or XML), probably an error message in place of the "
            "download: open its address in a browser to see why"
        )
    if text.startswith(("{", "[")):
        return f"it looks like JSON: {_json_advice(text)}"
    if text and all(char.isprintable() or char.isspace() for char in text):
        return f"it looks like text that begins with {text[:_SHORT]!r}"
    return (
        f"its first bytes {head[:8].hex(' ')} belong to no format that is read: safetensors, "
        "MXNet .params, .npz and .npy"
    )


def _json_advice(text: str) -> str:
    if '"nodes"' in text:
        return "an MXNet symbol; its arrays are in the .params file saved beside it"
    if '"weight_map"' in text:
        return "the index of a model in several files; load the files that it lists"
    return "load the file that holds the arrays instead"
