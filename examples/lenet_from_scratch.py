"""LeNet on two devices without layers or a trainer: copies of the parameters, allreduce, SGD.

    python examples/lenet_from_scratch.py

Takes half a minute on two cores. One device and two learn the same from a batch, to rounding; the
two end with equal parameters and tell over 95 % of unseen digits of a pocket calculator apart.
"""

import argparse
import time

import numpy

import regluon as mx
from regluon import autograd, gluon, nd


SHAPES = {
    (20, 1, 5, 5): 0.25, (20,): 0.01, (50, 20, 5, 5): 0.06, (50,): 0.01,
    (800, 128): 0.05, (128,): 0.01, (128, 10): 0.1, (10,): 0.01,
}  # fmt: skip
"""Shapes of the parameters, and how far from zero they begin."""

SEGMENTS = ["abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg"]
PLACES = {
    "a": (slice(0, 2), slice(0, 10)), "g": (slice(8, 10), slice(0, 10)),
    "d": (slice(16, 18), slice(0, 10)), "f": (slice(0, 10), slice(0, 2)),
    "b": (slice(0, 10), slice(8, 10)), "e": (slice(8, 18), slice(0, 2)),
    "c": (slice(8, 18), slice(8, 10)),
}  # fmt: skip
softmax_cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()
Parameters = list[nd.NDArray]


def digits(count: int, seed: int) -> tuple[nd.NDArray, nd.NDArray]:
    """Draw digits of seven segments at random places, with noise."""
    random = numpy.random.default_rng(seed)
    labels = random.integers(0, 10, count)
    pictures = random.normal(0, 0.3, (count, 1, 28, 28))
    for picture, label in zip(pictures, labels, strict=True):
        top, left = random.integers(4, 8), random.integers(7, 11)
        for segment in SEGMENTS[label]:
            picture[0, top:, left:][PLACES[segment]] += 1
    return nd.array(pictures), nd.array(labels)


def lenet(x: nd.NDArray, parameters: Parameters) -> nd.NDArray:
    """Compute the scores of the ten classes: two convolutions, two dense layers."""
    w1, b1, w2, b2, w3, b3, w4, b4 = parameters
    for weight, bias in ((w1, b1), (w2, b2)):
        x = nd.Convolution(x, weight, bias, kernel=(5, 5), num_filter=weight.shape[0])
        x = nd.Pooling(nd.relu(x), pool_type="max", kernel=(2, 2), stride=(2, 2))
    x = nd.relu(nd.dot(x.flatten(), w3) + b3)
    return nd.dot(x, w4) + b4


def start() -> Parameters:
    mx.random.seed(1)
    return [nd.random.normal(0, scale, shape) for shape, scale in SHAPES.items()]


def copy_to(parameters: Parameters, ctx: mx.Context) -> Parameters:
    """Return the parameters on a device, each with a gradient of its own."""
    copies = [parameter.copyto(ctx) for parameter in parameters]
    for copy in copies:
        copy.attach_grad()
    return copies


def allreduce(arrays: list[nd.NDArray]) -> None:
    """Let every array be the sum of all: added up on the first device, copied to the others."""
    total = arrays[0]
    for array in arrays[1:]:
        total += array.copyto(total.context)
    for array in arrays[1:]:
        total.copyto(array)


def train_batch(
    x: nd.NDArray, y: nd.NDArray, replicas: list[Parameters], devices: list[mx.Context], rate: float
) -> list[nd.NDArray]:
    """Do one step of SGD; nothing here waits, so the devices work at the same time."""
    xs = gluon.utils.split_and_load(x, devices, even_split=False)
    ys = gluon.utils.split_and_load(y, devices, even_split=False)
    with autograd.record():
        losses = [
            softmax_cross_entropy(lenet(x_part, replica), y_part)
            for x_part, y_part, replica in zip(xs, ys, replicas, strict=True)
        ]
    for loss in losses:
        loss.backward()
    for copies in zip(*replicas, strict=True):
        allreduce([copy.grad for copy in copies])
    for replica in replicas:
        for parameter in replica:
            parameter -= rate / len(x) * parameter.grad
    return losses


def train(
    devices: list[mx.Context], count: int, epochs: int, batch: int = 64
) -> tuple[list[Parameters], Parameters]:
    """Return the parameters on all devices, and the first ones as they were after one batch."""
    replicas = [copy_to(start(), device) for device in devices]
    pictures, labels = digits(count, seed=0)
    early: Parameters = []
    for epoch in range(epochs):
        began = time.perf_counter()
        for at in range(0, count, batch):
            here = slice(at, at + batch)
            losses = train_batch(pictures[here], labels[here], replicas, devices, rate=0.05)
            early = early or [parameter.copy() for parameter in replicas[0]]
        last = sum(loss.mean().asscalar() for loss in losses) / len(losses)
        seconds = time.perf_counter() - began
        print(f"{len(devices)} x cpu, epoch {epoch}: last loss {last:.3f}, {seconds:.1f} s")
    return replicas, early


def main(smoke: bool) -> None:
    count, epochs = (1000, 2) if smoke else (3000, 4)
    _, early_alone = train([mx.cpu(0)], count, epochs)
    (first, second), early = train([mx.cpu(0), mx.cpu(1)], count, epochs)
    for a, b in zip(early_alone, early, strict=True):
        assert abs(a - b).max().asscalar() < 1e-5, "two devices learned something else"
    for a, b in zip(first, second, strict=True):
        assert (a.asnumpy() == b.asnumpy()).all(), "the replicas differ"
    pictures, labels = digits(1000, seed=1)
    accuracy = (lenet(pictures, first).argmax(axis=1) == labels).mean().asscalar()
    print(f"accuracy on unseen digits: {accuracy:.1%}")
    assert accuracy > (0.5 if smoke else 0.95)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="fewer digits, two epochs")
    main(parser.parse_args().smoke)
