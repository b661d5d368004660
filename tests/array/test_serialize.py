"""`save` and `load` as the layers above call them, and what happens when the machine does not."""

import errno
import os
import subprocess
import sys
import threading

import pytest
import torch

from regluon.array import atomic
from regluon.array.atomic import SaveError
from regluon.array.serialize import load, load_metadata, save, strip_prefixes
from regluon.base import FormatError, MXNetError


NET = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.zeros(2)}


def test_the_suffix_chooses_the_format_and_the_argument_overrules_it(tmp_path):
    for name, format, start in [
        ("net.params", None, b"\x12\x01"),
        ("net.safetensors", None, None),
        ("net", None, None),
        ("other.params", "safetensors", None),
        ("net.bin", "params", b"\x12\x01"),
    ]:
        save(tmp_path / name, NET, format=format)
        raw = (tmp_path / name).read_bytes()
        assert raw.startswith(start) if start else raw[8:9] == b"{"
        assert load(tmp_path / name)["conv.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_unknown_formats_and_metadata_in_params_are_refused(tmp_path):
    with pytest.raises(MXNetError, match="did you mean 'safetensors'"):
        save(tmp_path / "net", NET, format="safetensor")
    with pytest.raises(MXNetError, match="no place for metadata"):
        save(tmp_path / "net.params", NET, metadata={"a": "b"})
    save(tmp_path / "net.params", NET)
    assert load_metadata(tmp_path / "net.params") == {}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (torch.ones(2), "a dict or a list of arrays, not Tensor"),
        ({1: torch.ones(2)}, "the name of an array must be a string, not 1"),
        ({"w": [1.0]}, "array 'w' is a list, not a tensor"),
        ([torch.ones(2), None], "array '1' is a NoneType"),
        ({"w": torch.ones(2).to_sparse()}, "array 'w' is sparse"),
        ({"w": torch.ones(2, device="meta")}, "array 'w' is .*without data"),
    ],
)
def test_what_is_no_array_is_refused_and_the_old_file_kept(tmp_path, arrays, message):
    (tmp_path / "net").write_bytes(b"old")
    with pytest.raises(TypeError, match=message):
        save(tmp_path / "net", arrays)
    assert (tmp_path / "net").read_bytes() == b"old"


def test_a_name_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(MXNetError, match="UTF-8"):
        save(tmp_path / "net.params", {"\ud800": torch.ones(1)})


def test_prefixes_of_exported_models_are_taken_off():
    one, two, three = torch.ones(1), torch.ones(2), torch.ones(3)
    plain = strip_prefixes({"arg:w": one, "aux:mean": two, "argument": three})
    assert plain == {"w": one, "mean": two, "argument": three}
    with pytest.raises(FormatError, match="two arrays are called 'w'"):
        strip_prefixes({"arg:w": one, "aux:w": two})


def test_a_missing_file_suggests_near_names(tmp_path):
    save(tmp_path / "resnet18.params", NET)
    with pytest.raises(FileNotFoundError, match=r"did you mean 'resnet18\.params'"):
        load(tmp_path / "resnet81.params")
    with pytest.raises(FileNotFoundError, match="there is no folder") as caught:
        load(tmp_path / "no" / "net.params")
    assert isinstance(caught.value, MXNetError)  # what programs for MXNet catch


def test_folders_and_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(FormatError, match="a folder, a device or a pipe"):
            load(path)


def test_loaded_tensors_are_the_callers_own(tmp_path):
    save(tmp_path / "net", NET)
    found = load(tmp_path / "net")
    found["conv.bias"] += 1
    (tmp_path / "net").write_bytes(b"")
    assert found["conv.bias"].tolist() == [1, 1]


@pytest.mark.parametrize("suffix", ["params", "safetensors"])
def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"net.{suffix}"
    save(path, NET)
    written = []

    def write(file, data):
        written.append(len(data))
        if sum(written) > 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data)

    real = os.write
    monkeypatch.setattr(atomic.os, "write", write)
    with pytest.raises(SaveError, match="No space left on device; the previous file is unchanged"):
        save(path, {"big": torch.ones(1000)})
    monkeypatch.undo()
    assert load(path)["conv.bias"].tolist() == [0, 0]
    assert list(tmp_path.iterdir()) == [path]


LIMITED = """
import resource, sys, torch
from regluon.array.atomic import SaveError
from regluon.array.serialize import load, save
path = sys.argv[1]
save(path, {"w": torch.ones(10)})
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    save(path, {"w": torch.ones(100_000)})
except SaveError as error:
    print(error)
assert load(path)["w"].shape == (10,)
"""


@pytest.mark.parametrize("suffix", ["params", "safetensors"])
def test_a_file_size_limit_keeps_the_old_file(tmp_path, suffix):
    path = tmp_path / f"net.{suffix}"
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "File too large; the previous file is unchanged" in result.stdout
    assert list(tmp_path.iterdir()) == [path]


# Each child saves without end until it is killed; the parent then reads what is there.
KILLED = """
import os, random, signal, sys, time, torch
from regluon.array.serialize import load, save
torch.set_num_threads(1)
path, draw, steps = sys.argv[1], random.Random(7), []
save(path, {"w": torch.zeros(50_000), "step": torch.tensor([0])})
for _ in range(25):
    child = os.fork()
    if child == 0:
        step = steps[-1] if steps else 0
        while True:
            step += 1
            save(path, {"w": torch.full((50_000,), float(step)), "step": torch.tensor([step])})
    time.sleep(draw.uniform(0.002, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = load(path)
    assert bool((found["w"] == found["step"]).all())
    steps.append(int(found["step"]))
assert steps == sorted(steps)
print(steps[-1])
"""


@pytest.mark.parametrize("suffix", ["params", "safetensors"])
def test_a_process_killed_while_it_saves_leaves_a_whole_file(tmp_path, suffix):
    path = tmp_path / f"net.{suffix}"
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 0


def test_threads_that_save_to_one_name_leave_one_whole_file(tmp_path):
    path = tmp_path / "net.safetensors"
    threads = [
        threading.Thread(target=save, args=(path, {"w": torch.full((50_000,), float(index))}))
        for index in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(load(path)["w"].tolist())) == 1
    assert list(tmp_path.iterdir()) == [path]
