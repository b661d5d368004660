"""The look of a report: escaped text, numbers, tables, pictures, and the style sheet.

Everything that enters a page passes through `text`, which escapes it unless it is `Markup`
already, so that a file called `<script>` is shown and not run.
"""

import base64
import html
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as onp
import numpy.typing as npt

from regluon.base import DTypeError, ShapeError, optional


DASH = "\N{EN DASH}"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
HARMLESS = " \n\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
LONGEST_SIDE = 256


class Markup(str):
    """A string that is HTML already."""

    __slots__ = ()

    def __add__(self, other: str) -> "Markup":
        """Append HTML, or escaped text."""
        return Markup(str.__add__(self, text(other)))


def text(value: object) -> Markup:
    """Return `value` as HTML, escaped; `Markup` stays as it is.

    Control characters and those that turn the direction of the text around them are replaced.

    >>> text("<b>"), text(Markup("<b>"))
    ('&lt;b&gt;', '<b>')
    """
    if isinstance(value, Markup):
        return value
    clean = "".join(c if c.isprintable() or c in HARMLESS else REPLACEMENT for c in str(value))
    return Markup(html.escape(clean))


def join(parts: Iterable[Markup]) -> Markup:
    """Return pieces of HTML one after the other."""
    return Markup("".join(parts))


def number(value: float | None, digits: int = 3) -> str:
    """Return a number to `digits` significant digits, with an en dash for a missing one.

    >>> number(1234.5), number(0.000123), number(float("inf"))
    ('1,234', '0.000123', 'inf')
    """
    if value is None or math.isnan(value):
        return DASH
    if not math.isfinite(value):
        return str(value)
    if value and not 1e-6 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}e}"
    places = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(0, places)}f}"


def percent(value: float | None) -> str:
    """Return a share in percent, where only a share of exactly 1 is written as 100%.

    >>> percent(0.98611), percent(1.0), percent(0.99999)
    ('98.6%', '100%', '>99.9%')
    """
    if value is None or not math.isfinite(value):
        return DASH
    if value in (0.0, 1.0):
        return f"{value:.0%}"
    written = f"{value:.1%}"
    return {"100.0%": ">99.9%", "0.0%": "<0.1%"}.get(written, written)


def duration(seconds: float) -> str:
    """Return a time span in words.

    >>> duration(8.25), duration(102), duration(7380)
    ('8.2 s', '1 min 42 s', '2 h 3 min')
    """
    if not math.isfinite(seconds):
        return DASH
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def table(
    header: Sequence[str], rows: Iterable[Sequence[object]], words: Sequence[int] = (0,)
) -> Markup:
    """Return a table that scrolls sideways where it is too wide; columns in `words` hold text."""
    kinds = ["" if index in words else ' class="n"' for index in range(len(header))]
    head = "".join(f'<th scope="col"{k}>{text(h)}</th>' for k, h in zip(kinds, header, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{k}>{text(c)}</td>' for k, c in zip(kinds, row, strict=True))}</tr>"
        for row in rows
    )
    return Markup(
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def pairs(items: Iterable[tuple[str, object]]) -> Markup:
    """Return a list of names with their values."""
    rows = "".join(f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in items)
    return Markup(f'<dl class="pairs">{rows}</dl>')


def bars(items: Sequence[tuple[str, float]], form: Callable[[float], str]) -> Markup:
    """Return horizontal bars that start at zero, each with its name and its value."""
    finite = {name: value for name, value in items if math.isfinite(value) and value > 0}
    most = max(finite.values(), default=1.0)
    rows = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(form(value))}</dd>"
        f'<dd class="bar" style="--v:{finite.get(name, 0.0) / most:.1%}"></dd></div>'
        for name, value in items
    )
    return Markup(f'<dl class="bars">{rows}</dl>')


def details(summary: str, body: Markup) -> Markup:
    """Return a part that is folded away until the reader opens it."""
    return Markup(f"<details><summary>{text(summary)}</summary>{body}</details>")


