"""The shape of a synthetic checkpoint, and its config.json in both of the forms that exist."""

from dataclasses import dataclass
from typing import Any, Literal

SPECIAL_TOKENS = (
    "<|startoftext|>",
    "<|endoftext|>",
    "<|return|>",
    "<|constrain|>",
    "<|channel|>",
    "<|start|>",
    "<|end|>",
    "<|message|>",
    "<|call|>",
)
"""gpt-oss's own; here they are the last ids of the vocabulary, in this order."""

STOP_TOKENS = ("<|return|>", "<|endoftext|>", "<|call|>")

OFFICIAL_FIRST_SPECIAL_ID = 199998
OFFICIAL_SPECIAL_IDS = dict(
    zip(
        SPECIAL_TOKENS,
        (199998, 199999, 200002, 200003, 200005, 200006, 200007, 200008, 200012),
        strict=True,
    )
)
OFFICIAL_VOCAB_SIZE = 201088


@dataclass(frozen=True, kw_only=True)
class SyntheticShape:
    """A gpt-oss model of any shape; the defaults are tiny, with every feature of the big ones."""

    vocab_size: int = 512
    hidden_size: int = 64
    intermediate_size: int = 96
    """Of one expert."""

    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 32
    num_local_experts: int = 4
    num_experts_per_tok: int = 2
    sliding_window: int = 8
    layer_types: tuple[str, ...] | None = None
    """Of each layer; by default sliding and full attention alternate, sliding first."""

    max_position_embeddings: int = 131072
    original_max_position_embeddings: int = 4096
    rope_theta: float = 150000.0
    rope_factor: float = 32.0
    swiglu_limit: float = 7.0
    rms_norm_eps: float = 1e-5

    def special_ids(self) -> dict[str, int]:
        """Return the ids of the special tokens: the official ones in the official vocabulary."""
        if self.vocab_size == OFFICIAL_VOCAB_SIZE:
            return OFFICIAL_SPECIAL_IDS
        first = self.vocab_size - len(SPECIAL_TOKENS)
        return {token: first + i for i, token in enumerate(SPECIAL_TOKENS)}

    def stop_token_ids(self) -> list[int]:
        """Return the ids that generation_config.json lists as ends of a generation."""
        ids = self.special_ids()
        return [ids[token] for token in STOP_TOKENS]

    def all_layer_types(self) -> list[str]:
        """Return the type of each layer."""
        alternating = ("sliding_attention", "full_attention") * self.num_hidden_layers
        return list(self.layer_types or alternating[: self.num_hidden_layers])


GPT_OSS_20B = SyntheticShape(
    vocab_size=OFFICIAL_VOCAB_SIZE,
    hidden_size=2880,
    intermediate_size=2880,
    num_hidden_layers=24,
    num_attention_heads=64,
    num_key_value_heads=8,
    head_dim=64,
    num_local_experts=32,
    num_experts_per_tok=4,
    sliding_window=128,
)

GPT_OSS_120B = SyntheticShape(
    vocab_size=OFFICIAL_VOCAB_SIZE,
    hidden_size=2880,
    intermediate_size=2880,
    num_hidden_layers=36,
    num_attention_heads=64,
    num_key_value_heads=8,
    head_dim=64,
    num_local_experts=128,
    num_experts_per_tok=4,
    sliding_window=128,
)


def config_json(
    shape: SyntheticShape, *, config_form: Literal[4, 5], experts: Literal["mxfp4", "bf16"]
) -> dict[str, Any]:
    """Return config.json as the given major version of transformers writes it."""
    config: dict[str, Any] = {
        "architectures": ["GptOssForCausalLM"],
        "attention_bias": True,
        "attention_dropout": 0.0,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "hidden_size": shape.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate_size,
        "layer_types": shape.all_layer_types(),
        "max_position_embeddings": shape.max_position_embeddings,
        "model_type": "gpt_oss",
        "num_attention_heads": shape.num_attention_heads,
        "num_experts_per_tok": shape.num_experts_per_tok,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_key_value_heads": shape.num_key_value_heads,
        "num_local_experts": shape.num_local_experts,
        "output_router_logits": False,
        "rms_norm_eps": shape.rms_norm_eps,
        "router_aux_loss_coef": 0.9,
        "sliding_window": shape.sliding_window,
        "swiglu_limit": shape.swiglu_limit,
        "tie_word_embeddings": False,
        "use_cache": True,
        "vocab_size": shape.vocab_size,
    }
    if experts == "mxfp4":
        config["quantization_config"] = QUANTIZATION_CONFIG
    return config | (_form_4(shape) if config_form == 4 else _form_5(shape))


QUANTIZATION_CONFIG = {
    "modules_to_not_convert": [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ],
    "quant_method": "mxfp4",
}


def _yarn(shape: SyntheticShape) -> dict[str, Any]:
    return {
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "factor": shape.rope_factor,
        "original_max_position_embeddings": shape.original_max_position_embeddings,
        "rope_type": "yarn",
        "truncate": False,
    }


def _form_4(shape: SyntheticShape) -> dict[str, Any]:
    return {
        "experts_per_token": shape.num_experts_per_tok,
        "initial_context_length": shape.original_max_position_embeddings,
        "rope_scaling": _yarn(shape),
        "rope_theta": shape.rope_theta,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.55.0.dev0",
    }


def _form_5(shape: SyntheticShape) -> dict[str, Any]:
    return {
        "dtype": "bfloat16",
        "rope_parameters": _yarn(shape) | {"rope_theta": shape.rope_theta},
        "swiglu_alpha": 1.702,
        "transformers_version": "5.23.0",
    }
