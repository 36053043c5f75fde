"""Measure the sample model: ``python -m sample_model.evaluate CHECKPOINT``.

Prints as JSON the perplexity on all held-out files and on ``held_out.txt``, the baselines on the
same tokens, and how every layer's router uses its experts.
"""

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GptOssForCausalLM

from sample_model import corpus
from sample_model.balance import expert_use
from sample_model.config import TRAINING_CONTEXT
from sample_model.dataset import encode, training_set
from sample_model.model import forward
from sample_model.ngram import perplexities
from sample_model.save import load

HELD_OUT_TEXT = Path(__file__).parent / "held_out.txt"
"""Held-out files in one text, for machines with another standard library."""

WINDOWS_AT_ONCE = 16


def main() -> None:
    """Print the figures of a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="the training run's")
    options = parser.parse_args()
    print(json.dumps(figures(options.checkpoint, options.seed), indent=1))


def figures(checkpoint: Path, seed: int) -> dict[str, Any]:
    """Return all figures of the model card."""
    model = load(checkpoint)
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    training, held_out = corpus.split(corpus.collect())
    texts = [document.text for document in held_out]
    tokens = encode(tokenizer, texts).astype(np.int64)
    seen = training_set(tokenizer, training, seed).tokens.astype(np.int64)
    scored = tokens[: scored_length(tokens)]
    measured = measure(model, tokens)
    bits = math.log2(measured["perplexity"]) * len(tokens) / len("".join(texts).encode())
    return {
        "corpus": {"training_files": len(training), "sha256": corpus.digest(training)},
        "held_out_files": len(held_out),
        "training_tokens": len(seen),
        "held_out": measured | {"bits_per_byte": bits},
        "baselines": perplexities(seen, scored),
        "held_out_text": measure(model, encode_text(tokenizer)),
    }


def encode_text(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Return the ids of ``held_out.txt``."""
    text = HELD_OUT_TEXT.read_text(encoding="utf-8")
    return np.array(tokenizer.encode(text, add_special_tokens=False).ids, np.int64)


def scored_length(tokens: NDArray[np.int64]) -> int:
    """Return how many tokens whole windows use: each one's last token is the next one's first."""
    return (len(tokens) - 1) // TRAINING_CONTEXT * TRAINING_CONTEXT + 1


def windows(tokens: NDArray[np.int64]) -> Iterator[Tensor]:
    """Yield batches [B, context + 1] of whole windows."""
    starts = range(0, scored_length(tokens) - 1, TRAINING_CONTEXT)
    rows = [torch.from_numpy(tokens[s : s + TRAINING_CONTEXT + 1]) for s in starts]
    for begin in range(0, len(rows), WINDOWS_AT_ONCE):
        yield torch.stack(rows[begin : begin + WINDOWS_AT_ONCE])


@torch.no_grad()
def measure(model: GptOssForCausalLM, tokens: NDArray[np.int64]) -> dict[str, Any]:
    """Return perplexity in windows of the training context, and the routers' figures."""
    loss, count, chosen = 0.0, 0, []
    for batch in windows(tokens):
        logits, router_logits = forward(model, batch[:, :-1])
        targets = batch[:, 1:].flatten()
        loss += F.cross_entropy(logits.flatten(0, 1), targets, reduction="sum").item()
        count += len(targets)
        chosen.append(torch.stack(router_logits))  # [layers, T, E]
    layers = torch.cat(chosen, dim=1)
    k = model.config.num_experts_per_tok
    return {
        "tokens": count,
        "perplexity": math.exp(loss / count),
        "layers": [router_figures(layer, k) for layer in layers],
    }


def router_figures(router_logits: Tensor, k: int) -> dict[str, Any]:
    """Return expert use over its mean, and its entropy over that of uniform use: [T, E]."""
    use = expert_use(router_logits, k)
    share = use / use.sum()
    entropy = -(share * share.clamp(min=1e-12).log()).sum().item()
    return {
        "expert_use": [round(value, 3) for value in use.tolist()],
        "under_half": int((use < 0.5).sum()),
        "over_twice": int((use > 2).sum()),
        "entropy_of_uniform": round(entropy / math.log(len(use)), 4),
    }


if __name__ == "__main__":
    main()
