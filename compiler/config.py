"""The model's configuration: config.json and generation_config.json, validated.

Field names are those of Hugging Face. Both forms of config.json are read, that of transformers 4
and that of transformers 5.
"""

from dataclasses import dataclass
from pathlib import Path

from ossc.compiler.checkpoint.strict_json import JsonObject, read_json_object
from ossc.compiler.families import family_names
from ossc.compiler.families.fields.config_fields import refuse_other_models, with_class_defaults
from ossc.compiler.families.fields.rope import RopeParameters, read_rope_parameters
from ossc.compiler.families.fields.stop_tokens import MAX_CONFIG_BYTES, read_stop_token_ids
from ossc.targets.errors import ConfigError

__all__ = ["ModelConfig", "RopeParameters", "read_config_json", "read_model_config"]

LAYER_TYPES = ("sliding_attention", "full_attention")
"""In the order in which layers alternate where config.json does not say."""

MAX_LAYERS = 10_000
"""Far above any real model."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a mixture-of-experts decoder is made of."""

    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    """Of one expert."""

    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    num_local_experts: int
    num_experts_per_tok: int
    max_position_embeddings: int
    rms_norm_eps: float
    layer_types: tuple[str, ...]
    """``full_attention`` or ``sliding_attention`` for each layer."""

    sliding_window: int | None
    """Keys that a query of a sliding layer sees, its own included; None without such layers."""

    hidden_act: str
    swiglu_alpha: float
    swiglu_limit: float
    attention_bias: bool
    tie_word_embeddings: bool
    rope_parameters: RopeParameters
    quant_method: str | None
    """Of ``quantization_config``; how weights are stored is for the tensors to say."""

    eos_token_ids: tuple[int, ...]
    """Ids that end a generation; see `stop_tokens`. Without any, none ends by itself."""


def read_model_config(checkpoint: Path) -> ModelConfig:
    """Read the configuration of a checkpoint.

    Args:
        checkpoint: The folder that holds config.json.

    Raises:
        ConfigError: A file is missing or not valid, a field is missing, of the wrong type or out of
            range, the fields contradict each other or ask for what is not computed, or the model
            type is unknown.
        CheckpointError: tokenizer.json cannot be read.
    """
    config = read_config_json(checkpoint)
    model_type = _read_model_type(config)
    refuse_other_models(config)
    config = with_class_defaults(config)
    layer_types = _read_layer_types(config)
    return ModelConfig(
        model_type=model_type,
        vocab_size=config.integer("vocab_size"),
        hidden_size=config.integer("hidden_size"),
        intermediate_size=config.integer("intermediate_size"),
        num_hidden_layers=len(layer_types),
        **_read_attention(config),
        **_read_experts(config),
        max_position_embeddings=config.integer("max_position_embeddings"),
        rms_norm_eps=config.number("rms_norm_eps"),
        layer_types=layer_types,
        sliding_window=_read_sliding_window(config, layer_types),
        hidden_act=config.text("hidden_act"),
        swiglu_alpha=config.number("swiglu_alpha"),
        swiglu_limit=config.number("swiglu_limit"),
        attention_bias=config.flag("attention_bias"),
        tie_word_embeddings=config.flag("tie_word_embeddings", False),
        rope_parameters=read_rope_parameters(config),
        quant_method=_read_quant_method(config),
        eos_token_ids=read_stop_token_ids(checkpoint, config),
    )


def read_config_json(checkpoint: Path) -> JsonObject:
    """Read a checkpoint's config.json as it stands.

    Raises:
        ConfigError: It is missing, or not strict JSON.
    """
    return read_json_object(checkpoint / "config.json", ConfigError, max_bytes=MAX_CONFIG_BYTES)


def _read_model_type(config: JsonObject) -> str:
    model_type = config.text("model_type")
    known = family_names()
    if model_type not in known:
        config.fail(f"has the model_type {model_type!r}, but ossc knows only {', '.join(known)}")
    return model_type


def _read_layer_types(config: JsonObject) -> tuple[str, ...]:
    layers = config.integer("num_hidden_layers")
    if layers > MAX_LAYERS:
        config.fail(f"has {layers} layers, but at most {MAX_LAYERS} are believed")
    if "layer_types" not in config:
        return tuple(LAYER_TYPES[layer % 2] for layer in range(layers))
    layer_types = config.texts("layer_types")
    if len(layer_types) != layers:
        config.fail(f"has {layers} layers but {len(layer_types)} layer_types; they have to agree")
    unknown = sorted(set(layer_types).difference(LAYER_TYPES))
    if unknown:
        config.fail(f"has the layer type {unknown[0]!r}, but needs {' or '.join(LAYER_TYPES)}")
    return layer_types


def _read_sliding_window(config: JsonObject, layer_types: tuple[str, ...]) -> int | None:
    if "sliding_attention" in layer_types:
        return config.integer("sliding_window")
    return None


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


def _read_experts(config: JsonObject) -> dict[str, int]:
    experts = _read_num_experts(config)
    chosen = config.integer("num_experts_per_tok")
    if chosen > experts:
        config.fail(f"chooses {chosen} experts for a token, but has only {experts}")
    if (other := config.integer("experts_per_token", chosen)) != chosen:
        config.fail(
            f"contradicts itself: 'experts_per_token' {other} differs from 'num_experts_per_tok' "
            f"{chosen}"
        )
    return {"num_local_experts": experts, "num_experts_per_tok": chosen}


def _read_num_experts(config: JsonObject) -> int:
    """Return the number of experts, which has two names."""
    if "num_experts" not in config:
        return config.integer("num_local_experts")
    experts = config.integer("num_experts")
    if (other := config.integer("num_local_experts", experts)) != experts:
        config.fail(
            f"contradicts itself: 'num_local_experts' {other} differs from 'num_experts' {experts}"
        )
    return experts


def _read_quant_method(config: JsonObject) -> str | None:
    if "quantization_config" not in config:
        return None
    return config.section("quantization_config").text("quant_method")
