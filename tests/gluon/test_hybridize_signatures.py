"""hybridize(): every new kind of call is traced again, and the log says why."""

import copy
import logging

import numpy as onp
import pytest

import regluon as mx
from regluon.base import env, print_logs
from regluon.gluon import HybridBlock, nn
from tests.gluon.hybridized import compiled, values


pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(autouse=True)
def log(caplog):
    caplog.set_level(logging.INFO, logger="regluon.hybridize")
    return caplog


class Twice(HybridBlock):
    def forward(self, x, other=None):
        return x * 2 if other is None else x * 2 + other[0]


def dense():
    net = nn.Dense(3, in_units=4)
    net.initialize()
    net.hybridize(passes=False)
    return net


def messages(log):
    return [record.getMessage() for record in log.records]


def called(net, *args, times=4):
    return [net(*args).asnumpy() for _ in range(times)][-1]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (lambda: values(5, 4), "new shapes"),
        (lambda: values(2, 4, dtype="float64"), "new kinds and dtypes"),
        (lambda: values(2, 4).as_in_context(mx.cpu(1)), "new context"),
        (lambda: values(2, 4).as_np_ndarray(), "new kinds and dtypes"),
    ],
    ids=["shape", "dtype", "context", "kind"],
)
def test_another_kind_of_argument_is_traced_with_its_reason(log, second, why):
    net = Twice()
    net.hybridize(passes=False)
    called(net, values(2, 4))
    x = second()
    assert (called(net, x) == (x * 2).asnumpy()).all()
    assert compiled(net) == 2
    first, other = messages(log)
    assert "is traced: its first call" in first
    assert f"is traced: {why} (at {__file__}:" in other


def test_training_recording_structure_and_gradients_are_reasons_too(log):
    net = Twice()
    net.hybridize(passes=False)
    x, y = values(2, 4), values(2, 4)
    called(net, x)
    with mx.autograd.train_mode():
        called(net, x)
    with mx.autograd.predict_mode(), mx.autograd.record(train_mode=False):
        called(net, x)
    called(net, x, [y])
    called(net, x, (y,))
    x.attach_grad()
    with mx.autograd.record(train_mode=False):
        called(net, x)
    words = [text.partition("is traced: ")[2].partition(" (at")[0] for text in messages(log)]
    assert words == [
        "its first call",
        "new training",
        "new gradients of the arguments and recording",
        "new structure",
        "new structure",
        "new gradients of the arguments",
    ]
    assert compiled(net) == 6


def test_the_variable_regluon_log_prints_the_log(capsys, monkeypatch):
    monkeypatch.setenv("REGLUON_LOG", "nothing, hybridize")
    print_logs(env("REGLUON_LOG"))
    Twice().hybridize()
    dense()(values(2, 4))
    for topic in ("nothing", "hybridize"):
        logging.getLogger(f"regluon.{topic}").handlers.clear()
    printed = capsys.readouterr().err
    assert printed.startswith("regluon.hybridize: dense")
    assert "(float32(2, 4)) is traced: its first call (at" in printed


