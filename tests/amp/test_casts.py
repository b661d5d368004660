"""The casts at the door: which dtypes calls get, what gradients come out, how threads differ."""

import threading

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon import amp, nd
from regluon.amp.casts import using
from regluon.base import DTypeError, MXNetError
from tests.ops.modes import engine


ENGINES = ["NaiveEngine", "LazyEngine", "ThreadedEngine"]


def name(array):
    return str(onp.dtype(array.dtype)) if array.dtype != "bfloat16" else "bfloat16"


SQUARE = mx.np.ones((2, 2))
X, W = nd.ones((2, 3)), nd.ones((4, 3))
LOW = nd.ones((2, 3), dtype="bfloat16")


@pytest.mark.parametrize("target", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda: nd.FullyConnected(X, W, num_hidden=4, no_bias=True), "low"),
        (lambda: nd.dot(X, W.T), "low"),
        (lambda: SQUARE @ SQUARE, "low"),
        (lambda: mx.np.einsum("ij,kj->ik", SQUARE, SQUARE), "low"),
        (lambda: nd.relu(nd.dot(X, W.T)), "low"),
        (lambda: nd.dot(X, W.T).softmax(), "float32"),
        (lambda: nd.dot(X, W.T).sum(), "float32"),
        (lambda: nd.dot(X, W.T) + nd.ones((2, 4)), "float32"),
        (lambda: nd.concat(nd.dot(X, W.T), X), "float32"),
        (lambda: mx.np.concatenate([SQUARE @ SQUARE, SQUARE]), "float32"),
        (lambda: nd.dot(X, W.T) + nd.dot(X, W.T), "low"),
        (lambda: nd.dot(X, W.T) * 2, "low"),
        (lambda: X + X, "float32"),
        (lambda: nd.LeakyReLU(nd.dot(X, W.T), act_type="elu"), "float32"),
        (lambda: nd.LeakyReLU(nd.dot(X, W.T)), "low"),
        (lambda: nd.Activation(nd.dot(X, W.T), act_type="softrelu"), "float32"),
        (lambda: nd.dot(X.astype("float64"), W.astype("float64").T), "float64"),
        (lambda: nd.dot(X, W.T, out=nd.zeros((2, 4))), "float32"),
    ],
)
def test_results_have_the_dtype_of_the_operators_list(target, call, wanted):
    amp.init(target)
    assert name(call()) == (target if wanted == "low" else wanted)


@pytest.mark.parametrize("kind", ENGINES)
def test_gradients_of_float32_arrays_are_float32_and_near_the_exact_ones(kind):
    with engine(kind):
        x, w = (nd.random.normal(shape=(8, 8)) for _ in range(2))
        grads = []
        for switch in (lambda: None, lambda: amp.init("bfloat16")):
            switch()
            for array in (x, w):
                array.attach_grad()
            with mx.autograd.record():
                loss = nd.dot(x, w).softmax().square().sum()
            loss.backward()
            assert name(loss) == name(w.grad) == name(x.grad) == "float32"
            grads.append(onp.stack([x.grad.asnumpy(), w.grad.asnumpy()]))
    assert not onp.array_equal(*grads)
    onp.testing.assert_allclose(*grads, atol=0.02)


@pytest.mark.parametrize("kind", ENGINES)
def test_batch_norm_keeps_parameters_statistics_and_their_gradients_in_float32(kind):
    with engine(kind):
        amp.init("bfloat16")
        layer = mx.gluon.nn.BatchNorm(in_channels=2)
        layer.initialize()
        with mx.autograd.record():
            y = layer(nd.random.normal(3, 2, shape=(16, 2, 4, 4)).astype("bfloat16"))
            y.mean().backward()
        assert name(y) == "bfloat16"
        assert {name(p.data()) for p in layer.collect_params().values()} == {"float32"}
        assert name(layer.gamma.grad()) == "float32"
        assert (layer.running_mean.data().asnumpy() > 0.2).all()


@pytest.mark.parametrize("kind", ENGINES)
def test_prediction_casts_a_parameter_once_until_it_is_written(kind):
    with engine(kind):
        amp.init("bfloat16")
        net = mx.gluon.nn.Dense(1, in_units=3, use_bias=False)
        net.initialize(mx.init.One())
        module = net.as_torch()
        leaf = net.weight.data()._node
        answers = [net(X).asnumpy()[0, 0], net(X).asnumpy()[0, 0]]
        first = leaf.cast[2]
        answers.append(net(X).asnumpy()[0, 0])
        assert leaf.cast[2] is first
        net.weight.set_data(nd.ones((1, 3)) * 2)
        answers.append(net(X).asnumpy()[0, 0])
        with torch.no_grad():
            module.weight.mul_(2)
        answers.append(net(X).asnumpy()[0, 0])
        net.weight.data()[:] = 8
        answers.append(net(X).asnumpy()[0, 0])
        assert answers == [3, 3, 3, 6, 12, 24]


