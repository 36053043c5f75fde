"""The same products of bytes in operations that every CPU has as vectors."""

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Expr


def signed_pairs(weights: Expr, activations: Expr) -> Expr:
    """Multiply int8x32 and add neighbours: int16x16; 2 · 127² fits."""
    (weights_even, weights_odd), (even, odd) = _split(weights), _split(activations)
    return weights_even * even + weights_odd * odd


def add_pairs(pairs: Expr) -> Expr:
    """Add neighbours of int16x16: int32x8."""
    words = v.bits(pairs, "int32x8")
    sixteen = v.constant(16, "int32x8")
    return ((words << sixteen) >> sixteen) + (words >> sixteen)


def _split(values: Expr) -> tuple[Expr, Expr]:
    """Return the even and the odd bytes of int8x32, each widened to int16x16."""
    halves = v.bits(values, "int16x16")
    eight = v.constant(8, "int16x16")
    return (halves << eight) >> eight, halves >> eight
