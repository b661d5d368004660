import errno
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as onp
import pytest

from regluon.base import DTypeError, ShapeError
from regluon.recipes.page import DASH
from regluon.recipes.report import (
    Contender,
    Epoch,
    LabelPoint,
    Measure,
    Mistake,
    ReusedClass,
    RunRecord,
    Sample,
    render,
    write_report,
)


EVIL = "<script>alert('x')</script>\"&\u202e"
VOID = {"meta", "img", "br", "wbr"}


class Page(HTMLParser):
    """Reads a page as a browser would: checks the nesting, collects texts and attributes."""

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(source)
        self.close()
        assert self.open == [], "unclosed elements"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        words = re.sub(r"\s+", " ", " ".join(self.words))
        return words.replace(DASH, "~").replace("\N{MINUS SIGN}", "-")


def grey(value, height=8, width=8):
    return onp.full((height, width, 3), value, onp.uint8)


def epoch(number, loss=0.5, accuracy=0.9, **rates):
    return Epoch(number, loss, accuracy, loss, accuracy, 80.0, rates)


def full_run(**changes):
    fields = {
        "title": "Cats and dogs",
        "classes": ["cat", "dog"],
        "subtitle": "a subtitle",
        "note": "a smoke demo",
        "warnings": ["resumed at step 7"],
        "command": "regluon finetune data",
        "date": "22 November 2026",
        "seconds": 102.0,
        "settings": {"model": "resnet18_v1", "batch size": 16},
        "machine": {"torch": "2.13"},
        "epochs": [epoch(1, 0.7, 0.5, body=0.01), epoch(2, 0.3, 0.875, body=0.005, output=0.1)],
        "contenders": [
            Contender("fine-tuned", 0.98, 0.01, 3, [(0, 0.5, 0.4, 0.6), (8, 0.98, 0.97, 1)], 6),
            Contender("scratch", 0.8, None, 1, [(0, 0.5), (8, 0.8)], None, "best rate"),
            Contender("raw pixels", 0.7),
        ],
        "confusion": [[10, 2], [0, 4]],
        "samples": [Sample(grey(10), "cat 1")],
        "mistakes": [Mistake(grey(90), "cat", "dog", 0.75, "val/cat/1.jpg")],
        "throughput": {"decode": 900.0, "train": math.nan},
        "measures": [Measure("channels last", 120.0, 80.0), Measure("mixup", None, None, 0.8, 0.9)],
        "labels_curve": [LabelPoint(5, 0.8, 0.05), LabelPoint(50, 0.95)],
        "frozen": ["conv0_weight"],
        "reused": [ReusedClass("hotdog", "hotdog, hot dog, red hot", 934, "hot dog")],
    }
    return RunRecord(**(fields | changes))


def test_everything_in_the_record_is_on_the_page():
    page = Page(render(full_run()))
    for words in (
        *("Cats and dogs", "a subtitle", "a smoke demo", "resumed at step 7"),
        *("regluon finetune data", "22 November 2026", "1 min 42 s", "best of 2 epochs: epoch 2"),
        *("87.5%", "80.0", "resnet18_v1", "batch size", "2.13", "of 16 pictures"),
        *("98.0% ± 1.0", "not reached", "raw pixels", "steps to 95%", "best rate"),
        *(
            "16.7%",
            "channels last",
            "1.50\N{MULTIPLICATION SIGN}",
            "-10.0",
            "conv0_weight",
            "934",
            "hot dog",
        ),
        *("cat 1", "dog, 75.0%", "really cat", "val/ cat/ 1.jpg", "80.0% ± 5.0", "decode", "900"),
    ):
        assert words in page.text, words


def test_missing_figures_are_en_dashes():
    page = Page(render(full_run()))
    assert "channels last 120 80.0 1.50\N{MULTIPLICATION SIGN} ~ ~ ~" in page.text
    assert "mixup ~ ~ ~ 80.0% 90.0% -10.0" in page.text
    assert "raw pixels 70.0% 1 ~" in page.text


