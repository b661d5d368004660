"""Names that the examples in docstrings use without importing them."""

import pytest

import regluon as mx


@pytest.fixture(autouse=True)
def example_names(doctest_namespace: dict[str, object]) -> None:
    """Let an example say `nd.ones(3)`, as a user does after `from regluon import nd`."""
    doctest_namespace.update(mx=mx, nd=mx.nd, np=mx.np, npx=mx.npx)
