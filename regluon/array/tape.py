"""Gradients: leaves, the graph of recorded calls, and the backward pass as one engine task."""

import weakref
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from regluon.array.call_graph import CallGraph
from regluon.array.dispatch import push, wait
from regluon.array.handle import FunctionNode, Handle, Leaf, Node
from regluon.base import ContextError, DTypeError, MXNetError, ShapeError, user_line
from regluon.engine.selection import selected
from regluon.ops.dtype import dtype_name


REQUESTS = ("write", "add", "null")


def attach(array: Handle, grad: Handle | None, req: str) -> None:
    """Make `array` a leaf whose gradient goes to `grad`: overwritten, added to, or not computed."""
    check_request(req)
    if req == "null":
        array.leave_graph()
        array._node = None if grad is None else Leaf(None, grad, req)
        return
    if not array.spec.dtype.is_floating_point:
        raise DTypeError(
            "a gradient needs floating-point values, this array is "
            f"{dtype_name(array.spec.dtype)}; use x.astype('float32') first (at {user_line()})"
        )
    if grad is not None:
        _check_fit("gradient", grad, array)
    wait(array)
    adopt(array, array.value().detach().requires_grad_(True), grad, req)


def adopt(array: Handle, leaf: Tensor, grad: Handle | None, req: str) -> None:
    """Make `array` a leaf with an existing leaf tensor, such as a torch module's parameter."""
    node = Leaf(leaf, grad, req)
    reference = weakref.ref(node)
    array._data = leaf.detach()
    array._node = node
    array._graph = leaf

    def finished(tensor: Tensor) -> None:
        owner = reference()
        if owner is None or owner.active is None:
            return
        gradient = tensor.grad
        if gradient is not None:
            taken, owner.active = owner.active, None
            owner.deliver(_own(gradient, taken))
            tensor.grad = None
            if owner.early is not None:
                selected.engine.complete(owner.early)

    leaf.register_post_accumulate_grad_hook(finished)


def check_request(req: str) -> None:
    """Raise unless `req` is one of write, add, null."""
    if req not in REQUESTS:
        raise MXNetError(f"grad_req must be one of {', '.join(REQUESTS)}, not {req!r}")


def _check_fit(what: str, given: Any, array: Handle) -> None:
    """Raise unless the array `given` has the shape, dtype and context of `array`."""
    if not isinstance(given, Handle):
        raise DTypeError(
            f"a {what} must be an array of shape {array.spec.shape}, not "
            f"{type(given).__name__} (at {user_line()})"
        )
    if given.spec.shape != array.spec.shape:
        raise ShapeError(
            f"the {what} has shape {given.spec.shape}, the array {array.spec.shape} "
            f"(at {user_line()})"
        )
    if given._ctx is not array._ctx:
        raise ContextError(
            f"the {what} is on {given._ctx}, the array on {array._ctx} (at {user_line()})"
        )
    if given.spec.dtype != array.spec.dtype:
        raise DTypeError(
            f"the {what} is {dtype_name(given.spec.dtype)}, the array "
            f"{dtype_name(array.spec.dtype)} (at {user_line()})"
        )


def _own(gradient: Tensor, taken: set[int]) -> Tensor:
    """Return the gradient in storage of its own: torch may share one with a seed or another."""
    storage = gradient.untyped_storage()
    where = storage.data_ptr()
    if where in taken or storage.nbytes() != gradient.numel() * gradient.element_size():
        return gradient.clone()
    taken.add(where)
    return gradient


def backward(
    heads: Sequence[Handle],
    head_grads: Sequence[Handle | None],
    retain_graph: bool = False,
    train_mode: bool = True,
) -> None:
    """Queue the backward pass of `heads`; gradients of leaves are ready when it is finished.

    Heads on several contexts that have no graph in common are as many passes, at the same time.
    """
    whole = _checked_graph(heads, head_grads, train_mode)
    if len(heads) > 1:
        for places, graph in _apart(heads, whole):
            seeds = [head_grads[i] for i in places]
            _queue_backward([heads[i] for i in places], seeds, graph, retain_graph)
    else:
        _queue_backward(heads, head_grads, whole, retain_graph)


def _apart(heads: Sequence[Handle], whole: CallGraph) -> Iterable[tuple[Sequence[int], CallGraph]]:
    """Divide the places of heads by context, with the graph of each, if no node is in two."""
    places = range(len(heads))
    homes = [head._ctx for head in heads]
    parts = [[i for i in places if heads[i]._ctx is ctx] for ctx in dict.fromkeys(homes)]
    if len(parts) == 1:
        return [(places, whole)]
    graphs = [CallGraph([heads[i] for i in part]) for part in parts]
    shared = sum(len(graph.nodes) for graph in graphs) > len(whole.nodes)
    return [(places, whole)] if shared else zip(parts, graphs, strict=True)


