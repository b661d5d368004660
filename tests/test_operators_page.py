"""docs/operators.md: every name is compared or explained, and no explanation outlives its name."""

import pytest

from tools.operators_page import PLAIN, mxnet_names, operators_page, rows


SPACES = list(mxnet_names())


@pytest.mark.parametrize("space", SPACES)
def test_every_public_name_of_ours_has_samples_or_an_explanation(space):
    silent = [row.name for row in rows(space) if not row.verdict]
    assert not silent, f"add samples of {space}, or rows of PLAIN: {' '.join(silent)}"


@pytest.mark.parametrize("space", SPACES)
def test_every_missing_name_has_a_reason(space):
    silent = [row.name for row in rows(space) if row.verdict == "missing" and not row.why]
    assert not silent, f"add operators of {space}, or rows of ABSENT: {' '.join(silent)}"


def test_every_reason_is_that_of_a_name():
    used = {row.why for space in SPACES for row in rows(space) if row.verdict != "missing"}
    assert not [text for text, _ in PLAIN if text not in used]


def test_a_name_says_how_it_differs_and_where_it_is_computed():
    found = {row.name: row for row in rows("nd")}
    assert found["sum"].verdict == "same"
    assert found["sum"].file == "regluon/ops/reduce.py"
    assert found["Embedding"].verdict == "differs"
    assert "out of range" in found["Embedding"].why
    assert found["from_torch"].verdict == "only here"


def test_the_page_counts_all_names_and_links_existing_files():
    text = operators_page()
    counts = [line for line in text.splitlines() if line.startswith("| all |")]
    total = sum(int(cell) for cell in counts[0].split("|")[2:-1])
    assert total == sum(len(list(rows(space))) for space in SPACES)
    assert "](../regluon/ops/reduce.py)" in text
