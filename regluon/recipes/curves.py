"""The charts of a run's report: over epochs, between contenders, and over labels per class.

Each function returns what the reader is to see in one sentence, and the body of the section,
which is empty where the run has no data for it.
"""

import math
import statistics
from collections.abc import Iterable, Sequence

from regluon.recipes.charts import (
    Axis,
    Series,
    colour_of,
    line_chart,
    linear_axis,
    log_axis,
    share_axis,
)
from regluon.recipes.page import (
    DASH,
    Markup,
    details,
    join,
    number,
    paragraph,
    percent,
    table,
    text,
)
from regluon.recipes.record import Contender, Epoch, RunRecord


WIDE = 560


def curves(run: RunRecord) -> tuple[str, Markup]:
    """Return the charts over epochs and their numbers."""
    if not run.epochs:
        return "", Markup()
    epochs = run.epochs
    steps = [float(epoch.epoch) for epoch in epochs]
    x = linear_axis("epoch", steps, tight=True, whole=True)

    def series(name: str, values: Iterable[float]) -> Series:
        return Series(name, list(zip(steps, values, strict=True)))

    losses = [
        series("training", [e.train_loss for e in epochs]),
        series("validation", [e.val_loss for e in epochs]),
    ]
    shares = [
        series("training", [e.train_accuracy for e in epochs]),
        series("validation", [e.val_accuracy for e in epochs]),
    ]
    speed = [series("training", [e.images_per_s for e in epochs])]
    groups = list(dict.fromkeys(name for e in epochs for name in e.learning_rates))
    rates = [series(n, [e.learning_rates.get(n, math.nan) for e in epochs]) for n in groups]
    charts = [
        line_chart("Accuracy", x, share_axis("pictures recognized", heights(shares)), shares),
        line_chart("Loss", x, loss_axis(heights(losses)), losses),
        line_chart("Speed", x, linear_axis("images/s", [0.0, *heights(speed)]), speed),
    ]
    if rates:
        charts.append(
            line_chart("Learning rate", x, linear_axis("rate", [0.0, *heights(rates)]), rates)
        )
    numbers = table(
        ["epoch", "train loss", "train accuracy", "val loss", "val accuracy", "images/s"]
        + [f"rate, {name}" for name in groups],
        (
            [e.epoch, number(e.train_loss, 4), percent(e.train_accuracy), number(e.val_loss, 4)]
            + [percent(e.val_accuracy), number(e.images_per_s)]
            + [number(e.learning_rates.get(name)) for name in groups]
            for e in epochs
        ),
    )
    body = [Markup(f'<div class="two">{join(charts)}</div>'), details("The numbers", numbers)]
    lead = "After each epoch, on the pictures it was trained on and on those it was not."
    return lead, join([*broken(epochs), *body])


def heights(series: Iterable[Series]) -> list[float]:
    """Return the y values of all series."""
    return [point[1] for one in series for point in one.points]


def loss_axis(values: Sequence[float]) -> Axis:
    """Return an axis from zero, or a logarithmic one where a single epoch would dwarf the rest."""
    finite = [value for value in values if math.isfinite(value)]
    title = "cross-entropy, nats"
    if not finite or min(finite) <= 0 or max(finite) < 50 * statistics.median(finite):
        return linear_axis(title, [0.0, *finite])
    first, last = math.floor(math.log10(min(finite))), math.ceil(math.log10(max(finite)))
    return log_axis(title, [10.0**power for power in range(first, last + 1)])


def broken(epochs: Sequence[Epoch]) -> list[Markup]:
    """Return a note that names the epochs whose loss or accuracy is not a finite number."""
    bad = [
        str(e.epoch)
        for e in epochs
        if not all(map(math.isfinite, (e.train_loss, e.train_accuracy, e.val_loss, e.val_accuracy)))
    ]
    if not bad:
        return []
    which = "epoch " if len(bad) == 1 else "epochs "
    words = f"Not every figure is finite in {which}{', '.join(bad)}: see the crosses and gaps."
    return [paragraph(words, "note bad")]


def compared(run: RunRecord) -> tuple[str, Markup]:
    """Return the contenders' curves and their summary."""
    if not run.contenders:
        return "", Markup()
    steps = [point[0] for c in run.contenders for point in c.points] or [0.0, 1.0]
    series = [contender_series(c, min(steps), max(steps)) for c in run.contenders]
    chart = line_chart(
        "Accuracy on pictures never trained on",
        linear_axis("training steps", steps, tight=True, whole=True),
        share_axis("pictures recognized", [y for s in series for y in band_heights(s)]),
        series,
        target=run.target,
        width=WIDE,
    )
    summary = table(
        ["", "accuracy", "seeds", f"steps to {100 * run.target:g}%", "note"],
        (
            [
                Markup(f'<span class="key" {colour_of(index)}>{text(c.name)}</span>'),
                spread(c.accuracy, c.std),
                c.seeds,
                "not reached"
                if c.points and c.steps_to_target is None
                else whole(c.steps_to_target),
                c.note,
            ]
            for index, c in enumerate(run.contenders)
        ),
        words=(0, 4),
    )
    numbers = table(
        ["", "step", "accuracy", "lowest", "highest"],
        (
            [c.name, whole(p[0]), *map(percent, p[1:]), *[DASH] * (4 - len(p))]
            for c in run.contenders
            for p in c.points
        ),
    )
    lead = (
        "The same task without what the pre-trained network knows. Bands reach from the worst to "
        "the best seed; level lines have no steps."
    )
    return lead, join([chart, summary, details("The numbers", numbers)])


def contender_series(contender: Contender, first: float, last: float) -> Series:
    """Return the line of a contender; without steps it is level from `first` to `last`."""
    points = contender.points or [(first, contender.accuracy), (last, contender.accuracy)]
    band = [(p[0], p[2], p[3]) for p in points if len(p) > 3 and all(map(math.isfinite, p))]
    return Series(contender.name, [(p[0], p[1]) for p in points], band)


def band_heights(series: Series) -> list[float]:
    """Return every height that a line and its band reach."""
    return [p[1] for p in series.points] + [low for _, low, _ in series.band]


def spread(mean: float, deviation: float | None) -> str:
    """Return a mean share with its standard deviation in percentage points."""
    if deviation is None or not math.isfinite(deviation):
        return percent(mean)
    return f"{percent(mean)} \N{PLUS-MINUS SIGN} {100 * deviation:.1f}"


def whole(value: float | None) -> str:
    """Return a number of steps."""
    return DASH if value is None or not math.isfinite(value) else f"{value:,.0f}"


def labels(run: RunRecord) -> tuple[str, Markup]:
    """Return accuracy over labels per class."""
    curve = [point for point in run.labels_curve if point.labels > 0]
    if not curve:
        return "", Markup()
    points = [(float(p.labels), p.accuracy) for p in curve]
    band = [
        (float(p.labels), p.accuracy - p.std, min(1.0, p.accuracy + p.std)) for p in curve if p.std
    ]
    series = [Series("validation", points, band)]
    x = log_axis("labels per class", [p.labels for p in curve])
    y = share_axis("pictures recognized", band_heights(series[0]))
    rows = table(
        ["labels per class", "accuracy"], ([p.labels, spread(p.accuracy, p.std)] for p in curve)
    )
    chart = line_chart("Accuracy", x, y, series)
    lead = "The same training with only some of the labels: how many are worth collecting."
    return lead, Markup(f'<div class="two">{chart}{rows}</div>')
