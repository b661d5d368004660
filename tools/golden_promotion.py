"""Ask MXNet 1.9.1 what its operators give for every pair of types; writes promotion.json.

    python tools/golden_promotion.py

Needs an interpreter that has MXNet 1.9.1. `tests/array/test_promotion.py` compares with it.
"""

import json
import sys
from pathlib import Path

import mxnet as mx


sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.array.promotion import FILE, cells, computed


def main() -> None:
    """Write the dtype and values of every cell, or that MXNet raises there."""
    FILE.write_text(json.dumps({cell: computed(cell, mx) for cell in cells()}, indent=0) + "\n")


if __name__ == "__main__":
    main()
