"""Wrong calls: the class of the error and its words, the same under every engine, at the call.

Only what depends on values (an index array out of range) comes when a value is read under
LazyEngine, with the line of the call.
"""

import contextlib
import re
from typing import NamedTuple

import numpy as onp
import pytest

import regluon as mx
from regluon import autograd, nd, np, npx
from regluon.base import (
    ContextError,
    DTypeError,
    KeywordError,
    MXNetError,
    OutOfRangeError,
    ShapeError,
)
from regluon.engine import selection


class Row(NamedTuple):
    """A wrong call of `x`, `p` (2, 3 in nd and np), `i` (integers), `d` (float64), `far`."""

    call: str
    kind: type[Exception]
    words: str
    late: bool = False  # depends on values


TABLE = [
    # shapes
    Row("x + nd.ones((2,))", ShapeError, "(2, 3) and (2,) cannot be broadcast.*axis -1 is 3 and 2"),
    Row("p * np.ones((4, 1, 2))", ShapeError, "(2, 3) and (4, 1, 2) cannot be broadcast together"),
    Row("p < np.ones((2,))", ShapeError, "(2, 3) and (2,) cannot be broadcast together"),
    Row("nd.elemwise_add(x, nd.ones((3,)))", ShapeError, "(2, 3) and (3,) differ.*broadcast_ form"),
    Row("nd.dot(x, x)", ShapeError, "(2, 3) and (2, 3): the axes to be summed have sizes 3 and 2"),
    Row("p @ p", ShapeError, "(2, 3) and (2, 3): the axes to be summed have sizes 3 and 2"),
    Row("nd.concat(x, nd.ones((3, 4)), dim=0)", ShapeError, "(2, 3) and (3, 4).*along axis 0"),
    Row("nd.stack(x, nd.ones((3,)))", ShapeError, "(2, 3) and (3,) cannot be stacked"),
    Row("x.reshape((4, 4))", ShapeError, "cannot reshape (2, 3) (size 6) to (4, 4)"),
    Row("p.reshape(4, -1)", ShapeError, "cannot reshape (2, 3) (size 6) to (4, -1)"),
    Row("nd.broadcast_to(x, shape=(3, 3))", ShapeError, "(2, 3) cannot be broadcast to (3, 3)"),
    Row("x.sum(axis=5)", ShapeError, "axis 5 is out of range"),
    Row("np.transpose(p, (0, 0))", ShapeError, "axes (0, 0) are no order of the axes"),
    Row("nd.split(x, num_outputs=2)", ShapeError, "length 3 cannot be split into 2 equal parts"),
    Row("nd.squeeze(x, axis=0)", ShapeError, "only axes of length 1.*axis 0 of (2, 3)"),
    Row("nd.zeros((-2,))", ShapeError, "negative"),
    Row("nd.repeat(x, repeats=-1)", ShapeError, "negative"),
    Row("nd.FullyConnected(x, nd.ones((2, 4)), num_hidden=2, no_bias=True)", ShapeError,
        "weight (2, 4) does not fit data (2, 3)"),
    Row("x.copyto(nd.ones((3,)))", ShapeError, "cannot copy shape (2, 3) into shape (3,)"),
    Row("x.asscalar()", ShapeError, "only an array of one element"),
    Row("x.__setitem__(0, nd.ones((2,)))", ShapeError, "of shape (2,) cannot be written.* (3,)"),
    Row("x.__setitem__([0, 1], nd.ones((3, 3)))", ShapeError, "of shape (3, 3) cannot be written"),
    # indices
    Row("x[2]", OutOfRangeError, "index 2 is out of range for axis 0 of size 2"),
    Row("x[0, -4]", OutOfRangeError, "index -4 is out of range for axis 1 of size 3"),
    Row("x[0, 0, 0]", OutOfRangeError, "3 indices are too many for an array of shape (2, 3)"),
    Row("x[[0, 9]]", OutOfRangeError, "index 9 is out of range for axis 0 of size 2"),
    Row("p[..., onp.array([-4])]", OutOfRangeError, "index -4 is out of range for axis 1"),
    Row("x[far]", OutOfRangeError, "index 9 is out of range for axis 0 of size 2", late=True),
    Row("x[:, far]", OutOfRangeError, "index 9 is out of range for axis 1 of size 3", late=True),
    Row("x.__setitem__(far, 0)", OutOfRangeError, "index 9 is out of range for axis 0", late=True),
    Row("x.__setitem__([5], 0)", OutOfRangeError, "index 5 is out of range for axis 0 of size 2"),
    Row("x[onp.ones(5, bool)]", OutOfRangeError, "boolean index of length 5.*axis 0 of size 2"),
    Row("x[[0, 1], [0, 1, 2]]", ShapeError, "index arrays of shapes (2,) and (3,) do not fit"),
    Row("x[1.5]", OutOfRangeError, "an index must be an integer, slice.*not 1.5"),
    Row("x['a']", OutOfRangeError, "an index must be an integer, slice.*not 'a'"),
    Row("x[..., ...]", OutOfRangeError, "only one ellipsis"),
    Row("x[::0]", ShapeError, "step of a slice cannot be 0"),
    Row("nd.take(x, far)", OutOfRangeError, "index 9 is out of range", late=True),
    Row("nd.pick(x, far)", OutOfRangeError, "index 9 is out of range", late=True),
    Row("nd.gather_nd(x, far.reshape((1, 2)))", OutOfRangeError, "index 9 is out", late=True),
    Row("nd.Embedding(far, x, input_dim=2, output_dim=3)", OutOfRangeError,
        "index 9 is out of range: there are 2", late=True),
    # dtypes
    Row("nd.FullyConnected(d, x, num_hidden=2, no_bias=True)", DTypeError, "one dtype.*astype"),
    Row("i.__iadd__(x)", DTypeError, "out is int32, the result float32"),
    Row("nd.relu(x, out=d)", DTypeError, "out is float64, the result float32"),
    Row("x.astype('foat32')", DTypeError, "unknown dtype 'foat32'; did you mean 'float32'"),
    Row("i.attach_grad()", DTypeError, "this array is int32; use x.astype('float32')"),
    Row("i.astype('uint8').__setitem__(0, 300)", DTypeError, "300 does not fit uint8.*0 to 255"),
    Row("nd.array([[1], [2, 3]])", DTypeError, "cannot make an array of list"),
    Row("(p > 0) - (p > 0)", DTypeError, "values cannot be subtracted",
        late=True),
    # contexts
    Row("x + nd.ones((2, 3), ctx=mx.cpu(1))", ContextError, "cpu(0) and cpu(1).*as_in_context"),
    Row("nd.relu(x, out=nd.ones((2, 3), ctx=mx.cpu(1)))", ContextError, "cpu(0) and cpu(1)"),
    Row("nd.ones((2,), ctx='gpu')", ContextError, "ctx must be a context such as mx.cpu()"),
    # arguments
    Row("nd.sum(x, axs=1)", KeywordError, "sum() has no argument 'axs'; did you mean 'axis'?"),
    Row("x.sum(axs=1)", KeywordError, "did you mean 'axis'?"),
    Row("np.sum(p, name='s')", KeywordError, "sum() has no argument 'name'; it takes a, axis"),
    Row("nd.Activation(x, act_type='rely')", MXNetError, "unknown act_type 'rely'; known: relu"),
    Row("nd.Pooling(nd.ones((1, 1, 4, 4)), kernel=(2, 2), pool_type='mean')", MXNetError,
        "pool_type is max, avg, sum or lp, not 'mean'"),
    Row("nd.take(x, i, mode='throw')", MXNetError, "throw"),
    Row("x.attach_grad(grad_req='sum')", MXNetError, "must be one of write, add, null, not 'sum'"),
    Row("nd.relu(None)", DTypeError, "relu needs an array as 'data', not None.*in relu(None)"),
    Row("x + None", DTypeError, "add needs an array as 'rhs', not None"),
    Row("nd.concat(x, None)", DTypeError, "concat needs an array as 'data', not None"),
    Row("x.sum(axis='0')", DTypeError, "an argument is of the wrong kind.*in sum(.*axis='0'"),
    Row("np.concatenate(p, p)", DTypeError, "an argument is of the wrong kind.*in concatenate("),
    Row("nd.zeros('3')", ShapeError, "a shape has whole numbers, not '3'.*called at <string>:1"),
    Row("x.copyto('cpu')", ContextError, "a copy goes to a context such as mx.cpu()"),
    # gradients
    Row("x.backward()", MXNetError, "cannot differentiate.*autograd.record()"),
    Row("autograd.backward([x, x])", MXNetError, "cannot differentiate"),
    Row("recorded().__iadd__(1)", MXNetError, "writes in place.*being recorded"),
]  # fmt: skip


