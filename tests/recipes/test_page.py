import base64
import re

import cv2
import numpy as onp
import pytest

from regluon.recipes.page import DASH, Markup, bars, duration, number, percent, picture, table, text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (12.0, "12.0"),
        (0.5, "0.500"),
        (999.6, "1,000"),
        (1234567.0, "1,234,567"),
        (3e12, "3.00e+12"),
        (-2e-9, "-2.00e-09"),
        (None, DASH),
        (float("nan"), DASH),
        (float("-inf"), "-inf"),
        (onp.float32(78.25), "78.2"),
    ],
)
def test_numbers(value, written):
    assert number(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        *((0.0, "0%"), (1.0, "100%"), (0.9994, "99.9%"), (0.9996, ">99.9%"), (0.0004, "<0.1%")),
        *((0.5, "50.0%"), (None, DASH), (float("nan"), DASH), (float("inf"), DASH)),
    ],
)
def test_percents(value, written):
    assert percent(value) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        *((0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (3599.7, "1 h 0 min")),
        *((90061, "25 h 1 min"), (float("nan"), DASH)),
    ],
)
def test_durations(seconds, written):
    assert duration(seconds) == written


def test_text_is_escaped_once():
    assert text("<a & 'b'>") == "&lt;a &amp; &#x27;b&#x27;&gt;"
    assert text(text("<")) == "&lt;"
    assert Markup("<b>") + "<i>" == "<b>&lt;i&gt;"
    assert isinstance(Markup("<b>") + "<i>", Markup)


def test_control_and_bidirectional_characters_are_replaced():
    assert text("a\0b\x1bc\u202ed\ud800e") == "a\ufffdb\ufffdc\ufffdd\ufffde"
    assert text("é 皇 🐕") == "é 皇 🐕"
    assert text("می\u200cروم") == "می\u200cروم", "a joiner is part of how a word is written"


def test_a_row_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="zip"):
        table(["a", "b"], [["1"]])


def test_bars_bear_values_that_are_not_finite():
    drawn = bars([("a", 10.0), ("b", float("nan")), ("c", 5.0), ("d", float("inf"))], number)
    assert re.findall(r"--v:([\d.]+%)", drawn) == ["100.0%", "0.0%", "50.0%", "0.0%"]


def decode(figure):
    data = base64.b64decode(re.search(r'base64,([^"]+)"', figure).group(1))
    return cv2.imdecode(onp.frombuffer(data, onp.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]


def test_a_picture_keeps_its_colours():
    image = onp.zeros((16, 24, 3), onp.uint8)
    image[...] = (200, 100, 20)
    found = decode(picture(image, Markup("x"), "a"))
    assert found.shape == image.shape
    assert abs(found.astype(int) - image).max() < 6


@pytest.mark.parametrize(
    ("shape", "shown"), [((512, 256), (256, 128)), ((256, 256), (256, 256)), ((2000, 1), (256, 1))]
)
def test_large_pictures_are_shrunk(shape, shown):
    assert decode(picture(onp.zeros((*shape, 3), onp.uint8), Markup(), "a")).shape[:2] == shown


def test_a_flipped_view_is_accepted():
    image = onp.arange(48, dtype=onp.uint8).reshape(4, 4, 3)[:, ::-1]
    assert decode(picture(image, Markup(), "a")).shape == (4, 4, 3)
