"""ResNet v1 (arXiv 1512.03385) and v2 (arXiv 1603.05027), with MXNet's structure and names.

Three kinds of residual blocks go by the version of the network:

| version | order inside a block | a bottleneck halves the picture in | published by |
|---|---|---|---|
| 1 | convolution, norm, ReLU | its first convolution (1 x 1, with bias) | MXNet |
| "1b" | convolution, norm, ReLU | its second convolution (3 x 3) | torchvision, timm, GluonCV |
| 2 | norm, ReLU, convolution | its second convolution (3 x 3) | MXNet |

With 18 and 34 layers there are no bottlenecks, and versions 1 and "1b" are the same network.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regluon.base import MXNetError
from regluon.context import Context
from regluon.gluon import nn
from regluon.gluon.hybrid import HybridBlock
from regluon.gluon.model_zoo.network import LayerNames, ZooNetwork
from regluon.gluon.model_zoo.preprocessing import Preprocessing
from regluon.gluon.model_zoo.pretrained import Pretrained, load_pretrained
from regluon.gluon.model_zoo.residual import (
    BasicBlockV1,
    BasicBlockV2,
    BottleneckV1,
    BottleneckV1b,
    BottleneckV2,
    conv3x3,
)


class _ResNet(ZooNetwork):
    """Stem, stages of residual blocks, output; the versions add what stands around them.

    block: the class of the residual blocks.
    layers: number of blocks in each stage.
    channels: of the stem and of each stage, one number more than `layers`.
    classes: number of outputs.
    thumbnail: for pictures of about 32 x 32 pixels, the stem is one 3 x 3 convolution.
    """

    def __init__(
        self,
        block: type[HybridBlock],
        layers: Sequence[int],
        channels: Sequence[int],
        classes: int = 1000,
        thumbnail: bool = False,
        **kwargs: Any,
    ) -> None:
        if len(layers) != len(channels) - 1:
            raise MXNetError(
                f"channels are those of the stem and of each of {len(layers)} stages, "
                f"{len(layers) + 1} numbers, not {list(channels)}"
            )
        super().__init__(Preprocessing(32 if thumbnail else 224), **kwargs)
        self._block, self._layers, self._channels = block, layers, channels
        self._thumbnail = thumbnail
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self._add_features()
            self.output = nn.Dense(classes, in_units=channels[-1])

    def _add_features(self) -> None:
        """Fill `features`; every version defines it."""
        raise NotImplementedError

    def _add_stem(self) -> None:
        if self._thumbnail:
            self.features.add(conv3x3(self._channels[0], 1, 0))
            return
        self.features.add(
            nn.Conv2D(self._channels[0], 7, 2, 3, use_bias=False),
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.MaxPool2D(3, 2, 1),
        )

    def _add_stages(self) -> None:
        first = len(self.features)
        self._stage_range = range(first, first + len(self._layers))
        for index, count in enumerate(self._layers):
            stage = nn.HybridSequential(prefix=f"stage{index + 1}_")
            with stage.name_scope():
                stage.add(*self._stage_blocks(index, count))
            self.features.add(stage)

    def _stage_blocks(self, index: int, count: int) -> list[HybridBlock]:
        before, channels = self._channels[index : index + 2]
        stride = 2 if index else 1
        differs = stride != 1 or channels != before
        make: Any = self._block
        first = make(channels, stride, differs, in_channels=before, prefix="")
        rest = [make(channels, 1, False, in_channels=channels, prefix="") for _ in range(count - 1)]
        return [first, *rest]


class ResNetV1(_ResNet):
    """ResNet with the norm after the convolution; the arguments are MXNet's.

    block: the class of the residual blocks: BasicBlockV1, BottleneckV1, BottleneckV1b.
    layers: number of blocks in each stage.
    channels: of the stem and of each stage, one number more than `layers`.
    classes: number of outputs.
    thumbnail: for pictures of about 32 x 32 pixels, the stem is one 3 x 3 convolution.

    >>> import regluon as mx
    >>> net = ResNetV1(BasicBlockV1, [1, 1], [4, 4, 8], classes=10, thumbnail=True)
    >>> net.initialize()
    >>> net(mx.nd.zeros((2, 3, 32, 32))).shape
    (2, 10)
    """

    def _add_features(self) -> None:
        if self._block is BottleneckV1:
            self.foreign_hint = (
                "Bottlenecks of torchvision and timm have no bias and halve the picture in their "
                "3 x 3 convolution: load them into version '1b', such as resnet50_v1b"
            )
        self._add_stem()
        self._add_stages()
        self.features.add(nn.GlobalAvgPool2D())

    def foreign_names(self) -> dict[str, LayerNames]:
        """Return torchvision's names of the layers, which timm uses too."""
        names = {"output": "fc", "features.0": "conv1"}
        if not self._thumbnail:
            names["features.1"] = "bn1"
        for number, at in enumerate(self._stage_range, 1):
            for index, block in enumerate(self.features[at]):
                own, foreign = f"features.{at}.{index}", f"layer{number}.{index}"
                for place in range(0, len(block.body), 3):
                    names[f"{own}.body.{place}"] = f"{foreign}.conv{place // 3 + 1}"
                    names[f"{own}.body.{place + 1}"] = f"{foreign}.bn{place // 3 + 1}"
                names |= {f"{own}.downsample.{i}": f"{foreign}.downsample.{i}" for i in range(2)}
        return {"torchvision or timm": names}


