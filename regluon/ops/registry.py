"""The operator record and `@register`: the one table that every front end reads."""

import ast
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from regluon.base import MXNetError, nearest


class Spec(NamedTuple):
    """What is known of an array before it is computed."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def numel(self) -> int:
        """Return the number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes that the values take."""
        return self.numel() * self.dtype.itemsize


Infer = Callable[..., tuple[Spec, ...]]
Parse = Callable[[str], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One operator: what it computes, what it is called, and all that the door must know of it.

    `fn` is a pure function of torch tensors. Its parameters annotated `Tensor` are arrays, those
    called `device`, `generator`, `training` are given by the door, all others are attributes.
    """

    name: str
    fn: Callable[..., Any]
    names: Mapping[str, tuple[str, ...]]  # namespace ("nd", "np.random", ...) to public names
    symbol: str  # the name in MXNet's symbol.json, or "" where it has none
    arrays: tuple[str, ...]
    variadic: bool
    attrs: Mapping[str, Any]  # attribute to default; inspect.Parameter.empty where required
    parsers: Mapping[str, Parse]  # attribute to a parser of MXNet's attribute strings
    outputs: int | Callable[..., int]
    mutates: tuple[str, ...]  # array parameters written in place
    view: str  # may the result share the first array's storage? "" | "lazy copy" | "write through"
    differentiable: tuple[str, ...]
    random: bool
    training: bool
    creates: bool
    dynamic: bool  # the output shape depends on values: the call waits for its inputs
    infer: Infer
    check: Callable[..., None] | None  # value checks made on the device before the kernel
    doc: str
    instead: tuple[str, Any, str] | None = None  # attribute, value, and who takes over
    effort: Callable[..., int] | None = None  # nanoseconds of a core, from tensors or their specs
    optional: frozenset[str] = field(init=False)  # the array parameters that may be None
    title: str = field(init=False)  # what messages and the profiler call it
    plain: bool = field(init=False)  # a call needs nothing but arrays and attributes
    smooth: bool = field(init=False)  # gradients may flow through all of the arrays
    reach: int = field(init=False)  # so much larger may arrays be if the effort is known: a shift
    listed: bool = field(init=False)  # a single result is a list, too: never so in MXNet's nd

    def __post_init__(self) -> None:
        title = next((names[0] for names in self.names.values() if names), self.name)
        object.__setattr__(self, "title", title)
        known = inspect.signature(self.fn).parameters
        kinds = {name: inspect.formatannotation(known[name].annotation) for name in self.arrays}
        optional = frozenset(name for name, kind in kinds.items() if "None" in kind)
        object.__setattr__(self, "optional", optional)
        special = self.mutates or self.view or self.random or self.training or self.creates
        object.__setattr__(self, "plain", not (special or self.dynamic))
        object.__setattr__(self, "smooth", self.differentiable == self.arrays)
        classic = not {"nd", "nd.contrib"}.isdisjoint(self.names)
        object.__setattr__(self, "reach", 0 if self.effort is None else 3)
        object.__setattr__(self, "listed", callable(self.outputs) and not classic)

    @property
    def run(self) -> Callable[..., Any]:
        """The function behind its check."""
        return self.fn if self.check is None else self._checked

    def _checked(self, *values: Any, **attrs: Any) -> Any:
        assert self.check is not None
        self.check(*values, **attrs)
        return self.fn(*values, **attrs)

    def __repr__(self) -> str:
        return f"<operator {self.name}>"


TABLE: dict[str, Op] = {}
"""Every operator by its unique name."""

NAMESPACES: dict[str, dict[str, Op]] = {}
"""The public names: namespace to name to operator."""

F = TypeVar("F", bound=Callable[..., Any])
_GIVEN = ("device", "generator", "training")


