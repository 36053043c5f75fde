"""Products of int16 pairs: the one operation that integer products of a chunk are built from.

Each 32-bit lane of weights and of activations holds two int16 codes; their two products are added
to the lane's int32 total. Two int8 terms of an activation are one int16 code here, so the result
is that of both terms, exactly.
"""

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Expr, Isa


def add_pair_products(isa: Isa, total: Expr, weights: Expr, activations: Expr) -> Expr:
    """Return ``total + w0·a0 + w1·a1`` in each lane.

    Args:
        isa: The instructions to use.
        total: int32 lanes.
        weights: Twice as many int16 lanes; two neighbours meet one lane of the total.
        activations: The same.
    """
    if isa == "avx512_vnni" or isa == "avx_vnni":
        bits = 32 * _lanes(total)
        name = f"x86.avx512.vpdpwssd.{bits}"
        return _intrinsic(total, name, total, weights, activations)
    if isa == "avx2":
        return T.Bind(total + _intrinsic(total, "x86.avx2.pmadd.wd", weights, activations))
    (even, odd), (even_activations, odd_activations) = _split(weights), _split(activations)
    return T.Bind(total + even * even_activations + odd * odd_activations)


def _intrinsic(total: Expr, name: str, *operands: Expr) -> Expr:
    result = tvm.tirx.call_llvm_pure_intrin(v.dtype_of(total), f"llvm.{name}", *operands)
    return T.Bind(result)


def _lanes(vector: Expr) -> int:
    return int(v.dtype_of(vector).partition("x")[2])


def _split(pairs: Expr) -> tuple[Expr, Expr]:
    """Return the even and the odd lanes, widened to int32."""
    words = v.bits(pairs, f"int32x{_lanes(pairs) // 2}")
    sixteen = v.constant(16, v.dtype_of(words))
    return (words << sixteen) >> sixteen, words >> sixteen
