"""Run the PyPI package efficientnet-lite-pytorch 0.1.0 and write tests/golden/efficientnet.npz.

    python tools/golden_efficientnet.py

Needs that package beside `regluon[demo]`; its weights are random but for those of Lite0, which are
the published ones. Inputs and random weights are those of tests/gluon/model_zoo/seeded.py.
"""

import json
import sys
from pathlib import Path

import numpy as onp
import torch
from efficientnet_lite_pytorch import EfficientNet


ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "tests" / "golden" / "efficientnet.npz"
sys.path.insert(0, str(ROOT))

from regluon.gluon.model_zoo.store import pretrained_tensors  # noqa: E402
from tests.gluon.model_zoo import seeded  # noqa: E402
from tests.gluon.model_zoo.pictures import photos  # noqa: E402


def reference(number, size, **override):
    """Return the reference network for pictures of (height, width), with seeded weights."""
    net = EfficientNet.from_name(f"efficientnet-lite{number}", image_size=list(size), **override)
    names = {name: value.shape for name, value in net.state_dict().items() if value.dim()}
    values = {name: torch.from_numpy(value) for name, value in seeded.weights(names).items()}
    net.load_state_dict(values, strict=False)
    return net.eval()


def shapes(number):
    """Return the parameters of a network in the order of their names."""
    state = reference(number, (64, 64)).state_dict()
    return sorted((name, value.shape, "") for name, value in state.items() if value.dim())


def projection(name, tensor):
    """Return one number that depends on every element of a gradient."""
    return (tensor * torch.from_numpy(seeded.normal(name, tensor.shape))).sum().item()


def training(results):
    """Record a training pass without dropout: logits, gradients, running means.

    In float64, for the gradients of so deep a network with so small a batch lose three digits.
    """
    height, width = seeded.LITE_TRAINING[2:]
    net = reference(0, (height, width), drop_connect_rate=0.0, dropout_rate=0.0).train().double()
    out = net(torch.from_numpy(seeded.normal("training", seeded.LITE_TRAINING)).double())
    (out * torch.from_numpy(seeded.normal("head", out.shape))).sum().backward()
    results["training"] = out.detach().numpy()
    grads = {name: projection(name, param.grad) for name, param in net.named_parameters()}
    means = {
        name: projection(name, value)
        for name, value in net.state_dict().items()
        if name.endswith("running_mean")
    }
    return {"grads": grads, "means": means}


def main():
    """Write the golden file."""
    results = {}
    with torch.no_grad():
        for number, batch, height, width in seeded.LITE:
            key = f"{number}|{height}|{width}"
            x = torch.from_numpy(seeded.normal(key, (batch, 3, height, width)))
            results[key] = reference(number, (height, width))(x).numpy()
        net = reference(0, (224, 224))
        net.load_state_dict(pretrained_tensors("efficientnet_lite0")[0])
        for name, picture in photos().items():
            results[f"published|{name}"] = net(torch.from_numpy(picture)[None]).numpy()
    record = training(results)
    record["digests"] = {number: seeded.digest(shapes(number)) for number in range(5)}
    onp.savez_compressed(
        TARGET, record=onp.frombuffer(json.dumps(record).encode(), "uint8"), **results
    )


if __name__ == "__main__":
    main()
