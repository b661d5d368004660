"""The C++ bridge: a forward and a backward program as one function in torch's graph."""

import gc
import weakref

import pytest
import torch

from regluon.graph import native
from regluon.graph.split import split
from regluon.graph.trace import Trace


# The first test may wait for the compiler, which is slow on a busy machine.
pytestmark = [pytest.mark.usefixtures("library"), pytest.mark.timeout(300)]


def two(x, w):
    hidden = torch.tanh(x @ w)
    return hidden, (hidden * hidden).sum(1)


def bridged(function, *args, seeded=None, calls=None):
    """Return the function compiled, differentiable in its floating-point arguments."""
    given = [arg.detach().requires_grad_(arg.is_floating_point()) for arg in args]
    live = [arg for arg in given if arg.requires_grad]
    trace = Trace()
    inputs = trace.inputs(given, [f"x{place}" for place in range(len(given))])
    with torch.enable_grad(), trace:
        results = function(*given)
    places = range(len(results)) if seeded is None else seeded
    seeds = [torch.ones_like(results[place]) for place in places]
    named = trace.inputs(seeds, [f"seed{place}" for place in places])
    with trace:
        found = torch.autograd.grad([results[p] for p in places], live, seeds, allow_unused=True)
    gradients = iter(found)
    ends = [next(gradients) if arg.requires_grad else None for arg in given]
    halves = split(trace.graph((*inputs, *named), (*results, *ends)), len(results), named)

    def again(args, seeds, changed):
        if calls is not None:
            calls.append(tuple(seed is not None for seed in seeds))
        pairs = [(r, s) for r, s in zip(function(*args), seeds, strict=True) if s is not None]
        ends, slopes = zip(*pairs, strict=True)
        wanted = [arg for arg in args if arg.requires_grad]
        gradients = iter(torch.autograd.grad(ends, wanted, slopes, create_graph=True))
        return [next(gradients) if arg.requires_grad else None for arg in args]

    return native.bridge(
        halves.forward,
        halves.backward,
        again,
        results=len(results),
        needed=halves.needed,
        reused=halves.reused,
        seeded=tuple(places),
    )


@pytest.fixture
def pair():
    return torch.randn(3, 4, requires_grad=True), torch.randn(4, 2, requires_grad=True)


def test_results_and_gradients_are_those_of_torch(pair):
    run = bridged(two, *pair)
    for _ in range(2):
        for own, eager in zip(run(*pair), two(*pair), strict=True):
            assert torch.equal(own, eager)
            assert own.requires_grad
        own = torch.autograd.grad([r.sum() for r in run(*pair)], pair)
        eager = torch.autograd.grad([r.sum() for r in two(*pair)], pair)
        torch.testing.assert_close(own, eager)


def test_gradients_accumulate_and_flow_further(pair):
    x, w = pair
    run = bridged(two, x, w)
    run((x * 2).exp(), w)[1].sum().backward()
    own = x.grad, w.grad
    x.grad = w.grad = None
    two((x * 2).exp(), w)[1].sum().backward()
    torch.testing.assert_close(own, (x.grad, w.grad))


@pytest.mark.parametrize("place", [0, 1])
def test_a_result_without_a_gradient_adds_nothing(pair, place):
    own = torch.autograd.grad(bridged(two, *pair)(*pair)[place].sum(), pair)
    torch.testing.assert_close(own, torch.autograd.grad(two(*pair)[place].sum(), pair))


def test_gradients_of_other_results_than_foreseen_are_made_anew(pair):
    calls = []
    run = bridged(two, *pair, seeded=(1,), calls=calls)
    first, second = run(*pair)
    own = torch.autograd.grad(first.sum() + second.sum(), pair)
    eager = torch.autograd.grad([r.sum() for r in two(*pair)], pair)
    torch.testing.assert_close(own, eager)
    assert calls == [(True, True)]
    assert not own[0].requires_grad


def test_gradients_can_be_differentiated_again(pair):
    calls = []
    run = bridged(two, *pair, calls=calls)

    def twice(function):
        (slope,) = torch.autograd.grad(function(*pair)[1].sum(), pair[:1], create_graph=True)
        return torch.autograd.grad(slope.square().sum(), pair)

    torch.testing.assert_close(twice(run), twice(two))
    assert calls == [(False, True)]


