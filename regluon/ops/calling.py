"""Two decorators beside `register`: for any order of parameters, and for shapes by meta tensors."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from regluon.ops.infer import meta
from regluon.ops.registry import register


F = TypeVar("F", bound=Callable[..., Any])


def by_name(fn: F) -> F:
    """Let `fn` be called with its arrays by position and everything else by name.

    The door calls every operator so. MXNet's order of parameters, which the public signature
    shows, sometimes is another: `choice(a, size, replace, p)` has its second array last,
    `einsum(subscripts, *operands)` its first argument is no array, `randn(*shape)` has none.
    """
    parameters = inspect.signature(fn).parameters
    arrays = [
        n for n, p in parameters.items() if "Tensor" in inspect.formatannotation(p.annotation)
    ]
    starred = [n for n, p in parameters.items() if p.kind is p.VAR_POSITIONAL]
    before = list(parameters)[: list(parameters).index(starred[0])] if starred else []

    @functools.wraps(fn)
    def call(*values: Any, **named: Any) -> Any:
        if not starred:
            return fn(**dict(zip(arrays, values, strict=False)), **named)
        first = [named.pop(name) for name in before]
        return fn(*first, *named.pop(starred[0], values), **named)

    return cast(F, call)


def register_meta(**record: Any) -> Callable[[F], F]:
    """Register a function whose result's shape and dtype it tells itself, run on meta tensors."""

    def enter(fn: F) -> F:
        return register(meta(fn), **record)(fn)

    return enter
