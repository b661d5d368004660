"""hybridize() on torch modules: outputs, gradients and buffers are those of the eager module."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from regluon.gluon.torch_program import hybridize, program
from tests.gluon.torch_models import MODELS, alike, farthest, pair


@pytest.mark.parametrize("passes", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_training_and_evaluation_equal_eager(name, passes):
    make, data = MODELS[name]
    module, reference = pair(make)
    names = [*module.state_dict()]
    hybridize(module, passes=passes)
    limit = 1e-10 if passes else 0
    steps = [torch.optim.SGD(m.parameters(), 0.05, momentum=0.9) for m in (module, reference)]
    for turn in range(9):
        x = data()
        x = x.double() if x.is_floating_point() else x
        for net in (module, reference):
            net.train(turn % 3 < 2)
        if turn % 3 == 2:
            with torch.no_grad():
                one, two = alike(lambda net, x=x: net(x), module, reference)
            assert (one - two).abs().max() <= limit
            continue

        def step(net, x=x):
            net.zero_grad()
            out = net(x)
            F.cross_entropy(out, torch.arange(len(x)) % 2).backward()
            return out

        one, two = alike(step, module, reference)
        assert (one - two).abs().max() <= limit
        assert farthest(module, reference) <= limit
        for optimizer in steps:
            optimizer.step()
        assert farthest(module, reference) <= limit
    assert "aten." in program(module)
    assert program(module).count("# its gradients") == 1
    assert [*module.state_dict()] == names


def test_an_lstm_in_float32_trains_as_the_eager_one():
    make, data = MODELS["lstm"]
    module, reference = pair(make, torch.float32)
    hybridize(module, passes=False)
    for _ in range(5):
        x = data()

        def step(net, x=x):
            net.zero_grad()
            net(x).square().sum().backward()

        alike(step, module, reference)
        assert farthest(module, reference) == 0
    assert "mkldnn_rnn_layer_backward" in program(module)


def calls(module, reference, *args, times=4, **kwargs):
    """Call both several times, and compare."""
    for _ in range(times):
        one, two = alike(lambda net: net(*args, **kwargs), module, reference)
        torch.testing.assert_close(one, two, rtol=0, atol=0)
    return one


class Many(nn.Module):
    """Takes and returns nested things."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x, *, scale=1.0, mask=None, extra=()):
        y = self.a(x) * scale
        if mask is not None:
            y = y.masked_fill(mask, 0)
        for item in extra:
            y = y + item
        return {"y": (y, None, x), "z": [self.b(y), y.shape[0]], "y again": y}


def test_keyword_arguments_nested_results_and_none():
    module, reference = pair(Many)
    hybridize(module, passes=False)
    x = torch.randn(2, 3).double()
    found = calls(module, reference, x)
    assert found["y"][1] is None
    assert found["y"][2] is x
    assert found["y again"] is found["y"][0]
    calls(module, reference, x, scale=2.0)
    calls(module, reference, x, scale=3.0, mask=torch.tensor([True, False, True]))
    calls(module, reference, x, extra=[torch.ones(3).double(), torch.zeros(2, 3).double()])
    assert program(module).count("# Many(") == 4


def test_a_result_that_the_loss_leaves_out_gives_no_gradient():
    module, reference = pair(Many)
    hybridize(module, passes=False)
    x = torch.randn(2, 3).double()
    for turn in range(12):

        def step(net, turn=turn):
            net.zero_grad()
            found = net(x)
            out = found["y again"] if turn % 6 < 4 else found["z"][0] + found["y again"].sum()
            out.sum().backward()

        alike(step, module, reference)
        assert (module.b.weight.grad is None) == (turn % 6 < 4)
        assert farthest(module, reference) == 0


