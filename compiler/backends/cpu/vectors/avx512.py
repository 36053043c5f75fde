"""AVX-512 VNNI on 8 rows: a register has two quads of their columns."""

from collections.abc import Iterable, Sequence

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.products.bias import without_bias
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import IntegerColumns, WideCodes
from ossc.compiler.lowering.kernel import Expr

LANES = 16


def biased_sums(
    weights: Iterable[WideCodes], bias: int, tokens: Sequence[IntegerColumns]
) -> list[Expr]:
    """Multiply a block's codes plus ``bias``, which are unsigned, and take the bias away again.

    Args:
        weights: All eight quads of the block, biased.
        bias: What was added to each code.
        tokens: The activations.

    Returns:
        For each of the activations the sum of the block's products, exact: float32x8.
    """
    sums: list[Expr] = [v.constant(0, "int32x16")] * len(tokens)
    for codes, low, high in weights:
        sums = [
            _add_products(total, codes, token.quads(low, high))
            for total, token in zip(sums, tokens, strict=True)
        ]
    return without_bias((fold(total) for total in sums), bias, tokens)


def look_up(table: bytes, indices: Expr) -> Expr:
    """Replace each of 64 bytes (0 to 15) by that entry of a table of 16 (pshufb)."""
    words = [int.from_bytes(table[i : i + 4], "little", signed=True) for i in range(0, 16, 4)]
    entries = v.bits(v.join([v.constant(word, "int32") for word in words * 4]), "int8x64")
    name = "llvm.x86.avx512.pshuf.b.512"
    operands = (T.Bind(entries), v.bits(indices, "int8x64"))
    return T.Bind(tvm.tirx.call_llvm_pure_intrin("int8x64", name, *operands))


def _add_products(total: Expr, weights: Expr, activations: Expr) -> Expr:
    """Add four products of unsigned and signed bytes to each lane (vpdpbusd)."""
    name = "llvm.x86.avx512.vpdpbusd.512"
    return T.Bind(tvm.tirx.call_llvm_pure_intrin("int32x16", name, total, weights, activations))


def fold(total: Expr) -> Expr:
    """Add the upper half to the lower."""
    half = LANES // 2
    return T.Bind(v.shuffle(total, range(half)) + v.shuffle(total, range(half, LANES)))
