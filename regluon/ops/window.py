"""Windows of signal processing: raised cosines that let a finite signal fade in and out.

A window of M points w(0) ... w(M - 1) is symmetric; M = 1 gives 1. They are computed in float64.
Source: F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier
transform", Proceedings of the IEEE 66 (1978).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from regluon.ops.dtype import torch_dtype
from regluon.ops.math import named
from regluon.ops.registry import Spec, register


_CPU = torch.device("cpu")


def _rule(M: int, dtype: Any = None, **rest: Any) -> tuple[Spec, ...]:
    return (Spec((max(int(M), 0),), torch_dtype(dtype or "float32")),)


def _window(name: str, fn: Callable[..., Tensor], formula: str, example: str) -> None:
    def window(M: int, dtype: Any = "float32", device: torch.device = _CPU) -> Tensor:
        points = max(int(M), 0)
        values = fn(points, periodic=False, dtype=torch.float64, device=device)
        return values.to(torch_dtype(dtype or "float32"))

    named(
        window,
        name,
        f"""Return the {name.capitalize()} window of M points, {formula}.

    >>> np.{name}(5, "float64").asnumpy().round(2).tolist()
    {example}
    """,
    )
    register(_rule, np=name, symbol=f"_npi_{name}", differentiable="")(window)


_window(
    "hanning",
    torch.hann_window,
    "0.5 - 0.5 cos(2 pi n / (M - 1))",
    "[0.0, 0.5, 1.0, 0.5, 0.0]",
)
_window(
    "hamming",
    torch.hamming_window,
    "0.54 - 0.46 cos(2 pi n / (M - 1))",
    "[0.08, 0.54, 1.0, 0.54, 0.08]",
)
_window(
    "blackman",
    torch.blackman_window,
    "0.42 - 0.5 cos(2 pi n / (M - 1)) + 0.08 cos(4 pi n / (M - 1))",
    "[0.0, 0.34, 1.0, 0.34, 0.0]",
)
