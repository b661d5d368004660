"""mx.np: operators in NumPy's semantics, filled from the operator table."""

from math import e as e, inf as inf, nan as nan, pi as pi
from types import SimpleNamespace

import numpy as onp

from regluon.array.interchange import (  # noqa: F401
    np_array as array,
    np_from_torch as from_torch,
)
from regluon.array.namespace import bind_methods, functions
from regluon.array.np_ndarray import ndarray as ndarray


float16, float32, float64 = onp.float16, onp.float32, onp.float64
int8, int32, int64, uint8, bool_ = onp.int8, onp.int32, onp.int64, onp.uint8, onp.bool_
newaxis = None
set_printoptions = onp.set_printoptions

globals().update(functions("np", "np"))
random = SimpleNamespace(**functions("np.random", "np"))
linalg = SimpleNamespace(**functions("np.linalg", "np"))
bind_methods("np")
