"""Train the sample model from nothing: ``python -m sample_model.train --out RUN``.

Every step depends on the seed, the step number and the state saved in RUN, so an interrupted run
continues where it was when started again with the same command.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor
from torch.optim import Optimizer
from transformers import GptOssForCausalLM

from sample_model import corpus
from sample_model.balance import (
    COEFFICIENT,
    DECAY_COEFFICIENT,
    QUANTIZED_COEFFICIENT,
    balance_loss,
    expert_use,
)
from sample_model.config import TRAINING_CONTEXT, sample_config
from sample_model.cross_entropy import linear_cross_entropy
from sample_model.dataset import Dataset, encode, training_set
from sample_model.model import forward, forward_body
from sample_model.optimizer import build_optimizers, is_decaying, schedule
from sample_model.save import save_fine_tune, save_official
from sample_model.tokenizer import train_tokenizer

WINDOWS_PER_STEP = 8
QUANTIZED_SHARE = 0.2
"""The last part of the steps sees the experts rounded to MXFP4."""

SAVE_EVERY = 50
HELD_OUT_WINDOWS = 48
"""Held-out windows watched during training; the model card uses all of them."""


def main() -> None:
    """Train, and write checkpoint/ (official layout) and fine-tune/ (bf16) into the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1643)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stop-at", type=int, help="stop after this step, to be continued")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.out, options.steps, options.seed, stop_at=options.stop_at)


def train(out: Path, steps: int, seed: int, *, stop_at: int | None = None) -> None:
    """Run the steps that are still to do, then write both checkpoints."""
    out.mkdir(parents=True, exist_ok=True)
    training, held_out = corpus.split(corpus.collect())
    tokenizer = load_or_train_tokenizer(out / "tokenizer.json", training)
    dataset = training_set(tokenizer, training, seed)
    watched = held_out_windows(tokenizer, held_out)
    torch.manual_seed(seed)
    model = GptOssForCausalLM(sample_config()).float()
    optimizers = build_optimizers(model)
    first = load_state(out / "state.pt", model, optimizers)
    print(f"{len(dataset.tokens)} training tokens, from step {first}", flush=True)
    for step in range(first, min(steps, stop_at or steps)):
        record = train_step(model, optimizers, dataset, step, steps)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            save_state(out / "state.pt", model, optimizers, step + 1)
            record |= held_out_record(model, watched, quantize=is_quantized(step, steps))
        with (out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
    save_fine_tune(model, tokenizer, out / "fine-tune")
    save_official(model, tokenizer, out / "checkpoint")


def train_step(
    model: GptOssForCausalLM,
    optimizers: list[Optimizer],
    dataset: Dataset,
    step: int,
    steps: int,
) -> dict[str, Any]:
    """Update the model once and return what the log says about it."""
    began = time.perf_counter()
    factor = schedule(step, steps=steps)
    windows = torch.from_numpy(dataset.windows(step * WINDOWS_PER_STEP, WINDOWS_PER_STEP))
    loss, balance = losses(model, windows, quantize=is_quantized(step, steps))
    (loss + balance_coefficient(step, steps) * balance).backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = factor * group.setdefault("peak_lr", group["lr"])
        optimizer.step()
        optimizer.zero_grad()
    seconds = time.perf_counter() - began
    values = {"loss": loss.item(), "balance": balance.item(), "gradient_norm": norm.item()}
    return {"step": step, "lr": factor, "seconds": seconds} | values


def balance_coefficient(step: int, steps: int) -> float:
    """Return the weight of the balance loss, which grows in two stages."""
    if is_quantized(step, steps):
        return QUANTIZED_COEFFICIENT
    return DECAY_COEFFICIENT if is_decaying(step, steps=steps) else COEFFICIENT


def is_quantized(step: int, steps: int) -> bool:
    """Return whether this step sees the experts in MXFP4."""
    return step >= steps - round(steps * QUANTIZED_SHARE)


def losses(model: GptOssForCausalLM, windows: Tensor, *, quantize: bool) -> tuple[Tensor, Tensor]:
    """Return mean cross-entropy and balance loss of windows [B, S + 1], computed in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden, router_logits = forward_body(model, windows[:, :-1], quantize=quantize)
    loss = linear_cross_entropy(
        hidden.flatten(0, 1), model.lm_head.weight, windows[:, 1:].flatten()
    )
    return loss, balance_loss(router_logits, model.config.num_experts_per_tok)


@torch.no_grad()
def held_out_record(model: GptOssForCausalLM, windows: Tensor, *, quantize: bool) -> dict[str, Any]:
    """Return the held-out loss and each layer's expert use, sorted."""
    with torch.autocast("cpu", torch.bfloat16):
        logits, router_logits = forward(model, windows[:, :-1], quantize=quantize)
    loss = F.cross_entropy(logits.flatten(0, 1).float(), windows[:, 1:].flatten()).item()
    k = model.config.num_experts_per_tok
    use = [sorted(round(u, 2) for u in expert_use(r, k).tolist()) for r in router_logits]
    return {"held_out_loss": loss, "expert_use": use}


def held_out_windows(tokenizer: Tokenizer, documents: list[corpus.Document]) -> Tensor:
    """Return evenly spaced held-out windows [HELD_OUT_WINDOWS, context + 1]."""
    tokens = encode(tokenizer, [document.text for document in documents])
    stride = (len(tokens) - TRAINING_CONTEXT - 1) // HELD_OUT_WINDOWS
    starts = range(0, stride * HELD_OUT_WINDOWS, stride)
    rows = [torch.from_numpy(tokens[s : s + TRAINING_CONTEXT + 1].astype("int64")) for s in starts]
    return torch.stack(rows)


def load_or_train_tokenizer(path: Path, documents: list[corpus.Document]) -> Tokenizer:
    """Return the run's tokenizer, trained on the training files the first time."""
    if not path.exists():
        train_tokenizer(document.text for document in documents).save(str(path), pretty=False)
    return Tokenizer.from_file(str(path))


def save_state(path: Path, model: torch.nn.Module, optimizers: list[Optimizer], step: int) -> None:
    """Write all that a later start needs; the file is replaced when complete."""
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": step,
    }
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def load_state(path: Path, model: torch.nn.Module, optimizers: list[Optimizer]) -> int:
    """Restore a saved run, if there is one, and return the next step."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["step"])


if __name__ == "__main__":
    main()
