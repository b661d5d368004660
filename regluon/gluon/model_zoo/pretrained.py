"""Published weights, or those in a file, put into a network."""

from pathlib import Path

from regluon.base import ShapeError
from regluon.context import Context
from regluon.gluon import files
from regluon.gluon.model_zoo.name_map import renamed
from regluon.gluon.model_zoo.network import ZooNetwork
from regluon.gluon.model_zoo.store import Tensors, file_tensors, pretrained_tensors


Pretrained = bool | str | Path


def load_pretrained(
    network: ZooNetwork,
    name: str,
    pretrained: Pretrained,
    ctx: Context | None = None,
    root: str | Path | None = None,
) -> None:
    """Do what the argument `pretrained` of every network asks for.

    False leaves the network uninitialized. True takes the published weights of `name`, from the
    folder `root` first, see `store.pretrained_tensors`. A path takes that file, see
    `store.file_tensors`; names may be those of MXNet, torchvision or timm. All parameters must be
    there; if one is missing, unknown or of another shape, nothing is loaded.
    """
    if pretrained is False or pretrained is None:
        return
    if pretrained is True:
        tensors, where = pretrained_tensors(name, root)
    elif isinstance(pretrained, str | Path):
        tensors, where = file_tensors(pretrained), str(pretrained)
    else:
        raise TypeError(f"pretrained is True, False or the path of a file, not {pretrained!r}")
    tensors = renamed(network, tensors, where)
    _check_classes(network, tensors, where)
    files.fill(tensors, network.name_layouts(), repr(where), ctx=ctx, cast_dtype=True)


def _check_classes(network: ZooNetwork, tensors: Tensors, where: str) -> None:
    weight = tensors.get("output.weight")
    shape = network.output.weight.known_shape
    if weight is None or weight.dim() != 2 or not shape or weight.shape[0] == shape[0]:
        return
    raise ShapeError(
        f"{where} is for {weight.shape[0]} classes (output.weight has shape "
        f"{tuple(weight.shape)}), the network for {shape[0]} {shape}: create it with "
        f"classes={weight.shape[0]}, then give another one its features: "
        "new.features = old.features"
    )
