"""What is computed: one record per operator, entered in the table by importing the families."""

from regluon.ops import (
    comparison as comparison,
    create as create,
    linalg as linalg,
    math as math,
    sample_nd as sample_nd,
    sample_np as sample_np,
    slicing as slicing,
    unary as unary,
)
