"""Networks and losses that MXNet 1.9.1 and regluon both run, and how a run is recorded.

`tools/golden_gluon.py` runs the table under MXNet and writes what came out to
`tests/golden/gluon.npz`; the tests of the files named here run it under regluon and compare. So
this file imports NumPy only, and both libraries are handed in as `mx`.
"""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as onp


GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "gluon.npz"


@dataclass(frozen=True)
class Case:
    """A network, by a function of `mx` and keyword arguments, and the shapes of its inputs."""

    file: str  # which file of the package it is about
    name: str
    build: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    numpy: bool = False  # under npx.set_np()
    indices: int = 0  # the first input holds numbers below this
    train: bool = True


def numbers(key: str, shape: tuple[int, ...], low: float = -1, high: float = 1) -> onp.ndarray:
    """Return numbers that depend on name and shape only."""
    random = onp.random.RandomState(zlib.crc32(key.encode()) % 2**31)
    return random.uniform(low, high, shape).astype("float32")


def layer(file: str, text: str, *shapes: tuple[int, ...], **options: Any) -> Case:
    """Return the case of one layer, given as Python source such as `Dense(3)`."""

    def build(mx: Any, **keywords: Any) -> Any:
        call = text[:-1] + (", " if not text.endswith("()") else "") + "**keywords)"
        return eval(call, {**vars(mx.gluon.nn), "keywords": keywords})

    axes = f" of {len(shapes[0])} axes" + " np" * bool(options.get("numpy"))
    return Case(file, text + axes, build, shapes, **options)


def mlp(mx: Any, **keywords: Any) -> Any:
    nn = mx.gluon.nn
    net = nn.HybridSequential(**keywords)
    with net.name_scope():
        net.add(nn.Dense(5, activation="relu"), nn.Dense(4, activation="tanh"), nn.Dense(2))
    return net


def convnet(mx: Any, **keywords: Any) -> Any:
    nn = mx.gluon.nn
    net = nn.HybridSequential(**keywords)
    with net.name_scope():
        stage = nn.HybridSequential(prefix="stage1_")
        with stage.name_scope():
            stage.add(nn.Conv2D(4, 3, padding=1, use_bias=False), nn.BatchNorm())
            stage.add(nn.Activation("relu"), nn.MaxPool2D(2))
        net.add(stage, nn.Conv2D(3, 1, activation="relu"), nn.BatchNorm(scale=False))
        net.add(nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dense(2))
    return net


def without_scope(mx: Any, **keywords: Any) -> Any:
    nn = mx.gluon.nn
    net = nn.HybridSequential(**keywords)
    net.add(nn.Dense(5, prefix="one_"), nn.Dense(2, prefix="two_"))
    return net


def shared(mx: Any, **keywords: Any) -> Any:
    nn = mx.gluon.nn
    net = nn.HybridSequential(**keywords)
    with net.name_scope():
        first = nn.Dense(4, in_units=4)
        net.add(first, nn.Dense(4, in_units=4, params=first.params), nn.Dense(2))
    return net


