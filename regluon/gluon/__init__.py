"""Gluon: parameters, blocks, layers, losses, data; networks written as Python classes."""

from regluon.array.absent import refused
from regluon.gluon import (
    data as data,
    loss as loss,
    model_zoo as model_zoo,
    nn as nn,
    utils as utils,
)
from regluon.gluon.block import Block as Block
from regluon.gluon.hybrid import HybridBlock as HybridBlock
from regluon.gluon.parameter import (
    Constant as Constant,
    DeferredInitializationError as DeferredInitializationError,
    Parameter as Parameter,
)
from regluon.gluon.parameter_dict import ParameterDict as ParameterDict
from regluon.gluon.trainer import Trainer as Trainer
from regluon.gluon.training_step import hybridize_step as hybridize_step


globals()["__getattr__"] = refused("gluon", globals())  # no type checker sees this
