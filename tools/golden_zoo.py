"""Run MXNet 1.9.1's ResNets on seeded weights and inputs; write tests/golden/zoo.npz and .params.

    python tools/golden_zoo.py

Needs an interpreter that has MXNet 1.9.1 (and NumPy below 1.24, which that release wants). The
networks, weights and inputs are those of tests/gluon/model_zoo/seeded.py.
"""

import json
import sys
import tempfile
from pathlib import Path

import mxnet as mx
import numpy as onp
from mxnet.gluon.model_zoo import vision


ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "tests" / "golden"
sys.path.insert(0, str(ROOT))

from tests.gluon.model_zoo import seeded  # noqa: E402


def with_weights(net, x):
    """Initialize a network and give it the seeded weights; return its parameters by place."""
    net.initialize()
    net(x)
    params = net._collect_params_with_prefix()
    values = seeded.weights({name: param.shape for name, param in params.items()})
    for name, param in params.items():
        param.set_data(mx.nd.array(values[name]))
    return params


def logits(results):
    """Record the outputs of the full-size networks."""
    for name, (version, layers, classes, thumbnail, shape) in seeded.NETWORKS.items():
        net = vision.get_resnet(version, layers, classes=classes, thumbnail=thumbnail)
        x = mx.nd.array(seeded.normal(name, shape))
        with_weights(net, x)
        results[f"logits|{name}"] = net(x).asnumpy()


def small(results):
    """Record outputs, gradients and running statistics of the small networks; write their files.

    Files of version 2 have full names with `arg:` and `aux:`, as `export` writes them, those of
    version 1 the structural names of `save_parameters`.
    """
    for name, (version, *_, shape) in seeded.SMALL.items():
        net = seeded.small_network(vision, name)
        x = mx.nd.array(seeded.normal(name, shape))
        params = with_weights(net, x)
        path = str(TARGET / f"{name}.params")
        if version == 1:
            net.save_parameters(path)
        else:
            net.hybridize()
            net(x)
            with tempfile.TemporaryDirectory() as folder:
                net.export(f"{folder}/net")
                Path(path).write_bytes(Path(f"{folder}/net-0000.params").read_bytes())
            net.hybridize(False)
        results[f"logits|{name}"] = net(x).asnumpy()
        with mx.autograd.record():
            out = net(x)
            head = mx.nd.array(seeded.normal("head", out.shape))
            loss = (out * head).sum()
        loss.backward()
        results[f"training|{name}"] = out.asnumpy()
        for key, param in params.items():
            if param.grad_req != "null":
                results[f"grad|{name}|{key}"] = param.grad().asnumpy()
            elif "running" in key:
                results[f"after|{name}|{key}"] = param.data().asnumpy()


def digests():
    """Return a hash of the parameters of every ResNet before the first batch."""
    found = {}
    for version in (1, 2):
        for layers in (18, 34, 50, 101, 152):
            for thumbnail in (False, True):
                net = vision.get_resnet(version, layers, thumbnail=thumbnail, prefix="net_")
                params = net.collect_params().values()
                listed = [(param.name, param.shape, param.grad_req) for param in params]
                found[f"{version}|{layers}|{thumbnail}"] = seeded.digest(listed)
    return found


def main():
    """Write the golden files."""
    results = {}
    logits(results)
    small(results)
    flat = {key: onp.asarray(value) for key, value in results.items()}
    buffer = onp.concatenate([value.ravel() for value in flat.values()])
    index = {key: list(value.shape) for key, value in flat.items()}
    record = json.dumps({"arrays": index, "digests": digests()})
    onp.savez_compressed(
        TARGET / "zoo.npz", index=onp.frombuffer(record.encode(), "uint8"), data=buffer
    )


if __name__ == "__main__":
    main()
