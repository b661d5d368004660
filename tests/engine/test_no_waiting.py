"""A training loop blocks only where a value is read: every step is issued before anything runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as onp
import pytest

import regluon as mx
from regluon import autograd, gluon, nd
from regluon.engine import selection
from regluon.engine.engine import Engine
from regluon.engine.lazy import LazyEngine
from regluon.engine.threaded import ThreadedEngine


ONE, TWO = [mx.cpu()], [mx.cpu(0), mx.cpu(1)]
STEPS, ROWS = 3, 8


Patch = pytest.MonkeyPatch


def forbid(patch: Patch, engine: Engine, name: str, waits: Callable[..., bool]) -> None:
    """Let a method of the engine fail where it `waits` on this thread."""
    method, here = getattr(engine, name), threading.get_ident()

    def refused(*args: object, **kwargs: object) -> None:
        assert threading.get_ident() != here or not waits(*args), f"{name} in the loop"
        method(*args, **kwargs)

    patch.setattr(engine, name, refused)


@contextmanager
def held_lazy() -> Iterator[Engine]:
    """Give an engine on which nothing may be waited for."""
    engine = LazyEngine()
    with Patch.context() as patch:
        forbid(patch, engine, "wait_for_var", lambda var: var.writer is not None)
        for name in ("wait_all", "finish"):
            forbid(patch, engine, name, lambda: True)
        yield engine


@contextmanager
def held_threaded() -> Iterator[Engine]:
    """Give an engine that computes nothing, since its only core is taken, nor may be waited for."""
    engine, go = ThreadedEngine(cores=1), threading.Event()
    engine.small = engine.direct = -1  # nothing is short enough for the caller's thread
    engine.push(go.wait, (), (), mx.cpu())
    try:
        with Patch.context() as patch:
            for name in ("_await", "_drain"):
                forbid(patch, engine, name, lambda *args: True)
            yield engine
    finally:
        go.set()


@contextmanager
def held(kind: Callable[[], AbstractContextManager[Engine]]) -> Iterator[None]:
    """Use such an engine in the body of a `with`; afterwards everything is run on it."""
    before = selection.selected.engine
    before.wait_all()
    try:
        with kind() as engine:
            selection.selected.engine = engine
            yield
        engine.wait_all()
    finally:
        engine.stop()
        selection.selected.engine = before


def convolutional() -> gluon.nn.HybridSequential:
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(4, 3, activation="relu"),
        gluon.nn.BatchNorm(),
        gluon.nn.MaxPool2D(),
        gluon.nn.Dropout(0.3),
        gluon.nn.Flatten(),
        gluon.nn.Dense(8),
        gluon.nn.LayerNorm(),
        gluon.nn.PReLU(),
        gluon.nn.Dense(3),
    )
    return net


def issue(net, contexts, trainer, metrics, batch, step: int) -> list[nd.NDArray]:
    """Issue one training step on a batch from a loader."""
    data, labels = (gluon.utils.split_and_load(part, contexts) for part in batch)
    with autograd.record():
        scores = [net(part) for part in data]
        loss = gluon.loss.SoftmaxCrossEntropyLoss()
        losses = [loss(*pair) for pair in zip(scores, labels, strict=True)]
    if step % 2:
        autograd.backward(losses)
    else:
        for value in losses:
            value.backward()
    trained = [p for p in net.collect_params().values() if p.grad_req != "null"]
    for ctx in contexts:
        gluon.utils.clip_global_norm([p.grad(ctx) for p in trained], 5.0, check_isfinite=False)
    trainer.step(ROWS)
    metrics[0].update(labels, scores)
    metrics[1].update(None, losses)
    assert scores[0].reshape((0, -1)).shape == (ROWS // len(contexts), 3)
    assert trainer.learning_rate > 0
    if trained[0].grad_req == "add":
        net.collect_params().zero_grad()
    return losses


CASES = {
    "sgd": (ONE, "sgd", {"momentum": 0.9, "wd": 1e-4, "clip_gradient": 1.0}, {}, "write"),
    "adam": (ONE, "adam", {"learning_rate": 1e-3}, {}, "add"),
    "two contexts": (TWO, "sgd", {"momentum": 0.9}, {}, "write"),
    "local": (TWO, "adam", {"learning_rate": 1e-3}, {"kvstore": "local"}, "write"),
    "halves": (TWO, "sgd", {"learning_rate": 0.1}, {"update_on_kvstore": False}, "write"),
}


@pytest.mark.parametrize("kind", [held_lazy, held_threaded])
@pytest.mark.parametrize("case", CASES)
def test_a_training_loop_blocks_only_where_a_value_is_read(case, kind) -> None:
    contexts, rule, options, store, request = CASES[case]
    net = convolutional()
    net.initialize(ctx=contexts)
    seen: list[tuple[int, ...]] = []
    net[0].register_forward_hook(lambda block, inputs, output: seen.append(output.shape))
    if "learning_rate" not in options:
        options = {**options, "lr_scheduler": mx.lr_scheduler.FactorScheduler(2, 0.5, base_lr=0.1)}
    metrics = mx.metric.Accuracy(), mx.metric.Loss()
    images = onp.random.default_rng(0).random((ROWS * (STEPS + 1), 1, 8, 8), "float32")
    data = gluon.data.ArrayDataset(images, onp.arange(len(images)) % 3)
    batches = iter(gluon.data.DataLoader(data, batch_size=ROWS, num_workers=1))
    first = next(batches)
    net(gluon.utils.split_and_load(first[0], contexts)[0])  # initializes what waited for shapes
    net.collect_params().setattr("grad_req", request)
    trainer = gluon.Trainer(net.collect_params(), rule, options, **store)
    issue(net, contexts, trainer, metrics, first, 0)
    with held(kind):
        for step, batch in enumerate(batches):
            last = issue(net, contexts, trainer, metrics, batch, step)
        assert all(value.writer is not None for value in last)
    assert len(seen) == 1 + (1 + STEPS) * len(contexts)
    assert 0 <= metrics[0].get()[1] <= 1
    assert metrics[1].get()[1] > 0


@pytest.mark.parametrize("kind", [held_lazy, held_threaded])
def test_reading_a_value_in_the_loop_is_noticed(kind) -> None:
    x = nd.ones((300, 300))
    with held(kind):
        y = nd.dot(x, x)
        with pytest.raises(AssertionError, match="in the loop"):
            y.asnumpy()
    assert y.asnumpy().max() == 300
