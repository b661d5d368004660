"""Transforms of vectors, the last axis of an array: Fourier, count sketch, a quadratic function."""

from typing import Any

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.bounds import check_below
from regluon.ops.calling import register_meta
from regluon.ops.dtype import check_floating
from regluon.ops.infer import same
from regluon.ops.registry import Spec, register


@register_meta(also={"nd.contrib": "fft"}, symbol="_contrib_fft")
def fft(data: Tensor, compute_size: int = 128) -> Tensor:
    """Return the discrete Fourier transform of each vector, as real and imaginary parts in turn.

    The last axis becomes twice as long; `compute_size` changes nothing.

    >>> nd.contrib.fft(nd.array([[1, 0]])).asnumpy().tolist()
    [[1.0, 0.0, 1.0, 0.0]]
    """
    check_floating("fft", data.dtype, half=False)
    return torch.view_as_real(torch.fft.fft(data)).flatten(-2)


@register_meta(also={"nd.contrib": "ifft"}, symbol="_contrib_ifft")
def ifft(data: Tensor, compute_size: int = 128) -> Tensor:
    """Return the real part of the inverse transform of what `fft` gave, times the vector's length.

    The last axis, of real and imaginary parts in turn, becomes half as long.

    >>> nd.contrib.ifft(nd.contrib.fft(nd.array([[3, 5]]))).asnumpy().tolist()
    [[6.0, 10.0]]
    """
    check_floating("ifft", data.dtype, half=False)
    pairs = data.unflatten(-1, (-1, 2)).contiguous()
    complex_ = torch.fft.ifft(torch.view_as_complex(pairs), norm="forward")
    return torch.view_as_real(complex_)[..., 0].contiguous()


def _sketch_infer(
    data: Tensor | Spec, h: Tensor | Spec, s: Tensor | Spec, *, out_dim: int, **rest: Any
) -> tuple[Spec, ...]:
    wanted = (1, *data.shape[-1:])
    if not data.shape or tuple(h.shape) != wanted or tuple(s.shape) != wanted:
        raise ShapeError(
            f"h and s have the shape {wanted} for data {tuple(data.shape)}, not {tuple(h.shape)} "
            f"and {tuple(s.shape)}"
        )
    return (Spec((*data.shape[:-1], out_dim), data.dtype),)


def _check_sketch(data: Tensor, h: Tensor, s: Tensor, *, out_dim: int, **rest: Any) -> None:
    _sketch_infer(data, h, s, out_dim=out_dim)
    check_below(h, out_dim, "place of a sketch")


@register(
    _sketch_infer,
    also={"nd.contrib": "count_sketch"},
    symbol="_contrib_count_sketch",
    differentiable="data",
    check=_check_sketch,
)
def count_sketch(
    data: Tensor, h: Tensor, s: Tensor, out_dim: int, processing_batch_size: int = 32
) -> Tensor:
    """Add element i of each vector, times its sign s[i], to place h[i] of a vector of `out_dim`.

    `h` and `s` are (1, length). Charikar et al. 2002.

    >>> h, s = nd.array([[0, 1, 1]]), nd.array([[1, 1, -1]])
    >>> nd.contrib.count_sketch(nd.array([[5, 7, 3]]), h, s, out_dim=2).asnumpy().tolist()
    [[5.0, 4.0]]
    """
    empty = data.new_zeros((*data.shape[:-1], out_dim))
    return empty.index_add(-1, h[0].long(), data * s[0].detach().to(data.dtype))


@register(same, also={"nd.contrib": "quadratic"}, symbol="_contrib_quadratic")
def quadratic(data: Tensor, a: float = 0.0, b: float = 0.0, c: float = 0.0) -> Tensor:
    """Return a * x ** 2 + b * x + c.

    >>> nd.contrib.quadratic(nd.array([1, 2]), a=1, b=2, c=3).asnumpy().tolist()
    [6.0, 11.0]
    """
    return (a * data * data + b * data + c).to(data.dtype)
