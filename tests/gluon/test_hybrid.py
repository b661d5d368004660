"""HybridBlock: two styles of forward, F, children, hybridize."""

import pytest

import regluon as mx
from regluon.gluon import Block, HybridBlock, nn
from tests.gluon.cases import check, of_file, read, run


GOLDEN = read()


@pytest.mark.parametrize("case", of_file("hybrid"), ids=lambda case: case.name)
def test_outputs_gradients_names_and_repr_are_those_of_mxnet(case):
    check(f"{case.file}: {case.name}", run(mx, case), GOLDEN)


def test_the_functions_are_nd_and_under_numpy_have_np_and_npx():
    seen = []

    class Look(HybridBlock):
        def hybrid_forward(self, F, x):
            seen.append(F)
            return x

    Look()(mx.nd.ones((1,)))
    Look()(mx.np.ones((1,)))
    assert seen[0] is mx.nd
    assert (seen[1].np, seen[1].npx) == (mx.np, mx.npx)


def test_hybrid_forward_of_a_derived_layer_goes_before_the_layers_forward():
    class Doubled(nn.Dense):
        def hybrid_forward(self, F, x, weight, bias=None):
            return F.FullyConnected(x, 2 * weight, bias, num_hidden=self._units)

    layer = Doubled(2, in_units=3)
    layer.initialize(mx.init.One())
    assert layer(mx.nd.ones((1, 3))).asnumpy().tolist() == [[6.0, 6.0]]

    class Again(Doubled):
        def forward(self, x):
            return x

    assert Again(2)(mx.nd.ones((1, 3))).shape == (1, 3)


def test_lists_of_arrays_and_none_are_passed_on():
    class Many(HybridBlock):
        def hybrid_forward(self, F, pair, last=None):
            return [pair[0] + pair[1], last]

    out = Many()([mx.nd.ones((2,)), mx.nd.ones((2,))])
    assert out[0].asnumpy().tolist() == [2.0, 2.0]
    assert out[1] is None
    with pytest.raises(mx.MXNetError, match="Many takes arrays"):
        Many()(None)


def test_new_arrays_inside_are_made_on_the_context_of_the_input():
    class AddZeros(HybridBlock):
        def hybrid_forward(self, F, x):
            return x + F.zeros((2,))

    assert AddZeros()(mx.nd.ones((2,), ctx=mx.cpu(1))).context is mx.cpu(1)


def test_children_must_be_hybrid():
    class Plain(Block):
        pass

    net = nn.HybridSequential()
    with pytest.raises(mx.MXNetError, match=r"is a Plain.*nn.Sequential"):
        net.add(Plain())


def test_hybridize_changes_no_result_and_knows_its_options():
    net = nn.HybridSequential()
    net.add(nn.Dense(3, in_units=2), nn.Dense(2))
    net.initialize()
    x = mx.nd.ones((1, 2))
    before = net(x).asnumpy()
    net.hybridize(static_alloc=True, static_shape=True)
    net.hybridize()
    assert (net(x).asnumpy() == before).all()
    net.hybridize(False)
    with pytest.raises(TypeError, match="no option static_aloc"):
        net.hybridize(static_aloc=True)


def test_a_plain_block_hybridizes_what_is_inside(caplog):
    net = nn.Sequential()
    net.add(nn.Dense(1))
    net.hybridize()
    assert net[0]._active
