"""Random sizes, rotations and forms of storage of every family, against transformers.

Each model is drawn from its seed, so that a failure can be drawn again.
"""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from family_models import FamilyModel
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.oracle.transformers_model import run_transformers
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization.plan import load_plan

TOKENS = 24

SHARE_OF_LARGEST_LOGIT = 1e-4
"""Of these models float32 itself loses up to 4e-5 (against float64); a wrong rule is 1e-2 away."""

DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def sizes(draw: random.Random, family: str) -> dict[str, Any]:
    """Draw what all families have; heads do not fill the hidden size."""
    kv_heads, layers = draw.choice([1, 2, 3]), draw.choice([1, 2, 3])
    heads = kv_heads * draw.choice([1, 2, 3])
    fields = {
        "vocab_size": draw.choice([33, 131, 200]),
        "hidden_size": heads * draw.choice([7, 11, 16]),
        "intermediate_size": draw.choice([1, 33, 64]),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": draw.choice([2, 10, 16, 40]),
        "rms_norm_eps": draw.choice([1e-6, 1e-3]),
        "tie_word_embeddings": draw.choice([True, False]),
        "hidden_act": draw.choice(["silu", "gelu", "gelu_pytorch_tanh"]),
        "pad_token_id": None,
    }
    if family == "llama":
        return fields | {"attention_bias": draw.choice([True, False]), "mlp_bias": True}
    fields["sliding_window"] = draw.choice([1, 2, 5, 17])
    if family == "ministral":
        kinds = ["sliding_attention", "full_attention"]
        fields["layer_types"] = [draw.choice(kinds) for _ in range(layers)]
    if family == "mixtral":
        experts = draw.choice([1, 3, 8, 33])
        fields |= {"num_local_experts": experts, "num_experts_per_tok": draw.randint(1, experts)}
    return fields


def rotation(draw: random.Random, family: str) -> dict[str, Any]:
    """Draw the parameters of a rotation that is felt within a few tokens."""
    types = ("yarn",) if family == "ministral3" else ("default", "linear", "llama3", "yarn")
    rope: dict[str, Any] = {"rope_type": draw.choice(types)}
    if rope["rope_type"] != "default":
        rope["factor"] = draw.choice([2.0, 3.7, 32.0])
    if rope["rope_type"] in ("llama3", "yarn"):
        rope["original_max_position_embeddings"] = draw.choice([4, 8, 33])
    if rope["rope_type"] == "llama3":
        rope |= {"low_freq_factor": 1.0, "high_freq_factor": draw.choice([1.5, 4.0])}
    if rope["rope_type"] == "yarn":
        rope |= draw.choice([{}, {"truncate": False}, {"beta_fast": 4.0, "attention_factor": 0.7}])
    if family == "ministral3":
        rope["llama_4_scaling_beta"] = draw.choice([0.0, 0.5])
    return rope


def store_otherwise(draw: random.Random, folder: Path) -> None:
    """Give tensors types of their own, those of the same experts one, and put them in shards."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    types: dict[str, torch.dtype] = {}
    for name, tensor in tensors.items():
        module, _, expert = name.partition(".experts.")
        alike = module + expert.lstrip("0123456789")
        tensors[name] = tensor.to(types.setdefault(alike, draw.choice(DTYPES)))
    file.unlink()
    shards = {name: f"model-{draw.choice([1, 2])}.safetensors" for name in tensors}
    for shard in set(shards.values()):
        save_file(
            {name: tensors[name] for name in tensors if shards[name] == shard}, folder / shard
        )
    index = {"metadata": {}, "weight_map": shards}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def write_rotation(draw: random.Random, folder: Path, rope: dict[str, Any]) -> None:
    """Write the parameters in the form of one of the two releases."""
    config = json.loads((folder / "config.json").read_text())
    del config["rope_parameters"]
    theta = {"rope_theta": draw.choice([7.0, 10000.0, 1e6])}
    old = draw.choice([True, False])
    config |= {"rope_scaling": rope, **theta} if old else {"rope_parameters": rope | theta}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("family", ["llama", "mistral", "ministral", "ministral3", "mixtral"])
def test_a_random_model_computes_what_transformers_computes(tmp_path, family, seed):
    draw = random.Random(f"{family} {seed}")
    FamilyModel(family=family, fields=sizes(draw, family), dtype="float32").make(tmp_path)
    write_rotation(draw, tmp_path, rotation(draw, family))
    store_otherwise(draw, tmp_path)
    source = SourceModel.open(tmp_path)
    ids = np.random.default_rng(seed).integers(0, source.config.vocab_size, TOKENS).tolist()
    oracle = run_transformers(source.checkpoint, ids, range(TOKENS))
    bound = SHARE_OF_LARGEST_LOGIT * np.abs(oracle.logits).max()
    for model in (source.export(), quantized_model(source, load_plan("none"))):
        actual = reference_logits(model, ids, tokens_a_run=7)
        np.testing.assert_allclose(actual.logits, oracle.logits, rtol=0, atol=bound)
