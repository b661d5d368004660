"""Gradients: leaves, the graph of recorded calls, and the backward pass as one engine task."""

import itertools
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.array.dispatch import push, wait
from regluon.array.handle import Handle, Node
from regluon.base import DTypeError, MXNetError, ShapeError, user_line
from regluon.ops.dtype import dtype_name


REQUESTS = ("write", "add", "null")


def attach(array: Handle, grad: Handle | None, req: str) -> None:
    """Make `array` a leaf whose gradient goes to `grad`: overwritten, added to, or not computed."""
    check_request(req)
    if req == "null":
        array.leave_graph()
        array._node = None
        return
    if not array.spec.dtype.is_floating_point:
        raise DTypeError(
            "a gradient needs floating-point values, this array is "
            f"{dtype_name(array.spec.dtype)}; use x.astype('float32') first"
        )
    wait(array)
    adopt(array, array.value().detach().requires_grad_(True), grad, req)


def adopt(array: Handle, leaf: Tensor, grad: Handle | None, req: str) -> None:
    """Make `array` a leaf with an existing leaf tensor, such as a torch module's parameter."""
    node = Node()
    node.leaf = True
    node.tensor = leaf
    node.grad = grad
    node.req = req
    reference = weakref.ref(node)
    array._data = leaf.detach()
    array._node = node
    array._graph = leaf

    def finished(tensor: Tensor) -> None:
        owner = reference()
        if owner is not None and owner.active and tensor.grad is not None:
            owner.active = False
            _deliver(owner, tensor.grad)
            tensor.grad = None

    leaf.register_post_accumulate_grad_hook(finished)


def check_request(req: str) -> None:
    """Raise unless `req` is one of write, add, null."""
    if req not in REQUESTS:
        raise MXNetError(f"grad_req must be one of {', '.join(REQUESTS)}, not {req!r}")


def _deliver(leaf: Node, gradient: Tensor) -> None:
    if leaf.grad is None:
        return
    if leaf.req == "add":
        leaf.grad.value().add_(gradient)
    else:
        leaf.grad._data = gradient


def backward(
    heads: Sequence[Handle], head_grads: Sequence[Handle | None], retain_graph: bool = False
) -> None:
    """Queue the backward pass of `heads`; gradients of leaves are ready when it is finished."""
    _check_heads(heads, head_grads)
    nodes = _graph(heads)
    leaves = [node for node in nodes if node.leaf]
    grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
    site = user_line()
    for leaf in leaves:
        leaf.fresh = True

    def task() -> None:
        tensors = [head.graph_value() for head in heads]
        pairs = zip(tensors, _seeds(tensors, head_grads), strict=True)
        reached = [pair for pair in pairs if pair[0].requires_grad]
        for leaf in leaves:
            leaf.active = True
        try:
            if reached:
                heads_of, seeds = map(list, zip(*reached, strict=True))
                torch.autograd.backward(heads_of, seeds, retain_graph=retain_graph)
            for leaf in leaves:
                _clear_unreached(leaf)
        except RuntimeError as error:
            raise _explained(error, nodes, site) from error
        finally:
            _after(leaves, () if retain_graph else heads)

    reads = [*heads, *(grad for grad in head_grads if grad is not None), *_live_inputs(nodes)]
    added = [leaf.grad for leaf in leaves if leaf.grad is not None and leaf.req == "add"]
    push(task, [*reads, *added], grads, heads[0]._ctx, "backward")
    if not retain_graph:
        _spend(nodes)


def _spend(nodes: Sequence[Node]) -> None:
    """The graph is gone after this pass: its arrays are constants from now on."""
    for node in nodes:
        node.spent = not node.leaf
        node.parents = ()


def _clear_unreached(leaf: Node) -> None:
    """A leaf that the graph names but no gradient reached, as behind BlockGrad, gets zeros."""
    if leaf.active and leaf.grad is not None and leaf.req == "write":
        leaf.grad._data = torch.zeros_like(leaf.grad.value())


def _after(leaves: Sequence[Node], finished: Sequence[Handle]) -> None:
    for leaf in leaves:
        leaf.active = False
        if leaf.tensor is not None:
            leaf.tensor.grad = None
    for head in finished:
        if head._node is not None and not head._node.leaf:
            head.leave_graph()


