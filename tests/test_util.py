"""mx.util: scopes and decorators of NumPy semantics, of each thread; what follows them in Gluon."""

import threading

import numpy as onp
import pytest

import regluon as mx
from regluon import gluon, nd, np, npx, util
from regluon.base import ContextError
from regluon.gluon import nn


def flags() -> tuple[bool, bool]:
    return util.is_np_array(), util.is_np_shape()


def test_set_np_and_reset_np_switch_both() -> None:
    assert flags() == (False, False)
    npx.set_np()
    assert flags() == (npx.is_np_array(), npx.is_np_shape()) == (True, True)
    npx.reset_np()
    assert flags() == (mx.is_np_array(), mx.is_np_shape()) == (False, False)
    util.set_np(shape=True, array=False)
    assert flags() == (False, True)
    with pytest.raises(ValueError, match="needs shape=True"):
        npx.set_np(shape=False)


def test_set_np_shape_returns_what_was_and_refuses_under_np_array() -> None:
    assert mx.set_np_shape(True) is False
    assert mx.set_np_shape(True) is True
    assert mx.set_np_shape(False) is True
    npx.set_np()
    with pytest.raises(ValueError, match="reset_np"):
        mx.set_np_shape(False)


def test_scopes_nest_and_end_with_an_error_too() -> None:
    with mx.np_shape(True), mx.np_array(True):
        assert flags() == (True, True)
        with mx.np_array(False), mx.np_shape(None):
            assert flags() == (False, True)
        with mx.np_array(False), mx.np_shape(False):
            assert flags() == (False, False)
        assert flags() == (True, True)
    with pytest.raises(ZeroDivisionError), util.np_shape():
        raise ZeroDivisionError
    assert flags() == (False, False)


def test_other_threads_keep_their_own_semantics() -> None:
    npx.set_np()
    seen = []
    thread = threading.Thread(target=lambda: seen.append(flags()))
    thread.start()
    thread.join()
    assert seen == [(False, False)]


@pytest.mark.parametrize(
    ("decorator", "inside"),
    [
        (mx.use_np, (True, True)),
        (mx.use_np_array, (True, False)),
        (mx.use_np_shape, (False, True)),
        (util.np_shape(True), (False, True)),
        (mx.np_array(), (True, False)),
    ],
)
def test_functions_are_decorated(decorator, inside) -> None:
    @decorator
    def asked(extra, *, key=0):
        """Words."""
        return flags(), extra, key

    assert asked(1, key=2) == (inside, 1, 2) == asked(1, key=2)
    assert (asked.__name__, asked.__doc__) == ("asked", "Words.")
    assert flags() == (False, False)


def test_classes_are_decorated_with_all_that_they_define() -> None:
    @mx.use_np
    class Asked:
        number = 3

        def __init__(self):
            self.made = flags()

        @property
        def held(self):
            return flags()

        @held.setter
        def held(self, value):
            self.given = flags()

        @staticmethod
        def static():
            return flags()

        @classmethod
        def of_class(cls):
            return cls.__name__, flags()

    asked = Asked()
    asked.held = 1
    both = (True, True)
    assert (asked.made, asked.held, asked.given, Asked.static()) == (both,) * 4
    assert Asked.of_class() == ("Asked", both)
    assert Asked.number == 3
    with pytest.raises(TypeError, match="functions and classes"):
        mx.use_np(3)


def test_np_shape_lets_nd_arrays_have_no_axes() -> None:
    x = nd.array([[1, 2], [3, 4]])
    assert nd.array(3.0).shape == x[0, 0].shape == (1,)
    with mx.np_shape():
        assert nd.array(3.0).shape == x[0, 0].shape == x[1][1].shape == nd.ones(()).shape == ()
        assert x.sum().shape == nd.dot(x[0], x[0]).shape == (1,)  # as in MXNet
        assert nd.zeros((0, 3)).shape == (0, 3)
        x[0, 0] = nd.array(9.0)
        x.attach_grad()
        with mx.autograd.record():
            y = x[0, 0] * x[1, 1]
        y.backward()
    assert x.grad.asnumpy().tolist() == [[4, 0], [0, 9]]


# Gluon under NumPy semantics


def made_by(net, *inputs):
    with mx.autograd.record():
        out = net(*inputs)
    out.backward()
    grads = [p.grad() for p in net.collect_params().values() if p.grad_req != "null"]
    return [out, *(p.data() for p in net.collect_params().values()), *grads]


def test_a_decorated_block_makes_numpy_like_parameters() -> None:
    @mx.use_np
    class Affine(gluon.HybridBlock):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.w = self.params.get("w", shape=(2, 2), allow_deferred_init=True)

        def hybrid_forward(self, F, x, w):
            assert flags() == (True, True)
            return F.np.dot(x, w) + F.np.ones(())

    net = Affine()
    with mx.util.np_array():
        net.initialize()
    assert flags() == (False, False)
    assert {type(array) for array in made_by(net, np.ones((3, 2)))} == {np.ndarray}


