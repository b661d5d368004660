"""The confusion matrix of a run: heat map, most confused pairs, figures of each class."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from regluon.recipes.charts import GLYPH
from regluon.recipes.page import (
    Markup,
    details,
    join,
    paragraph,
    percent,
    plural,
    table,
    text,
)
from regluon.recipes.record import RunRecord


PLOT = 420  # the largest side of a heat map
MOST_PAIRS = 10
WHOLE_MATRIX = 30


def confusion(run: RunRecord) -> tuple[str, Markup]:
    """Return the confusion matrix, its largest entries and figures for each class."""
    counts, names = run.confusion, run.classes
    if not counts:
        return "", Markup()
    found = [
        (counts[i][j], names[i], names[j], sum(counts[i]))
        for i in range(len(names))
        for j in range(len(names))
        if i != j and counts[i][j]
    ]
    found.sort(key=lambda row: -row[0])
    header = ["true class", "taken for", "times", "share of the class"]
    rows = [[true, other, count, percent(count / total)] for count, true, other, total in found]
    worst = table(header, rows[:MOST_PAIRS], (0, 1))
    if not found:
        worst = paragraph("Not a single picture was taken for another class.")
    both = heat_map(counts, names) + worst
    if len(names) <= 6:
        both = Markup(f'<div class="two">{both}</div>')
    body = [both, details("Figures of each class", by_class(run))]
    if len(names) <= WHOLE_MATRIX:
        full = table(
            ["true \\ predicted", *names], ([n, *row] for n, row in zip(names, counts, strict=True))
        )
        body.append(details("The whole matrix", full))
    elif found:
        body.append(
            details(f"All {plural(len(rows), 'confused pair')}", table(header, rows, (0, 1)))
        )
    lead = (
        "Each row holds the pictures of one class. Blue was recognized, orange was taken for the "
        "class above; the stronger, the larger the share of the row."
    )
    return lead, join(body)


def by_class(run: RunRecord) -> Markup:
    """Return recall and precision of each class."""
    counts = run.confusion
    totals = [sum(column) for column in zip(*counts, strict=True)]
    rows = []
    for index, name in enumerate(run.classes):
        right, row = counts[index][index], sum(counts[index])
        recall = right / row if row else None
        precision = right / totals[index] if totals[index] else None
        rows.append([name, row, right, percent(recall), percent(precision)])
    return table(["class", "pictures", "right", "recall", "precision"], rows)


def heat_map(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Markup:
    """Return a confusion matrix as a `<figure>`: rows are the true classes, columns the predicted.

    The strength of a cell is its share of the row. Cells carry their counts while there is room
    for them, and from 25 classes on only every second, third, ... class is named.
    """
    every = math.ceil(len(names) / 24)
    shown = [(index, shorten(name)) for index, name in enumerate(names) if index % every == 0]
    longest = max((len(name) for _, name in shown), default=0)
    grid = Grid(len(names), longest)
    parts = [grid.frame(), *(grid.label(index, name) for index, name in shown)]
    for row, line in enumerate(counts):
        total = sum(line)
        for column, value in enumerate(line):
            if value:
                hint = f"{value} of {total} {names[row]} taken for {names[column]}"
                parts.append(grid.draw(row, column, value, value / total, hint))
    label = text(f"confusion matrix of {len(names)} classes; rows true, columns predicted")
    return Markup(
        f'<figure class="chart scroll"><svg viewBox="0 0 {grid.width:.0f} {grid.height:.0f}" '
        f'role="img" class="heat" style="max-width:{grid.width:.0f}px;'
        f'min-width:{min(grid.width, 540):.0f}px;font-size:{grid.type_size:.1f}px" '
        f'aria-label="{label}">{join(parts)}</svg></figure>'
    )


def shorten(name: str, longest: int = 16) -> str:
    """Return a name that fits beside a heat map."""
    return name if len(name) <= longest else name[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True)
class Grid:
    """The cells of a heat map of `count` classes, whose longest name has `longest` letters."""

    count: int
    longest: int

    @property
    def cell(self) -> float:
        """The side of a cell."""
        return min(64.0, PLOT / max(self.count, 1))

    @property
    def side(self) -> float:
        """The side of the whole plot."""
        return self.cell * self.count

    @property
    def type_size(self) -> float:
        """The size of the class names: smaller where they stand close together."""
        return min(12.0, max(9.0, self.side / min(self.count, 24) * 0.8)) if self.count else 12.0

    @property
    def slanted(self) -> bool:
        """Whether the names above the columns are wider than a column."""
        return self.longest * GLYPH + 6 > self.cell

    @property
    def left(self) -> float:
        """Where the plot begins, to the right of the names of the rows."""
        return 30 + 0.56 * self.type_size * self.longest

    @property
    def top(self) -> float:
        """Where the plot begins, below the names of the columns."""
        return 30 + (0.38 * self.type_size * self.longest + 8 if self.slanted else 14)

    @property
    def width(self) -> float:
        """The width of the drawing with the last slanted name."""
        return self.left + self.side + (0.4 * self.type_size * self.longest if self.slanted else 4)

    @property
    def height(self) -> float:
        """The height of the drawing."""
        return self.top + self.side + 2

    def frame(self) -> Markup:
        """Return the ground of the plot and the titles of its sides."""
        middle = self.top + self.side / 2
        return Markup(
            f'<rect x="{self.left:.1f}" y="{self.top:.1f}" width="{self.side:.1f}" '
            f'height="{self.side:.1f}" class="plot"/>'
            f'<text x="{self.left:.1f}" y="11" class="unit">predicted class</text>'
            f'<text x="11" y="{middle:.1f}" class="unit middle" '
            f'transform="rotate(-90 11 {middle:.1f})">true class</text>'
        )

    def label(self, index: int, name: str) -> Markup:
        """Return the name of a class beside its row and above its column."""
        middle = (index + 0.5) * self.cell
        x, y, foot = self.left + middle, self.top + middle, self.top - 7
        turn = f' transform="rotate(-42 {x:.1f} {foot:.1f})"' if self.slanted else ""
        return Markup(
            f'<text x="{self.left - 7:.1f}" y="{y + 4:.1f}" class="y">{text(name)}</text>'
            f'<text x="{x:.1f}" y="{foot:.1f}" class="{"" if self.slanted else "x"}"{turn}>'
            f"{text(name)}</text>"
        )

    def draw(self, row: int, column: int, value: int, share: float, hint: str) -> Markup:
        """Return one cell; even a single mistake among thousands can be seen."""
        x, y = self.left + column * self.cell, self.top + row * self.cell
        gap = 1.0 if self.cell > 8 else 0.0
        kind = "right" if row == column else "wrong"
        strength = 0.2 + 0.8 * share if row == column else 0.12 + 0.88 * math.sqrt(share)
        shape = (
            f'<rect x="{x + gap / 2:.1f}" y="{y + gap / 2:.1f}" width="{self.cell - gap:.1f}" '
            f'height="{self.cell - gap:.1f}" class="{kind}" fill-opacity="{strength:.2f}">'
            f"<title>{text(hint)}</title></rect>"
        )
        if self.cell < 9 + GLYPH * len(str(value)):
            return Markup(shape)
        tone = "in strong" if strength > 0.55 else "in"
        x, y = x + self.cell / 2, y + self.cell / 2 + 4
        return Markup(f'{shape}<text x="{x:.1f}" y="{y:.1f}" class="{tone}">{value}</text>')
