"""Handle: an array as the front end holds it, before and after its tensor exists."""

import math
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError
from regluon.context import Context
from regluon.engine.engine import Var
from regluon.engine.selection import selected
from regluon.engine.streams import synchronize
from regluon.ops.registry import Spec, spec_of


_MANY = 64  # so many arrays that share storage are listed before dead ones are looked for
_LAYOUT = threading.Lock()  # is held while a view is found, which may change its base's storage


def free(reads: "Sequence[Handle]", writes: "Sequence[Handle]") -> bool:
    """Say whether work on these arrays can be done now: nothing in them is unfinished."""
    for array in writes:
        if array.root.readers or not array.settled():
            return False
    for array in reads:  # noqa: SIM110 - a generator costs more than a short list of reads
        if not array.settled():
            return False
    return True


class Node:
    """The place of one recorded array in the graph of recorded calls: known before any tensor is.

    `parents` are the nodes that it was computed from. `inputs` are the arrays that the call read,
    with their versions then, so that a later write can be named. `work` is about how many
    nanoseconds the call took a core. A `spent` node is a constant.
    """

    __slots__ = ("__weakref__", "inputs", "parents", "spent", "work")

    grad: "Handle | None" = None  # results have none, leaves may

    def __init__(
        self,
        parents: "tuple[Node, ...]" = (),
        inputs: "Sequence[tuple[weakref.ref[Handle], int]]" = (),
        work: float = math.inf,
    ) -> None:
        self.parents = parents
        self.inputs = inputs
        self.work = work
        self.spent = False


class Leaf(Node):
    """A node without parents, made by `attach_grad`: where gradients are delivered."""

    __slots__ = ("active", "cast", "early", "fresh", "grad", "req", "tensor")

    def __init__(self, tensor: Tensor | None, grad: "Handle | None", req: str) -> None:
        super().__init__(work=0)
        self.tensor = tensor
        self.grad = grad
        self.req = req
        self.spent = req == "null"
        # While regluon's own backward computes its gradient: the storage that is taken by then.
        self.active: set[int] | None = None
        self.early: Handle | None = None  # the gradient, if nothing else in the pass writes to it
        self.cast: Any = None  # what mixed precision made of the array, to be used again
        self.fresh = False  # its gradient was computed since the trainer last used it

    def deliver(self, gradient: Tensor) -> None:
        """Store a gradient, or add it, as was asked for."""
        if self.grad is None:
            return
        if self.req == "add":
            self.grad.value().add_(gradient)
        elif self.grad._view is not None:
            self.grad.value().copy_(gradient)
        else:
            self.grad._data = gradient


class FunctionNode(Node):
    """The node of an `autograd.Function`: gradients are computed by Python code on arrays."""

    __slots__ = ("saved", "training")

    def __init__(
        self,
        parents: tuple[Node, ...],
        inputs: "Sequence[tuple[weakref.ref[Handle], int]]",
        saved: "Sequence[tuple[Handle, int]]",
    ) -> None:
        super().__init__(parents, inputs)
        self.saved = saved  # the arrays that its backward uses, with their versions
        self.training = True  # the flag that its backward runs with


class View:
    """A part of another array's storage, found again when that array's tensor is another one."""

    __slots__ = ("base", "fn", "seen", "tensor")

    def __init__(
        self,
        base: "Handle",
        fn: Callable[[Tensor], Tensor],
        seen: Tensor | None = None,
        tensor: Tensor | None = None,
    ) -> None:
        self.base = base
        self.fn = fn
        self.seen = seen  # the base's tensor of which `tensor` is the part
        self.tensor = tensor

    def value(self) -> Tensor:
        """Return the part as a tensor that shares the base's storage."""
        base = self.base.value()
        if self.seen is base and self.tensor is not None:
            return self.tensor
        with _LAYOUT:  # two readers at the same time find one part of one base
            base = self.base.value()
            try:
                tensor = self.fn(base)
            except (
                RuntimeError
            ):  # torch cannot view this memory layout, so the base changes its own
                base = self.base.make_contiguous()
                tensor = self.fn(base)
            self.tensor = tensor
            self.seen = base
        return tensor


