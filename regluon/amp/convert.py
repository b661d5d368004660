"""Blocks in mixed precision: a network of float32 as one that computes in 16 bits."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from regluon.amp.casts import Casts, using
from regluon.amp.operators import Conditions
from regluon.base import MXNetError, nearest
from regluon.context import Context
from regluon.gluon.block import Block
from regluon.gluon.hybrid import HybridBlock
from regluon.gluon.parameter import Parameter
from regluon.ops.dtype import dtype_name


class MixedBlock(HybridBlock):
    """A block whose calls are cast; what `convert_hybrid_block` returns.

    Its parameters have the names and places in files of those of the block inside.
    """

    def __init__(self, block: HybridBlock, casts: Casts, cast_params: bool) -> None:
        super().__init__(prefix=block.prefix)
        self.block = block
        self._casts = casts
        self._cast_params = cast_params

    def structural_params(self, path: str = "") -> dict[str, Parameter]:
        """Return the parameters by their place in the block inside."""
        return self.block.structural_params(path)

    def _compute(self, *args: Any) -> Any:
        return self._first(args) if self._cast_params else super()._compute(*args)

    def forward(self, *args: Any) -> Any:
        """Call the block inside with its operators' arguments cast."""
        with using(self._casts):
            return self.block(*args)

    def _first(self, args: tuple[Any, ...]) -> Any:
        """Note who uses the parameters, and convert those that are always cast to 16 bits."""
        casts = self._casts
        casts.seen = {}
        try:
            with using(casts):
                output = self.block(*args)
            seen = casts.seen
        finally:
            casts.seen = None
        for param in self.block.collect_params().values():
            asked = [seen.get(id(array)) for array in param.list_data()]
            if {casts.dtype} in asked and all(a in ({casts.dtype}, None) for a in asked):
                param.cast(dtype_name(casts.dtype))
        self._cast_params = False
        return output


def convert_hybrid_block(
    block: HybridBlock,
    target_dtype: Any = "float16",
    target_dtype_ops: Iterable[str] | None = None,
    fp32_ops: Iterable[str] | None = None,
    conditional_fp32_ops: Conditions | None = None,
    excluded_sym_names: Sequence[str] | None = None,
    ctx: Context | Sequence[Context] | None = None,
    cast_optional_params: bool = False,
) -> HybridBlock:
    """Return a block that computes as `block` does, in mixed precision, whatever the process does.

    target_dtype, target_dtype_ops, fp32_ops, conditional_fp32_ops: as in `init`.
    excluded_sym_names: names of blocks inside, such as "dense0" (in MXNet's style "dense0_fwd"),
        that compute in float32.
    ctx: where the parameters shall be; by default where they are (MXNet: on a GPU).
    cast_optional_params: keep parameters in 16 bits that are always cast to them; the first call
        finds out which.

    Without the last two the new block has the parameters of `block` itself, cast where they are
    used; else it has copies. Unlike in MXNet the block need not be hybridized.

    >>> from regluon import amp, gluon
    >>> net = gluon.nn.Dense(2, in_units=3)
    >>> net.initialize()
    >>> amp.convert_hybrid_block(net, "bfloat16")(nd.ones((1, 3))).dtype
    'bfloat16'
    """
    if not isinstance(block, HybridBlock):
        raise MXNetError(f"only a HybridBlock can be converted, not a {type(block).__name__}")
    casts = Casts(
        target_dtype,
        target_dtype_ops,
        conditional_fp32_ops,
        fp32_ops,
        excluded=_excluded(block, excluded_sym_names or ()),
    )
    if cast_optional_params or ctx is not None:
        block = copy.deepcopy(block)
    if ctx is not None:
        block.collect_params().reset_ctx(ctx)
    return MixedBlock(block, casts, cast_optional_params)


def _excluded(block: HybridBlock, names: Sequence[str]) -> list[str]:
    """Return the names of blocks that are excluded; each must be inside `block`."""
    if isinstance(names, str):
        raise MXNetError(f"excluded_sym_names is a list of names, not the text {names!r}")
    inside: set[str] = set()

    def enter(part: Block) -> None:
        inside.add(part.name)

    block.apply(enter)
    excluded = [name if name in inside else name.removesuffix("_fwd") for name in names]
    for name in excluded:
        if name not in inside:
            raise MXNetError(f"{block.name} has no block {name!r} inside{nearest(name, inside)}")
    return excluded
