"""Ask MXNet 1.9.1 how it prints arrays; writes display.json.

    python tools/golden_display.py

Needs an interpreter that has MXNet 1.9.1. `tests/array/test_display.py` compares with it.
"""

import json
import sys
from pathlib import Path

import mxnet as mx


sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.array.shown import FILE, expressions, shown


def main() -> None:
    """Write the text of every expression."""
    mx.npx.set_np()
    FILE.write_text(json.dumps({text: shown(text, mx) for text in expressions()}, indent=0) + "\n")


if __name__ == "__main__":
    main()
