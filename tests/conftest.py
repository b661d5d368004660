"""Every test starts from seed 0 on the engine of MXNET_ENGINE_TYPE and leaves no failure behind."""

import random as python_random
import signal
import zlib
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


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background like this; the tests' processes would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", type=int, default=1, help="run one of N cases of the operator grid")


def chosen(item: pytest.Item, share: int) -> bool:
    grid = "test_ops.py" in item.nodeid and "[" in item.nodeid
    return not grid or zlib.crc32(item.nodeid.encode()) % share == 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    share = config.getoption("--share")
    left_out = [item for item in items if not chosen(item, share)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if chosen(item, share)]
    if mx.num_gpus() > 0:
        return
    skip = pytest.mark.skip(reason="needs an accelerator")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)
