"""HybridBlock: a block that `hybridize()` may compile, by `forward` or `hybrid_forward(F, x)`."""

import logging
from types import SimpleNamespace
from typing import Any

from regluon import nd, np, npx
from regluon.array.handle import Handle
from regluon.array.np_ndarray import ndarray
from regluon.base import MXNetError
from regluon.context import current_context
from regluon.gluon.block import Block
from regluon.gluon.failure import first_array, no_array


# What `F` is for NumPy-like arrays: all of nd with `F.np` and `F.npx`, as in MXNet 1.9.
_NUMPY = SimpleNamespace(**{**vars(nd), "np": np, "npx": npx})
_OPTIONS = {
    "backend",
    "clear",
    "static_alloc",
    "static_shape",
    "inline_limit",
    "forward_bulk_size",
    "backward_bulk_size",
}
_log = logging.getLogger("regluon")


class _Once:
    """Whether the log says already that hybridize() changes nothing yet."""

    said = False


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
        self._flags: dict[str, Any] = {}

    def register_child(self, block: Block, name: str | None = None) -> None:
        """Add a child block, which must be a HybridBlock."""
        if not isinstance(block, HybridBlock):
            raise MXNetError(
                f"children of a HybridBlock must be HybridBlocks; {name or 'this one'} is a "
                f"{type(block).__name__}. Derive it from HybridBlock, or use nn.Sequential"
            )
        super().register_child(block, name)

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Ask for compilation, here and inside.

        Results do not change. This version runs eagerly all the same, and logs that once.
        """
        unknown = set(kwargs) - _OPTIONS
        if unknown:
            raise TypeError(f"hybridize() has no option {', '.join(sorted(unknown))}")
        if active and not _Once.said:
            _Once.said = True
            _log.warning("hybridize() is accepted; this version of regluon runs blocks eagerly")
        self._active = active
        self._flags = kwargs
        super().hybridize(active, **kwargs)

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
