"""A Trainer and its store: who updates, what it may be told, what the two ways leave behind."""

import numpy as onp
import pytest

import regluon as mx
from regluon.base import MXNetError
from regluon.kvstore import KVStoreBase


CONTEXTS = [mx.cpu(0), mx.cpu(1)]


def parameter(places=2, **settings):
    param = mx.gluon.Parameter("w", shape=(2,), **settings)
    param.initialize(mx.init.One(), ctx=CONTEXTS[:places])
    return param


def backward(param, factor=1.0):
    """Make the gradients `factor` times the number of the context, counted from 1."""
    with mx.autograd.record():
        losses = [(d * (factor * (i + 1))).sum() for i, d in enumerate(param.list_data())]
    mx.autograd.backward(losses)


def firsts(arrays):
    return [array.asnumpy()[0] for array in arrays]


def two_steps(places, kvstore, updates, **settings):
    """Return values and gradients after each of two steps, as MXNet 1.9.1 printed them."""
    param = parameter(places)
    numbers = {"learning_rate": 0.5, "momentum": 0.5}
    trainer = mx.gluon.Trainer(
        [param], "sgd", numbers, kvstore, update_on_kvstore=updates, **settings
    )
    found = []
    for _ in range(2):
        backward(param)
        trainer.step(2)
        found.append((firsts(param.list_data()), firsts(param.list_grad())))
    return found


ALONE = [([0.75], [1]), ([0.375], [1])]
APART = [([0.75, 0.5], [1, 2]), ([0.375, -0.25], [1, 2])]
IN_STORE = [([0.25, 0.25], [1, 2]), ([-0.875, -0.875], [1, 2])]
IN_PLACE = [([0.25, 0.25], [3, 3]), ([-0.875, -0.875], [3, 3])]


@pytest.mark.parametrize("name", ["local", "device"])
@pytest.mark.parametrize("given", ["name", "object"])
@pytest.mark.parametrize("updates", [None, True, False])
def test_a_store_updates_unless_it_is_told_not_to(name, given, updates):
    kvstore = name if given == "name" else mx.kv.create(name)
    assert two_steps(2, kvstore, updates) == (IN_PLACE if updates is False else IN_STORE)


@pytest.mark.parametrize("kvstore", [None, "local", "device", "object"])
@pytest.mark.parametrize("updates", [None, False])
def test_one_context_is_updated_the_same_with_and_without_a_store(kvstore, updates):
    kvstore = mx.kv.create("device") if kvstore == "object" else kvstore
    assert two_steps(1, kvstore, updates) == ALONE


def test_without_a_store_contexts_go_their_own_way():
    assert two_steps(2, None, None) == APART
    assert two_steps(2, None, False) == APART


def test_one_context_may_insist_on_a_store():
    assert two_steps(1, "device", True) == ALONE


def test_the_environment_decides_where_the_argument_does_not(monkeypatch):
    monkeypatch.setenv("MXNET_UPDATE_ON_KVSTORE", "0")
    assert two_steps(2, "device", None) == IN_PLACE
    assert two_steps(2, "device", True) == IN_STORE


def test_a_local_store_does_not_update_parameters_above_16_million_elements(monkeypatch):
    monkeypatch.setattr(mx.gluon.trainer, "_LARGE", 1)
    assert two_steps(2, "local", None) == IN_PLACE
    assert two_steps(2, "device", None) == IN_STORE


@pytest.mark.parametrize(("kvstore", "updates"), [("device", None), ("local", True)])
def test_halves_of_a_step_are_refused_where_the_store_updates(kvstore, updates):
    param = parameter()
    trainer = mx.gluon.Trainer([param], "sgd", kvstore=kvstore, update_on_kvstore=updates)
    backward(param)
    for half in (trainer.allreduce_grads, lambda: trainer.update(2)):
        with pytest.raises(MXNetError, match="update_on_kvstore=False"):
            half()
    trainer.step(2)


