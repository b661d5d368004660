"""The log of a run: one JSON object per line, and the same figures for TensorBoard."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from regluon.array.atomic import atomic_write
from regluon.base import MissingDependencyError, optional


class Journal:
    """Appends events to `metrics.jsonl`, each with its step, whole lines only.

    Figures that are not finite are written as null, since JSON has no word for them. `tensorboard`
    is a folder for TensorBoard's files; without that library they are left out.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "metrics.jsonl")
    ...     with Journal(path) as journal:
    ...         journal.write("epoch", 12, accuracy=0.5, loss=math.nan)
    ...     path.read_text()
    '{"event": "epoch", "step": 12, "accuracy": 0.5, "loss": null}\\n'
    """

    def __init__(self, path: Path, tensorboard: Path | None = None, after: int = 0) -> None:
        """Open the log, dropping what was logged after step `after` by a run that was killed."""
        self._path = path
        rewind(path, after)
        self._file = path.open("a", encoding="utf-8")
        self._board = None if tensorboard is None else _writer(tensorboard, after)

    def write(self, event: str, step: int, **values: Any) -> None:
        """Append one event; numbers go to TensorBoard as well."""
        line = {"event": event, "step": step} | {k: _plain(v) for k, v in values.items()}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float) and math.isfinite(value):
                    self._board.add_scalar(f"{event}/{name}", value, step)
            self._board.flush()

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a log; half a line, as a killed run leaves it, ends them."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            return
        if isinstance(event, dict):
            yield event


def rewind(path: Path, after: int) -> None:
    """Drop the events after step `after`, and a last line that is not whole."""
    if not path.exists():
        return
    kept = [event for event in events(path) if event.get("step", 0) <= after]
    text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in kept)
    if text.encode() != path.read_bytes():
        atomic_write(path, text.encode())


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _writer(folder: Path, after: int) -> Any:
    try:
        board = optional("torch.utils.tensorboard", extra="tensorboard")
    except MissingDependencyError:
        return None
    return board.SummaryWriter(str(folder), purge_step=after + 1)
