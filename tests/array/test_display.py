"""How arrays look: MXNet's text for every dtype and shape, print options, tables for notebooks."""

import json

import numpy as onp
import pytest

import regluon as mx
from regluon import nd, np
from tests.array.shown import FILE, shown


GOLDEN = json.loads(FILE.read_text())


@pytest.mark.parametrize("expression", GOLDEN)
def test_arrays_print_as_mxnet_prints_them(expression: str) -> None:
    mx.npx.set_np()
    assert shown(expression, mx) == GOLDEN[expression]


def test_numpys_print_options_are_honoured() -> None:
    x = np.array([1 / 3, 20000])
    try:
        np.set_printoptions(precision=2, suppress=True)
        assert str(x) == "[    0.33 20000.  ]"
        onp.set_printoptions(threshold=4, edgeitems=1)
        assert repr(np.arange(6)) == "array([0., ..., 5.])"
        assert str(nd.arange(4)) == "\n[0. 1. 2. 3.]\n<NDArray 4 @cpu(0)>"
    finally:
        onp.set_printoptions(precision=8, suppress=False, threshold=1000, edgeitems=3)


def test_bfloat16_is_shown_by_its_values() -> None:
    x = np.array([1.5, 2]).astype("bfloat16")
    assert repr(x) == "array([1.5, 2. ], dtype=bfloat16)"
    assert (
        repr(np.zeros((2000,)).astype("bfloat16"))
        == "array([0., 0., 0., ..., 0., 0., 0.], dtype=bfloat16)"
    )


def test_only_the_corners_of_a_large_array_are_copied(monkeypatch) -> None:
    x = np.zeros((2000, 3000))
    monkeypatch.setattr(type(x), "asnumpy", None)
    assert repr(x).count("...") == 7
    assert x._repr_html_().count("0.") == 36


def test_views_and_recorded_arrays_are_shown() -> None:
    x = nd.arange(6).reshape((2, 3))
    x.attach_grad()
    with mx.autograd.record():
        assert "[2. 4. 6.]" in repr((x * 2)[0] + 2)
    assert str(x[1]) == "\n[3. 4. 5.]\n<NDArray 3 @cpu(0)>"


def cells(html: str) -> list[list[str]]:
    rows = [row.split("</td>") for row in html.split("<tr>")[1:]]
    return [[cell.rpartition(">")[2] for cell in row[:-1]] for row in rows]


def test_a_notebook_shows_a_table_with_shape_type_and_context() -> None:
    html = nd.array([[1, 2.5], [3, 4]])._repr_html_()
    assert "<code>NDArray: 2 x 2, float32, cpu(0)</code>" in html
    assert cells(html) == [["1.", "2.5"], ["3.", "4."]]
    assert cells(np.array([1, 2], dtype="int64")._repr_html_()) == [["1", "2"]]
    assert cells(np.array(3.0)._repr_html_()) == [["3."]]
    assert "ndarray: 0 x 3, float32" in np.zeros((0, 3))._repr_html_()
    assert "no axes" in np.array(3.0)._repr_html_()


def test_large_tables_are_cut_in_the_middle() -> None:
    long = cells(np.arange(100)._repr_html_())
    assert long == [["0.", "1.", "2.", "&hellip;", "97.", "98.", "99."]]
    wide = cells(np.arange(10_000).reshape(100, 100)._repr_html_())
    assert len(wide) == len(wide[0]) == 7
    assert set(wide[3]) == {"&hellip;"}
    assert wide[4][0] == "9700."
    assert len(cells(np.zeros((6, 6))._repr_html_())) == 6


def test_more_axes_are_shown_as_matrices_with_their_place() -> None:
    html = np.arange(8).reshape(2, 2, 2)._repr_html_()
    assert "<code>[1]</code>" in html
    assert cells(html) == [["0.", "1."], ["2.", "3."], ["4.", "5."], ["6.", "7."]]
    many = np.zeros((50, 4, 2, 2))._repr_html_()
    assert "<code>[1, 1]</code>" in many
    assert many.count("<table") == 6
    assert many.endswith("<div>&hellip;</div></div>")
    assert np.zeros((2, 0, 3))._repr_html_().count("<table") == 0


def test_what_html_would_read_is_escaped() -> None:
    class Odd(np.ndarray):
        __slots__ = ()

    Odd.__name__ = "<b>"
    odd = Odd(np.ones(1).to_torch(), mx.cpu())
    assert "&lt;b&gt;: 1, float32" in odd._repr_html_()


def test_format_is_that_of_the_number_or_of_the_text() -> None:
    x = np.array([0.125, 2])
    assert f"{x[0]:.2f}" == "0.12"
    assert f"{nd.array([2.5]):>6}" == "   2.5"
    assert f"{x}" == str(x)
    assert f"{nd.array([1])}" == str(nd.array([1]))
    with pytest.raises(TypeError, match=r"shape \(2,\) has no format '\.2f'"):
        f"{x:.2f}"
