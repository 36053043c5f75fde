"""The fields of config.json: what the reference does with each, and so what ossc does.

The reference is ``GptOssConfig`` of transformers 5 and the code that reads it. A test lets it load
and run models, records which fields it reads, and looks for each of them here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ossc.compiler.checkpoint.strict_json import JsonObject
from ossc.runtimes.strict_json import shorten

CLASS_DEFAULTS: Mapping[str, Any] = {
    "attention_bias": True,
    "head_dim": 64,
    "hidden_act": "silu",
    "layer_types": None,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-5,
    "sliding_window": 128,
    "swiglu_alpha": 1.702,
    "swiglu_limit": 7.0,
    "tie_word_embeddings": False,
}
"""What the reference takes where a field is absent; a field that is null is not absent. The sizes
of the model are not among them: a config that does not tell them describes nothing."""

OBEYED = frozenset(CLASS_DEFAULTS) | {
    "eos_token_id",
    "experts_per_token",
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "model_type",
    "num_attention_heads",
    "num_experts",
    "num_experts_per_tok",
    "num_hidden_layers",
    "num_local_experts",
    "original_max_position_embeddings",
    "partial_rotary_factor",
    "quantization_config",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "vocab_size",
}
"""Fields that the compiled model follows, or that are refused where they ask for what it cannot."""

ONE_VALUE: Mapping[str, Any] = {"is_causal": True, "is_encoder_decoder": False}
"""Fields that change what the reference computes; the model is compiled for this value only."""

MUST_BE_ABSENT = frozenset(
    {
        "_heterogeneity_spec",
        "_rope_type_labels",
        "attribute_map",
        "configuration_files",
        "decoder",
        "default_rope_type",
        "default_theta",
        "fusion_config",
        "generator",
        "gguf_file",
        "is_heterogeneous",
        "kv_sharing_modes",
        "mlp_layer_types",
        "mtp_layer_types",
        "per_layer_config",
        "sub_configs",
        "sub_configs_defaults",
        "text_config",
        "text_encoder",
        "transformers_weights",
    }
)
"""Fields that let the reference read other files, other sections or other values for some layers,
or that replace parts of its class."""

OF_GENERATION = frozenset(
    {
        "assistant_confidence_threshold",
        "assistant_lookbehind",
        "bad_words_ids",
        "begin_suppress_tokens",
        "diversity_penalty",
        "do_sample",
        "early_stopping",
        "encoder_no_repeat_ngram_size",
        "encoder_repetition_penalty",
        "epsilon_cutoff",
        "eta_cutoff",
        "exponential_decay_length_penalty",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "length_penalty",
        "max_length",
        "min_length",
        "no_repeat_ngram_size",
        "num_assistant_tokens",
        "num_assistant_tokens_schedule",
        "num_beam_groups",
        "num_beams",
        "num_return_sequences",
        "output_scores",
        "remove_invalid_values",
        "repetition_penalty",
        "return_dict_in_generate",
        "suppress_tokens",
        "target_lookbehind",
        "temperature",
        "top_k",
        "top_p",
        "typical_p",
    }
)
"""Settings of a generation that old configs carry; the reference drops them."""

WITHOUT_EFFECT = OF_GENERATION | {
    "_attn_implementation",
    "_attn_implementation_internal",
    "_auto_class",
    "_commit_hash",
    "_experts_implementation",
    "_experts_implementation_internal",
    "_name_or_path",
    "_output_attentions",
    "architectures",
    "attention_dropout",
    "attn_implementation",
    "base_model_ep_plan",
    "base_model_fsdp_plan",
    "base_model_pp_plan",
    "base_model_tp_plan",
    "bos_token_id",
    "chunk_size_feed_forward",
    "distributed_config",
    "dtype",
    "embed_dim",
    "experts_implementation",
    "gradient_checkpointing",
    "id2label",
    "initial_context_length",
    "initializer_range",
    "label2id",
    "name_or_path",
    "num_heads",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "pad_token_id",
    "problem_type",
    "return_dict",
    "router_aux_loss_coef",
    "tie_last_hidden_states",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "vision_aspect_ratio",
    "vision_feature_layer",
    "vision_feature_select_strategy",
}
"""Fields that change no logit of the reference: training, labels, kernels of the same results,
devices, the type that it computes in."""


def with_class_defaults(config: JsonObject) -> JsonObject:
    """Return the config with the reference's values for fields that are absent."""
    return replace(config, fields={**CLASS_DEFAULTS, **config.fields})


def refuse_other_models(config: JsonObject) -> None:
    """Fail on a field that makes the reference compute what ossc does not.

    Raises:
        ConfigError: There is one.
    """
    for name, needed in ONE_VALUE.items():
        if name in config and config.fields[name] is not needed:
            config.fail(
                f"gives {name!r} as {shorten(config.fields[name])}, but models are computed with "
                f"{needed} only; use a checkpoint that was made so"
            )
    for name in sorted(MUST_BE_ABSENT):
        if name in config:
            config.fail(
                f"gives {name!r} as {shorten(config.fields[name])}, which changes what "
                "transformers computes and is not supported; remove it if it is not meant"
            )


def unknown_fields(config: JsonObject) -> Iterator[str]:
    """List the fields of which it is not known what they do, where any of them is not null."""
    known = OBEYED | WITHOUT_EFFECT | MUST_BE_ABSENT | ONE_VALUE.keys()
    return (name for name in config.fields if name in config and name not in known)
