"""transformers' GptOssForCausalLM in float32, on the dequantized weights of a checkpoint."""

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GptOssConfig, GptOssForCausalLM

from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.quantization import mxfp4


def load_float32(source: SourceModel) -> GptOssForCausalLM:
    """Build the model from config.json and give it the checkpoint's weights."""
    config = GptOssConfig.from_pretrained(source.path)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = GptOssForCausalLM._from_config(
        config,
        dtype=torch.float32,
        attn_implementation="eager",
        experts_implementation="eager",  # the default takes only some sizes
    )
    state = {name: torch.from_numpy(values) for name, values in float32_weights(source).items()}
    model.load_state_dict(state)
    return model.eval()


def float32_weights(source: SourceModel) -> dict[str, NDArray[np.float32]]:
    """Return the weights under transformers' names; experts as ``[E, K, N]``."""
    weights = {}
    for name in source.checkpoint.tensors:
        stem, _, part = name.rpartition("_")
        if part == "blocks":
            parts = source.checkpoint.tensor(name), source.checkpoint.tensor(f"{stem}_scales")
            weights[stem] = np.ascontiguousarray(mxfp4.dequantize(*parts).swapaxes(1, 2))
        elif part != "scales":
            weights[name] = source.checkpoint.tensor(name).astype(np.float32)
    if source.config.tie_word_embeddings:
        embedding, head = "model.embed_tokens.weight", "lm_head.weight"
        weights.setdefault(head, weights.get(embedding))
        weights.setdefault(embedding, weights[head])
    return weights


def reference_logits(model: GptOssForCausalLM, token_ids: list[int]) -> NDArray[np.float32]:
    """Return the logits ``[n, vocab_size]`` of all positions, in one pass without a cache."""
    with torch.no_grad():
        return model(torch.tensor([token_ids]), use_cache=False).logits[0].numpy()
