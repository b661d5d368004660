"""Rules for shapes: broadcasting as torch does it, and no algebra system in a training program."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings, strategies as st

from regluon.base import ShapeError
from regluon.ops.infer import common_shape


SHAPES = st.lists(st.lists(st.sampled_from([0, 1, 2, 3]), max_size=3).map(tuple), max_size=4)


@settings(deadline=None)  # torch imports much on its first call
@given(SHAPES)
def test_shapes_are_broadcast_as_by_torch(shapes):
    try:
        expected = tuple(torch.broadcast_shapes(*shapes))
    except RuntimeError:
        with pytest.raises(ShapeError, match="cannot be broadcast together: axis -"):
            common_shape(shapes)
        return
    assert common_shape(shapes) == expected


PROGRAM = """
import sys
import regluon as mx
from regluon import autograd, gluon, nd, np
from regluon.gluon.model_zoo import vision

before = set(sys.modules)
mlp = gluon.nn.HybridSequential()
mlp.add(gluon.nn.Dense(8, activation="relu"), gluon.nn.Dropout(0.5), gluon.nn.LayerNorm())
for net, shape in [(vision.resnet18_v1(), (2, 3, 32, 32)), (mlp, (2, 5))]:
    net.initialize()
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "adam")
    metric = mx.metric.Accuracy()
    for _ in range(2):
        data, label = nd.random.uniform(shape=shape), nd.array([0, 1])
        with autograd.record():
            out = net(data)
            value = loss(out, label)
        value.backward()
        trainer.step(2)
        metric.update(label, out)
    metric.get()

w, u, h = np.ones((4, 3)), np.ones((3, 3)), np.zeros((2, 3))
for array in (w, u):
    array.attach_grad()
with autograd.record():
    for x in np.ones((5, 2, 4)):
        i, f, o = (1 / (1 + np.exp(-(np.dot(x, w) + h @ u))) for _ in range(3))
        h = o * np.tanh(f * h + i)
    attention = nd.batch_dot(nd.ones((2, 3, 4)), nd.ones((2, 5, 4)), transpose_b=True)
    total = (np.tensordot(h, h, axes=2) + np.inner(h, h)).mean()
total.backward()
mx.nd.waitall()
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("engine", ["NaiveEngine", "LazyEngine", "ThreadedEngine"])
def test_training_imports_nothing(engine, monkeypatch):
    """Torch's functions on tensors without storage would import an algebra system: a second."""
    monkeypatch.setenv("MXNET_ENGINE_TYPE", engine)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert [name for name in done.stdout.split() if not name.startswith("regluon")] == []