def paragraph(words: object, kind: str = "") -> Markup:
    """Return a paragraph; `kind` is its class in the style sheet."""
    return Markup(f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>")


def section(name: str, title: str, lead: str, body: Markup) -> Markup:
    """Return a section of the page; `name` is its anchor, `lead` says what is to be seen."""
    return Markup(
        f'<section id="{text(name)}"><header><h2>{text(title)}</h2>{paragraph(lead)}</header>'
        f'<div class="body">{body}</div></section>'
    )


def picture(image: npt.NDArray[onp.uint8], caption: Markup, name: str) -> Markup:
    """Return a figure with an RGB picture (uint8, height x width x 3) inside the page itself.

    Pictures larger than 256 pixels are shrunk. Raises `DTypeError` and `ShapeError`, naming the
    picture by `name`, which is also its alternative text.
    """
    if image.dtype != onp.uint8:
        raise DTypeError(f"picture {name!r} is {image.dtype}; the report needs uint8")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ShapeError(f"picture {name!r} has shape {image.shape}, not (height, width, 3)")
    cv2 = optional("cv2", extra="image")
    height, width = image.shape[:2]
    shrink = LONGEST_SIDE / max(height, width)
    pixels = onp.ascontiguousarray(image[:, :, ::-1])
    if shrink < 1:
        width, height = max(1, round(width * shrink)), max(1, round(height * shrink))
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    data = base64.b64encode(coded.tobytes()).decode("ascii")
    return Markup(
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="{text(name)}" '
        f'width="{width}" height="{height}"><figcaption>{caption}</figcaption></figure>'
    )


def gallery(figures: Iterable[Markup]) -> Markup:
    """Return pictures side by side, as many as fit."""
    return Markup(f'<div class="gallery">{join(figures)}</div>')


def document(title: str, body: Markup) -> str:
    """Return a whole page; its policy forbids scripts and everything from elsewhere."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


STYLE = """
:root {
  --paper: #fbfaf7; --card: #fff; --ink: #1d1c1a; --soft: #5f5b54; --line: #e3dfd6;
  --accent: #0b5f9e; --wash: #eaf2f8; --warn: #fcefe2; --right: #0072b2;
  --wrong: #d55e00; --on: #fff;
  --s0: #0072b2; --s1: #d55e00; --s2: #00875f; --s3: #b04a86; --s4: #8a6d00; --s5: #3a95c9;
  --s6: #55524c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131517; --card: #1a1d20; --ink: #e9e6e0; --soft: #a29d94; --line: #2f3337;
    --accent: #74b9ee; --wash: #182531; --warn: #2e2116; --right: #56aee6;
    --wrong: #f08a3c; --on: #0d1013;
    --s0: #56aee6; --s1: #f08a3c; --s2: #35c391; --s3: #dd8fbd; --s4: #e3c341; --s5: #9bd3f5;
    --s6: #c3beb5;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: break-word;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans",
    Arial, sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 56px 32px 40px; }
h1, h2, .figures dd { font-family: Charter, "Iowan Old Style", Georgia, P052, "Noto Serif", serif; }
h1 { margin: 6px 0 10px; font-size: clamp(30px, 5vw, 46px); line-height: 1.1; font-weight: 600;
  letter-spacing: -.015em; text-wrap: balance; }
h2 { margin: 0 0 8px; font-size: 23px; line-height: 1.2; font-weight: 600; }
h3 { margin: 0; font-size: 14px; font-weight: 600; }
p { margin: 0 0 12px; max-width: 68ch; }
code, .command { font: 13px/1.6 ui-monospace, "SF Mono", Menlo, Consolas, "Noto Sans Mono",
  monospace; }
.kicker { margin: 0; color: var(--accent); font-size: 13px; font-weight: 600; }
.subtitle, .note { max-width: 780px; }
.subtitle { font-size: 18px; color: var(--soft); }
.note { padding: 10px 16px; border-left: 3px solid var(--accent); background: var(--wash);
  border-radius: 0 6px 6px 0; }
.note.bad { border-color: var(--wrong); background: var(--warn); }
.command { margin: 20px 0 0; padding: 10px 14px; background: var(--card); white-space: pre-wrap;
  border: 1px solid var(--line); border-radius: 6px; max-width: none; }
.command::before { content: "$ "; color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr));
  margin: 32px 0 0; border-top: 2px solid var(--ink); }
.figures div { padding: 14px 20px 18px 0; display: flex; flex-direction: column; }
.figures div + div { padding-left: 20px; border-left: 1px solid var(--line); }
.figures dt { font-size: 13px; color: var(--soft); }
.figures dd { margin: 0; font-size: clamp(32px, 3.7vw, 44px); line-height: 1.15;
  font-weight: 600; letter-spacing: -.02em; white-space: nowrap;
  font-variant-numeric: lining-nums; }
.figures dd.aside { font: 13px/1.45 system-ui, sans-serif; color: var(--soft); letter-spacing: 0;
  white-space: normal; }
