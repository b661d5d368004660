"""Replacing files: every failure keeps the old one, every kill leaves the old or the new one."""

import errno
import os
import pickle
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regluon.array import atomic
from regluon.array.atomic import SaveError, Sink, atomic_write
from regluon.base import FormatError, MXNetError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes(b"old")
    return path


def assert_old_is_alone(path):
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def fail(code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return fail


def test_bytes_and_functions_are_written(tmp_path):
    atomic_write(tmp_path / "a", b"one")
    atomic_write(str(tmp_path / "a"), b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    atomic_write(tmp_path / "a", lambda sink: [sink.write(part) for part in (b"th", b"", b"ree")])
    assert (tmp_path / "a").read_bytes() == b"three"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_sink_counts_and_asks_again_after_a_part(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(atomic.os, "write", lambda file, data: real(file, bytes(data[:3])))
    lengths = []

    def write(sink):
        lengths.extend([sink.write(b"0123456789"), sink.write(bytearray(b"ab")), sink.length])

    atomic_write(tmp_path / "a", write)
    assert (tmp_path / "a").read_bytes() == b"0123456789ab"
    assert lengths == [10, 2, 12]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("call", ["open", "write", "fsync"])
def test_a_full_or_read_only_disk_keeps_the_old_file(path, monkeypatch, call, code):
    monkeypatch.setattr(atomic.os, call, fail(code))
    message = rf"could not save '.*run\.json': {os.strerror(code)}; the previous file is unchanged"
    with pytest.raises(SaveError, match=message) as caught:
        atomic_write(path, b"new")
    monkeypatch.undo()
    assert (caught.value.errno, caught.value.filename) == (code, str(path))
    assert_old_is_alone(path)


def test_a_disk_that_fills_up_in_the_middle_keeps_the_old_file(path):
    def write(sink):
        sink.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SaveError, match="No space left on device"):
        atomic_write(path, write)
    assert_old_is_alone(path)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EACCES])
