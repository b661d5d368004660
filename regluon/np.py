"""mx.np: operators in NumPy's semantics, filled from the operator table."""

from math import e as e, inf as inf, nan as nan, pi as pi

import numpy as onp

from regluon.array import fallback
from regluon.array.absent import Namespace, refused
from regluon.array.interchange import (  # noqa: F401
    np_array as array,
    np_from_dlpack as from_dlpack,
    np_from_torch as from_torch,
    np_load as load,
    np_save as save,
    np_savez as savez,
)
from regluon.array.namespace import bind_methods, functions
from regluon.array.np_ndarray import ndarray as ndarray


float16, float32, float64 = onp.float16, onp.float32, onp.float64
int8, int32, int64, uint8, bool_ = onp.int8, onp.int32, onp.int64, onp.uint8, onp.bool_
newaxis = None
NAN = NaN = nan
PINF, NINF, PZERO, NZERO = inf, -inf, 0.0, -0.0
bool, finfo, iinfo = onp.bool_, onp.finfo, onp.iinfo
set_printoptions = onp.set_printoptions

fallback.OPERATORS.update(functions("np", "np"))
globals().update({**fallback.functions(), **fallback.OPERATORS})
random = Namespace("np.random", **functions("np.random", "np"))
linalg = Namespace("np.linalg", **functions("np.linalg", "np"))
fallback.OPERATORS.update({f"linalg.{name}": f for name, f in vars(linalg).items()})
bind_methods("np")
__getattr__ = refused("np", globals())

del Namespace, bind_methods, functions, refused  # no completion should offer them
