"""DataLoader: errors that name the sample, hanging samples, and threads that always end."""

import gc
import itertools
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import regluon as mx
from regluon.base import ImageError, ShapeError
from regluon.gluon.data import (
    ArrayDataset,
    BatchError,
    DataLoader,
    Dataset,
    WorkerTimeoutError,
    loader as loader_module,
)


class Numbers(Dataset):
    """The numbers from 0 to 9, where `at` may do something else for each of them."""

    def __init__(self, at):
        self.at = at

    def __len__(self):
        return 10

    def __getitem__(self, idx):
        act = self.at.get(idx)
        return idx if act is None else act()

    def describe(self, idx):
        return f"file{idx}.jpg"


def threads():
    return [thread for thread in threading.enumerate() if "data loader" in thread.name]


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    assert not threads()


def raising(error):
    def act():
        raise error

    return act


def given(batches):
    return [batch.asnumpy().tolist() for batch in batches]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize(
    "error",
    [
        ImageError("torn"),
        ValueError("odd"),
        KeyError("key"),
        OSError(5, "I/O", "x"),
        ShapeError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_keeps_its_type_and_names_the_sample_at_its_batchs_turn(workers, error):
    loader = DataLoader(Numbers({5: raising(error)}), 2, num_workers=workers)
    batches = iter(loader)
    assert given([next(batches), next(batches)]) == [[0, 1], [2, 3]]
    with pytest.raises(type(error)) as caught:
        next(batches)
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert caught.value is error
    assert "while loading sample 5 (file5.jpg), batch 2 of epoch 0, in " in text
    assert ("of the data loader" if workers else "the caller's thread") in text
    assert caught.traceback[-1].name == "act"
    assert given(batches) == [[6, 7], [8, 9]]
    assert given(itertools.islice(loader, 2)) == [[0, 1], [2, 3]]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stop_iteration_of_a_dataset_does_not_end_the_epoch_silently(workers):
    loader = DataLoader(Numbers({3: raising(StopIteration(1))}), 2, num_workers=workers)
    with pytest.raises(mx.MXNetError, match=r"StopIteration was raised\n.*sample 3 \(file3.jpg\)"):
        list(loader)


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_that_do_not_fit_into_a_batch_are_named(workers):
    data = Numbers({4: lambda: np.zeros(2), 5: lambda: np.zeros(2), 6: lambda: np.zeros(2)})
    with pytest.raises(BatchError, match=r"shape \(2,\).*\n  at sample 7 \(file7.jpg\), batch 3"):
        list(DataLoader(data, 2, num_workers=workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_the_batchify_function_names_the_samples(workers):
    loader = DataLoader(
        list("abcde"), 2, batchify_fn=lambda items: 1 / (len(items) - 1), num_workers=workers
    )
    with pytest.raises(ZeroDivisionError, match=r"with samples 4, batch 2 of epoch 0"):
        list(loader)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_sampler_comes_at_its_turn(workers):
    def numbers():
        yield from range(4)
        raise LookupError("no more")

    batches = iter(DataLoader(Numbers({}), 2, sampler=numbers(), num_workers=workers))
    assert given([next(batches), next(batches)]) == [[0, 1], [2, 3]]
    with pytest.raises(LookupError, match="no more"):
        next(batches)
    assert list(batches) == []


def test_a_sampler_of_something_else_than_integers_is_an_error():
    with pytest.raises(TypeError, match="str"):
        list(DataLoader({"a": 1}, 1, sampler=["a"]))


def test_a_description_that_fails_does_not_hide_the_error():
    class Broken(Numbers):
        def describe(self, idx):
            raise RuntimeError("describe")

    with pytest.raises(ValueError, match="while loading sample 0, batch 0"):
        list(DataLoader(Broken({0: raising(ValueError("odd"))}), 2, num_workers=1))


@pytest.mark.parametrize("leave", ["break", "error", "delete", "close", "with", "collect"])
def test_threads_end_when_an_iteration_is_left(leave):
    loader = DataLoader(Numbers({}), 1, num_workers=3)
    if leave == "break":
        for _ in loader:
            assert len(threads()) == 3
            break
    elif leave == "error":
        try:
            for _ in loader:
                raise RuntimeError("body")
        except RuntimeError:
            pass
    elif leave == "with":
        with loader:
            batches = iter(loader)
            assert len(threads()) == 3
    else:
        batches = iter(loader)
        next(batches)
        if leave == "close":
            loader.close()
            assert list(batches) == []
        elif leave == "collect":
            cycle = [batches]
            cycle.append(cycle)
            del cycle, batches
            gc.collect()
        else:
            del batches
    assert not threads()
    assert given(loader) == [[i] for i in range(10)]


def test_the_end_of_an_epoch_ends_its_threads_at_once():
    batches = iter(DataLoader(Numbers({}), 4, num_workers=2))
    assert len(list(batches)) == 3
    assert not threads()
    batches.close()


def test_at_most_prefetch_and_one_more_batches_exist_ahead():
    made = []

    class Counted(Numbers):
        def __getitem__(self, idx):
            made.append(idx)
            return idx

    with DataLoader(Counted({}), 1, num_workers=1, prefetch=2) as loader:
        batches = iter(loader)
        deadline = time.monotonic() + 5
        while len(made) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert made == [0, 1]
        next(batches)
        while len(made) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert made == [0, 1, 2]


def test_a_hanging_sample_is_named_and_the_loader_goes_on_when_it_comes():
    release = threading.Event()
    loader = DataLoader(Numbers({3: lambda: release.wait() and 3}), 2, num_workers=2, timeout=0.5)
    batches = iter(loader)
    next(batches)
    with pytest.raises(WorkerTimeoutError) as caught:
        next(batches)
    message = str(caught.value)
    assert "batch 1 of epoch 0 has not come within 0.5 s" in message
    assert "worker " in message
    assert re.search(r"has been at sample 3 \(file3.jpg\) for \d+\.\d s:\n", message)
    assert "release.wait()" in message
    assert isinstance(caught.value, TimeoutError)
    release.set()
    assert given(batches) == [[2, 3], [4, 5], [6, 7], [8, 9]]


def test_closing_while_a_sample_hangs_returns_and_says_so(monkeypatch):
    monkeypatch.setattr(loader_module, "PATIENCE", 0.1)
    begun, release = threading.Event(), threading.Event()
    act = {0: lambda: begun.set() or release.wait()}
    batches = iter(DataLoader(Numbers(act), 1, num_workers=1))
    begun.wait()
    with pytest.warns(RuntimeWarning, match="but still\nworker 0 .* at sample 0"):
        batches.close()
    release.set()
    threads()[0].join()


def test_closing_after_a_timeout_does_not_wait_again():
    release = threading.Event()
    batches = iter(DataLoader(Numbers({0: release.wait}), 1, num_workers=1, timeout=0.1))
    with pytest.raises(WorkerTimeoutError):
        next(batches)
    start = time.monotonic()
    batches.close()
    assert time.monotonic() - start < 1
    release.set()
    threads()[0].join()


def test_an_interrupt_ends_the_wait_and_the_threads():
    release = threading.Event()

    def act():
        os.kill(os.getpid(), signal.SIGINT)
        release.wait(0.3)

    def iterate():
        for _ in DataLoader(Numbers({0: act}), 1, num_workers=1):
            release.wait()

    with pytest.raises(KeyboardInterrupt):
        iterate()
    assert not threads()


@pytest.mark.parametrize("end", ["raise SystemExit(3)", "os.kill(os.getpid(), signal.SIGINT)"])
def test_the_interpreter_ends_with_a_loader_at_work(end):
    program = f"""
        import os, signal
        import regluon as mx
        from regluon.gluon.data import DataLoader, SimpleDataset
        data = SimpleDataset(range(1000)).transform(lambda x: mx.nd.ones((2,)) * x)
        batches = iter(DataLoader(data, 1, num_workers=3))
        print(next(batches).shape, flush=True)
        {end}
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        timeout=50,
        text=True,
    )
    assert run.stdout == "(1, 2)\n"
    assert run.returncode == (3 if end.startswith("raise") else -signal.SIGINT)
    assert ("KeyboardInterrupt" in run.stderr) == end.startswith("os")
    assert "Fatal" not in run.stderr


def test_many_epochs_leave_nothing_behind():
    loader = DataLoader(ArrayDataset([1, 2, 3], [4, 5, 6]), 2, num_workers=2)
    files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(200):
        for _ in loader:
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == files
    left = [thing for thing in gc.get_objects() if type(thing) is loader_module.Batches]
    assert not [batches for batches in left if batches._loader is loader]
