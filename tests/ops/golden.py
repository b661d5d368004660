"""The golden files: what MXNet 1.9.1 gave for every sample, one small file per family."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as onp

from tests.ops.samples import Outcome


FOLDER = Path(__file__).resolve().parent.parent / "golden"


def golden_path(family: str) -> Path:
    """Return the file of a family."""
    return FOLDER / f"ops_{family}.npz"


def write_golden(family: str, outcomes: dict[str, tuple[str, Outcome]]) -> None:
    """Write key -> (digest of the sample, outcome).

    All arrays stand one after another in one buffer: an .npz member each would cost more than
    the numbers in it.
    """
    buffer = io.BytesIO()

    def put(array: onp.ndarray) -> tuple[str, list[int]]:
        buffer.write(onp.ascontiguousarray(array).tobytes())
        return array.dtype.str, list(array.shape)

    index: dict[str, Any] = {}
    for key, (digest, outcome) in outcomes.items():
        index[key] = {
            "digest": digest,
            "outputs": [put(array) for array in outcome.outputs],
            "grads": [put(array) for array in outcome.grads],
            "changed": {at: put(array) for at, array in outcome.changed.items()},
            "error": outcome.error,
        }
    onp.savez_compressed(
        golden_path(family),
        index=onp.frombuffer(json.dumps(index).encode(), "uint8"),
        data=onp.frombuffer(buffer.getvalue(), "uint8"),
    )


def read_golden(family: str) -> dict[str, tuple[str, Outcome]]:
    """Read what `write_golden` wrote; empty if there is no file yet."""
    path = golden_path(family)
    if not path.is_file():
        return {}
    with onp.load(path) as stored:
        index = json.loads(stored["index"].tobytes())
        buffer = io.BytesIO(stored["data"].tobytes())

    def get(described: list[Any]) -> onp.ndarray:
        dtype, shape = onp.dtype(described[0]), described[1]
        count = int(onp.prod(shape, dtype="int64"))
        return onp.frombuffer(buffer.read(count * dtype.itemsize), dtype).reshape(shape)

    return {
        key: (
            entry["digest"],
            Outcome(
                outputs=[get(item) for item in entry["outputs"]],
                grads=[get(item) for item in entry["grads"]],
                changed={int(at): get(item) for at, item in entry["changed"].items()},
                error=entry["error"],
            ),
        )
        for key, entry in index.items()
    }
