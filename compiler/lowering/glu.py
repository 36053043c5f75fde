"""Gated linear units: what a gate and the up that meets it become (Shazeer 2020)."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ossc.targets.errors import LoweringError

GluKind = Literal["silu", "gelu", "gelu_tanh", "swiglu_oss"]

TANH_SLOPE = 2 * math.sqrt(2 / math.pi)
"""The tanh form of GELU is x · sigmoid(`TANH_SLOPE` · (x + `TANH_CUBE` · x³))."""

TANH_CUBE = 0.044715


@dataclass(frozen=True, kw_only=True)
class Glu:
    """Which one, named as HF's ``hidden_act`` but for gpt-oss's.

    ``silu``, ``gelu`` (exact) and ``gelu_tanh`` multiply the up with that function of the gate.
    ``swiglu_oss`` is (up + 1) · gate · sigmoid(alpha · gate), gates limited above and ups on both
    sides by ``limit``.

    Raises:
        LoweringError: No kernel has this kind; alpha and limit are missing, or given to a kind that
            has none.
    """

    kind: GluKind
    alpha: float | None = None
    limit: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(GluKind):
            known = ", ".join(get_args(GluKind))
            raise LoweringError(f"No kernel gates with {self.kind!r}; choose one of {known}.")
        if self.kind == "swiglu_oss":
            if self.alpha is None or self.limit is None or not self.limit > 0:
                raise LoweringError(
                    f"The activation swiglu_oss has alpha {self.alpha} and limit {self.limit}; "
                    "it needs two numbers, the limit above 0."
                )
        elif self.alpha is not None or self.limit is not None:
            raise LoweringError(
                f"The activation {self.kind} has alpha {self.alpha} and limit {self.limit}; "
                "only swiglu_oss takes them."
            )

    @property
    def parameters(self) -> tuple[str | float, ...]:
        """The part of a kernel's name that stands for it."""
        if self.alpha is None or self.limit is None:
            return (self.kind,)
        return self.alpha, self.limit


TAIL_SLOPE = 0.3

TAIL_COEFFICIENTS = (
    -0.020914359018206596,
    0.11404027044773102,
    -0.2320384830236435,
    0.19694067537784576,
    -0.08374255150556564,
    0.09848073869943619,
    0.07758906483650208,
    0.11040517687797546,
    0.11955176293849945,
    0.11968769133090973,
)
"""Φ(-x) · exp(x² / 2) / t for t = 1 / (1 + `TAIL_SLOPE` · x) and 0 ≤ x ≤ 14, highest power of t
first: interpolated at Chebyshev's points, within 1e-7. The exact GELU is x · Φ(x)."""
