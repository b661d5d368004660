"""What a person sees of a run: lines, tables, and a bar on a terminal."""

import io

from rich.console import Console

from regluon.recipes.display import Display, Lines, Terminal, best_display


def lines_of(times, counts, total):
    written = []
    clock = iter(times)
    display = Lines(written.append, lambda: next(clock))
    display.start("epoch 1/2", total)
    for count in counts:
        display.advance(count, "loss 0.5")
    display.stop()
    return written


def test_plain_lines_come_every_ten_seconds_with_speed_and_time_left():
    written = lines_of([0, 4, 10, 12, 20], [40, 60, 20, 80], total=400)
    assert written == [
        "epoch 1/2  100/400 images  10.0 images/s  0:30 left  loss 0.5",
        "epoch 1/2  200/400 images  10.0 images/s  0:20 left  loss 0.5",
    ]


def test_a_stage_that_is_done_needs_no_line_of_its_own():
    assert lines_of([0, 60], [10], total=10) == []


def test_tables_of_plain_lines_are_aligned():
    written = []
    Lines(written.append).table(("way", "score"), [("a", "1.0%"), ("longer", "100.0%")])
    assert written == ["way      score", "a         1.0%", "longer  100.0%"]


def test_the_terminal_shows_speed_and_note_and_leaves_nothing_behind():
    out = io.StringIO()
    display = Terminal(Console(file=out, force_terminal=True, width=100))
    display.start("epoch 1/2", 10)
    display.advance(5, "loss 0.25")
    display.advance(5)
    display.stop()
    display.say("[done] 100%")
    display.warn("careful")
    display.table(("way", "score"), [("a", "1")])
    shown = out.getvalue()
    assert "epoch 1/2" in shown
    assert "loss 0.25" in shown
    assert "[done] 100%" in shown
    assert "warning: careful" in shown


def test_without_a_terminal_plain_lines_are_chosen():
    assert isinstance(best_display(), Lines)


def test_the_silent_display_takes_everything():
    display = Display()
    display.start("x", 1)
    display.advance(1)
    display.stop()
    display.table(("a",), [])
    assert display.say("x") is display.warn("y") is None
