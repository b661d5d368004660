"""Networks for pictures by name, as MXNet's `gluon.model_zoo.vision`."""

from collections.abc import Callable
from typing import Any

from regluon.base import MXNetError, nearest
from regluon.gluon.model_zoo.efficientnet import (
    EfficientNetLite as EfficientNetLite,
    efficientnet_lite0 as efficientnet_lite0,
    efficientnet_lite1 as efficientnet_lite1,
    efficientnet_lite2 as efficientnet_lite2,
    efficientnet_lite3 as efficientnet_lite3,
    efficientnet_lite4 as efficientnet_lite4,
)
from regluon.gluon.model_zoo.network import ZooNetwork as ZooNetwork
from regluon.gluon.model_zoo.residual import (
    BasicBlockV1 as BasicBlockV1,
    BasicBlockV2 as BasicBlockV2,
    BottleneckV1 as BottleneckV1,
    BottleneckV1b as BottleneckV1b,
    BottleneckV2 as BottleneckV2,
)
from regluon.gluon.model_zoo.resnet import (
    ResNetV1 as ResNetV1,
    ResNetV2 as ResNetV2,
    get_resnet as get_resnet,
    resnet18_v1 as resnet18_v1,
    resnet18_v2 as resnet18_v2,
    resnet34_v1 as resnet34_v1,
    resnet34_v2 as resnet34_v2,
    resnet50_v1 as resnet50_v1,
    resnet50_v1b as resnet50_v1b,
    resnet50_v2 as resnet50_v2,
    resnet101_v1 as resnet101_v1,
    resnet101_v1b as resnet101_v1b,
    resnet101_v2 as resnet101_v2,
    resnet152_v1 as resnet152_v1,
    resnet152_v1b as resnet152_v1b,
    resnet152_v2 as resnet152_v2,
)


class UnknownModelError(MXNetError, ValueError):
    """There is no network of this name; the message offers the nearest ones."""


_MODELS: dict[str, Callable[..., ZooNetwork]] = {
    make.__name__: make
    for make in (
        efficientnet_lite0,
        efficientnet_lite1,
        efficientnet_lite2,
        efficientnet_lite3,
        efficientnet_lite4,
        resnet18_v1,
        resnet18_v2,
        resnet34_v1,
        resnet34_v2,
        resnet50_v1,
        resnet50_v1b,
        resnet50_v2,
        resnet101_v1,
        resnet101_v1b,
        resnet101_v2,
        resnet152_v1,
        resnet152_v1b,
        resnet152_v2,
    )
}


def model_names() -> list[str]:
    """Return the names that `get_model` knows.

    >>> model_names()[0]
    'efficientnet_lite0'
    """
    return list(_MODELS)


def get_model(name: str, **kwargs: Any) -> ZooNetwork:
    """Return the network called `name`, in any case of letters.

    pretrained: False, True for the published weights, or the path of a file of weights.
    classes: number of outputs, by default the 1000 of ImageNet.
    ctx, root: where loaded weights go, and a folder that is searched for them first.

    Raises `UnknownModelError`, a ValueError, with the nearest names, and `WeightsNotFoundError`
    where `pretrained=True` finds nothing.

    >>> net = get_model("resnet18_v1", classes=10)
    >>> net.output
    Dense(512 -> 10, linear)
    """
    known = name.lower()
    if known not in _MODELS:
        hint = nearest(known, _MODELS) or f"; known: {', '.join(_MODELS)}"
        raise UnknownModelError(f"unknown model {name!r}{hint}")
    return _MODELS[known](**kwargs)
