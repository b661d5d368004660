"""TorchBlock: torch modules as layers, trained by regluon or by torch."""

import copy

import pytest
import safetensors.torch
import torch

import regluon as mx
from regluon.gluon import nn
from regluon.gluon.torch_program import program
from tests.gluon.cases import numbers


def small():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 2),
    )


X, Y = numbers("x", (4, 3, 6, 6)), numbers("y", (4, 2))


def step_by_regluon(block, lr=0.1):
    with mx.autograd.record():
        loss = (block(mx.nd.array(X)) - mx.nd.array(Y)).square().mean()
    loss.backward()
    for param in block.collect_params().values():
        if param.grad_req != "null":
            array = param.data()
            array[:] = array - lr * param.grad()


def test_five_steps_by_regluon_equal_five_steps_by_torch():
    module = small()
    reference = copy.deepcopy(module)
    block = nn.TorchBlock(module)
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.1)
    for _ in range(5):
        step_by_regluon(block)
        optimizer.zero_grad()
        (reference(torch.tensor(X)) - torch.tensor(Y)).square().mean().backward()
        optimizer.step()
    mx.nd.waitall()
    for name, value in reference.state_dict().items():
        assert torch.allclose(module.state_dict()[name], value, rtol=0, atol=1e-6), name
    assert module[1].num_batches_tracked == 5
    reference.eval()
    mine = block(mx.nd.array(X)).to_torch()
    assert torch.allclose(mine, reference(torch.tensor(X)), rtol=0, atol=1e-5)


def test_hybridized_it_trains_and_predicts_as_before(caplog):
    plain, compiled = nn.TorchBlock(small()), nn.TorchBlock(small())
    compiled.hybridize()
    for _ in range(5):
        for block in (plain, compiled):
            step_by_regluon(block)
        expected = plain(mx.nd.array(X)).to_torch()
        assert torch.allclose(compiled(mx.nd.array(X)).to_torch(), expected, rtol=0, atol=1e-5)
    mx.nd.waitall()
    assert compiled.module[1].num_batches_tracked == 5
    source = program(compiled.module)
    assert source.count("aten.native_batch_norm.default") == 2
    assert source.count("# its gradients") == 1
    assert not caplog.records


def test_hybridized_its_random_numbers_follow_our_seed():
    block = nn.TorchBlock(torch.nn.Dropout(0.5))
    x, drawn = mx.nd.ones((50,)), []
    for active in (False, True):
        block.hybridize(active)
        mx.random.seed(1)
        with mx.autograd.train_mode():
            drawn.append([block(x).asnumpy().tolist() for _ in range(5)])
    assert drawn[0] == drawn[1]
    assert "bernoulli" in program(block.module)


def test_inside_a_hybridized_net_it_is_a_program_of_its_own():
    net = nn.HybridSequential()
    net.add(nn.Dense(4), nn.TorchBlock(torch.nn.Linear(4, 4)), nn.Dense(1))
    net.initialize(force_reinit=True)
    x = mx.nd.array(numbers("x", (2, 3)))
    expected = net(x).asnumpy()
    net.hybridize()
    for _ in range(6):
        assert abs(net(x).asnumpy() - expected).max() < 1e-6
    assert "aten." in program(net[1].module)


def test_parameters_share_storage_both_ways():
    module = torch.nn.Linear(2, 2)
    block = nn.TorchBlock(module, prefix="part_")
    assert list(block.collect_params()) == ["part_weight", "part_bias"]
    weight = block.structural_params()["weight"]
    weight.data()[:] = 3
    mx.nd.waitall()
    assert module.weight.tolist() == [[3.0, 3.0]] * 2
    with torch.no_grad():
        module.weight.zero_()
    assert weight.data().asnumpy().tolist() == [[0.0, 0.0]] * 2
    assert block.as_torch() is module


def test_training_mode_follows_autograd():
    block = nn.TorchBlock(torch.nn.Dropout(0.5))
    x = mx.nd.ones((200,))
    assert block(x).asnumpy().min() == 1
    with mx.autograd.record():
        assert block(x).asnumpy().min() == 0
    with mx.autograd.predict_mode():
        assert block(x).asnumpy().min() == 1


def test_random_numbers_follow_our_seed_and_leave_torchs_alone():
    block = nn.TorchBlock(torch.nn.Dropout(0.5))
    x, drawn = mx.nd.ones((50,)), []
    torch.manual_seed(5)
    expected = torch.rand(3)
    for torch_seed in (5, 6):
        torch.manual_seed(torch_seed)
        mx.random.seed(1)
        with mx.autograd.train_mode():
            drawn += [block(x).asnumpy().tolist(), block(x).asnumpy().tolist()]
    assert drawn[:2] == drawn[2:]
    assert drawn[0] != drawn[1]
    torch.manual_seed(5)
    with mx.autograd.train_mode():
        block(x).wait_to_read()
    assert torch.equal(torch.rand(3), expected)


def test_frozen_parameters_of_the_module_stay_frozen():
    module = small()
    module[0].requires_grad_(False)
    block = nn.TorchBlock(module)
    before = module[0].weight.clone()
    reqs = {name: param.grad_req for name, param in block.structural_params().items()}
    assert reqs["0.weight"] == reqs["1.running_mean"] == "null"
    assert reqs["4.weight"] == "write"
    step_by_regluon(block)
    mx.nd.waitall()
    assert torch.equal(module[0].weight, before)
    block.structural_params()["0.weight"].grad_req = "write"
    assert module[0].weight.requires_grad


