"""The fields that decoders of several families share."""

from dataclasses import dataclass
from typing import Any

from ossc.compiler.checkpoint.strict_json import JsonObject
from ossc.compiler.families.fields.rope import RopeRules, read_rope_parameters
from ossc.compiler.families.fields.rope_types import RopeParameters
from ossc.compiler.families.model_config import ModelConfig

SLIDING, FULL = "sliding_attention", "full_attention"

MAX_LAYERS = 10_000
"""Far above any real model."""


@dataclass(frozen=True, kw_only=True)
class DecoderConfig(ModelConfig):
    """A decoder of layers with attention and feed-forward parts, RMS norms, rotary positions."""

    intermediate_size: int
    """Of a feed-forward part, or of one expert."""

    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    hidden_act: str
    tie_word_embeddings: bool
    rope_parameters: RopeParameters
    layer_types: tuple[str, ...]
    """``full_attention`` or ``sliding_attention`` for each layer."""

    sliding_window: int | None
    """Keys that a query of a sliding layer sees, its own included; None without such layers."""

    def window(self, layer: int) -> int | None:
        """Return how many keys a query of a layer sees; None for all."""
        return self.sliding_window if self.layer_types[layer] == SLIDING else None


def read_decoder_fields(
    config: JsonObject,
    eos_token_ids: tuple[int, ...],
    *,
    layer_types: tuple[str, ...],
    rope: RopeRules,
) -> dict[str, Any]:
    """Read the fields of :class:`DecoderConfig`.

    Args:
        config: config.json, with the class's values for absent fields.
        eos_token_ids: Of the checkpoint.
        layer_types: Of each layer.
        rope: What the family makes of the parameters of the rotation.

    Raises:
        ConfigError: A field is missing, of the wrong type or out of range, or fields contradict
            each other.
    """
    return {
        "model_type": config.text("model_type"),
        "vocab_size": config.integer("vocab_size"),
        "hidden_size": config.integer("hidden_size"),
        "max_position_embeddings": config.integer("max_position_embeddings"),
        "eos_token_ids": eos_token_ids,
        "intermediate_size": config.integer("intermediate_size"),
        "num_hidden_layers": len(layer_types),
        **_read_attention(config),
        "rms_norm_eps": config.number("rms_norm_eps"),
        "hidden_act": config.text("hidden_act"),
        "tie_word_embeddings": config.flag("tie_word_embeddings", False),
        "rope_parameters": read_rope_parameters(config, rope),
        "layer_types": layer_types,
        "sliding_window": config.integer("sliding_window") if SLIDING in layer_types else None,
    }


def read_layer_count(config: JsonObject) -> int:
    """Read ``num_hidden_layers``.

    Raises:
        ConfigError: It is missing, or far above any real model's.
    """
    layers = config.integer("num_hidden_layers")
    if layers > MAX_LAYERS:
        config.fail(f"has {layers} layers, but at most {MAX_LAYERS} are believed")
    return layers


def read_layer_types(config: JsonObject, default: tuple[str, ...]) -> tuple[str, ...]:
    """Read ``layer_types``, or repeat a default.

    Raises:
        ConfigError: There are not as many as layers, or one is unknown.
    """
    layers = read_layer_count(config)
    if "layer_types" not in config:
        return tuple(default[layer % len(default)] for layer in range(layers))
    layer_types = config.texts("layer_types")
    if len(layer_types) != layers:
        config.fail(f"has {layers} layers but {len(layer_types)} layer_types; they have to agree")
    unknown = sorted(set(layer_types).difference((SLIDING, FULL)))
    if unknown:
        config.fail(f"has the layer type {unknown[0]!r}, but needs {SLIDING} or {FULL}")
    return layer_types


def read_windowed_layers(config: JsonObject) -> tuple[str, ...]:
    """Read ``layer_types``; where there are none, all layers slide if there is a window.

    Raises:
        ConfigError: There are not as many as layers, or one is unknown.
    """
    return read_layer_types(config, default=(SLIDING if "sliding_window" in config else FULL,))


def require_values(config: JsonObject, model_type: str, **needed: bool | str) -> None:
    """Fail on a field that has another value than the one with which a family is defined.

    Raises:
        ConfigError: There is one.
    """
    for field, value in needed.items():
        given = config.flag(field) if isinstance(value, bool) else config.text(field)
        if given != value:
            config.fail(f"has {field} {given!r}, but {model_type} is defined with {value!r} only")


def _read_attention(config: JsonObject) -> dict[str, int]:
    heads = config.integer("num_attention_heads")
    kv_heads = config.integer("num_key_value_heads", heads)
    head_dim = config.integer("head_dim", config.integer("hidden_size") // heads)
    if heads % kv_heads:
        config.fail(
            f"has {heads} attention heads, which {kv_heads} key-value heads cannot share evenly"
        )
    if head_dim % 2:
        config.fail(f"has head_dim {head_dim}, but rotary embedding needs an even number")
    return {
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
    }
