"""Write the model in both layouts that gpt-oss checkpoints have, and read it back.

``python -m sample_model.save OUT`` writes the shipped model in the bf16 layout of a fine-tune.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GptOssConfig, GptOssForCausalLM
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from ossc.compiler.quantization import mxfp4
from sample_model.config import END_OF_TEXT_ID, STOP_TOKEN_IDS
from sample_model.tokenizer import save_tokenizer

CHECKPOINT = Path(__file__).parent / "checkpoint"
"""The shipped model."""

QUANTIZATION_CONFIG = {
    "modules_to_not_convert": [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ],
    "quant_method": "mxfp4",
}


def save_official(model: GptOssForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write experts as MXFP4 blocks and scales, the rest in bf16, as gpt-oss is published."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if name.endswith(("gate_up_proj", "down_proj")):
            tensors |= mxfp4_tensors(name, tensor)
        else:
            tensors[name] = tensor.bfloat16()
    config = config_form_4(model.config) | {"quantization_config": QUANTIZATION_CONFIG}
    write(folder, tensors, config, tokenizer)


def mxfp4_tensors(name: str, weight: Tensor) -> dict[str, Tensor]:
    """Return blocks [E, N, K/32, 16] and scales [E, N, K/32] of an expert weight [E, K, N]."""
    rows = np.ascontiguousarray(weight.float().mT.numpy())  # [E, N, K]
    blocks, scales = mxfp4.quantize(rows)
    parts = {"blocks": blocks, "scales": scales}
    return {f"{name}_{part}": torch.from_numpy(values) for part, values in parts.items()}


def save_fine_tune(model: GptOssForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write every weight in bf16, experts as [E, H, 2I] and [E, I, H], as fine-tunes are saved."""
    tensors = {name: tensor.bfloat16() for name, tensor in model.state_dict().items()}
    write(folder, tensors, model.config.to_diff_dict() | {"dtype": "bfloat16"}, tokenizer)


def write(
    folder: Path, tensors: dict[str, Tensor], config: dict[str, Any], tokenizer: Tokenizer
) -> None:
    """Write model.safetensors, the two configuration files and the tokenizer's files."""
    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, folder / "model.safetensors", metadata={"format": "pt"})
    config["architectures"] = ["GptOssForCausalLM"]
    write_json(folder / "config.json", config)
    generation = {"bos_token_id": END_OF_TEXT_ID, "do_sample": True, "eos_token_id": STOP_TOKEN_IDS}
    write_json(folder / "generation_config.json", generation)
    save_tokenizer(tokenizer, folder)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file with sorted keys."""
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def config_form_4(config: GptOssConfig) -> dict[str, Any]:
    """Return config.json's fields in the form that the published gpt-oss has."""
    values = dict(config.to_diff_dict())
    rope = dict(values.pop("rope_parameters"))
    values["rope_theta"] = rope.pop("rope_theta")
    return values | {
        "experts_per_token": config.num_experts_per_tok,
        "initial_context_length": rope["original_max_position_embeddings"],
        "rope_scaling": rope,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.55.0.dev0",
    }


def load(folder: Path) -> GptOssForCausalLM:
    """Load a checkpoint of either layout into transformers' module, in float32.

    transformers' own decoder turns MXFP4 into values; its ``from_pretrained`` would do the same
    but needs one more package.
    """
    config = GptOssConfig.from_pretrained(folder)
    config.__dict__.pop("quantization_config", None)
    model = GptOssForCausalLM(config).float().eval()
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if name.endswith("_blocks")]:
        weight = name.removesuffix("_blocks")
        parts = tensors.pop(name), tensors.pop(f"{weight}_scales")
        tensors[weight] = convert_moe_packed_tensors(*parts, dtype=torch.float32)
    model.load_state_dict(tensors)
    return model


def main() -> None:
    """Write the shipped model in the bf16 layout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    tokenizer = Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))
    save_fine_tune(load(CHECKPOINT), tokenizer, parser.parse_args().out)


if __name__ == "__main__":
    main()
