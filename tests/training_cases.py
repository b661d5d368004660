"""Cases that MXNet and regluon run alike: schedules, metrics, optimizers. Needs only NumPy."""

from typing import Any, NamedTuple

import numpy as onp


UPDATES = range(41)

SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "factor": ("FactorScheduler", {"step": 7, "factor": 0.6, "base_lr": 0.3}),
    "factor_stops": (
        "FactorScheduler",
        {"step": 3, "factor": 0.1, "base_lr": 0.5, "stop_factor_lr": 1e-3},
    ),
    "factor_warms_up": (
        "FactorScheduler",
        {"step": 4, "factor": 0.5, "base_lr": 0.8, "warmup_steps": 9, "warmup_begin_lr": 0.1},
    ),
    "multi": ("MultiFactorScheduler", {"step": [3, 10, 11], "factor": 0.3, "base_lr": 0.2}),
    "multi_waits": (
        "MultiFactorScheduler",
        {
            "step": [5, 12],
            "factor": 0.5,
            "base_lr": 0.4,
            "warmup_steps": 8,
            "warmup_begin_lr": 0.05,
            "warmup_mode": "constant",
        },
    ),
    "poly": ("PolyScheduler", {"max_update": 30, "base_lr": 0.7, "pwr": 2}),
    "poly_warms_up": (
        "PolyScheduler",
        {"max_update": 30, "base_lr": 0.7, "pwr": 0.9, "final_lr": 0.01, "warmup_steps": 6},
    ),
    "cosine": ("CosineScheduler", {"max_update": 30, "base_lr": 0.7, "final_lr": 0.02}),
    "cosine_warms_up": (
        "CosineScheduler",
        {"max_update": 35, "base_lr": 0.7, "warmup_steps": 5, "warmup_begin_lr": 0.2},
    ),
}


def _draws(seed: int) -> onp.random.RandomState:
    return onp.random.RandomState(seed)


def _probabilities(rng: onp.random.RandomState, rows: int, classes: int) -> onp.ndarray:
    raw = rng.rand(rows, classes).astype("float32") + 0.05
    return raw / raw.sum(axis=1, keepdims=True)


def class_batches(classes: int, batches: int = 3) -> list[tuple[list, list]]:
    """Return batches of two pairs each: class labels and probabilities."""
    rng = _draws(classes)
    found = []
    for _ in range(batches):
        labels = [rng.randint(0, classes, size=n).astype("float32") for n in (6, 3)]
        found.append((labels, [_probabilities(rng, len(label), classes) for label in labels]))
    return found


def number_batches(shape: tuple[int, ...], batches: int = 3) -> list[tuple[list, list]]:
    """Return batches of two pairs each: numbers and predictions of them."""
    rng = _draws(len(shape))
    return [
        ([rng.randn(*shape).astype("float32")] * 2, [rng.randn(*shape).astype("float32")] * 2)
        for _ in range(batches)
    ]


def map_batches() -> list[tuple[list, list]]:
    """Return batches of label maps (samples, height, width) and scores with classes on axis 1."""
    rng = _draws(4)
    return [
        ([rng.randint(0, 4, size=(2, 3, 5)).astype("int32")], [rng.rand(2, 4, 3, 5)])
        for _ in range(2)
    ]


def index_batches() -> list[tuple[list, list]]:
    """Return batches whose predictions are class indices."""
    rng = _draws(5)
    return [([rng.randint(0, 3, 8).astype("float32")], [rng.randint(0, 3, 8).astype("float32")])]


METRICS: dict[str, tuple[str, dict[str, Any], list[tuple[list, list]]]] = {
    "accuracy": ("acc", {}, class_batches(5)),
    "accuracy_of_maps": ("accuracy", {"axis": 1}, map_batches()),
    "accuracy_of_indices": ("accuracy", {}, index_batches()),
    "top_k": ("top_k_accuracy", {"top_k": 3}, class_batches(5)),
    "top_more_than_there_are": ("top_k_acc", {"top_k": 9}, class_batches(10)),
    "f1_macro": ("f1", {}, class_batches(2)),
    "f1_micro": ("f1", {"average": "micro"}, class_batches(2)),
    "mae": ("mae", {}, number_batches((7,))),
    "mse": ("mse", {"name": "squared"}, number_batches((4, 3))),
    "rmse": ("rmse", {}, number_batches((4, 3))),
    "cross_entropy": ("ce", {}, class_batches(5)),
    "cross_entropy_eps": ("crossentropy", {"eps": 0.01}, class_batches(5)),
    "likelihood": ("nll_loss", {}, class_batches(5)),
    "perplexity": ("perplexity", {"ignore_label": None}, class_batches(5)),
    "perplexity_ignores": ("perplexity", {"ignore_label": 2}, class_batches(5)),
    "loss": ("loss", {}, number_batches((4, 3))),
}


