"""MXNet 1.9.1's side of the benchmarks: runs under MXNet's own Python and times what it is told."""

import sys
from functools import partial
from pathlib import Path

import mxnet
import numpy as np
from mxnet import autograd, gluon, nd


sys.path.insert(0, str(Path(__file__).parent))
import gluon_jobs
from expressions import EXPRESSIONS, arrays, repeated
from networks import CASES
from timing import serve


def tiny(expression):
    def build():
        x = nd.ones((2, 2))

        def step():
            y = x
            for _ in range(500):
                y = expression(y, x)
            y.wait_to_read()

        return step

    return build


def dispatch():
    x = nd.random.uniform(shape=(2000, 2000))

    def step():
        y = x
        for _ in range(10):
            y = nd.dot(y, x)
        return y

    return step


def small(name):
    def build():
        operands = arrays(
            nd.array,
            lambda values: nd.array(values, dtype="int32"),
            dot=nd.dot,
            record=autograd.record,
            forget=lambda leaf: None,
        )
        operands.leaf.attach_grad()
        return repeated(name, operands, nd.waitall)

    return build


def trainable(net, shape, classes, hybridize=False):
    net.initialize()
    if hybridize:
        net.hybridize()
    loss_of = gluon.loss.SoftmaxCrossEntropyLoss()
    data = nd.array(np.random.default_rng(0).normal(size=shape).astype("float32"))
    label = nd.array(np.arange(shape[0]) % classes)
    trainer = gluon.Trainer(
        net.collect_params(), "sgd", {"learning_rate": 0.01, "momentum": 0.9}, kvstore=None
    )

    def step():
        with autograd.record():
            loss = loss_of(net(data), label)
        loss.backward()
        trainer.step(shape[0])
        nd.waitall()

    return step


def mlp(batch):
    def build():
        net = gluon.nn.HybridSequential()
        net.add(gluon.nn.Dense(256, activation="relu"), gluon.nn.Dense(128, activation="relu"))
        net.add(gluon.nn.Dense(2))
        return trainable(net, (batch, 512), 2)

    return build


def resnet18():
    return trainable(gluon.model_zoo.vision.resnet18_v1(classes=1000), (16, 3, 224, 224), 1000)


if __name__ == "__main__":
    serve(
        {
            **{name: small(name) for name in EXPRESSIONS},
            "dispatch": dispatch,
            "tiny add": tiny(lambda y, x: y + x),
            "tiny scalar": tiny(lambda y, x: y * 1.0),
            "mlp 1": mlp(1),
            "mlp 32": mlp(32),
            "resnet18": resnet18,
            **{
                f"{case}: mxnet {way}": partial(gluon_jobs.job, mxnet, case, way)
                for case in CASES
                for way in gluon_jobs.WAYS
            },
        },
        nd.waitall,
    )
