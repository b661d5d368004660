"""`mx.engine.push`: functions of the user among the operators, under every engine."""

import pytest

import regluon as mx


@pytest.fixture(params=["NaiveEngine", "LazyEngine", "ThreadedEngine"], autouse=True)
def engine(request):
    previous = mx.engine.set_type(request.param)
    yield
    mx.engine.set_type(previous)


def test_a_pushed_function_comes_after_writers_and_before_later_readers() -> None:
    x, y = mx.nd.ones((300, 300)), mx.nd.zeros((300, 300))
    x += 1
    mx.engine.push(lambda: y.to_torch().copy_(x.to_torch() * 3), [x], [y])
    x += 1
    assert (y + 0).asnumpy().max() == 6
    assert x.asnumpy().max() == 3


def test_operators_inside_a_pushed_function_act_at_once_on_the_arrays_it_writes() -> None:
    x, y, seen = mx.nd.ones((300, 300)), mx.nd.zeros((300, 300)), []

    def function() -> None:
        y[:] = x * 5
        y[0] = 1
        seen.append(float(y.sum().asscalar()))

    mx.engine.push(function, [x], [y])
    after = y + 1
    assert after.asnumpy()[:2, 0].tolist() == [2, 6]
    assert seen == [5 * 299 * 300 + 300]


def test_a_write_through_a_view_changes_the_base_and_not_a_lazy_copy() -> None:
    x = mx.nd.zeros((4, 300))
    row, copy = x[1], x.T
    mx.engine.push(lambda: row.to_torch().fill_(7), writes=[row])
    assert x.asnumpy()[:, 0].tolist() == [0, 7, 0, 0]
    assert copy.asnumpy().max() == 0


def test_what_a_pushed_function_raises_is_told_once_and_the_array_keeps_its_value() -> None:
    x = mx.nd.ones((3,))

    def fail() -> None:
        raise ValueError("no such file")

    def push_and_read() -> None:
        mx.engine.push(fail, [], [x])
        x.wait_to_read()

    with pytest.raises(ValueError, match="no such file"):
        push_and_read()
    assert x.asnumpy().tolist() == [1, 1, 1]


def test_wrong_arguments_are_told_at_the_call() -> None:
    with pytest.raises(mx.MXNetError, match="io"):
        mx.engine.push(lambda: None, [], [], kind="disk")
    with pytest.raises(mx.MXNetError, match="int"):
        mx.engine.push(lambda: None, [3], [])


def test_bulk_sizes_nest() -> None:
    with mx.engine.bulk(5):
        assert mx.engine.set_bulk_size(7) == 5
    assert mx.engine.set_bulk_size(15) == 15


def test_wait_to_write_returns_when_nobody_reads_the_array_any_more() -> None:
    x, y = mx.nd.ones((300, 300)), mx.nd.zeros((300, 300))
    shared = x.to_torch()
    mx.engine.push(lambda: y.to_torch().copy_(x.to_torch() * 3), [x], [y])
    x.wait_to_write()
    shared.fill_(7)
    assert y.asnumpy().max() == 3
