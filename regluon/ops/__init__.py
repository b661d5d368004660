"""What is computed: one record per operator, entered in the table by importing the families."""

from regluon.ops import (
    broadcast as broadcast,
    comparison as comparison,
    conv as conv,
    create as create,
    cross_entropy as cross_entropy,
    join as join,
    linalg as linalg,
    loss as loss,
    math as math,
    nn as nn,
    norm as norm,
    parts as parts,
    pool as pool,
    reduce as reduce,
    sample_nd as sample_nd,
    sample_np as sample_np,
    shape as shape,
    slicing as slicing,
    unary as unary,
    update as update,
)