def test_only_what_requires_a_gradient_gets_one(pair):
    x, w = pair[0].detach(), pair[1]
    run = bridged(two, x, w)
    run(x, w)[1].sum().backward()
    assert w.grad is not None
    assert x.grad is None
    assert not run(x, w.detach())[0].requires_grad
    with torch.no_grad():
        assert not run(x, w)[0].requires_grad


def test_results_of_whole_numbers_have_no_gradient(pair):
    run = bridged(lambda x: (x * x, x.argmax(1)), pair[0], seeded=(0,))
    square, most = run(pair[0])
    assert not most.requires_grad
    square.sum().backward()
    torch.testing.assert_close(pair[0].grad, 2 * pair[0].detach())


def test_a_result_that_is_an_argument_is_another_tensor(pair):
    run = bridged(lambda x: (x * 3, x), pair[0])
    triple, same = run(pair[0])
    assert same is not pair[0]
    assert same.data_ptr() == pair[0].data_ptr()
    (triple.sum() + same.sum()).backward()
    assert pair[0].grad.eq(4).all()


def test_a_second_backward_needs_retain_graph(pair):
    run = bridged(two, *pair)
    loss = run(*pair)[1].sum()
    first = torch.autograd.grad(loss, pair, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, pair), first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(loss, pair)


@pytest.mark.parametrize("place", [0, 1])
def test_an_argument_changed_before_backward_is_an_error(pair, place):
    args = [arg * 1 for arg in pair]
    loss = bridged(two, *pair)(*args)[1].sum()
    with torch.no_grad():
        args[place].add_(1)
    match = r"modified by an inplace operation: \[torch.FloatTensor.*is at version 1; expected"
    with pytest.raises(RuntimeError, match=match):
        loss.backward()


def test_a_result_changed_before_backward_is_an_error(pair):
    first, second = bridged(two, *pair)(*pair)
    first.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        second.sum().backward()


def test_an_error_in_the_backward_program_names_the_operator(pair):
    results = bridged(two, *pair)(pair[0], torch.randn(4, 7, requires_grad=True))
    loss = results[0].sum() + results[1].sum()
    with pytest.raises(RuntimeError, match=r"must match the size(.|\n)*in aten\.\w+\.\w+ at "):
        loss.backward()  # the program was traced for another shape


def test_an_error_of_the_function_that_goes_again_is_raised(pair):
    def lost(x):
        if calls:
            raise KeyError("lost")
        return (x.sin(),)

    calls = []
    run = bridged(lost, pair[0], calls=calls)
    with pytest.raises(KeyError, match="lost"):
        torch.autograd.grad(run(pair[0])[0].sum(), pair[0], create_graph=True)


def test_nothing_is_held_after_backward(pair):
    run = bridged(two, *pair)
    x = pair[0] * 1
    loss = run(x, pair[1])[1].sum()
    watched = weakref.ref(x)
    del x
    assert watched() is not None
    loss.backward(retain_graph=False)
    gc.collect()
    assert watched() is None


def test_a_graph_that_is_never_gone_through_is_freed(pair):
    run = bridged(two, *pair)
    x = pair[0] * 1
    watched = weakref.ref(x)
    results = run(x, pair[1])
    del x, results
    gc.collect()
    assert watched() is None


def test_generators_are_arguments_without_gradients(pair):
    generator = torch.Generator()
    x = torch.randn(50, requires_grad=True)
    trace = Trace()
    given = x.detach().requires_grad_()
    values = trace.inputs([given, generator], ["x", "g"])
    with torch.enable_grad(), trace:
        result = given * torch.empty(50).bernoulli_(0.5, generator=generator)
    seeds = trace.inputs([torch.ones(50)], ["seed"])
    with trace:
        (gradient,) = torch.autograd.grad(result, given, torch.ones(50))
    halves = split(trace.graph((*values, *seeds), (result, gradient)), 1, seeds)
    seen = []
    run = native.bridge(
        halves.forward,
        halves.backward,
        lambda args, seeds, changed: seen.append(args) or seeds,
        results=1,
        needed=halves.needed,
        reused=halves.reused,
        seeded=(0,),
    )
    (found,) = run(x, generator.manual_seed(3))
    mask = torch.empty(50).bernoulli_(0.5, generator=generator.manual_seed(3))
    assert torch.equal(found, x * mask)
    found.sum().backward(retain_graph=True)
    assert torch.equal(x.grad, mask)
    torch.autograd.grad(found.sum(), x, create_graph=True)
    assert seen[0][1].initial_seed() == 3
