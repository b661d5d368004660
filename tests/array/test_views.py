"""Which expressions share memory with their array: MXNet's rule, in one table that the docs print.

A write to a view reaches the array, a write to the array reaches the view; copies are apart. It
makes no difference whether the expression is computed under `record`, under `pause`, or outside.
"""

import contextlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as onp
import pytest

from regluon import autograd, nd, np


VIEW, COPY, SELF = "view", "copy", "the array itself"


class Row(NamedTuple):
    """An expression of `x`, and what it is under `nd` and `np`, "" where there is no such."""

    text: str
    nd: str
    np: str
    note: str = ""


# Measured with MXNet 1.9.1 by the same two writes as below.
TABLE = [
    Row("x[:]; x[()]", SELF, SELF),
    Row("x[0]; x[-1]; x[1:3]; x[0:1]; x[0, 1]; x[0, 1:3]; x[1, :]; x[0, ...]; x[...]", VIEW, VIEW),
    Row("x[0:1, 1:3]; x[0:1:2]; x[2:2]; x[None]; x[:, None]; x[0, None]; x[0][1:]", VIEW, VIEW),
    Row("next(iter(x))", VIEW, VIEW),
    Row("x[:, 1]; x[:, 1:]; x[..., 0]; x[::2]; x[:, ::2]; x[::-1]", COPY, COPY, "not one run"),
    Row("x[[0, 2]]; x[F.array([0, 2])]; x[onp.array([True, False, True, False])]", COPY, COPY),
    Row("x.reshape(2, 6); x.reshape((-1,)); x.reshape(x.shape)", VIEW, COPY),
    Row("x.reshape(-1)[2:5]; x[1:3].reshape(-1)", VIEW, COPY),
    Row("x.reshape_view(2, 6)", "", VIEW),
    Row("x.detach()", VIEW, VIEW),
    Row("x.as_np_ndarray()", VIEW, SELF),
    Row("x.as_nd_ndarray()", SELF, VIEW),
    Row("x.as_in_context(x.ctx)", SELF, SELF, "MXNet's np gives a view"),
    Row("x.astype('float32', copy=False)", SELF, SELF),
    Row("x.astype('float32'); x.copy(); F.array(x)", COPY, COPY),
    Row("x.T; x.transpose(); x.swapaxes(0, 1); x.squeeze(); x.flatten()", COPY, COPY),
    Row("x.expand_dims(0); x.broadcast_to(x.shape); x.slice_axis(0, 0, 1)", COPY, ""),
    Row("F.reshape(x, (2, 6)); F.squeeze(x); F.expand_dims(x, 0); F.transpose(x)", COPY, COPY),
    Row("nd.split(x, 2, axis=0)[0]; nd.identity(x); nd.concat(x, dim=0)", COPY, ""),
    Row("np.split(x, 2)[0]; np.concatenate([x]); np.ravel(x)", "", COPY),
]

CASES = [
    pytest.param(space, text, wanted, id=f"{space}-{text}")
    for row in TABLE
    for space, wanted in (("nd", row.nd), ("np", row.np))
    for text in row.text.split("; ")
    if wanted
]
MODES = ("outside", "record", "pause", "record without a leaf")


def markdown() -> str:
    """Return the table of docs/from_mxnet.md."""
    lines = ["| expression | `nd` | `np` | |", "|---|---|---|---|"]
    for row in TABLE:
        shown = ", ".join(f"`{text}`" for text in row.text.split("; "))
        lines.append(f"| {shown} | {row.nd or '-'} | {row.np or '-'} | {row.note} |")
    return "\n".join(lines)


def taken(space: str, text: str, mode: str) -> tuple[Any, Any]:
    """Return an array, and the expression computed on it in the mode."""
    F = nd if space == "nd" else np
    x = F.array(onp.arange(12, dtype="float32").reshape(4, 3))
    if mode in ("record", "pause"):
        x.attach_grad()
    with contextlib.ExitStack() as scopes:
        if mode != "outside":
            scopes.enter_context(autograd.record())
        if mode == "pause":
            scopes.enter_context(autograd.pause())
        names = {"x": x, "F": F, "nd": nd, "np": np, "onp": onp}
        return x, eval(text, names)  # texts of the table above


def kind(x: Any, part: Any) -> str:
    """Find out by writing, each to the other."""
    if part is x:
        return SELF
    before = part.asnumpy()
    x[:] = 100
    down = bool((part.asnumpy() == 100).all())
    assert down or (part.asnumpy() == before).all()
    part[...] = 55
    up = int((x.asnumpy() == 55).sum())
    assert up in (0, part.size)
    assert down == (up > 0) or not part.size
    return VIEW if down else COPY


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("space", "text", "wanted"), CASES)
def test_an_expression_shares_memory_as_the_table_says(space, text, wanted, mode):
    x, part = taken(space, text, mode)
    assert kind(x, part) == wanted


@pytest.mark.parametrize(("space", "text", "wanted"), CASES)
def test_gradients_flow_through_views_and_copies_alike(space, text, wanted):
    if "detach" in text or "F.array(x)" in text:
        return
    x, part = taken(space, text, "record")
    _, chosen = taken(space, text, "outside")
    assert part.recorded()
    with autograd.record():
        loss = (part * 2).sum()
    loss.backward()
    counts = onp.zeros(12)
    onp.add.at(counts, chosen.asnumpy().astype(int).reshape(-1), 2)
    assert (x.grad.asnumpy() == counts.reshape(4, 3)).all()


def test_the_page_for_users_has_this_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "from_mxnet.md"
    assert markdown() in page.read_text(encoding="utf-8")
