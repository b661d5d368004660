from dataclasses import replace

import pytest
import torch

import regluon as mx
from regluon.graph import passes
from regluon.graph.likeness import far, strayed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64])
def test_what_is_off_by_more_than_rounding_is_named(dtype):
    one = torch.arange(1, 9).to(dtype)
    other = one.clone()
    assert far([(one, one), (one, other)], exact=True) == ""
    other[3] += 2
    assert "result 1 is off by 2, where" in far([(one, one), (one, other)], exact=False)


def test_without_rounding_one_bit_is_too_much():
    one = torch.linspace(1, 2, 9)
    other = torch.nextafter(one, torch.tensor(3.0))
    assert far([(one, other)], exact=False) == ""
    assert far([(one, other)], exact=True)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_so_in_both(value):
    one = torch.tensor([1.0, value])
    assert far([(one, one.clone())], exact=True) == ""
    assert far([(one, torch.ones(2))], exact=False)
    assert far([(torch.ones(2), one)], exact=False)


@pytest.mark.parametrize("step", [False, True])
def test_where_passes_that_round_change_too_much_the_program_does_without_them(monkeypatch, step):
    aten = torch.ops.aten

    def wrong(graph):
        return graph.with_nodes(
            replace(node, target=aten.tanh.default) if node.target is aten.sigmoid.default else node
            for node in graph.nodes
        )

    monkeypatch.setattr(passes, "TRAINING", (("linear", wrong), *passes.TRAINING))
    net = mx.gluon.nn.Dense(4, activation="sigmoid", in_units=3)
    net.initialize()
    loss_of = mx.gluon.loss.L2Loss()
    x, y = mx.nd.ones((2, 3)), mx.nd.ones((2, 4))
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.0})
    if step:
        call = mx.gluon.hybridize_step(net, loss_of, trainer)
        losses = [call(x, y).mean().item() for _ in range(6)]
        assert "aten.sigmoid" in call.program
    else:
        net.hybridize()
        losses = []
        for _ in range(6):
            with mx.autograd.record():
                loss = loss_of(net(x), y)
            loss.backward()
            losses.append(loss.mean().item())
        assert "aten.sigmoid" in net.program
    assert len(set(losses)) == 1


def test_16_bits_may_be_off_by_half_in_prediction_and_in_norm_in_training():
    one, small = torch.tensor([3.0, 4.0]), torch.tensor([1e-3])
    assert strayed([(one * 1.4, one), (small * 9, small)], []) == ""
    assert "result 0 is off by 3 in 16 bits: its norm is 8, in float32 5" in strayed(
        [(one * 1.6, one)], []
    )
    assert "result 0 is off by 10 in" in strayed([(-one, one)], [])
    turned = one.flip(0) * torch.tensor([1.0, -1.0])
    assert strayed([(one * 1.9, one)], [(turned * 3, one), (small * 9, small)]) == ""
    assert "result 0 is off by" in strayed([(turned, one)], [(one, one)])
    assert "gradient 1 is off by 20 in" in strayed([(one, one)], [(one, one), (one * 5, one)])
    assert "gradient 0 is off by 5 in" in strayed([], [(one * 0, one)])


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_16_bits_have_to_hold_what_float32_holds(value):
    one, other = torch.tensor([1.0, value, 2.0]), torch.ones(3)
    assert strayed([(other, one.clone())], []) == ""
    assert "result 1 is off by" in strayed([(other, other), (one, other)], [])
    assert "gradient 1 is off by" in strayed([], [(other, other), (one * 1e-9, other * 1e-9)])


def test_complex_numbers_are_compared_too():
    one = torch.ones(2, dtype=torch.complex64)
    assert strayed([(one * 1.01, one)], []) == ""
    assert "result 0 is off by" in strayed([(one * torch.inf, one)], [])


def test_whole_numbers_may_be_others_in_16_bits():
    assert strayed([(torch.tensor([1]), torch.tensor([7]))], []) == ""
