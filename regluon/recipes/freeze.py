"""Which parts of a network stay fixed while the rest is trained, batch-norm statistics included."""

from collections.abc import Sequence

from regluon.base import MXNetError
from regluon.gluon import Block, nn
from regluon.gluon.model_zoo.vision import ZooNetwork


def freeze(net: ZooNetwork, what: str) -> list[str]:
    """Fix the parts of `net` that `what` says and return the names of their parameters.

    "none" fixes nothing, "lower" the stem and the first half of the stages, "features" everything
    but the output layer. Fixed parameters get no gradient. Fixed batch norms normalize by their
    moving statistics, as they do in prediction, and leave them alone; PyTorch and Keras recipes
    that only switch gradients off let these statistics drift.
    """
    fixed = set()
    for _, block in frozen_parts(net, what):
        block.apply(_fix_statistics)
        block.collect_params().setattr("grad_req", "null")
        fixed |= {id(parameter) for parameter in block.collect_params().values()}
    return [name for name, param in net.structural_params().items() if id(param) in fixed]


def frozen_parts(net: ZooNetwork, what: str) -> Sequence[tuple[str, Block]]:
    """Return the blocks that `what` fixes by name, from the input upwards."""
    if what == "none":
        return []
    if what == "features":
        return [("features", net.features)]
    if what != "lower":
        raise MXNetError(f"freeze is 'none', 'lower' or 'features', not {what!r}")
    stages = net.stages()
    return stages[: 1 + (len(stages) - 1) // 2]


def _fix_statistics(block: Block) -> None:
    if isinstance(block, nn.BatchNorm):
        block._kwargs["use_global_stats"] = True