def grad(
    heads: Sequence[Handle],
    variables: Sequence[Handle],
    head_grads: Sequence[Handle | None],
    retain_graph: bool,
    create_graph: bool,
) -> list[Any]:
    """Return the gradients of `heads` for `variables` as new arrays, their `.grad` untouched."""
    _check_heads(heads, head_grads)
    for variable in variables:
        if not variable.recorded():
            raise MXNetError(
                "grad() needs variables that are part of the recorded graph; call "
                f"attach_grad() on them before recording (at {user_line()})"
            )
    nodes = _graph(heads)
    site = user_line()
    results = [type(v)(None, v._ctx, v.spec) for v in variables]
    for result in results:
        result._node = Node(tuple(nodes)) if create_graph else None

    def task() -> None:
        tensors = [head.graph_value() for head in heads]
        leaves = [variable.graph_value() for variable in variables]
        try:
            found = torch.autograd.grad(
                tensors,
                leaves,
                _seeds(tensors, head_grads),
                retain_graph=retain_graph or create_graph,
                create_graph=create_graph,
                allow_unused=True,
                materialize_grads=True,
            )
        except RuntimeError as error:
            raise _explained(error, nodes, site) from error
        for result, gradient in zip(results, found, strict=True):
            if result._node is not None:
                result._graph = gradient
            else:
                result._data = gradient

    given = [item for item in head_grads if item is not None]
    push(task, [*heads, *given, *variables, *_live_inputs(nodes)], results, heads[0]._ctx, "grad")
    if not (retain_graph or create_graph):
        _spend(nodes)
    return results


def _check_heads(heads: Sequence[Handle], head_grads: Sequence[Handle | None]) -> None:
    for head, seed in zip(heads, head_grads, strict=True):
        if head._node is None:
            raise MXNetError(
                "cannot differentiate this array: it was not computed inside autograd.record() "
                f"from arrays with attach_grad() (at {user_line()})"
            )
        if head._node.spent:
            raise MXNetError(
                "the graph of this array was freed by an earlier backward(); call that one with "
                f"retain_graph=True, or record again (at {user_line()})"
            )
        if seed is not None and seed.spec.shape != head.spec.shape:
            raise ShapeError(
                f"the head gradient has shape {seed.spec.shape}, the array {head.spec.shape} "
                f"(at {user_line()})"
            )


def _graph(heads: Sequence[Handle]) -> list[Node]:
    """Return every node that the heads were computed from, and the heads' own."""
    found: dict[int, Node] = {}
    stack = [head._node for head in heads if head._node is not None]
    while stack:
        node = stack.pop()
        if id(node) in found:
            continue
        if node.spent:
            raise MXNetError(
                "part of this graph was freed by an earlier backward(); call that one with "
                f"retain_graph=True (at {user_line()})"
            )
        found[id(node)] = node
        stack.extend(node.parents)
    return list(found.values())


def _live_inputs(nodes: Iterable[Node]) -> list[Handle]:
    """Return the arrays of the graph that still exist: whoever writes them must wait."""
    references = itertools.chain.from_iterable(node.inputs for node in nodes)
    return [array for ref, _ in references if (array := ref()) is not None]


def _seeds(tensors: Sequence[Tensor], head_grads: Sequence[Handle | None]) -> list[Tensor]:
    return [
        torch.ones_like(tensor) if seed is None else seed.value().to(tensor.dtype)
        for tensor, seed in zip(tensors, head_grads, strict=True)
    ]


def _explained(error: RuntimeError, nodes: Iterable[Node], site: str) -> MXNetError:
    """Name the line that wrote to an array that backward still needed."""
    text = str(error)
    if "modified by an inplace operation" not in text:
        return MXNetError(f"{text}\n  in backward() called at {site}")
    writes = [
        f"shape {array.spec.shape}, written at {array.site}"
        for node in nodes
        for ref, version in node.inputs
        if (array := ref()) is not None and array.version != version
    ]
    changed = "; ".join(dict.fromkeys(writes)) or "an array that no longer exists"
    return MXNetError(
        "an array that the gradient needs was changed in place after it was used: "
        f"{changed}\n  in backward() called at {site}"
    )
