"""Run the networks of `tests/gluon/cases.py` under MXNet 1.9.1 and write `tests/golden/gluon*`.

    python tools/golden_gluon.py          (with a Python that has mxnet 1.9.1, not regluon)

Beside the numbers it writes small `.params` files in every way that MXNet 1.9.1 names parameters.
"""

import sys
import warnings
from pathlib import Path

import mxnet as mx


ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.gluon.cases import (  # noqa: E402
    CASES,
    GOLDEN,
    convnet,
    loss_cases,
    numbers,
    run,
    run_loss,
    write,
)


def results():
    """Return what every case gives."""
    found = {}
    for case in CASES:
        found[f"{case.file}: {case.name}"] = run(mx, case)
        mx.npx.reset_np()
    for name, row, numpy in loss_cases():
        found[f"loss: {name}"] = run_loss(mx, row, numpy)
        mx.npx.reset_np()
    return found


def parameter_files(folder: Path) -> None:
    """Save one network by structural names, full names, names without prefix, and exported."""
    net = convnet(mx, prefix="net_")
    net.initialize()
    x = mx.nd.array(numbers("x0", (2, 3, 6, 6)))
    net(x)
    for name, param in net.collect_params().items():
        param.set_data(mx.nd.array(numbers(name, param.shape, 0.1)))
    net.save_parameters(str(folder / "gluon_structural.params"))
    net.collect_params().save(str(folder / "gluon_full.params"))
    net.save_params(str(folder / "gluon_stripped.params"))
    net.hybridize()
    net(x)
    net.export(str(folder / "gluon_exported"))
    (folder / "gluon_exported-0000.params").rename(folder / "gluon_exported.params")
    (folder / "gluon_exported-symbol.json").unlink()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    write(GOLDEN, results())
    parameter_files(GOLDEN.parent)
