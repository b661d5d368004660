"""The C++ replay against the plain interpretation of a graph: a loop that calls its nodes."""

import gc
import itertools
import threading
from pathlib import Path

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional

from regluon.base import MXNetError
from regluon.graph import native
from regluon.graph.node import Graph, Node, Site, Value, mapped, meta_of
from regluon.graph.trace import Trace


aten = torch.ops.aten


# The first test may wait for the compiler, which is slow on a busy machine.
pytestmark = [pytest.mark.usefixtures("library"), pytest.mark.timeout(300)]


def interpreted(graph, *args):
    known = dict(zip(graph.inputs, args, strict=True)) | graph.constants
    with torch.no_grad():
        for node in graph.nodes:
            args = mapped(node.args, known.__getitem__)
            result = node.target(*args, **mapped(node.kwargs, known.__getitem__))
            results = result if isinstance(result, (list, tuple)) else (result,)
            known |= {v: r for v, r in zip(node.outputs, results, strict=False) if v is not None}
    return tuple(None if value is None else known[value] for value in graph.outputs)


def traced(function, *args):
    trace = Trace()
    inputs = trace.inputs(args, [f"x{place}" for place in range(len(args))])
    with trace, torch.no_grad():
        results = function(*args)
    return trace.graph(inputs, results if isinstance(results, (list, tuple)) else (results,))


def copies(args):
    return [arg.detach().clone() if isinstance(arg, torch.Tensor) else arg for arg in args]


def same(one, other):
    assert len(one) == len(other)
    for first, second in zip(one, other, strict=True):
        if first is None or second is None:
            assert first is second
        else:
            torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)
            assert first.stride() == second.stride()


def check(graph, *args):
    """Both ways give equal results and leave equal arguments behind."""
    run = native.replay(graph)
    given, expected = copies(args), copies(args)
    wanted = interpreted(graph, *expected)
    same(run(*given), wanted)
    tensors = [[a for a in all_ if isinstance(a, torch.Tensor)] for all_ in (given, expected)]
    same(*tensors)
    return run


def joint(function, *args, live=None):
    """Trace a function of tensors together with its gradients for the first `live` of them."""
    args = [arg.detach().requires_grad_(i < (live or 99)) for i, arg in enumerate(args)]
    trace = Trace()
    inputs = trace.inputs(args, [f"x{place}" for place in range(len(args))])
    with trace, torch.enable_grad():
        result = function(*args)
        live = [arg for arg in args if arg.requires_grad]
        gradients = torch.autograd.grad(result.sum(), live, allow_unused=True)
    return trace.graph(inputs, (result, *gradients)), args


def mlp(x, w1, b1, w2, b2):
    return functional.linear(torch.relu(functional.linear(x, w1, b1)), w2, b2)


def weights(*sizes):
    pairs = itertools.pairwise(sizes)
    return [torch.randn(shape) for size, out in pairs for shape in ((out, size), (out,))]


def test_a_network_with_its_gradients_is_computed_bit_for_bit():
    graph, args = joint(mlp, torch.randn(5, 7), *weights(7, 9, 3))
    check(graph, *args)


def test_convolution_and_batch_norm_in_training_write_their_statistics():
    def net(x, weight, gain, shift, mean, var):
        y = functional.conv2d(x, weight, padding=1, stride=2)
        return torch.relu(functional.batch_norm(y, mean, var, gain, shift, training=True))

    graph, args = joint(
        net, torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3), torch.ones(4), torch.zeros(4),
        torch.zeros(4), torch.ones(4), live=4,
    )  # fmt: skip
    check(graph, *args)


def test_what_is_written_has_a_higher_version_afterwards():
    def update(weight, gradient):
        weight.view(-1).add_(gradient, alpha=-0.1)
        return weight * 1

    weight = torch.ones(2, 3)
    run = check(traced(update, weight.clone(), torch.ones(6)), weight, torch.ones(6))
    before = weight._version
    run(weight, torch.ones(6))
    assert weight._version > before


def test_random_numbers_come_from_the_generator_that_is_given():
    generator = torch.Generator()
    x, g = Value("x", meta_of(torch.ones(3))), Value("g")
    out = Value("out")
    node = Node(aten.bernoulli.default, (x,), {"generator": g}, (out,))
    run = native.replay(Graph((x, g), (node,), (out,)))
    half = torch.full((50,), 0.5)
    (found,) = run(half, generator.manual_seed(7))
    same([found], [torch.bernoulli(half, generator=torch.Generator().manual_seed(7))])
    (other,) = run(half, generator)
    assert not torch.equal(found, other)