def test_a_failed_rename_keeps_the_old_file(path, monkeypatch, code):
    monkeypatch.setattr(Path, "replace", fail(code))
    with pytest.raises(SaveError, match=os.strerror(code)):
        atomic_write(path, b"new")
    assert_old_is_alone(path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupted_writer_keeps_the_old_file(path, error):
    def write(sink):
        sink.write(b"half")
        raise error

    with pytest.raises(error):
        atomic_write(path, write)
    assert_old_is_alone(path)


def test_a_failed_self_check_keeps_the_old_file(path):
    def check(written):
        assert written.read_bytes() == b"new"
        raise FormatError("byte 0 is wrong")

    with pytest.raises(SaveError, match=r"not good: byte 0 is wrong; the previous file"):
        atomic_write(path, b"new", check=check)
    assert_old_is_alone(path)


def test_what_reads_back_differently_keeps_the_old_file(path, monkeypatch):
    monkeypatch.setattr(atomic, "_PAUSE", 0)
    real = os.write
    monkeypatch.setattr(atomic.os, "write", lambda file, data: real(file, b"x" * len(data)))
    with pytest.raises(SaveError, match="read back differs"):
        atomic_write(path, b"new")
    assert_old_is_alone(path)


def test_a_passing_input_output_error_is_tried_again(path, monkeypatch):
    monkeypatch.setattr(atomic, "_PAUSE", 0)
    calls = []

    def write(sink):
        calls.append(sink.write(b"new"))
        if len(calls) < 3:
            raise OSError(errno.EIO, "Input/output error")

    atomic_write(path, write)
    assert path.read_bytes() == b"new"
    assert calls == [3, 3, 3]
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(SaveError, match="Input/output error"):
        atomic_write(path, lambda sink: fail(errno.EIO)())


def test_the_order_of_the_steps_survives_a_power_cut(path, monkeypatch):
    steps = []
    real_write, real_fsync, real_replace = os.write, os.fsync, Path.replace

    def fsync(file):
        steps.append("fsync folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "fsync file")
        real_fsync(file)

    monkeypatch.setattr(atomic.os, "write", lambda *a: steps.append("write") or real_write(*a))
    monkeypatch.setattr(atomic.os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", lambda *a: steps.append("rename") or real_replace(*a))
    atomic_write(path, b"new", check=lambda written: steps.append("check"))
    assert steps == ["write", "fsync file", "check", "rename", "fsync folder"]


def test_a_folder_that_cannot_be_synced_is_reported_only_if_it_could_be(path, monkeypatch):
    real = os.fsync

    def fsync(code):
        return lambda file: (fail(code) if stat.S_ISDIR(os.fstat(file).st_mode) else real)(file)

    monkeypatch.setattr(atomic.os, "fsync", fsync(errno.EINVAL))
    atomic_write(path, b"new")
    monkeypatch.setattr(atomic.os, "fsync", fsync(errno.EIO))
    with pytest.raises(SaveError, match="the new file is in place, but"):
        atomic_write(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_permissions_and_links_are_kept(path):
    path.chmod(0o640)
    link = path.parent / "latest"
    link.symlink_to(path.name)
    atomic_write(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_follows_the_umask(tmp_path):
    atomic_write(tmp_path / "new", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_is_no_file_is_not_replaced(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "locked").write_bytes(b"old")
    (tmp_path / "loop").symlink_to("loop")
    for name, message in [
        (".", "there is a folder of this name"),
        ("pipe", "a device or a pipe"),
        ("no/such", "make the folder '.*no' first"),
        ("loop", "symbolic links"),
    ]:
        with pytest.raises(SaveError, match=message):
            atomic_write(tmp_path / name, b"new")
    monkeypatch.setattr(atomic.os, "access", lambda *args: False)
    with pytest.raises(SaveError, match="write-protected; the previous file is unchanged"):
        atomic_write(tmp_path / "locked", b"new")


def test_the_longest_name_is_no_problem(tmp_path):
    atomic_write(tmp_path / ("ü" * 127), b"new")


def test_what_a_killed_save_left_is_removed_when_it_is_old(path):
    ours, fresh, other = (
        path.parent / (atomic._temporary(path) + "1.tmp"),
        path.parent / (atomic._temporary(path) + "2.tmp"),
        path.parent / (atomic._temporary(path.parent / "other.json") + "3.tmp"),
    )
    for leftover in (ours, fresh, other):
        leftover.write_bytes(b"half")
    for leftover in (ours, other):
        os.utime(leftover, (time.time() - 7200,) * 2)
    atomic_write(path, b"new")
    assert set(path.parent.iterdir()) == {path, fresh, other}


def test_the_error_is_of_both_families_and_travels():
    error = SaveError(errno.ENOSPC, "No space left on device", "net.params")
    assert isinstance(error, OSError)
    assert isinstance(error, MXNetError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error) == "could not save 'net.params': No space left on device"


def test_a_sink_takes_multi_byte_items(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        sink = Sink(file.fileno())
        assert sink.write(memoryview(b"12345678").cast("I")) == 8


# Kills itself after the n-th line of atomic.py, for every n, in a forked child each.
KILLED = """
import os, signal, sys
from pathlib import Path
from regluon.array import atomic

path, old, new = Path(sys.argv[1]), b"old" * 9, b"new" * 999
source = atomic.__file__

def run(limit):
    left = [limit]
    def trace(frame, event, arg):
        if frame.f_code.co_filename != source:
            return None
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    atomic.atomic_write(path, lambda sink: [sink.write(new[:99]), sink.write(new[99:])])
    sys.settrace(None)

seen = {old: 0, new: 0}
for limit in range(1, 2000):
    path.write_bytes(old)
    child = os.fork()
    if child == 0:
        run(limit)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    seen[path.read_bytes()] += 1
    for leftover in path.parent.glob(".regluon-*"):
        leftover.unlink()
    if status == 0:
        break
assert status == 0 and [path] == list(path.parent.iterdir())
print(seen[old], seen[new])
"""


def test_a_kill_at_any_line_leaves_the_old_or_the_new_file(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "net")], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    old, new = map(int, result.stdout.split())
    assert old > 50
    assert new > 5
