"""Programs as CUDA graphs, recorded by a device that only remembers what to run again."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from regluon.graph.launch import Launch, launchable
from regluon.graph.node import Graph
from regluon.graph.program import Program
from regluon.graph.trace import Trace


class FakeDevice:
    """Stands for `torch.cuda`: recording runs on copies, replaying runs for good, in one memory."""

    def __init__(self, program: Program, refuses: bool = False) -> None:
        self.program = program
        self.recording: list[object] = []
        self.made = self.replayed = 0
        self.refuses = refuses

    def CUDAGraph(self) -> "FakeDevice":
        self.made += 1
        return self

    @contextmanager
    def graph(self, graph: "FakeDevice", capture_error_mode: str):
        assert capture_error_mode == "thread_local"
        if self.refuses:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.recording = [None]
        yield
        self.recording = []

    def run(self, *tensors):
        if not self.recording:
            return self.program.run(*tensors)
        self.given = tensors
        self.results = self.program.run(*[tensor.clone() for tensor in tensors])
        return self.results

    def replay(self) -> None:
        self.replayed += 1
        for own, found in zip(self.results, self.program.run(*self.given), strict=True):
            own.copy_(found)


def counting() -> Graph:
    """Return the program of y = x * w, which also adds y's sum to a running total."""
    trace = Trace()
    given = [torch.ones(3), torch.full((3,), 2.0), torch.zeros(())]
    inputs = trace.inputs(given, ["x", "w", "total"])
    with trace:
        y = given[0] * given[1]
        given[2].add_(y.sum())
    return trace.graph(inputs, [y], [inputs[1]])


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice(Program(counting()))


def test_each_call_has_results_of_its_own_and_writes_once(device: FakeDevice) -> None:
    launch = Launch(counting(), device.run, device)
    w, total = torch.full((3,), 2.0), torch.zeros(())
    found = [launch(torch.full((3,), float(i)), w, total)[0] for i in range(4)]
    assert [y.tolist() for y in found] == [[2.0 * i] * 3 for i in range(4)]
    assert total.item() == sum(6 * i for i in range(4))
    assert (device.made, device.replayed) == (1, 4)


def test_a_parameter_may_change_in_place_and_is_found_again_elsewhere(device: FakeDevice) -> None:
    launch = Launch(counting(), device.run, device)
    w, total, x = torch.full((3,), 2.0), torch.zeros(()), torch.ones(3)
    launch(x, w, total)
    w.fill_(5)
    assert launch(x, w, total)[0].tolist() == [5, 5, 5]
    assert device.made == 1
    assert launch(x, torch.full((3,), 7.0), total)[0].tolist() == [7, 7, 7]
    assert device.made == 2
    assert total.item() == 3 * (2 + 5 + 7)


def test_a_program_of_arguments_alone_is_launched() -> None:
    trace, x = Trace(), torch.ones(3)
    inputs = trace.inputs([x], ["x"])
    with trace:
        y = torch.exp(x)
    graph = trace.graph(inputs, [y])
    device = FakeDevice(Program(graph))
    launch = Launch(graph, device.run, device)
    for value in (0.0, 1.0):
        assert torch.equal(launch(torch.full((3,), value))[0], torch.full((3,), value).exp())
    assert (device.made, device.replayed) == (1, 2)


def test_what_cannot_be_recorded_runs_as_ever(device: FakeDevice) -> None:
    device.refuses = True
    launch = Launch(counting(), device.run, device)
    w, total = torch.full((3,), 2.0), torch.zeros(())
    for _ in range(3):
        assert launch(torch.ones(3), w, total)[0].tolist() == [2, 2, 2]
    assert total.item() == 18
    assert (device.made, device.replayed) == (1, 0)


def test_only_a_program_that_is_on_the_device_and_draws_nothing_is_launched() -> None:
    graph = counting()
    assert launchable(graph, "cpu")
    assert not launchable(graph)
    trace, x = Trace(), torch.ones(3)
    inputs = trace.inputs([x], ["x"])
    with trace:
        y = torch.bernoulli(x)
    assert not launchable(trace.graph(inputs, [y]), "cpu")
    assert not launchable(replace(graph, inputs=(), nodes=(), outputs=()), "cpu")


@pytest.mark.gpu
def test_a_launched_program_is_equal_on_a_gpu() -> None:
    trace = Trace()
    x, w, total = (torch.rand(64, 64, device="cuda") for _ in range(3))
    inputs = trace.inputs([x, w, total], ["x", "w", "total"])
    with trace:
        y = torch.relu(x @ w)
        total.add_(y)
    graph = trace.graph(inputs, [y], [inputs[1]])
    program, plain = Program(graph, static=True, launched=True), Program(graph)
    sums = torch.zeros_like(total), torch.zeros_like(total)
    for _ in range(4):
        x = torch.rand_like(x)
        assert torch.equal(program.run(x, w, sums[0])[0], plain.run(x, w, sums[1])[0])
    assert torch.equal(*sums)