def _queue_backward(
    heads: Sequence[Handle], head_grads: Sequence[Any], graph: CallGraph, retain_graph: bool
) -> None:
    leaves = graph.leaves
    grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
    homes = Counter([id(grad.root) for grad in grads]) if len(grads) > 1 else {}
    site = user_line()
    for leaf in leaves:
        leaf.fresh = True

    def task() -> None:
        tensors, seeds = _seeded(heads, head_grads)
        taken = {seed.untyped_storage().data_ptr() for seed in seeds if seed is not None}
        reached = [pair for pair in zip(tensors, seeds, strict=True) if pair[0].requires_grad]
        for leaf in leaves:
            leaf.active = taken
            leaf.early = leaf.grad if homes.get(id(leaf.grad)) == 1 else None
        try:
            if reached:
                roots, given = zip(*reached, strict=True)
                with _scope(graph):
                    torch.autograd.backward(roots, given, retain_graph=retain_graph)
            for leaf in leaves:
                if leaf.active is not None:
                    _clear(leaf)
        except RuntimeError as error:
            raise _explained(error, graph, heads, site) from error
        finally:
            _release(leaves)
            if not retain_graph:
                _leave(heads)

    reads = [*heads, *_given(head_grads)]
    if not selected.engine.inline:
        reads += graph.live_inputs()
        reads += [leaf.grad for leaf in leaves if leaf.grad is not None and leaf.req == "add"]
    push(task, reads, grads, heads[0]._ctx, "backward", work=graph.work(), site=site)
    if not retain_graph:
        graph.spend()


def _clear(leaf: Leaf) -> None:
    """A leaf that the graph names but no gradient reached, as behind BlockGrad, gets zeros."""
    if leaf.grad is not None and leaf.req == "write":
        leaf.deliver(torch.zeros_like(leaf.grad.value()))


def _release(leaves: Sequence[Leaf]) -> None:
    """End a pass: those that a gradient has reached have been released when it was delivered."""
    for leaf in leaves:
        if leaf.active is not None and leaf.tensor is not None:
            leaf.tensor.grad = None
        leaf.active = None


def _leave(finished: Sequence[Handle]) -> None:
    for head in finished:
        if not isinstance(head._node, Leaf):
            head.leave_graph()


def grad(
    heads: Sequence[Handle],
    variables: Sequence[Handle],
    head_grads: Sequence[Handle | None],
    retain_graph: bool,
    create_graph: bool,
    train_mode: bool = True,
) -> list[Any]:
    """Return the gradients of `heads` for `variables` as new arrays, their `.grad` untouched."""
    graph = _checked_graph(heads, head_grads, train_mode)
    _check_variables(variables, graph)
    site = user_line()
    results = [type(v)(None, v._ctx, v.spec) for v in variables]
    if create_graph:
        sources = [seed._node for seed in _given(head_grads) if seed.recorded()]
        parents = (*graph.calls, *graph.leaves, *(node for node in sources if node is not None))
        for result in results:
            result._node = Node(parents)

    def task() -> None:
        tensors, seeds = _seeded(heads, head_grads, recorded=create_graph)
        leaves = [variable.graph_value() for variable in variables]
        try:
            with _scope(graph):
                found = _gradients(tensors, leaves, seeds, retain_graph, create_graph)
        except RuntimeError as error:
            raise _explained(error, graph, heads, site) from error
        shared = [*leaves, *(seed for seed in seeds if seed is not None)]
        taken = {tensor.untyped_storage().data_ptr() for tensor in shared}
        with torch.set_grad_enabled(create_graph):
            found = [_own(gradient, taken) for gradient in found]
        for result, gradient in zip(results, found, strict=True):
            if result._node is not None:
                result._graph = gradient
            else:
                result._data = gradient
        if not retain_graph:
            _leave(heads)

    reads = [*heads, *_given(head_grads), *variables, *graph.live_inputs()]
    push(task, reads, results, heads[0]._ctx, "grad", work=graph.work(), site=site)
    if not retain_graph:
        graph.spend()
    return results


def _gradients(
    heads: Sequence[Tensor],
    variables: Sequence[Tensor],
    seeds: Sequence[Tensor | None],
    retain_graph: bool,
    create_graph: bool,
) -> list[Tensor]:
    """Return torch's gradients, zeros for what no gradient reaches."""
    reached = [pair for pair in zip(heads, seeds, strict=True) if pair[0].requires_grad]
    wanted = [variable for variable in variables if variable.requires_grad]
    found = iter(
        torch.autograd.grad(
            [head for head, _ in reached],
            wanted,
            [seed for _, seed in reached],
            retain_graph=retain_graph,
            create_graph=create_graph,
            allow_unused=True,
            materialize_grads=True,
        )
        if reached and wanted
        else map(torch.zeros_like, wanted)
    )
    return [next(found) if v.requires_grad else torch.zeros_like(v) for v in variables]


