"""A training run on disk, to be resumed to the bit: weights, optimizer, position, random numbers.

    checkpoint/weights-000120.safetensors      the network after step 120        [1]
    checkpoint/optimizer-000120.safetensors    momenta and counts                [2]
    checkpoint/state.json                      position, history, random state   [3]

They are written in this order, each whole or not at all. `state.json` names the other two, so the
checkpoint changes from the old one to the new one at [3], in one step of the file system; a kill
before that leaves files that the next save removes. Nothing here is a pickle.
"""

from pathlib import Path

import numpy as onp

from regluon import gluon, random
from regluon.base import FormatError
from regluon.recipes.loop import DivergedError, State
from regluon.recipes.run_folder import read_json, write_json


VERSION = 1


def save(folder: Path, net: gluon.Block, trainer: gluon.Trainer, state: State) -> None:
    """Write a checkpoint into `folder`; the one that is there stays good until the end.

    Raises `DivergedError` without writing anything if a weight is not finite, so that the last good
    state is never replaced by a bad one, and `SaveError` where the disk refuses.
    """
    check_finite(net, state)
    folder.mkdir(parents=True, exist_ok=True)
    weights, optimizer = names = _names(state.step)
    net.save_parameters(folder / weights)
    trainer.save_states(str(folder / optimizer))
    content = {
        "version": VERSION,
        "weights": weights,
        "optimizer": optimizer,
        "state": state.plain(),
        "random": random.get_state(),
    }
    write_json(folder / "state.json", content)
    for path in folder.iterdir():
        if path.name not in (*names, "state.json"):
            path.unlink(missing_ok=True)


def load(folder: Path, net: gluon.Block, trainer: gluon.Trainer) -> State | None:
    """Put network, optimizer and random numbers back to where `save` was called; None: no save yet.

    Raises `FormatError` naming the file if one is damaged or missing.
    """
    path = folder / "state.json"
    if not path.exists():
        return None
    content = read_json(path)
    if content.get("version") != VERSION:
        raise FormatError(
            f"{path} has version {content.get('version')}; this release reads version {VERSION}"
        )
    try:
        state = State.from_plain(content["state"])
        weights, optimizer = folder / content["weights"], folder / content["optimizer"]
        for file in (weights, optimizer):
            if not file.is_file():
                raise FormatError(f"{file} is missing, which {path} names")
        net.load_parameters(weights)
        trainer.load_states(str(optimizer))
        random.set_state(content["random"])
    except (KeyError, TypeError) as error:
        raise FormatError(f"{path} is damaged: {error!r}") from error
    return state


def _names(step: int) -> tuple[str, str]:
    return f"weights-{step:06}.safetensors", f"optimizer-{step:06}.safetensors"


def check_finite(net: gluon.Block, state: State) -> None:
    """Raise `DivergedError` naming a parameter that holds NaN or an infinity."""
    for name, parameter in net.structural_params().items():
        if not onp.isfinite(parameter.list_data()[0].asnumpy()).all():
            where = f"epoch {state.epoch}, batch {state.batch}"
            if not state.batch:
                where = f"end of epoch {state.epoch - 1}"
            raise DivergedError(
                f"parameter {name} is not finite any more after step {state.step} ({where}); it "
                "was not saved. Try a smaller learning rate (--lr)"
            )
