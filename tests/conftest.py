"""Every test starts from seed 0 on the engine of MXNET_ENGINE_TYPE and leaves no failure behind."""

import random as python_random
from collections.abc import Iterator

import numpy as onp
import pytest
import torch

import regluon as mx


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    python_random.seed(0)
    onp.random.seed(0)
    torch.manual_seed(0)
    mx.random.seed(0)
    yield
    mx.npx.reset_np()
    mx.nd.waitall()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if mx.num_gpus() > 0:
        return
    skip = pytest.mark.skip(reason="needs an accelerator")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)
