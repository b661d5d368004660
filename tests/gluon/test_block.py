"""Block: registration, calls, hooks, selection of parameters, deferred shapes, repr."""

import pytest

import regluon as mx
from regluon.gluon import Block, HybridBlock, nn
from tests.gluon.cases import check, of_file, read, run


GOLDEN = read()


class Net(Block):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.first = nn.Dense(4)
            self.second = nn.Dense(2)

    def forward(self, x):
        return self.second(mx.nd.relu(self.first(x)))


def ready(**kwargs):
    net = Net(prefix="net_", **kwargs)
    net.initialize()
    net(mx.nd.ones((2, 3)))
    return net


@pytest.mark.parametrize("case", of_file("block"), ids=lambda case: case.name)
def test_outputs_gradients_names_and_repr_are_those_of_mxnet(case):
    check(f"{case.file}: {case.name}", run(mx, case), GOLDEN)


def test_attributes_are_registered_as_children_and_parameters():
    net = ready()
    net.extra = net.params.get("extra", shape=(1,))
    assert list(net.structural_params()) == [
        "extra", "first.weight", "first.bias", "second.weight", "second.bias",
    ]  # fmt: skip
    assert repr(net) == (
        "Net(\n  (first): Dense(3 -> 4, linear)\n  (second): Dense(4 -> 2, linear)\n)"
    )


def test_replacing_a_child_replaces_it_everywhere():
    net = ready()
    net.second = nn.Dense(7, in_units=4, prefix="net_new_")
    net.second.initialize()
    assert net(mx.nd.ones((2, 3))).shape == (2, 7)
    assert "net_new_weight" in net.collect_params()
    assert "net_dense1_weight" not in net.collect_params()


def test_a_block_or_parameter_cannot_become_something_else():
    net = ready()
    with pytest.raises(TypeError, match=r"Net.first is a Dense and cannot become a int"):
        net.first = 3
    with pytest.raises(mx.MXNetError, match=r"Dense.weight is a parameter already"):
        net.first.weight = mx.gluon.Parameter("other")


def test_forgetting_super_init_is_a_clear_error():
    class Wrong(Block):
        def __init__(self):
            self.layer = nn.Dense(1)

    with pytest.raises(mx.MXNetError, match=r"Wrong.__init__ must call super\(\).__init__\(\)"):
        Wrong()


@pytest.mark.parametrize(
    ("select", "names"),
    [
        (None, ["net_dense0_weight", "net_dense0_bias", "net_dense1_weight", "net_dense1_bias"]),
        (".*bias", ["net_dense0_bias", "net_dense1_bias"]),
        ("net_dense1_weight|net_dense0_bias", ["net_dense0_bias", "net_dense1_weight"]),
        ("dense0", []),
    ],
)
def test_collect_params_selects_by_a_regular_expression(select, names):
    assert list(ready().collect_params(select)) == names


def test_blocks_hidden_in_lists_give_a_warning():
    net = ready()
    net.layers = [nn.Dense(1), {"more": (nn.Dense(1),)}]
    with pytest.warns(UserWarning, match="Net.layers holds blocks that are not registered"):
        net.collect_params()


def test_hooks_run_around_forward_until_they_are_detached():
    net, seen = ready(), []
    before = net.register_forward_pre_hook(lambda block, args: seen.append(args[0].shape))
    after = net.register_forward_hook(lambda block, args, out: seen.append(out.shape))
    x = mx.nd.ones((2, 3))
    net(x)
    with before:
        net(x)
    net(x)
    after.detach()
    after.detach()
    net(x)
    assert seen == [(2, 3), (2, 2), (2, 3), (2, 2), (2, 2)]


def test_apply_visits_the_innermost_first():
    net, seen = ready(), []
    assert net.apply(lambda block: seen.append(type(block).__name__)) is net
    assert seen == ["Dense", "Dense", "Net"]


def test_initialize_on_several_contexts_and_compute_on_each():
    net = Net(prefix="net_")
    contexts = [mx.cpu(0), mx.cpu(1)]
    net.initialize(mx.init.One(), ctx=contexts)
    for ctx in contexts:
        y = net(mx.nd.ones((2, 3), ctx=ctx))
        assert y.context is ctx
        assert y.asnumpy().tolist() == [[12.0, 12.0]] * 2
    with pytest.raises(mx.base.ContextError, match=r"(?s)is not on cpu\(2\).*in net.first"):
        net(mx.nd.ones((2, 3), ctx=mx.cpu(2)))


def test_an_initialized_net_takes_its_shapes_from_the_first_input():
    net = Net(prefix="net_")
    net.initialize()
    assert net.first.weight.shape == (4, 0)
    net(mx.nd.ones((2, 5)))
    assert net.first.weight.shape == (4, 5)
    assert net.second.weight.data().shape == (2, 4)


def test_a_failing_first_call_can_be_repeated_with_a_right_input():
    net = nn.Conv2D(2, 3)
    net.initialize()
    with pytest.raises(mx.base.ShapeError, match="layout NCHW has 4 axes"):
        net(mx.nd.ones((2, 5)))
    assert net(mx.nd.ones((1, 3, 5, 5))).shape == (1, 2, 3, 3)


def test_own_parameters_of_unknown_shape_need_infer_shape():
    class Own(HybridBlock):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.weight = self.params.get("weight", shape=(2, 0), allow_deferred_init=True)

        def hybrid_forward(self, F, x, weight):
            return F.dot(x, weight, transpose_b=True)

    net = Own(prefix="own_")
    net.initialize()
    with pytest.raises(mx.MXNetError, match=r"own_weight are unknown.*Own.infer_shape"):
        net(mx.nd.ones((1, 3)))
    Own.infer_shape = lambda self, x: setattr(self.weight, "shape", (2, x.shape[1]))
    assert net(mx.nd.ones((1, 3))).shape == (1, 2)


def test_calling_an_uninitialized_net_names_the_parameter_and_the_layer():
    net = Net(prefix="net_")
    with pytest.raises(mx.MXNetError, match=r"(?s)'net_dense0_weight' is not init.*in net.first"):
        net(mx.nd.ones((2, 3)))


def test_cast_converts_everything_and_batch_norm_stays_float32_for_float16():
    net = nn.HybridSequential()
    net.add(nn.Dense(3, in_units=2), nn.BatchNorm(in_channels=3))
    net.initialize()
    net.cast("float64")
    assert net(mx.nd.ones((2, 2), dtype="float64")).dtype.__name__ == "float64"
    net.cast("float16")
    assert net[0].weight.data().dtype.__name__ == "float16"
    assert net[1].gamma.data().dtype.__name__ == "float32"


def test_forward_without_a_definition_says_so():
    class Empty(Block):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty must define forward\(\)"):
        Empty()(mx.nd.ones((1,)))
