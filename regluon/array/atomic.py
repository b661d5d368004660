"""Files are replaced as a whole: the old content or the new, never a part, never neither.

    write to a temporary file in the same folder [1], fsync it [2], read it back and compare [3],
    give it the final name [4], fsync the folder [5]

A failure or a kill before [4] leaves the old file untouched; [4] is one step of the file system.
"""

import contextlib
import errno
import os
import secrets
import stat
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from regluon.base import FormatError, MXNetError


class SaveError(OSError, MXNetError):
    """A file could not be saved; the file that had the name before is unchanged.

    `errno` is the system's reason (`errno.ENOSPC` for a full disk), `strerror` the words for it and
    `filename` the file.
    """

    def __str__(self) -> str:
        return f"could not save {self.filename!r}: {self.strerror}"


class Sink:
    """What a writer gets: `write` appends bytes to the temporary file, `length` counts them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.length = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append all bytes of `data` and return how many they are."""
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            done += os.write(self._descriptor, view[done:])
        self.length += done
        return done

    def flush(self) -> None:
        """Do nothing: nothing is held back. Zip archives ask for it."""


Content = bytes | Callable[[Sink], object]
Check = Callable[[Path], object]

# EIO on network storage is often gone a moment later; the others say "try again" by name.
_TRANSIENT = {errno.EIO, errno.EAGAIN, errno.ESTALE}
_ATTEMPTS = 3
_PAUSE = 0.1  # seconds before the second attempt, doubled before the third
_STALE = 3600.0  # seconds without a write after which a temporary file has lost its writer


def atomic_write(
    path: str | os.PathLike[str], content: Content, *, check: Check | None = None
) -> None:
    """Write `content` to `path` so that the old file stays whole until the new one is complete.

    `content` is bytes, or a function that is given a `Sink` and calls its `write`; it is called
    again where the storage reports a passing error (EIO). `check` is given the path of the finished
    temporary file and raises if it is not good; without it bytes are compared as a whole, a
    function's output by its length. A link is followed; the permissions of an existing file are
    kept. Raises `SaveError`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     atomic_write(folder + "/settings.json", b"{}")
    ...     Path(folder, "settings.json").read_bytes()
    b'{}'
    """
    given = Path(path)
    target = Path(os.path.realpath(given))
    try:
        mode = _mode(target)
        _remove_leftovers(target)
        _write_patiently(target, content, mode, check)
    except (OSError, FormatError) as error:
        raise _failure(given, error) from error
    try:
        _sync_folder(target.parent)
    except OSError as error:
        words = f"{error.strerror}: the new file is in place, but it may not survive a power cut"
        raise SaveError(error.errno, words, str(given)) from error


def _failure(path: Path, error: OSError | FormatError) -> SaveError:
    code, words = errno.EIO, f"what was written is not good: {error}"
    if isinstance(error, OSError):
        code, words = error.errno or errno.EIO, error.strerror or str(error)
    if not path.parent.is_dir():
        words = f"{words}; make the folder {str(path.parent)!r} first"
    elif path.is_file():
        words = f"{words}; the previous file is unchanged"
    return SaveError(code, words, str(path))


def _write_patiently(target: Path, content: Content, mode: int | None, check: Check | None) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            _write_once(target, content, mode, check)
        except OSError as error:
            if attempt == _ATTEMPTS - 1 or error.errno not in _TRANSIENT:
                raise
            time.sleep(_PAUSE * 2**attempt)
        else:
            break


def _mode(target: Path) -> int | None:
    """Return the permissions that the new file takes over, or refuse what must not be replaced."""
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, "there is a folder of this name")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is a device or a pipe, not a file")
    if not os.access(target, os.W_OK):
        raise OSError(errno.EACCES, "the file is write-protected")
    return stat.S_IMODE(status.st_mode)


def _temporary(target: Path) -> str:
    """Return the part of a temporary file's name that says whose it is; short for any name."""
    return f".regluon-{zlib.crc32(os.fsencode(target.name)):08x}-"


def _remove_leftovers(target: Path) -> None:
    """Remove what a killed save of the same file left behind.

    A writer that is alive after all only fails then, because its rename finds no file.
    """
    prefix = _temporary(target)
    # A folder that cannot be listed, or a file that somebody else removes first, stops no save.
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and time.time() - entry.stat().st_mtime > _STALE:
                Path(entry.path).unlink(missing_ok=True)


def _write_once(target: Path, content: Content, mode: int | None, check: Check | None) -> None:
    temporary = target.parent / f"{_temporary(target)}{secrets.token_hex(4)}.tmp"
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            sink = Sink(descriptor)
            if isinstance(content, bytes):
                sink.write(content)
            else:
                content(sink)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if check is None:
            _compare(temporary, content, sink.length)
        else:
            check(temporary)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _compare(path: Path, content: Content, written: int) -> None:
    good = path.stat().st_size == written
    if isinstance(content, bytes):
        good = good and path.read_bytes() == content
    if not good:
        raise OSError(errno.EIO, "what was read back differs from what was written")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a folder; there a rename is durable by itself.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
