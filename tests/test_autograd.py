"""Recording and gradients: scopes, requests, freed graphs, changed inputs; torch is the oracle."""

import pytest
import torch

import regluon as mx
from regluon import autograd, nd
from regluon.base import ContextError, DTypeError, MXNetError, ShapeError


def leaf(*values: float) -> nd.NDArray:
    x = nd.array(values)
    x.attach_grad()
    return x


def test_a_gradient_equals_torchs() -> None:
    x = leaf(1, 2, 3)
    t = torch.tensor([1.0, 2, 3], requires_grad=True)
    with autograd.record():
        y = (nd.exp(x) * x / (x + 1)).sum()
    y.backward()
    (torch.exp(t) * t / (t + 1)).sum().backward()
    assert torch.allclose(x.grad.to_torch(), t.grad)


def test_write_replaces_and_add_accumulates() -> None:
    x, y = leaf(1), nd.array([1])
    y.attach_grad(grad_req="add")
    for _ in range(3):
        with autograd.record():
            z = x * 2 + y * 5
        z.backward()
    assert (x.grad.asscalar(), y.grad.asscalar()) == (2, 15)
    y.zero_grad()
    assert y.grad.asscalar() == 0


def test_null_asks_for_nothing() -> None:
    x = nd.array([1])
    x.attach_grad(grad_req="null")
    assert x.grad.asscalar() == 0
    with autograd.record():
        y = x * 2
    with pytest.raises(MXNetError, match="from arrays with attach_grad"):
        y.backward()
    x.drop_grad()
    assert x.grad is None
    with pytest.raises(MXNetError, match="grad_req must be one of write, add, null"):
        x.attach_grad(grad_req="sum")


def test_integers_have_no_gradient() -> None:
    with pytest.raises(DTypeError, match="int32"):
        nd.array([1], dtype="int32").attach_grad()


def test_pause_cuts_the_graph() -> None:
    x = leaf(2)
    with autograd.record():
        y = x * x
        with autograd.pause():
            z = y * 100
        w = y + z
    w.backward()
    assert x.grad.asscalar() == 4


def test_what_was_not_recorded_cannot_be_differentiated() -> None:
    x = leaf(1)
    with pytest.raises(MXNetError, match=r"not computed inside autograd\.record"):
        (x * 2).backward()
    with autograd.record():
        y = nd.ones((1,)) * 2
    with pytest.raises(MXNetError, match="not computed inside"):
        y.backward()


def test_a_freed_graph_names_the_way_out() -> None:
    x = leaf(2)
    with autograd.record():
        y = x * x
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(MXNetError, match="retain_graph=True"):
        y.backward()
    with autograd.record():
        trunk = x * x
        a, b = trunk * 2, trunk * 3
    a.backward()
    with pytest.raises(MXNetError, match="retain_graph=True"):
        b.backward()


def test_a_result_of_a_freed_graph_is_a_constant_later() -> None:
    x = leaf(2)
    with autograd.record():
        y = x * x
    y.backward()
    with autograd.record():
        z = y * x
    z.backward()
    assert x.grad.asscalar() == 4


def test_head_gradients_weigh_the_heads() -> None:
    x = leaf(1, 2)
    with autograd.record():
        y = x * 3
    y.backward(nd.array([10, 100]))
    assert x.grad.asnumpy().tolist() == [30, 300]
    with autograd.record():
        y = x * 3
    with pytest.raises(ShapeError, match="head gradient has shape"):
        y.backward(nd.array([1, 2, 3]))


def test_several_heads_add_up() -> None:
    x = leaf(1)
    with autograd.record():
        y, z = x * 2, x * 3
    autograd.backward([y, z])
    assert x.grad.asscalar() == 5
    with autograd.record():
        y, z = x * 2, x * 3
    autograd.backward([y, z, y], [None, nd.array([100]), nd.array([10])])
    assert x.grad.asscalar() == 322


def test_head_gradients_that_do_not_fit_are_errors() -> None:
    x = leaf(1, 2)
    with autograd.record():
        y, z = x * 2, x * 3
    with pytest.raises(MXNetError, match="1 head gradients were given for 2 heads"):
        autograd.backward([y, z], [None])
    with pytest.raises(MXNetError, match="no heads given"):
        autograd.backward([])
    with pytest.raises(DTypeError, match="head gradient is float64, the array float32"):
        y.backward(nd.array([1, 2], dtype="float64"))
    with pytest.raises(ContextError, match=r"on cpu\(1\), the array on cpu\(0\)"):
        y.backward(nd.ones(2, ctx=mx.cpu(1)))
    with pytest.raises(DTypeError, match="must be an array of shape"):
        y.backward(3)
    with pytest.raises(MXNetError, match="an array is needed, not int"):
        autograd.backward([1])
    y.backward()  # none of these spent the graph
    assert x.grad.asnumpy().tolist() == [2, 2]


