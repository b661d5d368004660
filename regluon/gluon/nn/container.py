"""Blocks made of blocks or functions: Sequential, HybridSequential, Lambda, HybridLambda."""

from collections.abc import Callable
from typing import Any

from regluon import nd
from regluon.array.dispatch import invoke
from regluon.base import MXNetError, nearest
from regluon.gluon.block import Block, listed
from regluon.gluon.hybrid import HybridBlock
from regluon.gluon.nn.activation import Activation
from regluon.ops.registry import TABLE


_RELU_OVER = TABLE["relu_over"]


class _Stack(Block):
    """What `Sequential` and `HybridSequential` share: children in order."""

    is_container = True  # summary() shows the layers inside, not the stack itself

    def add(self, *blocks: Block) -> None:
        """Put blocks on top of the stack."""
        for block in blocks:
            self.register_child(block)

    def forward(self, x: Any) -> Any:
        """Pass `x` through all blocks; a relu that follows a batch norm reuses its memory."""
        before: Block | None = None
        for block in self._children.values():
            reuses = type(block) is Activation and block.can_overwrite(before)
            x = invoke(_RELU_OVER, (x,), {}, type(x)) if reuses else block(x)
            before = block
        return x

    def __repr__(self) -> str:
        return f"{type(self).__name__}(\n{listed(self._children)}\n)"

    def __getitem__(self, key: int | slice) -> Any:
        layers = list(self._children.values())[key]
        if not isinstance(layers, list):
            return layers
        part = type(self)(prefix=self._prefix)
        part.add(*layers)
        return part

    def __len__(self) -> int:
        return len(self._children)


class Sequential(_Stack):
    """Blocks of any kind in a row; it can be indexed and sliced.

    >>> import regluon as mx
    >>> net = mx.gluon.nn.Sequential()
    >>> net.add(mx.gluon.nn.Dense(4, activation="relu"), mx.gluon.nn.Dense(2))
    >>> net.initialize()
    >>> net(mx.nd.ones((5, 3))).shape, len(net), len(net[:1])
    ((5, 2), 2, 1)
    """


class HybridSequential(_Stack, HybridBlock):
    """HybridBlocks in a row; it can be indexed and sliced.

    >>> import regluon as mx
    >>> net = mx.gluon.nn.HybridSequential()
    >>> with net.name_scope():
    ...     net.add(mx.gluon.nn.Dense(4, activation="relu"), mx.gluon.nn.Dense(2))
    >>> net
    HybridSequential(
      (0): Dense(None -> 4, Activation(relu))
      (1): Dense(None -> 2, linear)
    )
    """


class Lambda(Block):
    """A function as a block.

    function: the name of an `mx.nd` function, or a function of the inputs.

    >>> import regluon as mx
    >>> mx.gluon.nn.Lambda("tanh")(mx.nd.zeros((2,))).asnumpy().tolist()
    [0.0, 0.0]
    """

    def __init__(self, function: str | Callable[..., Any], prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        self._function, self._function_name = _resolved(function)

    def forward(self, *args: Any) -> Any:
        """Call the function."""
        return self._function(*args)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._function_name})"


class HybridLambda(HybridBlock):
    """A function as a HybridBlock.

    function: the name of an `mx.nd` function, or a function `function(F, x, ...)`.

    >>> import regluon as mx
    >>> block = mx.gluon.nn.HybridLambda(lambda F, x: F.relu(x) + 1)
    >>> block(mx.nd.array([-1, 2])).asnumpy().tolist()
    [1.0, 3.0]
    """

    def __init__(self, function: str | Callable[..., Any], prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        self._function, self._function_name = _resolved(function)
        self._takes_functions = not isinstance(function, str)

    def hybrid_forward(self, F: Any, x: Any, *args: Any) -> Any:
        """Call the function."""
        return self._function(*((F, x) if self._takes_functions else (x,)), *args)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._function_name})"


def _resolved(function: str | Callable[..., Any]) -> tuple[Callable[..., Any], str]:
    if callable(function):
        return function, getattr(function, "__name__", type(function).__name__)
    found = getattr(nd, function, None) if isinstance(function, str) else None
    if found is None:
        raise MXNetError(
            f"a Lambda needs a function or the name of one in mx.nd, not {function!r}"
            f"{nearest(str(function), vars(nd))}"
        )
    return found, function
