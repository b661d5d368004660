"""What random programs train: leaves updated by hand, or a network with its Trainer; failures."""

from typing import Any

import numpy as onp

import regluon as mx


CONTEXTS = (mx.cpu(0), mx.cpu(1))
BAD_INDEX = 999_983
MARKS = (str(BAD_INDEX), "injected", "memory", "changed in place")
"""What the text of an injected failure holds."""


class Broken(mx.autograd.Function):
    """An operation whose gradient fails."""

    def forward(self, x: Any) -> Any:
        return x * 1

    def backward(self, dy: Any) -> Any:
        raise ValueError("injected into backward")


def injected(error: BaseException) -> bool:
    """Say whether an error comes from steps that were meant to fail."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(injected, error.exceptions))
    return any(mark in str(error) for mark in MARKS)


def indices(size: int, shift: int, ctx: Any, *, bad: bool) -> Any:
    """Return row numbers, the last one out of range if `bad`."""
    rows = onp.roll(onp.arange(size), shift)
    if bad:
        rows[-1] = BAD_INDEX
    return mx.nd.array(rows, ctx=ctx, dtype="int32")


class Model:
    """Parameters on one context with a training step: leaves updated by hand, or a network."""

    def __init__(self, kind: str, weight: Any, bias: Any, *, added: bool) -> None:
        self.F = mx.np if isinstance(weight, mx.np.ndarray) else mx.nd
        self.kind, self.weight, self.bias, self.size = kind, weight, bias, weight.shape[0]
        self.momentum = self.weight * 0
        if kind == "net":
            self.net = mx.gluon.nn.Dense(self.size, in_units=self.size, dtype=weight.dtype)
            self.net.initialize(ctx=weight.context)
            self.net.weight.set_data(self.weight)
            self.weight = self.net.weight.data()
            settings = {"learning_rate": 0.1, "momentum": 0.9}
            self.trainer = mx.gluon.Trainer(self.net.collect_params(), "sgd", settings)
        else:
            for leaf in (self.weight, self.bias):
                leaf.attach_grad("add" if added else "write")

    def forward(self, x: Any, bad: str) -> Any:
        F = self.F
        with mx.autograd.record():
            if self.kind == "net":
                y = self.net(x)
            else:
                y = F.tanh(F.dot(x, self.weight) / self.size) * self.weight + x
                y = y if bad == "changed" else y + self.bias
            if bad == "forward":
                y = F.take(y, indices(self.size, 0, x.context, bad=True), axis=0, mode="raise")
            if bad == "backward":
                y = Broken()(y)
            return (F.tanh(y) * y).mean()

    def update(self, bad: str, way: int) -> None:
        if self.kind == "net":
            self.trainer.step(self.size)
            return
        for leaf in (self.weight, self.bias)[: 1 if bad == "changed" else 2]:
            if way == 0:
                leaf -= leaf.grad * 0.1
            elif way == 1:
                leaf[:] = leaf - leaf.grad * 0.1
            elif self.F is mx.np:
                mx.np.subtract(leaf, leaf.grad * 0.1, out=leaf)
            elif way == 2 or leaf is self.bias:
                mx.nd.sgd_update(leaf, leaf.grad, lr=0.1, out=leaf)
            else:
                mx.nd.sgd_mom_update(leaf, leaf.grad, self.momentum, lr=0.1, out=leaf)
