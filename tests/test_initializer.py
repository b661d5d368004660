import json
from pathlib import Path

import numpy as onp
import pytest

import regluon as mx
from regluon.base import MXNetError, ShapeError


GOLDEN = Path(__file__).parent / "golden" / "initializer.npz"


def golden() -> dict[str, onp.ndarray]:
    with onp.load(GOLDEN) as archive:
        return dict(archive)


def filled(init, shape, name="layer0_weight", dtype="float32") -> onp.ndarray:
    array = mx.nd.zeros(shape, dtype=dtype)
    init(mx.init.InitDesc(name), array)
    return array.asnumpy()


def fill_and_read(init, array) -> onp.ndarray:
    init(mx.init.InitDesc("weight"), array)
    return array.asnumpy()


def kolmogorov_smirnov(a: onp.ndarray, b: onp.ndarray) -> float:
    """The largest difference of the two samples' distribution functions, in units of its scale."""
    a, b = onp.sort(a.ravel()), onp.sort(b.ravel())
    points = onp.concatenate([a, b])
    shares = [onp.searchsorted(x, points, side="right") / x.size for x in (a, b)]
    return float(abs(shares[0] - shares[1]).max() * onp.sqrt(a.size * b.size / (a.size + b.size)))


RANDOM = {
    "uniform": (mx.init.Uniform(0.3), (40, 60)),
    "normal": (mx.init.Normal(0.3), (40, 60)),
    "xavier": (mx.init.Xavier(), (40, 60)),
    "xavier_in": (mx.init.Xavier("gaussian", "in", 2), (40, 20, 3, 1)),
    "xavier_out": (mx.init.Xavier("uniform", "out", 2), (40, 20, 3, 1)),
    "msraprelu": (mx.init.MSRAPrelu("out", 0.1), (40, 20, 3, 1)),
}


@pytest.mark.parametrize("key", RANDOM)
def test_draws_have_the_distribution_of_mxnets(key):
    init, shape = RANDOM[key]
    ours, theirs = filled(init, shape), golden()[key]
    assert ours.shape == theirs.shape
    assert kolmogorov_smirnov(ours, theirs) < 1.95  # 0.1 % of equal distributions are further apart
    assert abs(ours).max() == pytest.approx(abs(theirs).max(), rel=0.3)


FIXED = {
    "zero": (mx.init.Zero(), (2, 3)),
    "one": (mx.init.One(), (2, 3)),
    "constant": (mx.init.Constant(2.5), (2, 3)),
    "bilinear": (mx.init.Bilinear(), (2, 1, 3, 4)),
    "bilinear_odd": (mx.init.Bilinear(), (1, 2, 5, 5)),
    "lstm_bias": (mx.init.LSTMBias(2.0), (8,)),
}


@pytest.mark.parametrize("key", FIXED)
def test_values_without_chance_equal_mxnets(key):
    init, shape = FIXED[key]
    onp.testing.assert_allclose(filled(init, shape), golden()[key], rtol=1e-6)


@pytest.mark.parametrize("ending", ["bias", "gamma", "beta", "min", "max"])
def test_names_decide_as_in_mxnet(ending):
    onp.testing.assert_array_equal(
        filled(mx.init.Normal(), (2,), name=f"layer0_{ending}"), golden()[f"name_{ending}"]
    )


@pytest.mark.parametrize(
    ("ending", "value"),
    [("running_mean", 0), ("running_var", 1), ("moving_mean", 0), ("moving_var", 1)],
)
def test_running_statistics_begin_as_those_of_standard_data(ending, value):
    assert filled(mx.init.Normal(), (2,), name=f"bn_{ending}").tolist() == [value, value]


def test_an_unknown_name_is_an_error_that_names_it():
    with pytest.raises(MXNetError, match=r"'layer0_alpha'.*init="):
        filled(mx.init.Normal(), (2,), name="layer0_alpha")


def test_an_arrays_own_initializer_goes_before_its_name():
    for own in ("ones", mx.init.One(), mx.init.Constant(1).dumps()):
        array = mx.nd.zeros((2,))
        mx.init.Zero()(mx.init.InitDesc("layer0_bias", {"__init__": own}), array)
        assert array.asnumpy().tolist() == [1, 1]


def test_a_plain_string_is_a_name_too():
    array = mx.nd.zeros((2,))
    mx.init.Constant(3)("layer0_weight", array)
    assert array.asnumpy().tolist() == [3, 3]


def test_draws_follow_the_seed_and_nothing_else():
    mx.random.seed(5)
    first, second = (filled(mx.init.Xavier(), (3, 3)) for _ in range(2))
    mx.random.seed(5)
    onp.random.seed(99)
    assert (filled(mx.init.Xavier(), (3, 3)) == first).all()
    assert (first != second).any()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_float_type_is_filled(dtype):
    values = filled(mx.init.Uniform(1), (50, 50), dtype=dtype)
    assert values.dtype == dtype
    assert abs(values.astype("float64").mean()) < 0.05


