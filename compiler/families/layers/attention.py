"""Attention with rotary embedding, and sinks and a sliding window where a layer has them."""

from dataclasses import dataclass

import onnx_ir as ir

from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families.fields.decoder import DecoderConfig
from ossc.compiler.families.fields.rope_types import RopeParameters
from ossc.compiler.families.layers.basic import FLOAT, linear
from ossc.compiler.families.layers.rotary import inverse_frequencies
from ossc.compiler.storage.tensor_index import TensorIndex, WeightMap


@dataclass(frozen=True, kw_only=True)
class Positions:
    """What the attention layers know about where the tokens stand."""

    position_ids: ir.Value
    """[B, S] int64"""
    cos: ir.Value
    """[B, S, hd / 2]"""
    sin: ir.Value
    """[B, S, hd / 2]"""
    query_scale: ir.Value | None
    """[B, S]; None where queries are not scaled by their position."""


def attention_weights(
    config: DecoderConfig,
    tensors: TensorIndex,
    module: str,
    *,
    biases: bool = False,
    sinks: bool = False,
) -> WeightMap:
    """Take the weights of one layer.

    Args:
        config: The sizes.
        tensors: Where they are.
        module: The layer's name.
        biases: Whether all four projections have one.
        sinks: Whether each head has one.

    Raises:
        CheckpointError: One is missing, or of another dtype or shape.
    """
    query, key = (
        heads * config.head_dim
        for heads in (config.num_attention_heads, config.num_key_value_heads)
    )
    hidden = config.hidden_size
    shapes = {
        "q_proj": (query, hidden),
        "k_proj": (key, hidden),
        "v_proj": (key, hidden),
        "o_proj": (hidden, query),
    }
    weights: WeightMap = {}
    for name, shape in shapes.items():
        weights |= tensors.weight(f"{module}.{name}.weight", shape)
        if biases:
            weights |= tensors.floats(f"{module}.{name}.bias", shape[:1])
    if sinks:
        weights |= tensors.floats(f"{module}.sinks", (config.num_attention_heads,))
    return weights


def positions_of(
    b: GraphBuilder, position_ids: ir.Value, rope: RopeParameters, head_dim: int
) -> Positions:
    """Write cos and sin of every position's angles, times the attention factor.

    Args:
        b: Where to write.
        position_ids: ``[B, S]`` int64.
        rope: The frequencies.
        head_dim: hd.
    """
    position = b.op("Cast", position_ids, to=FLOAT)
    by_frequency = b.op("Unsqueeze", position, b.integers(-1))
    angles = b.op("Mul", by_frequency, b.constant(inverse_frequencies(rope, head_dim)))
    cos, sin = b.op("Cos", angles), b.op("Sin", angles)
    if rope.attention_factor != 1:
        factor = b.scalar(rope.attention_factor)
        cos, sin = b.op("Mul", cos, factor), b.op("Mul", sin, factor)
    return Positions(
        position_ids=position_ids, cos=cos, sin=sin, query_scale=_query_scale(b, position, rope)
    )


def _query_scale(b: GraphBuilder, position: ir.Value, rope: RopeParameters) -> ir.Value | None:
    """Write 1 + beta ln(1 + floor(position / original context))."""
    if not rope.llama_4_scaling_beta:
        return None
    original = b.scalar(rope.original_max_position_embeddings)
    times = b.op("Floor", b.op("Div", position, original))
    growth = b.op("Log", b.op("Add", times, b.scalar(1)))
    return b.op("Add", b.op("Mul", growth, b.scalar(rope.llama_4_scaling_beta)), b.scalar(1))


def self_attention(
    b: GraphBuilder, config: DecoderConfig, layer: int, x: ir.Value, positions: Positions
) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Write one layer, its projections included; past keys and values become graph inputs.

    Args:
        b: Where to write.
        config: The sizes.
        layer: Its number.
        x: ``[T, H]``.
        positions: Of the tokens of this call.

    Returns:
        The result ``[T, H]``, and the cache's new keys and values ``[B, nkv, P + S, hd]``.
    """
    module = f"model.layers.{layer}.self_attn"
    heads, kv_heads, head_dim = (
        config.num_attention_heads, config.num_key_value_heads, config.head_dim,
    )  # fmt: skip
    query, key, value = (
        linear(b, x, f"{module}.{name}") for name in ("q_proj", "k_proj", "v_proj")
    )
    past_key, past_value = (
        b.input(
            f"past_key_values.{layer}.{kind}",
            FLOAT,
            ("batch", kv_heads, "past_sequence", head_dim),
        )
        for kind in ("key", "value")
    )
    cache = (FLOAT, ("batch", kv_heads, "total_sequence", head_dim))
    attended, present_key, present_value = b.call(
        "Attention",
        {
            "query": _rope(b, query, f"{module}.q_rope", positions, head_dim),
            "key": _rope(b, key, f"{module}.k_rope", positions, head_dim),
            "value": value,
            "past_key": past_key,
            "past_value": past_value,
            "position_ids": positions.position_ids,
            "sinks": b.optional_floats(f"{module}.sinks"),
            "query_scale": positions.query_scale,
        },
        called=module,
        outputs=[(FLOAT, ("tokens", heads * head_dim)), cache, cache],
        attributes={
            "num_heads": heads,
            "num_kv_heads": kv_heads,
            "head_dim": head_dim,
            "window": config.window(layer) or 0,
            "scale": head_dim**-0.5,
        },
    )
    return linear(b, attended, f"{module}.o_proj"), present_key, present_value


def _rope(
    b: GraphBuilder, x: ir.Value, called: str, positions: Positions, head_dim: int
) -> ir.Value:
    (y,) = b.call(
        "Rope",
        {"x": x, "cos": positions.cos, "sin": positions.sin},
        called=called,
        outputs=[(FLOAT, tuple(x.shape or ()))],
        attributes={"head_dim": head_dim},
    )
    return y
