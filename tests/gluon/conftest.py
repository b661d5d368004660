"""The engines under which hybridized blocks are tested."""

from collections.abc import Iterator

import pytest

import regluon as mx
from tests.gluon.hybridized import ENGINES


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    previous = mx.engine.set_type(request.param)
    yield request.param
    mx.nd.waitall()
    mx.engine.set_type(previous)
