"""The jobs of bench_hybridize.py in torch: eager, by regluon, and by torch.compile."""

from collections.abc import Callable
from functools import partial

import networks
import torch
from bench_overhead import mlp_torch, resnet18_torch
from timing import Job, serve
from torch import Tensor
from torch.nn import functional

from regluon import hybridize, hybridize_step


Wrap = Callable[[torch.nn.Module], Callable[..., Tensor]]

WAYS: dict[str, Wrap] = {
    "torch eager": lambda net: net,
    "torch eager channels_last": lambda net: net,
    "module hybridized": hybridize,
    "module hybridized frozen": partial(hybridize, freeze=True),
    "torch.compile": torch.compile,
}
"""What each variant makes of the network; "channels_last" is for those that want it."""


class WithLoss(torch.nn.Module):
    """A network with its loss, so that both are compiled as one."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(self.net(x), y)


def network(name: str, last: bool) -> torch.nn.Module:
    """Return a network with the weights that it has in every library."""
    net = mlp_torch() if name == "mlp" else resnet18_torch()
    places = [tensor for tensor in net.state_dict().values() if tensor.is_floating_point()]
    for place, weight in zip(places, networks.weights(name), strict=True):
        place.copy_(torch.from_numpy(weight))
    return net.to(memory_format=torch.channels_last) if last else net


def images_last(name: str, way: str) -> bool:
    """Say whether a variant has its images in channels_last: all but eager torch's other one."""
    return name == "resnet18" and way != "torch eager"


def batch(name: str, size: int, last: bool) -> tuple[Tensor, Tensor]:
    """Return inputs and labels."""
    x, y = (torch.from_numpy(array) for array in networks.batch(name, size))
    return x.contiguous(memory_format=torch.channels_last) if last else x, y.long()


def inference(case: str, way: str) -> Job:
    """Return a job that calls a network."""
    name, _, size = networks.parts(case)
    last = images_last(name, way)
    net = WAYS[way](network(name, last).eval())
    x, _ = batch(name, size, last)

    def call() -> Tensor:
        with torch.no_grad():
            return net(x)

    return Job(call, lambda result: None, lambda result: [networks.sample(result.numpy())])


def training(case: str, way: str) -> Job:
    """Return a job that makes a training step; the way "module step" is `hybridize_step`."""
    name, _, size = networks.parts(case)
    last = images_last(name, way)
    module = network(name, last)
    x, y = batch(name, size, last)
    optimizer = torch.optim.SGD(module.parameters(), lr=networks.RATES[name], fused=True)
    call = _step(way, module, optimizer)
    params = list(module.parameters())
    ends = [(param.detach(), param.detach().clone()) for param in (params[0], params[-1])]

    def values(loss: Tensor) -> list[list[float]]:
        return networks.trained(loss.item(), *((now - before).numpy() for now, before in ends))

    return Job(lambda: call(x, y), lambda result: None, values)


def _step(
    way: str, module: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> Callable[[Tensor, Tensor], Tensor]:
    if way == "module step":
        return hybridize_step(module, functional.cross_entropy, optimizer)
    loss_of = WAYS[way](WithLoss(module))

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def job(case: str, way: str) -> Job:
    """Return a job of a case, called often enough to be timed."""
    found = (inference if networks.parts(case)[1] == "inference" else training)(case, way)
    found.measure(networks.WARM)
    return found


if __name__ == "__main__":  # a process of its own for torch.compile
    serve(
        {f"{case}: torch.compile": partial(job, case, "torch.compile") for case in networks.CASES},
        lambda: None,
    )
