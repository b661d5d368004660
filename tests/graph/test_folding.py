import torch

from regluon.graph.passes.folding import folded, hoisted
from tests.graph.programs import assert_same_bits, copied, count, inference, run, traced


X = torch.arange(6.0).reshape(2, 3)
W = torch.ones(3, 2)


def both(graph, *tensors):
    """Run prepare, then main on its results, and compare; return the two."""
    prepare, main = hoisted(graph)
    prepare.check()
    main.check()
    given = copied(tensors)
    fixed = [t for v, t in zip(graph.inputs, given, strict=True) if v in graph.fixed]
    with torch.no_grad():
        early = run(prepare, *fixed)
        for _ in range(2):
            ours = run(main, *given, *early)
            expected = run(graph, *copied(tensors))
            assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))
    return prepare, main


def test_what_depends_on_constants_alone_is_computed_once():
    constant = torch.ones(3)
    graph = traced(lambda x: x + (constant * 2).exp() + torch.full((3,), 2.0), X)
    result = folded(graph)
    assert_same_bits(result, graph, [X])
    assert [node.title for node in result.nodes] == ["aten.add.Tensor"] * 2
    assert len(result.constants) == 2


def test_what_is_written_or_returned_or_random_is_not():
    constant = torch.ones(2, 3)
    for function in (
        lambda x: x + (constant * 2).add_(1),
        lambda x: (x, constant * 2)[1],
        lambda x: ((constant * 2).t() + x.t(), (constant * 2).t())[1],
        lambda x: torch.zeros(2, 3).add_(x),
    ):
        graph = traced(function, X)
        result = folded(graph)
        assert_same_bits(result, graph, [X])
        assert len(result.nodes) >= 2 or count(result, "aten.mul") == 1
    random = traced(lambda x: x + torch.rand(3), X)
    assert len(folded(random).nodes) == 2
    changing = traced(lambda x: (constant.add_(x), constant * 2)[1] + x, X)
    assert len(folded(changing).nodes) == 3


def test_large_results_are_made_when_they_are_needed():
    graph = traced(lambda x: torch.zeros(3000, 2000)[:2, :3] + x, X)
    assert count(folded(graph), "aten.zeros") == 1


def test_what_depends_on_fixed_inputs_moves_and_views_of_them_too():
    graph = traced(lambda x, w, b: torch.nn.functional.linear(x, w.t(), b * 2), X, fixed=[W, W[0]])
    prepare, main = both(graph, X, W, W[0])
    assert count(prepare, "aten.t.") == count(graph, "aten.t.")
    assert count(prepare, "aten.mul") == 1
    assert [node.title for node in main.nodes] == ["aten.addmm.default"]
    assert main.inputs[:3] == graph.inputs
    assert main.fixed == {*main.inputs[1:]}


def test_what_depends_on_other_inputs_stays():
    prepare, main = both(traced(lambda x, w: x @ (w + x.sum()), X, fixed=[W]), X, W)
    assert not prepare.nodes
    assert len(main.nodes) == 3


def test_fixed_inputs_that_the_program_writes_are_not_read_before():
    graph = traced(lambda x, w: x @ (w.exp(), w.add_(0))[0], X, fixed=[W])
    assert not hoisted(graph)[0].nodes
    graph = traced(lambda x, w: x @ (w * 2).add_(1), X, fixed=[W])
    prepare, _ = both(graph, X, W)
    assert not prepare.nodes


def test_what_is_returned_is_made_anew_by_every_call():
    prepare, main = both(traced(lambda x, w: (x + 1, w * 2), X, fixed=[W]), X, W)
    assert not prepare.nodes
    assert len(main.nodes) == 2


def test_random_numbers_are_not_drawn_beforehand():
    graph = traced(lambda x, w: x @ (w + torch.rand(2)), X, fixed=[W])
    assert not hoisted(graph)[0].nodes


def test_factories_move_too():
    prepare, main = both(traced(lambda x: x + torch.arange(3), X), X)
    assert count(prepare, "aten.arange") == 1
    assert len(main.nodes) == 1


def test_an_mlp_is_three_calls():
    net = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(3)))
    graph, tensors = inference(net, X)
    _, main = both(graph, *tensors)
    assert [node.title for node in main.nodes] == ["aten.addmm.default"] * 3


def test_a_tensor_made_of_numbers_is_new_in_every_call():
    graph = traced(lambda x: x + torch.tensor([1.0, 2.0, 3.0]).add_(1), X)
    for _ in range(2):
        assert torch.equal(run(graph, X)[0], X + torch.tensor([2.0, 3.0, 4.0]))
    assert count(folded(graph), "aten.clone") == 1
    graph = traced(lambda x: x + torch.tensor([1.0, 2.0, 3.0]), X)
    assert len(folded(graph).nodes) == 1