class Handle(Var):
    """A variable of the engine together with shape, dtype, context and, once computed, a tensor.

    `_data` is the plain tensor, never attached to torch's graph: None while it is not computed,
    for views, and for recorded results until somebody reads them. `_graph` is the tensor that
    carries gradients. The graph of nodes does not hold it: a result that only the next operator
    needed is freed as early as in torch.
    """

    __slots__ = ("_ctx", "_data", "_graph", "_node", "_shares", "_spec", "_view")

    def __init__(self, data: Tensor | None, ctx: Context, spec: Spec | None = None) -> None:
        self.mark = None
        self.writer = None
        self.readers = None
        self.error = None
        self.version = 0
        self.site = None
        self._data = data
        self._ctx = ctx
        self._spec = spec
        self._node: Node | None = None
        self._graph: Tensor | None = None
        self._view: View | None = None
        self._shares: list[weakref.ref[Handle]] | None = None

    @property
    def root(self) -> "Handle":
        """The array that owns the storage: itself, unless it is a view."""
        return self if self._view is None else self._view.base

    def settled(self) -> bool:
        """Say whether the value is there: no unfinished task writes it, none failed to."""
        if self.writer is not None or self.error is not None or self.mark is not None:
            return False
        if self._view is None:
            return True
        base = self._view.base
        return base.writer is None and base.error is None and base.mark is None

    def graph_ready(self, limit: int) -> Tensor | None:
        """Return the tensor that carries gradients if it is there and not too large."""
        if not self.settled():
            return None
        data = self.graph_value()
        return data if data.numel() <= limit else None

    def ready(self, limit: int) -> Tensor | None:
        """Return the plain tensor if it is there and has at most `limit` elements."""
        if self.writer is not None or self.error is not None or self.mark is not None:
            return None
        data = self._data
        if data is None:
            if not self.settled():
                return None
            data = self.value()
        return data if data.numel() <= limit else None

    def value(self) -> Tensor:
        """Return the plain tensor, which must be computed already."""
        data = self._data
        if data is not None:
            return data
        if self._view is not None:
            return self._view.value()
        graph = self._graph
        if graph is not None:
            self._data = graph.detach()
            return self._data
        data = self._data  # a backward pass on another thread may have let the graph go
        if data is None:
            raise MXNetError("this array has no value yet: it was read before its task ran")
        return data

    def graph_value(self) -> Tensor:
        """Return the tensor that carries gradients if the array is recorded, else the plain one."""
        graph, view = self._graph, self._view
        if graph is not None:
            return graph if view is None else self._followed(graph, view)
        if view is not None and view.base._node is self._node is not None:
            return view.base.graph_value()
        return self.value()

    def _followed(self, graph: Tensor, view: View) -> Tensor:
        """Return a view's tensor in the graph, found again if its base got other storage since."""
        plain = view.value()
        if graph.data_ptr() == plain.data_ptr():
            return graph
        if isinstance(self._node, Leaf):
            graph.data = plain
            return graph
        base = view.base.graph_value()
        if base.requires_grad:
            with torch.enable_grad():
                self._graph = graph = view.fn(base)
        return graph

    def leave_graph(self) -> None:
        """Keep the plain tensor only."""
        if self._graph is not None:
            self.value()
            self._graph = None

    @property
    def spec(self) -> Spec:
        """Shape and dtype, known at once."""
        if self._spec is None:
            tensor = self._graph
            self._spec = spec_of(self.value() if tensor is None else tensor)
        return self._spec

    def recorded(self) -> bool:
        """Say whether gradients flow through this array when it is used under `record`."""
        return self._node is not None and not self._node.spent

    def keep_for(self, stream: Any) -> None:
        """Keep the memory of the value as long as this device stream may use it."""
        data = self._data
        if data is not None and data.is_cuda:
            data.record_stream(stream)

    def synchronize(self) -> None:
        """Return when the device has done the work that was queued for the value."""
        super().synchronize()
        if self._ctx.device_type == "gpu":
            synchronize(self._ctx.device)

    def make_contiguous(self) -> Tensor:
        """Bring the storage into row-major order, values and gradient identity unchanged."""
        plain = self.value().contiguous()
        node, graph = self._node, self._graph
        if isinstance(node, Leaf) and node.tensor is not None:
            node.tensor.data = plain
            plain = node.tensor.detach()
        elif graph is not None and graph.data_ptr() != plain.data_ptr():
            with torch.enable_grad():
                self._graph = graph = graph.contiguous()
            plain = graph.detach()
        self._data = plain
        return plain

    def share_with(self, base: "Handle") -> None:
        """Note that this array's tensor may use the storage of `base`: writers copy first."""
        root = base.root
        shares = root._shares
        if shares is None:
            shares = root._shares = [weakref.ref(root)]
        elif len(shares) >= _MANY and len(shares).bit_count() == 1:  # so it stays in proportion
            shares[1:] = [ref for ref in shares[1:] if ref() is not None]
        self._shares = shares
        shares.append(weakref.ref(self))

    def prepare_write(self, site: str) -> None:
        """Note a write issued at `site`, and part from arrays that share the storage.

        A function that the engine runs may write what it was given to write: its arrays were
        prepared when it was pushed. What shares their storage by now was made by itself, or waits
        for its end.
        """
        root = self.root
        held = selected.engine.held(root)
        if held:
            for array in root._sharing() if held == "write" else ():
                if array._data is not None or array._graph is not None:
                    array.own_storage()
            return
        root.version += 1
        root.site = site
        root.part(site)

    def _sharing(self) -> "list[Handle]":
        """Return the other arrays that may use this storage."""
        found = [ref() for ref in self._shares or ()]
        return [array for array in found if array is not None and array is not self]

    def part(self, site: str) -> "list[Handle]":
        """Before a write: give arrays (perhaps itself) storage of their own, and return them.

        Their copies come after what they and the owner of the storage were written by, and before
        the next write to either.
        """
        shares = self._shares
        if shares is None:
            return []
        others = self._sharing()
        self._shares = None
        if shares[0]() is self:
            copies = others
            for array in others:
                array._shares = None
        else:
            copies = [self] if others else []
            shares[:] = [ref for ref in shares if ref() is not self]
        engine = selected.engine
        for copy in copies:
            near = [copy, self] if copy is not self else [self, *others]
            ordered = engine.ordered and copy._graph is not None
            free = not (copy.readers or ordered) and all(array.settled() for array in near)
            if free and copy.value().numel() <= engine.small:
                copy.own_storage()
            else:
                engine.push(copy.own_storage, near, [copy], copy._ctx, label=("copy", site))
        return copies

    def renew(self) -> None:
        """Before all of it is overwritten: make room for the values if they were never computed."""
        if self._data is None and self._view is None and self._graph is None:
            shape, dtype = self.spec
            self._data = torch.empty(shape, dtype=dtype, device=self._ctx.device)

    def own_storage(self) -> None:
        """Copy the tensor into storage of its own; gradients flow as before."""
        try:
            self._copy_storage()
        except Exception as error:
            self.error = error  # what it still shares is about to change
            raise

    def _copy_storage(self) -> None:
        graph = self._graph
        if graph is None or self._node is None:
            self._data = self.value().clone(memory_format=torch.preserve_format)
            return
        if isinstance(self._node, Leaf):
            graph.data = self.value().clone(memory_format=torch.preserve_format)
        else:
            with torch.enable_grad():
                self._graph = graph = graph.clone()
        self._data = graph.detach()  # one storage: what is written, later calls record