def test_a_leaf_is_a_head_too() -> None:
    x = leaf(1, 2)
    x.backward()
    assert x.grad.asnumpy().tolist() == [1, 1]


def test_a_changed_input_is_an_error_that_names_the_writing_line() -> None:
    x = leaf(2)
    with autograd.record():
        y = x * x
    x[:] = 5  # the write that the message must name
    with pytest.raises(MXNetError, match=r"changed in place(.|\n)*test_autograd\.py:\d+"):
        finished_backward(y)


def finished_backward(head: nd.NDArray) -> None:
    head.backward()
    nd.waitall()


def test_a_recorded_copy_keeps_its_value_when_its_source_is_written() -> None:
    x = leaf(1, 2)
    with autograd.record():
        turned = x.expand_dims(0)
    x[:] = 100
    with autograd.record():
        y = turned * 3
    y.backward()
    assert y.asnumpy().tolist() == [[3, 6]]
    assert x.grad.asnumpy().tolist() == [3, 3]


def test_a_leaf_made_of_a_copy_keeps_its_value_when_the_source_is_written() -> None:
    x = nd.array([1, 2])
    turned = x.expand_dims(0)
    turned.attach_grad()
    x[:] = 100
    with autograd.record():
        y = turned * turned
    y.backward()
    assert turned.grad.asnumpy().tolist() == [[2, 4]]