def test_the_page_needs_nothing_else():
    source = render(full_run())
    page = Page(source)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        if name == "src":
            assert value.startswith("data:image/jpeg;base64,"), tag
        if name == "href":
            assert value.startswith("#")
    assert "default-src 'none'" in source
    assert not re.search(r"https?:|@import|url\(", source)


def test_every_link_has_its_section():
    page = Page(render(full_run()))
    links = {value[1:] for tag, name, value in page.attributes if name == "href"}
    assert links == {value for tag, name, value in page.attributes if name == "id"}
    assert len(links) == 9


@pytest.mark.parametrize("count", [2, 40])
def test_text_from_outside_is_escaped_everywhere(count):
    classes = [EVIL, *(f"{EVIL} {index}" for index in range(1, count))]
    run = full_run(
        title=EVIL,
        subtitle=EVIL,
        note=EVIL,
        warnings=[EVIL],
        command=EVIL,
        date=EVIL,
        accuracy_name=EVIL,
        classes=classes,
        settings={EVIL: EVIL},
        machine={EVIL: EVIL},
        epochs=[epoch(1, **{EVIL: 0.1})],
        contenders=[Contender(EVIL, 0.5, points=[(0, 0.5), (1, math.nan)], note=EVIL)],
        confusion=onp.ones((count, count), int).tolist(),
        samples=[Sample(grey(1), EVIL)],
        mistakes=[Mistake(grey(1), EVIL, EVIL, 0.5, f"/{EVIL}/a.jpg")],
        throughput={EVIL: 5.0},
        measures=[Measure(EVIL, note=EVIL)],
        frozen=[EVIL],
        reused=[ReusedClass(EVIL, EVIL, 1, EVIL)],
    )
    source = render(run)
    assert "script" not in Page(source).tags
    assert "<script" not in source
    assert "\u202e" not in source, "a file name could turn the text around it"
    assert source.count("&lt;script&gt;") > 25


def test_a_name_that_is_no_unicode_is_written(tmp_path):
    write_report(tmp_path / "r.html", full_run(frozen=["caf\udce9", "nul\0"]))
    assert "nul\ufffd" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_charts_are_well_formed_svg():
    drawings = re.findall(r"<svg.*?</svg>", render(full_run()), re.DOTALL)
    charts = [drawing for drawing in drawings if "aria-label" in drawing]
    assert len(charts) == 7
    for drawing in drawings:
        ElementTree.fromstring(drawing)


