"""Gated linear units: what a gate and the up that meets it become (Shazeer 2020)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.vectors.vector_math import exp, normal_tail
from ossc.compiler.lowering.kernel import Expr
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

    def apply(self, gate: Expr, up: Expr) -> Expr:
        """Return what gates and ups, float32x8, become."""
        if self.alpha is not None and self.limit is not None:
            return _swiglu_oss(gate, up, self.alpha, self.limit)
        return _GATES[self.kind](gate) * up


def silu(gate: Expr) -> Expr:
    """Return x · sigmoid(x) with a relative error of 2^-22; below -88.7 it is zero."""
    return T.Bind(gate / (v.constant(1, v.dtype_of(gate)) + exp(-gate)))


def gelu_tanh(gate: Expr) -> Expr:
    """Return x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))).

    The relative error is that of the argument y of sigmoid, (8 + 3 · |y|) · 2^-24 where it is
    negative; below -88.7 the result is zero.
    """

    def number(value: float) -> Expr:
        return v.constant(value, v.dtype_of(gate))

    slope = v.multiply_add(
        T.Bind(gate * gate), number(-TANH_SLOPE * TANH_CUBE), number(-TANH_SLOPE)
    )
    return T.Bind(gate / (number(1) + exp(T.Bind(gate * slope))))


def gelu(gate: Expr) -> Expr:
    """Return x · Φ(x), with the relative error of `normal_tail` for x < 0, else 2^-21."""
    zero, one = (v.constant(value, v.dtype_of(gate)) for value in (0, 1))
    tail = normal_tail(v.keep(v.select(gate < zero, -gate, gate)))
    return T.Bind(gate * v.keep(v.select(gate < zero, tail, one - tail)))


_GATES: Mapping[GluKind, Callable[[Expr], Expr]] = {
    "silu": silu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
}


def _swiglu_oss(gate: Expr, up: Expr, alpha: float, limit: float) -> Expr:
    def number(value: float) -> Expr:
        return v.constant(value, "float32x8")

    gate = T.Bind(v.at_most(gate, limit))
    up = v.at_least(v.at_most(up, limit), -limit)
    gated = T.Bind(gate / (number(1) + exp(gate * number(-alpha))))
    return T.Bind(v.multiply_add(up, gated, gated))
