"""Layers, and containers that stack them."""

from regluon.array.absent import refused
from regluon.gluon.block import Block as Block
from regluon.gluon.hybrid import HybridBlock as HybridBlock
from regluon.gluon.nn.activation import (
    ELU as ELU,
    GELU as GELU,
    SELU as SELU,
    Activation as Activation,
    LeakyReLU as LeakyReLU,
    PReLU as PReLU,
    Swish as Swish,
)
from regluon.gluon.nn.basic import (
    Dense as Dense,
    Dropout as Dropout,
    Embedding as Embedding,
    Flatten as Flatten,
    Identity as Identity,
)
from regluon.gluon.nn.container import (
    HybridLambda as HybridLambda,
    HybridSequential as HybridSequential,
    Lambda as Lambda,
    Sequential as Sequential,
)
from regluon.gluon.nn.conv import (
    Conv1D as Conv1D,
    Conv1DTranspose as Conv1DTranspose,
    Conv2D as Conv2D,
    Conv2DTranspose as Conv2DTranspose,
    Conv3D as Conv3D,
    Conv3DTranspose as Conv3DTranspose,
)
from regluon.gluon.nn.norm import (
    BatchNorm as BatchNorm,
    BatchNormReLU as BatchNormReLU,
    GroupNorm as GroupNorm,
    InstanceNorm as InstanceNorm,
    LayerNorm as LayerNorm,
)
from regluon.gluon.nn.pool import (
    AvgPool1D as AvgPool1D,
    AvgPool2D as AvgPool2D,
    AvgPool3D as AvgPool3D,
    GlobalAvgPool1D as GlobalAvgPool1D,
    GlobalAvgPool2D as GlobalAvgPool2D,
    GlobalAvgPool3D as GlobalAvgPool3D,
    GlobalMaxPool1D as GlobalMaxPool1D,
    GlobalMaxPool2D as GlobalMaxPool2D,
    GlobalMaxPool3D as GlobalMaxPool3D,
    MaxPool1D as MaxPool1D,
    MaxPool2D as MaxPool2D,
    MaxPool3D as MaxPool3D,
    ReflectionPad2D as ReflectionPad2D,
)
from regluon.gluon.nn.torch_block import TorchBlock as TorchBlock


globals()["__getattr__"] = refused("gluon.nn", globals())  # no type checker sees this
