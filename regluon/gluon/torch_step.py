"""hybridize_step: a training step of a torch module, loss and gradients as one program."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError
from regluon.gluon.torch_program import Entry, Programs, check_module, has_hooks, is_observed
from regluon.graph.execution import Plan
from regluon.graph.module_call import Restart


class _Loss(torch.nn.Module):
    """A module with its loss: what a step differentiates."""

    def __init__(self, net: torch.nn.Module, loss: Callable[..., Any] | None, inputs: int) -> None:
        super().__init__()
        self.net = net
        self.loss = loss
        self.inputs = inputs

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.loss is None:
            found = self.net(*args, **kwargs)
        else:
            found = self.loss(self.net(*args[: self.inputs], **kwargs), *args[self.inputs :])
        if not isinstance(found, Tensor) or found.numel() != 1:
            what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else found
            raise MXNetError(
                f"the loss of a training step is a tensor with one element, not {what!s:.80}: "
                "take its mean(), or give hybridize_step another loss"
            )
        return found.clone() if found.is_leaf else found  # a parameter is no result of its own


class TorchStep:
    """What `regluon.hybridize_step` returns; see there."""

    def __init__(self, loss: _Loss, optimizer: torch.optim.Optimizer, plan: Plan) -> None:
        self._loss = loss
        self._optimizer = optimizer
        self._programs = Programs(loss, plan, freeze=False)
        self._programs.title = type(loss.net).__name__

    @property
    def program(self) -> str:
        """The source of the programs made so far, with the user's lines beside it."""
        return str(self._programs)

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Train on one batch and return its loss."""
        loss = self._differentiate(args, kwargs)
        self._optimizer.step()
        return loss

    def _differentiate(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """Return the loss, and leave gradients at the parameters."""
        eager = not torch.is_grad_enabled() or is_observed() or has_hooks(self._loss)
        found = None if eager else self._programs.entry(args, kwargs)
        if found is not None:
            entry, tensors = found
            trained = _trained(entry, tensors)
            if trained is not None:
                try:
                    results, gradients = self._programs.run(entry, tensors, partial(_run, entry))
                except Restart:
                    pass
                else:
                    _deliver(trained, gradients[entry.call.count :])
                    return results[0]
        self._optimizer.zero_grad()
        self._loss.zero_grad()
        loss: Tensor = self._loss(*args, **kwargs)
        loss.backward()
        return loss.detach()


def _run(
    entry: Entry, tensors: Sequence[Tensor], recording: bool
) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
    """Return the loss and the gradients of all tensors."""
    if entry.joint.program is None:
        return entry.execution.undone(entry.joint.run, tensors)
    with torch.no_grad():
        return entry.joint.run(tensors, ())


def _trained(entry: Entry, tensors: Sequence[Tensor]) -> Sequence[Tensor] | None:
    """Return the module's tensors; None where gradients have somewhere else to go, too."""
    if not entry.recording:
        return None
    count = entry.call.count
    for tensor in tensors:
        if tensor._backward_hooks or tensor._post_accumulate_grad_hooks:
            return None
    return None if any(entry.execution.live[:count]) else tensors[count:]


def _deliver(tensors: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    """Replace the gradients by those of this batch, which lie in memory like their tensors."""
    for tensor, gradient in zip(tensors, gradients, strict=True):
        if gradient is not None and gradient.stride() != tensor.stride():
            gradient = torch.empty_like(tensor).copy_(gradient)
        tensor.grad = gradient


def hybridize_step(
    module: torch.nn.Module,
    loss: Callable[..., Any] | None,
    optimizer: torch.optim.Optimizer,
    inputs: int = 1,
    *,
    verify: str | None = "first",
    passes: bool = True,
    mixed_precision: Any = None,
) -> TorchStep:
    """Return a function that trains a torch module on one batch: `step(x, y)` returns the loss.

    It does what these lines do, with the second and the third as one program, without torch's
    graph:

        optimizer.zero_grad()
        value = loss(module(x), y)
        value.backward()
        optimizer.step()

    The module and the optimizer may be used elsewhere in between; schedules of rates go on, and
    `parameter.grad` is this batch's. The gradients of all parameters of the module are replaced,
    those that the optimizer does not have included. What changes gradients before the update, such
    as `clip_grad_norm_`, goes into `optimizer.register_step_pre_hook`.

    module: as for `hybridize`; it is not changed. Keyword arguments of a step are for it.
    loss: a function or module that takes the module's output and the labels, and returns a tensor
        with one element; None if the module itself returns the loss.
    optimizer: any of torch's whose `step()` needs no closure. On a CPU, `fused=True` is fastest.
    inputs: so many of the arguments go to the module, the others to the loss.
    verify, passes, mixed_precision: as for `hybridize`. With "float16" the loss has to be scaled,
        and gradients divided again in `optimizer.register_step_pre_hook`.

    What cannot be compiled runs as those lines, as the first two calls of a kind do, and calls
    whose gradients also go to arguments or to hooks of parameters. Raises MXNetError where the loss
    has several elements, and where the optimizer has parameters that are not the module's.

    >>> import torch
    >>> net = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    >>> step = hybridize_step(net, torch.nn.functional.mse_loss, optimizer)
    >>> losses = [step(torch.ones(4, 2), torch.ones(4, 1)).item() for _ in range(8)]
    >>> losses[-1] < losses[0]
    True
    """
    check_module("hybridize_step", module)
    plan = Plan(verify, exact=not passes, precision=mixed_precision)
    if not isinstance(optimizer, torch.optim.Optimizer):
        name = type(optimizer).__name__
        raise MXNetError(f"hybridize_step needs a torch.optim.Optimizer, not {name}")
    if isinstance(optimizer, torch.optim.LBFGS):
        raise MXNetError("LBFGS computes the loss several times in a step: write those lines")
    for inner in module.modules():
        if type(inner).__module__.startswith(("torch.nn.parallel", "torch.distributed")):
            raise MXNetError(
                f"gradients of a {type(inner).__name__} are exchanged in torch's graph, which a "
                "step as one program does not have: use hybridize(module)"
            )
    whole = _Loss(module, loss, inputs)
    own = {id(parameter) for parameter in whole.parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) not in own:
                raise MXNetError(
                    f"the optimizer has a parameter of shape {tuple(parameter.shape)} that is not "
                    "the module's: its gradient would never be computed"
                )
    return TorchStep(whole, optimizer, plan)
