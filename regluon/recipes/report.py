"""The report of a fine-tuning run: one HTML file that needs nothing else to be read.

`write_report(path, run)` turns a `RunRecord` into a page with inline style, inline SVG charts and
pictures as data URIs: no script, nothing loaded from elsewhere. Figures that are missing are
printed as an en dash, parts without data are left out.
"""

import math
import os
import secrets
import statistics
from pathlib import Path

from regluon.base import ShapeError
from regluon.recipes.confusion import confusion
from regluon.recipes.curves import compared, curves, labels
from regluon.recipes.page import (
    DASH,
    Markup,
    bars,
    details,
    document,
    duration,
    gallery,
    join,
    number,
    pairs,
    paragraph,
    percent,
    picture,
    plural,
    section,
    table,
    text,
)
from regluon.recipes.record import (
    Contender,
    Epoch,
    LabelPoint,
    Measure,
    Mistake,
    ReusedClass,
    RunRecord,
    Sample,
)


__all__ = [
    "Contender",
    "Epoch",
    "LabelPoint",
    "Measure",
    "Mistake",
    "ReusedClass",
    "RunRecord",
    "Sample",
    "write_report",
]

MOST_PICTURES = 24
MOST_NAMES = 12


def write_report(path: str | Path, run: RunRecord) -> None:
    """Write the report of `run` to `path`, whole or not at all.

    The page is made in full before anything is written, into a file beside `path` that then takes
    its place: whatever fails, an older report stays as it was. Raises `ShapeError` where the
    confusion matrix does not fit the classes, `ShapeError` or `DTypeError` naming a picture that
    is not uint8 RGB, and `OSError` where the disk refuses.

    >>> from tempfile import TemporaryDirectory
    >>> run = RunRecord("cats and dogs", ["cat", "dog"], epochs=[Epoch(1, 0.7, 0.5, 0.4, 0.9, 80)])
    >>> with TemporaryDirectory() as folder:
    ...     write_report(f"{folder}/report.html", run)
    ...     "90.0%" in Path(folder, "report.html").read_text(encoding="utf-8")
    True
    """
    data = render(run).encode("utf-8", errors="backslashreplace")
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def render(run: RunRecord) -> str:
    """Return the page of `run` as text."""
    check(run)
    parts = [
        ("curves", "How it learned", curves(run)),
        ("compared", "Was it worth it?", compared(run)),
        ("labels", "How many labels?", labels(run)),
        ("confusion", "What it confuses", confusion(run)),
        ("mistakes", "Surest mistakes", mistakes(run)),
        ("samples", "What it was shown", samples(run)),
        ("helped", "What helped", helped(run)),
        ("trained", "What was trained", trained(run)),
        ("run", "How it ran", ran(run)),
    ]
    shown = [(name, title, lead, body) for name, title, (lead, body) in parts if body]
    links = join(Markup(f'<a href="#{name}">{title}</a>') for name, title, _, _ in shown)
    sections = join(section(*part) for part in shown)
    foot = "Written by regluon. Everything on this page is inside this one file."
    nav = f'<nav aria-label="parts of this page">{links}</nav>'
    return document(run.title, Markup(f"{masthead(run)}{nav}{sections}<footer>{foot}</footer>"))


def check(run: RunRecord) -> None:
    """Raise `ShapeError` unless the confusion matrix is square and has a row for each class."""
    count = len(run.classes)
    rows = [len(row) for row in run.confusion]
    if rows and rows != [count] * count:
        raise ShapeError(
            f"the confusion matrix has {len(rows)} rows of {sorted(set(rows))} columns; "
            f"{count} classes need {count} x {count}"
        )


def best_epoch(run: RunRecord) -> Epoch | None:
    """Return the first epoch with the best validation accuracy, if any is finite."""
    finite = [epoch for epoch in run.epochs if math.isfinite(epoch.val_accuracy)]
    return max(finite, key=lambda epoch: epoch.val_accuracy, default=None)


def masthead(run: RunRecord) -> Markup:
    """Return title, notes, command and the headline figures."""
    kicker = " \N{MIDDLE DOT} ".join(filter(None, ["Fine-tuning report", run.date]))
    parts = [paragraph(kicker, "kicker"), Markup(f"<h1>{text(run.title)}</h1>")]
    parts += [paragraph(run.subtitle, "subtitle")] if run.subtitle else []
    parts += [paragraph(run.note, "note")] if run.note else []
    parts += [paragraph(warning, "note bad") for warning in run.warnings]
    parts += [Markup(f'<p class="command">{text(run.command)}</p>')] if run.command else []
    return join([*parts, headline(run)])


