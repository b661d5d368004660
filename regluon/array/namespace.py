"""Fills `nd`, `np`, `npx` from the operator table: functions with signatures and docstrings."""

import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from regluon.array import control, dispatch
from regluon.array.handle import Handle
from regluon.ops.methods import METHODS
from regluon.ops.registry import NAMESPACES, Op


Function = Callable[..., Any]

WRITTEN: dict[str, dict[str, Function]] = {
    "nd.contrib": control.FUNCTIONS,
    "npx": control.FUNCTIONS,
}
"""Per namespace: the functions that are no operators."""


def parameters(op: Op) -> Iterator[inspect.Parameter]:
    """Yield the public parameters of an operator: `device` as `ctx`, no other given by the door."""
    seen_variadic = False
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
        yield parameter.replace(kind=kind)
    extra = ["ctx"] if op.creates else []
    for name in [*extra, "out"]:
        if name not in yielded:
            yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)


def signature_text(op: Op) -> str:
    """Return the public parameter list as Python source, annotations left out."""
    texts: list[str] = []
    starred = False
    for parameter in parameters(op):
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


def make_function(op: Op, public: str, cls: type[Handle]) -> Function:
    """Compile the public function of an operator: its signature, and one call of the door."""
    if op.variadic:
        *first, last = op.arrays
        args = "".join(f"{name}, " for name in first) + f"*_unpacked({last})"
    else:
        args = ", ".join(op.arrays)
    attrs = ", ".join(f"{name!r}: {name}" for name in op.attrs)
    tail = ", ctx=_context(ctx)" if op.creates else ""
    source = (
        f"def {public}({signature_text(op)}):\n"
        f"    return _invoke(_op, ({args},), {{{attrs}}}, _cls, out{tail})\n"
        if op.arrays
        else f"def {public}({signature_text(op)}):\n"
        f"    return _invoke(_op, (), {{{attrs}}}, _cls, out{tail})\n"
    )
    scope: dict[str, Any] = {
        "_invoke": dispatch.invoke,
        "_op": op,
        "_cls": cls,
        "_unpacked": _unpacked,
        "_context": dispatch.checked_context,
    }
    exec(compile(source, f"<regluon {op.name}>", "exec"), scope)  # the text is ours alone
    function: Function = scope[public]
    function.__doc__ = op.doc
    function.__module__ = "regluon"
    return function


def _unpacked(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Let `concat([a, b])` and `concat(a, b)` mean the same."""
    if len(arrays) == 1 and isinstance(arrays[0], (list, tuple)):
        return tuple(arrays[0])
    return arrays


def functions(space: str, family: str) -> dict[str, Function]:
    """Return the public functions of a namespace such as `np.random`, making arrays of `family`."""
    cls = dispatch.CLASSES[family]
    made = {name: make_function(op, name, cls) for name, op in NAMESPACES.get(space, {}).items()}
    return {**made, **WRITTEN.get(space, {})}


def namespaces(space: str, family: str) -> dict[str, SimpleNamespace]:
    """Return the namespaces inside a namespace, such as `random` of `nd`, filled from the table."""
    inner = sorted(name for name in NAMESPACES if name.startswith(f"{space}."))
    return {
        name.partition(".")[2]: SimpleNamespace(**functions(name, family))
        for name in inner
        if not name.endswith("._internal")
    }


def bind_methods(family: str) -> None:
    """Give the array class of `family` its methods: the functions of the same names.

    NumPy-like arrays also have the methods that only `nd` knows, with results of their own class.
    """
    cls = dispatch.CLASSES[family]
    for name in dict.fromkeys([*METHODS["nd"], *METHODS[family]]):
        op = NAMESPACES[family].get(name) or NAMESPACES["nd"][name]
        setattr(cls, name, make_function(op, name, cls))