class Training(NamedTuple):
    """An optimizer's run: ten steps of a Trainer on three Parameters with given gradients."""

    optimizer: str
    settings: dict[str, Any]
    schedule: str = ""
    dtype: str = "float32"
    factors: bool = False  # give the Parameters lr_mult and wd_mult
    contexts: int = 1


SHAPES = {"a_weight": (3, 4), "b_bias": (4,), "c_weight": (2, 3, 2, 2)}
FACTORS = {"a_weight": (0.5, 2.0), "b_bias": (2.0, 0.0), "c_weight": (1.0, 1.0)}
STEPS = 10
BATCH = 4
ROUND = {"learning_rate": 0.125, "momentum": 0.75, "wd": 0.0625, "clip_gradient": 0.25}

TRAININGS = {
    "sgd": Training("sgd", {"learning_rate": 0.1}),
    "sgd_decay": Training("sgd", {"learning_rate": 0.1, "wd": 0.03}),
    "sgd_momentum": Training("sgd", {"learning_rate": 0.1, "momentum": 0.9}),
    "sgd_clip": Training("sgd", {"learning_rate": 0.1, "wd": 0.03, "clip_gradient": 0.2}),
    "sgd_all": Training(
        "sgd",
        {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.03, "clip_gradient": 0.2},
        factors=True,
    ),
    "sgd_rescaled": Training("sgd", {"learning_rate": 0.1, "rescale_grad": 0.5, "wd": 0.03}),
    "sgd_factor": Training("sgd", {"momentum": 0.9}, schedule="factor"),
    "sgd_cosine": Training("sgd", {"momentum": 0.9}, schedule="cosine_warms_up", factors=True),
    "sgd_double": Training("sgd", ROUND, dtype="float64", factors=True),
    "sgd_plain_double": Training("sgd", {"learning_rate": 0.125}, dtype="float64"),
    "sgd_two_contexts": Training("sgd", {"learning_rate": 0.1, "momentum": 0.9}, contexts=2),
    "adam": Training("adam", {}),
    "adam_rate": Training("adam", {"learning_rate": 0.05, "wd": 0.1}),
    "adam_all": Training(
        "adam",
        {"learning_rate": 0.05, "wd": 0.1, "clip_gradient": 0.2, "beta1": 0.8, "epsilon": 1e-4},
        factors=True,
    ),
    "adam_late": Training("adam", {"learning_rate": 0.05, "begin_num_update": 100}),
    "adam_poly": Training("adam", {"learning_rate": 0.7}, schedule="poly"),
    "adam_two_contexts": Training("adam", {"learning_rate": 0.05}, contexts=2),
}


def first_weights(dtype: str) -> dict[str, onp.ndarray]:
    """Return what the Parameters hold at the beginning."""
    rng = _draws(7)
    return {name: rng.randn(*shape).astype(dtype) for name, shape in SHAPES.items()}


def gradients(dtype: str, place: int) -> list[dict[str, onp.ndarray]]:
    """Return the gradients of every step on one of the contexts."""
    rng = _draws(11 + place)
    return [
        {name: rng.randn(*shape).astype(dtype) for name, shape in SHAPES.items()}
        for _ in range(STEPS)
    ]


def train(mx: Any, case: Training) -> dict[str, onp.ndarray]:
    """Return the weights after the steps; `mx` is MXNet or regluon."""
    contexts = [mx.cpu(place) for place in range(case.contexts)]
    params = {
        name: mx.gluon.Parameter(name, shape=s, dtype=case.dtype) for name, s in SHAPES.items()
    }
    for name, value in first_weights(case.dtype).items():
        params[name].initialize(mx.init.Zero(), ctx=contexts)
        params[name].set_data(mx.nd.array(value, dtype=case.dtype))
        if case.factors:
            params[name].lr_mult, params[name].wd_mult = FACTORS[name]
    settings = dict(case.settings)
    if case.schedule:
        kind, arguments = SCHEDULES[case.schedule]
        settings["lr_scheduler"] = getattr(mx.lr_scheduler, kind)(**arguments)
    trainer = mx.gluon.Trainer(params, case.optimizer, settings)
    given = [gradients(case.dtype, place) for place in range(case.contexts)]
    for step in range(STEPS):
        losses = []
        with mx.autograd.record():
            for place, ctx in enumerate(contexts):
                for name, param in params.items():
                    factor = mx.nd.array(given[place][step][name], ctx=ctx, dtype=case.dtype)
                    losses.append((param.data(ctx) * factor).sum())
        mx.autograd.backward(losses)
        trainer.step(BATCH)
    return {name: param.data(contexts[-1]).asnumpy() for name, param in params.items()}
