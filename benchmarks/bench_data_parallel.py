"""ResNet-18 training on two contexts of one machine, against one context, with the same batch.

    python benchmarks/bench_data_parallel.py [--rounds 7] [--batch 64] [--size 96]

Variants, interleaved in one run, medians of the time of one training step:
    two contexts            cpu(0) and cpu(1), half of the batch and one core each
    one context, one core   the whole batch; the ratio to this is to be at most 0.6
    one context, all cores  the same with all cores in every operator
    two contexts, shared    half of the batch each, the engine divides the cores as it likes
    updates in place        like the first, with update_on_kvstore=False
The lecture on two GPUs: 13.2 to 7.3 seconds an epoch, 0.55. A table goes to the terminal, the
record to benchmarks/results/data_parallel.json.

Measured on 2026-11-23 on an idle two-core Xeon: two contexts 0.54 of one context on one core, 0.93
of one context on both; cores shared as the engine likes 0.62, updates in place 0.59.
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from timing import interleave, machine, seconds, write_results

import regluon as mx
from regluon.gluon.utils import split_and_load


def training(places: int, args: argparse.Namespace, **settings: Any) -> Callable[[], object]:
    """Return one step of training on the first `places` contexts, which waits for its end."""
    contexts = [mx.cpu(place) for place in range(places)]
    mx.random.seed(0)
    net = mx.gluon.model_zoo.vision.resnet18_v1(classes=10)
    net.initialize(mx.init.Xavier(), ctx=contexts)
    data = mx.nd.random.normal(shape=(args.batch, 3, args.size, args.size))
    label = mx.nd.arange(args.batch) % 10
    loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    numbers = {"learning_rate": 0.01, "momentum": 0.9}
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", numbers, **settings)

    def step() -> None:
        xs, ys = split_and_load(data, contexts), split_and_load(label, contexts)
        with mx.autograd.record():
            losses = [loss_of(net(x), y) for x, y in zip(xs, ys, strict=True)]
        for loss in losses:
            loss.backward()
        trainer.step(args.batch)
        mx.nd.waitall()

    return step


def on_threads(step: Callable[[], object], threads: int) -> Callable[[], float]:
    """Return a variant: every task on so many cores, or on as many as the engine likes if 0."""

    def variant() -> float:
        mx.engine.set_deterministic(threads > 0, threads)
        step()
        return seconds(step, 1)

    return variant


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=96, help="height and width of the pictures")
    args = parser.parse_args()
    mx.engine.set_type("ThreadedEngine")
    two, one = training(2, args), training(1, args)
    in_place = training(2, args, update_on_kvstore=False)
    times = interleave(
        {
            "two contexts": on_threads(two, 1),
            "one context, one core": on_threads(one, 1),
            "one context, all cores": on_threads(one, torch.get_num_threads()),
            "two contexts, shared": on_threads(two, 0),
            "updates in place": on_threads(in_place, 1),
        },
        args.rounds,
    )
    for name, value in times.items():
        print(f"{name:24}{value * 1e3:9.1f} ms{value / times['one context, one core']:8.2f}")
    ratio = times["two contexts"] / times["one context, all cores"]
    print(f"two contexts to one that uses all cores: {ratio:.2f}")
    record = {"machine": machine(torch=torch.__version__), "arguments": vars(args)}
    print("written to", write_results("data_parallel", {**record, "seconds": times}))


if __name__ == "__main__":
    main()
