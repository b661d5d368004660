"""Samples of the optimizer steps for single arrays; attributes are exact in float32, as MXNet's."""

import numpy as onp

from tests.ops.samples import Sample, floats


STEP = {"lr": 0.125, "wd": 0.25, "rescale_grad": 0.5}
ADAM = {**STEP, "beta1": 0.75, "beta2": 0.875, "epsilon": 2.0**-8}
WILD = onp.asarray([[onp.nan, 2.0, onp.inf], [-onp.inf, -9.0, 1.0]], "float32")


def arrays(dtype: str) -> tuple[onp.ndarray, ...]:
    """Return weight, gradient, first and second state."""
    second = floats(2, 3, low=0.1, high=1, dtype=dtype)
    return tuple(floats(2, 3, seed=i, low=-3, high=3, dtype=dtype) for i in range(3)) + (second,)


def steps(name: str, states: int, attrs: dict[str, float]) -> list[Sample]:
    found = []
    for dtype in ("float32", "float64"):
        given = arrays(dtype)[: 2 + states]
        found += [
            Sample(f"nd.{name}", given, attrs, grad=False),
            Sample(f"nd.{name}", given, {**attrs, "clip_gradient": 0.5}, grad=False),
            Sample(f"nd.{name}", given, {**attrs, "clip_gradient": 0.0}, grad=False),
        ]
    weight, _, *others = arrays("float32")[: 2 + states]
    for clip in (-1.0, 0.5):
        limited = {**attrs, "clip_gradient": clip}
        found.append(Sample(f"nd.{name}", (weight, WILD, *others), limited, grad=False, id="wild"))
    return found


SAMPLES = (
    steps("sgd_update", 0, STEP)
    + steps("sgd_mom_update", 1, {**STEP, "momentum": 0.75})
    + steps("adam_update", 2, ADAM)
)
