"""The programs in README.md run as they stand."""

import re
from pathlib import Path

import pytest


README = Path(__file__).resolve().parent.parent / "README.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("program", PROGRAMS, ids=["gluon", "pytorch"])
def test_a_program_of_the_readme_runs_and_prints(program, capsys):
    exec(compile(program, "README.md", "exec"), {"__name__": "__readme__"})
    assert capsys.readouterr().out.strip()
