"""Parameters to files and back: strict names, everything checked before anything changes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from regluon import autograd
from regluon.array import dispatch, serialize
from regluon.array.ndarray import NDArray
from regluon.base import ContextError, DTypeError, FormatError, MXNetError, ShapeError, nearest
from regluon.context import Context, cpu
from regluon.gluon.parameter import Parameter
from regluon.gluon.utils import brief_list
from regluon.ops.dtype import dtype_name, torch_dtype


Names = Mapping[str, Parameter]
_SHOWN = 5  # how many wrong names an error lists
_COUNTED = re.compile(r"[a-z][a-z0-9]*?\d+_")  # the prefix that a network got by counting


def save(filename: str | Path, params: Names) -> None:
    """Write parameters under their names: MXNet's format for `*.params`, else safetensors.

    Copies on several contexts are averaged. The file is complete or the old one stays.
    """
    arrays = {name: param.mean().to_torch() for name, param in params.items()}
    serialize.save(filename, arrays)


def load(
    filename: str | Path,
    layouts: Sequence[Names],
    *,
    ctx: Context | Sequence[Context] | None = None,
    allow_missing: bool = False,
    ignore_extra: bool = False,
    cast_dtype: bool = False,
    dtype_source: str = "current",
) -> None:
    """Read parameters from a file, all of them or, after an error, none.

    layouts: ways to name the parameters; the one that knows most of the file's names is used.
    """
    if dtype_source not in ("current", "saved"):
        raise MXNetError(f"dtype_source must be 'current' or 'saved', not {dtype_source!r}")
    where = repr(str(filename))
    fill(
        _read(filename, where),
        layouts,
        where,
        ctx=ctx,
        allow_missing=allow_missing,
        ignore_extra=ignore_extra,
        cast_dtype=cast_dtype,
        dtype_source=dtype_source,
    )


def fill(
    tensors: dict[str, torch.Tensor],
    layouts: Sequence[Names],
    where: str,
    *,
    ctx: Context | Sequence[Context] | None = None,
    allow_missing: bool = False,
    ignore_extra: bool = False,
    cast_dtype: bool = False,
    dtype_source: str = "current",
) -> None:
    """Write tensors to the parameters of their names, all of them or, after an error, none.

    where: what the tensors are from, for messages. The rest is as for `load`.
    """
    params, tensors = _best_layout(layouts, tensors)
    if not allow_missing:
        _check_missing(params, tensors, where)
    if not ignore_extra:
        _check_extra(params, tensors, where)
    found = {name: tensor for name, tensor in tensors.items() if name in params}
    contexts = [ctx] if isinstance(ctx, Context) else None if ctx is None else list(ctx)
    plans = []
    for name, tensor in found.items():
        param = params[name]
        _check_shape(name, param, tensor, where)
        dtype = _dtype(name, param, tensor, where, cast_dtype, dtype_source)
        plans.append((param, tensor.to(dtype), _target(param, contexts)))
    for param, tensor, target in plans:
        _commit(param, tensor, target)


def _read(filename: str | Path, where: str) -> dict[str, torch.Tensor]:
    found = serialize.load(filename)
    if isinstance(found, Mapping):
        return serialize.strip_prefixes(found)
    if not found:
        return {}
    raise FormatError(
        f"{where} holds {len(found)} arrays without names, not a network's parameters"
    )


def _best_layout(
    layouts: Sequence[Names], tensors: dict[str, torch.Tensor]
) -> tuple[Names, dict[str, torch.Tensor]]:
    """Choose how the parameters are named in this file; the first layout wins a tie.

    Files by old versions have full names, such as `net0_dense0_weight`, and the count in a
    network's prefix is an accident: without that prefix the names are tried once more.
    """
    versions = [tensors]
    prefixes = {match.group() if (match := _COUNTED.match(name)) else "" for name in tensors}
    if len(prefixes) == 1 and (prefix := prefixes.pop()):
        versions.append({name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
    pairs = [(names, version) for version in versions for names in layouts]
    return max(pairs, key=lambda pair: sum(name in pair[0] for name in pair[1]))


def _check_missing(params: Names, tensors: Mapping[str, Any], where: str) -> None:
    known = {id(params[name]) for name in tensors if name in params}
    missing = [name for name, param in params.items() if id(param) not in known]
    if missing:
        unused = [name for name in tensors if name not in params]
        raise FormatError(
            f"{where} lacks {_counted(missing, unused)}. It holds {brief_list(tensors)}; "
            "allow_missing=True loads what is there"
        )


def _check_extra(params: Names, tensors: Mapping[str, Any], where: str) -> None:
    extra = [name for name in tensors if name not in params]
    if extra:
        unfilled = [name for name in params if name not in tensors]
        raise FormatError(
            f"{where} holds parameters that the network does not have: "
            f"{_counted(extra, unfilled)}. The network has {brief_list(params)}; "
            "ignore_extra=True leaves them out"
        )


def _counted(names: Sequence[str], candidates: Sequence[str]) -> str:
    """Return the first of some wrong names, each with the nearest that is free elsewhere."""
    parts = []
    for name in names[:_SHOWN]:
        hint = nearest(name, candidates, 1).removeprefix("; ")
        parts.append(f"{name!r} ({hint})" if hint else repr(name))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(parts) + more


def _check_shape(name: str, param: Parameter, tensor: torch.Tensor, where: str) -> None:
    known = param.known_shape
    saved = tuple(tensor.shape)
    if known is not None and (
        len(known) != len(saved) or any(a not in (0, b) for a, b in zip(known, saved, strict=True))
    ):
        raise ShapeError(
            f"parameter {name!r} ({param.name}) has shape {saved} in {where} and shape {known} "
            "in the network; nothing was loaded"
        )


def _dtype(
    name: str, param: Parameter, tensor: torch.Tensor, where: str, cast: bool, source: str
) -> torch.dtype:
    """Return the type to load a tensor as, or raise if it is not the parameter's."""
    wanted = torch_dtype(param.dtype)
    if tensor.dtype == wanted or (cast and source == "current"):
        return wanted
    if cast:
        return tensor.dtype
    raise DTypeError(
        f"parameter {name!r} ({param.name}) is {dtype_name(tensor.dtype)} in {where} and "
        f"{dtype_name(wanted)} in the network; cast_dtype=True converts it. Nothing was loaded"
    )


def _target(param: Parameter, contexts: list[Context] | None) -> list[Context]:
    """Return the contexts for the loaded values."""
    if not (param.waiting or param.initialized):
        return contexts or [cpu()]
    current = param.list_ctx()
    if contexts is not None and set(contexts) != set(current):
        raise ContextError(
            f"parameter {param.name!r} is on {brief_list(map(str, current))}, and ctx asks for "
            f"{brief_list(map(str, contexts))}; call reset_ctx first, or leave ctx out"
        )
    return current


def _commit(param: Parameter, tensor: torch.Tensor, contexts: list[Context]) -> None:
    with autograd.pause():
        kind: Any = dispatch.array_class()
        array: NDArray = kind(tensor, cpu())
        if torch_dtype(param.dtype) != tensor.dtype:
            param.cast(tensor.dtype)
        param.shape = tuple(tensor.shape)
        if param.initialized:
            param.set_data(array)
        else:
            param.allocate(array, contexts)
