"""The table that `block.summary(x)` prints: output shape and parameters of every layer."""

from dataclasses import dataclass
from typing import Any

from regluon.array.ndarray import NDArray


_LINE = "{:>20}  {:>42} {:>15}"
_WIDTH = 80


@dataclass
class _Row:
    label: str
    shape: str
    total: int = 0
    trainable: int = 0
    shared: int = 0


def table(block: Any, inputs: tuple[Any, ...]) -> str:
    """Run the block on `inputs` and return the table as text; containers get no row."""
    rows = [_Row("Input", _shapes(inputs))]
    seen: set[int] = set()
    handles: list[Any] = []

    def record(layer: Any, _: Any, outputs: Any) -> None:
        row = _Row(f"{type(layer).__name__}-{len(rows)}", _shapes(outputs))
        for param in layer.params.values():
            size = param.data(param.list_ctx()[0]).size
            row.total += size
            row.trainable += 0 if param.grad_req == "null" else size
            row.shared += size if id(param) in seen else 0
            seen.add(id(param))
        rows.append(row)

    def watch(layer: Any) -> None:
        if not getattr(layer, "is_container", False):
            handles.append(layer.register_forward_hook(record))

    try:
        block.apply(watch)
        block(*inputs)
    finally:
        for handle in handles:
            handle.detach()
    return "\n".join(_lines(rows))


def _lines(rows: list[_Row]) -> list[str]:
    total = sum(row.total for row in rows)
    trainable = sum(row.trainable for row in rows)
    shared = sum(row.shared for row in rows)
    return [
        "-" * _WIDTH,
        _LINE.format("Layer (type)", "Output Shape", "Param #"),
        "=" * _WIDTH,
        *(_LINE.format(row.label, row.shape, row.total) for row in rows),
        "=" * _WIDTH,
        "Parameters in forward computation graph, duplicate included",
        f"   Total params: {total}",
        f"   Trainable params: {trainable}",
        f"   Non-trainable params: {total - trainable}",
        f"Shared params in forward computation graph: {shared}",
        f"Unique parameters in model: {total - shared}",
        "-" * _WIDTH,
    ]


def _shapes(values: Any) -> str:
    if isinstance(values, (list, tuple)):
        if len(values) == 1:
            return _shapes(values[0])
        return ", ".join(f"({_shapes(v)})" if isinstance(v, list) else _shapes(v) for v in values)
    return str(values.shape) if isinstance(values, NDArray) else str(values)
