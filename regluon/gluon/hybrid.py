"""HybridBlock: a block that `hybridize()` may compile, by `forward` or `hybrid_forward(F, x)`."""

import logging
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from regluon import nd, np, npx
from regluon.array.dispatch import state
from regluon.array.handle import Handle
from regluon.array.np_ndarray import ndarray
from regluon.base import MXNetError
from regluon.context import current_context
from regluon.gluon.block import Block
from regluon.gluon.cached_graph import CachedGraph, descendants
from regluon.gluon.failure import first_array, no_array
from regluon.graph import native
from regluon.graph.execution import Plan


# What `F` is for NumPy-like arrays: all of nd with `F.np` and `F.npx`, as in MXNet 1.9.
_NUMPY = SimpleNamespace(**{**vars(nd), "np": np, "npx": npx})
_OPTIONS = {
    "clear",
    "inline_limit",
    "forward_bulk_size",
    "backward_bulk_size",
}
_log = logging.getLogger("regluon.hybridize")


def check_options(given: Iterable[str], *known: str) -> None:
    """Raise TypeError for options of `hybridize` that are neither MXNet's nor known."""
    unknown = {*given} - _OPTIONS - {*known}
    if unknown:
        raise TypeError(f"hybridize() has no option {', '.join(sorted(unknown))}")


class HybridBlock(Block):
    """A block whose computation can be compiled; its children are HybridBlocks too.

    A subclass defines `forward(x)`, or in MXNet's older style `hybrid_forward(F, x, weight, ...)`,
    which gets the functions `F` (`mx.nd`; for NumPy-like arrays `F.np` and `F.npx`) and its own
    parameters by name.

    >>> import regluon as mx
    >>> class Scale(mx.gluon.HybridBlock):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.factor = self.params.get("factor", shape=(1,), init="ones")
    ...     def hybrid_forward(self, F, x, factor):
    ...         return F.broadcast_mul(x, factor)
    >>> net = Scale()
    >>> net.initialize()
    >>> net(mx.nd.array([1, 2])).asnumpy().tolist()
    [1.0, 2.0]
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let the most derived of `forward` and `hybrid_forward` win, as when MXNet calls them."""
        super().__init_subclass__(**kwargs)
        if "hybrid_forward" in vars(cls) and "forward" not in vars(cls):
            cls.forward = HybridBlock.forward  # type: ignore[method-assign]

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self._active = False
        self._cache: CachedGraph | None = None

    def register_child(self, block: Block, name: str | None = None) -> None:
        """Add a child block, which must be a HybridBlock."""
        if not isinstance(block, HybridBlock):
            raise MXNetError(
                f"children of a HybridBlock must be HybridBlocks; {name or 'this one'} is a "
                f"{type(block).__name__}. Derive it from HybridBlock, or use nn.Sequential"
            )
        super().register_child(block, name)

    def hybridize(
        self,
        active: bool = True,
        *,
        static_alloc: bool = False,
        static_shape: bool = False,
        backend: str | None = None,
        verify: str | None = "first",
        passes: bool = True,
        mixed_precision: Any = None,
        **kwargs: Any,
    ) -> None:
        """Compile this block and all inside, or stop doing so; results do not change.

        A call with new shapes, dtypes, context, or another state of `autograd` runs eagerly, twice,
        while its operators are noted, and then once more while it is translated; from then on its
        program runs, as one task of the engine. What a program cannot do stays eager, block by
        block, with a warning that says why: Python code that depends on values (`nd.where` and
        `npx.foreach` are compiled; `npx.cond` and `npx.while_loop` are not) or that changes
        attributes.

        static_alloc: plan the memory of results in between once, and use it again in each call.
        static_shape: with static_alloc, a program for prediction on a GPU is one launch of a CUDA
            graph; on a CPU nothing changes.
        backend: "inductor" lets torch's compiler make the program; seconds to minutes.
        verify: "first" compares the two noted calls with each other, and the program's first
            results with the eager ones; None saves that time.
        passes: False leaves out everything that could change a bit.
        mixed_precision: "bfloat16" or "float16" lets programs compute products, convolutions and
            attention in it, and what follows them if that is harmless; parameters, arguments,
            results and gradients stay in float32. The first calls, which are eager, are in float32,
            and `verify` compares with them.

        >>> import regluon as mx
        >>> net = mx.gluon.nn.Dense(2, in_units=3)
        >>> net.initialize(mx.init.One())
        >>> net.hybridize()
        >>> [net(mx.nd.ones((1, 3))).asnumpy().tolist() for _ in range(4)][-1]
        [[3.0, 3.0]]
        """
        check_options(kwargs)
        plan = Plan(verify, static_alloc, static_shape, not passes, backend, mixed_precision)
        if active:
            native.ready()  # what there is already is loaded; else it is built while we go on
        self._active = active
        self._eager = None
        self._cache = CachedGraph(self, plan) if active else None
        options = {"static_alloc": static_alloc, "static_shape": static_shape, "verify": verify}
        options |= {"backend": backend, "passes": passes, "mixed_precision": mixed_precision}
        super().hybridize(active, **options, **kwargs)

    def __call__(self, *args: Any) -> Any:
        """Compute the output with the hooks around it, through the program if there is one."""
        cache = self._cache
        if cache is not None and len(args) == 1:
            quick = cache.quick
            hooks = self._forward_hooks or self._forward_pre_hooks
            if quick is not None and not hooks and cache.unchanged():
                found = quick(args[0])
                if found is not None:
                    return found
        return super().__call__(*args)

    def _compute(self, *args: Any) -> Any:
        """Compute the output, by a program where there is one."""
        cache = self._cache
        if cache is None or state.capture is not None or self._eager is not None:
            return self.forward(*args)
        if not (cache.entries and cache.unchanged()) and not self._compilable():
            return self.forward(*args)
        return cache.call(self.forward, args)

    @property
    def program(self) -> str:
        """The programs made so far, as source with the user's lines beside it; "" for none.

        It waits for calls under way, which may make one.
        """
        nd.waitall()
        return "" if self._cache is None else self._cache.source

    def _compilable(self) -> bool:
        """Say whether all parameters have values, and no hook or eager block is inside."""
        inside = list(descendants(self))
        if any(block._forward_hooks or block._forward_pre_hooks for block in inside):
            return False
        if any(block._unfinished for block in (self, *inside)):
            return False
        return all(block._eager is None for block in inside)

    def forward(self, x: Any, *args: Any) -> Any:
        """Call `hybrid_forward` with the functions and parameters that fit the input."""
        array = x if isinstance(x, Handle) else first_array((x, *args))
        if array is None:
            raise no_array(self, (x, *args))
        ctx = array._ctx
        functions = _NUMPY if isinstance(array, ndarray) else nd
        params = {name: param.data(ctx) for name, param in self._reg_params.items()}
        if ctx is current_context():
            return self.hybrid_forward(functions, x, *args, **params)
        with ctx:  # new arrays inside are made where the input is
            return self.hybrid_forward(functions, x, *args, **params)

    def hybrid_forward(self, F: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the output with the functions of `F`."""
        raise NotImplementedError(
            f"{type(self).__name__} must define forward() or hybrid_forward()"
        )
