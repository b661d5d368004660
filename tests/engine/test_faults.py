"""What goes wrong in an asynchronous program: the error at every read, never garbage, never a hang.

The numbers are those of the list of fault cases that the engine was built for.
"""

import contextlib
import re
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as onp
import pytest

import regluon as mx
from regluon import autograd, gluon, nd


HERE = Path(__file__).name
LATE = ["LazyEngine", "ThreadedEngine"]


@pytest.fixture(params=LATE, autouse=True)
def engine(request):
    previous = mx.engine.set_type(request.param)
    yield request.param
    with contextlib.suppress(mx.MXNetError, ExceptionGroup):
        nd.waitall()
    mx.engine.set_type(previous)


def large(value: float = 1.0, shape: tuple[int, ...] = (200, 200)) -> nd.NDArray:
    """Return an array that is too large for operators to run on the caller's thread."""
    return nd.full(shape, value)


def bad_pick(rows: nd.NDArray) -> nd.NDArray:
    """Issue an operator that fails when it runs: row 999 does not exist."""
    return nd.take(rows, nd.full((200, 200), 999), axis=0)  # the faulty line


def bad_rows(rows: nd.NDArray) -> nd.NDArray:
    """Fail as well, with a result that has the shape of `rows`."""
    return nd.take(rows, nd.full((200,), 999), axis=0)


def test_1_2_a_failed_value_raises_at_every_read_and_so_do_its_siblings() -> None:
    failed = bad_pick(large())
    a, b = nd.split(failed, num_outputs=2, axis=0)
    for array in (a, b, a, b, failed):
        with pytest.raises(mx.MXNetError, match="999"):
            array.asnumpy()


def test_3_a_failed_array_that_is_overwritten_can_be_read_again() -> None:
    for overwrite in (
        lambda array: array.__setitem__(slice(None), 3.0),
        lambda array: nd.full(array.shape, 3.0, out=array),
        lambda array: large(3.0).copyto(array),
    ):
        target = large()
        nd.take(target, nd.full((200,), 999), axis=0, out=target)
        with pytest.raises(mx.MXNetError, match="999"):
            target.asnumpy()
        overwrite(target)
        assert target.asnumpy().min() == 3.0


def test_3_an_array_that_never_had_a_value_gets_one_when_all_of_it_is_written() -> None:
    for overwrite in (
        lambda array: array.__setitem__(slice(None), 3.0),
        lambda array: array.__setitem__(Ellipsis, large(3.0)),
        lambda array: nd.full(array.shape, 3.0, out=array),
        lambda array: large(3.0).copyto(array),
    ):
        failed = bad_rows(large())
        copy = failed.T
        overwrite(failed)
        with pytest.raises(mx.MXNetError, match="999"):
            copy.asnumpy()
        assert failed.asnumpy().min() == 3.0
        assert failed.asnumpy().max() == 3.0
        part = bad_rows(large())
        part[:100] = 3.0
        with pytest.raises(mx.MXNetError, match="999"):
            part.asnumpy()


def overwritten(overwrite: Callable[[], object], array: nd.NDArray) -> onp.ndarray:
    """Return what is read after a write."""
    overwrite()
    return array.asnumpy()


def test_3_a_view_of_an_array_that_never_had_a_value_cannot_be_written_by_any_engine() -> None:
    failed = bad_rows(large())
    view = failed[:200]
    with pytest.raises(mx.MXNetError, match="999"):
        nd.waitall()
    for name in ("NaiveEngine", *LATE):
        mx.engine.set_type(name)
        for overwrite in (
            lambda: view.__setitem__(slice(None), 3.0),
            lambda: nd.full(view.shape, 3.0, out=view),
            lambda: large(3.0).copyto(view),
        ):
            with pytest.raises(mx.MXNetError, match="999"):
                overwritten(overwrite, view)
            with contextlib.suppress(mx.MXNetError):
                nd.waitall()


def test_3_an_array_that_a_failed_value_is_assigned_to_keeps_its_own() -> None:
    weight = large(2.0)
    weight[:] = weight - bad_rows(weight)
    with pytest.raises(mx.MXNetError, match="999"):
        weight.wait_to_read()
    assert weight.asnumpy().min() == 2.0


def test_a_function_of_the_user_is_not_told_of_another_failure() -> None:
    weight, other, seen = large(2.0), large(1.0), []
    weight += bad_rows(weight)
    mx.engine.push(lambda: seen.append(other.asnumpy().max()), [other], [])
    with pytest.raises(mx.MXNetError, match="999"):
        nd.waitall()
    assert seen == [1.0]


def test_a_small_operator_on_finished_arrays_is_not_told_of_another_failure() -> None:
    weight, small = large(2.0), nd.ones((3,))
    weight += bad_rows(weight)
    mx.engine.get().finish()
    small[0:1] = 5
    with pytest.raises(mx.MXNetError, match="999"):
        nd.waitall()
    assert small.asnumpy().tolist() == [5, 1, 1]


def test_4_the_message_names_the_line_that_issued_the_operator_and_the_one_that_read_it() -> None:
    failed = bad_pick(large())
    with pytest.raises(mx.MXNetError) as caught:
        failed.asnumpy()  # the reading line
    lines = Path(__file__).read_text().splitlines()
    text = str(caught.value)
    for mark in ("the faulty line", "the reading line"):
        (number,) = [n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}")]
        assert f"{HERE}:{number}" in text
    assert "[200, 200]" in text


