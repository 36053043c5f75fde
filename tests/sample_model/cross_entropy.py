"""Cross-entropy of a linear head, a few tokens at a time.

Neither the logits nor their gradient ever exist as a whole: [4096, 3072] floats would be written
and read several times over.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

TOKENS_AT_ONCE = 256


class LinearCrossEntropy(Function):
    """Mean of ``-log softmax(x @ weight.T)[target]``; the gradient is found with the loss."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of x [T, H], weight [V, H], targets [T]."""
        grad_x, grad_weight = torch.empty_like(x), torch.zeros_like(weight, dtype=torch.float32)
        total = torch.zeros((), dtype=torch.float32, device=x.device)
        pieces = zip(*(t.split(TOKENS_AT_ONCE) for t in (x, targets, grad_x)), strict=True)
        for rows, target, grad_rows in pieces:
            log_probability = F.log_softmax((rows @ weight.T).float(), dim=-1)  # [n, V]
            total -= log_probability.gather(1, target[:, None]).sum()
            grad_logits = log_probability.exp_()
            grad_logits.scatter_add_(1, target[:, None], -torch.ones_like(target[:, None]).float())
            grad_logits = grad_logits.to(x.dtype)
            torch.mm(grad_logits, weight, out=grad_rows)
            grad_weight += grad_logits.T @ rows
        ctx.save_for_backward(grad_x / len(x), grad_weight / len(x))
        return total / len(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients of x and weight."""
        grad_x, grad_weight = ctx.saved_tensors
        return grad_x * grad.to(grad_x.dtype), grad_weight * grad, None


def linear_cross_entropy(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Return the mean loss of x [T, H], a float32 weight [V, H] and targets [T]."""
    with torch.autocast(x.device.type, enabled=False):
        return LinearCrossEntropy.apply(x, weight.to(x.dtype), targets)
