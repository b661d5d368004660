"""mx.operator: custom operators in MXNet's older form; `autograd.Function` is the newer one."""

from regluon.array.custom import (
    CustomOp as CustomOp,
    CustomOpProp as CustomOpProp,
    register as register,
)