def test_lists_optional_arguments_and_numbers_for_tensors():
    def lists(x, y, index):
        joined = torch.cat([x, y, x], dim=1)
        joined = aten.index_put(joined, [None, index], y.new_ones(()), True)
        first, second = joined.split([2, 4], dim=1)
        picked = second[:, index]
        return first * 2.5 + 1, picked, torch.stack([x, y]).sum([0, 2], dtype=torch.float64)

    args = (torch.randn(3, 2), torch.randn(3, 2), torch.tensor([0, 2]))
    check(traced(lists, *args), *args)


def test_a_number_does_not_change_the_dtype():
    x = torch.ones(3, dtype=torch.bfloat16)
    i = torch.arange(3, dtype=torch.int8)
    run = check(traced(lambda x, i: (x * 1.5, i + 2, i * 2.5, i > 1), x, i), x, i)
    assert [t.dtype for t in run(x, i)[:2]] == [torch.bfloat16, torch.int8]


def test_outputs_may_be_inputs_constants_none_and_the_same_twice():
    constant = torch.arange(3.0)
    x = torch.ones(3)
    graph = traced(lambda x: (x, x + constant), x)
    total = graph.outputs[1]
    (value,) = graph.constants
    graph = graph.with_nodes(graph.nodes, (*graph.outputs, None, total, value))
    run = check(graph, x)
    given, _, nothing, _, same_constant = run(x)
    assert given is x
    assert nothing is None
    assert same_constant.data_ptr() == constant.data_ptr()


def test_operators_in_place_work_on_values_of_the_program():
    def steps(x):
        y = x * 2
        y.add_(1)
        view = y[1:]
        view.mul_(3)
        torch._foreach_add_([y], 1.0)
        return y, torch.max(x, dim=0).values, functional.max_pool1d(x[None, None], 2)

    check(traced(steps, torch.arange(4.0)), torch.arange(4.0))


def test_python_functions_run_in_between_with_gradients_off():
    seen = []
    trace = Trace()
    x = torch.ones(3)
    inputs = trace.inputs([x], ["x"])
    with trace:
        y = x + 1
        trace.opaque(lambda t, more: seen.append((t.sum().item(), more[0].shape)), y, [x])
        z = y * 2
    run = native.replay(trace.graph(inputs, [z]))
    seen.clear()
    assert run(torch.zeros(3))[0].tolist() == [2, 2, 2]
    assert seen == [(3.0, (3,))]


def test_a_python_function_may_give_tensors_back():
    x, y, z = Value("x", meta_of(torch.ones(2))), Value("y"), Value("z")

    def both(tensor, *, scale):
        assert not torch.is_grad_enabled()
        return tensor * scale, [tensor + 1]

    node = Node(both, (x,), {"scale": 3}, (y, z))
    run = native.replay(Graph((x,), (node,), (z, y)))
    assert [t.tolist() for t in run(torch.ones(2))] == [[2, 2], [3, 3]]


def test_an_error_names_the_operator_the_line_and_the_block():
    graph = traced(lambda x, y: x @ y, torch.ones(2, 3), torch.ones(3, 2))
    node = Node(*(getattr(graph.nodes[0], f) for f in ("target", "args", "kwargs", "outputs")),
                Site("net.py:12", "dense0"))  # fmt: skip
    run = native.replay(graph.with_nodes([node]))
    with pytest.raises(RuntimeError, match=r"mat1.*\n.*aten.mm.default at dense0 · net.py:12"):
        run(torch.ones(2, 3), torch.ones(2, 3))
    assert run(torch.ones(2, 3), torch.ones(3, 2))[0].sum() == 12


def test_an_error_of_a_python_function_stays_what_it_is():
    class OwnError(MXNetError):
        pass

    def fail(tensor):
        raise OwnError("no")

    x = Value("x", meta_of(torch.ones(2)))
    run = native.replay(Graph((x,), (Node(fail, (x,), {}, (), Site("a.py:1")),), (x,)))
    with pytest.raises(OwnError, match="no") as caught:
        run(torch.ones(2))
    assert caught.value.__notes__ == ["in fail at a.py:1"]


@pytest.mark.parametrize("args", [(), (1,), (None,), (torch.ones(1), torch.ones(1))])
def test_wrong_arguments_are_type_errors(args):
    run = native.replay(traced(lambda x: x + 1, torch.ones(1)))
    with pytest.raises(TypeError):
        run(*args)
    with pytest.raises(TypeError):
        run(x=torch.ones(1))


