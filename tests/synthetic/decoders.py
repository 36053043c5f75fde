"""Checkpoints of other families' real shapes with random weights, all bfloat16."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthetic.files import write_tensors
from synthetic.layout import SyntheticTensor, float_tensor

LLAMA_1B: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "tie_word_embeddings": True,
}
"""Llama-3.2-1B."""

MIXTRAL_2_LAYERS: dict[str, Any] = {
    "model_type": "mixtral",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 2,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1000000.0,
    "sliding_window": None,
}
"""The first two layers of Mixtral-8x7B."""


def tensors(config: dict[str, Any]) -> Iterator[SyntheticTensor]:
    """List a checkpoint's tensors, all bfloat16."""
    hidden, intermediate = config["hidden_size"], config["intermediate_size"]
    head_dim = config.get("head_dim", hidden // config["num_attention_heads"])
    query, key = (config[f"num_{n}_heads"] * head_dim for n in ("attention", "key_value"))
    yield _matrix("model.embed_tokens.weight", config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        module = f"model.layers.{layer}"
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield float_tensor(f"{module}.{name}.weight", (hidden,), std=0.1, mean=1.0)
        yield _matrix(f"{module}.self_attn.q_proj.weight", query, hidden)
        yield _matrix(f"{module}.self_attn.k_proj.weight", key, hidden)
        yield _matrix(f"{module}.self_attn.v_proj.weight", key, hidden)
        yield _matrix(f"{module}.self_attn.o_proj.weight", hidden, query)
        if "num_local_experts" in config:
            moe = f"{module}.block_sparse_moe"
            yield _matrix(f"{moe}.gate.weight", config["num_local_experts"], hidden)
            for expert in range(config["num_local_experts"]):
                yield _matrix(f"{moe}.experts.{expert}.w1.weight", intermediate, hidden)
                yield _matrix(f"{moe}.experts.{expert}.w2.weight", hidden, intermediate)
                yield _matrix(f"{moe}.experts.{expert}.w3.weight", intermediate, hidden)
            continue
        yield _matrix(f"{module}.mlp.gate_proj.weight", intermediate, hidden)
        yield _matrix(f"{module}.mlp.up_proj.weight", intermediate, hidden)
        yield _matrix(f"{module}.mlp.down_proj.weight", hidden, intermediate)
    yield float_tensor("model.norm.weight", (hidden,), std=0.1, mean=1.0)
    if not config.get("tie_word_embeddings"):
        yield _matrix("lm_head.weight", config["vocab_size"], hidden)


def _matrix(name: str, rows: int, columns: int) -> SyntheticTensor:
    return float_tensor(name, (rows, columns), std=columns**-0.5)


def make_decoder(folder: Path, config: dict[str, Any]) -> Path:
    """Write a checkpoint, unless it is there."""
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        listed = list(tensors(config))
        write_tensors(folder, listed, seed=0, max_shard_bytes=None, sparse=False)
        (folder / "config.json").write_text(json.dumps(config))
    return folder
