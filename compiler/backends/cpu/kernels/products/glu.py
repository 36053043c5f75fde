"""What gates and the ups that meet them become, in vectors."""

from collections.abc import Callable, Mapping

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.vectors.vector_math import exp, normal_tail
from ossc.compiler.lowering.glu import TANH_CUBE, TANH_SLOPE, Glu, GluKind
from ossc.compiler.lowering.kernel import Expr


def gated(glu: Glu, gate: Expr, up: Expr) -> Expr:
    """Return what gates and ups, float32x8, become."""
    if glu.alpha is not None and glu.limit is not None:
        return _swiglu_oss(gate, up, glu.alpha, glu.limit)
    return _GATES[glu.kind](gate) * up


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
