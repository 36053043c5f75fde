"""The fields of config.json: what the reference does with each, and so what ossc does.

The reference of a family is its configuration class of transformers 5 and the code that reads it.
A test lets it load and run models, records which fields it reads, and looks for each of them here
and in the family's own lists.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ossc.compiler.checkpoint.strict_json import JsonObject
from ossc.runtimes.strict_json import shorten

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
    "auto_map",
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
    "initializer_range",
    "label2id",
    "name_or_path",
    "num_heads",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "problem_type",
    "return_dict",
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


OF_EVERY_DECODER = frozenset(
    {
        "eos_token_id",
        "head_dim",
        "hidden_act",
        "hidden_size",
        "max_position_embeddings",
        "model_type",
        "num_attention_heads",
        "num_hidden_layers",
        "num_key_value_heads",
        "original_max_position_embeddings",
        "partial_rotary_factor",
        "quantization_config",
        "rms_norm_eps",
        "rope_parameters",
        "rope_scaling",
        "rope_theta",
        "tie_word_embeddings",
        "vocab_size",
    }
)
"""Fields that every family here follows, or refuses where they ask for what it cannot."""


@dataclass(frozen=True, kw_only=True)
class ConfigFields:
    """The fields that one family's class reads, besides those that all classes read alike."""

    defaults: Mapping[str, Any]
    """What the reference takes where a field is absent; a field that is null is not absent. The
    sizes of the model are not among them: a config that does not tell them describes nothing."""

    obeyed: frozenset[str]
    """Further ones that the compiled model follows, or that are refused where they ask for what it
    cannot."""

    without_effect: frozenset[str] = frozenset()
    """Further ones that change no logit of the reference."""

    must_be_absent: frozenset[str] = frozenset()
    """Further ones that make the reference compute something else, if only with a KV cache."""

    @property
    def followed(self) -> frozenset[str]:
        """All that the compiled model follows, or that are refused for some values."""
        return OF_EVERY_DECODER | self.defaults.keys() | self.obeyed

    def complete(self, config: JsonObject) -> JsonObject:
        """Return the config with the reference's values for fields that are absent.

        Raises:
            ConfigError: A field makes the reference compute what ossc does not.
        """
        _refuse_other_models(config, MUST_BE_ABSENT | self.must_be_absent)
        return replace(config, fields={**self.defaults, **config.fields})

    def unknown(self, config: JsonObject) -> Iterator[str]:
        """List the fields of which it is not known what they do, where any is not null."""
        known = self.followed | self.without_effect | WITHOUT_EFFECT
        known |= MUST_BE_ABSENT | self.must_be_absent | ONE_VALUE.keys()
        return (name for name in config.fields if name in config and name not in known)


def _refuse_other_models(config: JsonObject, must_be_absent: frozenset[str]) -> None:
    for name, needed in ONE_VALUE.items():
        if name in config and config.fields[name] is not needed:
            config.fail(
                f"gives {name!r} as {shorten(config.fields[name])}, but models are computed with "
                f"{needed} only; use a checkpoint that was made so"
            )
    for name in sorted(must_be_absent):
        if name in config:
            config.fail(
                f"gives {name!r} as {shorten(config.fields[name])}, which changes what "
                "transformers computes and is not supported; remove it if it is not meant"
            )
