"""Fills `nd`, `np`, `npx` from the operator table: functions with signatures and docstrings."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from regluon.array import control, dispatch, np_functions
from regluon.array.absent import Namespace
from regluon.array.arguments import checked_context, drawn_as
from regluon.array.handle import Handle
from regluon.array.part import alone, pair
from regluon.array.shortcut import NUMBERS
from regluon.base import KeywordError, nearest, user_line
from regluon.ops.math import OF_NUMBERS
from regluon.ops.methods import METHODS
from regluon.ops.registry import NAMESPACES, TABLE, Op


Function = Callable[..., Any]

WRITTEN: dict[str, dict[str, Function]] = {
    "nd.contrib": control.FUNCTIONS,
    "npx": control.FUNCTIONS,
    "np": np_functions.FUNCTIONS,
}
"""Per namespace: the functions that are no operators."""


_RENAMED = {"np": {"data": "x", "lhs": "x1", "rhs": "x2"}}
"""Per namespace: what MXNet calls arrays there, in records that other namespaces share."""


_ON_NUMBERS = """\
    if isinstance({0}, _numbers) and isinstance({1}, _numbers):
        return _of_numbers({0}, {1})
"""
"""How a function of nd begins that gives a number for two numbers."""


def public_name(array: str, space: str) -> str:
    """Return the name that an array parameter of a record has in a namespace."""
    return _RENAMED.get(space, {}).get(array, array)


def parameters(op: Op, space: str = "") -> Iterator[inspect.Parameter]:
    """Yield the public parameters of an operator: `device` as `ctx`, no other given by the door."""
    seen_variadic = False
    positional = True
    yielded: set[str] = set()
    for parameter in inspect.signature(op.fn).parameters.values():
        if parameter.name in ("generator", "training", "out"):  # `out` comes last, by name
            continue
        kind = parameter.kind
        if parameter.name == "device":
            if kind is parameter.KEYWORD_ONLY:
                continue
            parameter = parameter.replace(name="ctx", default=None)
        seen_variadic = seen_variadic or kind is parameter.VAR_POSITIONAL
        if seen_variadic and kind is parameter.POSITIONAL_OR_KEYWORD:
            kind = parameter.KEYWORD_ONLY
        yielded.add(parameter.name)
        positional = positional and kind is parameter.POSITIONAL_OR_KEYWORD
        yield parameter.replace(kind=kind, name=public_name(parameter.name, space))
    named = inspect.Parameter.KEYWORD_ONLY
    if op.creates and "ctx" not in yielded:
        positional = False
        yield inspect.Parameter("ctx", named, default=None)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if positional else named
    yield inspect.Parameter("out", kind, default=None)


def signature_text(known: Sequence[inspect.Parameter]) -> str:
    """Return public parameters as Python source, annotations left out."""
    texts: list[str] = []
    starred = False
    for parameter in known:
        if parameter.kind is parameter.VAR_POSITIONAL:
            starred = True
            texts.append(f"*{parameter.name}")
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            texts.append("*")
        empty = parameter.default is parameter.empty
        texts.append(parameter.name if empty else f"{parameter.name}={parameter.default!r}")
    return ", ".join(texts)


_ON_ONE = """\
    if type({0}) is _cls and out is None and {1}:
        _found = _alone(_op, {0})
        if _found is not None:
            return _found