def test_numpy_arrays_are_filled_in_place():
    array = mx.np.zeros((3, 4))
    mx.init.Xavier()(mx.init.InitDesc("weight"), array)
    assert isinstance(array, mx.np.ndarray)
    assert (array.asnumpy() != 0).all()


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (4, 2, 3)])
@pytest.mark.parametrize("rand_type", ["uniform", "normal"])
def test_orthogonal_rows_or_columns_are_orthonormal(shape, rand_type):
    values = filled(mx.init.Orthogonal(2.0, rand_type), shape).reshape(shape[0], -1)
    gram = values.T @ values if values.shape[0] > values.shape[1] else values @ values.T
    onp.testing.assert_allclose(gram, 4 * onp.eye(len(gram)), atol=1e-5)


def test_constant_takes_arrays_and_lists():
    wanted = [[1, 2], [3, 4]]
    for value in (wanted, onp.array(wanted), mx.nd.array(wanted)):
        assert filled(mx.init.Constant(value), (2, 2)).tolist() == wanted


def test_constant_of_another_shape_changes_nothing():
    array = mx.nd.ones((2, 2))
    with pytest.raises(MXNetError):
        fill_and_read(mx.init.Constant([1, 2, 3]), array)
    assert array.asnumpy().tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("init", "text"),
    [
        (mx.init.Normal(0.5), '["normal", {"sigma": 0.5}]'),
        (mx.init.Zero(), '["zero", {}]'),
        (mx.init.MSRAPrelu("in"), '["msraprelu", {"factor_type": "in", "slope": 0.25}]'),
        (mx.init.Constant(onp.ones(2)), '["constant", {"value": [1.0, 1.0]}]'),
    ],
)
def test_dumps_is_what_mxnet_writes_and_create_reads(init, text):
    assert init.dumps() == text == golden_text(init)
    assert mx.init.create(text) == init
    assert hash(mx.init.create(text)) == hash(init)


def golden_text(init) -> str:
    return str(golden()["dumps_" + json.loads(init.dumps())[0]])


def test_create_knows_names_in_any_case_and_suggests():
    assert mx.init.create("Xavier", magnitude=2) == mx.init.Xavier(magnitude=2)
    assert mx.init.create("zeros") == mx.init.Zero()
    given = mx.init.Normal()
    assert mx.init.create(given) is given
    with pytest.raises(MXNetError, match="did you mean 'xavier'"):
        mx.init.create("xaver")
    with pytest.raises(MXNetError, match="initializer or its name"):
        mx.init.create(5)
    with pytest.raises(MXNetError, match="no effect"):
        mx.init.create(given, sigma=2)


def test_an_initializer_of_ones_own_is_found_by_name():
    @mx.init.register
    @mx.init.alias("sevens")
    class Seven(mx.init.Initializer):
        def _init_weight(self, desc, arr):
            arr[:] = 7

        def _init_bias(self, desc, arr):
            arr[:] = 8

    assert filled(mx.init.create("seven"), (1,)).tolist() == [7]
    assert filled(mx.init.create("sevens"), (1,), name="bias").tolist() == [8]
    assert Seven() != mx.init.Zero()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: mx.init.Xavier(rnd_type="gausian"), "did you mean 'gaussian'"),
        (lambda: mx.init.Xavier(factor_type="both"), "avg, in, out"),
        (lambda: mx.init.Orthogonal(rand_type="x"), "uniform, normal"),
        (lambda: mx.init.Mixed(["a"], []), "1 patterns for 0"),
    ],
)
def test_wrong_arguments_are_refused_when_given(make, text):
    with pytest.raises(MXNetError, match=text):
        make()


@pytest.mark.parametrize("init", [mx.init.Xavier(), mx.init.MSRAPrelu(), mx.init.Bilinear()])
def test_a_vector_has_no_fans(init):
    with pytest.raises(ShapeError, match=r"'layer0_weight' has shape \(3,\)"):
        filled(init, (3,))


def test_mixed_uses_the_first_pattern_that_matches():
    init = mx.init.Mixed(["conv.*weight", "conv", "dense"], [mx.init.One()] * 2 + [mx.init.Zero()])
    assert filled(init, (1,), "conv0_weight").tolist() == [1]
    assert filled(init, (1,), "conv0_bias").tolist() == [0]
    assert filled(init, (1,), "dense0_weight").tolist() == [0]
    with pytest.raises(MXNetError, match="'x_weight'"):
        filled(init, (1,), "x_weight")


def test_load_takes_values_by_name(tmp_path):
    file = tmp_path / "weights.params"
    mx.nd.save(file, {"arg:a_weight": mx.nd.array([1, 2]), "b_weight": mx.nd.array([3])})
    init = mx.init.Load(str(file), default_init=mx.init.One())
    assert filled(init, (2,), "a_weight").tolist() == [1, 2]
    assert filled(init, (2,), "c_weight").tolist() == [1, 1]
    with pytest.raises(ShapeError, match=r"'b_weight' has shape \(2,\)"):
        filled(init, (2,), "b_weight")
    with pytest.raises(MXNetError, match="did you mean 'a_weight'"):
        filled(mx.init.Load({"a_weight": mx.nd.ones((1,))}), (1,), "a_weigt")
    mx.nd.save(file, [mx.nd.ones((1,))])
    with pytest.raises(MXNetError, match="without names"):
        mx.init.Load(file)
