"""autograd.Function: gradients that users write, what they may be, and what errors say."""

import gc
import weakref
from typing import Any

import numpy as onp
import pytest

from regluon import autograd, engine, gluon, nd, np
from regluon.base import ContextError, DTypeError, MXNetError, ShapeError
from regluon.context import cpu


class Sigmoid(autograd.Function):
    def forward(self, x: Any) -> Any:
        y = 1 / (1 + nd.exp(-x))
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved_tensors
        return dy * y * (1 - y)


class Divide(autograd.Function):
    def forward(self, x: Any, y: Any) -> Any:
        self.save_for_backward(x, y)
        return x / y, x * y

    def backward(self, dm: Any, dn: Any) -> Any:
        x, y = self.saved_tensors
        return dm / y + dn * y, dn * x - dm * x / y / y


class Returning(autograd.Function):
    """Multiplies by two; its backward returns what the test wants."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def forward(self, x: Any) -> Any:
        return x * 2

    def backward(self, dy: Any) -> Any:
        return self.made(dy)


def leaf(*values: float) -> nd.NDArray:
    x = nd.array(values)
    x.attach_grad()
    return x


def finished(head: nd.NDArray) -> None:
    head.backward()
    nd.waitall()


def test_a_function_has_the_gradient_that_its_backward_computes() -> None:
    x = leaf(0.5, -1)
    with autograd.record():
        y = Sigmoid()(x)
    y.backward(nd.array([1, 10]))
    s = 1 / (1 + onp.exp(-x.asnumpy()))
    onp.testing.assert_allclose(y.asnumpy(), s, rtol=1e-6)
    onp.testing.assert_allclose(x.grad.asnumpy(), s * (1 - s) * [1, 10], rtol=1e-5)


def test_several_inputs_and_outputs() -> None:
    x, y = leaf(1, 2), leaf(4, 5)
    with autograd.record():
        both = Divide()(x, y)
    assert isinstance(both, tuple)
    autograd.backward(both)
    found = [x.grad.asnumpy(), y.grad.asnumpy()]
    with autograd.record():
        autograd.backward([x / y, x * y])
    onp.testing.assert_allclose(found, [x.grad.asnumpy(), y.grad.asnumpy()], rtol=1e-6)


def test_an_output_that_is_not_used_has_a_gradient_of_zeros() -> None:
    x, y = leaf(3), leaf(4)
    with autograd.record():
        quotient, _ = Divide()(x, y)
    quotient.backward()
    assert (x.grad.asscalar(), y.grad.asscalar()) == (0.25, -3 / 16)


def test_outside_of_record_and_on_constants_it_is_its_forward() -> None:
    x = leaf(0)
    with pytest.raises(MXNetError, match=r"not computed inside autograd\.record"):
        Sigmoid()(x).backward()
    with autograd.record():
        y = Sigmoid()(nd.zeros(1))
    assert y.asscalar() == 0.5
    with pytest.raises(MXNetError, match="not computed inside"):
        y.backward()


def test_flags_inside_of_forward_and_backward() -> None:
    seen = []

    class Watch(autograd.Function):
        def forward(self, x: Any) -> Any:
            seen.append((autograd.is_recording(), autograd.is_training()))
            return x * 1

        def backward(self, dy: Any) -> Any:
            seen.append((autograd.is_recording(), autograd.is_training()))
            return dy

    x = leaf(1)
    for mode in (True, False):
        with autograd.record():
            y = Watch()(x)
            y.backward(train_mode=mode)
            nd.waitall()
            assert autograd.is_recording()
    assert seen == [(False, True), (False, True), (False, True), (False, False)]


def test_gradients_of_none_are_zeros_and_arguments_need_not_be_arrays() -> None:
    class Scale(autograd.Function):
        def forward(self, x: Any, factor: float, places: Any, name: str = "") -> Any:
            self.factor = factor
            return x * factor, places

        def backward(self, dy: Any, dp: Any) -> Any:
            return dy * self.factor, None, None, None

    x, places = leaf(1, 2), nd.array([0, 1], dtype="int32")
    with autograd.record():
        y, same = Scale()(x, 3, places, "three")
        z = y + x
    z.backward()
    assert x.grad.asnumpy().tolist() == [4, 4]
    assert same.asnumpy().tolist() == [0, 1]
    with autograd.record():
        y = Returning(lambda dy: None)(x)
    y.backward()
    assert x.grad.asnumpy().tolist() == [0, 0]


def test_requests_are_kept() -> None:
    x, frozen = leaf(2), nd.array([5])
    x.attach_grad("add")
    frozen.attach_grad("null")
    for _ in range(3):
        with autograd.record():
            quotient, product = Divide()(x, frozen)
        autograd.backward([quotient, product])
    assert x.grad.asscalar() == pytest.approx(3 * 5.2)
    assert frozen.grad.asscalar() == 0


WRONG = [
    (lambda dy: nd.ones(2), ShapeError, r"argument 0 has shape \(2,\), not \(3,\)"),
    (lambda dy: (dy, dy), MXNetError, "2 gradients for 1 arguments"),
    (lambda dy: (), MXNetError, "0 gradients for 1 arguments"),
    (lambda dy: 1.5, DTypeError, "must be an array or None, not 1.5"),
    (lambda dy: dy.as_in_context(cpu(1)), ContextError, "cpu\\(1\\), not cpu\\(0\\)"),
    (lambda dy: {}["lost"], MXNetError, "KeyError: 'lost'"),
    (lambda dy: dy + nd.ones(7), ShapeError, r"\(7,\)|\(7\)"),
]


@pytest.mark.parametrize(("made", "kind", "text"), WRONG)
def test_errors_of_backward_name_the_function_and_the_line(
    made: Any, kind: type[Exception], text: str
) -> None:
    x = leaf(1, 2, 3)
    with autograd.record():
        y = Returning(made)(x)
    with pytest.raises(kind, match=text) as caught:
        finished(y)
    assert "Returning.backward at " in str(caught.value)
    assert str(caught.value).count("test_autograd_function.py:") >= 2  # there, and backward()


def test_errors_of_forward_name_the_line_and_leave_recording_on() -> None:
    class Broken(autograd.Function):
        def forward(self, x: Any) -> Any:
            return x + nd.ones(7)

    class Number(autograd.Function):
        def forward(self, x: Any) -> Any:
            return 1

    x = leaf(1, 2)
    with autograd.record():
        with pytest.raises(ShapeError, match=r"test_autograd_function\.py"):
            Broken()(x).wait_to_read()
        with pytest.raises(MXNetError, match=r"Number\.forward must return an array"):
            Number()(x)
        with pytest.raises(NotImplementedError, match="Function must define forward"):
            autograd.Function()(x)
        assert autograd.is_recording()


def test_an_instance_is_called_once() -> None:
    function = Sigmoid()
    function(nd.ones(1))
    with pytest.raises(MXNetError, match="make a new one for every call"):
        function(nd.ones(1))


def test_a_saved_array_that_was_written_is_an_error_naming_the_line() -> None:
    class Square(autograd.Function):
        def forward(self, x: Any) -> Any:
            self.save_for_backward(x)
            return x * x

        def backward(self, dy: Any) -> Any:
            return 2 * dy * self.saved_tensors[0]

    for write in (lambda x: x.__setitem__(0, 9), lambda x: x[1:].__iadd__(1)):
        x = leaf(1, 2)
        with autograd.record():
            y = Square()(x)
        write(x)
        with pytest.raises(MXNetError, match=r"changed in place(.|\n)*test_autograd_function\.py"):
            finished(y)


def test_a_written_result_leaves_the_saved_array_alone() -> None:
    x = leaf(0)
    with autograd.record():
        y = Sigmoid()(x)
    y[:] = 100
    y.backward()
    assert x.grad.asscalar() == 0.25


def test_an_argument_may_be_the_result_and_gradients_may_be_written() -> None:
    class Reverse(autograd.Function):
        def forward(self, x: Any) -> Any:
            return x

        def backward(self, dy: Any) -> Any:
            dy *= -3  # the gradient that flows elsewhere must stay as it is
            return dy

    x = leaf(1, 2)
    with autograd.record():
        y = Reverse()(x) + x
    x[:] = 50
    assert y.asnumpy().tolist() == [2, 4]
    y.backward()
    assert x.grad.asnumpy().tolist() == [-2, -2]


def test_a_gradient_shares_no_storage_with_what_backward_kept() -> None:
    kept = []

    def made(dy: Any) -> Any:
        kept.append(dy * 5)
        return kept[0]

    x = leaf(1, 2)
    with autograd.record():
        y = Returning(made)(x)
    finished(y)
    x.grad[:] = 0
    assert kept[0].asnumpy().tolist() == [5, 5]


def test_functions_nest() -> None:
    class Outer(autograd.Function):
        def forward(self, x: Any) -> Any:
            self.x = x
            return Sigmoid()(x) * 2

        def backward(self, dy: Any) -> Any:
            x = self.x.copy()
            x.attach_grad()
            with autograd.record():
                y = Sigmoid()(x) * 2
            (slope,) = autograd.grad(y, x, head_grads=dy)
            return slope

    x = leaf(0)
    with autograd.record():
        y = Outer()(x)
    y.backward()
    assert x.grad.asscalar() == 0.5


def test_a_gradient_of_its_gradient_is_an_error() -> None:
    x = leaf(0, 1)
    with autograd.record():
        y = Sigmoid()(x) * x
        (slope,) = autograd.grad(y, x, create_graph=True)
    onp.testing.assert_allclose(slope.asnumpy(), [0.5, 0.92767], rtol=1e-5)
    with pytest.raises(MXNetError, match=r"Sigmoid\.backward is not recorded"):
        finished(slope)


def test_inside_of_a_hybridized_block_with_parameters() -> None:
    class Net(gluon.HybridBlock):
        def __init__(self) -> None:
            super().__init__()
            self.dense = gluon.nn.Dense(2, in_units=3)

        def forward(self, x: Any) -> Any:
            return Sigmoid()(self.dense(x))

    net, plain = Net(), gluon.nn.Dense(2, in_units=3, activation="sigmoid")
    for block in (net, plain):
        block.initialize()
    plain.weight.set_data(net.dense.weight.data())
    net.hybridize()
    x = nd.array([[1, 2, 3]])
    for block in (net, plain):
        with autograd.record():
            y = block(x)
        y.backward()
    found, wanted = net.dense.weight.grad().asnumpy(), plain.weight.grad().asnumpy()
    onp.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_np_arrays_stay_np_arrays() -> None:
    class Twice(autograd.Function):
        def forward(self, x: Any) -> Any:
            assert isinstance(x, np.ndarray)
            return 2 * x

        def backward(self, dy: Any) -> Any:
            assert isinstance(dy, np.ndarray)
            return 2 * dy

    x = np.array([1.0])
    x.attach_grad()
    with autograd.record():
        y = Twice()(x)
    y.backward()
    assert isinstance(y, np.ndarray)
    assert x.grad.item() == 2


@pytest.mark.parametrize("differentiate", [True, False])
def test_nothing_of_a_call_stays_alive(differentiate: bool) -> None:
    x = leaf(1, 2)
    function = Sigmoid()
    with autograd.record():
        y = function(x)
        z = y * 2
    if differentiate:
        z.backward()
    nd.waitall()
    watches = [weakref.ref(function), weakref.ref(y)]
    del function, y, z
    gc.collect()
    assert [watch() for watch in watches] == [None, None]


@pytest.mark.parametrize("name", ["LazyEngine", "ThreadedEngine"])
def test_what_backward_writes_is_seen_by_what_it_reads_next(name: str) -> None:
    before = engine.set_type(name)
    try:
        x = leaf(*range(40_000))
        with autograd.record():
            y = Sigmoid()(x) + x
        y.backward()
        s = 1 / (1 + onp.exp(-x.asnumpy()))
        onp.testing.assert_allclose(x.grad.asnumpy(), 1 + s * (1 - s), rtol=1e-5)
    finally:
        engine.set_type(before)
