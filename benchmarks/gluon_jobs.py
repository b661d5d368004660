"""The jobs of bench_hybridize.py in Gluon: the same lines for regluon and for MXNet 1.9.1."""

from typing import Any

import networks
import numpy as np
from timing import Job


WAYS: dict[str, dict[str, bool] | None] = {
    "imperative": None,
    "hybridized": {},
    "hybridized static": {"static_alloc": True, "static_shape": True},
}
"""The options of `hybridize`, by the name of the variant; None is without it."""


def ways(case: str) -> list[str]:
    """Return the variants of a case; the largest one does without `static_alloc`."""
    return [way for way in WAYS if case != "resnet18 training 16" or "static" not in way]


def network(mx: Any, name: str) -> Any:
    """Return a network with the weights that it has in every library."""
    if name == "mlp":
        nn = mx.gluon.nn
        net = nn.HybridSequential()
        net.add(nn.Dense(networks.WIDTHS[1], activation="relu"))
        net.add(nn.Dense(networks.WIDTHS[2], activation="relu"))
        net.add(nn.Dense(networks.WIDTHS[3]))
    else:
        net = mx.gluon.model_zoo.vision.resnet18_v1(classes=networks.CLASSES[name])
    net.initialize()
    net(mx.nd.array(networks.batch(name, 1)[0]))  # which tells all shapes
    params = net.collect_params().values()
    for param, weight in zip(params, networks.weights(name), strict=True):
        param.set_data(mx.nd.array(weight))
    return net


def inference(mx: Any, case: str, way: str) -> Job:
    """Return a job that calls a network."""
    name, _, size = networks.parts(case)
    net = network(mx, name)
    options = WAYS[way]
    if options is not None:
        net.hybridize(**options)
    x = mx.nd.array(networks.batch(name, size)[0])
    return Job(
        lambda: net(x),
        lambda result: mx.nd.waitall(),
        lambda result: [networks.sample(result.asnumpy())],
    )


def training(mx: Any, case: str, way: str, step_options: dict[str, Any] | None = None) -> Job:
    """Return a job that makes a training step, by `hybridize_step` where its options are given."""
    name, _, size = networks.parts(case)
    net = network(mx, name)
    loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    x, y = (mx.nd.array(array) for array in networks.batch(name, size))
    rate = {"learning_rate": networks.RATES[name]}
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", rate, kvstore=None)
    if step_options is not None:
        step = mx.gluon.hybridize_step(net, loss_of, trainer, **step_options)
        call = lambda: step(x, y)
    else:
        options = WAYS[way]
        if options is not None:
            net.hybridize(**options)
            loss_of.hybridize(**options)

        def call() -> Any:
            with mx.autograd.record():
                loss = loss_of(net(x), y)
            loss.backward()
            trainer.step(size)
            return loss

    params = list(net.collect_params().values())
    ends = [(param, param.data().asnumpy()) for param in (params[0], params[-1])]

    def values(loss: Any) -> list[list[float]]:
        changes = [param.data().asnumpy() - before for param, before in ends]
        return networks.trained(float(np.mean(loss.asnumpy())), *changes)

    return Job(call, lambda result: mx.nd.waitall(), values)


def job(mx: Any, case: str, way: str) -> Job:
    """Return a job of a case, called often enough to be timed."""
    task = inference if networks.parts(case)[1] == "inference" else training
    found = task(mx, case, way)
    found.measure(networks.WARM)
    return found
