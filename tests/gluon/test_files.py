"""Files of parameters: MXNet's, torch's and our own; strict names; all or nothing."""

import numpy as onp
import pytest
import safetensors.torch
import torch

import regluon as mx
from regluon.base import ContextError, DTypeError, FormatError, ShapeError
from regluon.gluon import nn
from tests.gluon.cases import GOLDEN, convnet, mlp, numbers


FOLDER = GOLDEN.parent


def network(prefix="net_", build=convnet, **kwargs):
    net = build(mx, prefix=prefix)
    net.initialize(**kwargs)
    return net


def values(net):
    return {
        key: param.data().asnumpy() if param.initialized else None
        for key, param in net.structural_params().items()
    }


def assert_golden(net):
    """Every array must hold the numbers that the golden tool drew for its full name."""
    for param in net.collect_params().values():
        name = "net_" + param.name.removeprefix(net.prefix)
        low = 0.1
        onp.testing.assert_array_equal(
            param.data().asnumpy(), numbers(name, param.shape, low), err_msg=name
        )


@pytest.mark.parametrize("kind", ["structural", "full", "stripped", "exported"])
@pytest.mark.parametrize("prefix", ["net_", "other_"])
def test_files_that_mxnet_wrote_in_any_style_of_names_are_read(kind, prefix):
    net = convnet(mx, prefix=prefix)
    if kind == "exported" or (kind == "full" and prefix == "other_"):
        # MXNet writes 1 to the unused gamma when it runs, and full names need the same prefix.
        net = convnet(mx, prefix="net_")
    net.load_parameters(FOLDER / f"gluon_{kind}.params")
    x = mx.nd.array(numbers("x0", (2, 3, 6, 6)))
    assert net(x).shape == (2, 2)
    if kind != "exported":
        assert_golden(net)


def test_names_with_the_counted_prefix_of_another_run_are_read(tmp_path):
    net = network("convnet3_")
    net(mx.nd.ones((2, 3, 6, 6)))
    net.collect_params().save(tmp_path / "old.params")
    other = convnet(mx, prefix="convnet7_")
    other.load_parameters(tmp_path / "old.params")
    assert (values(other)["5.weight"] == values(net)["5.weight"]).all()


def test_what_we_write_as_params_is_byte_for_byte_what_mxnet_writes(tmp_path):
    net = convnet(mx, prefix="net_")
    net.load_parameters(FOLDER / "gluon_structural.params")
    net.save_parameters(tmp_path / "ours.params")
    theirs = (FOLDER / "gluon_structural.params").read_bytes()
    assert (tmp_path / "ours.params").read_bytes() == theirs


@pytest.mark.parametrize("name", ["w.params", "w.safetensors", "w"])
@pytest.mark.parametrize("numpy", [False, True])
def test_a_round_trip_keeps_every_bit(tmp_path, name, numpy):
    if numpy:
        mx.npx.set_np()
    net = network()
    net(mx.np.ones((2, 3, 6, 6)) if numpy else mx.nd.ones((2, 3, 6, 6)))
    net.save_parameters(tmp_path / name)
    other = convnet(mx)
    other.load_parameters(str(tmp_path / name))
    for key, value in values(net).items():
        assert (values(other)[key] == value).all(), key
    assert isinstance(other[1].weight.data(), mx.np.ndarray if numpy else mx.nd.NDArray)


