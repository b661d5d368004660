"""Normalization by the statistics of a batch, a layer, an instance, a group, or by the length."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from regluon.base import MXNetError, ShapeError
from regluon.ops.dtype import check_floating
from regluon.ops.infer import floating
from regluon.ops.reduce import chosen_axes, reduced_shape
from regluon.ops.registry import Spec, register


def _channels(data: Tensor | Spec, axis: int) -> int:
    rank = len(data.shape)
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} is out of range for shape {tuple(data.shape)}")
    return data.shape[axis]


def _check_vectors(size: int, data: Tensor | Spec, **vectors: Any) -> None:
    for name, vector in vectors.items():
        if tuple(vector.shape) != (size,):
            raise ShapeError(
                f"{name} {tuple(vector.shape)} needs the shape ({size},) for data "
                f"{tuple(data.shape)}"
            )


def _batch_norm_infer(
    data: Spec,
    gamma: Spec,
    beta: Spec,
    moving_mean: Spec,
    moving_var: Spec,
    *,
    output_mean_var: bool = False,
    axis: int = 1,
    **rest: Any,
) -> tuple[Spec, ...]:
    size = _channels(data, axis)
    vectors = {"gamma": gamma, "beta": beta, "moving_mean": moving_mean, "moving_var": moving_var}
    _check_vectors(size, data, **vectors)
    if not output_mean_var:
        return (data,)
    return (data, moving_mean, moving_mean)


@register(
    _batch_norm_infer,
    nd="BatchNorm BatchNorm_v1",
    npx="batch_norm",
    symbol="BatchNorm",
    outputs=3,
    mutates="moving_mean moving_var",
    differentiable="data gamma beta",
)
def batch_norm(
    data: Tensor,
    gamma: Tensor,
    beta: Tensor,
    moving_mean: Tensor,
    moving_var: Tensor,
    eps: float = 1e-3,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    cudnn_off: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
    *,
    training: bool = False,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """Normalize each channel (`axis`) by the batch's mean and variance; Ioffe and Szegedy 2015.

    In training the moving statistics become momentum * old + (1 - momentum) * batch, in the forward
    pass (MXNet: in the backward pass), with the variance divided by the count. In predict mode, and
    with `use_global_stats`, they normalize instead. `fix_gamma` takes gamma as 1, with gradient 0.
    `output_mean_var` adds the mean and 1 / sqrt(variance + eps) that were used. The calibration
    range is for quantized networks and changes nothing.
    """
    size = _channels(data, axis)
    vectors = {"gamma": gamma, "beta": beta, "moving_mean": moving_mean, "moving_var": moving_var}
    _check_vectors(size, data, **vectors)
    first = axis % data.dim() == 1
    source = data if first else data.movedim(axis, 1)
    weight = None if fix_gamma else gamma  # the door gives a leaf that nothing reached zeros
    cudnn = torch.backends.cudnn.enabled and not cudnn_off
    if training and not use_global_stats:
        # With momentum 1 torch leaves the batch's own statistics in these vectors. The moving ones
        # it would keep for its backward pass, where their change by the next batch is an error.
        mean, var = moving_mean.new_zeros((2, size)).unbind()
        result = torch.batch_norm(source, weight, beta, mean, var, True, 1.0, eps, cudnn)
        count = data.numel() // size
        # Torch divides by count - 1, which a single value does not survive.
        var = var * ((count - 1) / count) if count > 1 else torch.zeros_like(var)
        if momentum != 1:  # with 1 they stay bit for bit, whatever the batch holds
            moving_mean.detach().lerp_(mean, 1 - momentum)
            moving_var.detach().lerp_(var, 1 - momentum)
    else:
        mean, var = moving_mean, moving_var
        result = torch.batch_norm(source, weight, beta, mean, var, False, 0.0, eps, cudnn)
    result = result if first else result.movedim(1, axis)
    if not output_mean_var:
        return result
    return result, mean.detach().clone(), (var.detach() + eps).rsqrt()


@register(
    _batch_norm_infer,
    also={"nd.contrib": "BatchNormWithReLU"},
    symbol="_contrib_BatchNormWithReLU",
    outputs=3,
    mutates="moving_mean moving_var",
    differentiable="data gamma beta",
)
def batch_norm_with_relu(
    data: Tensor,
    gamma: Tensor,
    beta: Tensor,
    moving_mean: Tensor,
    moving_var: Tensor,
    eps: float = 1e-3,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    cudnn_off: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
    *,
    training: bool = False,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """Normalize as `BatchNorm`, then set negative results to 0."""
    result = batch_norm(
        data, gamma, beta, moving_mean, moving_var, eps, momentum, fix_gamma, use_global_stats,
        output_mean_var, axis, cudnn_off, training=training,
    )  # fmt: skip
    if isinstance(result, Tensor):
        return torch.relu(result)
    return torch.relu(result[0]), *result[1:]


@register(
    _batch_norm_infer,
    also={"nd.contrib": "SyncBatchNorm"},
    symbol="_contrib_SyncBatchNorm",
    outputs=3,
    mutates="moving_mean moving_var",
    differentiable="data gamma beta",
)
def sync_batch_norm(
    data: Tensor,
    gamma: Tensor,
    beta: Tensor,
    moving_mean: Tensor,
    moving_var: Tensor,
    eps: float = 1e-3,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    ndev: int = 1,
    key: str = "",
    *,
    training: bool = False,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """Normalize as `BatchNorm` on axis 1, on one device: `ndev` is 1, `key` changes nothing."""
    if ndev != 1:
        raise MXNetError(f"SyncBatchNorm works on one device, not on ndev={ndev}")
    return batch_norm(
        data, gamma, beta, moving_mean, moving_var, eps, momentum, fix_gamma, use_global_stats,
        output_mean_var, training=training,
    )  # fmt: skip


def _moments_infer(
    data: Spec, *, axes: int | Sequence[int] | None = None, keepdims: bool = False
) -> tuple[Spec, ...]:
    check_floating("moments", data.dtype)
    shape = reduced_shape(data.shape, chosen_axes(len(data.shape), axes), keepdims) or (1,)
    return (Spec(shape, data.dtype),) * 2


@register(_moments_infer, nd="moments", symbol="moments", outputs=2)
def moments(
    data: Tensor, axes: int | Sequence[int] | None = None, keepdims: bool = False
) -> tuple[Tensor, Tensor]:
    """Return mean and variance (divided by the count) along some axes, or of all elements.

    >>> mean, variance = nd.moments(nd.array([[1, 3], [2, 6]]), axes=1)
    >>> mean.asnumpy().tolist(), variance.asnumpy().tolist()
    ([2.0, 4.0], [1.0, 4.0])
    """
    check_floating("moments", data.dtype)
    chosen = chosen_axes(data.dim(), axes)
    shape = reduced_shape(data.shape, chosen, keepdims) or (1,)
    variance, mean = torch.var_mean(data, chosen, correction=0)
    return mean.reshape(shape), variance.reshape(shape)


def _layer_norm_infer(
    data: Tensor | Spec,
    gamma: Tensor | Spec,
    beta: Tensor | Spec,
    *,
    axis: int = -1,
    eps: float = 1e-5,
    output_mean_var: bool = False,
) -> tuple[Spec, ...]:
    size = _channels(data, axis)
    _check_vectors(size, data, gamma=gamma, beta=beta)
    check_floating("LayerNorm", data.dtype)
    shape = list(data.shape)
    shape[axis] = 1
    statistics = (Spec(tuple(shape), data.dtype),) * (2 * output_mean_var)
    return (Spec(tuple(data.shape), data.dtype), *statistics)


@register(
    _layer_norm_infer,
    nd="LayerNorm",
    npx="layer_norm",
    symbol="LayerNorm",
    outputs=3,
)
def layer_norm(
    data: Tensor,
    gamma: Tensor,
    beta: Tensor,
    axis: int = -1,
    eps: float = 1e-5,
    output_mean_var: bool = False,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """Normalize along one axis, then scale by `gamma` and shift by `beta`; Ba et al. 2016.

    `output_mean_var` adds mean and standard deviation, the axis kept with size 1.
    """
    _layer_norm_infer(data, gamma, beta, axis=axis)
    last = axis % data.dim() == data.dim() - 1
    source = data if last else data.movedim(axis, -1)
    result = F.layer_norm(source, source.shape[-1:], gamma, beta, eps)
    result = result if last else result.movedim(-1, axis)
    if not output_mean_var:
        return result
    var, mean = torch.var_mean(data.detach(), axis, correction=0, keepdim=True)
    return result, mean, (var + eps).sqrt()


@register(floating, nd="InstanceNorm", npx="instance_norm", symbol="InstanceNorm")
def instance_norm(data: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-3) -> Tensor:
    """Normalize every channel (axis 1) of every sample by itself; Ulyanov et al. 2016."""
    if data.dim() < 3:
        raise ShapeError(f"InstanceNorm needs at least 3 axes, not shape {tuple(data.shape)}")
    _check_vectors(data.shape[1], data, gamma=gamma, beta=beta)
    return F.instance_norm(data, weight=gamma, bias=beta, eps=eps)


def _group_norm_infer(
    data: Tensor | Spec,
    gamma: Tensor | Spec,
    beta: Tensor | Spec,
    *,
    num_groups: int = 1,
    eps: float = 1e-5,
    output_mean_var: bool = False,
) -> tuple[Spec, ...]:
    channels = _channels(data, 1)
    if num_groups < 1 or channels % num_groups:
        raise ShapeError(f"{channels} channels cannot be divided into {num_groups} groups")
    if not tuple(gamma.shape) == tuple(beta.shape) == (num_groups,):
        _check_vectors(channels, data, gamma=gamma, beta=beta)
    check_floating("GroupNorm", data.dtype)
    statistics = (Spec((data.shape[0], num_groups), data.dtype),) * (2 * output_mean_var)
    return (Spec(tuple(data.shape), data.dtype), *statistics)


@register(
    _group_norm_infer,
    nd="GroupNorm",
    npx="group_norm",
    symbol="GroupNorm",
    outputs=3,
)
def group_norm(
    data: Tensor,
    gamma: Tensor,
    beta: Tensor,
    num_groups: int = 1,
    eps: float = 1e-5,
    output_mean_var: bool = False,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """Normalize groups of channels (axis 1) of every sample; Wu and He 2018.

    `gamma` and `beta` have one value per channel, or per group as in MXNet 1.9.
    `output_mean_var` adds mean and standard deviation, of shape (batch, groups).
    """
    _group_norm_infer(data, gamma, beta, num_groups=num_groups)
    if len(gamma) != data.shape[1]:
        gamma, beta = (v.repeat_interleave(data.shape[1] // num_groups) for v in (gamma, beta))
    result = F.group_norm(data, num_groups, gamma, beta, eps)
    if not output_mean_var:
        return result
    grouped = data.detach().reshape(data.shape[0], num_groups, -1)
    var, mean = torch.var_mean(grouped, 2, correction=0)
    return result, mean, (var + eps).sqrt()


_LENGTH_AXES: dict[str, Callable[[int], tuple[int, ...]]] = {
    "instance": lambda rank: tuple(range(1, rank)),
    "channel": lambda rank: (1,),
    "spatial": lambda rank: tuple(range(2, rank)),
}


@register(floating, nd="L2Normalization", npx="l2_normalization", symbol="L2Normalization")
def l2_normalization(data: Tensor, eps: float = 1e-10, mode: str = "instance") -> Tensor:
    """Divide by sqrt(sum of squares + eps): of each sample, of all channels, or of each channel.

    `mode` is "instance", "channel" (sums over axis 1) or "spatial" (sums over axes 2 and on).
    """
    check_floating("L2Normalization", data.dtype)
    if mode not in _LENGTH_AXES:
        raise MXNetError(f"mode is {', '.join(_LENGTH_AXES)}, not {mode!r}")
    axes = _LENGTH_AXES[mode](data.dim())
    if mode != "instance" and data.dim() < 3:
        raise ShapeError(f"mode {mode!r} needs at least 3 axes, not shape {tuple(data.shape)}")
    squares = data.square()
    length = squares.sum(axes, keepdim=True) if axes else squares
    return data / (length + eps).sqrt()


@register(floating, nd="LRN", npx="lrn", symbol="LRN")
def lrn(
    data: Tensor, alpha: float = 1e-4, beta: float = 0.75, knorm: float = 2.0, nsize: int = 5
) -> Tensor:
    """Divide by (knorm + alpha * mean square of `nsize` neighbouring channels) ** beta.

    Krizhevsky et al. 2012; `nsize` is odd.
    """
    check_floating("LRN", data.dtype)
    return F.local_response_norm(data, nsize, alpha, beta, knorm)