"""
"""What functions of one array begin with: the shortest way."""


def _usual(op: Op) -> str:
    """Return the text of a test that attributes are as they are by default, or "" for none."""
    plain = {*map(type, op.attrs.values())} <= {bool, type(None)}  # `is` tells them
    tests = (f"{name} is {value}" for name, value in op.attrs.items())
    return " and ".join(tests) if op.plain and plain else ""


def _takes_one(op: Op) -> bool:
    """Say whether an operator makes one array of one, which `alone` can do if all is as usual."""
    shaped = len(op.arrays) == op.outputs == 1 and not (op.variadic or op.listed)
    other = op.check or op.effort or op.instead
    return op.plain and shaped and not other and bool(_usual(op) or not op.attrs)


def make_function(op: Op, public: str, cls: type[Handle], space: str = "") -> Function:
    """Compile the public function of an operator: its signature, and one call of the door."""
    known = [item.replace(annotation=item.empty) for item in parameters(op, space)]
    arrays = [public_name(name, space) for name in op.arrays]
    if op.variadic:
        *first, last = arrays
        args = "".join(f"{name}, " for name in first) + f"*_unpacked({last})"
    else:
        args = ", ".join(arrays)
    attrs = f"{{{', '.join(f'{name!r}: {name}' for name in op.attrs)}}}"
    usual = _usual(op)
    if op.random and "shape" in op.attrs:
        attrs = f"_drawn_as({attrs}, out, {args or None})"
    elif usual:
        attrs = f"{{}} if {usual} else {attrs}"  # a call is shorter without what it need not name
    tail = ", ctx=_context(ctx)" if op.creates else ""
    given = f"({args},)" if arrays else "()"
    called = "_op"
    if op.instead is not None:
        name, value, _ = op.instead
        called = f"(_instead if {name} == {value!r} else _op)"
    made = f"_invoke({called}, {given}, {attrs}, _cls, out{tail})"
    source = (
        f"def {public}({signature_text(known)}, **_other):\n"
        "    if _other:\n"
        "        _refuse(_other)\n"
        f"{_ON_NUMBERS.format(*arrays) if space == 'nd' and public in OF_NUMBERS else ''}"
        f"{_ON_ONE.format(arrays[0], usual or True) if _takes_one(op) else ''}"
        f"    return {f'_tupled({made})' if _gives_tuple(op) else made}\n"
    )
    scope: dict[str, Any] = {
        "_invoke": dispatch.invoke,
        "_alone": alone,
        "_op": op,
        "_instead": TABLE[op.instead[2]] if op.instead else None,
        "_cls": cls,
        "_unpacked": _unpacked,
        "_tupled": _tupled,
        "_numbers": NUMBERS,
        "_of_numbers": OF_NUMBERS.get(public),
        "_context": checked_context,
        "_drawn_as": drawn_as,
        "_refuse": _refusal(public, [item.name for item in known], space.split(".")[0] == "np"),
    }
    exec(compile(source, f"<regluon {op.name}>", "exec"), scope)  # the text is ours alone
    function: Function = scope[public]
    function.__doc__ = op.doc
    function.__module__ = "regluon"
    function.__signature__ = inspect.Signature(known)  # type: ignore[attr-defined]
    return function


def _refusal(public: str, known: Sequence[str], numpy_like: bool) -> Function:
    """Return what a function does about arguments that it has not: all but a symbol's `name`."""

    def refuse(others: dict[str, Any]) -> None:
        for other in others:
            if other != "name" or numpy_like:
                raise KeywordError(
                    f"{public}() has no argument {other!r}{nearest(other, known) or ';'} it takes "
                    f"{', '.join(known)} (at {user_line()})"
                )

    return refuse


def _unpacked(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Let `concat([a, b])` and `concat(a, b)` mean the same."""
    if len(arrays) == 1 and isinstance(arrays[0], (list, tuple)):
        return tuple(arrays[0])
    return arrays


def _gives_tuple(op: Op) -> bool:
    """Say whether several results are a tuple, as NumPy's functions say, and not MXNet's list."""
    returned = inspect.signature(op.fn).return_annotation
    numpy_like = any(space.split(".")[0] == "np" for space in op.names)
    return numpy_like and "tuple" in inspect.formatannotation(returned)


def _tupled(result: Any) -> Any:
    return tuple(result) if isinstance(result, list) else result


def functions(space: str, family: str) -> dict[str, Function]:
    """Return the public functions of a namespace such as `np.random`, making arrays of `family`."""
    cls = dispatch.CLASSES[family]
    table = NAMESPACES.get(space, {})
    made = {name: make_function(op, name, cls, space) for name, op in table.items()}
    return {**made, **WRITTEN.get(space, {})}


def namespaces(space: str, family: str) -> dict[str, Namespace]:
    """Return the namespaces inside a namespace, such as `random` of `nd`, filled from the table."""
    inner = sorted(name for name in NAMESPACES if name.startswith(f"{space}."))
    return {
        name.partition(".")[2]: Namespace(name, **functions(name, family))
        for name in inner
        if not name.endswith("._internal")
    }


def bind_methods(family: str) -> None:
    """Give the array class of `family` its methods: the functions of the same names.

    NumPy-like arrays also have the methods that only `nd` knows, with results of their own class.
    """
    cls = dispatch.CLASSES[family]
    own = set(vars(cls))  # what a class writes out itself stays
    for name in dict.fromkeys([*METHODS["nd"], *METHODS[family]]):
        if name in own:
            continue
        op = NAMESPACES[family].get(name) or NAMESPACES["nd"][name]
        setattr(cls, name, make_function(op, name, cls))
    for name in ("add", "subtract", "multiply"):
        setattr(cls, f"__{name[:3]}__", _operator(NAMESPACES[family][name]))


def _operator(op: Op) -> Function:
    """Return the method of `+`, `-` or `*`, by the shortest way: they are called most of all."""
    invoke = dispatch.invoke

    def method(self: Handle, other: Any) -> Any:
        if type(other) is type(self):
            found = pair(op, self, other)
            if found is not None:
                return found
        return invoke(op, (self, other), {}, type(self))

    return method
