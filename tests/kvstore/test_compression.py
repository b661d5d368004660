"""Gradients in three values; MXNet 1.9.1 gave the figures."""

import torch

import regluon as mx
from regluon.kvstore.compression import TwoBit


def test_what_is_lost_is_carried_over():
    compress = TwoBit({"type": "2bit"})
    sent = [compress(0, 0, torch.tensor([0.3, -0.6, 2.0, 0.0])).tolist() for _ in range(4)]
    assert sent == [
        [0, -0.5, 0.5, 0],
        [0.5, -0.5, 0.5, 0],
        [0, -0.5, 0.5, 0],
        [0.5, -0.5, 0.5, 0],
    ]


def test_every_key_and_place_has_its_own_rest():
    compress = TwoBit({"type": "2bit", "threshold": 1})
    gradient = torch.tensor([0.6])
    assert [compress(key, place, gradient).item() for key in (0, 1) for place in (0, 1)] == [0] * 4
    assert [compress(key, place, gradient).item() for key in (0, 1) for place in (0, 1)] == [1] * 4
    assert gradient.item() == torch.tensor(0.6).item()


def test_a_device_store_adds_up_compressed_arrays_of_several_contexts():
    store = mx.kv.create("device")
    store.set_gradient_compression({"type": "2bit", "threshold": 0.5})
    store.init("w", mx.nd.zeros((2,)))
    total = mx.nd.zeros((2,))
    gradients = [mx.nd.array([0.3, 2]), mx.nd.array([0.6, -4], ctx=mx.cpu(1))]
    for wanted in ([0.5, 0], [1, 0], [0.5, 0]):
        store.pushpull("w", gradients, out=total)
        assert total.asnumpy().tolist() == wanted
    store.pushpull("w", gradients[:1], out=total)  # a single array is not compressed
    assert total.asnumpy().tolist() == gradients[0].asnumpy().tolist()
