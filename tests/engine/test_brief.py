"""What is short runs on the caller's thread, unless something unfinished stands in its way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import regluon as mx
from regluon import autograd, gluon, nd
from regluon.engine import ThreadedEngine, selection


@contextmanager
def busy(**settings: int) -> Iterator[threading.Event]:
    """Use an engine whose only core is taken until the event is set, at the latest at the end."""
    before = selection.selected.engine
    before.wait_all()
    engine, go = ThreadedEngine(cores=1, **settings), threading.Event()
    engine.push(go.wait, (), (), mx.cpu())
    selection.selected.engine = engine
    try:
        yield go
        go.set()
        engine.wait_all()
    finally:
        go.set()
        engine.stop()
        selection.selected.engine = before


def variable(*shape: int) -> nd.NDArray:
    x = nd.full(shape, 3)
    x.wait_to_read()
    x.attach_grad()
    return x


def squared(x: nd.NDArray) -> nd.NDArray:
    with autograd.record():
        return x * x


@pytest.mark.parametrize("rule", ["sgd", "adam"])
@pytest.mark.parametrize("hybrid", [False, True])
def test_all_of_a_small_networks_step_runs_at_once(rule: str, hybrid: bool) -> None:
    net = gluon.nn.Dense(4, in_units=8)
    net.initialize(mx.init.One())
    loss_of, accuracy = gluon.loss.SoftmaxCrossEntropyLoss(), mx.metric.Accuracy()
    if hybrid:
        net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), rule, {"learning_rate": 0.1})
    data, label = nd.ones((2, 8)), nd.array([0, 1])

    def step() -> nd.NDArray:
        with autograd.record():
            scores = net(data)
            loss = loss_of(scores, label)
        loss.backward()
        trainer.step(2)
        accuracy.update([label], [scores])
        return loss

    for _ in range(6):
        last = step()
        nd.waitall()
    before = net.weight.data().asnumpy()
    with busy():
        loss = step()
        touched = loss, net.weight.data(), net.weight.grad()
        assert all(array.settled() for array in touched)
        after = net.weight.data().asnumpy()
        assert accuracy.get()[1] > 0
    assert (before != after).any()
    assert loss.asnumpy().shape == last.shape


def test_a_large_backward_and_one_in_deterministic_mode_are_tasks() -> None:
    small, large = variable(3), variable(300, 300)
    with busy():
        y = squared(large)
        y.backward()
        assert large.grad.writer is not None
    with busy(fixed=1):
        squared(small).backward()
        assert small.grad.writer is not None
    assert small.grad.asnumpy().tolist() == [6, 6, 6]
    assert large.grad.asnumpy().max() == 6


def test_a_gradient_that_a_task_still_reads_is_written_after_it() -> None:
    x = variable(3)
    squared(x).backward()
    with busy():
        kept = nd.dot(nd.ones((3, 20_000)), nd.ones((20_000, 3))) * x.grad
        assert kept.writer is not None
        squared(x).backward(nd.array([2, 2, 2]))
        assert x.grad.writer is not None
    assert kept.asnumpy().tolist() == [[120_000] * 3] * 3
    assert x.grad.asnumpy().tolist() == [12, 12, 12]


def test_an_array_that_a_task_will_write_keeps_backward_from_starting() -> None:
    x = variable(3)
    with busy():
        y = squared(x)
        head = nd.dot(nd.ones((3, 20_000)), nd.ones((20_000, 1))).reshape((3,))
        y.backward(head)
        assert x.grad.writer is not None
    assert x.grad.asnumpy().tolist() == [120_000] * 3


def test_an_error_of_a_short_backward_is_raised_by_the_call_and_leaves_gradients_alone() -> None:
    x = variable(3)
    squared(x).backward()
    with busy():
        y = squared(x)
        x[:] = 1
        with pytest.raises(mx.base.MXNetError, match="was changed in place"):
            y.backward()
        assert x.grad.asnumpy().tolist() == [6, 6, 6]
