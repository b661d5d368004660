"""Transcripts: programs with what MXNet 1.9.1 prints for each statement.

A file holds programs, each below a line `# name`; statements stand behind `>>> ` and `... `, the
lines after them are the output. `tools/golden_programs.py` writes the outputs anew.
"""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple


FOLDER = Path(__file__).resolve().parent
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|inf|nan)\b\.?")
_COUNTED = re.compile(r"(?<=[a-z])\d+(?=_)")  # dense3_weight: how many layers there were before


class Statement(NamedTuple):
    """A statement and the output that is expected of it."""

    source: str
    output: str


def programs() -> dict[str, list[Statement]]:
    """Return all programs of this folder as `file: name`."""
    return {
        f"{path.stem}: {name}": list(statements(body))
        for path in sorted(FOLDER.glob("*.txt"))
        for name, body in parts(path.read_text(encoding="utf-8"))
    }


def parts(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each program of a file."""
    for part in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        name, _, body = part.partition("\n")
        yield name, body


def statements(body: str) -> Iterator[Statement]:
    """Yield the statements of a program with their outputs."""
    for block in re.split(r"^>>> ", body, flags=re.MULTILINE)[1:]:
        first, *rest = block.rstrip().split("\n")
        source = [first, *(line[4:] for line in rest if line.startswith("... "))]
        output = [line for line in rest if not line.startswith("... ")]
        yield Statement("\n".join(source), "\n".join(output))


def outputs(program: list[Statement], title: str) -> Iterator[str]:
    """Run a program as an interactive session and yield what each statement prints."""
    names: dict[str, Any] = {"__name__": "program"}
    for statement in program:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = eval(_compiled(statement.source, title), names)
            if value is not None:
                print(repr(value))
        lines = printed.getvalue().split("\n")
        yield "\n".join(line.rstrip() for line in lines if line.strip())


def _compiled(source: str, title: str) -> CodeType:
    try:
        return compile(source, title, "eval")
    except SyntaxError:
        return compile(source, title, "exec")


def same(one: str, other: str) -> bool:
    """Say whether two outputs are the same text, but for blanks and the last digits of numbers."""
    one, other = (_COUNTED.sub("", text) for text in (one, other))
    shapes = [re.sub(r"\s", "", _NUMBER.sub("#", text)) for text in (one, other)]
    numbers = [_NUMBER.findall(text) for text in (one, other)]
    return (
        shapes[0] == shapes[1]
        and len(numbers[0]) == len(numbers[1])
        and all(map(_close, numbers[0], numbers[1]))
    )


def _close(one: str, other: str) -> bool:
    first, second = float(one), float(other)
    limit = 2e-4 * max(1e-2, abs(first), abs(second))
    return one == other or abs(first - second) <= limit
