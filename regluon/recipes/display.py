"""What a run shows while it works: a bar on a terminal, plain lines elsewhere, or nothing."""

import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text


class Display:
    """Shows nothing: the contract, and the display of runs inside programs.

    A stage is announced with `start`, moved on with `advance` and ended with `stop`.
    """

    def say(self, text: str) -> None:
        """Show a line."""

    def warn(self, text: str) -> None:
        """Show a line that should be noticed."""

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a small table; all columns but the first hold numbers."""

    def start(self, title: str, total: int, unit: str = "images") -> None:
        """Begin a stage of `total` units of work."""

    def advance(self, count: int, note: str = "") -> None:
        """Count finished work; `note` is a figure to show, such as the loss."""

    def stop(self) -> None:
        """End the stage."""


class Lines(Display):
    """Plain lines, for logs and pipes: progress at most every ten seconds."""

    EVERY = 10.0

    def __init__(
        self, write: Callable[[str], object] = print, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._clock = write, clock
        self._title, self._unit, self._total, self._done = "", "images", 0, 0
        self._begun = self._last = 0.0

    def say(self, text: str) -> None:
        """Print a line."""
        self._write(text)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self._write(f"warning: {text}")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table in aligned columns."""
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for row in (header, *rows):
            first = row[0].ljust(widths[0])
            rest = (c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))
            self._write("  ".join((first, *rest)))

    def start(self, title: str, total: int, unit: str = "images") -> None:
        """Begin a stage."""
        self._title, self._unit, self._total, self._done = title, unit, total, 0
        self._begun = self._last = self._clock()

    def advance(self, count: int, note: str = "") -> None:
        """Note finished work."""
        self._done += count
        now = self._clock()
        if now - self._last < self.EVERY or self._done >= self._total:
            return
        self._last = now
        speed = self._done / (now - self._begun)
        left = clock_time((self._total - self._done) / speed) if speed else "?"
        self._write(
            f"{self._title}  {self._done}/{self._total} {self._unit}  "
            f"{speed:.1f} {self._unit}/s  {left} left  {note}".rstrip()
        )


class Terminal(Display):
    """A bar with images per second and time left, redrawn in place."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._progress: Progress | None = None

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self._console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table in aligned columns."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for index, name in enumerate(header):
            table.add_column(name, justify="right" if index else "left")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    def start(self, title: str, total: int, unit: str = "images") -> None:
        """Begin a stage."""
        self.stop()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total}"),
            _Speed(unit),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=self._console,
            transient=True,
        )
        self._progress.add_task(title, total=total, note="")
        self._progress.start()

    def advance(self, count: int, note: str = "") -> None:
        """Note finished work."""
        if self._progress is not None:
            task = self._progress.tasks[0]
            self._progress.update(
                task.id,
                advance=count,
                **({"note": note} if note else {"note": task.fields["note"]}),
            )

    def stop(self) -> None:
        """End the stage."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class _Speed(ProgressColumn):
    """Units of work per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f} {self._unit}/s" if speed else "", style="cyan")


def clock_time(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours where there are any.

    >>> clock_time(75), clock_time(7384)
    ('1:15', '2:03:04')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def best_display() -> Display:
    """Return a bar where a person looks at a terminal, plain lines elsewhere."""
    console = Console()
    return Terminal(console) if console.is_terminal else Lines()
