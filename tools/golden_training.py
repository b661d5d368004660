"""Write `tests/golden/` for initializers, schedules, metrics and optimizers with MXNet 1.9.1.

    python tools/golden_training.py          (with a Python that has mxnet 1.9.1, not regluon)

The inputs of the metrics and optimizers are made by `tests/training_cases.py` on both sides.
"""

from pathlib import Path

import mxnet as mx
import numpy as onp


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


def main():
    """Write the files."""
    for name, arrays in (("initializer", initializers()),):
        onp.savez_compressed(GOLDEN / f"{name}.npz", **arrays)
        print(f"{(GOLDEN / f'{name}.npz').stat().st_size:6d} {name}.npz")


if __name__ == "__main__":
    main()
