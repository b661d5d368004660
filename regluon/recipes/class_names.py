"""Which classes of a source classifier a data set's classes are: matched by name, never by number.

A source class has several names, separated by commas as in WordNet: "hotdog, hot dog, red hot".
Names are compared without case, spaces and punctuation, so `Hot_Dog` finds it too. Published
recipes disagree on the numbers (ImageNet's row for hot dog is 934), which is why none is used.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Match:
    """A class that the source classifier knows: its row there, and the name it was found by."""

    name: str
    row: int
    source: str
    alias: str


@dataclass(frozen=True)
class Matching:
    """What became of each class: found, ambiguous (with the rows it could be), or unknown."""

    found: tuple[Match, ...]
    ambiguous: dict[str, tuple[str, ...]]
    unknown: tuple[str, ...]


def plain(name: str) -> str:
    """Return a name without case, spaces, punctuation and accents.

    >>> plain("Crème_Brûlée") == plain("creme brulee")
    True
    """
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def match(classes: Sequence[str], source: Sequence[str]) -> Matching:
    """Find `classes` among the classes of a source classifier.

    A name that means several source classes ("crane" is a bird and a machine) is ambiguous and
    matches none of them. All names of one class together, as one string, match that class.

    >>> matching = match(["hot_dog", "moon"], ["tench, Tinca tinca", "hotdog, hot dog, red hot"])
    >>> [(m.name, m.row, m.alias) for m in matching.found], matching.unknown
    ([('hot_dog', 1, 'hotdog')], ('moon',))
    """
    whole, parts = _tables(source)
    found: list[Match] = []
    ambiguous: dict[str, tuple[str, ...]] = {}
    unknown: list[str] = []
    for name in classes:
        key = plain(name)
        rows = (parts.get(key) or whole.get(key, {})) if key else {}
        if len(rows) == 1:
            ((row, alias),) = rows.items()
            found.append(Match(name, row, source[row], alias))
        elif rows:
            ambiguous[name] = tuple(f"{source[row]} (row {row})" for row in rows)
        else:
            unknown.append(name)
    return Matching(tuple(found), ambiguous, tuple(unknown))


Table = dict[str, dict[int, str]]


def _tables(source: Sequence[str]) -> tuple[Table, Table]:
    """Return the rows by all names of a class as one string, and by each single name."""
    whole: Table = defaultdict(dict)
    parts: Table = defaultdict(dict)
    for row, names in enumerate(source):
        whole[plain(names)][row] = names
        for alias in names.split(","):
            parts[plain(alias)].setdefault(row, alias.strip())
    return whole, parts