def headline(run: RunRecord) -> Markup:
    """Return the figures that a reader looks for first."""
    best = best_epoch(run)
    accuracy = run.accuracy if run.accuracy is not None or best is None else best.val_accuracy
    total = sum(map(sum, run.confusion))
    wrong = total - sum(row[index] for index, row in enumerate(run.confusion))
    speeds = [epoch.images_per_s for epoch in run.epochs if math.isfinite(epoch.images_per_s)]
    count = len(run.epochs)
    where = f"best of {plural(count, 'epoch')}: epoch {best.epoch}" if best and count > 1 else ""
    where = where if run.accuracy is None else f"{len(run.classes)} classes"
    figures = [
        (run.accuracy_name, percent(accuracy), where),
        (
            "mistakes",
            f"{wrong:,}" if total else DASH,
            f"of {plural(total, 'picture')}" if total else "",
        ),
        ("time", duration(run.seconds), plural(count, "epoch") if count else ""),
        (
            "images/s in training",
            number(statistics.median(speeds) if speeds else None),
            "median of the epochs" if count > 1 else "",
        ),
    ]
    cells = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd>"
        f'<dd class="aside">{text(aside)}</dd></div>'
        for name, value, aside in figures
    )
    return Markup(f'<dl class="figures">{cells}</dl>')


def mistakes(run: RunRecord) -> tuple[str, Markup]:
    """Return the pictures that were taken for another class with the most confidence."""
    if not run.mistakes:
        return "", Markup()
    # A probability that is NaN has no place in the order and comes last.
    order = sorted(run.mistakes, key=lambda m: -m.probability if m.probability >= 0 else 1.0)
    figures = (
        picture(
            m.image,
            Markup(
                f'<b class="wrong">{text(m.predicted_class)}, {text(percent(m.probability))}</b>'
                f"really {text(m.true_class)}<br>"
                f"<bdi>{text(m.file_name).replace('/', '/<wbr>')}</bdi>"
            ),
            m.file_name,
        )
        for m in order[:MOST_PICTURES]
    )
    lead = "What the network said, how sure it was, and what the label says. Labels err as well."
    return lead, gallery(figures) + remainder(len(order))


def samples(run: RunRecord) -> tuple[str, Markup]:
    """Return augmented pictures."""
    if not run.samples:
        return "", Markup()
    figures = (picture(s.image, text(s.caption), s.caption) for s in run.samples[:MOST_PICTURES])
    lead = "Pictures as they went into the network, after augmentation."
    return lead, gallery(figures) + remainder(len(run.samples))


def remainder(count: int) -> Markup:
    """Return a line that says how many pictures are not shown."""
    left = count - MOST_PICTURES
    return paragraph(f"{plural(left, 'more picture')} not shown.") if left > 0 else Markup()


def helped(run: RunRecord) -> tuple[str, Markup]:
    """Return what each measure did to speed and accuracy."""
    if not run.measures:
        return "", Markup()
    rows = (
        [
            m.name,
            number(m.speed_with),
            number(m.speed_without),
            factor(m),
            percent(m.accuracy_with),
            percent(m.accuracy_without),
            difference(m),
            m.note,
        ]
        for m in run.measures
    )
    header = [
        *("measure", "images/s with", "without", "speed-up"),
        *("accuracy with", "without", "points", "note"),
    ]
    lead = "Each measure switched on and off, everything else the same."
    return lead, table(header, rows, (0, 7))


def factor(measure: Measure) -> str:
    """Return how many times faster a measure is."""
    fast, slow = measure.speed_with, measure.speed_without
    if fast is None or slow is None or not slow or not math.isfinite(fast / slow):
        return DASH
    return f"{fast / slow:.2f}\N{MULTIPLICATION SIGN}"


def difference(measure: Measure) -> str:
    """Return the change of accuracy in percentage points."""
    new, old = measure.accuracy_with, measure.accuracy_without
    if new is None or old is None or not math.isfinite(new - old):
        return DASH
    return f"{100 * (new - old):+.1f}".replace("-", "\N{MINUS SIGN}")


def trained(run: RunRecord) -> tuple[str, Markup]:
    """Return which parameters were fixed and which output rows were not fresh."""
    if not (run.epochs or run.frozen or run.reused):
        return "", Markup()
    body = [paragraph("Every parameter was trained; none was frozen.")]
    if run.frozen:
        items = join(Markup(f"<li><code>{text(name)}</code></li>") for name in run.frozen)
        names = Markup(f'<ul class="names">{items}</ul>')
        few = len(run.frozen) <= MOST_NAMES
        words = f"{plural(len(run.frozen), 'parameter')} stayed fixed{':' if few else '.'}"
        body = [paragraph(words), names if few else details("Their names", names)]
    if run.reused:
        words = f"{plural(len(run.reused), 'output row')} started from the source classifier:"
        header = ["class", "source class", "found as", "row"]
        rows = ([r.name, r.source, r.alias or DASH, r.row] for r in run.reused)
        body += [paragraph(words), table(header, rows, (0, 1, 2))]
    return "What was fixed, and where the output layer came from.", join(body)


def ran(run: RunRecord) -> tuple[str, Markup]:
    """Return settings, machine, throughput and the names of the classes."""
    parts = [
        Markup(f"<div><h3>{title}</h3>{pairs(items.items())}</div>")
        for title, items in (("Settings", run.settings), ("Machine", run.machine))
        if items
    ]
    if run.throughput:
        lines = bars(list(run.throughput.items()), number)
        parts.append(Markup(f"<div><h3>Throughput, images/s</h3>{lines}</div>"))
    body = [Markup(f'<div class="two">{join(parts)}</div>')] if parts else []
    if run.classes:
        names = paragraph(", ".join(run.classes))
        body.append(details(f"Names of the {len(run.classes)} classes", names))
    return "Enough to do it again and to know what the times mean.", join(body)
