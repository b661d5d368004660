"""EfficientNet-Lite 0 to 4: EfficientNet (arXiv 1905.11946) without squeeze-and-excitation.

The architecture is that of TensorFlow's `efficientnet/lite`, so that its published weights fit:
ReLU6, batch norms with epsilon 1e-3, inputs (pixel - 127) / 128, and TensorFlow's padding. That
puts an odd number of zeros behind the picture and not before it, so wherever the stride is 2 and
the size even, a convolution with the usual symmetric padding would look one pixel too far left.
"""

import math
from pathlib import Path
from typing import Any

from regluon.array.dispatch import invoke
from regluon.base import ShapeError
from regluon.context import Context
from regluon.gluon import nn
from regluon.gluon.hybrid import HybridBlock
from regluon.gluon.model_zoo.network import LayerNames, ZooNetwork
from regluon.gluon.model_zoo.preprocessing import Preprocessing
from regluon.gluon.model_zoo.pretrained import Pretrained, load_pretrained
from regluon.ops.registry import TABLE


_PAD = TABLE["pad"]
_CONVOLUTION = TABLE["convolution"]

_STEM, _HEAD = 32, 1280  # channels; they do not grow with the network
_FIRST_STAGE = 3  # where it is in `features`, behind the stem's convolution, norm and activation

# Stage: blocks, kernel, stride, expansion, input and output channels, all of Lite0.
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)

