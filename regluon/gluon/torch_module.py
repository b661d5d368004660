"""BlockModule: a block as a `torch.nn.Module` on the same weights, for torch's optimizers."""

import copy
from typing import Any

import torch
from torch import Tensor

from regluon import autograd
from regluon.array import dispatch
from regluon.array.handle import Handle, Node
from regluon.array.interchange import context_of
from regluon.context import Context
from regluon.engine.selection import selected


class BlockModule(torch.nn.Module):
    """A block that torch calls: tensors in and out, gradients through torch's graph.

    Parameters that can have gradients become `torch.nn.Parameter`s, the others, such as running
    statistics, become buffers; all share storage with the block. Children have the block's names.
    """

    block: Any

    def __init__(self, block: Any) -> None:
        super().__init__()
        # A plain attribute: torch must not take the block for a part that it could move.
        self.__dict__["block"] = block
        for name, param in block._reg_params.items():
            tensor = param.torch_tensor()
            if isinstance(tensor, torch.nn.Parameter):
                self.register_parameter(name, tensor)
            else:
                self.register_buffer(name, tensor)
        for name, child in block._children.items():
            self.add_module(name, child.as_torch())

    def __deepcopy__(self, memo: dict[int, Any]) -> "BlockModule":
        """Return a module on a copy of the block: the block first, whose tensors are the copy's."""
        copy.deepcopy(self.block, memo)
        new = memo[id(self)] = type(self).__new__(type(self))
        new.__setstate__(copy.deepcopy(self.__dict__, memo))  # type: ignore[no-untyped-call]
        return new

    def forward(self, *args: Any) -> Any:
        """Call the block on tensors, recorded in torch's grad mode, training if `self.training`."""
        selected.engine.wait_all()
        for param in self.block.structural_params().values():
            param.check_adopted()
        arrays = _mapped(args, Tensor, self._array)
        scope = autograd.record if torch.is_grad_enabled() else autograd.pause
        with scope(self.training):
            outputs = self.block(*arrays)
        return _mapped(outputs, Handle, _tensor)

    def _array(self, tensor: Tensor) -> Handle:
        """Return an array on a tensor of torch's graph, recorded if that has a gradient."""
        array = dispatch.array_class()(tensor.detach(), self._context(tensor))
        if tensor.requires_grad:
            array._node = Node()
            array._graph = tensor
        return array

    def _context(self, tensor: Tensor) -> Context:
        """Return the block's context on the tensor's device: `cpu(1)` is torch's cpu too."""
        for param in self.block.collect_params().values():
            ctx: Context = param.list_ctx()[0]
            if ctx.device == tensor.device:
                return ctx
        return context_of(tensor)


def _tensor(array: Handle) -> Tensor:
    dispatch.wait(array)
    return array.graph_value()


def _mapped(value: Any, kind: type, convert: Any) -> Any:
    """Return a nested structure with `convert` applied to everything of one kind."""
    if isinstance(value, kind):
        return convert(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(item, kind, convert) for item in value)
    return value
