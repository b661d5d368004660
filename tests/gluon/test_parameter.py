"""Parameter and Constant: shapes, copies per context, gradients, errors that name the parameter."""

import numpy as onp
import pytest
import torch

import regluon as mx
from regluon.gluon import Constant, DeferredInitializationError, Parameter


TWO = [mx.cpu(0), mx.cpu(1)]


def made(**kwargs):
    param = Parameter("w", **{"shape": (2, 3), **kwargs})
    param.initialize(mx.init.One())
    return param


def test_values_gradient_and_contexts_of_an_initialized_parameter():
    param = made()
    assert param.data().asnumpy().tolist() == onp.ones((2, 3)).tolist()
    assert param.grad().asnumpy().tolist() == onp.zeros((2, 3)).tolist()
    assert param.list_ctx() == [mx.cpu(0)]
    assert param.data() is param.data(mx.cpu(0)) is param.list_data()[0]


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"shape": (2, 0)}, "Parameter w (shape=(2, 0), dtype=<class 'numpy.float32'>)"),
        ({"shape": 5, "dtype": "float64"}, "Parameter w (shape=(5,), dtype=float64)"),
        ({}, "Parameter w (shape=None, dtype=<class 'numpy.float32'>)"),
    ],
)
def test_repr_is_that_of_mxnet(kwargs, text):
    assert repr(Parameter("w", **kwargs)) == text


def test_unknown_lengths_are_minus_one_under_numpy_semantics():
    param = Parameter("w", shape=(2, 0))
    mx.npx.set_np()
    assert param.shape == (2, -1)
    param.shape = (2, 4)
    assert param.shape == (2, 4)


def test_a_known_length_cannot_change():
    param = Parameter("w", shape=(2, 0))
    param.shape = (2, 5)
    for wrong in [(3, 5), (2, 6), (2,), (2, 5, 1)]:
        with pytest.raises(mx.base.ShapeError, match=r"parameter 'w' has shape \(2, 5\)"):
            param.shape = wrong


def test_the_parameters_own_initializer_goes_before_the_default_and_after_the_argument():
    cases = [
        (None, None, 1.0),
        (mx.init.Constant(3), None, 3.0),
        (mx.init.Constant(3), mx.init.Constant(4), 4.0),
        ("zeros", None, 0.0),
    ]
    for own, given, value in cases:
        param = Parameter("anything", shape=(2,), init=own)
        param.initialize(init=given, default_init=mx.init.One())
        assert param.data().asnumpy().tolist() == [value, value]


def test_a_second_initialization_warns_and_force_reinit_begins_anew():
    param = made()
    with pytest.warns(UserWarning, match="Parameter 'w' is already initialized"):
        param.initialize(mx.init.Zero())
    assert param.data().sum().item() == 6
    param.initialize(mx.init.Zero(), force_reinit=True)
    assert param.data().sum().item() == 0


def test_initialization_of_an_unknown_shape_needs_permission_and_then_waits():
    with pytest.raises(mx.base.ShapeError, match=r"parameter 'w' has shape \(2, 0\)"):
        Parameter("w", shape=(2, 0)).initialize()
    param = Parameter("w", shape=(2, 0), allow_deferred_init=True)
    param.initialize(ctx=TWO)
    assert param.waiting
    assert param.list_ctx() == TWO
    with pytest.raises(DeferredInitializationError, match="'w' has no values yet"):
        param.data()
    param.shape = (2, 3)
    param.finish_init()
    assert [x.context for x in param.list_data()] == TWO


def test_a_failing_initializer_leaves_the_parameter_waiting():
    class Wrong(mx.init.Initializer):
        def _init_weight(self, desc, arr):
            raise ValueError("no")

    param = Parameter("w", shape=(2, 3))
    with pytest.raises(ValueError, match="no"):
        param.initialize(Wrong())
    assert not param.initialized


