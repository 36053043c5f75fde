"""Packed codes of 4 bits, as `weights/mxfp4` and `weights/int4_g32` have them.

Eight rows of 32 columns are 4 vectors of 32 bytes; byte 4r + c of vector j has row r's column
8j + c in its low and column 8j + 4 + c in its high nibble.
"""

from collections.abc import Callable, Iterator, Sequence

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import portable
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import BLOCK, QUAD, ROWS, IntegerColumns, PackedRows
from ossc.compiler.lowering.kernel import Buffer, Expr

CODES_BYTES = BLOCK // 2 * ROWS
"""Of a block of 32 columns, in 8 rows."""


def nibble_of(buffer: Buffer, block: Expr, row: Expr, column: Expr) -> Expr:
    """Return one nibble, int32.

    Args:
        buffer: The packed weights.
        block: The first byte of a block.
        row: One of its eight.
        column: Of the whole row.
    """
    quad = column % BLOCK // QUAD
    at = quad // 2 * (ROWS * QUAD) + row * QUAD + column % QUAD
    both = v.convert(v.load(buffer, block + at, lanes=1), "int32")
    return (both >> (quad % 2 * QUAD)) & v.constant(15, "int32")


def quad_pairs(rows: PackedRows, begin: Expr) -> Iterator[tuple[Expr, int, int]]:
    """Yield nibbles uint8x64 of two quads of columns each, and which two, of a block."""
    fifteen, four = v.constant(15, "uint8x64"), v.constant(4, "uint8x64")
    for quad in (0, 4):
        both = T.Bind(rows.bytes(begin + quad // 2 * 32, 64))
        yield both & fifteen, quad, quad + 2
        yield both >> four, quad + 1, quad + 3


def portable_sums(weights: Callable[[int], Expr], tokens: Sequence[IntegerColumns]) -> list[Expr]:
    """Multiply a block's codes, which are signed, without instructions of a particular machine.

    Args:
        weights: A quad's codes, int8x32; all eight pairs' sums must fit in 16 bits, so that they
            are at most 16 in magnitude.
        tokens: The activations.

    Returns:
        For each of the activations the sum of the block's products, exact: float32x8.
    """
    pairs: list[Expr] = [v.constant(0, "int16x16")] * len(tokens)
    for quad in range(BLOCK // QUAD):
        codes = weights(quad)
        for i, token in enumerate(tokens):
            pairs[i] = T.Bind(pairs[i] + portable.signed_pairs(codes, token.quad(quad)))
    return [T.Bind(v.convert(portable.add_pairs(pair), "float32")) for pair in pairs]
