"""Where MXNet 1.9 keeps mixed precision, and a second name of its experimental operators."""

import sys

from regluon import amp as amp, nd as _nd
from regluon.array.absent import refused


nd = ndarray = _nd.contrib

sys.modules[f"{__name__}.amp"] = amp

globals()["__getattr__"] = refused("contrib", globals())  # no type checker sees this
