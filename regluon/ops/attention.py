"""Products of multi-head attention on interleaved projections, as gluonnlp calls them.

Arrays are (length, batch, channels); each head's channels are its query, key and value one after
another, and attention is (batch * heads, length of queries, length of keys).
"""

import math

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.calling import register_meta
from regluon.ops.infer import real
from regluon.ops.registry import register


def _heads(data: Tensor, heads: int, parts: int) -> tuple[Tensor, ...]:
    """Return each part as (batch * heads, length, channels of a head)."""
    if data.dim() != 3 or heads < 1 or data.shape[2] % (heads * parts):
        raise ShapeError(
            f"{heads} heads with {parts} parts do not divide data {tuple(data.shape)}, which is "
            "(length, batch, channels)"
        )
    length, batch = data.shape[:2]
    split = data.reshape(length, batch * heads, parts, -1)
    return split.permute(2, 1, 0, 3).unbind()


def _scores(queries: Tensor, keys: Tensor) -> Tensor:
    return torch.bmm(queries / math.sqrt(queries.shape[2]), keys.transpose(1, 2))


def _joined(attention: Tensor, values: Tensor, heads: int) -> Tensor:
    """Return the weighted values as (length, batch, channels)."""
    if attention.dim() != 3 or (attention.shape[0], attention.shape[2]) != values.shape[:2]:
        raise ShapeError(
            f"attention {tuple(attention.shape)} does not fit values {tuple(values.shape)}, which "
            "are (batch * heads, length, channels)"
        )
    mixed = torch.bmm(attention, values).transpose(0, 1)
    return mixed.reshape(mixed.shape[0], -1, heads * mixed.shape[2])


@register_meta(
    also={"nd.contrib": "interleaved_matmul_selfatt_qk"},
    symbol="_contrib_interleaved_matmul_selfatt_qk",
)
def interleaved_matmul_selfatt_qk(queries_keys_values: Tensor, heads: int) -> Tensor:
    """Return queries times keys / sqrt(channels of a head), of self-attention.

    >>> nd.contrib.interleaved_matmul_selfatt_qk(nd.ones((5, 2, 24)), heads=4).shape
    (8, 5, 5)
    """
    queries, keys, _ = _heads(queries_keys_values, heads, 3)
    return _scores(queries, keys)


@register_meta(
    also={"nd.contrib": "interleaved_matmul_selfatt_valatt"},
    symbol="_contrib_interleaved_matmul_selfatt_valatt",
)
def interleaved_matmul_selfatt_valatt(
    queries_keys_values: Tensor, attention: Tensor, heads: int
) -> Tensor:
    """Return the values weighted by attention, (length, batch, channels), of self-attention."""
    return _joined(attention, _heads(queries_keys_values, heads, 3)[2], heads)


@register_meta(
    also={"nd.contrib": "interleaved_matmul_encdec_qk"},
    symbol="_contrib_interleaved_matmul_encdec_qk",
)
def interleaved_matmul_encdec_qk(queries: Tensor, keys_values: Tensor, heads: int) -> Tensor:
    """Return queries times keys / sqrt(channels of a head), of a decoder and its encoder."""
    return _scores(_heads(queries, heads, 1)[0], _heads(keys_values, heads, 2)[0])


@register_meta(
    also={"nd.contrib": "interleaved_matmul_encdec_valatt"},
    symbol="_contrib_interleaved_matmul_encdec_valatt",
)
def interleaved_matmul_encdec_valatt(keys_values: Tensor, attention: Tensor, heads: int) -> Tensor:
    """Return the encoder's values weighted by attention, (length of queries, batch, channels)."""
    return _joined(attention, _heads(keys_values, heads, 2)[1], heads)


@register(real, also={"nd.contrib": "div_sqrt_dim"}, symbol="_contrib_div_sqrt_dim")
def div_sqrt_dim(data: Tensor) -> Tensor:
    """Divide by the square root of the length of the last axis."""
    return data / math.sqrt(data.shape[-1])