nav { margin: 8px 0 0; padding: 12px 0; border-top: 1px solid var(--line); font-size: 14px;
  display: flex; flex-wrap: wrap; gap: 4px 20px; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
section { display: grid; grid-template-columns: 220px minmax(0, 1fr); gap: 20px 44px;
  padding: 40px 0 44px; border-top: 1px solid var(--line); }
section > header p { font-size: 14px; color: var(--soft); }
.body > * + * { margin-top: 22px; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr));
  gap: 28px 32px; align-items: start; }
figure { margin: 0; min-width: 0; }
.chart > svg { display: block; width: 100%; max-width: 520px; height: auto; margin-top: 6px;
  overflow: visible; }
svg text { font: 11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "Liberation Sans", Arial, sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums; }
.chart > svg.wide { max-width: 640px; }
svg .x, svg .middle, svg .in, svg .empty { text-anchor: middle; }
svg .y, svg .end { text-anchor: end; }
svg .grid { stroke: var(--line); }
svg .axis, svg .tick { stroke: var(--soft); }
svg .rule { stroke: var(--soft); stroke-dasharray: 1 4; stroke-linecap: round; }
svg .line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; }
svg .band { fill: var(--c); opacity: .14; }
svg .mark { fill: var(--c); stroke: var(--paper); stroke-width: 1.2; }
svg .quiet { opacity: 0; }
svg .quiet:hover { opacity: 1; }
svg .cross { fill: none; stroke: var(--c); stroke-width: 2.2; }
svg .plot { fill: var(--card); stroke: var(--line); }
svg .right { fill: var(--right); }
svg .wrong { fill: var(--wrong); }
svg.heat text { font-size: inherit; fill: var(--ink); }
svg.heat .unit { font-size: 11.5px; fill: var(--soft); }
svg.heat .in.strong { fill: var(--on); font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 4px 0 0; padding: 0;
  list-style: none; font-size: 13px; color: var(--soft); }
.legend svg { width: 26px; height: 10px; margin-right: 7px; overflow: visible; }
.key { white-space: nowrap; }
.key::before { content: ""; display: inline-block; width: 11px; height: 11px; margin-right: 7px;
  border-radius: 2px; background: var(--c); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; min-width: min(100%, 380px); font-size: 14px; line-height: 1.4;
  font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; font-size: 13px; color: var(--soft);
  vertical-align: bottom; border-bottom: 1px solid var(--soft); }
th, td { padding: 7px 28px 7px 0; }
td { border-bottom: 1px solid var(--line); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
th.n { text-align: right; }
td.n { text-align: right; white-space: nowrap; }
td:last-child:not(.n) { min-width: 11em; }
.pairs, .bars { margin: 0; font-size: 14px; }
.pairs > div { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: 12px;
  padding: 6px 0; border-bottom: 1px solid var(--line); }
dt { color: var(--soft); }
dd { margin: 0; }
.bars > div { display: grid; grid-template-columns: 1fr auto; padding: 5px 0; }
.bar { grid-column: 1 / -1; height: 8px; background: var(--line); border-radius: 2px;
  overflow: hidden; }
.bar::before { content: ""; display: block; height: 100%; width: var(--v);
  background: var(--accent); }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(108px, 1fr));
  gap: 20px 16px; }
.gallery img { display: block; width: 100%; height: auto; aspect-ratio: 1; object-fit: contain;
  border-radius: 4px; background: var(--line); }
.gallery figcaption { margin-top: 6px; font-size: 12.5px; line-height: 1.4; color: var(--soft); }
.gallery b { display: block; color: var(--ink); font-weight: 600; }
.gallery .wrong { color: var(--wrong); }
bdi { unicode-bidi: isolate; overflow-wrap: anywhere; }
details { font-size: 14px; }
summary { cursor: pointer; color: var(--accent); font-size: 14px; width: fit-content; }
details[open] > summary { margin-bottom: 10px; }
.names { columns: 260px; margin: 0; padding: 0; list-style: none; }
footer { padding-top: 18px; border-top: 1px solid var(--line); font-size: 13px;
  color: var(--soft); }
@media (max-width: 820px) {
  main { padding: 32px 18px 28px; }
  section { grid-template-columns: minmax(0, 1fr); padding: 32px 0 36px; }
  .figures { grid-template-columns: 1fr 1fr; }
  .figures div:nth-child(odd) { padding-left: 0; border-left: 0; }
}
@media (max-width: 560px) {
  svg.wide text { font-size: 16px; }
  th, td { padding-right: 16px; }
}
@media print {
  main { max-width: none; padding: 0; }
  nav { display: none; }
  section, figure, tr { break-inside: avoid; }
}
"""