def test_between_layers_of_ours_gradients_pass_through():
    net = nn.HybridSequential()
    net.add(nn.Dense(4), nn.TorchBlock(torch.nn.Linear(4, 4)), nn.Dense(1))
    net.initialize(force_reinit=True)
    x = mx.nd.array(numbers("x", (2, 3)))
    x.attach_grad()
    with mx.autograd.record():
        y = net(x).sum()
    y.backward()
    assert x.grad.asnumpy().any()
    assert net[0].weight.grad().asnumpy().any()
    assert net[1].structural_params()["weight"].grad().asnumpy().any()


def test_files_have_torchs_names(tmp_path):
    block = nn.TorchBlock(small())
    step_by_regluon(block)
    block.save_parameters(tmp_path / "w.safetensors")
    other = small()
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "w.safetensors"))
    assert torch.equal(other[1].running_mean, block.module[1].running_mean)
    fresh = nn.TorchBlock(small())
    fresh.load_parameters(tmp_path / "w.safetensors")
    mx.nd.waitall()
    assert torch.equal(fresh.module[1].num_batches_tracked, torch.tensor(1))


def test_nested_both_ways_it_is_one_set_of_parameters():
    inner = nn.Dense(4, in_units=3, prefix="inner_")
    inner.initialize()
    module = torch.nn.Sequential(inner.as_torch(), torch.nn.Linear(4, 2))
    outer = nn.HybridSequential(prefix="outer_")
    outer.add(nn.TorchBlock(module, prefix="torch_"))
    assert list(outer.collect_params()) == [
        "inner_weight", "inner_bias", "torch_1.weight", "torch_1.bias",
    ]  # fmt: skip
    with mx.autograd.record():
        loss = outer(mx.nd.ones((2, 3))).sum()
    loss.backward()
    assert inner.weight.grad().asnumpy().any()
    again = outer.as_torch()
    assert again(torch.ones(2, 3)).shape == (2, 2)
    assert dict(again.named_parameters())["0.0.weight"] is inner.weight.torch_tensor()


def test_structures_scalars_and_what_is_no_tensor_pass():
    class Many(torch.nn.Module):
        def forward(self, pair, factor, options):
            a, b = pair
            return {"sum": (a + b).sum() * factor, "rest": [b, options["name"]]}

    block = nn.TorchBlock(Many())
    x = mx.nd.ones((2,))
    out = block([x, x], 2, {"name": "n"})
    assert out["sum"].shape == (1,)
    assert out["sum"].item() == 8
    assert out["rest"][0].asnumpy().tolist() == [1.0, 1.0]
    assert out["rest"][1] == "n"
    y = mx.np.ones((2,))
    assert block([y, y], 2, {"name": "n"})["sum"].shape == ()


def test_buffers_that_the_module_replaces_are_written():
    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x):
            self.count = self.count + 1
            return x * 1

    module = Counting()
    block = nn.TorchBlock(module)
    early = block.structural_params()["count"].data() * 1
    block(mx.nd.ones((2,)))
    block(mx.nd.ones((2,)))
    assert module.count.item() == block.structural_params()["count"].data().item() == 2
    assert early.item() == 0


def test_errors_of_the_module_name_the_block():
    net = nn.HybridSequential(prefix="net_")
    net.add(nn.TorchBlock(torch.nn.Linear(3, 2)))
    with pytest.raises(mx.MXNetError, match=r"(?s)shapes cannot be multiplied.*in net.0 \(TorchB"):
        net(mx.nd.ones((1, 4)))
    with pytest.raises(mx.MXNetError, match=r"needs a torch.nn.Module, not int"):
        nn.TorchBlock(3)
    with pytest.raises(mx.MXNetError, match=r"TorchBlock takes arrays"):
        net[0](torch.ones(1, 3))


def test_two_contexts_have_a_copy_each():
    contexts = [mx.cpu(0), mx.cpu(1)]
    block = nn.TorchBlock(small())
    block.collect_params().reset_ctx(contexts)
    for ctx in contexts:
        with mx.autograd.record():
            loss = block(mx.nd.array(X, ctx=ctx)).sum()
        loss.backward()
    weight = block.structural_params()["0.weight"]
    one, other = (weight.grad(ctx).asnumpy() for ctx in contexts)
    assert abs(one - other).max() <= 1e-5 * abs(one).max()  # memory formats may differ
    assert weight.data(contexts[0]).to_torch().data_ptr() == block.module[0].weight.data_ptr()


def test_a_network_that_holds_a_module_initializes_only_what_is_new_and_does_not_warn():
    net = nn.HybridSequential()
    net.add(nn.TorchBlock(torch.nn.Linear(3, 2)), nn.Dense(2))
    kept = list(net[0].collect_params().values())
    before = [param.data().asnumpy() for param in kept]
    net.initialize()  # a warning would be an error here
    net.initialize(force_reinit=True)
    for param, old in zip(kept, before, strict=True):
        assert (param.data().asnumpy() == old).all()
    assert net(mx.nd.ones((1, 3))).shape == (1, 2)


def test_an_unknown_option_of_hybridize_is_named():
    block = nn.TorchBlock(torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match="no option mixed_precison"):
        block.hybridize(mixed_precison="bfloat16")
    block.hybridize(static_alloc=True, backend=None)
