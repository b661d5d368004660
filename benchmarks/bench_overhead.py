"""What the front end costs: tiny operators and training steps against torch eager and MXNet 1.9.1.

    python benchmarks/bench_overhead.py --mxnet-python PATH [--rounds 15] [--only tiny]

All peers run interleaved in one run, each with its own default thread count; figures are medians.
torch eager runs in both memory formats and its better one is the reference. A table goes to the
terminal, the record to benchmarks/results/overhead.json.

Measured on 2026-11-23 (idle two-core Xeon, torch 2.13 CPU, ThreadedEngine) in several runs, ratios
of our time to torch's better format and to MXNet's; goals at most 2 and 0.6 (tiny: 0.5):

    tiny add     1.53-1.76  0.13-0.21    tiny scalar  1.51-1.64  0.21-0.38
    x[3]         0.85-1.10  0.25-0.28    x[1:3]       1.85-1.93  0.43
    x[:, 1]      1.51-1.89  0.04         x[indices]   1.11-1.71  0.01
    x.sum()      1.75-1.90  0.17-0.36    mean         1.41-1.60  0.26-0.59
    row + column 1.48-1.55  0.13-0.26    dot          1.73-1.81  0.22-0.42
    x += y       1.85-1.89  0.15-0.18    backward of 10  1.79-1.97  0.43-0.63
    x[3] = 1     1.18       0.05         x[1:3] = y      1.71       0.05
    mlp 1        1.10-1.21  0.21         mlp 32       1.12-1.24  0.33-0.6
    resnet18     1.03-1.04  0.54-0.6     the goal of the three: within 5 % of torch

A sum over everything has shape (1,) in nd, which costs torch a second kernel.
"""

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from expressions import COUNT, EXPRESSIONS, arrays, repeated
from timing import Peer, interleave, machine, seconds, write_results
from torch.nn import functional

import regluon as mx


Step = Callable[[], object]


def tiny_ours(expression: Callable[[Any, Any], Any]) -> Step:
    x = mx.nd.ones((2, 2))

    def step() -> None:
        y = x
        for _ in range(500):
            y = expression(y, x)
        y.wait_to_read()

    return step


def tiny_torch(expression: Callable[[Any, Any], Any]) -> Step:
    x = torch.ones(2, 2)

    def step() -> None:
        y = x
        for _ in range(500):
            y = expression(y, x)

    return step


def train_ours(net: Any, shape: tuple[int, ...], classes: int) -> Step:
    net.initialize(mx.init.Xavier())
    loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    data = mx.nd.random.normal(shape=shape)
    label = mx.nd.arange(shape[0]) % classes
    settings = {"learning_rate": 0.01, "momentum": 0.9}
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", settings)

    def step() -> None:
        with mx.autograd.record():
            loss = loss_of(net(data), label)
        loss.backward()
        trainer.step(shape[0])
        mx.nd.waitall()

    return step


def train_torch(net: torch.nn.Module, shape: tuple[int, ...], classes: int, last: bool) -> Step:
    data = torch.randn(shape)
    if last:
        net = net.to(memory_format=torch.channels_last)
        data = data.contiguous(memory_format=torch.channels_last)
    label = torch.arange(shape[0]) % classes
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(net(data), label).backward()
        optimizer.step()

    return step


def mlp_ours() -> Any:
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Dense(256, activation="relu"), mx.gluon.nn.Dense(128, activation="relu"))
    net.add(mx.gluon.nn.Dense(2))
    return net


def mlp_torch() -> torch.nn.Module:
    nn = torch.nn
    return nn.Sequential(
        nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 2)
    )


