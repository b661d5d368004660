"""Making stores, keys and their arrays, stores of one's own."""

import pytest

import regluon as mx
from regluon.base import ArgumentError, DTypeError, MXNetError
from regluon.kvstore import KVStoreBase
from regluon.kvstore.base import pairs_of


ONE = mx.nd.ones((2,))


@pytest.mark.parametrize("name", ["local", "device", "LOCAL", "nccl", "local_allreduce_device"])
def test_a_store_says_its_kind_and_place(name):
    store = mx.kv.create(name)
    assert isinstance(store, mx.kvstore.KVStore)
    assert (store.type, store.rank, store.num_workers) == (name.lower(), 0, 1)
    assert store.is_capable("optimizer")
    assert store.is_capable("OPTIMIZER")
    with pytest.raises(ArgumentError, match="not 'speed'"):
        store.is_capable("speed")


def test_local_is_the_default():
    assert mx.kv.create().type == "local"
    assert mx.kv is mx.kvstore


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("devise", "did you mean 'device'"),
        ("dist_sync", "several machines"),
        ("horovod", "several machines"),
        (3, "by its name, such as 'device', not 3"),
        (None, "not None"),
    ],
)
def test_a_kind_that_does_not_exist_is_explained(name, text):
    with pytest.raises(MXNetError, match=text):
        mx.kv.create(name)


def test_keys_come_alone_or_in_lists_with_one_array_or_several():
    two = [ONE, ONE]
    assert pairs_of(3, ONE, "value") == [(3, [ONE])]
    assert pairs_of("a", two, "value") == [("a", two)]
    assert pairs_of(["a", "b"], two, "value") == [("a", [ONE]), ("b", [ONE])]
    assert pairs_of((1, 2), (two, ONE), "value") == [(1, two), (2, [ONE])]
    assert pairs_of([1, 2, 1], [ONE, ONE, two], "value") == [(1, [ONE, *two]), (2, [ONE])]


@pytest.mark.parametrize(
    ("key", "value", "kind", "text"),
    [
        (1.5, ONE, DTypeError, "a key is a whole number or a string, not 1.5"),
        (True, ONE, DTypeError, "not True"),
        ([None], [ONE], DTypeError, "not None"),
        ([1, "a"], [ONE, ONE], MXNetError, "all numbers or all strings"),
        ([1, 2], [ONE], MXNetError, "2 keys, but value has 1 entries"),
        ([1, 2], ONE, MXNetError, "2 keys, but value has no list"),
        (1, 3, DTypeError, "value of key 1 must be an array or a list of arrays, one is int"),
        (1, [ONE, [1]], DTypeError, "one is list"),
        ("a", [], MXNetError, "value of key 'a' is an empty list"),
    ],
)
def test_wrong_keys_and_values_are_explained(key, value, kind, text):
    with pytest.raises(kind, match=text):
        pairs_of(key, value, "value")


def test_a_registered_class_is_created_by_its_name():
    @KVStoreBase.register
    class Nowhere(KVStoreBase):
        pass

    store = mx.kv.create("nowhere")
    assert isinstance(store, Nowhere)
    assert (store.type, store.rank, store.num_workers) == ("nowhere", 0, 1)
    assert not store.is_capable(KVStoreBase.OPTIMIZER)
    for call in (
        lambda: store.broadcast(0, ONE, out=ONE),
        lambda: store.pushpull(0, ONE),
        lambda: store.set_optimizer(mx.optimizer.SGD()),
        lambda: store.set_gradient_compression({}),
        lambda: store.save_optimizer_states("states"),
        lambda: store.load_optimizer_states("states"),
    ):
        with pytest.raises(MXNetError, match="Nowhere does not define"):
            call()
