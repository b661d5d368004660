"""ParameterDict: creation, sharing, selection of everything at once, files."""

import numpy as onp
import pytest

import regluon as mx
from regluon.gluon import Parameter, ParameterDict


def filled():
    params = ParameterDict("net_")
    params.get("weight", shape=(2, 3))
    params.get("bias", shape=(3,), init="zeros")
    return params


def test_it_is_a_dictionary_in_the_order_of_creation():
    params = filled()
    assert list(params) == list(params.keys()) == ["net_weight", "net_bias"]
    assert [p.name for p in params.values()] == [name for name, _ in params.items()]
    assert "net_bias" in params
    assert len(params) == 2
    assert repr(params) == (
        "net_ (\n  Parameter net_weight (shape=(2, 3), dtype=<class 'numpy.float32'>)\n"
        "  Parameter net_bias (shape=(3,), dtype=<class 'numpy.float32'>)\n)"
    )
    with pytest.raises(KeyError, match="did you mean 'net_weight'"):
        params["net_weigth"]


def test_get_returns_the_same_parameter_and_completes_its_shape():
    params = ParameterDict()
    weight = params.get("w", shape=(2, 0), dtype="float32")
    assert params.get("w", shape=(0, 5), dtype=onp.float32) is weight
    assert weight.shape == (2, 5)
    for wrong in [{"shape": (3, 5)}, {"shape": (2,)}, {"dtype": "float64"}, {"lr_mult": 2.0}]:
        with pytest.raises(mx.MXNetError, match="parameter 'w' exists with"):
            params.get("w", **wrong)


def test_shared_parameters_are_found_and_others_created():
    shared = filled()
    params = ParameterDict("net_", shared)
    assert params.get("weight") is shared["net_weight"]
    assert params.get("other", shape=(1,)).name == "net_other"
    assert "net_other" not in shared


def test_constants():
    params = ParameterDict()
    const = params.get_constant("c", [1, 2])
    assert params.get_constant("c") is const
    assert params.get_constant("c", onp.array([1, 2])) is const
    with pytest.raises(mx.MXNetError, match="exists with another value"):
        params.get_constant("c", [1, 3])
    with pytest.raises(KeyError, match="there is no constant 'd'"):
        params.get_constant("d")
    params.get("w", shape=(1,))
    with pytest.raises(mx.MXNetError, match="is not a constant"):
        params.get_constant("w", [1])


def test_update_refuses_two_parameters_of_one_name_and_changes_nothing():
    params = filled()
    params.update(params)
    before = list(params)
    other = {"net_new": Parameter("net_new"), "net_bias": Parameter("net_bias")}
    with pytest.raises(mx.MXNetError, match="two different parameters are called 'net_bias'"):
        params.update(other)
    assert list(params) == before


def test_everything_at_once(capsys):
    params = filled()
    two = [mx.cpu(0), mx.cpu(1)]
    params.initialize(mx.init.One(), ctx=two, verbose=True)
    assert capsys.readouterr().out == "net_weight: One()\nnet_bias: 'zeros'\n"
    assert params.list_ctx() == two
    params["net_weight"].grad(two[1])[:] = 3
    params.zero_grad()
    assert params["net_weight"].grad(two[1]).sum().item() == 0
    params.reset_ctx(mx.cpu(2))
    assert params.list_ctx() == [mx.cpu(2)]
    params.setattr("grad_req", "null")
    assert {p.grad_req for p in params.values()} == {"null"}
    with pytest.raises(AttributeError, match="did you mean 'lr_mult'"):
        params.setattr("lr_mul", 3)


@pytest.mark.parametrize("name", ["p.params", "p.safetensors"])
def test_save_and_load_with_prefixes(tmp_path, name):
    params = filled()
    params.initialize(mx.init.One())
    params.save(tmp_path / name, strip_prefix="net_")
    other = ParameterDict("other_")
    other.get("weight", shape=(2, 0), allow_deferred_init=True)
    other.get("bias", shape=(3,))
    other.load(tmp_path / name, restore_prefix="other_", ctx=mx.cpu(1))
    assert other["other_weight"].data(mx.cpu(1)).asnumpy().tolist() == [[1.0] * 3] * 2
    with pytest.raises(mx.MXNetError, match="cannot lose the prefix 'wrong_'"):
        params.save(tmp_path / name, strip_prefix="wrong_")
    with pytest.raises(mx.MXNetError, match="does not begin with restore_prefix='wrong_'"):
        params.load(tmp_path / name, restore_prefix="wrong_")
