"""Every test of mixed precision leaves the process as it was."""

from collections.abc import Iterator

import pytest

from regluon import amp


@pytest.fixture(autouse=True)
def switched_off() -> Iterator[None]:
    yield
    amp.reset()