def test_the_error_of_an_uninitialized_parameter_names_it():
    param = Parameter("net0_w", shape=(2,))
    for act in (param.data, param.list_data, param.grad, param.list_ctx, param.mean):
        with pytest.raises(mx.MXNetError, match="'net0_w' is not initialized"):
            act()
    with pytest.raises(mx.MXNetError, match="'net0_w' is not initialized"):
        param.set_data(mx.nd.ones((2,)))
    with pytest.raises(mx.MXNetError, match="'net0_w' is not initialized"):
        param.reset_ctx(mx.cpu(1))


def test_the_error_of_a_wrong_context_names_parameter_and_both_contexts():
    with pytest.raises(mx.base.ContextError, match=r"'w' is not on cpu\(3\), only on cpu\(0\)"):
        made().data(mx.cpu(3))


def test_two_copies_have_their_own_values_and_gradients():
    param = Parameter("w", shape=(2,))
    param.initialize(mx.init.One(), ctx=TWO)
    param.data(TWO[1])[:] = 3
    assert param.mean().asnumpy().tolist() == [2.0, 2.0]
    with TWO[1]:
        assert param.data().context is TWO[1]
    for ctx in TWO:
        with mx.autograd.record():
            y = (param.data(ctx) * param.data(ctx)).sum()
        y.backward()
    assert [g.asnumpy().tolist() for g in param.list_grad()] == [[2.0, 2.0], [6.0, 6.0]]
    param.zero_grad()
    assert [g.asnumpy().tolist() for g in param.list_grad()] == [[0.0, 0.0], [0.0, 0.0]]


def test_set_data_writes_all_copies_in_place():
    param = Parameter("w", shape=(2,))
    param.initialize(ctx=TWO)
    arrays = param.list_data()
    param.set_data([5, 6])
    assert [x.asnumpy().tolist() for x in arrays] == [[5.0, 6.0], [5.0, 6.0]]
    with pytest.raises(mx.base.ShapeError, match="'w' has shape"):
        param.set_data(mx.nd.ones((3,)))


def test_set_data_tells_an_unknown_shape():
    param = Parameter("w", shape=(2, 0), allow_deferred_init=True)
    param.initialize()
    given = mx.nd.array([[1, 2], [3, 4]])
    param.set_data(given)
    given[:] = 0
    assert param.data().asnumpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_reset_ctx_moves_the_mean_and_waits_with_a_waiting_parameter():
    param = Parameter("w", shape=(2,))
    param.initialize(mx.init.One(), ctx=TWO)
    param.data(TWO[1])[:] = 3
    param.reset_ctx(mx.cpu(2))
    assert param.list_ctx() == [mx.cpu(2)]
    assert param.data().asnumpy().tolist() == [2.0, 2.0]
    assert param.grad().context is mx.cpu(2)
    waiting = Parameter("v", shape=(0,), allow_deferred_init=True)
    waiting.initialize()
    waiting.reset_ctx(TWO)
    assert waiting.list_ctx() == TWO


@pytest.mark.parametrize("ctx", [[], [mx.cpu(), mx.cpu()], "cpu"])
def test_a_wrong_list_of_contexts_is_refused(ctx):
    with pytest.raises((mx.base.ContextError, mx.MXNetError)):
        Parameter("w", shape=(2,)).initialize(ctx=ctx)


def test_grad_req_can_change_at_any_time():
    param = made()
    for req, want in [("write", 2.0), ("add", 4.0), ("write", 2.0)]:
        param.grad_req = req
        for _ in range(2):
            with mx.autograd.record():
                y = (param.data() * 2).sum()
            y.backward()
        assert param.grad().asnumpy().tolist() == onp.full((2, 3), want).tolist()
    param.grad_req = "null"
    with pytest.raises(mx.MXNetError, match="'w' has no gradient: its grad_req is 'null'"):
        param.grad()
    with pytest.raises(mx.MXNetError, match="grad_req must be one of"):
        param.grad_req = "sometimes"


def test_what_is_not_differentiable_keeps_grad_req_null():
    param = Parameter("w", shape=(2,), differentiable=False)
    assert param.grad_req == "null"
    param.grad_req = "write"
    assert param.grad_req == "null"


