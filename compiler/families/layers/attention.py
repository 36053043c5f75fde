"""Attention with rotary embedding, sinks and a sliding window, in standard operators.

B is the batch, S the tokens of this call, P those of the cache, nh and nkv the heads of the queries
and of the keys, hd ``head_dim``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families.fields.rope import RopeParameters
from ossc.compiler.families.layers.rotary import inverse_frequencies


@dataclass(frozen=True, kw_only=True)
class AttentionShape:
    """The sizes of one attention layer."""

    num_heads: int
    num_kv_heads: int
    head_dim: int
    window: int | None
    """Keys that a query sees, its own included; None for all."""


@dataclass(frozen=True, kw_only=True)
class Positions:
    """What the attention layers know about where the tokens stand."""

    position_ids: ir.Value
    """[B, S] int64"""
    cos: ir.Value
    """[B, S, hd / 2]"""
    sin: ir.Value
    """[B, S, hd / 2]"""


def rotary_positions(
    b: GraphBuilder, position_ids: ir.Value, rope: RopeParameters, head_dim: int
) -> Positions:
    """Write cos and sin of every position's angles, times YaRN's attention factor.

    Args:
        b: Where to write.
        position_ids: ``[B, S]`` int64.
        rope: The frequencies.
        head_dim: hd.
    """
    position = b.op("Unsqueeze", b.op("Cast", position_ids, to=ir.DataType.FLOAT), b.integers(-1))
    angles = b.op("Mul", position, b.constant(inverse_frequencies(rope, head_dim)))
    cos, sin = b.op("Cos", angles), b.op("Sin", angles)
    if rope.attention_factor != 1:
        factor = b.scalar(rope.attention_factor)
        cos, sin = b.op("Mul", cos, factor), b.op("Mul", sin, factor)
    return Positions(position_ids=position_ids, cos=cos, sin=sin)


def sink_attention(
    b: GraphBuilder,
    query_key_value: Sequence[ir.Value],
    past: Sequence[ir.Value],
    sinks: ir.Value,
    positions: Positions,
    shape: AttentionShape,
) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Write one attention layer between its input and output projections.

    The sink joins the softmax as one more key, all zeros, whose score is the sink itself.

    Args:
        b: Where to write.
        query_key_value: ``[B * S, heads * hd]`` each.
        past: Keys and values of the cache, ``[B, nkv, P, hd]`` each.
        sinks: ``[nh]``.
        positions: Of the tokens of this call.
        shape: The layer's sizes.

    Returns:
        The result ``[B * S, nh * hd]``, and the cache's new keys and values
        ``[B, nkv, P + S, hd]``.
    """
    heads = (shape.num_heads, shape.num_kv_heads, shape.num_kv_heads)
    query, key, value = (
        _split_heads(b, projected, positions, n, shape.head_dim)
        for projected, n in zip(query_key_value, heads, strict=True)
    )
    query = b.op("RotaryEmbedding", query, positions.cos, positions.sin)
    key = b.op("RotaryEmbedding", key, positions.cos, positions.sin)
    present_key = b.op("Concat", past[0], key, axis=2)
    present_value = b.op("Concat", past[1], value, axis=2)
    before_first_key = b.integers(0, 0, 1, 0, 0, 0, 0, 0)
    attended = b.op(
        "Attention",
        query,
        b.op("Pad", present_key, before_first_key),
        b.op("Pad", present_value, before_first_key),
        _scores_to_add(b, present_key, sinks, positions, shape),
        scale=shape.head_dim**-0.5,
    )
    by_token = b.op("Transpose", attended, perm=[0, 2, 1, 3])
    result = b.op("Reshape", by_token, b.integers(-1, shape.num_heads * shape.head_dim))
    return result, present_key, present_value


def _split_heads(
    b: GraphBuilder, projected: ir.Value, positions: Positions, n_heads: int, head_dim: int
) -> ir.Value:
    """Turn ``[B * S, heads * hd]`` into ``[B, heads, S, hd]``."""
    batch_sequence = b.op("Shape", positions.position_ids)
    by_head = b.op("Concat", batch_sequence, b.integers(n_heads, head_dim), axis=0)
    return b.op("Transpose", b.op("Reshape", projected, by_head), perm=[0, 2, 1, 3])


def _scores_to_add(
    b: GraphBuilder,
    present_key: ir.Value,
    sinks: ir.Value,
    positions: Positions,
    shape: AttentionShape,
) -> ir.Value:
    """Write ``[B, nh, S, 1 + P + S]``: the sink, then 0 for visible keys and -inf for others."""
    query_position = b.op("Unsqueeze", positions.position_ids, b.integers(1, 3))  # [B, 1, S, 1]
    visible = _visible(b, present_key, query_position, shape.window)  # [B, 1, S, P + S]
    mask = b.op("Where", visible, b.scalar(0), b.scalar(-np.inf))
    per_head = b.integers(1, shape.num_heads, 1, 1)
    sink = b.op("Reshape", b.op("Cast", sinks, to=ir.DataType.FLOAT), per_head)
    sink_column = b.op("Expand", sink, b.op("Shape", query_position))  # [B, nh, S, 1]
    return b.op("Concat", sink_column, b.op("Expand", mask, per_head), axis=3)


def _visible(
    b: GraphBuilder, present_key: ir.Value, query_position: ir.Value, window: int | None
) -> ir.Value:
    """Write which keys a query sees: those at or before it, and inside its window."""
    n_keys = b.op("Squeeze", b.op("Shape", present_key, start=2, end=3))
    zero, one = (b.constant(np.array(value, np.int64)) for value in (0, 1))
    key_position = b.op("Range", zero, n_keys, one)
    causal = b.op("LessOrEqual", key_position, query_position)
    if window is None:
        return causal
    last_hidden = b.op("Sub", query_position, b.constant(np.array(window, np.int64)))
    return b.op("And", causal, b.op("Greater", key_position, last_hidden))
