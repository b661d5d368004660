"""TwoBit: gradients reduced to three values, with the error carried over to the next step."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from regluon.base import MXNetError, nearest


class TwoBit:
    """Each element of a gradient becomes minus `threshold`, zero or `threshold`.

    What is lost that way is added to the next gradient from the same place. Seide et al. 2014,
    "1-bit stochastic gradient descent", in the form with three values of MXNet.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        settings = dict(params)
        kind = settings.pop("type", None)
        threshold = settings.pop("threshold", 0.5)
        if kind != "2bit":
            raise MXNetError(f"gradients can be compressed with type='2bit', not type={kind!r}")
        for name in settings:
            raise MXNetError(
                f"compression has no parameter {name!r}"
                f"{nearest(name, ['threshold']) or ', only a type and a threshold'}"
            )
        self.threshold = float(threshold)
        if not self.threshold > 0:
            raise MXNetError(f"the threshold of compression must be above 0, not {threshold!r}")
        self._lost: dict[tuple[Any, int], Tensor] = {}

    def __call__(self, key: Any, place: int, gradient: Tensor) -> Tensor:
        """Return the gradient of a key from one of its places in three values."""
        lost = self._lost.get((key, place))
        total = gradient.clone() if lost is None else lost.add_(gradient)
        few = torch.where(total.abs() >= self.threshold, total.sign() * self.threshold, 0)
        self._lost[key, place] = total.sub_(few)
        return few
