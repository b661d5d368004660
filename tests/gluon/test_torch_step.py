"""hybridize_step on torch modules: equal to the lines it stands for, and eager where it must be."""

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import regluon as mx
from tests.gluon.torch_models import MODELS, alike, farthest, pair


SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=0.01)
RULES = {
    "sgd": SGD,
    "fused": partial(SGD, fused=True),
    "adam": partial(torch.optim.Adam, lr=0.01),
    "adamw fused": partial(torch.optim.AdamW, lr=0.01, fused=True),
}


def lines(module, loss, optimizer):
    """Return the step that the lines make."""

    def step(*args):
        optimizer.zero_grad()
        value = loss(module(args[0]), *args[1:])
        value.backward()
        optimizer.step()
        return value.detach()

    return step


def both(make, loss=F.cross_entropy, rule=SGD, dtype=torch.float64, **options):
    """Return two networks and their steps: compiled, and by lines."""
    module, reference = pair(make, dtype)
    step = mx.hybridize_step(module, loss, rule(module.parameters()), **options)
    return module, reference, step, lines(reference, loss, rule(reference.parameters()))


def compare(module, reference, one, two, *args, limit=0.0):
    """Make a step by each, from the same random state, and compare all that is left."""
    first, second = alike(lambda step: step(*args), one, two)
    assert (first - second).abs().max() <= limit
    assert farthest(module, reference) <= limit
    assert not first.requires_grad


def labels(x):
    return torch.arange(len(x)) % 2


@pytest.mark.parametrize("passes", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_it_does_what_the_lines_do(name, passes):
    make, data = MODELS[name]
    module, reference, step, other = both(make, passes=passes)
    for _ in range(6):
        x = data()
        x = x.double() if x.is_floating_point() else x
        compare(module, reference, step, other, x, labels(x), limit=1e-10 if passes else 0)
    assert step.program.count("def program") == 1
    assert step.program.startswith(f"# {type(module).__name__}(")
    assert "test_torch_step.py" in step.program or "torch_models.py" in step.program


@pytest.mark.parametrize("rule", RULES)
def test_every_optimizer_and_a_schedule_go_on(rule):
    module, reference = pair(MODELS["mlp"][0])
    rules = [RULES[rule](net.parameters()) for net in (module, reference)]
    plans = [torch.optim.lr_scheduler.StepLR(each, 2, 0.5) for each in rules]
    step = mx.hybridize_step(module, F.cross_entropy, rules[0], passes=False)
    other = lines(reference, F.cross_entropy, rules[1])
    for _ in range(8):
        x = torch.randn(4, 512).double()
        compare(module, reference, step, other, x, labels(x))
        for plan in plans:
            plan.step()
    assert step.program


def test_gradients_are_clipped_by_a_hook_of_the_optimizer():
    module, reference = pair(MODELS["mlp"][0])
    rules = [SGD(net.parameters()) for net in (module, reference)]
    for rule, net in zip(rules, (module, reference), strict=True):
        rule.register_step_pre_hook(
            lambda *_, net=net: (nn.utils.clip_grad_norm_(net.parameters(), 0.1), None)[1]
        )
    step = mx.hybridize_step(module, F.cross_entropy, rules[0], passes=False)
    other = lines(reference, F.cross_entropy, rules[1])
    for _ in range(6):
        x = torch.randn(4, 512).double()
        compare(module, reference, step, other, x, labels(x))
        assert torch.nn.utils.get_total_norm([p.grad for p in module.parameters()]) < 0.11
    assert step.program


def test_sizes_of_batches_and_modes_have_a_program_each():
    module, reference, step, other = both(
        lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)),
        passes=False,
    )
    for turn in range(18):
        x = torch.randn(4 + turn % 3, 5).double()
        for net in (module, reference):
            net.train(turn % 2 == 0)
        compare(module, reference, step, other, x, labels(x))
    assert step.program.count("def program") == 6
    assert module(x).shape == reference(x).shape