# Number: width, depth, size of the input, dropout.
_SPECS = (
    (1.0, 1.0, 224, 0.2),
    (1.0, 1.1, 240, 0.2),
    (1.1, 1.2, 260, 0.3),
    (1.2, 1.4, 280, 0.3),
    (1.4, 1.8, 300, 0.3),
)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's zeros before and behind an axis, for ceil(size / stride) outputs.

    >>> same_padding(224, 3, 2), same_padding(225, 3, 2), same_padding(56, 5, 2)
    ((0, 1), (1, 1), (1, 2))
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2D(HybridBlock):
    """A convolution without bias whose padding is TensorFlow's "SAME"; (batch, channels, H, W).

    Each axis of the space has ceil(size / stride) places in the output. Where more zeros are needed
    behind than before, one row or column of zeros goes before the kernel and not behind the
    picture: the same sums, without a copy of the picture.
    """

    def __init__(
        self, channels: int, kernel: int, stride: int, in_channels: int, groups: int = 1
    ) -> None:
        super().__init__()
        self._kernel, self._stride, self._groups = kernel, stride, groups
        with self.name_scope():
            shape = (channels, in_channels // groups, kernel, kernel)
            self.weight = self.params.get("weight", shape=shape)

    def _alias(self) -> str:
        return "conv"

    def forward(self, x: Any) -> Any:
        """Convolve."""
        if len(x.shape) != 4:
            raise ShapeError(f"the input has shape {x.shape}, not (batch, channels, height, width)")
        weight = self.weight.data(x._ctx)
        pads = [same_padding(size, self._kernel, self._stride) for size in x.shape[2:]]
        zeros = [behind - before for before, behind in pads]
        if any(zeros):
            widths = (0, 0, 0, 0, zeros[0], 0, zeros[1], 0)
            weight = invoke(_PAD, (weight,), {"mode": "constant", "pad_width": widths}, type(x))
        attrs = {
            "stride": (self._stride, self._stride),
            "pad": tuple(behind for _, behind in pads),
            "num_group": self._groups,
        }
        return invoke(_CONVOLUTION, (x, weight), attrs, type(x))

    def __repr__(self) -> str:
        shape = self.weight.known_shape or (0, 0)
        sizes = f"kernel_size={self._kernel}, stride={self._stride}, groups={self._groups}"
        return f"{type(self).__name__}({shape[1]} -> {shape[0]}, {sizes})"


def _unit(convolution: HybridBlock, channels: int, active: bool = True) -> list[HybridBlock]:
    """Return a convolution with its norm and, mostly, its activation."""
    norm = nn.BatchNorm(momentum=0.99, epsilon=1e-3, in_channels=channels)
    return [convolution, norm, *([nn.Activation("relu6")] if active else [])]


def _pointwise(channels: int, in_channels: int) -> nn.Conv2D:
    return nn.Conv2D(channels, 1, use_bias=False, in_channels=in_channels)


class MBConv(HybridBlock):
    """An inverted bottleneck: more channels, a convolution in each of them, fewer channels.

    channels, in_channels: of output and input; the input is added where the two are equal and
        `stride` is 1.
    kernel, stride: of the convolution in each channel.
    expand: how many times more channels it has than the input.
    drop_path: the chance in training that a picture's sum is its input alone (Huang et al. 2016).
    """

    def __init__(
        self,
        channels: int,
        in_channels: int,
        kernel: int,
        stride: int,
        expand: int,
        drop_path: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        inner = in_channels * expand
        self._adds = stride == 1 and channels == in_channels
        self.body = nn.HybridSequential(prefix="")
        if expand != 1:
            self.body.add(*_unit(_pointwise(inner, in_channels), inner))
        depthwise = SameConv2D(inner, kernel, stride, inner, groups=inner)
        self.body.add(*_unit(depthwise, inner))
        self.body.add(*_unit(_pointwise(channels, inner), channels, active=False))
        self.drop = nn.Dropout(drop_path, axes=(1, 2, 3)) if self._adds and drop_path else None

    def forward(self, x: Any) -> Any:
        """Return an array of `channels` channels; height and width are divided by `stride`."""
        out = self.body(x)
        if not self._adds:
            return out
        return x + (out if self.drop is None else self.drop(out))


def _width(channels: int, factor: float) -> int:
    """Return the channels of a wider network, a multiple of 8."""
    wanted = channels * factor
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


class EfficientNetLite(ZooNetwork):
    """EfficientNet-Lite of any size; all shapes are known from the beginning.

    width, depth: factors on the channels and the blocks of Lite0.
    size: side of the pictures in pixels that the weights are for.
    classes: number of outputs.
    dropout: rate before the output layer.
    drop_path: rate of the last block, see `MBConv`; it grows from 0 in the first.

    >>> import regluon as mx
    >>> net = EfficientNetLite(0.25, 0.5, size=32, classes=10)
    >>> net.initialize()
    >>> net(mx.nd.zeros((2, 3, 32, 32))).shape
    (2, 10)
    """

    def __init__(
        self,
        width: float = 1.0,
        depth: float = 1.0,
        size: int = 224,
        classes: int = 1000,
        dropout: float = 0.2,
        drop_path: float = 0.2,
        **kwargs: Any,
    ) -> None:
        # Published for pictures that were resized by the bicubic method to 32 pixels more.
        super().__init__(
            Preprocessing(
                size, (127 / 255,) * 3, (128 / 255,) * 3, "bicubic", crop_pct=size / (size + 32)
            ),
            **kwargs,
        )
        self._stage_range = range(_FIRST_STAGE, _FIRST_STAGE + len(_STAGES))
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(*_unit(SameConv2D(_STEM, 3, 2, 3), _STEM))
            channels = self._add_stages(width, depth, drop_path)
            self.features.add(*_unit(_pointwise(_HEAD, channels), _HEAD))
            self.features.add(nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dropout(dropout))
            self.output = nn.Dense(classes, in_units=_HEAD)

    def _add_stages(self, width: float, depth: float, drop_path: float) -> int:
        """Fill `features` with the stages; return the channels of the last."""
        last = len(_STAGES) - 1
        # The first and the last stage do not become longer.
        counts = [
            count if at in (0, last) else math.ceil(count * depth)
            for at, (count, *_) in enumerate(_STAGES)
        ]
        before, done = _STEM, 0
        for at, (_, kernel, stride, expand, _, channels) in enumerate(_STAGES):
            channels = _width(channels, width)
            stage = nn.HybridSequential(prefix=f"stage{at + 1}_")
            with stage.name_scope():
                for index in range(counts[at]):
                    rate = drop_path * done / sum(counts)
                    step = 1 if index else stride
                    stage.add(MBConv(channels, before, kernel, step, expand, rate, prefix=""))
                    before, done = channels, done + 1
            self.features.add(stage)
        return before

    def foreign_names(self) -> dict[str, LayerNames]:
        """Return the names of the layers in efficientnet-lite-pytorch and in timm."""
        head = self._stage_range.stop
        lite = {"features.0": "_conv_stem", "features.1": "_bn0", "output": "_fc"}
        lite |= {f"features.{head}": "_conv_head", f"features.{head + 1}": "_bn1"}
        timm = {"features.0": "conv_stem", "features.1": "bn1", "output": "classifier"}
        timm |= {f"features.{head}": "conv_head", f"features.{head + 1}": "bn2"}
        done = 0
        for stage, at in enumerate(self._stage_range):
            for index, block in enumerate(self.features[at]):
                short = len(block.body) == 5  # without the first convolution
                own, place = f"features.{at}.{index}.body", f"blocks.{stage}.{index}"
                for layer, name in zip(_LAYERS[short], _LITE[short], strict=True):
                    lite[f"{own}.{layer}"] = f"_blocks.{done}.{name}"
                for layer, name in zip(_LAYERS[short], _TIMM[short], strict=True):
                    timm[f"{own}.{layer}"] = f"{place}.{name}"
                done += 1
        return {"efficientnet-lite-pytorch": lite, "timm": timm}


# Layers of a block with parameters: where they are in its body, and their names elsewhere; first
# for blocks with, then for blocks without expansion.
_LAYERS = ((0, 1, 3, 4, 6, 7), (0, 1, 3, 4))
_LITE = (
    ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2"),
    ("_depthwise_conv", "_bn1", "_project_conv", "_bn2"),
)
_TIMM = (
    ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"),
    ("conv_dw", "bn1", "conv_pw", "bn2"),
)


def _efficientnet_lite(
    number: int,
    pretrained: Pretrained = False,
    ctx: Context | None = None,
    root: str | Path | None = None,
    **kwargs: Any,
) -> EfficientNetLite:
    width, depth, size, dropout = _SPECS[number]
    net = EfficientNetLite(width, depth, size, **{"dropout": dropout, **kwargs})
    load_pretrained(net, f"efficientnet_lite{number}", pretrained, ctx, root)
    return net


def efficientnet_lite0(**kwargs: Any) -> EfficientNetLite:
    """Return EfficientNet-Lite0 for pictures of 224 x 224 pixels.

    pretrained, ctx, root: as for `get_resnet`.
    kwargs: classes, dropout, drop_path, prefix, params, as for `EfficientNetLite`.
    """
    return _efficientnet_lite(0, **kwargs)


def efficientnet_lite1(**kwargs: Any) -> EfficientNetLite:
    """Return EfficientNet-Lite1 for pictures of 240 x 240 pixels.

    pretrained, ctx, root: as for `get_resnet`.
    kwargs: classes, dropout, drop_path, prefix, params, as for `EfficientNetLite`.
    """
    return _efficientnet_lite(1, **kwargs)


def efficientnet_lite2(**kwargs: Any) -> EfficientNetLite:
    """Return EfficientNet-Lite2 for pictures of 260 x 260 pixels.

    pretrained, ctx, root: as for `get_resnet`.
    kwargs: classes, dropout, drop_path, prefix, params, as for `EfficientNetLite`.
    """
    return _efficientnet_lite(2, **kwargs)


def efficientnet_lite3(**kwargs: Any) -> EfficientNetLite:
    """Return EfficientNet-Lite3 for pictures of 280 x 280 pixels.

    pretrained, ctx, root: as for `get_resnet`.
    kwargs: classes, dropout, drop_path, prefix, params, as for `EfficientNetLite`.
    """
    return _efficientnet_lite(3, **kwargs)


def efficientnet_lite4(**kwargs: Any) -> EfficientNetLite:
    """Return EfficientNet-Lite4 for pictures of 300 x 300 pixels.

    pretrained, ctx, root: as for `get_resnet`.
    kwargs: classes, dropout, drop_path, prefix, params, as for `EfficientNetLite`.
    """
    return _efficientnet_lite(4, **kwargs)
