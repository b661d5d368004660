"""Line charts as inline SVG, drawn with nothing but Python.

Colours and fonts are classes and variables of the page's style sheet, so that a chart follows the
page into dark mode. Series differ in colour (Okabe and Ito's palette, safe for colour-blind
readers), in marker and in dash. Every mark carries a `<title>`, which browsers show on hover.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from regluon.recipes.page import Markup, join, number, text


WIDTH, HEIGHT = 420, 250
TALL = 290  # the height of a chart that is wider than WIDTH
TOP, RIGHT, BOTTOM = 28, 16, 38
GLYPH = 6.6  # the width of a digit of the charts' type, in user units
COLOURS = 7
DASHES = ("", "7 4", "2 3", "10 3 2 3")

Point = tuple[float, float]
Form = Callable[[float], str]


@dataclass(frozen=True)
class Series:
    """One line: points `(x, y)`, and where there are several runs `(x, low, high)` around it.

    A point that is not finite interrupts the line and is marked with a cross at the foot.
    """

    name: str
    points: Sequence[Point]
    band: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True)
class Axis:
    """A scale from data to pixels, with its ticks and how their numbers are written."""

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]
    form: Form
    log: bool = False

    def place(self, value: float, start: float, end: float) -> float:
        """Return where `value` lies when the axis runs from `start` to `end`."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return start + (value - low) / (high - low) * (end - start)


def nice_step(span: float, count: int) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that divides `span` into <= `count`.

    >>> nice_step(0.73, 5), nice_step(40, 5)
    (0.2, 10.0)
    """
    power = 10.0 ** math.floor(math.log10(span / count))
    return next(
        float(f"{m * power:.3g}") for m in (1, 2, 5, 10) if m * power * count >= span * 0.999
    )


def plain_form(step: float, largest: float) -> Form:
    """Return how tick numbers are written that are `step` apart and at most `largest`."""
    if largest >= 1e5 or step < 1e-5:
        return lambda value: f"{value:.3g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return lambda value: f"{value:,.{digits}f}"


def linear_axis(
    title: str,
    values: Iterable[float],
    *,
    tight: bool = False,
    whole: bool = False,
    form: Form | None = None,
) -> Axis:
    """Return an axis over the finite `values`.

    `tight` ends the axis at the extreme values instead of at ticks, `whole` allows only whole
    numbers as ticks, `form` writes the ticks' numbers.
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if high - low <= 1e-9 * max(abs(high), abs(low)):
        if whole:
            return Axis(title, low - 1, high + 1, (low,), form or plain_form(1, abs(low)))
        pad = 0.5 * abs(high) or 0.5
        low, high = low - pad, high + pad
    step = nice_step(high - low, 5)
    if whole:
        step = max(1.0, step)
    if not tight:
        low, high = math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    ticks = tuple(index * step for index in range(first, last + 1))
    return Axis(title, low, high, ticks, form or plain_form(step, max(abs(low), abs(high))))


def share_axis(title: str, values: Iterable[float]) -> Axis:
    """Return an axis for shares (0 to 1, written in percent) that always ends at 100%."""
    finite = [value for value in values if math.isfinite(value)]
    step = nice_step(1.0 - min([*finite, 0.9]), 5)
    low = max(0.0, math.floor(min([*finite, 0.9]) / step + 1e-6) * step)
    count = round((1.0 - low) / step)
    digits = 0 if step >= 0.00999 else 1
    ticks = tuple(1.0 - index * step for index in range(count, -1, -1))
    return Axis(title, low, 1.0, ticks, lambda value: f"{100 * value:.{digits}f}%")


def log_axis(title: str, ticks: Iterable[float]) -> Axis:
    """Return a logarithmic axis from the first to the last of the positive `ticks`."""
    ticks = tuple(sorted(set(ticks)))
    low, high = (ticks[0], ticks[-1]) if len(ticks) > 1 else (ticks[0] / 2, ticks[0] * 2)
    return Axis(title, low, high, ticks, lambda value: f"{value:,g}", log=True)


def colour_of(index: int) -> Markup:
    """Return the style attribute that gives the series of this number its colour."""
    return Markup(f'style="--c:var(--s{index % COLOURS})"')


def marker(index: int, x: float, y: float, kind: str, hint: str) -> Markup:
    """Return the mark of the series of this number: disc, square, diamond or triangle."""
    shape = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.6"',
        f'<rect x="{x - 3.2:.1f}" y="{y - 3.2:.1f}" width="6.4" height="6.4"',
        f'<path d="M{x:.1f} {y - 4.6:.1f}l4.6 4.6-4.6 4.6-4.6-4.6z"',
        f'<path d="M{x:.1f} {y - 4.4:.1f}l4.4 7.6h-8.8z"',
    )[index % 4]
    element = shape[1:].split()[0]
    return Markup(f'{shape} class="mark {kind}"><title>{text(hint)}</title></{element}>')


def legend(names: Sequence[str]) -> Markup:
    """Return the key of a line chart, each name with its line and its mark."""
    items = (
        f'<li {colour_of(index)}><svg viewBox="0 0 26 10" aria-hidden="true">'
        f'<path d="M0 5h26" class="line" stroke-dasharray="{dash_of(index)}"/>'
        f"{marker(index, 13, 5, '', name)}</svg>{text(name)}</li>"
        for index, name in enumerate(names)
    )
    return Markup(f'<ul class="legend">{"".join(items)}</ul>')


def dash_of(index: int) -> str:
    """Return the dash pattern of the series of this number."""
    return DASHES[index % len(DASHES)]


