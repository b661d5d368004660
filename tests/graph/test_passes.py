import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from regluon.base import MXNetError
from regluon.graph import passes
from regluon.graph.passes.folding import hoisted
from regluon.graph.passes.memory import planned
from regluon.graph.program import python, source_of
from tests.graph.programs import (
    assert_close,
    assert_no_new_sharing,
    assert_same_bits,
    copied,
    count,
    inference,
    run,
    traced,
    training,
)


# What a random program may do next, to one or two of the values it has: new values, views of old
# ones, writes in place, random numbers, constants. All values are 3 x 3.
CONSTANT = torch.linspace(-1, 1, 9).reshape(3, 3)
STEPS = [
    lambda a, b: a + b,
    lambda a, b: a * b.tanh(),
    lambda a, b: torch.relu(a),
    lambda a, b: a.sigmoid(),
    lambda a, b: a.t(),
    lambda a, b: a.t().t(),
    lambda a, b: a.detach(),
    lambda a, b: a.clone(),
    lambda a, b: a.reshape(9).view(3, 3),
    lambda a, b: a[1].expand(3, 3),
    lambda a, b: a.softmax(1) @ b.softmax(0),
    lambda a, b: a.sum(0, keepdim=True) - b,
    lambda a, b: torch.where(a > b, a, b),
    lambda a, b: a.max(1, keepdim=True)[0] + b,
    lambda a, b: a + CONSTANT * 2,
    lambda a, b: torch.zeros(3, 3) + a,
    lambda a, b: a + torch.rand(3, 3),
    lambda a, b: torch.cat([a[:1], b[1:]]),
    lambda a, b: torch.nn.functional.dropout(a, 0.3),
]
WRITES = [
    lambda a, b: a.mul_(0.5),
    lambda a, b: a.relu_(),
    lambda a, b: a.copy_(b.clone()),
    lambda a, b: a.add_(b.clone()),
    lambda a, b: a[1].zero_(),
    lambda a, b: a.t()[0].fill_(0.25),
    lambda a, b: a.uniform_(),
]
KINDS = [*((step, False) for step in STEPS), *((write, True) for write in WRITES)]
PLANS = st.lists(
    st.tuples(st.integers(0, len(KINDS) - 1), st.integers(0, 7), st.integers(0, 7)),
    min_size=1,
    max_size=12,
)


def program(plan, outputs):
    def function(x, y, *fixed):
        values = [x, y, *fixed]
        for kind, first, second in plan:
            step, writes = KINDS[kind]
            a, b = values[-1 - first % len(values)], values[-1 - second % len(values)]
            if writes and 0 in a.stride():
                continue  # torch refuses to write elements that share a place
            result = step(a, b)
            if not writes:
                values.append(result)
        return [values[-1 - place % len(values)] for place in outputs]

    return function


INPUTS = [torch.rand(3, 3, generator=torch.Generator().manual_seed(i)) for i in range(3)]


@given(PLANS, st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_random_programs_keep_every_bit(plan, outputs):
    graph = traced(program(plan, outputs), *INPUTS[:2], fixed=INPUTS[2:])
    changed = passes.inference(graph, exact=True)
    for result in (changed, passes.training(graph, exact=True), planned(changed)):
        assert_same_bits(result, graph, INPUTS)
        assert_no_new_sharing(result, graph)
    prepare, main = hoisted(changed)
    fixed = copied(INPUTS[2:])
    torch.default_generator.manual_seed(7)
    early = run(prepare, *fixed)
    ours = run(main, *copied(INPUTS[:2]), *fixed, *early)
    torch.default_generator.manual_seed(7)
    expected = run(graph, *copied(INPUTS))
    assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))


@given(PLANS, st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_every_pass_alone_keeps_every_bit_of_random_programs(plan, outputs):
    graph = traced(program(plan, outputs), *INPUTS[:2], fixed=INPUTS[2:])
    for name, change in dict(passes.INFERENCE).items():
        if name not in passes.ROUNDING:
            assert_same_bits(change(graph), graph, INPUTS)


@given(PLANS, st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_generated_python_runs_random_programs_as_they_are(plan, outputs):
    graph = passes.inference(traced(program(plan, outputs), *INPUTS), exact=True)
    for each in (graph, planned(graph)):
        ours, theirs = copied(INPUTS), copied(INPUTS)
        torch.default_generator.manual_seed(7)
        found = python(each, source_of(each))(*ours)
        torch.default_generator.manual_seed(7)
        expected = run(graph, *theirs)
        for one, other in zip([*found, *ours], [*expected, *theirs], strict=True):
            assert torch.equal(one, other)


@given(PLANS, st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_float32_in_place_of_16_bits_keeps_every_bit_of_random_programs(plan, outputs):
    graph = traced(program(plan, outputs), *INPUTS[:2], fixed=INPUTS[2:])
    changed = passes.in_mixed_precision(graph, torch.float32)
    assert_same_bits(changed, graph, INPUTS)
    assert_no_new_sharing(changed, graph)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5))

    def forward(self, x):
        y = self.first(x)
        z = self.second(y)
        z += y
        return self.head(z.relu_())


X = torch.linspace(-1, 1, 2 * 3 * 10 * 10).reshape(2, 3, 10, 10)


def test_inference_equals_the_traced_program():
    net = Network().double().eval()
    graph, tensors = inference(net, X.double())
    assert_close(passes.inference(graph), graph, tensors)
    assert_same_bits(passes.inference(graph, exact=True), graph, tensors)
    graph, tensors = inference(net.float(), X)
    result = passes.inference(graph)
    assert_close(result, graph, tensors, 1e-5)
    _, main = hoisted(result)
    assert count(main, "mkldnn._convolution_pointwise") == 2
    assert count(main, "aten.native_batch_norm") == count(main, "aten.relu") == 0


def test_training_equals_the_traced_program():
    graph, tensors = training(Network().double(), X.double())
    assert_close(passes.training(graph), graph, tensors)
    assert_same_bits(passes.training(graph, exact=True), graph, tensors)
    graph, tensors = training(Network(), X)
    assert_close(passes.training(graph), graph, tensors, 1e-3)


def test_passes_are_left_out_by_name():
    graph, _ = inference(Network().eval(), X)
    result = passes.inference(graph, without=("fusion", "norms"))
    assert count(result, "aten.native_batch_norm") == 2
    with pytest.raises(MXNetError, match="no pass 'fussion'"):
        passes.inference(graph, without=("fussion",))
