import pytest

import regluon as mx
from regluon.gluon import nn
from tests.gluon.cases import check, of_file, read, run


GOLDEN = read()


@pytest.mark.parametrize("case", of_file("container"), ids=lambda case: case.name)
def test_outputs_gradients_names_and_repr_are_those_of_mxnet(case):
    check(f"{case.file}: {case.name}", run(mx, case), GOLDEN)


def stack(kind=nn.HybridSequential):
    net = kind(prefix="net_")
    with net.name_scope():
        net.add(nn.Dense(4, in_units=3), nn.Activation("relu"), nn.Dense(2, in_units=4))
    net.initialize()
    return net


@pytest.mark.parametrize("kind", [nn.Sequential, nn.HybridSequential])
def test_indexing_slicing_and_length(kind):
    net = stack(kind)
    assert len(net) == 3
    assert isinstance(net[-1], nn.Dense)
    part = net[:2]
    assert type(part) is kind
    assert part[0] is net[0]
    assert part(mx.nd.ones((1, 3))).shape == (1, 4)
    with pytest.raises(IndexError):
        net[3]


def test_sequential_takes_any_block():
    net = nn.Sequential()
    net.add(nn.Lambda(lambda x: x + 1), nn.Sequential())
    assert net(mx.nd.zeros((1,))).item() == 1
    assert repr(net).startswith("Sequential(\n  (0): Lambda(<lambda>)")


def test_a_lambda_of_an_unknown_function_suggests_one():
    for kind in (nn.Lambda, nn.HybridLambda):
        with pytest.raises(mx.MXNetError, match="not 'sigmod'; did you mean 'sigmoid'"):
            kind("sigmod")
    with pytest.raises(mx.MXNetError, match="needs a function"):
        nn.Lambda(3)


def test_a_relu_reuses_the_memory_of_a_batch_norm_only_where_nobody_else_looks() -> None:
    def outputs(watched: bool):
        mx.random.seed(0)
        net = nn.HybridSequential()
        net.add(nn.Dense(4), nn.BatchNorm(), nn.Activation("relu"), nn.Dense(1))
        net.initialize()
        seen = []
        if watched:
            net[1].register_forward_hook(lambda block, args, out: seen.append(out))
        x = mx.nd.random.normal(shape=(8, 3))
        with mx.autograd.record():
            loss = net(x).sum()
        loss.backward()
        grads = [p.grad().asnumpy() for p in net.collect_params("^(?!.*running)").values()]
        return loss.asnumpy(), grads, seen

    plain, plain_grads, _ = outputs(watched=False)
    watched, watched_grads, seen = outputs(watched=True)
    assert plain == watched
    for one, other in zip(plain_grads, watched_grads, strict=True):
        assert (one == other).all()
    assert seen[0].asnumpy().min() < 0
