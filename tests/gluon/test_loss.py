import pytest

import regluon as mx
from tests.gluon.cases import check, loss_cases, read, run_loss


GOLDEN = read()


@pytest.mark.parametrize(("name", "row", "numpy"), loss_cases(), ids=lambda value: str(value))
def test_values_and_gradients_are_those_of_mxnet(name, row, numpy):
    check(f"loss: {name}", run_loss(mx, row, numpy), GOLDEN)