def register(
    infer: Infer,
    *,
    nd: str = "",
    np: str = "",
    npx: str = "",
    also: Mapping[str, str] | None = None,
    symbol: str = "",
    outputs: int | Callable[..., int] = 1,
    mutates: str = "",
    view: str = "",
    differentiable: str | None = None,
    dynamic: bool = False,
    check: Callable[..., None] | None = None,
    instead: tuple[str, Any, str] | None = None,
    effort: Callable[..., int] | None = None,
) -> Callable[[F], F]:
    """Record a function as an operator under blank-separated public names per namespace.

    `also` gives further namespaces, such as `{"np.random": "uniform"}`. `differentiable` lists the
    array parameters that have gradients: all by default, none if it is an empty string. `view` says
    that the result may share storage with the first array: as a "lazy copy", which the door copies
    before either is written, or to "write through". `instead` names an operator with the same
    parameters that public functions call if an attribute has a value: one that needs more of the
    door, such as random numbers, without which all other calls are shorter. `effort` estimates the
    nanoseconds that a call takes a core, where the size of the arrays does not tell.
    """

    def record(fn: F) -> F:
        arrays, variadic, attrs, parsers, given = _read_signature(fn)
        spaces = {"nd": nd, "np": np, "npx": npx, **(also or {})}
        op = Op(
            name=fn.__name__,
            fn=fn,
            names={space: tuple(names.split()) for space, names in spaces.items() if names},
            symbol=symbol,
            arrays=arrays,
            variadic=variadic,
            attrs=attrs,
            parsers=parsers,
            outputs=outputs,
            mutates=tuple(mutates.split()),
            view=view,
            differentiable=arrays if differentiable is None else tuple(differentiable.split()),
            random="generator" in given,
            training="training" in given,
            creates="device" in given,
            dynamic=dynamic,
            infer=infer,
            check=check,
            doc=inspect.getdoc(fn) or "",
            instead=instead,
            effort=effort,
        )
        _enter(op)
        return fn

    return record


def _enter(op: Op) -> None:
    if op.name in TABLE:
        raise MXNetError(f"two operators are called {op.name!r}")
    TABLE[op.name] = op
    for space, names in op.names.items():
        table = NAMESPACES.setdefault(space, {})
        for name in names:
            if name in table:
                raise MXNetError(f"{space}.{name} is both {table[name].name} and {op.name}")
            table[name] = op


def find(namespace: str, name: str) -> Op:
    """Return the operator that `namespace` knows as `name`, or raise with the nearest names."""
    table = NAMESPACES[namespace]
    if name not in table:
        raise MXNetError(f"{namespace} has no operator {name!r}{nearest(name, table)}")
    return table[name]


def _read_signature(
    fn: Callable[..., Any],
) -> tuple[tuple[str, ...], bool, dict[str, Any], dict[str, Parse], list[str]]:
    arrays: list[str] = []
    attrs: dict[str, Any] = {}
    parsers: dict[str, Parse] = {}
    given: list[str] = []
    variadic = False
    for name, parameter in inspect.signature(fn).parameters.items():
        kind = inspect.formatannotation(parameter.annotation)
        if name in _GIVEN:
            given.append(name)
        elif "Tensor" in kind:
            arrays.append(name)
            variadic = variadic or parameter.kind is parameter.VAR_POSITIONAL
        else:
            attrs[name] = parameter.default
            parsers[name] = _PARSERS.get(kind, parse_literal)
    return tuple(arrays), variadic, attrs, parsers, given


def parse_literal(text: str) -> Any:
    """Read an attribute of symbol.json: a number, tuple, None, boolean or a bare word.

    >>> parse_literal("(3, 3)"), parse_literal("True"), parse_literal("relu")
    ((3, 3), True, 'relu')
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def parse_bool(text: str) -> bool:
    """Read a truth value in any of MXNet's spellings.

    >>> parse_bool("1"), parse_bool("False")
    (True, False)
    """
    known = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in known:
        raise MXNetError(f"{text!r} is not a truth value")
    return known[text.lower()]


_PARSERS: dict[str, Parse] = {"bool": parse_bool, "int": int, "float": float, "str": str}


def spec_of(tensor: Tensor) -> Spec:
    """Return the shape and dtype of a tensor."""
    return Spec(tuple(tensor.shape), tensor.dtype)
