"""mx.nd: imperative operators in MXNet's classic semantics, filled from the operator table."""

from types import SimpleNamespace

from regluon.array.interchange import (
    array as array,
    from_numpy as from_numpy,
    from_torch as from_torch,
    load as load,
    save as save,
    waitall as waitall,
)
from regluon.array.namespace import bind_methods, functions
from regluon.array.ndarray import NDArray as NDArray


globals().update(functions("nd", "nd"))
random = SimpleNamespace(**functions("nd.random", "nd"))
linalg = SimpleNamespace(**functions("nd.linalg", "nd"))
image = SimpleNamespace(**functions("nd.image", "nd"))
contrib = SimpleNamespace(**functions("nd.contrib", "nd"))
bind_methods("nd")