def test_4_the_message_names_the_block() -> None:
    class Head(gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.take(x, x * 0 + 999, axis=0)

    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(200), Head())
    net.initialize()
    with pytest.raises(mx.MXNetError, match="Head"):
        net(large()).asnumpy()


def test_5_what_needs_a_failed_value_does_not_run_and_the_rest_does() -> None:
    failed = bad_pick(large())
    dependent = failed + 1
    independent = large(2.0) * 3
    assert independent.asnumpy().max() == 6
    with pytest.raises(mx.MXNetError, match="999"):
        dependent.asnumpy()


def test_6_several_failures_come_together_from_waitall() -> None:
    kept = [bad_pick(large()) for _ in range(3)]
    with pytest.raises(ExceptionGroup) as caught:
        nd.waitall()
    assert len(caught.value.exceptions) == len(kept)
    nd.waitall()


SGD = ("sgd", {"learning_rate": 0.1, "momentum": 0.9})
ADAM = ("adam", {"learning_rate": 0.1})


def trained(
    bad_step: int | None, optimizer: tuple[str, dict[str, float]], *, reading: bool = True
) -> dict[str, onp.ndarray]:
    """Train for five steps; a bad label in one of them is caught, at once if `reading`."""
    mx.random.seed(3)
    net = gluon.nn.Dense(150, in_units=150)
    net.initialize(mx.init.Normal(0.1))
    trainer = gluon.Trainer(net.collect_params(), *optimizer)
    loss_fn = gluon.loss.SoftmaxCrossEntropyLoss()
    x = nd.array(onp.random.RandomState(1).rand(150, 150))
    for step in range(5):
        label = nd.array(onp.arange(150) % 150)
        if step == 2:
            if bad_step is None:
                continue
            label[7] = 150
        bad = step == bad_step and reading
        expected = pytest.raises(mx.MXNetError, match="150") if bad else nullcontext()
        with expected:
            with autograd.record():
                loss = loss_fn(net(x), label)
            loss.backward()
            trainer.step(150)
            if reading:
                loss.asnumpy()
    if bad_step is not None and not reading:
        with pytest.raises(mx.MXNetError, match="150"):
            nd.waitall()
    return {name: p.data().asnumpy() for name, p in net.collect_params().items()}


@pytest.mark.parametrize("optimizer", [SGD, ADAM])
@pytest.mark.parametrize("reading", [True, False])
def test_7_a_bad_label_that_is_caught_leaves_the_training_as_if_that_step_was_not(
    optimizer: tuple[str, dict[str, float]], reading: bool
) -> None:
    without, with_bad = trained(None, optimizer), trained(2, optimizer, reading=reading)
    for want, found in zip(without.values(), with_bad.values(), strict=True):
        onp.testing.assert_array_equal(found, want)


def test_7_the_saved_count_of_updates_leaves_a_failed_one_out() -> None:
    adam = mx.optimizer.Adam()
    updater = mx.optimizer.get_updater(adam)
    weight = large()
    for grad in (large(), bad_rows(large()), large()):
        updater(0, grad, weight)
    with pytest.raises(mx.MXNetError, match="999"):
        nd.waitall()
    assert adam.settings()["counts"] == [(0, 2)]


def test_7_a_failure_in_backward_leaves_the_parameters_and_is_told_at_the_next_wait() -> None:
    net = gluon.nn.Dense(150, in_units=150)
    net.initialize()
    trainer = gluon.Trainer(net.collect_params(), "sgd")
    before = net.weight.data().asnumpy()
    with autograd.record():
        y = net(large(shape=(150, 150)))
        y = nd.take(y, nd.full((150, 150), 999), axis=0)
    y.backward()
    trainer.step(1)
    with pytest.raises(mx.MXNetError, match="999"):
        net.weight.data().wait_to_read()
    assert onp.array_equal(net.weight.data().asnumpy(), before)


def test_7_a_failed_step_is_told_before_the_parameters_are_saved(tmp_path: Path) -> None:
    net = gluon.nn.Dense(150, in_units=150)
    net.initialize()
    trainer = gluon.Trainer(net.collect_params(), "sgd")
    with autograd.record():
        y = nd.take(net(large(shape=(150, 150))), nd.full((150, 150), 999), axis=0)
    y.backward()
    trainer.step(1)
    with pytest.raises(mx.MXNetError, match="999"):
        net.save_parameters(str(tmp_path / "net.params"))
    net.save_parameters(str(tmp_path / "net.params"))


def test_13_an_operator_without_enough_memory_fails_alone() -> None:
    with pytest.raises(mx.MXNetError, match=re.compile("memory", re.IGNORECASE)):
        (nd.zeros((10**7, 10**7)) + 1).wait_to_read()
    assert (nd.ones((3,)) + 1).asnumpy().tolist() == [2, 2, 2]
    assert (large() + 1).asnumpy().max() == 2


def test_14_a_thread_that_waits_for_an_array_which_another_one_writes_goes_on() -> None:
    array, seen = large(0.0), []

    def write() -> None:
        for _ in range(50):
            array[:] = array + 1

    def read() -> None:
        for _ in range(50):
            seen.append(float(array.asnumpy().max()))

    people = [threading.Thread(target=write), threading.Thread(target=read)]
    for person in people:
        person.start()
    for person in people:
        person.join(timeout=40)
    assert not any(person.is_alive() for person in people)
    assert array.asnumpy().min() == 50
    assert seen == sorted(seen)
