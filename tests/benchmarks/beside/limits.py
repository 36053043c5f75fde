"""What a token must move and compute at least, and what this machine can move and compute.

Counted from the model's shape, alike for both sides: every weight that a token needs is read once,
every product is two operations. So a runtime that reads something twice gets no credit for it.
"""

from dataclasses import dataclass
from typing import Literal

from ossc.compiler.families.fields.decoder import DecoderConfig
from ossc.compiler.families.gpt_oss import GptOssConfig
from ossc.compiler.quantization import find_scheme

Dense = Literal["8bit", "4bit"]
"""Weights outside the experts: int8-g32 and Q8_0, or int4-g32 and Q4_0."""

DENSE_BITS: dict[Dense, float] = {"8bit": 8.5, "4bit": 4.5}
"""Bits of a weight with its part of a float16 scale for 32; the two sides' formats agree."""


@dataclass(frozen=True, kw_only=True)
class TokenWork:
    """Of one token of a sequence."""

    expert_weights: int
    """Elements of the experts that it chooses."""

    dense_weights: int
    """Elements of attention's matrices, and of feed-forward parts without experts."""

    head_weights: int
    """Elements of the head; a prompt needs it for its last token only."""

    def decode_bytes(self, dense: Dense) -> float:
        """Bytes of weights that decoding one token reads."""
        bits = self.expert_weights * find_scheme("mxfp4").bits
        bits += (self.dense_weights + self.head_weights) * DENSE_BITS[dense]
        return bits / 8

    def prefill_operations(self) -> float:
        """Operations of one of many tokens, without attention's products of queries and keys."""
        return 2.0 * (self.expert_weights + self.dense_weights)


def token_work(config: DecoderConfig) -> TokenWork:
    """Count the weights of a model's products."""
    hidden, layers = config.hidden_size, config.num_hidden_layers
    query = config.num_attention_heads * config.head_dim
    key = config.num_key_value_heads * config.head_dim
    attention, feed_forward = hidden * 2 * (query + key), 3 * hidden * config.intermediate_size
    is_moe = isinstance(config, GptOssConfig)
    return TokenWork(
        expert_weights=layers * config.num_experts_per_tok * feed_forward if is_moe else 0,
        dense_weights=layers * (attention if is_moe else attention + feed_forward),
        head_weights=config.vocab_size * hidden,
    )


def key_bytes(config: DecoderConfig, depth: int, bytes_per_value: int) -> float:
    """Bytes of keys and values that a token at ``depth`` reads."""
    window = config.sliding_window or depth
    keys = sum(
        min(depth, window) if kind == "sliding_attention" else depth for kind in config.layer_types
    )
    return float(keys * 2 * config.num_key_value_heads * config.head_dim * bytes_per_value)
