import math
import re

import pytest
from hypothesis import given, strategies as st

from regluon.recipes.charts import (
    Series,
    line_chart,
    linear_axis,
    log_axis,
    nice_step,
    share_axis,
)


heights = st.floats(-1e12, 1e12).filter(lambda value: value == 0 or abs(value) > 1e-12)


@given(st.lists(heights, max_size=6))
def test_an_axis_holds_its_values_and_has_few_ticks(values):
    axis = linear_axis("x", values)
    slack = 1e-3 * (axis.high - axis.low)
    assert all(axis.low - slack <= value <= axis.high + slack for value in values)
    assert 2 <= len(axis.ticks) <= 8
    assert axis.low < axis.high


@given(st.lists(st.floats(0, 1), max_size=6))
def test_a_share_axis_ends_at_one(values):
    axis = share_axis("accuracy", values)
    assert axis.high == 1.0
    assert axis.ticks[-1] == 1.0
    assert 0.0 <= axis.low <= min([*values, 0.9]) + 1e-6
    assert len(axis.ticks) <= 7
    assert len({axis.form(tick) for tick in axis.ticks}) == len(axis.ticks)


@pytest.mark.parametrize(("span", "count", "step"), [(1, 5, 0.2), (0.31, 5, 0.1), (7, 5, 2.0)])
def test_steps_are_one_two_or_five(span, count, step):
    assert nice_step(span, count) == step


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([1, 6], ["1", "2", "3", "4", "5", "6"]),
        ([1, 2], ["1", "2"]),
        ([3], ["3"]),
        ([1, 100], ["20", "40", "60", "80", "100"]),
        ([], ["0", "1"]),
    ],
)
def test_epochs_have_whole_ticks(values, written):
    axis = linear_axis("epoch", values, tight=True, whole=True)
    assert [axis.form(tick) for tick in axis.ticks] == written


def test_values_that_are_not_finite_do_not_move_an_axis():
    axis = linear_axis("loss", [0.0, 1.0, math.nan, math.inf])
    assert (axis.low, axis.high) == (0.0, 1.0)


def test_a_log_axis_places_factors_evenly():
    axis = log_axis("labels", [5, 10, 20, 40, 10])
    assert axis.ticks == (5, 10, 20, 40)
    assert [round(axis.place(tick, 0, 3), 6) for tick in axis.ticks] == [0, 1, 2, 3]


def chart(*points, **options):
    series = [Series("a", list(points))]
    x = linear_axis("step", [x for x, _ in points], tight=True)
    return line_chart("title", x, share_axis("y", [y for _, y in points]), series, **options)


def test_a_gap_interrupts_the_line_and_is_marked():
    drawing = chart((0, 0.5), (1, 0.6), (2, math.nan), (3, 0.7), (4, 0.8))
    line = re.search(r'<path d="([^"]*)" class="line" stroke', drawing.split("<g ")[1]).group(1)
    assert line.count("M") == 2
    assert drawing.count('class="cross"') == 1
    assert "a, step 2: nan" in drawing


def test_marks_of_long_series_show_only_on_hover_unless_they_stand_alone():
    points = [(i, 0.5) for i in range(50)] + [(50, math.nan), (51, 0.5)]
    drawing = chart(*points)
    assert drawing.count('class="mark quiet"') == 50
    assert drawing.split("<g ")[1].count('class="mark "') == 1


def test_a_target_is_a_rule_inside_the_plot_only():
    assert ">95%</text>" in chart((0, 0.5), (1, 0.9), target=0.95)
    assert 'class="rule"' not in chart((0, 0.5), (1, 0.9), target=0.2)
    assert 'class="rule"' not in chart((0, 0.5), (1, 0.9))


def test_no_finite_value_is_said_in_the_plot():
    assert "no finite value" in chart((0, math.nan), (1, math.inf))


def test_series_differ_in_more_than_colour():
    series = [Series(str(i), [(0, 0.5), (1, 0.6)]) for i in range(4)]
    x = linear_axis("step", [0, 1])
    drawing = line_chart("title", x, share_axis("y", [0.5]), series)
    groups = drawing.split("<g ")[1:]
    dashes = [re.search(r'stroke-dasharray="([^"]*)"', group).group(1) for group in groups]
    assert len(set(dashes)) == 4