def test_new_shapes_dtypes_and_layouts_get_programs_of_their_own():
    module, reference = pair(lambda: nn.Conv2d(3, 4, 3))
    hybridize(module, passes=False)
    x = torch.randn(2, 3, 8, 8).double()
    found = calls(module, reference, x)
    assert found.is_contiguous()
    found = calls(module, reference, x.to(memory_format=torch.channels_last))
    assert found.is_contiguous(memory_format=torch.channels_last)
    calls(module, reference, torch.randn(1, 3, 6, 7).double())
    module.float(), reference.float()
    calls(module, reference, x.float())
    assert program(module).count("# Conv2d(") == 4


@pytest.mark.parametrize("grad", [True, False])
def test_parameters_changed_in_place_by_data_and_replaced_are_seen(grad):
    module, reference = pair(lambda: nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).eval())
    hybridize(module)
    x = torch.randn(2, 3).double()

    def compare():
        for _ in range(6):
            with torch.set_grad_enabled(grad):
                assert (module(x) - reference(x)).abs().max() < 1e-10

    compare()
    for net in (module, reference):
        net[0].weight.data.mul_(2)
        net[1].running_var.fill_(3)
    compare()
    for net in (module, reference):
        net[0].weight = nn.Parameter(torch.ones(3, 3).double())
    compare()
    for net in (module, reference):
        net[1] = nn.Identity()
    compare()
    for net in (module, reference):
        net[0].bias.data = torch.full((3,), 7.0).double()
    compare()
    module.load_state_dict({k: v + 1 for k, v in reference.state_dict().items()})
    reference.load_state_dict(module.state_dict())
    compare()


def test_frozen_parameters_have_no_gradient():
    module, reference = pair(MODELS["mlp"][0])
    hybridize(module, passes=False)
    x = torch.randn(2, 512).double()
    for turn in range(8):
        for net in (module, reference):
            net[0].weight.requires_grad_(turn < 4)
            net.zero_grad()
            net(x).sum().backward()
        assert farthest(module, reference) == 0
        assert (module[0].weight.grad is None) == (turn >= 4)


def test_gradients_of_arguments_and_derivatives_of_gradients():
    module, reference = pair(lambda: nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Dropout(0.5)))
    hybridize(module, passes=False)
    for _ in range(5):
        x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)

        def penalty(net, x=x):
            net.zero_grad()
            (first,) = torch.autograd.grad(net(x * 2).sum(), x, create_graph=True)
            (first.square().sum() + net(x).sum()).backward()
            return first.detach(), x.grad.clone()

        one, two = alike(penalty, module, reference)
        assert torch.equal(one[0], two[0])
        assert farthest(module, reference) < 1e-12


def test_retain_graph_and_two_forwards_before_one_backward():
    module, reference = pair(MODELS["mlp"][0])
    hybridize(module, passes=False)
    for _ in range(4):
        x, y = torch.randn(2, 512).double(), torch.randn(2, 512).double()
        for net in (module, reference):
            net.zero_grad()
            loss = net(x).sum() * net(y).sum()
            loss.backward(retain_graph=True)
            loss.backward()
            with pytest.raises(RuntimeError, match="second time"):
                loss.backward()
        assert farthest(module, reference) < 1e-12


def test_calls_nobody_asks_gradients_of_are_compiled_too():
    module, reference = pair(MODELS["mlp"][0])
    hybridize(module, passes=False)
    calls(module, reference, torch.randn(2, 512).double(), times=6)
    assert "# its gradients" in program(module)


@pytest.mark.parametrize("recording", [True, False])
def test_autocast(recording):
    module, reference = pair(MODELS["mlp"][0], torch.float32)
    hybridize(module, passes=False)
    x = torch.randn(4, 512)
    for _ in range(5):

        def step(net):
            net.zero_grad()
            with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(recording):
                out = net(x)
            if recording:
                out.float().square().sum().backward()
            return out

        one, two = alike(step, module, reference)
        assert one.dtype is torch.bfloat16
        assert torch.equal(one, two)
        assert farthest(module, reference) == 0
    with torch.no_grad():
        assert calls(module, reference, x).dtype is torch.float32


