"""Files of what an optimizer remembers: momentum, counts of updates, rates; as safetensors."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.array import dispatch, serialize
from regluon.array.ndarray import NDArray
from regluon.base import FormatError, MXNetError, ShapeError
from regluon.context import Context
from regluon.optimizer.optimizer import Index, Optimizer, State


_KEY = "regluon.trainer"
_COUNTS = ("counts", "num_update")
Described = Sequence[
    tuple[str, tuple[int, ...] | None]
]  # names and shapes of all weights, in order


def save(
    fname: serialize.FilePath,
    optimizer: Optimizer,
    states: Mapping[Index, State],
    weights: Described,
    *,
    numbers: bool = True,
) -> None:
    """Save the states of weights, with the optimizer's numbers or only its counts of updates."""
    arrays: dict[str, NDArray] = {}
    trees = [[index, _flat(state, str(index), arrays)] for index, state in states.items()]
    for array in arrays.values():
        dispatch.wait(array)
    settings = optimizer.settings()  # the counts are those of the updates that have run
    described = {
        "optimizer": type(optimizer).__name__,
        "settings": settings if numbers else {name: settings[name] for name in _COUNTS},
        "parameters": [list(weight) for weight in weights],
        "states": trees,
    }
    tensors = {name: array.value() for name, array in arrays.items()}
    metadata = {_KEY: json.dumps(described)}
    serialize.save(fname, tensors, format="safetensors", metadata=metadata)


def load(
    fname: serialize.FilePath,
    optimizer: Optimizer,
    weights: Described,
    finders: Sequence[Callable[[Index], NDArray]],
    contexts: Sequence[Context],
) -> list[dict[Index, State]]:
    """Return the states of a file for each of the `finders`, which give the weight of an index.

    The numbers of the optimizer become those of the file. If the file does not fit, `FormatError`
    or `ShapeError` says why and nothing is changed.
    """
    described, tensors = _read(fname)
    try:
        _check_saved(fname, described, type(optimizer).__name__, weights)
        states: list[dict[Index, State]] = [
            {index: _tree(state, tensors, find(index)) for index, state in described["states"]}
            for find in finders
        ]
        optimizer.restore(described["settings"], contexts)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, MXNetError):
            raise
        raise FormatError(
            f"{fname}: the description of the states is damaged: {error!r}"
        ) from error
    return states


def _check_saved(
    fname: serialize.FilePath, described: Mapping[str, Any], name: str, weights: Described
) -> None:
    """Raise unless the file is of this optimizer and of weights of these shapes."""
    if described["optimizer"] != name:
        raise FormatError(f"{fname} holds states of {described['optimizer']}, not of {name}")
    saved = described["parameters"]
    if len(saved) != len(weights):
        raise FormatError(f"{fname} holds states of {len(saved)} Parameters, not of {len(weights)}")
    for (name, shape), (saved_name, saved_shape) in zip(weights, saved, strict=True):
        known = shape is not None and 0 not in shape
        if known and shape != tuple(saved_shape):
            raise ShapeError(
                f"{fname}: Parameter {name!r} has shape {shape}, in the file ({saved_name!r}) it "
                f"is {tuple(saved_shape)}"
            )


def _flat(state: State, name: str, arrays: dict[str, NDArray]) -> Any:
    """Enter the arrays of a state under names; return its structure with the names in it."""
    if state is None:
        return None
    if isinstance(state, NDArray):
        arrays[name] = state
        return name
    return [_flat(part, f"{name}.{place}", arrays) for place, part in enumerate(state)]


def _tree(described: Any, tensors: Mapping[str, Tensor], weight: NDArray) -> State:
    """Return the state that `_flat` described, copied to where its weight is.

    It is laid out in memory like its weight, as it was when it was made: kernels take another path
    for other layouts, and round differently, so that a resumed run would end with other bits.
    """
    if described is None:
        return None
    if not isinstance(described, str):
        return tuple(_tree(part, tensors, weight) for part in described)
    saved = tensors[described]
    dispatch.wait(weight)
    value = weight.value()
    like = value if saved.shape == value.shape else saved
    copy = torch.empty_like(like, dtype=saved.dtype, device=value.device)
    return dispatch.array_class()(copy.copy_(saved), weight.context)


def _read(fname: serialize.FilePath) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the description and the tensors of a file of `save`."""
    try:
        metadata, tensors = serialize.load_metadata(fname), serialize.load(fname)
    except FormatError as error:
        raise FormatError(
            f"{error}. The states that a Trainer or a kvstore of regluon saved are read; the "
            "states files of MXNet are pickles and are not read: begin with fresh states"
        ) from error
    if _KEY not in metadata or not isinstance(tensors, dict):
        raise FormatError(f"{fname} holds arrays, but not the states of a Trainer")
    try:
        described = json.loads(metadata[_KEY])
    except ValueError as error:
        raise FormatError(f"{fname}: the description of the states is damaged: {error}") from error
    return described, tensors