def test_too_many_signatures_are_a_warning_and_run_eagerly(log):
    net = Twice()
    net.hybridize(passes=False, verify=None)
    for size in range(1, 70):
        assert (net(mx.nd.ones((size,))).asnumpy() == 2).all()
    warned = [r.getMessage() for r in log.records if r.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "64 signatures are compiled" in warned[0]


def test_new_parameter_values_are_seen_whichever_way_they_come(log, tmp_path):
    net, x = dense(), values(2, 4)
    called(net, x)
    expected = nn.Dense(3, in_units=4)
    expected.initialize()
    expected.save_parameters(str(tmp_path / "p.params"))
    net.load_parameters(str(tmp_path / "p.params"))
    assert (called(net, x) == expected(x).asnumpy()).all()
    for param in (net.weight, expected.weight):
        param.set_data(mx.nd.ones((3, 4)))
    assert (called(net, x) == expected(x).asnumpy()).all()
    net.weight.data()[1] = 5
    expected.weight.data()[1] = 5
    assert (called(net, x) == expected(x).asnumpy()).all()
    mx.random.seed(5)
    net.initialize(mx.init.Uniform(2), force_reinit=True)
    mx.random.seed(5)
    expected.initialize(mx.init.Uniform(2), force_reinit=True)
    assert (called(net, x) == expected(x).asnumpy()).all()
    net.cast("float64")
    expected.cast("float64")
    x = x.astype("float64")
    assert (called(net, x) == expected(x).asnumpy()).all()
    net.collect_params().reset_ctx(mx.cpu(1))
    x = x.as_in_context(mx.cpu(1))
    assert (called(net, x) == expected(x.as_in_context(mx.cpu())).asnumpy()).all()


def test_another_grad_req_is_traced_again(log):
    net, x = dense(), values(2, 4)

    def gradient():
        for _ in range(4):
            with mx.autograd.record():
                loss = net(x).sum()
            loss.backward()

    gradient()
    before = net.weight.grad().asnumpy()
    net.bias.grad_req = "null"
    gradient()
    assert (net.weight.grad().asnumpy() == before).all()
    net.weight.grad_req = "add"
    gradient()
    assert (net.weight.grad().asnumpy() == 4 * before).all()
    assert any("other gradients are asked for" in text for text in messages(log))


def test_arrays_that_are_changed_in_place_or_replaced_are_seen(log):
    class Buffered(HybridBlock):
        def __init__(self):
            super().__init__()
            self.buffer = mx.nd.ones((3,))

        def forward(self, x):
            return x * self.buffer + OUTSIDE

    global OUTSIDE
    OUTSIDE = mx.nd.zeros((3,))
    net, x = Buffered(), mx.nd.ones((3,))
    net.hybridize(passes=False)
    assert called(net, x).tolist() == [1, 1, 1]
    net.buffer[1] = 5
    OUTSIDE += 1
    assert called(net, x, times=1).tolist() == [2, 6, 2]
    assert compiled(net) == 1
    net.buffer = mx.nd.array([1, 2, 3])
    assert called(net, x).tolist() == [2, 3, 4]
    OUTSIDE = mx.nd.ones((3,)) * 10
    assert called(net, x).tolist() == [11, 12, 13]
    texts = messages(log)
    assert any("Buffered.buffer has changed" in text for text in texts)
    assert any("the variable OUTSIDE has changed" in text for text in texts)


SCALE = 2


def test_attributes_globals_and_containers_that_change_are_seen(log):
    offset = 1

    class Switch(HybridBlock):
        def __init__(self):
            super().__init__()
            self.double = False
            self.shift = [0, 0]
            self.table = onp.zeros(2, dtype="float32")

        def forward(self, x):
            x = x * 2 if self.double else x
            return x * SCALE + offset + self.shift[1] + mx.nd.array(self.table)

    global SCALE
    SCALE = 2
    net, x = Switch(), mx.nd.ones((2,))
    net.hybridize(passes=False)
    assert called(net, x)[0] == 3
    net.double = True
    assert called(net, x)[0] == 5
    SCALE = 3
    assert called(net, x)[0] == 7
    offset = 2
    assert called(net, x)[0] == 8
    net.shift[1] = 10
    assert called(net, x)[0] == 18
    net.table[0] = 100
    assert called(net, x)[0] == 118
    assert compiled(net) == 1
    texts = "".join(messages(log))
    for what in ("Switch.double", "variable SCALE", "variable offset", "Switch.shift", "table"):
        assert what in texts


def test_new_layers_and_hooks_are_seen(log):
    net = nn.HybridSequential()
    net.add(nn.Dense(4, in_units=4))
    net.initialize()
    net.hybridize(passes=False)
    x = values(2, 4)
    called(net, x)
    net.add(nn.Dense(1, in_units=4))
    net[1].initialize()
    assert called(net, x).shape == (2, 1)
    seen = []
    with net[0].register_forward_hook(lambda block, args, out: seen.append(out.shape)):
        called(net, x)
    assert seen == [(2, 4)] * 4
    called(net, x)
    assert len(seen) == 4
    assert compiled(net) == 1


def test_an_argument_that_is_no_data_keeps_its_call_eager(log):
    class Config:
        scale = 2

    class Configured(HybridBlock):
        def forward(self, x, config):
            return x * getattr(config, "scale", config)

    config, net, x = Config(), Configured(), mx.nd.ones((2,))
    net.hybridize(passes=False)
    assert called(net, x, config)[0] == 2
    config.scale = 3
    assert called(net, x, config)[0] == 3
    warned = [r.getMessage() for r in log.records if r.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "a Config is neither an array nor a plain value" in warned[0]
    assert called(net, x, 1.5)[0] == 1.5
    assert called(net, x, onp.float32(2.5))[0] == 2.5
    assert called(net, x, True)[0] == 1


def test_a_copy_of_a_network_has_programs_of_its_own():
    net, x = dense(), values(2, 4)
    before = called(net, x)
    twin = copy.deepcopy(net)
    assert (called(twin, x) == before).all()
    twin.weight.set_data(mx.nd.zeros((3, 4)))
    assert (called(twin, x) == 0).all()
    assert (called(net, x) == before).all()


def test_hybridize_false_and_a_second_hybridize_start_anew():
    net, x = dense(), values(2, 4)
    before = called(net, x)
    net.hybridize(False)
    assert net._cache is None
    assert (called(net, x) == before).all()
    net.hybridize()
    assert compiled(net) == 0