class Normalized(nn.Module):
    """Its backward pass has parts that need no gradient, between others that do."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        y, z = self.first(x), self.second(x)
        return F.normalize(y) @ F.normalize(z).t() * y.norm() + F.cosine_similarity(y, z)


@pytest.mark.parametrize("verify", ["first", None])
def test_a_backward_pass_that_is_partly_made_ahead_may_be_made_twice(verify):
    module, reference = pair(Normalized)
    hybridize(module, passes=False, verify=verify)
    for _ in range(5):
        x = torch.randn(6, 8).double()
        for net in (module, reference):
            net.zero_grad()
            loss = net(x).square().mean()
            loss.backward(retain_graph=True)
            loss.backward()
        assert farthest(module, reference) == 0
    assert "# its gradients" in program(module)


def test_many_calls_in_one_scope_of_autocast_have_a_program():
    module, reference = pair(MODELS["mlp"][0], torch.float32)
    hybridize(module, passes=False)
    x = torch.randn(4, 512)
    with torch.autocast("cpu", torch.bfloat16):  # which keeps its casts to the end
        for _ in range(5):
            for net in (module, reference):
                net.zero_grad()
                net(x).float().square().sum().backward()
            assert farthest(module, reference) == 0
    assert "# its gradients" in program(module)


def test_inference_mode_has_the_same_passes():
    def network():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())

    module, reference = (net.eval() for net in pair(network))
    hybridize(module, freeze=True)
    x = torch.randn(2, 3, 8, 8).double()
    with torch.inference_mode():
        for _ in range(4):
            assert torch.allclose(module(x), reference(x))
    assert "batch_norm" not in program(module)


def test_inference_mode_is_its_own_program():
    module, reference = pair(MODELS["mlp"][0])
    hybridize(module, passes=False)
    x = torch.randn(2, 512).double()
    with torch.inference_mode():
        assert calls(module, reference, x).is_inference()
    with torch.no_grad():
        assert not calls(module, reference, x).is_inference()


def test_copies_are_plain_modules_and_switching_off_ends_it(tmp_path):
    module = hybridize(MODELS["mlp"][0]())
    x = torch.randn(2, 512)
    for _ in range(4):
        expected = module(x)
    twin = copy.deepcopy(module)
    assert program(twin) == ""
    torch.save(module, tmp_path / "module")
    loaded = torch.load(tmp_path / "module", weights_only=False)
    assert program(loaded) == ""
    with torch.no_grad():
        for net in (twin, loaded):
            assert torch.allclose(net(x), expected)
            net[0].bias.add_(1)
    assert torch.allclose(module(x), expected)
    hybridize(module, False)
    assert program(module) == ""
    assert torch.allclose(module(x), expected)


def test_hooks_of_the_module_itself_run_around_the_program():
    module, reference = pair(MODELS["mlp"][0])
    hybridize(module, passes=False)
    seen = []
    for net in (module, reference):
        net.register_forward_pre_hook(lambda net, args: (args[0] * 2,))
        net.register_forward_hook(lambda net, args, out: (out + 1, seen.append(net))[0])
    calls(module, reference, torch.randn(2, 512).double(), times=5)
    assert seen == [module, reference] * 5
    assert "aten.addmm" in program(module)


def test_the_log_says_why_a_call_is_traced(caplog):
    module = hybridize(nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)))
    with caplog.at_level("INFO", "regluon.hybridize"), torch.no_grad():
        for _ in range(3):
            module(torch.ones(2, 3))
        module(torch.ones(4, 3))
        module[1].p = 0.25
        module(torch.ones(4, 3))
    assert [record.message.split(": ")[1].split(" (at")[0] for record in caplog.records] == [
        "the first call",
        "new arguments",
        "Dropout.p has changed",
    ]
    assert all("test_hybridize_torch.py" in record.message for record in caplog.records)
