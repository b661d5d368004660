"""TorchBlock: any `torch.nn.Module` as a layer, on the same weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from regluon.array.dispatch import invoke, push
from regluon.array.handle import Handle
from regluon.array.np_ndarray import ndarray
from regluon.base import MXNetError
from regluon.gluon.failure import no_array
from regluon.gluon.hybrid import HybridBlock, check_options
from regluon.gluon.parameter import Parameter
from regluon.gluon.torch_program import hybridize
from regluon.ops.dtype import dtype_name
from regluon.ops.registry import Op


class TorchBlock(HybridBlock):
    """A `torch.nn.Module` as a block: its parameters are the block's, in the same storage.

    Parameters keep torch's names (`layer1.0.weight`), buffers such as running statistics become
    parameters without gradient. The module behaves as in training where `autograd` says so; its
    random numbers come from regluon's seed. It is initialized from the start with the module's
    values; regluon's trainer or torch's optimizers may train it. Inputs and outputs are arrays, or
    nested lists, tuples and dicts of them.

    Under an asynchronous engine a call waits for its inputs, because only running the module tells
    the shape of its output. Move it with `reset_ctx`, not with `module.to(...)`.

    >>> import regluon as mx, torch
    >>> layer = mx.gluon.nn.TorchBlock(torch.nn.Linear(3, 2))
    >>> layer(mx.nd.ones((4, 3))).shape
    (4, 2)
    >>> list(layer.structural_params())
    ['weight', 'bias']
    """

    def __init__(self, module: torch.nn.Module, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(module, torch.nn.Module):
            raise MXNetError(f"TorchBlock needs a torch.nn.Module, not {type(module).__name__}")
        self.module = module
        self._weights = self._adopted(dict(module.named_parameters()))
        self._buffers = self._adopted(dict(module.named_buffers()))

    def _adopted(self, tensors: dict[str, Tensor]) -> dict[str, Parameter]:
        """Return the parameter on the storage of each tensor, a new one if it has none yet."""
        found = {}
        for name, tensor in tensors.items():
            owner = getattr(tensor, "regluon_parameter", None)
            param = None if owner is None else owner.param
            if param is None:
                trained = isinstance(tensor, torch.nn.Parameter)
                param = Parameter(
                    self.params.prefix + name,
                    grad_req="write" if trained and tensor.requires_grad else "null",
                    shape=tuple(tensor.shape),
                    dtype=dtype_name(tensor.dtype),
                    differentiable=trained,
                )
                param.adopt(tensor)
            self.params.update({param.name: param})
            self._reg_params[name] = found[name] = param
        return found

    def hybridize(
        self,
        active: bool = True,
        *,
        verify: str | None = "first",
        passes: bool = True,
        mixed_precision: Any = None,
        **kwargs: Any,
    ) -> None:
        """Compile the module, or stop doing so, as `regluon.hybridize` does.

        Blocks around it stay eager, since only running the module tells the shape of its output.
        """
        check_options(kwargs, "static_alloc", "static_shape", "backend")  # of networks around it
        self._active = active
        options = {"verify": verify, "passes": passes, "mixed_precision": mixed_precision}
        hybridize(self.module, active, **options)

    def forward(self, *args: Any) -> Any:
        """Call the module on the tensors of the arrays given."""
        leaves, structure = pytree.tree_flatten(args)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Handle)]
        if not places:
            raise no_array(self, args)
        arrays = [leaves[i] for i in places]
        ctx = arrays[0]._ctx
        call = _ModuleCall(self.module, leaves, places, structure, self._weights, self._buffers)
        weights = [param.data(ctx) for param in self._weights.values()]
        buffers = [param.data(ctx) for param in self._buffers.values()]
        for param in (*self._weights.values(), *self._buffers.values()):
            param.check_adopted()
        # Nothing that is queued may use the buffers later than the module, which runs now.
        push(_nothing, buffers, buffers, ctx, "TorchBlock", work=0)
        kinds = (arrays, weights or None, buffers or None)
        outputs = invoke(call.operator(), kinds, {}, type(arrays[0]))
        return call.rebuilt(outputs)

    def as_torch(self) -> torch.nn.Module:
        """Return the module itself."""
        return self.module

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.module!r})"


class _ModuleCall:
    """One call of a module as an operator: lists of inputs, weights and buffers to tensors."""

    def __init__(
        self,
        module: torch.nn.Module,
        leaves: Sequence[Any],
        places: Sequence[int],
        structure: Any,
        weights: dict[str, Parameter],
        buffers: dict[str, Parameter],
    ) -> None:
        self.module = module
        self.scalars = isinstance(leaves[places[0]], ndarray)  # nd has no arrays without axes
        self.leaves = list(leaves)
        self.places = places
        self.structure = structure
        self.weights = list(weights)
        self.buffers = list(buffers)
        self.found: list[Any] = []
        self.shape: Any = None

    def operator(self) -> Op:
        """Return the record for the door: buffers are written, the outputs unknown before."""
        return Op(
            name=f"TorchBlock {type(self.module).__name__}",
            fn=self.run,
            names={},
            symbol="",
            arrays=("inputs", "weights", "buffers"),
            variadic=False,
            attrs={},
            parsers={},
            outputs=lambda *args, **attrs: len(self.found),
            mutates=("buffers",),
            view="",
            differentiable=("inputs", "weights"),
            random=True,
            training=True,
            creates=False,
            dynamic=True,
            infer=_unknown,
            check=None,
            doc="Call a torch module.",
        )

    def run(
        self,
        inputs: list[Tensor],
        weights: list[Tensor] | None,
        buffers: list[Tensor] | None,
        training: bool = False,
        generator: torch.Generator | None = None,
    ) -> list[Tensor]:
        """Call the module with the given weights in place of its own."""
        for place, tensor in zip(self.places, inputs, strict=True):
            self.leaves[place] = tensor
        args = pytree.tree_unflatten(self.leaves, self.structure)
        kept = dict(zip(self.buffers, buffers or (), strict=True))
        state = {**dict(zip(self.weights, weights or (), strict=True)), **kept}
        if self.module.training is not training:
            self.module.train(training)
        with _seeded(generator if training else None):
            output = torch.func.functional_call(self.module, state, args)
        for name, buffer in kept.items():
            if state[name] is not buffer:  # the module made a new tensor instead of writing
                buffer.copy_(state[name])
        self.found, self.shape = pytree.tree_flatten(output)
        tensors = [item for item in self.found if isinstance(item, Tensor)]
        return [item if item.dim() or self.scalars else item.reshape(1) for item in tensors]

    def rebuilt(self, outputs: list[Any]) -> Any:
        """Return what the module returned, with arrays for tensors."""
        arrays = iter(outputs)
        items = [next(arrays) if isinstance(item, Tensor) else item for item in self.found]
        return pytree.tree_unflatten(items, self.shape)


@contextmanager
def _seeded(generator: torch.Generator | None) -> Iterator[None]:
    """Let torch's own random numbers, which modules draw from, follow a generator for a while."""
    if generator is None:
        yield
        return
    cuda = generator.device.type == "cuda"
    with torch.random.fork_rng([generator.device] if cuda else []):
        seed = generator.initial_seed()
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        yield


def _nothing() -> None:
    """Do nothing: a task that only takes its place in the order of what it writes."""


def _unknown(*args: Any, **attrs: Any) -> Any:
    raise MXNetError("the output shapes of a torch module are known only when it has run")
