"""int8-g32: signed bytes, and for every 32 columns a bfloat16 scale.

Eight rows of K columns: for each block of 32 columns 256 bytes of codes and the 8 rows' scales. The
codes are 8 vectors of 32 bytes; byte 4r + c of vector j is row r's column 4j + c. A short last
block is filled with zeros.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import avx2, avx512, portable, vnni
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
)
from ossc.compiler.lowering.kernel import Buffer, Expr

CODES_BYTES = BLOCK * ROWS
BLOCK_BYTES = CODES_BYTES + ROWS * VALUE_BYTES

SIGN_BIAS = 128
"""Added to codes where the weights are to be unsigned bytes."""


def _blocks(columns: int) -> int:
    return -(-columns // BLOCK)


def _pack(codes: NDArray[np.int8], scales: NDArray[np.generic]) -> NDArray[np.uint8]:
    columns = codes.shape[1]
    n_blocks = _blocks(columns)
    padded = np.pad(codes, ((0, 0), (0, n_blocks * BLOCK - columns))).view(np.uint8)
    # [group, row, block, vector, column] → [group, block, vector, row, column]
    ordered = padded.reshape(-1, ROWS, n_blocks, BLOCK // QUAD, QUAD).transpose(0, 2, 3, 1, 4)
    return join_blocks(ordered, scales)


def _scale(rows: PackedRows, block: Expr) -> Expr:
    return widen(rows.bytes(block * BLOCK_BYTES + CODES_BYTES, ROWS * VALUE_BYTES, "uint16"))


def _codes(rows: PackedRows, block: Expr, quad: int) -> Expr:
    return T.Bind(rows.bytes(block * BLOCK_BYTES + quad * 32, 32, "int8"))


def _wide_codes(rows: PackedRows, block: Expr) -> Iterator[WideCodes]:
    for quad in range(0, BLOCK // QUAD, 2):
        yield rows.bytes(block * BLOCK_BYTES + quad * 32, 64, "int8"), quad, quad + 1


def _values(rows: PackedRows, block: Expr, quad: int, count: int) -> list[Expr]:
    del count  # a block is always stored whole
    return v.bytes_to_float(_codes(rows, block, quad))


def _avx2_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    sums: list[Expr] = [v.constant(0, "int32x8")] * len(tokens)
    for quad in range(BLOCK // QUAD):
        weights = _codes(rows, block, quad)
        for i, token in enumerate(tokens):
            pairs = avx2.signed_pairs(weights, token.quad(quad))
            sums[i] = T.Bind(sums[i] + avx2.add_pairs(pairs))
    return [T.Bind(v.convert(s, "float32")) for s in sums]


def _vnni_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    """Multiply code + 128, which is the code with its sign bit turned over."""
    sign = v.constant(-128, "int8x32")
    return vnni.biased_sums(
        lambda quad: T.Bind(_codes(rows, block, quad) ^ sign), SIGN_BIAS, tokens
    )


def _avx512_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    sign = v.constant(-128, "int8x64")
    biased = ((T.Bind(codes ^ sign), *quads) for codes, *quads in _wide_codes(rows, block))
    return avx512.biased_sums(biased, SIGN_BIAS, tokens)


def _portable_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    sums: list[Expr] = [v.constant(0, "int32x8")] * len(tokens)
    for quad in range(BLOCK // QUAD):
        weights = _codes(rows, block, quad)
        for i, token in enumerate(tokens):
            pairs = T.Bind(portable.signed_pairs(weights, token.quad(quad)))
            sums[i] = T.Bind(sums[i] + portable.add_pairs(pairs))
    return [T.Bind(v.convert(s, "float32")) for s in sums]


def _value(buffer: Buffer, offset: Expr, row: Expr, column: Expr) -> Expr:
    block = offset + column // BLOCK * BLOCK_BYTES
    at = column % BLOCK // QUAD * (ROWS * QUAD) + row * QUAD + column % QUAD
    code = v.bits(v.load(buffer, block + at, lanes=1), "int8")
    stored = v.load(buffer, block + (row * VALUE_BYTES + CODES_BYTES), lanes=VALUE_BYTES)
    scale = widen(v.bits(stored, "uint16"))
    return v.convert(code, "float32") * scale


FORMAT = WeightFormat(
    scheme="int8-g32",
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