def residual(mx: Any, **keywords: Any) -> Any:
    """Blocks as attributes, `hybrid_forward` with functions and a parameter of its own."""
    nn = mx.gluon.nn

    class Residual(mx.gluon.HybridBlock):
        def __init__(self, channels: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            with self.name_scope():
                self.body = nn.HybridSequential(prefix="")
                self.body.add(nn.Dense(channels), nn.BatchNorm(), nn.Activation("relu"))
                self.extra = nn.Dense(channels, prefix="extra_")
                self.factor = self.params.get("factor", shape=(1,), init="ones")

        def hybrid_forward(self, F: Any, x: Any, factor: Any) -> Any:
            return F.broadcast_mul(self.extra(self.body(x) + x), factor)

    return Residual(4, **keywords)


def pair(mx: Any, **keywords: Any) -> Any:
    """A Block with two inputs and two outputs."""

    class Pair(mx.gluon.Block):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            with self.name_scope():
                self.left = mx.gluon.nn.Dense(3)
                self.right = mx.gluon.nn.Dense(3, in_units=2)

        def forward(self, a: Any, b: Any) -> Any:
            return self.left(a) + self.right(b), self.left(a) * 2

    return Pair(**keywords)


def function(mx: Any, **keywords: Any) -> Any:
    """`hybrid_forward` under NumPy semantics: F.np and F.npx."""

    class Function(mx.gluon.HybridBlock):
        def hybrid_forward(self, F: Any, x: Any) -> Any:
            return F.np.exp(F.npx.relu(x)) + F.np.sum(x)

    return Function(**keywords)


IMAGE, SERIES, VOLUME = (2, 3, 6, 6), (2, 3, 7), (2, 2, 4, 4, 4)

CASES = [
    layer("basic", "Dense(3)", (2, 4)),
    layer("basic", "Dense(3, activation='sigmoid')", (2, 3, 4)),
    layer("basic", "Dense(3, flatten=False, use_bias=False)", (2, 3, 4)),
    layer("basic", "Dense(3, in_units=4, weight_initializer='ones')", (2, 4)),
    layer("basic", "Dense(3, activation='relu')", (2, 4), numpy=True),
    layer("basic", "Dropout(0.5)", (2, 4), train=False),
    layer("basic", "Dropout(0.3, axes=(1,))", (2, 4), train=False),
    layer("basic", "Embedding(5, 3)", (2, 4), indices=5),
    layer("basic", "Embedding(5, 3)", (2, 4), indices=5, numpy=True),
    layer("basic", "Flatten()", (2, 3, 4)),
    layer("basic", "Flatten()", (2, 3, 4), numpy=True),
    *(layer("activation", f"Activation('{kind}')", (2, 5))
      for kind in ("relu", "sigmoid", "tanh", "softrelu", "softsign")),
    layer("activation", "Activation('tanh')", (2, 5), numpy=True),
    layer("activation", "LeakyReLU(0.1)", (2, 5)),
    layer("activation", "PReLU()", (2, 5)),
    layer("activation", "PReLU(in_channels=3)", IMAGE),
    layer("activation", "ELU(0.5)", (2, 5)),
    layer("activation", "SELU()", (2, 5), train=False),  # MXNet's gradient is wrong below zero
    layer("activation", "GELU()", (2, 5)),
    layer("activation", "Swish()", (2, 5)),
    layer("activation", "Swish(2.0)", (2, 5)),
    layer("conv", "Conv1D(4, 3)", SERIES),
    layer("conv", "Conv1D(4, 3, strides=2, padding=1, dilation=2, activation='relu')", SERIES),
    layer("conv", "Conv2D(4, 3)", IMAGE),
    layer("conv", "Conv2D(4, (3, 2), strides=(2, 1), padding=(1, 0), use_bias=False)", IMAGE),
    layer("conv", "Conv2D(6, 3, groups=3, in_channels=3, activation='relu')", IMAGE),
    layer("conv", "Conv2D(4, 3, dilation=2, padding=1)", IMAGE, numpy=True),
    layer("conv", "Conv3D(3, 2)", VOLUME),
    layer("conv", "Conv1DTranspose(4, 3, strides=2, output_padding=1)", SERIES),
    layer("conv", "Conv2DTranspose(4, 3, strides=2, padding=1)", IMAGE),
    layer("conv", "Conv2DTranspose(6, 2, groups=3, in_channels=3, use_bias=False)", IMAGE),
    layer("conv", "Conv3DTranspose(3, 2)", VOLUME),
    layer("pool", "MaxPool1D()", SERIES),
    layer("pool", "MaxPool2D()", IMAGE),
    layer("pool", "MaxPool2D(3, 2, 1, ceil_mode=True)", IMAGE),
    layer("pool", "MaxPool2D((2, 3), strides=1)", IMAGE, numpy=True),
    layer("pool", "MaxPool3D()", VOLUME),
    layer("pool", "ReflectionPad2D(2)", IMAGE),
    layer("pool", "AvgPool1D(3, padding=1)", SERIES),
    layer("pool", "AvgPool2D(3, 2, padding=1)", IMAGE),
    layer("pool", "AvgPool2D(3, 2, padding=1, count_include_pad=False)", IMAGE),
    layer("pool", "AvgPool3D((2, 2, 1))", VOLUME),
    *(layer("pool", f"Global{kind}Pool{rank}D()", shape)
      for kind in ("Max", "Avg") for rank, shape in enumerate((SERIES, IMAGE, VOLUME), 1)),
    layer("norm", "BatchNorm()", IMAGE),
    layer("norm", "BatchNorm()", (6, 3)),
    layer("norm", "BatchNorm(scale=False, momentum=0.8)", IMAGE),
    layer("norm", "BatchNorm(center=False, epsilon=0.01)", IMAGE),
    layer("norm", "BatchNorm(center=False, scale=False, in_channels=3)", IMAGE),
    layer("norm", "BatchNorm(use_global_stats=True)", IMAGE),
    layer("norm", "BatchNorm(axis=-1)", (4, 2, 3)),
    layer("norm", "BatchNorm()", IMAGE, numpy=True),
    layer("norm", "BatchNormReLU()", IMAGE),
    layer("norm", "LayerNorm()", (3, 5)),
    layer("norm", "LayerNorm(axis=1, scale=False)", (3, 5, 2)),
    layer("norm", "LayerNorm(in_channels=5)", (3, 5), numpy=True),
    layer("norm", "InstanceNorm(scale=True)", IMAGE),
    layer("norm", "InstanceNorm(axis=2)", (2, 4, 3)),
    layer("norm", "GroupNorm(2)", (2, 4, 3)),
    Case("container", "MLP", mlp, ((3, 4),)),
    Case("container", "MLP np", mlp, ((3, 4),), numpy=True),
    Case("container", "convolutional network", convnet, (IMAGE,)),
    Case("container", "prefixes without scope", without_scope, ((3, 4),)),
    Case("container", "shared weights", shared, ((3, 4),)),
    layer("container", "HybridLambda('tanh')", (2, 3)),
    layer("container", "Lambda('tanh')", (2, 3)),
    Case("hybrid", "residual", residual, ((3, 4),)),
    Case("hybrid", "function np", function, ((3, 4),), numpy=True),
    Case("block", "two inputs and outputs", pair, ((3, 4), (3, 2))),
]  # fmt: skip


def run(mx: Any, case: Case) -> dict[str, Any]:
    """Run a case: names, repr, outputs, gradients, and what training changes."""
    if case.numpy:
        mx.npx.set_np()
    space = mx.np if case.numpy else mx.nd
    net = case.build(mx, **({} if "Lambda" in case.name else {"prefix": "net_"}))
    # Under NumPy shapes MXNet shows an unknown length as -1, we always as None.
    found: dict[str, Any] = {} if case.numpy else {"repr before": repr(net)}
    net.initialize()
    inputs = [space.array(numbers(f"x{i}", shape)) for i, shape in enumerate(case.shapes)]
    if case.indices:
        places = numbers("i", case.shapes[0], 0, case.indices).astype("int32")
        inputs = [space.array(places, dtype="int32")]
    net(*inputs)
    found["repr"] = repr(net)
    params = net.collect_params()
    found["names"] = [[name, list(param.shape), param.grad_req] for name, param in params.items()]
    for name, param in params.items():
        param.set_data(space.array(numbers(name, param.shape, 0.1 if "var" in name else -1)))
    found["predicted"] = _listed(net(*inputs))
    if case.train:
        _train(mx, net, inputs if not case.indices else [], inputs, found)
    return found


def _train(mx: Any, net: Any, leaves: list[Any], inputs: list[Any], found: dict[str, Any]) -> None:
    for x in leaves:
        x.attach_grad()
    with mx.autograd.record():
        outputs = net(*inputs)
    heads = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    seeds = [_like(mx, y, f"seed{i}") for i, y in enumerate(heads)]
    mx.autograd.backward(heads, seeds)
    found["trained"] = _listed(outputs)
    found["input gradients"] = [x.grad.asnumpy() for x in leaves]
    for name, param in net.collect_params().items():
        if param.grad_req == "null" and not name.endswith("gamma"):
            # MXNet writes 1 to a gamma that is not used; we leave it alone.
            found[f"after {name}"] = [param.data().asnumpy()]
        elif param.grad_req != "null":
            found[f"gradient {name}"] = [param.grad().asnumpy()]


def _like(mx: Any, array: Any, key: str) -> Any:
    space = mx.np if isinstance(array, mx.np.ndarray) else mx.nd
    return space.array(numbers(key, array.shape))


def _listed(outputs: Any) -> list[onp.ndarray]:
    return [y.asnumpy() for y in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


# Losses: constructor, prediction, label, and the other arguments of the call.

CLASSES = onp.asarray([0, 2, 1, 2], "float32")
SCORES = numbers("scores", (4, 3), -2, 2)
YES_OR_NO = (numbers("yes", (4, 3)) > 0).astype("float32")
CHANCES = numbers("chances", (4, 3), 0.05, 0.95)
SHARES = CHANCES / CHANCES.sum(1, keepdims=True)
EACH = numbers("each", (4, 1), 0, 1)
MAP = numbers("map", (2, 3, 4, 5), -2, 2)
PLACES = (numbers("places", (2, 4, 5), 0, 3)).astype("int32").astype("float32")

LOSSES = [
    ("L2Loss()", SCORES, YES_OR_NO),
    ("L2Loss(weight=3.0, batch_axis=1)", SCORES, YES_OR_NO),
    ("L2Loss()", SCORES, YES_OR_NO, EACH),
    ("L2Loss()", SCORES, YES_OR_NO.reshape(-1)),
    ("L1Loss()", SCORES, YES_OR_NO),
    ("L1Loss(weight=0.5)", SCORES, YES_OR_NO, EACH),
    ("SigmoidBCELoss()", SCORES, YES_OR_NO),
    ("SigmoidBCELoss(weight=2)", SCORES, YES_OR_NO, EACH),
    ("SigmoidBCELoss()", SCORES, YES_OR_NO, None, numbers("pos", (1, 3), 1, 3)),
    ("SigmoidBCELoss(from_sigmoid=True)", CHANCES, YES_OR_NO),
    ("SigmoidBCELoss(from_sigmoid=True)", CHANCES, YES_OR_NO, EACH, numbers("pos", (1, 3), 1, 3)),
    ("SoftmaxCrossEntropyLoss()", SCORES, CLASSES),
    ("SoftmaxCELoss(weight=2.0)", SCORES, CLASSES, EACH),
    ("SoftmaxCELoss(axis=1)", MAP, PLACES),
    ("SoftmaxCELoss(axis=1, batch_axis=2)", MAP, PLACES),
    ("SoftmaxCELoss(axis=1)", MAP, PLACES, numbers("weights", (2, 1, 4, 5), 0, 1)),
    ("SoftmaxCELoss(sparse_label=False)", SCORES, SHARES),
    ("SoftmaxCELoss(sparse_label=False)", SCORES, SHARES, EACH),
    ("SoftmaxCELoss(from_logits=True)", onp.log(SHARES), CLASSES),
    ("SoftmaxCELoss(from_logits=True, sparse_label=False)", onp.log(SHARES), SHARES[::-1]),
    ("KLDivLoss()", onp.log(SHARES), SHARES[::-1]),
    ("KLDivLoss(from_logits=False, weight=0.5)", SCORES, SHARES, EACH),
    ("HuberLoss()", SCORES, YES_OR_NO),
    ("HuberLoss(rho=0.5)", SCORES, YES_OR_NO, EACH),
    ("HingeLoss()", SCORES, 2 * YES_OR_NO - 1),
    ("HingeLoss(margin=2)", SCORES, 2 * YES_OR_NO - 1, EACH),
    ("SquaredHingeLoss()", SCORES, 2 * YES_OR_NO - 1),
    ("LogisticLoss()", SCORES, 2 * YES_OR_NO - 1),
    ("LogisticLoss(label_format='binary')", SCORES, YES_OR_NO, EACH),
]
NUMPY_LOSSES = ("L2Loss", "L1Loss", "SigmoidBCELoss", "SoftmaxCELoss", "SoftmaxCrossEntropyLoss")


def loss_cases() -> list[tuple[str, int, bool]]:
    """Return a name, the row in `LOSSES`, and whether it runs under `npx.set_np()`."""
    rows = [(f"{row[0]} {i}", i, False) for i, row in enumerate(LOSSES)]
    known = [i for i, row in enumerate(LOSSES) if row[0].split("(")[0] in NUMPY_LOSSES]
    plain = [i for i in known if "batch_axis" not in LOSSES[i][0]]
    return rows + [(f"{LOSSES[i][0]} {i} np", i, True) for i in plain]


def run_loss(mx: Any, row: int, numpy: bool) -> dict[str, Any]:
    """Run a loss: its values, and the gradient of the prediction."""
    if numpy:
        mx.npx.set_np()
    space = mx.np if numpy else mx.nd
    text, *given = LOSSES[row]
    loss = eval(text, vars(mx.gluon.loss))
    arrays = [None if values is None else space.array(values) for values in given]
    arrays[0].attach_grad()
    with mx.autograd.record():
        value = loss(*arrays)
    mx.autograd.backward([value], [_like(mx, value, "seed")])
    return {
        "repr": repr(loss),
        "value": [value.asnumpy()],
        "gradient": [arrays[0].grad.asnumpy()],
    }


# The golden file


def write(path: Path, results: dict[str, dict[str, Any]]) -> None:
    """Write the results of all cases: text as JSON, all numbers in one array."""
    index: dict[str, Any] = {}
    numbers_: list[onp.ndarray] = []
    for case, found in results.items():
        index[case] = {}
        for key, value in found.items():
            if isinstance(value, list) and all(isinstance(v, onp.ndarray) for v in value):
                index[case][key] = {"shapes": [v.shape for v in value]}
                numbers_ += [v.astype("float32").ravel() for v in value]
            else:
                index[case][key] = value
    onp.savez_compressed(
        path,
        index=onp.frombuffer(json.dumps(index).encode(), "uint8"),
        numbers=onp.concatenate(numbers_),
    )


def read(path: Path = GOLDEN) -> dict[str, dict[str, Any]]:
    """Read what `write` wrote."""
    with onp.load(path) as stored:
        index = json.loads(stored["index"].tobytes())
        left = stored["numbers"]
    for found in index.values():
        for key, value in found.items():
            if isinstance(value, dict) and "shapes" in value:
                arrays = []
                for shape in value["shapes"]:
                    size = int(onp.prod(shape, dtype="int64"))
                    arrays.append(left[:size].reshape(shape))
                    left = left[size:]
                found[key] = arrays
    return index


def check(case: str, ours: dict[str, Any], golden: dict[str, dict[str, Any]]) -> None:
    """Compare our run with MXNet's: text and names equal, numbers to 1e-5 of the largest.

    Where the largest is next to nothing, terms of some tenths have cancelled out.
    """
    theirs = golden[case]
    assert set(ours) == set(theirs)
    for key, want in theirs.items():
        got = ours[key]
        if not (isinstance(want, list) and all(isinstance(v, onp.ndarray) for v in want)):
            assert got == want, key
            continue
        assert len(got) == len(want), key
        for mine, other in zip(got, want, strict=True):
            assert mine.shape == other.shape, key
            scale = max(float(onp.abs(other).max(initial=0)), 0.2)
            onp.testing.assert_allclose(mine, other, rtol=0, atol=1e-5 * scale, err_msg=key)


def of_file(file: str) -> list[Case]:
    """Return the cases about one file."""
    return [case for case in CASES if case.file == file]
