"""The rules: how a gradient changes a weight. Their arithmetic is in `ops/update.py`."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from regluon.array.dispatch import call, invoke
from regluon.array.ndarray import NDArray
from regluon.array.part import updated_groups
from regluon.ops.registry import TABLE, Op
from regluon.ops.update import counted_adam_update
from regluon.optimizer.optimizer import Index, Optimizer, State, register


_ADAM = dataclasses.replace(TABLE["multi_adam_update"], fn=counted_adam_update)


def _zeros(weight: NDArray) -> NDArray:
    """Return zeros like a weight, in the same memory layout: updates stream through both."""
    zeros: NDArray = call("zeros_like_nd", weight)
    return zeros


class _Grouped(Optimizer):
    """A rule that updates each group of weights by one operator."""

    def update(self, index: Index, weight: NDArray, grad: NDArray, state: State) -> None:
        """Change `weight` and `state` in place by one gradient."""
        self.update_group([index], [weight], [grad], [state])

    def _run(
        self, op: Op, indices: Sequence[Index], *arrays: Sequence[NDArray], **attrs: Any
    ) -> None:
        """Call a grouped operator; the first layers, which the next batch needs first, go first."""
        attrs |= {"wds": self._get_wds(indices), "rescale_grad": self.rescale_grad}
        if self.clip_gradient:
            attrs["clip_gradient"] = self.clip_gradient
        if updated_groups(op, arrays, attrs):
            return
        first = indices[0]
        priority = -first if isinstance(first, int) else 0
        listed = [list(group) for group in arrays]
        invoke(op, listed, attrs, NDArray, priority=priority)


@register
class SGD(_Grouped):
    """Stochastic gradient descent with momentum and weight decay.

    With g = clip(rescale_grad * grad) + wd * w: m = momentum * m - lr * g, w = w + m. Note that a
    change of the rate acts on new gradients only, unlike in torch, where it scales the momentum.
    `lazy_update` is for sparse gradients, which there are none of, and has no effect.

    >>> import regluon as mx
    >>> sgd = mx.optimizer.SGD(learning_rate=0.5)
    >>> w, g = mx.nd.ones((2,)), mx.nd.ones((2,))
    >>> sgd.update(0, w, g, sgd.create_state(0, w))
    >>> w.asnumpy().tolist()
    [0.5, 0.5]
    """

    def __init__(self, momentum: float = 0.0, lazy_update: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.lazy_update = lazy_update

    def create_state(self, index: Index, weight: NDArray) -> State:
        """Return the momentum, None where there is none."""
        return _zeros(weight) if self.momentum else None

    def update_group(
        self,
        indices: Sequence[Index],
        weights: Sequence[NDArray],
        grads: Sequence[NDArray],
        states: Sequence[State],
    ) -> None:
        """Change weights of one type and context in one task."""
        self._update_count(indices)
        attrs: dict[str, Any] = {"lrs": self._get_lrs(indices)}
        if self.momentum:
            attrs["momentum"] = self.momentum
            self._run(TABLE["multi_sgd_mom_update"], indices, weights, grads, states, **attrs)
        else:
            self._run(TABLE["multi_sgd_update"], indices, weights, grads, **attrs)


@register
class Adam(_Grouped):
    """Adam: steps scaled by running means of the gradient and of its square.

    With g = clip(rescale_grad * grad + wd * w): m = beta1 * m + (1 - beta1) * g and
    v = beta2 * v + (1 - beta2) * g^2, then at the t-th update of a weight
    w = w - lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon). Kingma and Ba 2015,
    "Adam", in the order of its section 2, so that epsilon is not corrected as torch's is.
    The default rate is 0.001. `lazy_update` has no effect.
    """

    default_learning_rate: ClassVar[float] = 0.001

    def __init__(
        self,
        learning_rate: float | None = None,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        lazy_update: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.lazy_update = lazy_update

    def create_state(self, index: Index, weight: NDArray) -> State:
        """Return the two running means."""
        return _zeros(weight), _zeros(weight)

    def update_group(
        self,
        indices: Sequence[Index],
        weights: Sequence[NDArray],
        grads: Sequence[NDArray],
        states: Sequence[State],
    ) -> None:
        """Change weights of one type and context in one task."""
        self._update_count(indices)
        for index in indices:
            self._done.setdefault(index, self._index_update_count[index] - 1)
        means, variances = zip(*states, strict=True)
        self._run(
            _ADAM,
            indices,
            weights,
            grads,
            means,
            variances,
            lrs=self._get_lrs(indices),
            counts=self._done,
            keys=list(indices),
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
        )
