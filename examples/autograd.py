"""Gradients: record, backward, and a line fitted to points by hand and by a Trainer.

    python examples/autograd.py

Takes two seconds; both ways find slope 2 and intercept -1 within 0.1.
"""

import argparse

import regluon as mx
from regluon import autograd, gluon, nd


def gradient_of_a_function() -> None:
    x = nd.array([1, 2, 3])
    x.attach_grad()
    with autograd.record():
        y = (x * x * x).sum()
    y.backward()
    print("the gradient of x^3 at 1, 2, 3 is", x.grad.tolist())
    assert x.grad.tolist() == [3, 12, 27]


def points() -> tuple[nd.NDArray, nd.NDArray]:
    mx.random.seed(0)
    x = nd.random.uniform(-1, 1, shape=(200, 1))
    return x, 2 * x - 1 + 0.1 * nd.random.normal(shape=(200, 1))


def by_hand(steps: int) -> tuple[float, float]:
    x, y = points()
    slope, intercept = nd.zeros((1,)), nd.zeros((1,))
    for parameter in (slope, intercept):
        parameter.attach_grad()
    for _ in range(steps):
        with autograd.record():
            loss = ((slope * x + intercept - y) ** 2).mean()
        loss.backward()
        for parameter in (slope, intercept):
            parameter -= 0.3 * parameter.grad
    return slope.item(), intercept.item()


def by_trainer(steps: int) -> tuple[float, float]:
    x, y = points()
    line = gluon.nn.Dense(1, in_units=1)
    line.initialize()
    trainer = gluon.Trainer(line.collect_params(), "sgd", {"learning_rate": 0.3})
    loss_of = gluon.loss.L2Loss()
    for _ in range(steps):
        with autograd.record():
            loss = loss_of(line(x), y)
        loss.backward()
        trainer.step(batch_size=len(x))
    return line.weight.data().item(), line.bias.data().item()


def main(steps: int) -> None:
    gradient_of_a_function()
    for name, fit in (("by hand", by_hand), ("by a Trainer", by_trainer)):
        slope, intercept = fit(steps)
        print(f"{name}: y = {slope:.2f} x + {intercept:.2f}")
        assert abs(slope - 2) < 0.1
        assert abs(intercept + 1) < 0.1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="fewer steps")
    main(50 if parser.parse_args().smoke else 300)
