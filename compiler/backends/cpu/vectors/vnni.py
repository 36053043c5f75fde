"""The VNNI instruction on bytes, in registers of 8 lanes: AVX-VNNI and AVX-512 VNNI have it."""

from collections.abc import Callable, Sequence

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.products.bias import without_bias
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import BLOCK, QUAD, IntegerColumns
from ossc.compiler.lowering.kernel import Expr


def biased_sums(
    weights: Callable[[int], Expr], bias: int, tokens: Sequence[IntegerColumns]
) -> list[Expr]:
    """Multiply a block's codes plus ``bias``, which are unsigned, and take the bias away again.

    Args:
        weights: The biased codes of a quad of columns: int8x32, read as 0 to 255.
        bias: What was added to each code.
        tokens: The activations.

    Returns:
        For each of the activations the sum of the block's products, exact: float32x8.
    """
    sums: list[Expr] = [v.constant(0, "int32x8")] * len(tokens)
    for quad in range(BLOCK // QUAD):
        codes = weights(quad)
        sums = [
            _add_products(total, codes, token.quad(quad))
            for total, token in zip(sums, tokens, strict=True)
        ]
    return without_bias(sums, bias, tokens)


def _add_products(total: Expr, weights: Expr, activations: Expr) -> Expr:
    """Add four products of unsigned and signed bytes to each lane (vpdpbusd)."""
    name = "llvm.x86.avx512.vpdpbusd.256"
    return T.Bind(tvm.tirx.call_llvm_pure_intrin("int32x8", name, total, weights, activations))
