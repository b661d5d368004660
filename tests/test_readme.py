"""The programs in README.md and in pages of docs/ run as they stand."""

import re
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", "docs/from_mxnet.md", "docs/hybridize.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
PROGRAMS = [
    pytest.param(program, id=f"{page}-{number}")
    for page in PAGES
    for number, program in enumerate(BLOCK.findall((ROOT / page).read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_a_page_runs_and_prints(program, capsys):
    exec(compile(program, "page", "exec"), {"__name__": "__page__"})
    assert capsys.readouterr().out.strip()
