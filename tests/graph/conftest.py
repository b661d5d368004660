"""What tests of compiled programs need of the machine."""

import pytest

from regluon.graph import native


@pytest.fixture
def library() -> None:
    """Build the C++ replay, or skip the test where there is no compiler."""
    if not native.ready(wait=True):
        pytest.skip("needs a C++ compiler")