LAYERS = {
    "Dense": (nn.Dense, (3,), (2, 4)),
    "Conv2D": (nn.Conv2D, (2, 3), (1, 2, 5, 5)),
    "Conv1DTranspose": (nn.Conv1DTranspose, (2, 3), (1, 2, 5)),
    "BatchNorm": (nn.BatchNorm, (), (2, 3, 4)),
    "LayerNorm": (nn.LayerNorm, (), (2, 4)),
    "GroupNorm": (nn.GroupNorm, (1,), (2, 3, 4)),
    "InstanceNorm": (nn.InstanceNorm, (), (2, 3, 4)),
    "PReLU": (nn.PReLU, (), (2, 4)),
    "Swish": (nn.Swish, (), (2, 4)),
    "MaxPool2D": (nn.MaxPool2D, (), (1, 2, 4, 4)),
    "Dropout": (nn.Dropout, (0.5,), (2, 4)),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_make_numpy_like_arrays(layer: str) -> None:
    npx.set_np()
    kind, args, shape = LAYERS[layer]
    net = kind(*args)
    net.initialize()
    x = np.ones(shape)
    x.attach_grad()
    assert {type(array) for array in (*made_by(net, x), x.grad)} == {np.ndarray}


LOSSES = sorted(set(vars(gluon.loss)) & {
    "L1Loss", "L2Loss", "HuberLoss", "HingeLoss", "SquaredHingeLoss", "LogisticLoss", "KLDivLoss",
    "SigmoidBinaryCrossEntropyLoss", "SoftmaxCrossEntropyLoss",
})  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_give_numpy_like_arrays(loss: str) -> None:
    npx.set_np()
    target = np.array([0, 1]) if loss.startswith("Softmax") else np.ones((2, 3))
    value = getattr(gluon.loss, loss)()(np.full((2, 3), 0.3), target)
    assert type(value) is np.ndarray
    assert value.shape == (2,)


@pytest.mark.parametrize("init", ["zeros", "ones", "uniform", "normal", "xavier", "orthogonal"])
def test_initializers_fill_numpy_like_arrays(init: str) -> None:
    npx.set_np()
    param = gluon.Parameter("a_weight", shape=(3, 2), init=init)
    param.initialize()
    assert type(param.data()) is type(param.grad()) is np.ndarray


def test_a_parameter_may_have_no_axes() -> None:
    npx.set_np()
    param = gluon.Parameter("scale", shape=())
    param.initialize()
    assert param.data().shape == param.grad().shape == ()
    assert param.data().item() != 0


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_give_numpy_like_batches(workers: int) -> None:
    npx.set_np()
    rows = gluon.data.ArrayDataset(onp.ones((4, 3), "float32"), onp.arange(4.0))
    for data, label in gluon.data.DataLoader(rows, batch_size=2, num_workers=workers):
        assert (type(data), type(label)) == (np.ndarray, np.ndarray)
        assert label.shape == (2,)
    parts = gluon.utils.split_and_load(onp.ones((4, 3)), [mx.cpu(0), mx.cpu(1)])
    assert {type(part) for part in parts} == {np.ndarray}


def test_training_goes_on_in_numpy_like_arrays() -> None:
    npx.set_np()
    net = nn.HybridSequential()
    net.add(nn.Dense(4, activation="relu"), nn.BatchNorm(), nn.Dense(2))
    net.initialize()
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.05})
    x, y = np.random.normal(size=(32, 3)), np.arange(32) % 2
    losses = []
    for _ in range(5):
        with mx.autograd.record():
            loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(x), y).mean()
        loss.backward()
        trainer.step(1)
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert {type(p.data()) for p in net.collect_params().values()} == {np.ndarray}


def test_default_array_is_of_the_kind_in_force() -> None:
    assert type(util.default_array([1, 2])) is nd.NDArray
    with util.np_array():
        made = util.default_array([1, 2], ctx=mx.cpu(1), dtype="int32")
    assert (type(made), made.context, made.dtype) == (np.ndarray, mx.cpu(1), onp.int32)


def test_wrapped_functions_take_numpys_default_keywords_only() -> None:
    one = util.wrap_np_unary_func(lambda x, out=None: (x, out))
    two = util.wrap_np_binary_func(lambda x1, x2, out=None: (x1, x2, out))
    assert one(1, where=True, casting="same_kind", order="K", subok=True) == (1, None)
    assert two(1, 2, out=3, dtype=None) == (1, 2, 3)
    with pytest.raises(NotImplementedError, match="only casting='same_kind'"):
        one(1, casting="safe")
    with pytest.raises(TypeError, match="does not understand dtype='text'"):
        two(1, 2, dtype="text")
    with pytest.raises(TypeError, match="no keyword 'axis'"):
        one(1, axis=0)


@pytest.mark.parametrize(
    ("key", "value", "legal"),
    [
        ("where", False, True),
        ("casting", "safe", True),
        ("casting", "odd", False),
        ("order", "F", True),
        ("order", 3, False),
        ("dtype", onp.float16, True),
        ("dtype", "int8", True),
        ("dtype", onp.complex64, False),
        ("subok", False, True),
        ("subok", 1, False),
        ("axis", 0, False),
    ],
)
def test_options_of_universal_functions(key: str, value: object, legal: bool) -> None:
    assert util.np_ufunc_legal_option(key, value) is legal


def test_environment_and_machine() -> None:
    util.setenv("REGLUON_TEST_VARIABLE", "3")
    assert util.getenv("REGLUON_TEST_VARIABLE") == "3"
    util.setenv("REGLUON_TEST_VARIABLE", None)
    assert util.getenv("REGLUON_TEST_VARIABLE") is None
    assert util.get_gpu_count() == mx.num_gpus()
    with pytest.raises(ContextError, match=r"mx\.gpu\(0\)"):
        util.get_cuda_compute_capability(mx.cpu())

    @util.set_module("mxnet.numpy")
    def example():
        return None

    assert example.__module__ == "mxnet.numpy"