def line_chart(
    title: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    target: float = -1.0,
    width: int = WIDTH,
) -> Markup:
    """Return a `<figure>` with a line chart; `target` draws a thin rule at that height."""
    names = [one.name for one in series]
    values = [value for one in series for _, value in one.points]
    frame = Frame(x, y, width)
    body = join([frame.grid(), frame.rule(target)])
    body += join(frame.draw(index, one) for index, one in enumerate(series))
    if not any(math.isfinite(value) for value in values):
        middle = (frame.left + frame.right) / 2
        body += (
            f'<text x="{middle:.0f}" y="{frame.foot / 2:.0f}" class="empty">no finite value</text>'
        )
    label = text(f"{title}: {y.title} over {x.title}; {', '.join(names)}")
    kind = "wide" if width > WIDTH else "narrow"
    return Markup(
        f'<figure class="chart"><figcaption><h3>{text(title)}</h3>{legend(names)}</figcaption>'
        f'<svg viewBox="0 0 {width} {frame.height}" class="{kind}" role="img" aria-label="{label}">'
        f"{body}</svg></figure>"
    )


@dataclass(frozen=True)
class Frame:
    """The plot area between two axes, and how things are drawn in it."""

    x: Axis
    y: Axis
    width: int

    @property
    def left(self) -> float:
        """Where the plot begins, to the right of the longest number of the vertical axis."""
        longest = max((len(self.y.form(tick)) for tick in self.y.ticks), default=1)
        return 10 + GLYPH * longest * (1 if self.width <= WIDTH else 1.3)

    @property
    def right(self) -> float:
        """Where the plot ends."""
        return self.width - RIGHT

    @property
    def height(self) -> float:
        """The height of the whole drawing."""
        return HEIGHT if self.width <= WIDTH else TALL

    @property
    def foot(self) -> float:
        """Where the horizontal axis lies."""
        return self.height - BOTTOM

    def at(self, x: float, y: float) -> Point:
        """Return the pixel of a data point."""
        across = self.x.place(x, self.left, self.right)
        return across, self.y.place(y, self.foot, TOP)

    def grid(self) -> Markup:
        """Return grid lines, tick numbers and the titles of both axes."""
        foot, right = self.foot, self.right
        parts = [f'<text x="0" y="11" class="unit">{text(self.y.title)}</text>']
        for tick in self.y.ticks:
            y = self.y.place(tick, foot, TOP)
            parts.append(f'<path d="M{self.left:.1f} {y:.1f}H{right}" class="grid"/>')
            label = text(self.y.form(tick))
            parts.append(f'<text x="{self.left - 6:.1f}" y="{y + 4:.1f}" class="y">{label}</text>')
        for tick in self.x.ticks:
            x = self.x.place(tick, self.left, right)
            parts.append(f'<path d="M{x:.1f} {foot}v4" class="tick"/>')
            parts.append(f'<text x="{x:.1f}" y="{foot + 17}" class="x">{self.x.form(tick)}</text>')
        parts.append(f'<path d="M{self.left:.1f} {foot}H{right}" class="axis"/>')
        parts.append(
            f'<text x="{right}" y="{self.height - 3}" class="unit end">{text(self.x.title)}</text>'
        )
        return Markup("".join(parts))

    def rule(self, height: float) -> Markup:
        """Return a thin line across the plot at `height`, where that lies inside."""
        if not self.y.low <= height < self.y.high:
            return Markup()
        y = self.y.place(height, self.foot, TOP)
        return Markup(
            f'<path d="M{self.left:.1f} {y:.1f}H{self.right}" class="rule"/>'
            f'<text x="{self.left + 5:.1f}" y="{y - 4:.1f}">{100 * height:g}%</text>'
        )

    def draw(self, index: int, series: Series) -> Markup:
        """Return the band, the line and the marks of one series."""
        area = [self.at(x, low) for x, low, _ in series.band]
        area += [self.at(x, high) for x, _, high in reversed(series.band)]
        band = f'<path d="{path_of(area)}z" class="band"/>' if area else ""
        pieces = finite_runs(series.points)
        line = "".join(path_of([self.at(x, y) for x, y in piece]) for piece in pieces)
        # Many marks hide the line, but a point without neighbours has nothing else to show it.
        alone = {piece[0] for piece in pieces if len(piece) == 1}
        marks = join(
            self.mark(
                index, series.name, p, "" if len(series.points) <= 24 or p in alone else "quiet"
            )
            for p in series.points
        )
        dash = f'stroke-dasharray="{dash_of(index)}"'
        return Markup(
            f'<g {colour_of(index)}>{band}<path d="{line}" class="line" {dash}/>{marks}</g>'
        )

    def mark(self, index: int, name: str, point: Point, kind: str) -> Markup:
        """Return the mark of one point; a value that is not finite is a cross at the foot."""
        where = f"{name}, {self.x.title} {point[0]:g}: "
        if math.isfinite(point[1]):
            return marker(index, *self.at(*point), kind, where + number(point[1], 4))
        x = self.at(point[0], self.y.low)[0]
        return Markup(
            f'<path d="M{x - 4:.1f} {self.foot - 4}l8 8m0-8l-8 8" class="cross">'
            f"<title>{text(where)}{text(point[1])}</title></path>"
        )


def path_of(points: Sequence[Point]) -> str:
    """Return SVG path data through the points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) if points else ""


def finite_runs(points: Sequence[Point]) -> list[list[Point]]:
    """Return the stretches of a series between values that are not finite.

    >>> finite_runs([(1, 0.5), (2, float("nan")), (3, 0.25), (4, 0.125)])
    [[(1, 0.5)], [(3, 0.25), (4, 0.125)]]
    """
    gaps = [i for i, (_, y) in enumerate(points) if not math.isfinite(y)]
    runs = (list(points[a + 1 : b]) for a, b in pairwise([-1, *gaps, len(points)]))
    return [run for run in runs if run]
