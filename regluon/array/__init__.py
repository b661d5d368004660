"""Where operators, engine and gradients meet: handles, the door, and the arrays users hold."""

from regluon.array.ndarray import NDArray as NDArray
from regluon.array.np_ndarray import ndarray as ndarray