def test_threads_may_run_one_program_at_once():
    run = native.replay(traced(lambda x: torch.exp(x).cumsum(0) * 2 - x, torch.ones(500)))
    wrong = []

    def work(seed):
        x = torch.full((500,), seed / 10)
        expected = torch.exp(x).cumsum(0) * 2 - x
        wrong.extend(1 for _ in range(200) if not torch.equal(run(x)[0], expected))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_results_belong_to_the_caller():
    run = native.replay(traced(lambda x: (x + 1) * 2, torch.ones(3)))
    (first,), (second,) = run(torch.ones(3)), run(torch.ones(3))
    first.zero_()
    assert second.tolist() == [4, 4, 4]


def test_values_are_freed_after_their_last_use():
    seen = []
    trace = Trace()
    x = torch.ones(3)
    inputs = trace.inputs([x], ["x"])
    with trace:
        y = x + 1
        trace.opaque(lambda t: seen.append(StorageWeakRef(t.untyped_storage())), y)
        z = y * 2
        trace.opaque(lambda: seen.append(seen[-1].expired()))
    run = native.replay(trace.graph(inputs, [z]))
    seen.clear()
    run(x)
    assert seen[1]


def resident():
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def test_a_thousand_calls_take_no_memory():
    graph, args = joint(mlp, torch.randn(64, 100), *weights(100, 200, 50))
    run = native.replay(graph)
    args = [arg.detach() for arg in args]
    for _ in range(50):
        run(*args)
    before = resident()
    for _ in range(1000):
        run(*args)
    assert resident() - before < 4 << 20


def test_a_program_that_holds_itself_is_collected():
    class Owner:
        def check(self, tensor):
            pass

    owner = Owner()
    x = Value("x", meta_of(torch.ones(2)))
    owner.run = native.replay(Graph((x,), (Node(owner.check, (x,)),), (x,)))
    counts = sum(type(thing) is Owner for thing in gc.get_objects())
    del owner
    gc.collect()
    assert sum(type(thing) is Owner for thing in gc.get_objects()) == counts - 1


@pytest.mark.parametrize("rows", [(), (1,), (3,), (2, 2), (5,)])
@pytest.mark.parametrize(("size", "out"), [(512, 256), (33, 5), (1, 1), (31, 2), (64, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_few_rows_through_a_layer(rows, size, out, bias):
    x, weight = torch.randn(*rows, size), torch.randn(out, size)
    shift = torch.randn(out) if bias else None
    for relu in (False, True):
        exact = functional.linear(x.double(), weight.double(), shift.double() if bias else None)
        exact = exact.relu() if relu else exact
        found = torch.ops.regluon.linear_row(x, weight, shift, relu)
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-4)


def test_a_layer_of_other_memory_or_dtype_is_torchs_own():
    x, weight = torch.randn(2, 6), torch.randn(6, 4).t()
    row = torch.ops.regluon.linear_row
    torch.testing.assert_close(row(x, weight, None, True), functional.linear(x, weight).relu())
    wide = x.double()
    found = row(wide, weight.double(), None, False)
    torch.testing.assert_close(found, functional.linear(wide, weight.double()))
    with pytest.raises(RuntimeError, match="shape"):
        row(x, torch.randn(3, 5), None, False)
    assert row(torch.tensor([float("nan")]), torch.ones(1, 1), None, True).isnan().all()


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("REGLUON_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo cannot do this >&2; exit 1", "cannot do this"),
        ('while [ "$1" != -o ]; do shift; done; echo rubbish > "$2"', "cannot be used"),
    ],
)
def test_a_build_that_fails_is_told_once_and_leaves_nothing(
    monkeypatch, own_cache, caplog, script, said
):
    compiler = own_cache / "compiler"
    compiler.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", f"{compiler} -Wall")
    library = native.Library()
    with caplog.at_level("INFO", logger="regluon"):
        assert not library.ready(wait=True)
        told = len(caplog.records)
        assert not library.ready(wait=True)
    assert said in caplog.text
    assert len(caplog.records) == told
    assert not list((own_cache / "cache/native").glob("*.new"))


def test_without_a_compiler_or_when_switched_off_nothing_is_begun(monkeypatch, own_cache):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not native.Library().ready(wait=True)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("REGLUON_NATIVE", "0")
    assert not native.Library().ready(wait=True)
    assert not (own_cache / "cache").exists()


def test_the_name_of_the_library_tells_what_it_was_built_for(monkeypatch, own_cache):
    command = native.compile_command()
    path = native.cached_file(command)
    assert path.parent == own_cache / "cache/native"
    assert native.cached_file(command) == path
    assert native.cached_file([*command, "-g"]) != path
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert native.cached_file(command) != path
