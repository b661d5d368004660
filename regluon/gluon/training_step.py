"""hybridize_step: forward, loss, backward and update of a training step as two tasks."""

from typing import Any

from regluon import autograd, nd
from regluon.array.differentiated import Differentiated
from regluon.array.handle import Handle
from regluon.base import MXNetError
from regluon.gluon.block import Block
from regluon.gluon.cached_graph import CachedGraph, Entry
from regluon.gluon.hybrid import HybridBlock
from regluon.gluon.trainer import Trainer
from regluon.graph.execution import Plan


class _Loss(HybridBlock):
    """A network with its loss: what a step differentiates."""

    def __init__(self, net: Block, loss: Any, inputs: int) -> None:
        super().__init__(prefix="step_")
        self.net = net
        self._loss = loss
        if isinstance(loss, Block):
            self.loss = loss
        self._inputs = inputs

    def forward(self, *args: Any) -> Any:
        """Return the loss of the network's output for the first arguments."""
        return self._loss(self.net(*args[: self._inputs]), *args[self._inputs :])


class TrainingStep:
    """What `hybridize_step` returns; see there."""

    def __init__(
        self,
        net: HybridBlock,
        loss: Any,
        trainer: Trainer,
        inputs: int,
        plan: Plan,
    ) -> None:
        if not isinstance(trainer, Trainer):
            raise MXNetError(f"hybridize_step needs a gluon.Trainer, not {type(trainer).__name__}")
        self._block = _Loss(net, loss, inputs)
        self._block._cache = CachedGraph(self._block, plan)
        self._cache = self._block._cache
        self._trainer = trainer
        self._made: dict[int, tuple[Entry, Differentiated]] = {}

    @property
    def program(self) -> str:
        """The source of the programs made so far, with the user's lines beside it.

        It waits for steps under way, which may make one.
        """
        nd.waitall()
        made = [both.joint.program for _, both in self._made.values()]
        return "\n".join(program.source for program in made if program is not None)

    def __call__(self, *args: Any, batch_size: float | None = None) -> Any:
        """Train on one batch and return its loss; `batch_size` is the first axis unless given."""
        size = batch_size if batch_size is not None else _length(args)
        loss = self._differentiate(args)
        self._trainer.step(size)
        return loss

    def _differentiate(self, args: tuple[Any, ...]) -> Any:
        with autograd.record():
            found = self._cache.ready(args)
            if found is None:
                loss = self._block(*args)
        if found is not None:
            entry, arrays = found
            known = self._made.get(id(entry))
            if known is None:
                assert entry.compiled is not None
                known = self._made[id(entry)] = (entry, Differentiated(entry.compiled))
            leaves = known[1].leaves(arrays)
            if leaves is not None:
                return entry.restored(known[1](arrays, leaves), arrays)
            with autograd.record():
                loss = self._block(*args)
        autograd.backward(loss if isinstance(loss, (list, tuple)) else [loss])
        return loss


def _length(args: tuple[Any, ...]) -> int:
    for arg in args:
        if isinstance(arg, Handle) and arg.spec.shape:
            return arg.spec.shape[0]
    raise MXNetError("the batch has no array with a first axis: give batch_size=")


def hybridize_step(
    net: HybridBlock,
    loss: Any,
    trainer: Trainer,
    inputs: int = 1,
    *,
    static_alloc: bool = False,
    static_shape: bool = False,
    verify: str | None = "first",
    passes: bool = True,
    mixed_precision: Any = None,
) -> TrainingStep:
    """Return a function that trains on one batch: `step(data, label)` returns the loss.

    It does what these lines do, with the first line and the second as one program:

        with autograd.record():
            loss = loss_function(net(data), label)
        loss.backward()
        trainer.step(batch_size)

    net, trainer: as ever; both may be used elsewhere in between.
    loss: a loss block, or a function of the network's output and the labels.
    inputs: so many of the arguments go to the network, the others to the loss.
    static_alloc, verify, passes, mixed_precision: as for `HybridBlock.hybridize`. With "float16"
        the loss function has to scale its result, and the Trainer's `rescale_grad` to undo that.
    static_shape: with static_alloc, the program on a GPU is one launch of a CUDA graph.

    What cannot be compiled runs as those lines. The first calls run eagerly, as those of a
    hybridized block do.

    >>> import regluon as mx
    >>> net = mx.gluon.nn.Dense(1, in_units=2)
    >>> net.initialize()
    >>> trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    >>> step = mx.gluon.hybridize_step(net, mx.gluon.loss.L2Loss(), trainer)
    >>> losses = [step(mx.nd.ones((4, 2)), mx.nd.ones((4, 1))).mean().item() for _ in range(8)]
    >>> losses[-1] < losses[0]
    True
    """
    plan = Plan(verify, static_alloc, static_shape, not passes, precision=mixed_precision)
    return TrainingStep(net, loss, trainer, inputs, plan)
