"""Ask MXNet 1.9.1 what its operators give for every pair of types; writes promotion.json.

    python tools/golden_promotion.py

Needs an interpreter that has MXNet 1.9.1. `tests/array/test_promotion.py` compares with it.
"""

import json
import sys
from pathlib import Path

import mxnet as mx


sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.array.promotion import EXPRESSIONS, FILE, cells, computed, shown


def main() -> None:
    """Write what every cell and expression gives, or that MXNet raises there."""
    found = {cell: computed(cell, mx) for cell in cells()}
    found |= {text: shown(text, mx) for text in EXPRESSIONS}
    FILE.write_text(json.dumps(found, indent=0) + "\n")


if __name__ == "__main__":
    main()
