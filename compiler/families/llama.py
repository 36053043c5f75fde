"""Llama 2, 3 and later dense ones, and the many models of other names in this form.

Reference: ``LlamaForCausalLM`` of transformers.
"""

from dataclasses import dataclass

from ossc.compiler.checkpoint.strict_json import JsonObject
from ossc.compiler.families.family import Family
from ossc.compiler.families.fields.config_fields import ConfigFields
from ossc.compiler.families.fields.decoder import (
    FULL,
    DecoderConfig,
    read_decoder_fields,
    read_layer_count,
)
from ossc.compiler.families.fields.rope import RopeRules
from ossc.compiler.families.layers import dense_decoder
from ossc.compiler.families.layers.feed_forward import read_activation
from ossc.compiler.storage.tensor_index import TensorIndex, WeightMap

FIELDS = ConfigFields(
    defaults={
        "attention_bias": False,
        "head_dim": None,
        "hidden_act": "silu",
        "mlp_bias": False,
        "num_key_value_heads": None,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
    },
    obeyed=frozenset({"intermediate_size"}),
    without_effect=frozenset({"pretraining_tp"}),
    # These shorten what the reference keeps of the keys, not what its masks show.
    must_be_absent=frozenset({"attention_chunk_size", "layer_types", "sliding_window"}),
)

ROPE = RopeRules(default_theta=10000.0)


@dataclass(frozen=True, kw_only=True)
class LlamaConfig(DecoderConfig):
    """What a Llama model is made of; all of its layers see all keys."""

    attention_bias: bool
    """Whether all four projections of the attention have one."""

    mlp_bias: bool


def read_config(config: JsonObject, eos_token_ids: tuple[int, ...]) -> LlamaConfig:
    """Read the configuration.

    Raises:
        ConfigError: It does not describe a Llama model.
    """
    read_activation(config)
    layers = (FULL,) * read_layer_count(config)
    return LlamaConfig(
        **read_decoder_fields(config, eos_token_ids, layer_types=layers, rope=ROPE),
        attention_bias=config.flag("attention_bias"),
        mlp_bias=config.flag("mlp_bias"),
    )


def weights(config: LlamaConfig, tensors: TensorIndex) -> WeightMap:
    """Take all weights.

    Raises:
        CheckpointError: A tensor is missing, or of another dtype or shape.
    """
    return dense_decoder.weights(
        config, tensors, attention_biases=config.attention_bias, mlp_biases=config.mlp_bias
    )


FAMILY = Family(
    model_type="llama",
    summary="Llama 2 and 3: dense, grouped-query attention, SwiGLU",
    fields=FIELDS,
    read_config=read_config,
    weights=weights,
    build=dense_decoder.build,
)
