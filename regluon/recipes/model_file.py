"""`model.json` beside `model.safetensors`: what is needed to use the weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regluon import __version__, gluon
from regluon.base import FormatError, MXNetError
from regluon.context import Context
from regluon.gluon.model_zoo import Preprocessing, vision
from regluon.recipes.run_folder import RunFolder, read_json, write_json


VERSION = 1


@dataclass(frozen=True)
class TrainedModel:
    """A network that was trained here, the names of its classes, and what its input is."""

    net: gluon.Block
    classes: tuple[str, ...]
    preprocessing: Preprocessing


def write_model(
    path: Path, architecture: str, classes: Sequence[str], preprocessing: Preprocessing
) -> None:
    """Write `model.json`."""
    content = {
        "version": VERSION,
        "architecture": architecture,
        "classes": list(classes),
        "preprocessing": preprocessing.to_json(),
        "weights": "model.safetensors",
        "regluon": __version__,
    }
    write_json(path, content)


def load_model(folder: str | Path, ctx: Context | None = None) -> TrainedModel:
    """Return the network of a run folder, ready to predict.

    Raises `MXNetError` where there is none, `FormatError` naming the file where one is damaged.
    """
    run = RunFolder(Path(folder))
    if not run.root.is_dir():
        raise MXNetError(f"the run folder {folder} does not exist")
    for path in (run.model_file, run.weights):
        if not path.is_file():
            raise MXNetError(
                f"{folder} holds no trained network: {path.name} is missing. A run writes it at "
                "the end of its first epoch"
            )
    content = read_json(run.model_file)
    try:
        if content["version"] != VERSION:
            raise FormatError(
                f"{run.model_file} has version {content['version']}; this release reads {VERSION}"
            )
        classes = tuple(str(name) for name in content["classes"])
        preprocessing = Preprocessing.from_json(content["preprocessing"])
        net = vision.get_model(str(content["architecture"]), classes=len(classes))
    except (KeyError, TypeError) as error:
        raise FormatError(f"{run.model_file} is damaged: {error!r}") from error
    net.load_parameters(run.weights, ctx=ctx)
    return TrainedModel(net, classes, preprocessing)
