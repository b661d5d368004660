"""mx.optimizer: rules that change weights by gradients, and the states they keep."""

from regluon.optimizer.optimizer import (
    Optimizer as Optimizer,
    Updater as Updater,
    create as create,
    get_updater as get_updater,
    register as register,
)
from regluon.optimizer.rules import SGD as SGD, Adam as Adam