WRITES = {
    "x[0]": lambda x, y: x[0].__setitem__(slice(None), 5),
    "x[1:]": lambda x, y: x[1:].__iadd__(1),
    "x[:, 0]": lambda x, y: x.__setitem__((slice(None), 0), 5),
    "x.reshape": lambda x, y: x.reshape((-1,)).__setitem__(0, 5),
    "x.detach": lambda x, y: x.detach().__imul__(2),
    "x +=": lambda x, y: x.__iadd__(1),
    "out=x": lambda x, y: nd.add(x, 1, out=x),
    "y[0]": lambda x, y: y.__setitem__(0, 5),
    "y +=": lambda x, y: y.__iadd__(1),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("engine", ["NaiveEngine", "LazyEngine"])
def test_writes_through_views_are_noticed_and_named(name: str, engine: str) -> None:
    before = mx.engine.set_type(engine)
    try:
        x = nd.array([[1, 2], [3, 4]])
        x.attach_grad()
        with autograd.record():
            y = nd.exp(x * x)
        line = WRITES[name].__code__.co_firstlineno
        WRITES[name](x, y)
        with pytest.raises(MXNetError, match=rf"changed in place(.|\n)*test_autograd\.py:{line}"):
            finished_backward(y)
    finally:
        mx.engine.set_type(before)


def test_a_change_that_the_gradient_does_not_need_is_fine() -> None:
    x = leaf(2)
    with autograd.record():
        y = x + 1
    x[:] = 5
    y.backward()
    assert x.grad.asscalar() == 1


def test_a_write_after_backward_does_not_disturb_it() -> None:
    x = leaf(2)
    with autograd.record():
        y = x * x
    y.backward()
    x[:] = 100
    assert x.grad.asscalar() == 4


def test_detach_and_stop_gradient_give_zero() -> None:
    x = leaf(3)
    with autograd.record():
        y = x * x.detach() + nd.stop_gradient(x * 100)
    y.backward()
    assert x.grad.asscalar() == 3
    x.grad[:] = 7
    with autograd.record():
        y = nd.stop_gradient(x * 2)
    y.backward()
    assert x.grad.asscalar() == 0


def test_attach_grad_inside_record_starts_a_new_leaf() -> None:
    x = leaf(2)
    with autograd.record():
        y = x * x
        y.attach_grad()
        z = y * 3
    z.backward()
    assert y.grad.asscalar() == 3
    assert x.grad.asscalar() == 0


def test_grad_returns_new_arrays_and_leaves_grad_alone() -> None:
    x = leaf(3)
    with autograd.record():
        y = x * x * x
    (found,) = autograd.grad(y, x)
    assert found.asscalar() == 27
    assert x.grad.asscalar() == 0


def test_second_derivatives() -> None:
    x = leaf(3)
    with autograd.record():
        y = x * x * x
        (first,) = autograd.grad(y, x, create_graph=True)
        total = first * 2
    total.backward()
    assert x.grad.asscalar() == 36


def test_mark_variables_uses_the_given_gradients() -> None:
    x, g = nd.array([2]), nd.array([0])
    autograd.mark_variables(x, g)
    with autograd.record():
        y = x * 5
    y.backward()
    assert g.asscalar() == 5
    assert x.grad is g


def test_marked_gradients_may_be_views_and_requests_differ() -> None:
    a, b, c = nd.array([1, 2]), nd.array([3, 4]), nd.array([5, 6])
    rows = nd.array([[7, 7], [8, 8], [9, 9]])
    autograd.mark_variables([a, b, c], [rows[0], rows[1], rows[2]], ["write", "add", "null"])
    for _ in range(2):
        with autograd.record():
            y = a * b * c
        y.backward()
    assert rows.asnumpy().tolist() == [[15, 24], [18, 32], [9, 9]]


def test_gradients_that_do_not_fit_their_variable_are_errors() -> None:
    x = nd.array([1, 2])
    with pytest.raises(ShapeError, match=r"gradient has shape \(3,\), the array \(2,\)"):
        autograd.mark_variables(x, nd.zeros(3))
    with pytest.raises(DTypeError, match="float64"):
        autograd.mark_variables(x, nd.zeros(2, dtype="float64"))
    with pytest.raises(MXNetError, match="2 variables, 1 gradients and 2 grad_reqs"):
        autograd.mark_variables([x, x], [nd.zeros(2)])
    with pytest.raises(MXNetError, match="grad_req must be one of"):
        autograd.mark_variables([x], [nd.zeros(2)], ["always"])
    assert x.grad is None


def test_gradients_share_storage_with_nothing() -> None:
    x, y = leaf(1, 2), nd.array([[3, 4]])
    y.attach_grad()
    seed = nd.array([1, 10])
    with autograd.record():
        z = x + y.reshape((2,))
    z.backward(seed)
    found = [x.grad, y.grad, seed]
    with autograd.record():
        z = x + y.reshape((2,))
    found += autograd.grad(z, [x, y], head_grads=seed)
    with autograd.record():
        z = x.sum()
    found += autograd.grad(z, x)
    for array in found:
        array[:] = 0
        array += 1
    assert [array.asnumpy().ravel().tolist() for array in found] == [[1, 1]] * 6


def test_gradients_are_on_the_context_of_their_array() -> None:
    x = nd.array([1.0], ctx=mx.cpu(1))
    x.attach_grad()
    with autograd.record():
        y = (x * 2).as_in_context(mx.cpu(0)) * 3
    y.backward()
    assert x.grad.context is mx.cpu(1)
    assert x.grad.asscalar() == 6


def test_views_are_heads_under_every_engine() -> None:
    for view in (lambda y: y[0:1], lambda y: y.reshape((-1,))):
        x = mx.nd.array([[1.0, 2.0], [3.0, 4.0]])
        x.attach_grad()
        with mx.autograd.record():
            head = view(x * 2)
        head.backward()
        wanted = [[2, 2], [2, 2]] if head.ndim == 1 else [[2, 2], [0, 0]]
        assert x.grad.asnumpy().tolist() == wanted


def test_heads_on_several_contexts_are_passes_of_their_own_unless_a_graph_joins_them() -> None:
    seen: list[str] = []
    engine = mx.engine.get()
    x, y = nd.array([2.0], ctx=mx.cpu(0)), nd.array([3.0], ctx=mx.cpu(1))
    for array in (x, y):
        array.attach_grad()
    engine.observe(lambda event: seen.append(event.name))
    try:
        for joined, passes in ((False, 2), (True, 1)):
            with autograd.record():
                other = x.as_in_context(mx.cpu(1)) if joined else y
                heads = [x * x, other * y]
            autograd.backward(heads)
            nd.waitall()
            assert seen.count("backward") == passes
            seen.clear()
            assert x.grad.item() == (7 if joined else 4)
            assert y.grad.item() == (2 if joined else 6)
    finally:
        engine.observe(None)


def test_several_heads_are_checked_before_any_pass_begins() -> None:
    x = nd.array([2.0])
    x.attach_grad()
    with autograd.record():
        y = x * x
    with pytest.raises(mx.MXNetError, match="cannot differentiate"):
        autograd.backward([y, nd.ones((1,), ctx=mx.cpu(1))])
    y.backward()
    assert x.grad.item() == 4
