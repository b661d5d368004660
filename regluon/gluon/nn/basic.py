"""Dense, Dropout, Embedding, Flatten, Identity: the layers without windows or statistics."""

import math
from typing import Any

from regluon.array.dispatch import invoke
from regluon.base import MXNetError
from regluon.gluon.hybrid import HybridBlock
from regluon.gluon.nn.activation import Activation
from regluon.ops.registry import TABLE


_FULLY_CONNECTED = TABLE["fully_connected"]
_DROPOUT = TABLE["dropout"]
_EMBEDDING = TABLE["embedding"]
_FLATTEN = TABLE["flatten"]


class Dense(HybridBlock):
    """A fully connected layer: activation(x @ weight.T + bias).

    units: how many outputs.
    activation: name for an `Activation` after it, or None.
    use_bias: whether there is a bias.
    flatten: make all axes of the input but the first one; without it only the last is multiplied.
    in_units: how many inputs; 0 lets the first batch tell.

    Input (batch, ...), output (batch, units); without `flatten` (..., in_units) to (..., units).

    >>> import regluon as mx
    >>> layer = mx.gluon.nn.Dense(5, activation="relu")
    >>> layer.initialize()
    >>> layer(mx.nd.ones((2, 3, 4))).shape
    (2, 5)
    >>> layer
    Dense(12 -> 5, Activation(relu))
    """

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        flatten: bool = True,
        dtype: Any = "float32",
        weight_initializer: Any = None,
        bias_initializer: Any = "zeros",
        in_units: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._units = units
        self._flatten = flatten
        self._attrs = {"flatten": flatten}
        with self.name_scope():
            self.weight = self.params.get(
                "weight",
                shape=(units, in_units),
                init=weight_initializer,
                dtype=dtype,
                allow_deferred_init=True,
            )
            self.bias = (
                self.params.get("bias", shape=(units,), init=bias_initializer, dtype=dtype,
                                allow_deferred_init=True)
                if use_bias else None
            )  # fmt: skip
            self.act = (
                None if activation is None else Activation(activation, prefix=f"{activation}_")
            )

    def infer_shape(self, x: Any) -> None:
        """Take the number of inputs from the first batch."""
        inputs = math.prod(x.shape[1:]) if self._flatten else x.shape[-1]
        self.weight.shape = (self._units, inputs)

    def forward(self, x: Any) -> Any:
        """Multiply, add the bias, apply the activation."""
        ctx = x._ctx
        bias = self.bias
        args = (x, self.weight.data(ctx), None if bias is None else bias.data(ctx))
        out = invoke(_FULLY_CONNECTED, args, self._attrs, type(x))
        return out if self.act is None else self.act(out)

    def __repr__(self) -> str:
        units, inputs = self.weight.known_shape or (self._units, 0)
        return f"{type(self).__name__}({inputs or None} -> {units}, {self.act or 'linear'})"


class Dropout(HybridBlock):
    """In training set elements to zero with chance `rate`, divide the others by 1 - rate.

    axes: along these one draw holds for all elements. Srivastava et al. 2014.

    >>> import regluon as mx
    >>> mx.gluon.nn.Dropout(0.5)(mx.nd.ones((3,))).asnumpy().tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(self, rate: float, axes: tuple[int, ...] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate <= 1:
            raise MXNetError(f"Dropout needs a rate from 0 to 1, not {rate}")
        self._rate = rate
        self._axes = axes

    def forward(self, x: Any) -> Any:
        """Drop elements in training; the shape stays."""
        if self._rate == 0:
            return x
        return invoke(_DROPOUT, (x,), {"p": self._rate, "axes": self._axes}, type(x))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p = {self._rate}, axes={self._axes})"


class Embedding(HybridBlock):
    """Rows of a weight of shape (input_dim, output_dim) by their numbers.

    An index outside 0 ... input_dim - 1 is an error. `sparse_grad` is accepted; the gradient is
    dense.

    >>> import regluon as mx
    >>> layer = mx.gluon.nn.Embedding(10, 4)
    >>> layer.initialize()
    >>> layer(mx.nd.array([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        dtype: Any = "float32",
        weight_initializer: Any = None,
        sparse_grad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._kwargs = {"input_dim": input_dim, "output_dim": output_dim, "dtype": dtype}
        self.weight = self.params.get(
            "weight",
            shape=(input_dim, output_dim),
            init=weight_initializer,
            dtype=dtype,
            allow_deferred_init=True,
            grad_stype="row_sparse" if sparse_grad else "default",
        )

    def forward(self, x: Any) -> Any:
        """Return the rows: shape (..., output_dim) for indices of shape (...)."""
        return invoke(_EMBEDDING, (x, self.weight.data(x._ctx)), {}, type(x))

    def __repr__(self) -> str:
        return "{name}({input_dim} -> {output_dim}, {dtype})".format(
            name=type(self).__name__, **self._kwargs
        )


class Flatten(HybridBlock):
    """All axes but the first made one: (batch, ...) to (batch, size).

    >>> import regluon as mx
    >>> mx.gluon.nn.Flatten()(mx.nd.ones((2, 3, 4))).shape
    (2, 12)
    """

    def forward(self, x: Any) -> Any:
        """Return the flattened array."""
        return invoke(_FLATTEN, (x,), {}, type(x))

    def __repr__(self) -> str:
        return type(self).__name__


class Identity(HybridBlock):
    """The input as it is.

    >>> import regluon as mx
    >>> x = mx.nd.ones((2,))
    >>> mx.gluon.nn.Identity()(x) is x
    True
    """

    def forward(self, x: Any) -> Any:
        """Return the input."""
        return x
