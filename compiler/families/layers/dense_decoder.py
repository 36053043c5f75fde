"""A decoder whose feed-forward parts are dense and gated."""

import onnx_ir as ir

from ossc.compiler.checkpoint.strict_json import JsonObject
from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families.fields.decoder import (
    DecoderConfig,
    read_decoder_fields,
    read_windowed_layers,
)
from ossc.compiler.families.fields.rope import RopeRules
from ossc.compiler.families.layers.decoder import build_decoder, decoder_weights
from ossc.compiler.families.layers.feed_forward import (
    gated_feed_forward,
    gated_weights,
    read_activation,
)
from ossc.compiler.storage.tensor_index import TensorIndex, WeightMap


def read_config(
    config: JsonObject, eos_token_ids: tuple[int, ...], *, rope: RopeRules
) -> DecoderConfig:
    """Read the configuration of a family in Mistral's form, with a window on some layers or none.

    Raises:
        ConfigError: It does not describe such a model.
    """
    read_activation(config)
    layers = read_windowed_layers(config)
    fields = read_decoder_fields(config, eos_token_ids, layer_types=layers, rope=rope)
    return DecoderConfig(**fields)


def weights(
    config: DecoderConfig,
    tensors: TensorIndex,
    *,
    attention_biases: bool = False,
    mlp_biases: bool = False,
) -> WeightMap:
    """Take all weights.

    Args:
        config: The sizes.
        tensors: Where they are.
        attention_biases: Whether all projections of the attention have one.
        mlp_biases: Whether all products of the feed-forward parts have one.

    Raises:
        CheckpointError: A tensor is missing, or of another dtype or shape.
    """
    taken = decoder_weights(config, tensors, biases=attention_biases)
    for layer in range(config.num_hidden_layers):
        module = f"model.layers.{layer}.mlp"
        taken |= gated_weights(config, tensors, module, biases=mlp_biases)
    return taken


def build(b: GraphBuilder, config: DecoderConfig) -> None:
    """Write the graph."""

    def feed_forward(b: GraphBuilder, layer: int, x: ir.Value) -> tuple[ir.Value, None]:
        return gated_feed_forward(b, x, f"model.layers.{layer}.mlp", config.hidden_act), None

    build_decoder(b, config, feed_forward)