RUNS = {
    "nothing at all": RunRecord("empty", []),
    "no epochs": full_run(epochs=[]),
    "one epoch": full_run(epochs=[epoch(1)]),
    "NaN in the middle": full_run(epochs=[epoch(1), epoch(2, math.nan, math.nan), epoch(3)]),
    "all NaN": full_run(epochs=[Epoch(i, *[math.nan] * 5, {"all": math.nan}) for i in (1, 2)]),
    "infinite loss": full_run(epochs=[epoch(1), epoch(2, math.inf)]),
    "a loss that leaps": full_run(epochs=[epoch(i, loss) for i, loss in enumerate([1, 1, 4e9])]),
    "loss zero": full_run(epochs=[epoch(i, loss) for i, loss in enumerate([0, 0, 0, 9])]),
    "many epochs": full_run(epochs=[epoch(i + 1, 1 / (i + 1)) for i in range(300)]),
    "no mistakes": full_run(confusion=[[9, 0], [0, 9]], mistakes=[]),
    "a class without pictures": full_run(confusion=[[0, 0], [0, 9]]),
    "no pictures": full_run(confusion=[[0, 0], [0, 0]]),
    "one class": full_run(classes=["cat"], confusion=[[3]]),
    "one number of labels": full_run(labels_curve=[LabelPoint(5, math.nan)]),
    "contenders without steps": full_run(contenders=[Contender("raw", math.nan)]),
    "contender with gaps": full_run(
        contenders=[Contender("x", 1.0, points=[(0, 1), (5, math.nan)])]
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_unusual_runs_give_a_sound_page(name):
    source = render(RUNS[name])
    Page(source)
    for drawing in re.findall(r"<svg.*?</svg>", source, re.DOTALL):
        for element in ElementTree.fromstring(drawing).iter():
            for key in ("d", "x", "y", "cx", "cy", "width", "height"):
                assert not re.search(r"nan|inf", element.get(key, "")), (key, element.attrib)


def test_epochs_without_finite_figures_are_named():
    text = Page(render(RUNS["NaN in the middle"])).text
    assert "Not every figure is finite in epoch 2:" in text
    assert "best of 3 epochs: epoch 1" in text
    assert "2 ~ ~ ~ ~ 80.0" in text
    assert "no finite value" in Page(render(RUNS["all NaN"])).text


def test_no_mistakes_are_said_aloud():
    page = Page(render(RUNS["no mistakes"]))
    assert "Not a single picture was taken for another class." in page.text
    assert "Surest mistakes" not in page.text


def test_given_accuracy_is_the_headline():
    text = Page(render(full_run(accuracy=0.625, accuracy_name="test accuracy"))).text
    assert "test accuracy 62.5% 2 classes" in text


def test_a_hundred_classes_show_the_most_confused_pairs():
    counts = onp.diag(onp.full(100, 20))
    counts[10, 40], counts[7, 8] = 15, 2
    names = [f"class {index}" for index in range(100)]
    source = render(full_run(classes=names, confusion=counts.tolist(), mistakes=[]))
    text = Page(source).text
    assert "class 10 class 40 15 42.9% class 7 class 8 2 9.1%" in text
    assert "15 of 35 class 10 taken for class 40" in text
    assert "All 2 confused pairs" in text
    assert len(source) < 100_000


def test_a_matrix_that_does_not_fit_the_classes_is_refused():
    for confusion in ([[1]], [[1, 2], [3]], [[1, 2, 3]] * 2, [[1, 2]] * 3):
        with pytest.raises(ShapeError, match="2 classes need 2 x 2"):
            render(full_run(confusion=confusion))


def test_mistakes_are_ordered_by_confidence_and_limited():
    chances = [0.5, math.nan, 0.99999, 0.75, *[0.25] * 30]
    wrong = [Mistake(grey(0), "cat", "dog", p, f"{i}.jpg") for i, p in enumerate(chances)]
    page = Page(render(full_run(mistakes=wrong, samples=[])))
    assert re.findall(r"dog, (\S+)", page.text)[:5] == [
        ">99.9%",
        "75.0%",
        "50.0%",
        "25.0%",
        "25.0%",
    ]
    assert page.tags.count("img") == 24
    assert "10 more pictures not shown." in page.text
    page = Page(render(full_run(mistakes=wrong[:2], samples=[])))
    assert re.findall(r"dog, (\S+) really", page.text) == ["50.0%", "~"]


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (onp.zeros((4, 4, 3), onp.float32), DTypeError, "picture 'cat 7' is float32"),
        (onp.zeros((4, 4), onp.uint8), ShapeError, r"picture 'cat 7' has shape \(4, 4\)"),
        (onp.zeros((0, 4, 3), onp.uint8), ShapeError, r"picture 'cat 7' has shape \(0, 4, 3\)"),
    ],
)
def test_a_wrong_picture_is_named_and_the_old_report_stays(tmp_path, image, error, message):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(error, match=message):
        write_report(path, full_run(samples=[Sample(image, "cat 7")]))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stage", ["write", "replace"])
def test_a_full_disk_leaves_the_old_report(tmp_path, monkeypatch, stage):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "report.html"
    path.write_text("old")
    if stage == "write":
        monkeypatch.setattr("os.fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(path, full_run())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_replaces_the_old_one(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(str(path), full_run())
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_run_gives_the_same_page():
    assert render(full_run()) == render(full_run())