def test_a_loss_with_parameters_one_inside_the_module_and_several_inputs():
    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, out, y):
            return F.cross_entropy(out * self.weight, y)

    class Inside(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.loss = nn.Bilinear(4, 2, 3), Weighted()

        def forward(self, a, b, y, scale=1.0):
            return self.loss(self.net(a, b), y) * scale

    whole, reference = pair(Inside)
    parts = copy.deepcopy(whole)
    steps = [
        mx.hybridize_step(whole, None, SGD(whole.parameters()), inputs=3, passes=False),
        mx.hybridize_step(parts.net, parts.loss, SGD(parts.parameters()), inputs=2, passes=False),
    ]
    other = lines(lambda args: reference(*args), lambda found: found, SGD(reference.parameters()))
    for _ in range(6):
        a, b = torch.randn(4, 4).double(), torch.randn(4, 2).double()
        args = (a, b, labels(a))
        assert steps[0](*args) == steps[1](*args) == other(args)
        assert farthest(whole, reference) == farthest(parts, reference) == 0
    assert all(step.program for step in steps)
    assert steps[0](*args, scale=0.0) == 0


class Sums(nn.Module):
    """Gradients that flow to both sides of a sum, to nothing, and twice to one."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(3, 4))
        self.c, self.unused = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(2))
        self.one = nn.Linear(4, 4)
        self.two = nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(self.one(x + self.a + self.b)).sum() + self.c.sum()


def test_gradients_have_memory_of_their_own():
    module, reference, step, other = both(Sums, loss=lambda out: out, passes=False)
    for _ in range(6):
        x = torch.randn(3, 4).double()
        compare(module, reference, step, other, x)
        assert module.unused.grad is None
        grads = [param.grad for param in module.parameters() if param.grad is not None]
        assert len({grad.untyped_storage().data_ptr() for grad in grads}) == len(grads)
        module.c.grad[1] = 9
        assert module.c.grad.tolist() == [1, 9, 1, 1, 1]
        module.a.grad.zero_()
        assert module.b.grad.abs().sum() > 0
    assert step.program


def test_a_parameter_may_be_the_loss():
    class Scalar(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.weight

    module, reference, step, other = both(Scalar, loss=lambda out: out, passes=False)
    for _ in range(5):
        before = module.weight.item()
        assert step(torch.ones(1)).item() == before
        other(torch.ones(1))
        assert farthest(module, reference) == 0 < before - module.weight.item()


def test_gradients_lie_in_memory_as_their_parameters():
    def make():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2)).to(
            memory_format=torch.channels_last
        )

    module, reference, step, other = both(make, passes=False)
    for _ in range(5):
        x = torch.randn(2, 3, 4, 4).double()
        compare(module, reference, step, other, x, labels(x))
        for param in module.parameters():
            assert param.grad.stride() == param.stride()


def test_frozen_parameters_and_those_the_optimizer_does_not_have():
    module, reference = pair(MODELS["mlp"][0])
    step = mx.hybridize_step(module, F.cross_entropy, SGD(module[4].parameters()), passes=False)
    other = lines(reference, F.cross_entropy, SGD(reference[4].parameters()))
    for turn in range(8):
        for net in (module, reference):
            net[0].weight.requires_grad_(turn < 4)
            net.zero_grad()  # by lines, gradients of other parameters would add up
        x = torch.randn(4, 512).double()
        compare(module, reference, step, other, x, labels(x))
        assert (module[0].weight.grad is None) == (turn >= 4)


def test_autocast_is_a_program_of_its_own():
    module, reference, step, other = both(MODELS["mlp"][0], dtype=torch.float32, passes=False)

    def mixed(step, *args):
        with torch.autocast("cpu", torch.bfloat16):
            return step(*args)

    for _ in range(5):
        x = torch.randn(4, 512)
        compare(module, reference, partial(mixed, step), partial(mixed, other), x, labels(x))
        compare(module, reference, step, other, x, labels(x))
    assert step.program.count("def program") == 2


def test_hooks_and_gradients_of_arguments_keep_it_eager():
    module, reference, step, other = both(MODELS["mlp"][0], passes=False)
    seen = []
    handles = [
        net[0].bias.register_hook(lambda grad: (grad * 2, seen.append(1))[0])
        for net in (module, reference)
    ]
    x = torch.randn(4, 512).double()
    for _ in range(5):
        compare(module, reference, step, other, x, labels(x))
    assert len(seen) == 10
    for handle in handles:
        handle.remove()
    x.requires_grad_()
    for _ in range(5):
        compare(module, reference, step, other, x, labels(x))
    assert x.grad.abs().sum() > 0
    assert step.program == ""


def test_what_looks_at_every_operator_or_module_sees_all():
    module, reference, step, other = both(MODELS["mlp"][0], passes=False)
    x = torch.randn(4, 512).double()
    for _ in range(4):
        compare(module, reference, step, other, x, labels(x))
    assert step.program
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda net, *_: seen.append(net))
    step(x, labels(x))
    handle.remove()
    assert seen[:-1] == [*module, module]
    with FlopCounterMode(display=False) as counter:
        step(x, labels(x))
    assert counter.get_total_flops() > 0


@pytest.mark.parametrize("kind", ["value", "argument", "hook"])
def test_what_cannot_be_compiled_runs_as_the_lines(kind, caplog):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)
            if kind == "hook":
                self.fc.register_forward_hook(lambda *_: None)

        def forward(self, x):
            if kind == "value" and x.sum() > 0:
                x = x * 2
            if kind == "argument":
                x += 1
            return self.fc(x)

    module, reference, step, other = both(Net, passes=False)
    for _ in range(5):
        x = torch.randn(4, 3).double()
        alike(lambda step, x=x: step(x.clone(), labels(x)), step, other)
        assert farthest(module, reference) == 0
    assert step.program == ""
    (message,) = [record.message for record in caplog.records]
    assert message.startswith("Net stays eager: ")


def test_a_bad_batch_changes_nothing_and_training_goes_on():
    module, reference, step, other = both(MODELS["mlp"][0], passes=False)
    for turn in range(8):
        x = torch.randn(4, 512).double()
        if turn in (0, 1, 5):
            with pytest.raises(IndexError, match="out of bounds"):
                step(x, labels(x) + 7)
        compare(module, reference, step, other, x, labels(x))


def test_bad_arguments_say_what_is_wanted():
    net = nn.Linear(3, 2)
    rule = SGD(net.parameters())
    x, y = torch.ones(4, 3), torch.ones(4, 2)
    cases = [
        (("net", F.mse_loss, rule), r"needs a torch\.nn\.Module, not str"),
        ((net, F.mse_loss, "sgd"), r"needs a torch\.optim\.Optimizer, not str"),
        ((net, F.mse_loss, torch.optim.LBFGS(net.parameters())), "LBFGS computes the loss several"),
        ((net, F.mse_loss, SGD(nn.Linear(5, 1).parameters())), r"shape \(1, 5\) that is not"),
        ((nn.DataParallel(net), F.mse_loss, rule), "DataParallel are exchanged"),
    ]
    for args, message in cases:
        with pytest.raises(mx.MXNetError, match=message):
            mx.hybridize_step(*args)
    with pytest.raises(mx.MXNetError, match='must be "first" or None'):
        mx.hybridize_step(net, F.mse_loss, rule, verify="always")
    before = net.weight.detach().clone()
    step = mx.hybridize_step(net, partial(F.mse_loss, reduction="none"), rule)
    for _ in range(4):
        with pytest.raises(mx.MXNetError, match=r"one element, not a tensor of shape \(4, 2\)"):
            step(x, y)
    with pytest.raises(mx.MXNetError, match="one element, not 3"):
        mx.hybridize_step(net, lambda out, y: 3, rule)(x, y)
    step = mx.hybridize_step(net, F.mse_loss, rule)
    with torch.no_grad(), pytest.raises(RuntimeError, match="does not require grad"):
        step(x, y)
    assert torch.equal(net.weight, before)
