"""A network for new classes out of a pre-trained one: features copied, output layer new."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regluon import initializer
from regluon.base import MXNetError
from regluon.context import Context
from regluon.gluon import Parameter, model_zoo
from regluon.gluon.model_zoo import vision
from regluon.gluon.model_zoo.vision import ZooNetwork
from regluon.recipes.class_names import Matching
from regluon.recipes.run_folder import read_json


OUTPUT = "output."


@dataclass(frozen=True)
class Source:
    """A pre-trained network, where it is from, and its classes where that place names them."""

    net: ZooNetwork
    origin: str
    classes: Sequence[str] | None = None


def load_source(model: str, weights: str | Path | None, ctx: Context) -> Source | None:
    """Return the pre-trained network; None where `weights` is the word "none".

    `weights` is a file, a run folder, or None for the published weights of `model`.
    """
    if weights is None:
        net = vision.get_model(model, pretrained=True, ctx=ctx)
        return Source(net, "published weights")
    if str(weights) == "none":
        vision.get_model(model)  # An unknown name is an error here already.
        return None
    path = Path(weights)
    if path.is_dir():
        return _from_run(model, path, ctx)
    return Source(vision.get_model(model, pretrained=str(path), ctx=ctx), str(path))


def source_classes(source: Source | None) -> Sequence[str]:
    """Return the names of a source's classes; 1000 unnamed ones are taken to be ImageNet's.

    Raises `MXNetError` if there is no source, or its classes have no names.
    """
    if source is None:
        raise MXNetError("--reuse-classes needs pre-trained weights, not --weights none")
    if source.classes is not None:
        return source.classes
    known = model_zoo.class_names("imagenet-1k")
    count = source.net.output.weight.data().shape[0]
    if count != len(known):
        raise MXNetError(
            f"--reuse-classes needs the names of the {count} classes of {source.origin}: give a "
            "run folder as --weights, whose model.json names them"
        )
    return known


def source_digest(source: Source | None) -> str:
    """Return a hash over the values of a network: equal for equal weights."""
    total = hashlib.sha256()
    for name, parameter in sorted(source.net.structural_params().items() if source else ()):
        total.update(name.encode())
        total.update(parameter.data().asnumpy().tobytes())
    return total.hexdigest()


def _from_run(model: str, folder: Path, ctx: Context) -> Source:
    described = folder / "model.json"
    if not described.is_file():
        raise MXNetError(f"--weights {folder} is a folder without a model.json, so no run's")
    content = read_json(described)
    if content["architecture"] != model:
        raise MXNetError(
            f"the run in {folder} trained a {content['architecture']}: give --model "
            f"{content['architecture']}, not {model}"
        )
    net = vision.get_model(model, classes=len(content["classes"]))
    net.load_parameters(folder / "model.safetensors", ctx=ctx)
    return Source(net, str(folder), content["classes"])


def new_network(model: str, classes: int, source: Source | None, ctx: Context) -> ZooNetwork:
    """Return `model` for a number of classes: the source's features and a fresh output layer.

    Without a source everything is fresh.
    """
    # A prefix of its own makes names, and files, the same however many networks there were before.
    net = vision.get_model(model, classes=classes, prefix="net_")
    net.initialize(initializer.Xavier(), ctx=ctx)
    if source is None:
        return net
    known = source.net.structural_params()
    for name, parameter in net.structural_params().items():
        if not name.startswith(OUTPUT):
            parameter.set_data(known[name].data())
    return net


def output_parameters(net: ZooNetwork) -> dict[str, Parameter]:
    """Return the parameters of the output layer by structural name."""
    return {
        name: parameter
        for name, parameter in net.structural_params().items()
        if name.startswith(OUTPUT)
    }


def reuse_rows(net: ZooNetwork, classes: Sequence[str], source: Source, matching: Matching) -> None:
    """Start the output rows of classes that the source knows from the source's rows for them.

    Rows and biases are taken bit for bit; those of ambiguous and unknown classes stay fresh.
    """
    known = output_parameters(source.net)
    row_of = {match.name: match.row for match in matching.found}
    for name, parameter in output_parameters(net).items():
        values, rows = parameter.data().asnumpy(), known[name].data().asnumpy()
        for index, label in enumerate(classes):
            if label in row_of:
                values[index] = rows[row_of[label]]
        parameter.set_data(values)
