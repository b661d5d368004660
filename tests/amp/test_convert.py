"""Converted blocks: computed in 16 bits with the same parameters, or with copies in 16 bits."""

import numpy as onp
import pytest

import regluon as mx
from regluon import amp, gluon, nd
from regluon.base import MXNetError


X = nd.array(onp.random.RandomState(0).normal(size=(4, 3, 8, 8)))


def network():
    net = gluon.nn.HybridSequential(prefix="net_")
    with net.name_scope():
        net.add(gluon.nn.Conv2D(4, 3, in_channels=3), gluon.nn.BatchNorm(in_channels=4))
        net.add(gluon.nn.Dense(5), gluon.nn.Dense(2, in_units=5))
    net.initialize(mx.init.Xavier())
    net(X)
    return net


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("target", ["bfloat16", "float16"])
def test_a_converted_block_computes_nearly_the_same_in_16_bits(target, compiled):
    net = network()
    mixed = amp.convert_hybrid_block(net, target)
    if compiled:
        mixed.hybridize()
    for _ in range(4):
        result = mixed(X)
        assert str(result.dtype).find(target) >= 0
        onp.testing.assert_allclose(result.astype("float32").asnumpy(), net(X).asnumpy(), atol=0.05)
    assert net(X).dtype is onp.float32


def test_parameters_are_those_of_the_block_by_object_name_and_place():
    net = network()
    mixed = amp.convert_hybrid_block(net, "bfloat16")
    assert list(mixed.collect_params()) == list(net.collect_params())
    assert mixed.structural_params() == net.structural_params()


def test_a_converted_block_can_be_trained():
    net = network()
    mixed = amp.convert_hybrid_block(net, "bfloat16")
    before = net[2].weight.data().asnumpy()
    trainer = gluon.Trainer(mixed.collect_params(), "sgd")
    with mx.autograd.record():
        mixed(X).square().sum().backward()
    trainer.step(4)
    assert net[2].weight.grad().dtype is onp.float32
    assert not onp.array_equal(net[2].weight.data().asnumpy(), before)


@pytest.mark.parametrize("compiled", [False, True])
def test_parameters_that_are_always_cast_can_be_kept_in_16_bits(compiled):
    net = network()
    mixed = amp.convert_hybrid_block(net, "bfloat16", cast_optional_params=True)
    if compiled:
        mixed.hybridize()
    shared = amp.convert_hybrid_block(net, "bfloat16")(X)
    for _ in range(4):
        assert onp.array_equal(mixed(X).asnumpy(), shared.asnumpy())
    low = {n for n, p in mixed.collect_params().items() if p.dtype == "bfloat16"}
    assert low == {n for n in mixed.collect_params() if "batchnorm" not in n}
    assert {p.data().dtype for p in net.collect_params().values()} == {onp.float32}


def test_a_parameter_that_is_used_in_float32_too_is_not_kept_in_16_bits():
    class Both(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.weight = self.params.get("weight", shape=(3, 3), init="ones")

        def hybrid_forward(self, F, x, weight):
            return F.dot(x, weight) + F.exp(weight)

    net = Both()
    net.initialize()
    mixed = amp.convert_hybrid_block(net, "bfloat16", cast_optional_params=True)
    mixed(nd.ones((3, 3)))
    assert mixed.block.weight.dtype is onp.float32


@pytest.mark.parametrize("name", ["net_dense1", "net_dense1_fwd"])
def test_excluded_blocks_compute_in_float32(name):
    mixed = amp.convert_hybrid_block(network(), "bfloat16", excluded_sym_names=[name])
    assert mixed(X).dtype is onp.float32


def test_a_context_gets_copies():
    net = network()
    mixed = amp.convert_hybrid_block(net, "bfloat16", ctx=mx.cpu(1))
    assert mixed(X.as_in_context(mx.cpu(1))).context == mx.cpu(1)
    assert net.collect_params().list_ctx() == [mx.cpu(0)]


def test_wrong_arguments_are_named():
    with pytest.raises(MXNetError, match="only a HybridBlock"):
        amp.convert_hybrid_block(gluon.nn.Sequential())
    with pytest.raises(MXNetError, match="no block 'net_dense9' inside"):
        amp.convert_hybrid_block(network(), excluded_sym_names=["net_dense9"])
    with pytest.raises(MXNetError, match="a list of names"):
        amp.convert_hybrid_block(network(), excluded_sym_names="net_dense0")