def test_an_array_already_in_the_dtype_is_not_cast():
    with using(amp.Casts("bfloat16")):
        args, _ = amp.Casts("bfloat16")(mx.ops.registry.TABLE["dot_nd"], (LOW, LOW), {})
    assert args[0] is LOW


def test_the_users_lists_go_before_ours():
    amp.init("bfloat16", ["exp"], [("clip", "a_min", [0])], ["dot", "tanh"])
    low = nd.exp(X)
    assert name(low) == "bfloat16"
    assert name(nd.dot(low, low.T)) == name(low.tanh()) == "float32"
    assert name(low.clip(0, 1)) == "float32"
    assert name(low.clip(1, 2)) == name(nd.LeakyReLU(low, act_type="elu")) == "bfloat16"


def test_batch_norm_in_16_bits_still_has_parameters_in_float32():
    amp.init("bfloat16", [*amp.list_lp16_ops("bfloat16"), "BatchNorm"])
    one, zero = nd.ones(3), nd.zeros(3)
    assert name(nd.BatchNorm(X, one, zero, zero, one)) == "bfloat16"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("float64",), DTypeError, "'bfloat16' or 'float16', not 'float64'"),
        (("bfloat16", ["FullyConected"]), MXNetError, "FullyConected.*FullyConnected"),
        (("bfloat16", "dot"), MXNetError, "a list of names"),
        (("bfloat16", ["dot"], None, ["dot"]), MXNetError, "dot.*for both bfloat16 and float32"),
        (("bfloat16", None, [("clip", "axis", [0])]), MXNetError, "'clip' has no attribute 'axis'"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, words):
    with pytest.raises(error, match=words):
        amp.init(*arguments)


def test_the_lists_can_be_given_back_and_hold_every_operator_once():
    lists = [
        amp.list_lp16_ops("float16"),
        amp.list_fp32_ops("float16"),
        amp.list_widest_type_cast("float16"),
        [op for op, *_ in amp.list_conditional_fp32_ops("float16")],
    ]
    listed = [name for names in lists for name in names]
    assert len(listed) == len(set(listed))
    amp.init("float16", lists[0], amp.list_conditional_fp32_ops("float16"), lists[1])
    assert name(nd.dot(X, W.T)) == "float16"
    assert set(amp.list_loss_output_functions("float16")) < set(lists[1])
    assert "BatchNorm" in amp.list_lp16_fp32_ops("float16")
    assert amp.list_lp16_use_fp32_params("bfloat16")["BatchNorm"][:2] == ["", "gamma"]


def test_every_operator_of_the_tables_exists():
    tables = (amp.operators._TARGET, amp.operators._FLOAT32, amp.operators._WIDEST)
    names = " ".join(tables).split()
    later = {"rnn"}
    assert not [n for n in names if n not in mx.ops.registry.TABLE and n not in later]


def test_init_reaches_every_thread_and_using_one_only():
    found = []

    def work():
        found.append(name(nd.dot(X, W.T)))

    def run():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    with using(amp.Casts("float16")):
        work(), run()
    amp.init("bfloat16")
    work(), run()
    with using(None):
        work(), run()
    amp.reset()
    work()
    assert found == ["float16", "float32", "bfloat16", "bfloat16", "float32", "bfloat16", "float32"]


def test_a_second_init_does_nothing_and_another_dtype_is_an_error():
    amp.init("bfloat16")
    amp.init("bfloat16")
    with pytest.raises(MXNetError, match=r"with 'bfloat16' before: call amp.reset\(\) first"):
        amp.init("float16")


def test_a_hybridized_block_has_a_program_for_each_state():
    net = mx.gluon.nn.Dense(4, in_units=3)
    net.initialize()
    net.hybridize()
    plain = [name(net(X)) for _ in range(4)]
    amp.init("bfloat16")
    mixed = [name(net(X)) for _ in range(4)]
    amp.reset()
    assert plain == [name(net(X))] * 4 == ["float32"] * 4
    assert mixed == ["bfloat16"] * 4


def test_mxnets_places_of_the_module():
    names = {}
    exec("import regluon.contrib.amp; from regluon.contrib import amp", names)
    assert names["amp"] is mx.contrib.amp is mx.amp
    with pytest.raises(AttributeError, match=r"it converts symbols.*convert_hybrid_block"):
        amp.convert_symbol  # noqa: B018
