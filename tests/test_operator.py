"""Custom operators of MXNet's older form, beside what MXNet 1.9.1 does with the same classes."""

from typing import Any, ClassVar

import pytest

import regluon as mx
from regluon import autograd, nd
from regluon.base import MXNetError, ShapeError


class Scale(mx.operator.CustomOp):
    seen: ClassVar[list[Any]] = []

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, is_train, req, in_data, out_data, aux):
        self.seen.append((bool(is_train), list(req), autograd.is_recording()))
        self.assign(out_data[0], req[0], in_data[0] * self.factor)
        self.assign(out_data[1], req[1], in_data[1].sum())
        aux[0][:] = aux[0] + 1

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.seen.append((list(req), autograd.is_recording()))
        self.assign(in_grad[0], req[0], out_grad[0] * self.factor)
        self.assign(in_grad[1], req[1], nd.ones(in_data[1].shape) * out_grad[1])


@mx.operator.register("test_scale")
class ScaleProp(mx.operator.CustomOpProp):
    def __init__(self, factor="1"):
        super().__init__(need_top_grad=True)
        assert isinstance(factor, str)  # as in MXNet
        self.factor = float(factor)

    def list_arguments(self):
        return ["data", "other"]

    def list_outputs(self):
        return ["scaled", "total"]

    def list_auxiliary_states(self):
        return ["calls"]

    def infer_shape(self, in_shape):
        return in_shape, [in_shape[0], [1]], [[1]]

    def create_operator(self, ctx, in_shapes, in_dtypes):
        assert ctx == mx.cpu(0)
        assert in_shapes == [[2], [3]]
        return Scale(self.factor)


def test_inputs_outputs_states_and_requests() -> None:
    x, y, calls = nd.array([1, 2]), nd.array([1, 2, 3]), nd.zeros(1)
    x.attach_grad()
    Scale.seen.clear()
    with autograd.record():
        scaled, total = nd.Custom(x, y, calls, op_type="test_scale", factor=2.5)
        z = (scaled * scaled).sum() + total
    z.backward()
    nd.waitall()
    assert scaled.asnumpy().tolist() == [2.5, 5]
    assert (total.asscalar(), calls.asscalar()) == (6, 1)
    assert x.grad.asnumpy().tolist() == [12.5, 25]
    assert Scale.seen == [(True, ["write", "write"], False), (["write", "null"], False)]


def test_arrays_by_name_and_outside_of_record() -> None:
    x, y, calls = nd.array([1, 2]), nd.array([1, 2, 3]), nd.zeros(1)
    Scale.seen.clear()
    found = nd.Custom(x, other=y, calls=calls, op_type="test_scale", factor=3)
    assert isinstance(found, list)
    assert found[0].asnumpy().tolist() == [3, 6]
    assert Scale.seen == [(False, ["write", "write"], False)]


def test_requests_of_assign() -> None:
    op, x = mx.operator.CustomOp(), nd.array([1, 2])
    for req, wanted in (("null", [1, 2]), ("add", [2, 3]), ("write", [1, 1]), ("inplace", [1, 1])):
        op.assign(x, req, nd.ones(2))
        assert x.asnumpy().tolist() == wanted


def test_what_does_not_fit_is_an_error() -> None:
    x = nd.ones(2)
    with pytest.raises(MXNetError, match=r"unknown custom operator 'test_scal'.*test_scale"):
        nd.Custom(x, op_type="test_scal")
    with pytest.raises(MXNetError, match="takes the arrays data, other, calls; 1 were given"):
        nd.Custom(x, op_type="test_scale")
    with pytest.raises(MXNetError, match="and lost, which it does not know"):
        nd.Custom(x, x, x, lost=x, op_type="test_scale")
    with pytest.raises(MXNetError, match="no CustomOpProp"):
        mx.operator.register("test_wrong")(Scale)

    @mx.operator.register("test_shapes")
    class Shapes(mx.operator.CustomOpProp):
        def infer_shape(self, in_shape):
            return in_shape, []

    with pytest.raises(ShapeError, match=r"Shapes\.infer_shape must return"):
        nd.Custom(x, op_type="test_shapes")
    with pytest.raises(NotImplementedError, match="create_operator"):
        mx.operator.CustomOpProp().create_operator(mx.cpu(), [], [])
