"""int4-g32: codes of 4 bits, and for every 32 columns a bfloat16 scale.

Eight rows of K columns: for each block of 32 columns 128 bytes of codes and the 8 rows' scales. The
codes are 4 vectors of 32 bytes; byte 4r + c of vector j has row r's column 8j + c in its low and
column 8j + 4 + c in its high nibble. A nibble is the code plus 8. A short last block is filled with
codes 0.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.products.bias import without_bias
from ossc.compiler.backends.cpu.kernels.products.nibbles import (
    CODES_BYTES,
    nibble_of,
    portable_sums,
    quad_pairs,
)
from ossc.compiler.backends.cpu.vectors import avx2, avx512, vnni
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.bf16 import VALUE_BYTES, widen
from ossc.compiler.backends.cpu.weights.format import (
    BLOCK,
    QUAD,
    ROWS,
    IntegerColumns,
    PackedRows,
    WeightFormat,
    WideCodes,
    join_blocks,
    whole_columns,
)
from ossc.compiler.lowering.kernel import Buffer, Expr

BLOCK_BYTES = CODES_BYTES + ROWS * VALUE_BYTES

VECTORS = CODES_BYTES // 32
"""Vectors of codes in a block; each has two quads of columns."""

BIAS = 8
"""Added to the codes, which makes them unsigned."""

ZEROS = BIAS << 4 | BIAS
"""A byte of two codes 0."""


def _blocks(columns: int) -> int:
    return -(-whole_columns("int4-g32", columns, 2) // BLOCK)


def _pack(codes: NDArray[np.uint8], scales: NDArray[np.generic]) -> NDArray[np.uint8]:
    row_bytes = codes.shape[1]
    n_blocks = scales.shape[1]
    missing = n_blocks * BLOCK // 2 - row_bytes
    padded = np.pad(codes, ((0, 0), (0, missing)), constant_values=ZEROS)
    nibbles = np.stack([padded & 15, padded >> 4], axis=-1)  # [N, bytes, 2]
    # [group, row, block, vector, nibble, column] → [group, block, vector, row, column, nibble]
    ordered = nibbles.reshape(-1, ROWS, n_blocks, VECTORS, 2, QUAD).transpose(0, 2, 3, 1, 5, 4)
    packed = ordered[..., 0] | (ordered[..., 1] << 4)
    return join_blocks(packed, scales)


def _scale(rows: PackedRows, block: Expr) -> Expr:
    return widen(rows.bytes(block * BLOCK_BYTES + CODES_BYTES, ROWS * VALUE_BYTES, "uint16"))


def _nibbles(rows: PackedRows, block: Expr, quad: int) -> Expr:
    """Return a quad's codes plus 8: uint8x32."""
    codes = rows.bytes(block * BLOCK_BYTES + quad // 2 * 32, 32)
    if quad % 2:
        return codes >> v.constant(4, "uint8x32")
    return codes & v.constant(15, "uint8x32")


def _signed(nibbles: Expr) -> Expr:
    """Return the codes: int8x32."""
    return T.Bind(v.bits(nibbles, "int8x32") - v.constant(BIAS, "int8x32"))


def _codes(rows: PackedRows, block: Expr, quad: int) -> Expr:
    return _signed(_nibbles(rows, block, quad))


def _wide_codes(rows: PackedRows, block: Expr) -> Iterator[WideCodes]:
    for nibbles, low, high in quad_pairs(rows, block * BLOCK_BYTES):
        yield T.Bind(v.bits(nibbles, "int8x64") - v.constant(BIAS, "int8x64")), low, high


def _values(rows: PackedRows, block: Expr, quad: int, count: int) -> list[Expr]:
    del count  # a block is always stored whole
    return v.bytes_to_float(_codes(rows, block, quad))


def _avx2_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    """Multiply code + 8, which is unsigned, and take 8 times the activations' sum away.

    All eight pairs' sums fit in 16 bits: 8 · 2 · 15 · 127 = 30480.
    """
    pairs: list[Expr] = [v.constant(0, "int16x16")] * len(tokens)
    for quad in range(BLOCK // QUAD):
        weights = T.Bind(v.bits(_nibbles(rows, block, quad), "int8x32"))
        for i, token in enumerate(tokens):
            pairs[i] = T.Bind(pairs[i] + avx2.unsigned_pairs(weights, token.quad(quad)))
    return without_bias([avx2.add_pairs(pair) for pair in pairs], BIAS, tokens)


def _vnni_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    def biased(quad: int) -> Expr:
        return T.Bind(v.bits(_nibbles(rows, block, quad), "int8x32"))

    return vnni.biased_sums(biased, BIAS, tokens)


def _avx512_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    pairs = [
        (T.Bind(v.bits(codes, "int8x64")), low, high)
        for codes, low, high in quad_pairs(rows, block * BLOCK_BYTES)
    ]
    return avx512.biased_sums(pairs, BIAS, tokens)


def _portable_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    """Multiply signed codes; all eight pairs' sums fit in 16 bits: 8 · 2 · 8 · 127 = 16256."""
    return portable_sums(lambda quad: _signed(_nibbles(rows, block, quad)), tokens)


def _value(buffer: Buffer, offset: Expr, row: Expr, column: Expr) -> Expr:
    block = offset + column // BLOCK * BLOCK_BYTES
    nibble = nibble_of(buffer, block, row, column)
    stored = v.load(buffer, block + (row * VALUE_BYTES + CODES_BYTES), lanes=VALUE_BYTES)
    scale = widen(v.bits(stored, "uint16"))
    return v.convert(nibble - v.constant(BIAS, "int32"), "float32") * scale


FORMAT = WeightFormat(
    scheme="int4-g32",
    row_group_bytes=lambda columns: _blocks(columns) * BLOCK_BYTES,
    pack=_pack,
    block_bytes=BLOCK_BYTES,
    scale=_scale,
    values=_values,
    codes=_codes,
    wide_codes=_wide_codes,
    integer_sums={
        "avx512_vnni": _avx512_sums,
        "avx_vnni": _vnni_sums,
        "avx2": _avx2_sums,
        "portable": _portable_sums,
    },
    value=_value,
)