class Residual(torch.nn.Module):
    """The basic block of ResNet v1 (He et al. 2015)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        nn = torch.nn
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        short = nn.Sequential(
            nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
        )
        self.short = short if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.body(x) + self.short(x))


def resnet18_torch() -> torch.nn.Module:
    nn = torch.nn
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    layers: list[nn.Module] = [*stem, nn.MaxPool2d(3, 2, 1)]
    inside = 64
    for outside, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Residual(inside, outside, stride), Residual(outside, outside, 1)]
        inside = outside
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def forget(leaf: torch.Tensor) -> None:
    leaf.grad = None


def expression_steps(name: str) -> dict[str, Step]:
    ours = arrays(
        mx.nd.array,
        lambda values: mx.nd.array(values, dtype="int32"),
        dot=mx.nd.dot,
        record=mx.autograd.record,
        forget=lambda leaf: None,
    )
    ours.leaf.attach_grad()
    theirs = arrays(torch.tensor, torch.tensor, dot=torch.matmul, record=nullcontext, forget=forget)
    theirs.leaf.requires_grad_()
    return {
        "regluon": repeated(name, ours, mx.nd.waitall),
        "torch": repeated(name, theirs, nullcontext),
    }


TINY = {"tiny add": lambda y, x: y + x, "tiny scalar": lambda y, x: y * 1.0}


def steps(case: str) -> dict[str, Step]:
    """Return the local variants of a case: ours and torch's."""
    if case in EXPRESSIONS:
        return expression_steps(case)
    if case in TINY:
        return {"regluon": tiny_ours(TINY[case]), "torch": tiny_torch(TINY[case])}
    if case.startswith("mlp"):
        shape = (int(case.split()[1]), 512)
        return {
            "regluon": train_ours(mlp_ours(), shape, 2),
            "torch": train_torch(mlp_torch(), shape, 2, last=False),
        }
    shape = (16, 3, 224, 224)
    ours = mx.gluon.model_zoo.vision.resnet18_v1(classes=1000)
    return {
        "regluon": train_ours(ours, shape, 1000),
        "torch": train_torch(resnet18_torch(), shape, 1000, last=False),
        "torch channels_last": train_torch(resnet18_torch(), shape, 1000, last=True),
    }


REPEATS = {
    **dict.fromkeys(TINY, 4),
    **dict.fromkeys(EXPRESSIONS, 4),
    "mlp 1": 100,
    "mlp 32": 60,
    "resnet18": 1,
}
PER_STEP = {**dict.fromkeys(TINY, 500), **dict.fromkeys(EXPRESSIONS, COUNT)}


def timed(step: Step, repeat: int) -> Callable[[], float]:
    return lambda: seconds(step, repeat)


def run(case: str, rounds: int, peer: Peer | None) -> dict[str, float]:
    """Measure one case and return microseconds per operator or step, by variant."""
    repeat = REPEATS[case]
    variants = {name: timed(step, repeat) for name, step in steps(case).items()}
    if peer is not None:
        variants["mxnet 1.9.1"] = lambda: peer(case, repeat)
    medians = interleave(variants, rounds)
    return {name: value / PER_STEP.get(case, 1) * 1e6 for name, value in medians.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mxnet-python", help="the Python of an environment with MXNet 1.9.1")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    options = parser.parse_args()
    peer = None
    if options.mxnet_python:
        peer = Peer(options.mxnet_python, Path(__file__).with_name("peer_mxnet.py"))
    results: dict[str, dict[str, float]] = {}
    for case in REPEATS:
        if options.only not in case:
            continue
        rounds = max(3, options.rounds // 3) if case == "resnet18" else options.rounds
        results[case] = run(case, rounds, peer)
        ours = results[case]["regluon"]
        best = min(value for name, value in results[case].items() if name.startswith("torch"))
        print(f"{case}: regluon {ours:.1f} us, {ours / best:.2f} of torch's best", end="")
        if "mxnet 1.9.1" in results[case]:
            print(f", {ours / results[case]['mxnet 1.9.1']:.2f} of MXNet", end="")
        print("   " + ", ".join(f"{name} {value:.1f}" for name, value in results[case].items()))
    if peer is not None:
        peer.close()
    if not options.only:
        record = {"unit": "us", "machine": machine(torch=torch.__version__), "results": results}
        print(f"written to {write_results('overhead', record).name}")


if __name__ == "__main__":
    main()
