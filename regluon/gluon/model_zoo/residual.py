"""Residual blocks of version 1 (arXiv 1512.03385) and 2 (arXiv 1603.05027)."""

from typing import Any

from regluon.array.dispatch import invoke
from regluon.gluon import nn
from regluon.gluon.hybrid import HybridBlock
from regluon.ops.registry import TABLE


_ACTIVATION = TABLE["activation"]
_ADD_RELU = TABLE["add_relu"]


def _relu(x: Any) -> Any:
    return invoke(_ACTIVATION, (x,), {"act_type": "relu"}, type(x))


def conv3x3(channels: int, stride: int, in_channels: int) -> nn.Conv2D:
    """Return a 3 x 3 convolution without bias that keeps the size, but for its stride."""
    return nn.Conv2D(channels, 3, stride, 1, use_bias=False, in_channels=in_channels)


def conv1x1(channels: int, stride: int, in_channels: int = 0) -> nn.Conv2D:
    """Return a 1 x 1 convolution without bias."""
    return nn.Conv2D(channels, 1, stride, use_bias=False, in_channels=in_channels)


class _BlockV1(HybridBlock):
    """relu(body(x) + x), where `downsample` brings the second x to the shape of the first."""

    def __init__(
        self,
        channels: int,
        stride: int,
        downsample: bool = False,
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.body = nn.HybridSequential(prefix="")
        for index, convolution in enumerate(self._convolutions(channels, stride, in_channels)):
            if index:
                self.body.add(nn.Activation("relu"))
            self.body.add(convolution, nn.BatchNorm())
        self.downsample: nn.HybridSequential | None = None
        if downsample:
            self.downsample = nn.HybridSequential(prefix="")
            self.downsample.add(conv1x1(channels, stride, in_channels), nn.BatchNorm())

    def _convolutions(self, channels: int, stride: int, in_channels: int) -> list[nn.Conv2D]:
        """Return the convolutions of the body in their order; every kind of block defines it."""
        raise NotImplementedError

    def forward(self, x: Any) -> Any:
        """Return an array of `channels` channels; height and width are divided by `stride`."""
        residual = self.downsample(x) if self.downsample is not None else x
        return invoke(_ADD_RELU, (self.body(x), residual), {}, type(x))


class BasicBlockV1(_BlockV1):
    """Two 3 x 3 convolutions and the input added; for 18 and 34 layers.

    channels: of the output.
    stride: by which height and width are divided.
    downsample: whether the added input needs a 1 x 1 convolution to get the output's shape.
    in_channels: of the input; 0 lets the first batch tell.
    """

    def _convolutions(self, channels: int, stride: int, in_channels: int) -> list[nn.Conv2D]:
        return [conv3x3(channels, stride, in_channels), conv3x3(channels, 1, channels)]


class BottleneckV1(_BlockV1):
    """1 x 1 (with the stride), 3 x 3 and 1 x 1 convolutions; arguments as for `BasicBlockV1`.

    As in MXNet the two 1 x 1 convolutions have a bias, which the batch norms behind them cancel.
    """

    def _convolutions(self, channels: int, stride: int, in_channels: int) -> list[nn.Conv2D]:
        inner = channels // 4
        return [
            nn.Conv2D(inner, 1, stride),
            conv3x3(inner, 1, inner),
            nn.Conv2D(channels, 1, 1),
        ]


class BottleneckV1b(_BlockV1):
    """1 x 1, 3 x 3 (with the stride) and 1 x 1 convolutions; arguments as for `BasicBlockV1`."""

    def _convolutions(self, channels: int, stride: int, in_channels: int) -> list[nn.Conv2D]:
        inner = channels // 4
        return [
            conv1x1(inner, 1, in_channels),
            conv3x3(inner, stride, inner),
            conv1x1(channels, 1, inner),
        ]


class BasicBlockV2(HybridBlock):
    """Norm and ReLU before each of two 3 x 3 convolutions; arguments as for `BasicBlockV1`."""

    def __init__(
        self,
        channels: int,
        stride: int,
        downsample: bool = False,
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bn1 = nn.BatchNorm()
        self.conv1 = conv3x3(channels, stride, in_channels)
        self.bn2 = nn.BatchNorm()
        self.conv2 = conv3x3(channels, 1, channels)
        self.downsample = conv1x1(channels, stride, in_channels) if downsample else None

    def forward(self, x: Any) -> Any:
        """Return an array of `channels` channels; height and width are divided by `stride`."""
        active = _relu(self.bn1(x))
        residual = self.downsample(active) if self.downsample is not None else x
        out = self.conv1(active)
        out = self.conv2(_relu(self.bn2(out)))
        return out + residual


class BottleneckV2(HybridBlock):
    """Norm and ReLU before 1 x 1, 3 x 3 and 1 x 1 convolutions; arguments as for `BasicBlockV1`."""

    def __init__(
        self,
        channels: int,
        stride: int,
        downsample: bool = False,
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        inner = channels // 4
        self.bn1 = nn.BatchNorm()
        self.conv1 = conv1x1(inner, 1)
        self.bn2 = nn.BatchNorm()
        self.conv2 = conv3x3(inner, stride, inner)
        self.bn3 = nn.BatchNorm()
        self.conv3 = conv1x1(channels, 1)
        self.downsample = conv1x1(channels, stride, in_channels) if downsample else None

    def forward(self, x: Any) -> Any:
        """Return an array of `channels` channels; height and width are divided by `stride`."""
        active = _relu(self.bn1(x))
        residual = self.downsample(active) if self.downsample is not None else x
        out = self.conv1(active)
        out = self.conv2(_relu(self.bn2(out)))
        out = self.conv3(_relu(self.bn3(out)))
        return out + residual
