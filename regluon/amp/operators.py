"""Which operators mixed precision runs in 16 bits, which in float32, and how users name them."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from regluon.base import MXNetError, nearest
from regluon.ops.dtype import low_precision
from regluon.ops.registry import TABLE, Op


Conditions = list[tuple[str, str, list[str]]]

# Names in the operator table. MXNet computes `dot` and `batch_dot` in the widest type, and runs
# nearly all operators in float32 where the target is bfloat16, for want of kernels.
_TARGET = """
    fully_connected convolution deconvolution rnn
    dot_nd dot_np batch_dot matmul einsum tensordot inner multi_dot
    interleaved_matmul_encdec_qk interleaved_matmul_encdec_valatt
    interleaved_matmul_selfatt_qk interleaved_matmul_selfatt_valatt
"""

_FLOAT32 = """
    arccos arcsin arctanh cosh erfinv exp expm1 gamma gammaln hypot log log10 log1p log2
    power power_nd power_np rcbrt reciprocal rsqrt sinh square tan
    average cumsum khatri_rao linalg_norm mean mean_np moments nanprod nansum norm_nd prod prod_np
    std_np sum sum_np trace var_np argsort argsort_np topk
    group_norm instance_norm l2_normalization layer_norm lrn
    log_softmax softmax softmax_activation softmin
    ctc_loss make_loss make_loss_scaled smooth_l1 softmax_cross_entropy sparse_cross_entropy
    linear_regression_output logistic_regression_output mae_regression_output softmax_output
    svm_output
    det_nd extractdiag extracttrian gelqf gemm gemm2 inverse makediag maketrian potrf potri
    slogdet_nd sumlogdiag syevd syrk trmm trsm
    cholesky cond det eig eigh eigvals eigvalsh inv lstsq matrix_power matrix_rank pinv qr slogdet
    solve svd tensorinv tensorsolve
    count_sketch fft identity_attach_kl_sparse_reg ifft multibox_detection multibox_prior
    multibox_target
"""

_WIDEST = """
    add add_n add_np add_relu arctan2 copysign divide divide_np elemwise_add elemwise_div
    elemwise_mul elemwise_sub maximum maximum_np minimum minimum_np modulo modulo_np multiply
    multiply_np subtract subtract_np
    equal equal_np greater greater_equal greater_equal_np greater_np less less_equal less_equal_np
    less_np not_equal not_equal_np
    logical_and logical_and_np logical_or logical_or_np logical_xor logical_xor_np
    append column_stack concat concatenate concatenate_nd dstack hstack stack stack_np vstack
    allclose kron outer vdot where where_np
    bilinear_sampler box_iou box_nms correlation grid_generator roi_align spatial_transformer
    upsampling
    random_pdf_dirichlet random_pdf_exponential random_pdf_gamma
    random_pdf_generalized_negative_binomial random_pdf_negative_binomial random_pdf_normal
    random_pdf_poisson random_pdf_uniform
"""

_CONDITIONAL = {
    "activation": ("act_type", ["softrelu"]),
    "leaky_relu": ("act_type", ["elu", "selu"]),
}

_LOSS_OUTPUTS = """
    softmax_output linear_regression_output logistic_regression_output mae_regression_output
"""

_VECTORS = ("gamma", "beta", "moving_mean", "moving_var")
KEPT = dict.fromkeys(("batch_norm", "batch_norm_with_relu", "sync_batch_norm"), _VECTORS)
"""Arguments that stay in float32 even where their operator runs in 16 bits, by operator."""


def _known(names: str) -> list[Op]:
    return [TABLE[name] for name in names.split() if name in TABLE]


TARGET, FLOAT32, WIDEST = _known(_TARGET), _known(_FLOAT32), _known(_WIDEST)
CONDITIONAL = {TABLE[name]: condition for name, condition in _CONDITIONAL.items()}
LOSS_OUTPUTS = _known(_LOSS_OUTPUTS)


@cache
def _by_name() -> dict[str, list[Op]]:
    found: dict[str, list[Op]] = {}
    for op in TABLE.values():
        public = [name for names in op.names.values() for name in names]
        for name in dict.fromkeys([op.name, op.symbol, *public]):
            found.setdefault(name, []).append(op)
    return found


def named(names: Iterable[str]) -> list[Op]:
    """Return the operators of these names: public ones of any namespace, or MXNet's symbols'."""
    if isinstance(names, str):
        raise MXNetError(f"operators are given as a list of names, not as the text {names!r}")
    known = _by_name()
    for name in names:
        if name not in known:
            raise MXNetError(f"there is no operator {name!r}{nearest(str(name), known)}")
    return list(dict.fromkeys(op for name in names for op in known[name]))


def _names(ops: Iterable[Op]) -> list[str]:
    return list(dict.fromkeys(op.symbol or op.title for op in ops))


def list_lp16_ops(target_dtype: Any) -> list[str]:
    """Return the operators that run in 16 bits.

    Like all lists of this module it is the same for both dtypes, unlike in MXNet, and holds names
    that `init` takes.

    >>> from regluon import amp
    >>> amp.list_lp16_ops("bfloat16")[:3]
    ['FullyConnected', 'Convolution', 'Deconvolution']
    """
    low_precision(target_dtype)
    return _names(TARGET)


def list_fp32_ops(target_dtype: Any) -> list[str]:
    """Return the operators that run in float32."""
    low_precision(target_dtype)
    return _names(FLOAT32)


def list_lp16_fp32_ops(target_dtype: Any) -> list[str]:
    """Return the operators that run in the dtype of their arguments."""
    low_precision(target_dtype)
    ruled = {*TARGET, *FLOAT32, *WIDEST, *CONDITIONAL}
    return _names(op for op in TABLE.values() if op not in ruled)


def list_conditional_fp32_ops(target_dtype: Any) -> Conditions:
    """Return the operators that run in float32 if an attribute has one of some values.

    >>> from regluon import amp
    >>> amp.list_conditional_fp32_ops("bfloat16")[0]
    ('Activation', 'act_type', ['softrelu'])
    """
    low_precision(target_dtype)
    return [(op.symbol, attr, list(values)) for op, (attr, values) in CONDITIONAL.items()]


def list_widest_type_cast(target_dtype: Any) -> list[str]:
    """Return the operators that run in the widest dtype of their arguments."""
    low_precision(target_dtype)
    return _names(WIDEST)


def list_loss_output_functions(target_dtype: Any) -> list[str]:
    """Return the operators that start a backward pass, with the loss scale in `grad_scale`."""
    low_precision(target_dtype)
    return _names(LOSS_OUTPUTS)


def list_lp16_use_fp32_params(target_dtype: Any) -> dict[str, list[str]]:
    """Return the arguments that stay in float32, by operator; those with "" do not."""
    low_precision(target_dtype)
    return {TABLE[name].symbol: ["", *kept] for name, kept in KEPT.items()}