def test_halves_of_a_step_are_a_step():
    for places, kvstore, wanted in [
        (1, "device", ([0.5], [1])),
        (2, None, ([0.5, 0], [1, 2])),
        (2, "device", ([-0.5, -0.5], [3, 3])),
    ]:
        param = parameter(places)
        trainer = mx.gluon.Trainer(
            [param], "sgd", {"learning_rate": 1.0}, kvstore, update_on_kvstore=False
        )
        backward(param)
        trainer.allreduce_grads()
        trainer.update(2)
        assert (firsts(param.list_data()), firsts(param.list_grad())) == wanted


def test_values_that_the_user_writes_between_steps_count():
    param = parameter()
    trainer = mx.gluon.Trainer([param], "sgd", {"learning_rate": 0.5})
    backward(param)
    trainer.step(1)
    assert firsts(param.list_data()) == [-0.5, -0.5]
    param.set_data(mx.nd.ones((2,)) * 10)
    backward(param)
    trainer.step(1)
    assert firsts(param.list_data()) == [8.5, 8.5]
    for copy in param.list_data():
        copy[:] = copy.clip(-1, 1)
    backward(param)
    trainer.step(1)
    assert firsts(param.list_data()) == [-0.5, -0.5]
    param.initialize(mx.init.Zero(), ctx=CONTEXTS, force_reinit=True)
    backward(param)
    trainer.step(1)
    assert firsts(param.list_data()) == [-1.5, -1.5]


@pytest.mark.parametrize("updates", [True, False])
def test_copies_are_the_first_one_from_the_first_step_on(updates):
    param = parameter()
    param.data(CONTEXTS[1])[:] = 5
    trainer = mx.gluon.Trainer([param], "sgd", {"learning_rate": 0.5}, update_on_kvstore=updates)
    backward(param)
    trainer.step(1)
    assert firsts(param.list_data()) == [-0.5, -0.5]


@pytest.mark.parametrize("updates", [True, False])
def test_contexts_may_change_places_between_steps(updates):
    param = parameter()
    trainer = mx.gluon.Trainer([param], "sgd", {"learning_rate": 0.5}, update_on_kvstore=updates)
    for contexts in (CONTEXTS, CONTEXTS[::-1], [mx.cpu(2), mx.cpu(3)]):
        param.reset_ctx(contexts)
        backward(param)
        trainer.step(1)
    assert firsts(param.list_data()) == [-3.5, -3.5]


def test_one_context_cannot_become_several_in_the_middle():
    param = parameter(1)
    trainer = mx.gluon.Trainer([param], "sgd", {"learning_rate": 0.5})
    backward(param)
    trainer.step(1)
    param.reset_ctx(CONTEXTS)
    backward(param)
    with pytest.raises(MXNetError, match="make a new Trainer"):
        trainer.step(1)


def test_parameters_that_are_frozen_at_first_enter_the_store_later():
    first, second = parameter(), parameter(grad_req="null")
    trainer = mx.gluon.Trainer([first, second], "sgd", {"learning_rate": 0.5})
    backward(first)
    trainer.step(1)
    second.grad_req = "write"
    backward(first)
    backward(second)
    trainer.step(1)
    assert firsts(second.list_data()) == [-0.5, -0.5]


@pytest.mark.parametrize("loading", [True, False])
@pytest.mark.parametrize("saving", [True, False])
def test_states_are_the_same_whoever_updates(saving, loading, tmp_path):
    def trained(updates):
        param = parameter()
        numbers = {"learning_rate": 0.5, "momentum": 0.5}
        return param, mx.gluon.Trainer([param], "sgd", numbers, update_on_kvstore=updates)

    param, trainer = trained(saving)
    backward(param)
    trainer.step(1)
    trainer.save_states(tmp_path / "states")
    values = param.list_data()[0].copy()
    backward(param)
    trainer.step(1)
    other, second = trained(loading)
    other.set_data(values)
    second.load_states(tmp_path / "states")
    for _ in range(2):
        backward(other)
        second.step(1)
    assert firsts(param.list_data()) == [-2.75, -2.75]
    assert firsts(other.list_data()) == [-5.375, -5.375]
    assert second.optimizer.num_update == 3


