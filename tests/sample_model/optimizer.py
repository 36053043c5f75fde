"""Muon for the matrices of the layers, AdamW for everything else.

Muon (Jordan et al. 2024) replaces a matrix's momentum by the nearest orthogonal matrix, found by
a Newton-Schulz iteration. Few-token runs learn markedly faster with it than with AdamW alone.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

MUON_LEARNING_RATE = 0.02
ADAMW_LEARNING_RATE = 0.004
WARM_UP_STEPS = 40
DECAY_SHARE = 0.3
"""Of all steps: the last ones, in which the learning rate falls to zero."""

NEWTON_SCHULZ = ((3.4445, -4.7750, 2.0315),) * 5
"""The quintic's coefficients of Jordan et al., five rounds."""


def orthogonalize(matrices: Tensor) -> Tensor:
    """Return nearly orthogonal matrices with the singular vectors of [..., M, N], in bfloat16."""
    x = matrices.bfloat16()
    if transposed := x.shape[-2] > x.shape[-1]:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for a, b, c in NEWTON_SCHULZ:
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if transposed else x


class Muon(Optimizer):
    """Steps of constant spectral norm along the orthogonalized Nesterov momentum.

    Parameters have two dimensions, or three with one matrix per expert.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.update(parameter, parameter.grad, group)

    def update(self, parameter: Tensor, grad: Tensor, group: dict[str, float]) -> None:
        """Update one parameter."""
        state = self.state[parameter]
        average = state.setdefault("momentum", torch.zeros_like(parameter))
        average.lerp_(grad, 1 - group["momentum"])
        direction = orthogonalize(torch.lerp(grad, average, group["momentum"]))
        rows, columns = parameter.shape[-2:]
        scale = max(1.0, rows / columns) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(direction.to(parameter.dtype), alpha=-group["lr"] * scale)


def build_optimizers(model: torch.nn.Module) -> list[Optimizer]:
    """Return Muon over projections and experts, and AdamW over the rest."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in model.named_parameters():
        is_matrix = name.endswith(("_proj", "_proj.weight"))
        (matrices if is_matrix else others).append(parameter)
    return [
        Muon(matrices, lr=MUON_LEARNING_RATE, weight_decay=0.1),
        AdamW(others, lr=ADAMW_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def schedule(step: int, *, steps: int) -> float:
    """Return the factor of the learning rate: warm-up, constant, then linear to zero.

    Until the decay begins the factor does not depend on ``steps``, so a run may be resumed with
    another length.
    """
    remaining = (steps - step) / max(1, round(steps * DECAY_SHARE))
    return min(1.0, (step + 1) / WARM_UP_STEPS, remaining)


def is_decaying(step: int, *, steps: int) -> bool:
    """Return whether the learning rate is on its way to zero."""
    return step > steps - round(steps * DECAY_SHARE)
