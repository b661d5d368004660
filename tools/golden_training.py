"""Write `tests/golden/` for initializers, schedules, metrics and optimizers with MXNet 1.9.1.

    python tools/golden_training.py          (with a Python that has mxnet 1.9.1, not regluon)

The inputs of the metrics and optimizers are made by `tests/training_cases.py` on both sides.
"""

import sys
from pathlib import Path

import mxnet as mx
import numpy as onp


sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.training_cases import METRICS, SCHEDULES, TRAININGS, UPDATES, train


GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"


def filled(init, shape, name="layer0_weight"):
    """Return what an initializer puts into an array of that name."""
    array = mx.nd.zeros(shape)
    init(mx.init.InitDesc(name), array)
    return array.asnumpy()


def initializers():
    """Return drawn and fixed values, those that names decide, and `dumps` texts."""
    init = mx.init
    mx.random.seed(1)
    kernel = (40, 20, 3, 1)
    found = {
        "uniform": filled(init.Uniform(0.3), (40, 60)),
        "normal": filled(init.Normal(0.3), (40, 60)),
        "xavier": filled(init.Xavier(), (40, 60)),
        "xavier_in": filled(init.Xavier("gaussian", "in", 2), kernel),
        "xavier_out": filled(init.Xavier("uniform", "out", 2), kernel),
        "msraprelu": filled(init.MSRAPrelu("out", 0.1), kernel),
        "zero": filled(init.Zero(), (2, 3)),
        "one": filled(init.One(), (2, 3)),
        "constant": filled(init.Constant(2.5), (2, 3)),
        "bilinear": filled(init.Bilinear(), (2, 1, 3, 4)),
        "bilinear_odd": filled(init.Bilinear(), (1, 2, 5, 5)),
        "lstm_bias": filled(init.LSTMBias(2.0), (8,)),
    }
    for ending in ("bias", "gamma", "beta", "min", "max"):
        found[f"name_{ending}"] = filled(init.Normal(), (2,), f"layer0_{ending}")
    described = [init.Normal(0.5), init.Zero(), init.MSRAPrelu("in"), init.Constant(onp.ones(2))]
    for each in described:
        found[f"dumps_{type(each).__name__.lower()}"] = each.dumps()
    return found


def schedules():
    """Return the rates of every schedule for all updates in turn."""
    found = {}
    for key, (kind, arguments) in SCHEDULES.items():
        schedule = getattr(mx.lr_scheduler, kind)(**arguments)
        found[key] = onp.array([schedule(update) for update in UPDATES])
    return found


def metrics():
    """Return, for every metric, its value after each batch, forgetting the first ones once."""
    found = {}
    for key, (kind, arguments, batches) in METRICS.items():
        metric = mx.metric.create(kind, **arguments)
        values = []
        for labels, preds in batches:
            metric.update([mx.nd.array(x) for x in labels], [mx.nd.array(x) for x in preds])
            values.append(metric.get()[1])
        found[key] = onp.array(values)
        found[f"name_{key}"] = metric.get()[0]
    return found


def trainings():
    """Return the weights of every run."""
    found = {}
    for key, case in TRAININGS.items():
        for name, value in train(mx, case).items():
            found[f"{key}/{name}"] = value
    return found


FILES = {
    "initializer": initializers,
    "lr_scheduler": schedules,
    "metric": metrics,
    "optimizer": trainings,
}


def main():
    """Write the files."""
    for name, make in FILES.items():
        arrays = make()
        onp.savez_compressed(GOLDEN / f"{name}.npz", **arrays)
        print(f"{(GOLDEN / f'{name}.npz').stat().st_size:6d} {name}.npz")


if __name__ == "__main__":
    main()
