"""Layers, and containers that stack them."""

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
