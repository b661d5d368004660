"""Networks, weights and inputs that regluon and MXNet 1.9.1 build alike, from seeds and names.

A file of ResNet-18's weights is 45 MB; its names and a seed are not.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as onp


# Name: version, layers, classes, thumbnail, shape of the input.
NETWORKS = {
    "resnet18_v1": (1, 18, 1000, False, (2, 3, 224, 224)),
    "resnet18_v2": (2, 18, 1000, False, (2, 3, 224, 224)),
    "resnet34_v1_thumbnail": (1, 34, 100, True, (2, 3, 32, 32)),
    "resnet50_v1": (1, 50, 100, False, (2, 3, 96, 80)),
    "resnet50_v2": (2, 50, 100, False, (2, 3, 96, 80)),
    "resnet50_v2_thumbnail": (2, 50, 100, True, (2, 3, 32, 32)),
}

# Networks small enough to commit their files: version, block, layers, channels, input.
SMALL = {
    "resnet_v1": (1, "BasicBlockV1", [1, 1, 1, 1], [4, 4, 8, 12, 16], (4, 3, 64, 48)),
    "resnet_v1_bottleneck": (1, "BottleneckV1", [1, 2], [4, 8, 16], (4, 3, 33, 47)),
    "resnet_v2": (2, "BasicBlockV2", [1, 1, 1, 1], [4, 4, 8, 12, 16], (4, 3, 64, 48)),
    "resnet_v2_bottleneck": (2, "BottleneckV2", [1, 2], [4, 8, 16], (4, 3, 33, 47)),
}


# EfficientNet-Lite: its number, batch, height, width; sizes that are odd somewhere on the way.
LITE = ((0, 2, 64, 64), (0, 1, 97, 66), (1, 1, 50, 75), (4, 1, 64, 64))
LITE_TRAINING = (4, 3, 66, 97)


def small_network(vision: Any, name: str) -> Any:
    """Build one of `SMALL` with the classes of either library."""
    version, block, layers, channels, _ = SMALL[name]
    network = getattr(vision, f"ResNetV{version}")
    return network(getattr(vision, block), layers, channels, classes=10, prefix="net_")


def normal(seed: str, shape: Iterable[int]) -> onp.ndarray:
    """Return float32 normal numbers that depend on the seed alone."""
    draws = onp.random.RandomState(zlib.crc32(seed.encode()))
    return draws.standard_normal(tuple(shape)).astype(onp.float32)


def weights(shapes: Mapping[str, Iterable[int]]) -> dict[str, onp.ndarray]:
    """Return values for parameters by their names, such that signals keep their size."""
    return {name: _value(name, tuple(shape)) for name, shape in shapes.items()}


def _value(name: str, shape: tuple[int, ...]) -> onp.ndarray:
    values = normal(name, shape)
    kind = name.rsplit(".", 1)[-1]
    if kind in ("gamma", "running_var") or (kind == "weight" and len(shape) == 1):
        return 0.5 + 1 / (1 + onp.exp(-values))
    if kind == "weight":
        return values * onp.float32((2 / onp.prod(shape[1:])) ** 0.5)
    return values * onp.float32(0.1)


def digest(parameters: Iterable[tuple[str, Iterable[int], str]]) -> str:
    """Return a hash of names, shapes and `grad_req` of parameters in their order."""
    listed = [[name, list(shape), req] for name, shape, req in parameters]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
