"""Tiny models of transformers' classes with random weights, saved as checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers

SIZES = {
    "vocab_size": 200,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
}
"""Of a model where a case does not say otherwise."""

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@dataclass(frozen=True, kw_only=True)
class FamilyModel:
    """One model."""

    family: str
    """Its ``model_type``."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Of config.json, besides `SIZES`."""
    dtype: str = "bfloat16"
    seed: int = 0

    def make(self, folder: Path) -> Path:
        """Save the model into a folder, which is returned.

        Weights are large enough for every rule to be seen in the logits, and no norm's weight and
        no bias is trivial.
        """
        torch.manual_seed(self.seed)
        config = transformers.AutoConfig.for_model(self.family, **{**SIZES, **self.fields})
        config.eos_token_id = None
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for name, parameter in model.named_parameters():
            shift = 1.0 if "norm" in name else 0.0
            torch.nn.init.normal_(parameter, mean=shift, std=0.2)
        model.to(getattr(torch, self.dtype)).save_pretrained(folder)
        return folder


CASES: Mapping[str, FamilyModel] = {
    "llama-tied": FamilyModel(family="llama", fields={"tie_word_embeddings": True}),
    "llama-3": FamilyModel(
        family="llama", fields={"rope_parameters": LLAMA3, "num_hidden_layers": 3}
    ),
    "llama-2": FamilyModel(family="llama", fields={"num_key_value_heads": 4}, dtype="float16"),
    "llama-biases": FamilyModel(
        family="llama",
        fields={"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 1},
        dtype="float32",
    ),
    "llama-odd": FamilyModel(
        family="llama",
        fields={
            "vocab_size": 131,
            "num_attention_heads": 6,
            "num_key_value_heads": 3,
            "hidden_size": 120,
            "head_dim": 40,
            "intermediate_size": 100,
            "num_hidden_layers": 1,
        },
    ),
    "llama-linear-gelu": FamilyModel(
        family="llama",
        fields={
            "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4},
            "hidden_act": "gelu_pytorch_tanh",
        },
    ),
    "mistral-window": FamilyModel(family="mistral", fields={"sliding_window": 7}),
    "mistral-nemo": FamilyModel(
        family="mistral",
        fields={"sliding_window": None, "head_dim": 24, "num_hidden_layers": 3},
    ),
    "ministral": FamilyModel(
        family="ministral",
        fields={
            "sliding_window": 5,
            "layer_types": ["sliding_attention", "full_attention"],
            "head_dim": 16,
        },
    ),
    "ministral3": FamilyModel(
        family="ministral3",
        fields={
            "head_dim": 32,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 1e6,
                "factor": 16.0,
                "original_max_position_embeddings": 8,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "mscale": 1.0,
                "mscale_all_dim": 1.0,
                "llama_4_scaling_beta": 0.1,
            },
        },
    ),
    "devstral-2": FamilyModel(
        family="ministral3",
        fields={
            "head_dim": 16,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 1e6,
                "factor": 64.0,
                "original_max_position_embeddings": 16,
                "beta_fast": 4.0,
                "beta_slow": 1.0,
                "mscale": 1.0,
                "mscale_all_dim": 0.0,
                "llama_4_scaling_beta": 0.0,
            },
        },
    ),
    "ministral3-without-yarn": FamilyModel(
        family="ministral3",
        fields={
            "head_dim": 16,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "original_max_position_embeddings": 8,
                "llama_4_scaling_beta": 0.5,
            },
        },
    ),
    "mixtral": FamilyModel(family="mixtral"),
    "mixtral-33": FamilyModel(
        family="mixtral",
        fields={
            "num_local_experts": 33,
            "num_experts_per_tok": 3,
            "sliding_window": 6,
            "num_key_value_heads": 1,
            "intermediate_size": 64,
        },
    ),
    "mixtral-f16-one": FamilyModel(
        family="mixtral",
        fields={"num_experts_per_tok": 1, "num_local_experts": 5, "num_hidden_layers": 1},
        dtype="float16",
    ),
}
"""By name; docs/adding-a-family.md tells a new family to add its own."""
