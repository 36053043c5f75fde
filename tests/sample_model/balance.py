"""The load-balancing loss, and what it asks for: a few busy experts, a few rare ones.

Trained on one kind of text, experts left to a uniform balance all come out alike. The target here
is skewed, so that tools which treat hot and cold experts differently have both to work on.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

TARGET_USE = (2.7, 2.5, 2.3, 1.3, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.45, 0.4, 0.3, 0.25, 0.2)
"""Wanted use of each expert over the mean use; every layer has its own order of these."""

COEFFICIENT = 0.01
DECAY_COEFFICIENT = 0.1
QUANTIZED_COEFFICIENT = 0.3
"""In the later parts of training experts differ by then, and their use may come to the target."""


def target_use(layer: int, device: torch.device) -> Tensor:
    """Return the wanted relative use of each expert of a layer, [E], mean 1."""
    order = torch.randperm(len(TARGET_USE), generator=torch.Generator().manual_seed(layer))
    return torch.tensor(TARGET_USE)[order].to(device)


def expert_use(router_logits: Tensor, k: int) -> Tensor:
    """Return how often each expert is among the top k, over the mean use: [T, E] -> [E]."""
    experts = router_logits.shape[-1]
    chosen = router_logits.topk(k, dim=-1).indices.flatten()
    return torch.bincount(chosen, minlength=experts) * (experts / chosen.numel())


def balance_loss(router_logits: list[Tensor], k: int) -> Tensor:
    """Return the mean over layers of the Switch Transformer loss, relative to the target.

    With use f and mean probability p (both with mean 1) it is the mean of f * p / target: smallest
    where f is proportional to the target.
    """
    losses = []
    for layer, logits in enumerate(router_logits):
        probability = F.softmax(logits, dim=-1).mean(0) * logits.shape[-1]  # [E]
        use = expert_use(logits.detach(), k)
        losses.append((use * probability / target_use(layer, logits.device)).mean())
    return torch.stack(losses).mean()
