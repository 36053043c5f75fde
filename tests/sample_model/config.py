"""The sample model's architecture: gpt-oss in miniature, every feature of the big ones present."""

from transformers import GptOssConfig

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|return|>",
    "<|start|>",
    "<|message|>",
    "<|end|>",
    "<|channel|>",
    "<|constrain|>",
    "<|call|>",
)
"""Harmony's markers, in the order of their ids: they come before every byte-level token."""

END_OF_TEXT_ID = SPECIAL_TOKENS.index("<|endoftext|>")
STOP_TOKEN_IDS = [SPECIAL_TOKENS.index(t) for t in ("<|return|>", "<|endoftext|>", "<|call|>")]
"""In the order of the big models' generation_config.json."""

VOCAB_SIZE = 3072
TRAINING_CONTEXT = 512


def sample_config() -> GptOssConfig:
    """Return the configuration; query width differs from hidden size, as in the big models."""
    return GptOssConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=192,
        intermediate_size=192,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=32,
        num_local_experts=16,
        num_experts_per_tok=4,
        sliding_window=64,
        max_position_embeddings=2048,
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 512,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "truncate": False,
        },
        tie_word_embeddings=False,
        bos_token_id=END_OF_TEXT_ID,
        eos_token_id=STOP_TOKEN_IDS[0],
        pad_token_id=END_OF_TEXT_ID,
        initializer_range=0.05,
    )