def _check_variables(variables: Sequence[Handle], graph: CallGraph) -> None:
    """Raise unless the heads were computed from every one of `variables`."""
    for number, variable in enumerate(variables):
        if not variable.recorded():
            raise MXNetError(
                "grad() needs variables that are part of the recorded graph; call "
                f"attach_grad() on them before recording (at {user_line()})"
            )
        if variable._node not in graph.nodes:
            raise MXNetError(
                f"variable {number} of grad(), of shape {variable.spec.shape}, was not used to "
                f"compute the heads (at {user_line()})"
            )


def _checked_graph(
    heads: Sequence[Handle], head_grads: Sequence[Handle | None], train_mode: bool
) -> CallGraph:
    """Return what the heads were computed from, checked that a backward pass may run."""
    if not heads:
        raise MXNetError(f"there is nothing to differentiate: no heads given (at {user_line()})")
    if len(heads) != len(head_grads):
        raise MXNetError(
            f"{len(head_grads)} head gradients were given for {len(heads)} heads; use None for "
            f"one that is all ones (at {user_line()})"
        )
    for head, seed in zip(heads, head_grads, strict=True):
        if head._node is None or (head._node.spent and isinstance(head._node, Leaf)):
            raise MXNetError(
                "cannot differentiate this array: it was not computed inside autograd.record() "
                f"from arrays with attach_grad() (at {user_line()})"
            )
        if head._node.spent:
            raise MXNetError(
                "the graph of this array was freed by an earlier backward(); call that one with "
                f"retain_graph=True, or record again (at {user_line()})"
            )
        if seed is not None:
            _check_fit("head gradient", seed, head)
    graph = CallGraph(heads)
    for function in graph.functions:
        function.training = train_mode
        _check_saved(function)
    return graph


def _scope(graph: CallGraph) -> AbstractContextManager[object]:
    """Return the scope of a backward pass: Python gradients run on the thread of the task."""
    return torch.autograd.set_multithreading_enabled(False) if graph.functions else nullcontext()


def _given(head_grads: Iterable[Handle | None]) -> list[Handle]:
    return [seed for seed in head_grads if seed is not None]


def _seeded(
    heads: Sequence[Handle], head_grads: Sequence[Handle | None], recorded: bool = False
) -> tuple[list[Tensor], list[Tensor | None]]:
    """Return the tensors to start from, and their head gradients.

    Where none is given a tensor's sum takes its place, whose gradient is one everywhere: to look
    at a head gradient torch imports an algebra system, which takes half a second.
    """
    tensors = [head.graph_value() for head in heads]
    seeds: list[Tensor | None] = [None] * len(tensors)
    for place, (tensor, seed) in enumerate(zip(tensors, head_grads, strict=True)):
        if seed is not None:
            seeds[place] = seed.graph_value() if recorded and seed.recorded() else seed.value()
        elif tensor.numel() != 1:
            with torch.enable_grad():
                tensors[place] = tensor.sum()
    return tensors, seeds


def _check_saved(node: FunctionNode) -> None:
    """Raise if an array that an `autograd.Function` saved for backward was written since."""
    changed = [array.root for array, version in node.saved if array.root.version != version]
    if changed:
        raise _changed(changed, user_line())


def _changed(arrays: Sequence[Handle], site: str) -> MXNetError:
    writes = [f"shape {array.spec.shape}, written at {array.site}" for array in arrays]
    named = "; ".join(dict.fromkeys(writes)) or "an array that no longer exists"
    return MXNetError(
        "an array that the gradient needs was changed in place after it was used: "
        f"{named}\n  in backward() called at {site}"
    )


def _explained(
    error: RuntimeError, graph: CallGraph, heads: Sequence[Handle], site: str
) -> MXNetError:
    """Name the line that wrote to an array that backward still needed."""
    text = str(error)
    if "modified by an inplace operation" not in text:
        kind = type(error) if isinstance(error, MXNetError) else MXNetError
        return kind(f"{text}\n  in backward() called at {site}")
    read = [(ref(), version) for node in graph.calls for ref, version in node.inputs]
    read += [(head.root, 0) for head in heads if not isinstance(head._node, Leaf)]
    changed = [array for array, then in read if array is not None and array.version != then]
    return _changed(changed, site)
