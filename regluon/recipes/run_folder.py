"""The folder of one run: what lies where, and who may write into it.

| file | what |
|---|---|
| `run.json` | settings, classes and a hash of the data: what a resumed run must agree with |
| `checkpoint/` | everything a resumed run needs, see `regluon.recipes.checkpoint` |
| `model.safetensors`, `model.json` | the best network so far: weights; architecture and classes |
| `metrics.jsonl` | one line per event |
| `report.html` | what came out |
| `tensorboard/` | the same figures for TensorBoard, if it is installed |
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regluon.array.atomic import atomic_write
from regluon.base import FormatError, MXNetError


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run, and the agreement that a resumed run has with the interrupted one."""

    root: Path

    @property
    def run_file(self) -> Path:
        """Settings, classes and data of the run."""
        return self.root / "run.json"

    @property
    def checkpoint(self) -> Path:
        """The folder with the state to resume from."""
        return self.root / "checkpoint"

    @property
    def weights(self) -> Path:
        """The weights of the best epoch."""
        return self.root / "model.safetensors"

    @property
    def model_file(self) -> Path:
        """Architecture, classes and preprocessing."""
        return self.root / "model.json"

    @property
    def metrics(self) -> Path:
        """The log of events."""
        return self.root / "metrics.jsonl"

    @property
    def report(self) -> Path:
        """The page."""
        return self.root / "report.html"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's files."""
        return self.root / "tensorboard"

    def look(self, resume: bool, force: bool) -> None:
        """Raise unless a new run may start here, or an old one goes on; nothing is written.

        A run is begun only in a folder that is new or empty: `resume` goes on with the run that is
        there, `force` lets `begin` remove its files.
        """
        if self.root.exists() and not self.root.is_dir():
            raise MXNetError(f"{self.root} is a file; name another run folder with --out")
        if resume and not self.run_file.exists():
            raise MXNetError(f"there is no run to resume in {self.root}: it has no run.json")
        taken = self.root.is_dir() and any(self.root.iterdir())
        if not taken or resume:
            return
        if not self.run_file.exists():
            raise MXNetError(
                f"{self.root} holds files that are not a run's; name another folder with --out"
            )
        if not force:
            raise MXNetError(
                f"{self.root} holds a run already: --resume continues it, --force begins anew, "
                "--out names another folder"
            )

    def begin(self, agreement: Mapping[str, Any]) -> None:
        """Start a run: remove the files of an older one, and write down what this one is."""
        self.root.mkdir(parents=True, exist_ok=True)
        for file in (self.weights, self.model_file, self.metrics, self.report):
            file.unlink(missing_ok=True)
        for folder in (self.checkpoint, self.tensorboard):
            if folder.is_dir():
                shutil.rmtree(folder)
        write_json(self.run_file, agreement)

    def check_agreement(self, agreement: Mapping[str, Any]) -> None:
        """Raise, naming every difference, unless the run in this folder is the same as this one."""
        old, new = read_json(self.run_file), json.loads(json.dumps(agreement))
        found = differences(old.get("settings", {}), new["settings"])
        if old.get("classes") != new["classes"]:
            found.append(_class_difference(old.get("classes") or [], new["classes"]))
        elif old.get("data") != new["data"]:
            found.append(_data_difference(old.get("counts", {}), new["counts"]))
        if old.get("weights") != new["weights"]:
            found.append("the pre-trained weights are another file")
        if found:
            raise MXNetError(
                f"the run in {self.root} cannot be resumed, because it was started differently: "
                f"{'; '.join(found)}. Give what it was started with, or begin anew with --out or "
                "--force"
            )


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a sentence part for every setting that differs.

    >>> differences({"lr": 0.1, "seed": 0}, {"lr": 0.2, "seed": 0})
    ['--lr was 0.1 and is 0.2']
    """
    return [
        f"--{name.replace('_', '-')} was {old.get(name)} and is {new.get(name)}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _class_difference(old: list[str], new: list[str]) -> str:
    gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    parts = [
        f"{words} {', '.join(names)}"
        for words, names in (("lost", gone), ("gained", come))
        if names
    ]
    return f"the data {' and '.join(parts)}" if parts else "the classes are in another order"


def _data_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    parts = [
        f"{name} had {old.get(name, [0, 0])[0]} + {old.get(name, [0, 0])[1]} pictures and has "
        f"{count[0]} + {count[1]}"
        for name, count in new.items()
        if list(count) != list(old.get(name, []))
    ]
    return "; ".join(parts) or "pictures were renamed, replaced or changed in size"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    atomic_write(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise FormatError(f"{path} is damaged: it holds no object")
    return content
