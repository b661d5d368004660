"""The same network called as it stands and hybridized: the same results, several times faster.

    python examples/hybridize.py [--smoke]

Makes 1000 calls of a perceptron with one row of data, on one thread: imperatively, and by the
program that `hybridize()` makes. Takes five seconds and prints, with the times of your machine:

    imperative  58.4 ms for 1000 calls
    hybridized  21.6 ms for 1000 calls, 2.7 times faster
    the program:
    (a line for each kernel, with the layer and the line of this file that called it)
    passes=False: every bit is the same; all passes: the largest difference is 1.2e-07
"""

import argparse
import time

import torch

import regluon as mx
from regluon import nd
from regluon.gluon import HybridBlock, nn


def perceptron() -> nn.HybridSequential:
    net = nn.HybridSequential()
    net.add(nn.Dense(256, activation="relu", in_units=512))
    net.add(nn.Dense(128, activation="relu", in_units=256), nn.Dense(2, in_units=128))
    net.initialize(mx.init.Xavier())
    return net


def seconds(net: HybridBlock, x: nd.NDArray, calls: int) -> float:
    """Return the time of so many calls: the fastest of five rounds."""
    rounds = []
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(calls):
            net(x)
        nd.waitall()
        rounds.append(time.perf_counter() - begin)
    return min(rounds)


def faster(calls: int) -> None:
    mx.random.seed(0)
    net, x = perceptron(), nd.random.normal(shape=(1, 512))
    expected = net(x).asnumpy()
    imperative = seconds(net, x, calls)
    net.hybridize()
    hybridized = seconds(net, x, calls)
    print(f"imperative {imperative * 1e3:5.1f} ms for {calls} calls")
    print(
        f"hybridized {hybridized * 1e3:5.1f} ms for {calls} calls, "
        f"{imperative / hybridized:.1f} times faster"
    )
    print(f"the program:\n{net.program}")
    rounded = abs(net(x).asnumpy() - expected).max()
    net.hybridize(passes=False)
    outputs = [net(x).asnumpy() for _ in range(5)]
    assert all((output == expected).all() for output in outputs)
    assert rounded < 1e-5
    print(
        f"passes=False: every bit is the same; all passes: the largest difference is {rounded:.1e}"
    )


def main(smoke: bool) -> None:
    torch.set_num_threads(1)
    faster(100 if smoke else 1000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="fewer calls")
    main(parser.parse_args().smoke)
