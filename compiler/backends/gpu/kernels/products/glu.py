"""What gates and the ups that meet them become, in scalars."""

from collections.abc import Callable, Mapping

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import below, f32, select
from ossc.compiler.lowering.glu import (
    TAIL_COEFFICIENTS,
    TAIL_SLOPE,
    TANH_CUBE,
    TANH_SLOPE,
    Glu,
    GluKind,
)
from ossc.compiler.lowering.kernel import Expr


def gated(glu: Glu, gate: Expr, up: Expr) -> Expr:
    """Return what a gate and an up, float32, become."""
    gate, up = T.Bind(gate), T.Bind(up)
    if glu.alpha is not None and glu.limit is not None:
        return _swiglu_oss(gate, up, glu.alpha, glu.limit)
    return _GATES[glu.kind](gate) * up


def _silu(gate: Expr) -> Expr:
    """Return x · sigmoid(x)."""
    return gate / (f32(1) + tvm.tirx.exp(f32(0) - gate))


def _gelu_tanh(gate: Expr) -> Expr:
    """Return x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))."""
    slope = T.Bind(gate * gate * f32(-TANH_SLOPE * TANH_CUBE) + f32(-TANH_SLOPE))
    return gate / (f32(1) + tvm.tirx.exp(gate * slope))


def _gelu(gate: Expr) -> Expr:
    """Return x · Φ(x)."""
    is_negative = gate < f32(0)
    tail = T.Bind(_normal_tail(T.Bind(select(is_negative, f32(0) - gate, gate))))
    return gate * select(is_negative, tail, f32(1) - tail)


def _normal_tail(x: Expr) -> Expr:
    """Return Φ(-x) for x ≥ 0."""
    t = T.Bind(f32(1) / (x * f32(TAIL_SLOPE) + f32(1)))
    series = f32(TAIL_COEFFICIENTS[0])
    for coefficient in TAIL_COEFFICIENTS[1:]:
        series = T.Bind(series * t + f32(coefficient))
    return series * t * tvm.tirx.exp(x * (x * f32(-0.5)))


_GATES: Mapping[GluKind, Callable[[Expr], Expr]] = {
    "silu": _silu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
}


def _swiglu_oss(gate: Expr, up: Expr, alpha: float, limit: float) -> Expr:
    gate = T.Bind(below(gate, limit))
    up = T.Bind(below(up, limit))
    up = select(up < f32(-limit), f32(-limit), up)
    gate = T.Bind(gate / (f32(1) + tvm.tirx.exp(gate * f32(-alpha))))
    return (up + f32(1)) * gate
