"""Write `tests/golden/mxnet_names.txt`: the public names of MXNet 1.9.1's array namespaces.

    python tools/golden_names.py

Needs an interpreter that has MXNet 1.9.1. One line per namespace or array class, its names sorted;
what a module of MXNet merely imports for itself is left out.
"""

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import mxnet as mx


TARGET = Path(__file__).resolve().parent.parent / "tests" / "golden" / "mxnet_names.txt"
SPACES = (
    "nd nd.random nd.linalg nd.image nd.contrib np np.random np.linalg npx npx.random npx.image "
    "nd.NDArray np.ndarray"
)
IMPORTED = {
    "nd.random": "NDArray current_context numeric_types",
    "nd.contrib": "current_context uniform",
    "npx": "Context check_call classproperty with_metaclass",
    "npx.image": "Number cv2 is_np_array numeric_types",
}


def names_of(space: str) -> list[str]:
    """Return the public names of a namespace or class, without modules and mere imports."""
    found: Any = mx
    for part in space.split("."):
        found = getattr(found, part)
    hidden = IMPORTED.get(space, "").split()
    return [
        name
        for name in dir(found)
        if not name.startswith("_")
        and name not in hidden
        and not isinstance(inspect.getattr_static(found, name), ModuleType)
    ]


if __name__ == "__main__":
    lines = [f"{space}: {' '.join(names_of(space))}\n" for space in SPACES.split()]
    TARGET.write_text("".join(lines), encoding="utf-8")
