"""Shapes: what every value of a program would be for other inputs, without computing it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError
from regluon.graph.node import Graph, Meta, Node, Value, mapped
from regluon.graph.passes.layout import ordered_strides


def inferred(graph: Graph, inputs: Sequence[Meta | None] = ()) -> dict[Value, Meta]:
    """Return the description of every tensor of the program for inputs of other shapes.

    `inputs` has one entry for each input of the graph, None for one that stays as it was; without
    it the graph is checked as it is. Storages are numbered anew. Raises MXNetError where a node
    does not take the shapes that come to it, as where a shape was written into the program.
    """
    given = inputs or [None] * len(graph.inputs)
    known: dict[Value, Any] = {}
    devices: dict[Value, torch.device] = {}
    starts = [
        *((value, new or value.meta) for value, new in zip(graph.inputs, given, strict=True)),
        *((value, value.meta) for value in graph.constants),
    ]
    for value, meta in starts:
        if meta is not None:
            known[value] = _tensor(meta)
            devices[value] = meta.device
    for node in graph.nodes:
        device = _device(node, devices)
        for output, tensor in zip(node.outputs, _results(node, known), strict=False):
            if output is not None and isinstance(tensor, Tensor):
                known[output] = tensor
                devices[output] = device
    numbers: dict[int, int] = {}
    return {value: _meta(known[value], devices[value], numbers) for value in known}


def _results(node: Node, known: dict[Value, Any]) -> list[Any]:
    """Run one node on tensors without values."""
    if node.opaque:
        return [v and (known.get(v) if v.meta is None else _tensor(v.meta)) for v in node.outputs]
    args, kwargs = mapped((node.args, node.kwargs), known.get)
    if "device" in kwargs:
        kwargs["device"] = torch.device("meta")
    try:
        with torch.no_grad():
            result = _RULES.get(node.title.rpartition(".")[0], node.target)(*args, **kwargs)
    except Exception as error:  # a kernel's complaint may be any type
        where = str(node.site)
        reason = str(error).partition("\n")[0]
        raise MXNetError(
            f"{node.title}{where and f' at {where}'} does not take these shapes: {reason}"
        ) from error
    return _flat(result)


def _flat(result: Any) -> list[Any]:
    if isinstance(result, (list, tuple)):
        return [part for item in result for part in _flat(item)]
    return [result]


def _device(node: Node, devices: dict[Value, torch.device]) -> torch.device:
    """Return where the results of a node lie."""
    device = node.kwargs.get("device")
    if device is None:
        device = next((devices[value] for value in node.inputs if value in devices), "cpu")
    return torch.device(device)


def _tensor(meta: Meta) -> Tensor:
    return torch.empty_strided(meta.shape, meta.stride, dtype=meta.dtype, device="meta")


def _meta(tensor: Tensor, device: torch.device, numbers: dict[int, int]) -> Meta:
    place = numbers.setdefault(tensor.untyped_storage()._cdata, len(numbers) + 1)
    return Meta(tuple(tensor.shape), tensor.dtype, tuple(tensor.stride()), device, place)


def _convolution(image: Tensor, weight: Tensor, bias: Any, *window: Any) -> Tensor:
    """Return the result of oneDNN's convolution, which is laid out channels-last."""
    padding, stride, dilation, groups = window
    result = torch.ops.aten.convolution.default(
        image, weight, bias, stride, padding, dilation, False, [0] * len(stride), groups
    )
    form = torch.channels_last if result.dim() == 4 else torch.channels_last_3d
    strides = ordered_strides(tuple(result.shape), form)
    return torch.empty_strided(result.shape, strides, dtype=result.dtype, device="meta")


def _pointwise(image: Tensor, weight: Tensor, *rest: Any) -> Tensor:
    if isinstance(weight, Tensor) and isinstance(rest[0], Tensor) and rest[0].dim() > 1:
        weight, *rest = rest  # type: ignore[assignment]
    return _convolution(image, weight, *rest[:5])


def _linear(x: Tensor, weight: Tensor, bias: Any, *_: Any) -> Tensor:
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


def _packed(weight: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(weight)


# Operators without a kernel for tensors without values.
_RULES: dict[str, Callable[..., Any]] = {
    "mkldnn._convolution_pointwise": _pointwise,
    "mkldnn._convolution_pointwise_": lambda other, *rest: other,
    "mkldnn._linear_pointwise": _linear,
    "mkldnn._reorder_convolution_weight": _packed,
    "mkldnn._reorder_linear_weight": _packed,
    "regluon.linear_row": _linear,
}
