"""The networks and batches of bench_hybridize.py as NumPy arrays, the same under every Python."""

from itertools import pairwise

import numpy as np


CASES = (
    "mlp inference 1",
    "mlp training 1",
    "mlp training 32",
    "resnet18 inference 1",
    "resnet18 inference 16",
    "resnet18 training 16",
)
"""Network, task and batch size."""

WIDTHS = (512, 256, 128, 2)
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels and stride of the stages of a ResNet-18, which have two residual blocks each."""

CLASSES = {"mlp": WIDTHS[-1], "resnet18": 1000}
RATES = {"mlp": 0.01, "resnet18": 0.0001}
"""Learning rates, small enough for rounding errors to stay small."""

WARM = 5
"""So many calls of each variant go before those that are timed."""


def weights(network: str) -> list[np.ndarray]:
    """Return all parameters and running statistics, in the order of Gluon and of torch."""
    draw = np.random.RandomState(0)
    return _mlp(draw) if network == "mlp" else _resnet18(draw)


def batch(network: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs, in NCHW for images, and the labels as floats."""
    draw = np.random.RandomState(1)
    shape = (size, WIDTHS[0]) if network == "mlp" else (size, 3, 224, 224)
    labels = np.arange(size) % CLASSES[network]
    return draw.normal(size=shape).astype("float32"), labels.astype("float32")


def parts(case: str) -> tuple[str, str, int]:
    """Return network, task and batch size of a case such as `mlp training 32`."""
    network, task, size = case.split()
    return network, task, int(size)


def _mlp(draw: np.random.RandomState) -> list[np.ndarray]:
    found = []
    for inside, outside in pairwise(WIDTHS):
        found += [_scaled(draw, (outside, inside)), _scaled(draw, (outside,), 0.01)]
    return found


def _resnet18(draw: np.random.RandomState) -> list[np.ndarray]:
    found = _normalized(draw, 3, 64, 7)
    inside = 64
    for outside, stride in STAGES:
        found += _normalized(draw, inside, outside, 3) + _normalized(draw, outside, outside, 3)
        if stride > 1:
            found += _normalized(draw, inside, outside, 1)
        found += _normalized(draw, outside, outside, 3) + _normalized(draw, outside, outside, 3)
        inside = outside
    return found + [_scaled(draw, (1000, 512)), _scaled(draw, (1000,), 0.01)]


def _normalized(
    draw: np.random.RandomState, inside: int, outside: int, size: int
) -> list[np.ndarray]:
    """Return a convolution's weight and its batch normalization's parameters and statistics."""
    gamma, beta = draw.uniform(0.5, 1, outside), draw.normal(size=outside) * 0.1
    mean, variance = draw.normal(size=outside) * 0.1, draw.uniform(0.5, 1.5, outside)
    rest = [array.astype("float32") for array in (gamma, beta, mean, variance)]
    return [_scaled(draw, (outside, inside, size, size)), *rest]


def _scaled(
    draw: np.random.RandomState, shape: tuple[int, ...], scale: float | None = None
) -> np.ndarray:
    """Return normal numbers of a standard deviation, or of He's."""
    if scale is None:
        scale = float(np.sqrt(2 / np.prod(shape[1:])))
    return (draw.normal(size=shape) * scale).astype("float32")


def trained(loss: float, *changes: np.ndarray) -> list[list[float]]:
    """Return what must agree after training; the loss beside 1, which tiny ones are compared to."""
    return [[loss, 1.0], *(sample(change) for change in changes)]


def sample(array: np.ndarray) -> list[float]:
    """Return some numbers of an array, from all over it."""
    flat = np.ravel(array)
    return [float(number) for number in flat[:: -(-len(flat) // 256)]]
