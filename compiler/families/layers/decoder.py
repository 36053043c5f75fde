"""A decoder from its token ids to its logits, as most families have it."""

from collections.abc import Callable

import onnx_ir as ir

from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families.fields.decoder import DecoderConfig
from ossc.compiler.families.fields.tied_embeddings import EMBEDDING, embedding_and_head
from ossc.compiler.families.layers.attention import (
    Positions,
    attention_weights,
    positions_of,
    self_attention,
)
from ossc.compiler.families.layers.basic import FLOAT, linear, rms_norm
from ossc.compiler.storage.tensor_index import TensorIndex, WeightMap

FeedForward = Callable[[GraphBuilder, int, ir.Value], tuple[ir.Value, ir.Value | None]]
"""``(builder, layer, x [T, H])``: writes a layer's second half; returns its result ``[T, H]`` and
the chosen experts ``[T, k]``, if it has experts."""

Observed = tuple[ir.Value, ir.Value, ir.Value | None]
"""A layer's new keys and values, and its chosen experts, if it has experts."""


def decoder_weights(
    config: DecoderConfig, tensors: TensorIndex, *, biases: bool = False, sinks: bool = False
) -> WeightMap:
    """Take all weights but those of the feed-forward parts.

    The frequencies that old checkpoints hold are those of the configuration.

    Args:
        config: The sizes.
        tensors: Where they are.
        biases: Whether the projections of the attention have one each.
        sinks: Whether its heads have one each.

    Raises:
        CheckpointError: One is missing, or of another dtype or shape.
    """
    hidden = (config.hidden_size,)
    tensors.ignore(["model.rotary_emb.inv_freq"])
    weights = embedding_and_head(config, tensors) | tensors.floats("model.norm.weight", hidden)
    for layer in range(config.num_hidden_layers):
        module = f"model.layers.{layer}"
        tensors.ignore([f"{module}.self_attn.rotary_emb.inv_freq"])
        for norm in ("input_layernorm", "post_attention_layernorm"):
            weights |= tensors.floats(f"{module}.{norm}.weight", hidden)
        weights |= attention_weights(
            config, tensors, f"{module}.self_attn", biases=biases, sinks=sinks
        )
    return weights


def build_decoder(b: GraphBuilder, config: DecoderConfig, feed_forward: FeedForward) -> None:
    """Write the graph: tokens, positions and cache in; logits, cache and chosen experts out."""
    input_ids = b.input("input_ids", ir.DataType.INT64, ["batch", "sequence"])
    position_ids = b.input("position_ids", ir.DataType.INT64, ["batch", "sequence"])
    with b.scope("model.rotary_emb"):
        positions = positions_of(b, position_ids, config.rope_parameters, config.head_dim)
    hidden = _embed(b, input_ids, config)
    observed: list[Observed] = []
    for layer in range(config.num_hidden_layers):
        with b.scope(f"model.layers.{layer}"):
            hidden, of_layer = _layer(b, config, layer, hidden, positions, feed_forward)
            observed.append(of_layer)
    normed = rms_norm(b, hidden, "model.norm", config.rms_norm_eps)
    flat = linear(b, normed, "lm_head", "head")
    with b.scope("lm_head"):
        shape = b.op("Concat", b.op("Shape", input_ids), b.integers(config.vocab_size), axis=0)
        logits = b.op("Reshape", flat, shape)
    b.output("logits", logits, FLOAT, ["batch", "sequence", config.vocab_size])
    for layer, of_layer in enumerate(observed):
        _layer_outputs(b, config, layer, *of_layer)


def _embed(b: GraphBuilder, input_ids: ir.Value, config: DecoderConfig) -> ir.Value:
    with b.scope("model.embed_tokens"):
        ids = b.op("Reshape", input_ids, b.integers(-1))
    (hidden,) = b.call(
        "Embedding",
        {"ids": ids},
        called="model.embed_tokens",
        outputs=[(FLOAT, ("tokens", config.hidden_size))],
        weight=b.weight(EMBEDDING),
    )
    return hidden


def _layer(
    b: GraphBuilder,
    config: DecoderConfig,
    layer: int,
    hidden: ir.Value,
    positions: Positions,
    feed_forward: FeedForward,
) -> tuple[ir.Value, Observed]:
    """Write one layer; return hidden ``[T, H]``, and what is observed of it."""
    module, epsilon = f"model.layers.{layer}", config.rms_norm_eps
    normed = rms_norm(b, hidden, f"{module}.input_layernorm", epsilon)
    attended, key, value = self_attention(b, config, layer, normed, positions)
    hidden = b.op("Add", attended, hidden)
    normed = rms_norm(b, hidden, f"{module}.post_attention_layernorm", epsilon)
    result, chosen = feed_forward(b, layer, normed)
    return b.op("Add", result, hidden), (key, value, chosen)


def _layer_outputs(
    b: GraphBuilder,
    config: DecoderConfig,
    layer: int,
    key: ir.Value,
    value: ir.Value,
    chosen: ir.Value | None,
) -> None:
    cache = ("batch", config.num_key_value_heads, "total_sequence", config.head_dim)
    b.output(f"present.{layer}.key", key, FLOAT, cache)
    b.output(f"present.{layer}.value", value, FLOAT, cache)
    if chosen is not None:
        k = int(str(chosen.shape[1])) if chosen.shape else 0
        b.output(f"router_indices.{layer}", chosen, ir.DataType.INT64, ("tokens", k))
