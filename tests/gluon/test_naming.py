"""Prefixes of blocks and names of parameters, as MXNet 1.9.1 counts them."""

import threading

import regluon as mx
from regluon.gluon import nn


def in_fresh_thread(function):
    """Counts begin at zero in every thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_blocks_are_counted_by_class_outside_of_scopes():
    def names():
        blocks = [nn.Dense(1), nn.Dense(1), nn.Conv2D(1, 1), nn.MaxPool2D(), nn.Activation("relu")]
        return [block.prefix for block in (*blocks, nn.HybridSequential())]

    assert in_fresh_thread(names) == [
        "dense0_",
        "dense1_",
        "conv0_",
        "pool0_",
        "relu0_",
        "hybridsequential0_",
    ]


def test_a_scope_counts_for_itself_and_puts_its_prefix_first():
    net = nn.HybridSequential(prefix="net_")
    with net.name_scope():
        inner = nn.HybridSequential()
        with inner.name_scope():
            inner.add(nn.Dense(1), nn.Dense(1))
        net.add(inner, nn.Dense(1), nn.Dense(1, prefix="out_"))
    assert [name for name in net.collect_params() if "weight" in name] == [
        "net_hybridsequential0_dense0_weight",
        "net_hybridsequential0_dense1_weight",
        "net_dense0_weight",
        "net_out_weight",
    ]
    assert net.name == "net"
    assert inner.name == "net_hybridsequential0"


def test_an_empty_prefix_leaves_the_names_to_the_scope_around_it():
    net = nn.HybridSequential(prefix="net_")
    with net.name_scope():
        body = nn.HybridSequential(prefix="")
        with body.name_scope():
            body.add(nn.Dense(1))
        net.add(body, nn.Dense(1))
    assert [name for name in net.collect_params() if "weight" in name] == [
        "net_dense0_weight",
        "net_dense1_weight",
    ]


def test_the_scope_ends_with_an_error_inside_too():
    net = nn.HybridSequential(prefix="net_")
    try:
        with net.name_scope():
            raise KeyError
    except KeyError:
        pass
    assert not nn.Dense(1).prefix.startswith("net_")


def test_shared_parameters_keep_their_names():
    first = nn.Dense(3, in_units=3, prefix="first_")
    second = nn.Dense(3, in_units=3, prefix="second_", params=first.collect_params())
    assert second.weight is first.weight
    assert list(second.collect_params()) == ["first_weight", "first_bias"]
    first.initialize()
    x = mx.nd.ones((1, 3))
    with mx.autograd.record():
        y = second(first(x)).sum()
    y.backward()
    assert first.weight.grad().shape == (3, 3)


def test_parameters_shared_with_a_whole_network():
    def build(prefix, params=None):
        net = nn.HybridSequential(prefix=prefix, params=params)
        with net.name_scope():
            net.add(nn.Dense(2, in_units=2), nn.Dense(2, in_units=2))
        return net

    first = build("net_")
    second = build("net_", params=first.collect_params())
    assert second[1].weight is first[1].weight
