"""Activations: what a layer applies to every element of its output."""

from typing import Any

from regluon import initializer
from regluon.array.dispatch import invoke
from regluon.base import MXNetError
from regluon.gluon.hybrid import HybridBlock
from regluon.gluon.nn.norm import BatchNorm
from regluon.ops.registry import TABLE


_ACTIVATION = TABLE["activation"]
_LEAKY = TABLE["leaky_relu"]
_SIGMOID = TABLE["sigmoid"]


class Activation(HybridBlock):
    """An element-wise function by name: "relu", "sigmoid", "tanh", "softrelu" or "softsign".

    >>> import regluon as mx
    >>> mx.gluon.nn.Activation("relu")(mx.nd.array([-1, 2])).asnumpy().tolist()
    [0.0, 2.0]
    """

    def __init__(self, activation: str, **kwargs: Any) -> None:
        self.__dict__["_act_type"] = activation  # the name hint below is asked for in super()
        super().__init__(**kwargs)
        self._attrs = {"act_type": activation}

    _act_type: str

    def _alias(self) -> str:
        return self._act_type

    def forward(self, x: Any) -> Any:
        """Apply the function; the shape stays."""
        return invoke(_ACTIVATION, (x,), self._attrs, type(x))

    def can_overwrite(self, before: Any) -> bool:
        """Say whether the output of the layer `before`, a batch norm, is nobody else's."""
        return (
            self._act_type == "relu"
            and type(before) is BatchNorm
            and not (before._forward_hooks or self._forward_hooks or self._forward_pre_hooks)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._act_type})"


class LeakyReLU(HybridBlock):
    """x above zero, `alpha` times x below.

    >>> import regluon as mx
    >>> mx.gluon.nn.LeakyReLU(0.5)(mx.nd.array([-1, 2])).asnumpy().tolist()
    [-0.5, 2.0]
    """

    def __init__(self, alpha: float, **kwargs: Any) -> None:
        if alpha < 0:
            raise MXNetError(f"LeakyReLU needs a slope of at least 0, not {alpha}")
        super().__init__(**kwargs)
        self._alpha = alpha

    def forward(self, x: Any) -> Any:
        """Apply the function; the shape stays."""
        return invoke(_LEAKY, (x,), {"act_type": "leaky", "slope": self._alpha}, type(x))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._alpha})"


class PReLU(HybridBlock):
    """x above zero, a learnt slope times x below; He et al. 2015.

    in_channels: 1 for one slope, or the number of channels (axis 1) for one each.

    >>> import regluon as mx
    >>> layer = mx.gluon.nn.PReLU()
    >>> layer.initialize()
    >>> layer(mx.nd.array([[-1, 2]])).asnumpy().tolist()
    [[-0.25, 2.0]]
    """

    def __init__(self, alpha_initializer: Any = None, in_channels: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        init = initializer.Constant(0.25) if alpha_initializer is None else alpha_initializer
        self.alpha = self.params.get("alpha", shape=(in_channels,), init=init)

    def forward(self, x: Any) -> Any:
        """Apply the function; the shape stays."""
        return invoke(_LEAKY, (x, self.alpha.data(x._ctx)), {"act_type": "prelu"}, type(x))


class ELU(HybridBlock):
    """x above zero, alpha * (exp(x) - 1) below; Clevert et al. 2016."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._alpha = alpha

    def forward(self, x: Any) -> Any:
        """Apply the function; the shape stays."""
        return invoke(_LEAKY, (x,), {"act_type": "elu", "slope": self._alpha}, type(x))


class SELU(HybridBlock):
    """The self-normalizing exponential unit of Klambauer et al. 2017."""

    def forward(self, x: Any) -> Any:
        """Apply the function; the shape stays."""
        return invoke(_LEAKY, (x,), {"act_type": "selu"}, type(x))


class GELU(HybridBlock):
    """x times the normal distribution function of x; Hendrycks and Gimpel 2016."""

    def forward(self, x: Any) -> Any:
        """Apply the function; the shape stays."""
        return invoke(_LEAKY, (x,), {"act_type": "gelu"}, type(x))


class Swish(HybridBlock):
    """x * sigmoid(beta * x); Ramachandran et al. 2017."""

    def __init__(self, beta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._beta = beta

    def forward(self, x: Any) -> Any:
        """Apply the function; the shape stays."""
        scaled = x if self._beta == 1 else x * self._beta
        return x * invoke(_SIGMOID, (scaled,), {}, type(x))