def test_one_store_serves_one_trainer():
    kvstore = mx.kv.create("device")
    for number in range(2):
        param = parameter()
        trainer = mx.gluon.Trainer([param], "sgd", kvstore=kvstore)
        backward(param)
        if number == 0:
            trainer.step(1)
        else:
            with pytest.raises(MXNetError, match="a store serves one Trainer"):
                trainer.step(1)


# Stores of the user's own


class Slow(KVStoreBase):
    """Adds up on the first context, one key after another, and keeps a diary."""

    def __init__(self):
        self.calls = []

    def broadcast(self, key, value, out, priority=0):
        self.calls.append(("broadcast", key, priority))
        for array in out:
            array[:] = value.as_in_context(array.context)

    def pushpull(self, key, value, out=None, priority=0):
        self.calls.append(("pushpull", key, priority))
        total = sum(array.as_in_context(value[0].context) for array in value)
        for array in value if out is None else out:
            array[:] = total.as_in_context(array.context)


def test_a_store_of_ones_own_is_asked_key_by_key():
    store = Slow()
    assert two_steps(2, store, None) == IN_PLACE
    assert store.calls == [("broadcast", 0, 0), ("pushpull", 0, 0), ("pushpull", 0, 0)]
    params = {"a": parameter(), "b": parameter()}
    trainer = mx.gluon.Trainer(params, "sgd", kvstore=store, update_on_kvstore=False)
    for param in params.values():
        backward(param)
    trainer.step(1)
    assert store.calls[-2:] == [("pushpull", 0, 0), ("pushpull", 1, -1)]


def test_a_store_without_an_optimizer_cannot_be_asked_to_update():
    with pytest.raises(MXNetError, match="use update_on_kvstore=False"):
        two_steps(2, Slow(), True)
    with pytest.raises(MXNetError, match="does not define set_gradient_compression"):
        two_steps(2, Slow(), False, compression_params={"type": "2bit"})


# Compression


def test_compressed_gradients_are_mxnets():
    """The figures are what MXNet 1.9.1 printed for this program."""
    param = parameter()
    trainer = mx.gluon.Trainer(
        [param], "sgd", {"learning_rate": 1.0}, compression_params={"type": "2bit"}
    )
    found = []
    for factor in (0.3, 0.3, 0.3, 2, 0.1, 0.1):
        backward(param, factor)
        trainer.step(1)
        found.append(param.data(CONTEXTS[1]).asnumpy()[0])
    assert found == [0.5, -0.5, -1, -2, -3, -4]


def test_one_context_compresses_nothing():
    settings = {"compression_params": {"type": "2bit", "threshold": 0.25}}
    assert two_steps(1, "device", None, **settings) == ALONE
    assert two_steps(2, None, None, **settings) == APART
    onp.testing.assert_equal(two_steps(1, mx.kv.create("device"), None, **settings), ALONE)


@pytest.mark.parametrize(
    ("kvstore", "params", "text"),
    [
        ("local", {"type": "2bit"}, "'local' compresses nothing"),
        ("device", {"type": "3bit"}, "not type='3bit'"),
        ("device", {"threshold": 1}, "not type=None"),
        ("device", {"type": "2bit", "threshold": 0}, "above 0, not 0"),
        ("device", {"type": "2bit", "treshold": 1}, "did you mean 'threshold'"),
    ],
)
def test_wrong_compression_is_explained(kvstore, params, text):
    with pytest.raises(MXNetError, match=text):
        two_steps(2, kvstore, None, compression_params=params)
