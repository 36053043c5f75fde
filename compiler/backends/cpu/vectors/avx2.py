"""The AVX2 instructions on bytes that the int8 kernels are built from."""

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Expr


def _intrinsic(dtype: str, name: str, *operands: Expr) -> Expr:
    return T.Bind(tvm.tirx.call_llvm_pure_intrin(dtype, f"llvm.{name}", *operands))


def look_up(table: Expr, indices: Expr) -> Expr:
    """Replace each of 32 bytes (0 to 15) by that entry of a table of 16, given twice (pshufb)."""
    return _intrinsic("int8x32", "x86.avx2.pshuf.b", table, v.bits(indices, "int8x32"))


def unsigned_pairs(weights: Expr, activations: Expr) -> Expr:
    """Multiply unsigned by signed bytes and add neighbours: int16x16, saturating (pmaddubsw)."""
    return _intrinsic("int16x16", "x86.avx2.pmadd.ub.sw", weights, activations)


def signed_pairs(weights: Expr, activations: Expr) -> Expr:
    """Multiply signed bytes and add neighbours: int16x16.

    |w| times the activation with w's sign; never saturates, because |w| ≤ 127 and |a| ≤ 127 give
    at most 2 · 127² = 32258 for a pair.
    """
    magnitude = _intrinsic("int8x32", "abs", weights, v.constant(0, "bool"))
    signed = _intrinsic("int8x32", "x86.avx2.psign.b", activations, weights)
    return unsigned_pairs(magnitude, signed)


def add_pairs(pairs: Expr) -> Expr:
    """Add neighbours of int16x16: int32x8 (pmaddwd with ones)."""
    return _intrinsic("int32x8", "x86.avx2.pmadd.wd", pairs, v.constant(1, "int16x16"))


def table(entries: bytes) -> Expr:
    """Return the constant for `look_up` of 16 byte values."""
    words = [int.from_bytes(entries[i : i + 4], "little", signed=True) for i in range(0, 16, 4)]
    lanes = [v.constant(word, "int32") for word in words * 2]
    order = [v.constant(lane, "int32") for lane in range(len(lanes))]
    return T.Bind(v.bits(tvm.tirx.Shuffle(lanes, order), "int8x32"))
