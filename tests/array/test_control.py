"""foreach, while_loop and cond: results, nesting and gradients as in MXNet, errors at the call."""

import numpy as onp
import pytest

import regluon as mx


def test_foreach_keeps_the_nesting_and_the_states():
    data = [mx.nd.array([[1, 2], [3, 4], [5, 6]]), mx.nd.array([10, 20, 30])]

    def body(parts, states):
        row, one = parts
        total = states[0] + row.sum()
        return [row * one, [total]], [total, states[1] + 1]

    outputs, states = mx.nd.contrib.foreach(body, data, [mx.nd.zeros(1), mx.nd.array([5])])
    assert outputs[0].asnumpy().tolist() == [[10, 20], [60, 80], [150, 180]]
    assert outputs[1][0].asnumpy().tolist() == [[3], [10], [21]]
    assert [state.asscalar() for state in states] == [21, 8]


def test_foreach_has_gradients_through_data_and_states():
    data, start = mx.nd.array([1, 2, 3]), mx.nd.array([2])
    for array in (data, start):
        array.attach_grad()
    with mx.autograd.record():
        outputs, state = mx.nd.contrib.foreach(lambda x, s: (x * s, x * s), data, start)
        total = outputs.sum() + state.sum()
    total.backward()
    assert outputs.asnumpy().tolist() == [[2], [4], [12]]
    assert data.grad.asnumpy().tolist() == [2 + 4 + 24, 2 + 12, 8]
    assert start.grad.asnumpy().tolist() == [1 + 2 + 12]


def test_foreach_of_numpy_like_arrays_gives_such():
    outputs, _ = mx.npx.foreach(lambda x, s: (x + s, s), mx.np.ones((2, 3)), mx.np.ones(()))
    assert type(outputs) is mx.np.ndarray
    assert outputs.shape == (2, 3)


@pytest.mark.parametrize("data", [3, [], [mx.nd.zeros((2, 1)), mx.nd.zeros((3, 1))]])
def test_foreach_refuses_data_that_is_no_array_or_of_several_lengths(data):
    with pytest.raises(mx.MXNetError, match="foreach"):
        mx.nd.contrib.foreach(lambda x, s: (x, s), data, [])


def test_foreach_without_a_place_has_no_outputs():
    outputs, state = mx.nd.contrib.foreach(lambda x, s: (x, s), mx.nd.zeros((0, 2)), mx.nd.ones(1))
    assert outputs == []
    assert state.asscalar() == 1


def test_while_loop_pads_its_outputs_to_the_largest_number_of_steps():
    loop = mx.nd.array([0]), mx.nd.array([1])
    outputs, states = mx.nd.contrib.while_loop(
        lambda i, s: i <= 2, lambda i, s: ([i + s], [i + 1, s + i]), loop, max_iterations=5
    )
    assert outputs[0].asnumpy().tolist() == [[1], [2], [4], [0], [0]]
    assert [state.asscalar() for state in states] == [3, 4]


def test_while_loop_stops_at_the_largest_number_of_steps_and_has_gradients():
    x = mx.nd.array([3])
    x.attach_grad()
    with mx.autograd.record():
        outputs, last = mx.nd.contrib.while_loop(
            lambda v: True, lambda v: (v, v * x), x, max_iterations=2
        )
        (outputs.sum() + last).backward()
    assert last.asscalar() == 27
    assert x.grad.asnumpy().tolist() == [1 + 2 * 3 + 3 * 9]


def test_while_loop_without_a_step_has_no_outputs():
    outputs, last = mx.nd.contrib.while_loop(
        lambda v: v > 5, lambda v: (v, [v]), [mx.nd.array([1])], max_iterations=3
    )
    assert outputs == []
    assert last[0].asscalar() == 1


def test_while_loop_says_what_is_missing_or_changed():
    one = [mx.nd.array([1])]
    with pytest.raises(ValueError, match="max_iterations"):
        mx.nd.contrib.while_loop(lambda v: v, lambda v: (v, [v]), one)
    with pytest.raises(ValueError, match="at least one"):
        mx.nd.contrib.while_loop(lambda: 1, lambda: (None, []), [], max_iterations=1)
    with pytest.raises(ValueError, match="1 loop_vars and returned 2"):
        mx.nd.contrib.while_loop(lambda v: v, lambda v: (v, [v, v]), one, max_iterations=1)


def test_cond_calls_one_of_two_functions():
    a, b = mx.nd.array([1]), mx.nd.array([2])
    result = mx.nd.contrib.cond(a * b < 5, lambda: (a + 5) * (b + 5), lambda: a)
    onp.testing.assert_array_equal(result.asnumpy(), [42])
    assert mx.npx.cond(0, lambda: a, lambda: b) is b