@pytest.mark.parametrize("dtype", ["float16", "float64", onp.float64])
def test_cast_converts_values_and_gradient(dtype):
    param = made()
    param.cast(dtype)
    assert param.data().dtype == param.grad().dtype == onp.dtype(dtype).type
    with mx.autograd.record():
        y = (param.data() * 2).sum()
    y.backward()
    assert param.grad().sum().item() == 12
    param.dtype = "float32"
    assert param.data().dtype == onp.float32


def test_cast_before_the_values_exist():
    param = Parameter("w", shape=(0,), allow_deferred_init=True)
    param.cast("float64")
    param.initialize()
    param.shape = (2,)
    param.finish_init()
    assert param.data().dtype == onp.float64
    with pytest.raises(mx.base.DTypeError, match="float23"):
        param.cast("float23")


def test_sparse_values_are_refused():
    with pytest.raises(mx.MXNetError, match="only dense values"):
        Parameter("w", shape=(2,), stype="row_sparse")
    Parameter("w", shape=(2,), grad_stype="row_sparse")


def test_initial_values_depend_on_the_seed_and_not_on_the_context():
    drawn = []
    for ctx in [mx.cpu(0), mx.cpu(1), TWO]:
        mx.random.seed(3)
        param = Parameter("w", shape=(4,))
        param.initialize(mx.init.Normal(1), ctx=ctx)
        drawn += [x.asnumpy().tolist() for x in param.list_data()]
    assert drawn == [drawn[0]] * 4


def test_arrays_are_of_the_kind_that_set_np_asks_for():
    mx.npx.set_np()
    param = made(shape=(2,))
    assert isinstance(param.data(), mx.np.ndarray)
    assert isinstance(param.grad(), mx.np.ndarray)


def test_a_parameter_without_axes():
    mx.npx.set_np()
    param = Parameter("w", shape=())
    param.allocate(mx.np.array(2.0), [mx.cpu()])
    param.set_data(mx.np.array(3.0))
    with mx.autograd.record():
        y = param.data() * 2
    y.backward()
    assert param.data().item() == 3
    assert param.grad().item() == 2
    param.zero_grad()
    assert param.grad().item() == 0


def test_a_constant_has_no_gradient_and_can_be_set():
    const = Constant("c", [[1, 2], [3, 4]])
    const.initialize(ctx=TWO)
    assert const.grad_req == "null"
    assert const.data(TWO[1]).asnumpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]
    const.set_data([[0, 0], [0, 0]])
    assert const.data(TWO[0]).sum().item() == 0
    assert const.value.sum().item() == 10


def test_the_torch_parameter_shares_storage_and_follows_changes():
    param = made()
    twin = param.torch_tensor()
    assert isinstance(twin, torch.nn.Parameter)
    assert param.torch_tensor() is twin
    with torch.no_grad():
        twin.add_(1)
    assert param.data().sum().item() == 12
    param.data()[:] = 5
    mx.nd.waitall()
    assert twin.tolist() == [[5.0] * 3] * 2
    param.cast("float64")
    assert twin.dtype == torch.float64
    param.grad_req = "null"
    assert not twin.requires_grad
    param.initialize(mx.init.Zero(), force_reinit=True)
    assert twin.tolist() == [[0.0] * 3] * 2


def test_a_twin_that_torch_moved_is_noticed():
    param = made()
    param.torch_tensor().data = torch.zeros(2, 3)
    with pytest.raises(mx.MXNetError, match="no longer share storage"):
        param.check_adopted()


class Broken(mx.init.Initializer):
    def _init_weight(self, name, arr):
        raise ValueError("broken")


def test_an_initializer_that_fails_leaves_the_old_values():
    param = mx.gluon.Parameter("weight", shape=(2, 3))
    param.initialize(mx.init.One())
    with pytest.raises(ValueError, match="broken"):
        param.initialize(Broken(), force_reinit=True)
    assert (param.data().asnumpy() == 1).all()
    assert param.grad().shape == (2, 3)
