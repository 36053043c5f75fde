"""Packed codes of 4 bits, as `weights/mxfp4` and `weights/int4_g32` have them.

Eight rows of 32 columns are 4 vectors of 32 bytes; byte 4r + c of vector j has row r's column
8j + c in its low and column 8j + 4 + c in its high nibble.
"""

from collections.abc import Iterator

from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.kernel import Expr
from ossc.compiler.lowering.kernels.weights.format import PackedRows

BLOCK_BYTES = 128


def quad_pairs(rows: PackedRows, block: Expr) -> Iterator[tuple[Expr, int, int]]:
    """Yield nibbles uint8x64 of two quads of columns each, and which two."""
    fifteen, four = v.constant(15, "uint8x64"), v.constant(4, "uint8x64")
    for quad in (0, 4):
        both = T.Bind(rows.bytes(block * BLOCK_BYTES + quad // 2 * 32, 64))
        yield both & fifteen, quad, quad + 2
        yield both >> four, quad + 1, quad + 3
