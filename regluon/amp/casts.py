"""Casts: what mixed precision does to the arguments of each call at the door."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from regluon.amp.operators import (
    CONDITIONAL,
    FLOAT32,
    KEPT,
    LOSS_OUTPUTS,
    TARGET,
    WIDEST,
    Conditions,
    named,
)
from regluon.array.arguments import flat
from regluon.array.dispatch import invoke, state
from regluon.array.handle import Handle, Leaf
from regluon.base import MXNetError
from regluon.ops.dtype import dtype_name, low_precision
from regluon.ops.registry import TABLE, Op


_CAST = TABLE["amp_cast"]
_CASTABLE = {torch.float32, torch.float16, torch.bfloat16}


class _Rule(NamedTuple):
    """What one operator's arguments are cast to: `dtype`, or the widest of theirs if it is None."""

    dtype: torch.dtype | None
    kept: frozenset[int] = frozenset()  # the places of arguments that stay as they are
    condition: tuple[str, frozenset[str]] | None = None  # an attribute and its values, or always


class Casts:
    """Casts the array arguments of listed operators, each cast being a call of `amp_cast`.

    target_dtype: "bfloat16" or "float16".
    target_precision_ops, fp32_ops: names of operators in place of the lists of this module.
    conditional_fp32_ops: `(operator, attribute, values)`: float32 where the attribute has one.
    scale: returns what `grad_scale` of operators that start the backward pass is multiplied by.
    excluded: names of blocks in which all listed operators run in float32.

    Arrays of float64 and of whole numbers are never cast, nor are calls with `out=`.
    """

    def __init__(
        self,
        target_dtype: Any,
        target_precision_ops: Iterable[str] | None = None,
        conditional_fp32_ops: Conditions | None = None,
        fp32_ops: Iterable[str] | None = None,
        *,
        scale: Callable[[], float] | None = None,
        excluded: Iterable[str] = (),
    ) -> None:
        self.dtype = low_precision(target_dtype)
        self._rules = _rules(self.dtype, target_precision_ops, conditional_fp32_ops, fp32_ops)
        self._scale = scale
        self._excluded = frozenset(excluded)
        # Where it is a dict: what was asked of every array, by identity.
        self.seen: dict[int, set[torch.dtype | None]] | None = None

    def __repr__(self) -> str:
        return f"Casts({dtype_name(self.dtype)!r})"

    def __call__(
        self, op: Op, args: Sequence[Any], attrs: dict[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        """Return the arguments and attributes to call `op` with."""
        rule = self._rules.get(op)
        dtype = None if rule is None else self._wanted(rule, op, args, attrs)
        if self.seen is not None and op is not _CAST:
            self._note(rule, args, dtype)
        if rule is None:
            return args, attrs
        if dtype is not None:
            kept = rule.kept
            args = [
                arg if place in kept else self._cast(arg, dtype) for place, arg in enumerate(args)
            ]
        if self._scale is not None and op in LOSS_OUTPUTS:
            attrs = self._scaled(op, attrs, self._scale())
        return args, attrs

    def _wanted(
        self, rule: _Rule, op: Op, args: Sequence[Any], attrs: dict[str, Any]
    ) -> torch.dtype | None:
        """Return the dtype for the arguments of this call, None where they stay as they are."""
        if rule.condition is not None:
            name, values = rule.condition
            if str(attrs.get(name, op.attrs.get(name))) not in values:
                return None
        dtype = rule.dtype
        if dtype is torch.float32:
            return dtype
        given = {array.spec.dtype for array in flat(args) if isinstance(array, Handle)}
        if torch.float64 in given:
            return None
        if dtype is None:
            return torch.float32 if torch.float32 in given and len(given & _CASTABLE) > 1 else None
        return torch.float32 if self._excluded and self._outside() else dtype

    def _note(self, rule: _Rule | None, args: Sequence[Any], dtype: torch.dtype | None) -> None:
        assert self.seen is not None
        for place, arg in enumerate(args):
            kept = rule is None or place in rule.kept
            for array in flat((arg,)):
                self.seen.setdefault(id(array), set()).add(None if kept else dtype)

    def _cast(self, arg: Any, dtype: torch.dtype) -> Any:
        if isinstance(arg, Handle):
            found = arg.spec.dtype
            if found is dtype or found not in _CASTABLE:
                return arg
            reused = type(arg._node) is Leaf and not state.recording and state.capture is None
            return _reused(arg, dtype) if reused else _new(arg, dtype)
        if isinstance(arg, (list, tuple)):
            return [self._cast(item, dtype) for item in arg]
        return arg

    def _outside(self) -> bool:
        """Say whether one of the blocks being called is excluded."""
        place = state.place
        while place is not None:
            if place[0].name in self._excluded:
                return True
            place = place[1]
        return False

    def _scaled(self, op: Op, attrs: dict[str, Any], scale: float) -> dict[str, Any]:
        if scale == 1:
            return attrs
        if state.capture is not None:
            state.capture.refuse(f"the loss scale, which changes, is part of {op.title}")
        given = attrs.get("grad_scale", op.attrs["grad_scale"])
        return {**attrs, "grad_scale": given * scale}


def _new(array: Handle, dtype: torch.dtype) -> Handle:
    result: Handle = invoke(_CAST, (array,), {"dtype": dtype_name(dtype)}, type(array))
    return result


def _reused(array: Handle, dtype: torch.dtype) -> Handle:
    """Return the cast of a parameter for prediction: that of the last call, if it still holds."""
    leaf, data = array._node, array._data
    assert isinstance(leaf, Leaf)
    if data is None or not array.settled():
        return _new(array, dtype)
    # Torch counts what torch's optimizers write, too, where they share the parameter.
    now = (dtype, array.version, id(data), data._version)
    if leaf.cast is None or leaf.cast[0] != now:
        leaf.cast = (now, data, _new(array, dtype))  # with the data, whose identity stays its own
    result: Handle = leaf.cast[2]
    return result


def _rules(
    target: torch.dtype,
    target_ops: Iterable[str] | None,
    conditional: Conditions | None,
    fp32_ops: Iterable[str] | None,
) -> dict[Op, _Rule]:
    """Return the rule of every listed operator; what the user lists goes before what we list."""
    low, high = named(target_ops or ()), named(fp32_ops or ())
    if both := set(low) & set(high):
        listed = ", ".join(sorted(op.title for op in both))
        raise MXNetError(f"{listed}: listed for both {dtype_name(target)} and float32")
    rules = {op: _Rule(None) for op in WIDEST}
    if fp32_ops is None:
        rules |= {op: _Rule(torch.float32, _kept(op)) for op in FLOAT32}
    if target_ops is None:
        rules |= {op: _Rule(target, _kept(op)) for op in TARGET}
    if conditional is None:
        rules |= {op: _conditional(*pair) for op, pair in CONDITIONAL.items()}
    rules |= {op: _Rule(torch.float32, _kept(op)) for op in high}
    rules |= {op: _Rule(target, _kept(op)) for op in low}
    for name, attr, values in conditional or ():
        for op in named([name]):
            if attr not in op.attrs:
                raise MXNetError(f"the operator {name!r} has no attribute {attr!r}")
            rules[op] = _conditional(attr, values)
    return rules


def _conditional(attr: str, values: Iterable[Any]) -> _Rule:
    return _Rule(torch.float32, condition=(attr, frozenset(map(str, values))))


def _kept(op: Op) -> frozenset[int]:
    names = (*op.mutates, *KEPT.get(op.name, ()))
    return frozenset(op.arrays.index(name) for name in names)


@contextmanager
def using(casts: Casts | None) -> Iterator[None]:
    """Let these casts be made in this thread, whatever the process does."""
    own = vars(state)
    before = own.get("casts", own)  # `own` stands for none
    state.casts = casts
    try:
        yield
    finally:
        if before is own:
            del state.casts
        else:
            state.casts = before