class ResNetV2(_ResNet):
    """ResNet with norm and ReLU before the convolution; arguments as for `ResNetV1`.

    block: the class of the residual blocks: BasicBlockV2, BottleneckV2.

    The input is normalized per channel by a batch norm without weights first.
    """

    def _add_features(self) -> None:
        self.features.add(nn.BatchNorm(scale=False, center=False))
        self._add_stem()
        self._add_stages()
        self.features.add(nn.BatchNorm(), nn.Activation("relu"), nn.GlobalAvgPool2D(), nn.Flatten())


# Layers: whether blocks are bottlenecks, blocks per stage, channels of the stem and the stages.
_SPECS = {
    18: (False, (2, 2, 2, 2), (64, 64, 128, 256, 512)),
    34: (False, (3, 4, 6, 3), (64, 64, 128, 256, 512)),
    50: (True, (3, 4, 6, 3), (64, 256, 512, 1024, 2048)),
    101: (True, (3, 4, 23, 3), (64, 256, 512, 1024, 2048)),
    152: (True, (3, 8, 36, 3), (64, 256, 512, 1024, 2048)),
}

# Version: the network, its block without and with bottleneck.
_VERSIONS: dict[int | str, tuple[type[_ResNet], type[HybridBlock], type[HybridBlock]]] = {
    1: (ResNetV1, BasicBlockV1, BottleneckV1),
    "1b": (ResNetV1, BasicBlockV1, BottleneckV1b),
    2: (ResNetV2, BasicBlockV2, BottleneckV2),
}


def get_resnet(
    version: int | str,
    num_layers: int,
    pretrained: Pretrained = False,
    ctx: Context | None = None,
    root: str | Path | None = None,
    **kwargs: Any,
) -> ZooNetwork:
    """Return a ResNet for ImageNet.

    version: 1, 2 or "1b", see the top of this file.
    num_layers: 18, 34, 50, 101 or 152.
    pretrained: True for the published weights, or the path of a file of weights.
    ctx: where loaded weights go; by default the CPU.
    root: a folder that is searched for the published weights first.
    kwargs: classes, thumbnail, prefix, params, as for `ResNetV1`.

    >>> len(get_resnet(1, 18).collect_params())
    102
    """
    if num_layers not in _SPECS:
        raise MXNetError(f"a ResNet has {_listed(_SPECS)} layers, not {num_layers!r}")
    if version not in _VERSIONS:
        raise MXNetError(f"the version of a ResNet is {_listed(_VERSIONS)}, not {version!r}")
    bottleneck, layers, channels = _SPECS[num_layers]
    network, *blocks = _VERSIONS[version]
    net = network(blocks[bottleneck], layers, channels, **kwargs)
    # Weights are published under one name where two versions are the same network.
    name = f"resnet{num_layers}_v{version if bottleneck or version == 2 else 1}"
    load_pretrained(net, name, pretrained, ctx, root)
    return net


def _listed(known: Any) -> str:
    return ", ".join(repr(item) for item in known)


def resnet18_v1(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-18 v1; arguments as for `get_resnet`."""
    return get_resnet(1, 18, **kwargs)


def resnet34_v1(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-34 v1; arguments as for `get_resnet`."""
    return get_resnet(1, 34, **kwargs)


def resnet50_v1(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-50 v1; arguments as for `get_resnet`."""
    return get_resnet(1, 50, **kwargs)


def resnet101_v1(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-101 v1; arguments as for `get_resnet`."""
    return get_resnet(1, 101, **kwargs)


def resnet152_v1(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-152 v1; arguments as for `get_resnet`."""
    return get_resnet(1, 152, **kwargs)


def resnet50_v1b(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-50 as torchvision and timm have it; arguments as for `get_resnet`."""
    return get_resnet("1b", 50, **kwargs)


def resnet101_v1b(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-101 as torchvision and timm have it; arguments as for `get_resnet`."""
    return get_resnet("1b", 101, **kwargs)


def resnet152_v1b(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-152 as torchvision and timm have it; arguments as for `get_resnet`."""
    return get_resnet("1b", 152, **kwargs)


def resnet18_v2(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-18 v2; arguments as for `get_resnet`."""
    return get_resnet(2, 18, **kwargs)


def resnet34_v2(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-34 v2; arguments as for `get_resnet`."""
    return get_resnet(2, 34, **kwargs)


def resnet50_v2(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-50 v2; arguments as for `get_resnet`."""
    return get_resnet(2, 50, **kwargs)


def resnet101_v2(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-101 v2; arguments as for `get_resnet`."""
    return get_resnet(2, 101, **kwargs)


def resnet152_v2(**kwargs: Any) -> ZooNetwork:
    """Return ResNet-152 v2; arguments as for `get_resnet`."""
    return get_resnet(2, 152, **kwargs)
