import pytest

import regluon as mx
from regluon.gluon import nn
from tests.gluon.cases import check, of_file, read, run


GOLDEN = read()


@pytest.mark.parametrize("case", of_file("basic"), ids=lambda case: case.name)
def test_outputs_gradients_names_and_repr_are_those_of_mxnet(case):
    check(f"{case.file}: {case.name}", run(mx, case), GOLDEN)


def test_dropout_scales_what_is_left_and_only_in_training():
    layer = nn.Dropout(0.25)
    x = mx.nd.ones((1000,))
    with mx.autograd.record():
        y = layer(x).asnumpy()
    assert sorted(set(y.tolist())) == pytest.approx([0, 4 / 3])
    assert 0.68 < (y > 0).mean() < 0.82
    with mx.autograd.predict_mode():
        assert layer(x).asnumpy().min() == 1
    with mx.autograd.train_mode():
        assert nn.Dropout(0)(x) is x


def test_dropout_along_axes_draws_once_for_all():
    with mx.autograd.train_mode():
        y = nn.Dropout(0.5, axes=(1,))(mx.nd.ones((50, 4))).asnumpy()
    assert (y == y[:, :1]).all()
    assert 0 < (y > 0).mean() < 1


def test_the_same_seed_drops_the_same():
    drawn = []
    for _ in range(2):
        mx.random.seed(4)
        with mx.autograd.train_mode():
            drawn.append(nn.Dropout(0.5)(mx.nd.ones((40,))).asnumpy().tolist())
    assert drawn[0] == drawn[1]


def test_a_wrong_rate_is_refused():
    with pytest.raises(mx.MXNetError, match="rate from 0 to 1, not 2"):
        nn.Dropout(2)


def test_dense_of_another_width_names_both_shapes():
    layer = nn.Dense(2, in_units=3)
    layer.initialize()
    with pytest.raises(mx.base.ShapeError, match=r"weight \(2, 3\) does not fit data \(1, 4\)"):
        layer(mx.nd.ones((1, 4)))


def test_dense_in_other_types():
    for dtype in ("float64", "float16"):
        layer = nn.Dense(2, dtype=dtype)
        layer.initialize()
        assert layer(mx.nd.ones((1, 3), dtype=dtype)).dtype.__name__ == dtype


def test_flatten_and_identity_of_an_empty_batch():
    assert nn.Flatten()(mx.nd.zeros((0, 2, 3))).shape == (0, 6)
    x = mx.nd.ones((2,))
    assert nn.Identity()(x) is x
