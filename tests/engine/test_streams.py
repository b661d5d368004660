"""Device streams, driven by ones that only write down what happens: no GPU is needed."""

from contextlib import contextmanager

import pytest
import torch

import regluon as mx
from regluon.context import cpu
from regluon.engine import ThreadedEngine, Var
from regluon.engine.streams import find


class FakeEvent:
    def __init__(self, log: list[str], name: str) -> None:
        self.log = log
        self.name = name

    def synchronize(self) -> None:
        self.log.append(f"host waits for {self.name}")


class FakeStream:
    """What CudaStream does, in words."""

    def __init__(self, log: list[str], name: str, beside: bool) -> None:
        self.log = log
        self.handle = name
        self.beside = beside

    @contextmanager
    def use(self):
        self.log.append(f"on {self.handle}:")
        yield

    def record(self) -> FakeEvent:
        return FakeEvent(self.log, self.handle)

    def wait(self, event: FakeEvent) -> None:
        self.log.append(f"{self.handle} waits for {event.name}")

    def wait_for_default(self) -> None:
        self.log.append(f"{self.handle} waits for compute")


class Kept(Var):
    """A variable that notes who keeps its memory."""

    __slots__ = ("log",)

    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log

    def keep_for(self, stream: str) -> None:
        self.log.append(f"kept for {stream}")


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def engine(log: list[str]):
    def find_stream(ctx, kind):
        if kind == "io":
            return None
        return FakeStream(log, kind, beside=kind != "compute")

    engine = ThreadedEngine(cores=1, find_stream=find_stream)
    yield engine
    engine.stop()


def test_a_copy_waits_for_computing_and_computing_waits_for_the_copy_on_the_device(engine, log):
    x, y = Kept(log), Kept(log)
    engine.push(lambda: log.append("make x"), [], [x], cpu())
    engine.push(lambda: log.append("copy"), [x], [y], cpu(), kind="copy from gpu(0)")
    engine.push(lambda: log.append("use y"), [y], [Var()], cpu())
    engine.wait_all()
    assert log == [
        "on compute:",
        "make x",
        "copy from gpu(0) waits for compute",
        "on copy from gpu(0):",
        "copy",
        "kept for copy from gpu(0)",
        "kept for copy from gpu(0)",
        "compute waits for copy from gpu(0)",
        "kept for compute",
        "on compute:",
        "use y",
    ]


def test_computing_alone_records_and_waits_for_nothing(engine, log):
    x = Kept(log)
    for name in "ab":
        engine.push(lambda name=name: log.append(name), [x], [x], cpu())
    engine.wait_for_var(x)
    assert log == ["on compute:", "a", "on compute:", "b"]


def test_the_host_waits_for_the_copy_that_it_reads(engine, log):
    y = Kept(log)
    engine.push(lambda: None, [], [y], cpu(), kind="copy from gpu(0)")
    engine.wait_for_var(y)
    assert log[-1] == "host waits for copy from gpu(0)"


def test_a_lane_without_a_stream_waits_on_the_host(engine, log):
    y = Kept(log)
    engine.push(lambda: None, [], [y], cpu(), kind="copy from gpu(0)")
    engine.push(lambda: log.append("write the file"), [y], [], cpu(), kind="io")
    engine.wait_all()
    assert log[-2:] == ["host waits for copy from gpu(0)", "write the file"]


def test_cpu_lanes_have_no_streams():
    for kind in ("compute", "io", "copy from cpu(1)"):
        assert find(cpu(), kind) is None


@pytest.mark.gpu
def test_a_copy_to_the_gpu_and_back_beside_computing():
    previous = mx.engine.set_type("ThreadedEngine")
    try:
        host = mx.nd.random.uniform(shape=(2000, 2000))
        device = host.as_in_context(mx.gpu())
        y = device
        for _ in range(5):
            y = mx.nd.dot(y, device) / 1000
        back = (y + device).as_in_context(mx.cpu())
        want = t = host.to_torch().double()
        for _ in range(5):
            want = want @ t / 1000
        assert torch.allclose(back.to_torch().double(), want + t, rtol=1e-2)
    finally:
        mx.engine.set_type(previous)
