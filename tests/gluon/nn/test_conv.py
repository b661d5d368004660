import numpy as onp
import pytest

import regluon as mx
from regluon.gluon import nn
from tests.gluon.cases import check, numbers, of_file, read, run


GOLDEN = read()


@pytest.mark.parametrize("case", of_file("conv"), ids=lambda case: case.name)
def test_outputs_gradients_names_and_repr_are_those_of_mxnet(case):
    check(f"{case.file}: {case.name}", run(mx, case), GOLDEN)


@pytest.mark.parametrize(
    ("first", "last", "shape"),
    [
        (nn.Conv2D, nn.Conv2D, (2, 3, 6, 5)),
        (nn.Conv3D, nn.Conv3D, (2, 3, 4, 5, 6)),
        (nn.Conv2DTranspose, nn.Conv2DTranspose, (2, 3, 6, 5)),
    ],
)
def test_channels_last_gives_the_same_numbers(first, last, shape):
    rank = len(shape) - 2
    layout = "NDHWC" if rank == 3 else "NHWC"
    one, other = first(4, 2, groups=1), last(4, 2, layout=layout)
    x = numbers("x", shape)
    for layer in (one, other):
        layer.initialize()
    want = one(mx.nd.array(x)).asnumpy()
    other(mx.nd.array(onp.moveaxis(x, 1, -1)))
    other.weight.set_data(onp.moveaxis(one.weight.data().asnumpy(), 1, -1))
    got = other(mx.nd.array(onp.moveaxis(x, 1, -1))).asnumpy()
    onp.testing.assert_allclose(onp.moveaxis(got, -1, 1), want, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2D(4, (3, 3, 3)), "kernel_size=.* must be one number or 2"),
        (lambda: nn.Conv2D(4, 3, layout="NCWH"), "Conv2D knows the layouts NCHW, NHWC"),
        (lambda: nn.Conv2D(4, 3, groups=3), "groups=3 must divide"),
        (lambda: nn.Conv1D(4, 3, activation="rel")(mx.nd.ones((1, 2, 5))), "not initialized"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(mx.MXNetError, match=message):
        make()


def test_input_with_other_channels_names_both():
    layer = nn.Conv2D(4, 3, in_channels=3)
    layer.initialize()
    with pytest.raises(mx.base.ShapeError, match=r"weight \(4, 3, 3, 3\) needs 3 input channels"):
        layer(mx.nd.ones((1, 5, 8, 8)))
