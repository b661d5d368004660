import numpy as onp
import pytest

import regluon as mx
from regluon.gluon import nn
from tests.gluon.cases import check, numbers, of_file, read, run


GOLDEN = read()


@pytest.mark.parametrize("case", of_file("pool"), ids=lambda case: case.name)
def test_outputs_gradients_names_and_repr_are_those_of_mxnet(case):
    check(f"{case.file}: {case.name}", run(mx, case), GOLDEN)


def test_channels_last_gives_the_same_numbers():
    x = numbers("x", (2, 3, 6, 5))
    for kind in (nn.MaxPool2D, nn.AvgPool2D):
        want = kind(2, padding=1)(mx.nd.array(x)).asnumpy()
        got = kind(2, padding=1, layout="NHWC")(mx.nd.array(onp.moveaxis(x, 1, -1))).asnumpy()
        onp.testing.assert_allclose(onp.moveaxis(got, -1, 1), want, rtol=0, atol=1e-6)


def test_wrong_arguments_are_refused():
    with pytest.raises(mx.MXNetError, match="MaxPool2D knows the layouts NCHW, NHWC"):
        nn.MaxPool2D(layout="NCW")
    with pytest.raises(mx.base.ShapeError, match=r"pool_size=.* must be one number or 2"):
        nn.AvgPool2D((2, 2, 2))
    with pytest.raises(mx.base.ShapeError):
        nn.MaxPool2D(9)(mx.nd.ones((1, 1, 4, 4)))