def recorded():
    """Return an array that is being recorded, and go on recording."""
    x = nd.ones((2, 3))
    x.attach_grad()
    autograd.set_recording(True)
    return x * 2


def raised(call: str, engine: str, *, read: bool) -> Exception | None:
    """Return what a call raises under an engine, at the call or when its value is read."""
    before = selection.set_type(engine)
    names = {"mx": mx, "nd": nd, "np": np, "npx": npx, "onp": onp, "autograd": autograd}
    names |= {"x": nd.ones((2, 3)), "p": np.ones((2, 3)), "recorded": recorded}
    names |= {"i": nd.ones((2, 3), dtype="int32"), "d": nd.ones((2, 3), dtype="float64")}
    names["far"] = nd.array([0, 9])
    try:
        eval(call, names)
        if read:
            mx.nd.waitall()
    except Exception as error:
        return error
    finally:
        autograd.set_recording(False)
        with contextlib.suppress(MXNetError):
            mx.nd.waitall()
        selection.set_type(before)
    return None


def pattern(words: str) -> str:
    return "(?s)" + ".*".join(map(re.escape, words.split(".*")))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.call)
def test_a_wrong_call_says_what_is_wrong_under_every_engine(row):
    now = raised(row.call, "NaiveEngine", read=True)
    later = raised(row.call, "LazyEngine", read=row.late)
    beside = raised(row.call, "ThreadedEngine", read=row.late)
    for error in (now, later, beside):
        assert isinstance(error, row.kind)
        assert isinstance(error, MXNetError)
        assert re.search(pattern(row.words), str(error)), str(error)
        assert type(error) is type(now)
        assert str(error).partition("\n  read at")[0] == str(now)


MODES = {
    "nd.take(x, far, mode='clip')": [0, 1],
    "nd.take(x, far, mode='wrap')": [0, 1],
    "nd.pick(x, far, mode='clip')": [0, 5],
    "nd.pick(x, far, mode='wrap')": [0, 3],
}


@pytest.mark.parametrize("call", MODES)
def test_indices_are_clipped_or_wrapped_on_request(call):
    x = nd.arange(6).reshape((2, 3))
    found = eval(call, {"nd": nd, "x": x, "far": nd.array([0, 9])}).asnumpy()
    rows = found[:, 0] // 3 if found.ndim == 2 else found
    assert rows.tolist() == MODES[call]


def test_the_message_names_the_call_its_shapes_and_the_line():
    with pytest.raises(ShapeError, match=r"(?s)in add\(float32\[2, 3\].*test_errors\.py:\d+"):
        nd.ones((2, 3)) + nd.ones((2,))