def test_the_content_decides_what_a_file_is(tmp_path):
    net = network(build=mlp)
    net(mx.nd.ones((1, 4)))
    net.save_parameters(tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").rename(tmp_path / "a.params")
    network(build=mlp).load_parameters(tmp_path / "a.params")


def test_safetensors_files_have_structural_names_that_torch_reads(tmp_path):
    net = network(build=mlp)
    net(mx.nd.ones((1, 4)))
    net.save_parameters(tmp_path / "w.safetensors")
    found = safetensors.torch.load_file(tmp_path / "w.safetensors")
    assert list(found) == list(net.structural_params())
    assert (found["0.weight"].numpy() == net[0].weight.data().asnumpy()).all()


def test_shared_parameters_are_saved_under_all_names_or_once(tmp_path):
    def build():
        net = nn.HybridSequential(prefix="net_")
        with net.name_scope():
            first = nn.Dense(2, in_units=2)
            net.add(first, nn.Dense(2, in_units=2, params=first.params))
        return net

    net = build()
    net.initialize()
    net.save_parameters(tmp_path / "all")
    net.save_parameters(tmp_path / "once", deduplicate=True)
    assert len(safetensors.torch.load_file(tmp_path / "all")) == 4
    assert len(safetensors.torch.load_file(tmp_path / "once")) == 2
    for name in ("all", "once"):
        other = build()
        other.load_parameters(tmp_path / name)
        assert (values(other)["0.weight"] == values(net)["0.weight"]).all()


def saved(tmp_path, change):
    """Save an MLP with its tensors changed; returns the path."""
    net = network("saved_", mlp)
    net(mx.nd.ones((1, 4)))
    tensors = {k: torch.tensor(v) for k, v in values(net).items()}
    safetensors.torch.save_file(change(tensors) or tensors, tmp_path / "changed.safetensors")
    return tmp_path / "changed.safetensors"


def drop(name):
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


def rename(old, new):
    return lambda tensors: tensors.update({new: tensors.pop(old)})


def replace(name, tensor):
    return lambda tensors: tensors.update({name: tensor})


WRONG = {
    "missing": (
        drop("1.bias"),
        FormatError,
        r"lacks '1.bias'\. It holds .*allow_missing=True",
    ),
    "misspelt": (
        rename("1.bias", "1.bais"),
        FormatError,
        r"lacks '1.bias' \(did you mean '1.bais'\?\)",
    ),
    "extra": (
        replace("9.weight", torch.ones(1)),
        FormatError,
        r"does not have: '9.weight'\. The network has .*ignore_extra=True",
    ),
    "shape": (
        replace("1.weight", torch.ones(4, 6)),
        ShapeError,
        r"'1.weight' \(net_dense1_weight\) has shape \(4, 6\) in .* and shape \(4, 5\) in the net",
    ),
    "rank": (replace("1.bias", torch.ones(4, 1)), ShapeError, r"\(4, 1\).*\(4,\)"),
    "dtype": (
        replace("1.bias", torch.ones(4, dtype=torch.float64)),
        DTypeError,
        r"'1.bias' \(net_dense1_bias\) is float64 in .* and float32 in .*cast_dtype=True",
    ),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("ready", [True, False])
def test_a_wrong_file_names_what_is_wrong_and_changes_nothing(tmp_path, case, ready):
    change, error, message = WRONG[case]
    net = network(build=mlp)
    if ready or case in ("shape", "rank"):
        net(mx.nd.ones((1, 4)))
    before = values(net)
    with pytest.raises(error, match=message):
        net.load_parameters(saved(tmp_path, change))
    for key, value in values(net).items():
        assert (value is None and before[key] is None) or (value == before[key]).all()


def test_missing_and_extra_parameters_on_request(tmp_path):
    net = network(build=mlp)
    net(mx.nd.ones((1, 4)))
    bias = net[1].bias.data().asnumpy()
    net.load_parameters(saved(tmp_path, drop("1.bias")), allow_missing=True)
    assert (net[1].bias.data().asnumpy() == bias).all()
    net.load_parameters(saved(tmp_path, replace("more", torch.ones(1))), ignore_extra=True)


def test_types_are_converted_on_request(tmp_path):
    path = saved(tmp_path, replace("1.bias", torch.full((4,), 2.5, dtype=torch.float64)))
    net = network(build=mlp)
    net.load_parameters(path, cast_dtype=True)
    assert net[1].bias.data().dtype == onp.float32
    net.load_parameters(path, cast_dtype=True, dtype_source="saved")
    assert net[1].bias.data().dtype == onp.float64
    assert net[1].bias.data().asnumpy().tolist() == [2.5] * 4
    with pytest.raises(mx.MXNetError, match="dtype_source must be"):
        net.load_parameters(path, cast_dtype=True, dtype_source="file")


def test_contexts_of_loaded_parameters(tmp_path):
    path = saved(tmp_path, lambda tensors: None)
    two = [mx.cpu(0), mx.cpu(1)]
    fresh = mlp(mx)
    fresh.load_parameters(path, ctx=two)
    assert fresh[0].weight.list_ctx() == two
    waiting = network(build=mlp, ctx=mx.cpu(1))
    waiting.load_parameters(path)
    assert waiting[0].weight.list_ctx() == [mx.cpu(1)]
    with pytest.raises(ContextError, match=r"is on 'cpu\(1\)', and ctx asks for 'cpu\(0\)'"):
        waiting.load_parameters(path, ctx=mx.cpu(0))


def test_a_loaded_net_trains_and_keeps_its_arrays(tmp_path):
    path = saved(tmp_path, lambda tensors: None)
    net = network(build=mlp)
    net(mx.nd.ones((1, 4)))
    array = net[0].weight.data()
    with mx.autograd.record():
        net.load_parameters(path)
        loss = net(mx.nd.ones((1, 4))).sum()
    loss.backward()
    assert net[0].weight.data() is array
    assert net[2].weight.grad().asnumpy().any()


def test_a_damaged_or_foreign_file_is_an_error_that_names_it(tmp_path):
    good = (FOLDER / "gluon_structural.params").read_bytes()
    net = network()
    for name, content in [("cut.params", good[:-9]), ("empty", b""), ("page", b"<html>")]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=name):
            net.load_parameters(tmp_path / name)
    mx.nd.save(str(tmp_path / "list.params"), [mx.nd.ones((2,))])
    with pytest.raises(FormatError, match="1 arrays without names"):
        net.load_parameters(tmp_path / "list.params")
    with pytest.raises(FileNotFoundError, match=r"did you mean 'cut\.params'"):
        net.load_parameters(tmp_path / "cut.parms")


def test_saving_a_net_without_values_fails_and_keeps_the_old_file(tmp_path):
    (tmp_path / "w.params").write_bytes(b"old")
    net = convnet(mx)
    net.initialize()
    with pytest.raises(mx.gluon.DeferredInitializationError):
        net.save_parameters(tmp_path / "w.params")
    assert (tmp_path / "w.params").read_bytes() == b"old"


def test_a_net_without_parameters(tmp_path):
    net = nn.MaxPool2D()
    net.save_parameters(tmp_path / "none.params")
    net.load_parameters(tmp_path / "none.params")
