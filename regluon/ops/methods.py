"""OperatorMixin: the operators and methods that arrays have, each one a name in the table."""

from typing import Any


_ND = (
    "abs arccos arccosh arcsin arcsinh arctan arctanh argmax argmax_channel argmin argsort "
    "broadcast_axes broadcast_to cbrt ceil clip cos cosh degrees depth_to_space diag dot exp "
    "expm1 fix flip floor log log10 log1p log2 log_softmax max mean min nanprod nansum norm "
    "one_hot ones_like pad pick prod radians rcbrt reciprocal relu repeat reshape_like rint "
    "round rsqrt shape_array sigmoid sign sin sinh size_array slice slice_axis slice_like "
    "softmax softmin sort space_to_depth split split_v2 sqrt square sum swapaxes take tan tanh "
    "tile topk trunc zeros_like"
)
_NP = (
    "all any argmax argmin argsort clip cumsum dot flatten max mean min nonzero prod ravel "
    "repeat round sort squeeze std sum swapaxes take tile var"
)
METHODS = {"nd": _ND.split(), "np": _NP.split()}
"""Per namespace: the functions that are methods too."""


class OperatorMixin:
    """Python's operators over `_invoke`, which the class binds to the door."""

    __slots__ = ()
    __hash__ = object.__hash__

    def _invoke(self, name: str, *args: Any, out: Any = None) -> Any:
        """Call the operator that this class's namespace knows as `name`; bound by each class."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Any:
        return self._invoke("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self._invoke("add", self, other)

    def __iadd__(self, other: Any) -> Any:
        return self._invoke("add", self, other, out=self)

    def __sub__(self, other: Any) -> Any:
        return self._invoke("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._invoke("subtract", other, self)

    def __isub__(self, other: Any) -> Any:
        return self._invoke("subtract", self, other, out=self)

    def __mul__(self, other: Any) -> Any:
        return self._invoke("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._invoke("multiply", self, other)

    def __imul__(self, other: Any) -> Any:
        return self._invoke("multiply", self, other, out=self)

    def __truediv__(self, other: Any) -> Any:
        return self._invoke("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._invoke("divide", other, self)

    def __itruediv__(self, other: Any) -> Any:
        return self._invoke("divide", self, other, out=self)

    def __mod__(self, other: Any) -> Any:
        return self._invoke("modulo", self, other)

    def __rmod__(self, other: Any) -> Any:
        return self._invoke("modulo", other, self)

    def __imod__(self, other: Any) -> Any:
        return self._invoke("modulo", self, other, out=self)

    def __pow__(self, other: Any) -> Any:
        return self._invoke("power", self, other)

    def __rpow__(self, other: Any) -> Any:
        return self._invoke("power", other, self)

    def __ipow__(self, other: Any) -> Any:
        return self._invoke("power", self, other, out=self)

    def __neg__(self) -> Any:
        return self._invoke("negative", self)

    def __abs__(self) -> Any:
        return self._invoke("abs", self)

    def __eq__(self, other: object) -> Any:
        return False if other is None else self._invoke("equal", self, other)

    def __ne__(self, other: object) -> Any:
        return True if other is None else self._invoke("not_equal", self, other)

    def __gt__(self, other: Any) -> Any:
        return self._invoke("greater", self, other)

    def __ge__(self, other: Any) -> Any:
        return self._invoke("greater_equal", self, other)

    def __lt__(self, other: Any) -> Any:
        return self._invoke("less", self, other)

    def __le__(self, other: Any) -> Any:
        return self._invoke("less_equal", self, other)


class BitOperatorMixin:
    """The operators on bits, which only NumPy-like arrays have."""

    __slots__ = ()

    def _invoke(self, name: str, *args: Any, out: Any = None) -> Any:
        """Call the operator that this class's namespace knows as `name`; bound by each class."""
        raise NotImplementedError

    def __and__(self, other: Any) -> Any:
        return self._invoke("bitwise_and", self, other)

    __rand__ = __and__

    def __iand__(self, other: Any) -> Any:
        return self._invoke("bitwise_and", self, other, out=self)

    def __or__(self, other: Any) -> Any:
        return self._invoke("bitwise_or", self, other)

    __ror__ = __or__

    def __ior__(self, other: Any) -> Any:
        return self._invoke("bitwise_or", self, other, out=self)

    def __xor__(self, other: Any) -> Any:
        return self._invoke("bitwise_xor", self, other)

    __rxor__ = __xor__

    def __ixor__(self, other: Any) -> Any:
        return self._invoke("bitwise_xor", self, other, out=self)

    def __invert__(self) -> Any:
        return self._invoke("bitwise_not", self)
