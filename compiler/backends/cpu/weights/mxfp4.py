"""MXFP4: E2M1 codes of 4 bits, and for every 32 columns a power of two (E8M0).

Eight rows of K columns: for each block of 32 columns 128 bytes of codes and the 8 rows' scales. The
codes are 4 vectors of 32 bytes; byte 4r + c of vector j has row r's column 8j + c in its low and
column 8j + 4 + c in its high nibble.

Codes are decoded to twice their value, which is an integer, so the scale is packed halved, its
exponent less one. The two smallest scales, 2^-127 and 2^-126, are packed as zero: halved they are
not normal numbers. The scale NaN (255) is refused: no model computes anything with it.
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
from ossc.targets.errors import LoweringError

BLOCK_BYTES = CODES_BYTES + ROWS

VECTORS = CODES_BYTES // 32

DOUBLED = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)
"""Twice the value of each code."""

NAN_SCALE = 255

BIAS = 12
"""Added to `DOUBLED` where the weights are to be unsigned bytes."""


def _blocks(columns: int) -> int:
    return whole_columns("mxfp4", columns, BLOCK) // BLOCK


def _pack(blocks: NDArray[np.uint8], scales: NDArray[np.uint8]) -> NDArray[np.uint8]:
    n_blocks = blocks.shape[1]
    nibbles = np.stack([blocks & 15, blocks >> 4], axis=-1)  # [N, n_blocks, 16, 2]
    # [group, row, block, vector, nibble, column] → [group, block, vector, row, column, nibble]
    ordered = nibbles.reshape(-1, ROWS, n_blocks, VECTORS, 2, QUAD).transpose(0, 2, 3, 1, 5, 4)
    codes = ordered[..., 0] | (ordered[..., 1] << 4)
    return join_blocks(codes, _halved(scales))


def _halved(scales: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if (scales == NAN_SCALE).any():
        raise LoweringError(
            "An MXFP4 scale of the weights is 255, which stands for NaN; use weights without NaN."
        )
    return np.maximum(scales, 1) - np.uint8(1)


def _scale(rows: PackedRows, block: Expr) -> Expr:
    exponents = rows.bytes(block * BLOCK_BYTES + CODES_BYTES, ROWS)
    return _power_of_two(v.convert(exponents, "int32"))


def _power_of_two(exponent: Expr) -> Expr:
    """Decode E8M0, but 0 as zero."""
    dtype = v.dtype_of(exponent)
    return v.bits(exponent << v.constant(23, dtype), dtype.replace("int", "float"))


def _nibbles(rows: PackedRows, block: Expr, quad: int) -> Expr:
    codes = rows.bytes(block * BLOCK_BYTES + quad // 2 * 32, 32)
    if quad % 2:
        return codes >> v.constant(4, "uint8x32")
    return codes & v.constant(15, "uint8x32")


def _doubled(nibbles: Expr) -> Expr:
    """Decode without a table: m + max(m - 4, 0) + 2·max(m - 6, 0), negated if bit 3 is set."""
    nibbles = v.bits(nibbles, "int8x32")
    magnitude = nibbles & v.constant(7, "int8x32")
    above = [v.maximum(magnitude - v.constant(at, "int8x32"), 0) for at in (4, 6)]
    value = magnitude + above[0] + above[1] + above[1]
    sign = v.constant(0, "int8x32") - (nibbles >> v.constant(3, "int8x32"))
    return T.Bind((value ^ sign) - sign)


def _codes(rows: PackedRows, block: Expr, quad: int) -> Expr:
    nibbles = _nibbles(rows, block, quad)
    if rows.isa == "portable":
        return _doubled(nibbles)
    table = avx2.table(bytes(value % 256 for value in DOUBLED))
    return avx2.look_up(table, nibbles)


def _wide_codes(rows: PackedRows, block: Expr) -> Iterator[WideCodes]:
    table = bytes(value % 256 for value in DOUBLED)
    for nibbles, low, high in quad_pairs(rows, block * BLOCK_BYTES):
        yield avx512.look_up(table, nibbles), low, high


def _values(rows: PackedRows, block: Expr, quad: int, count: int) -> list[Expr]:
    del count  # a block is always stored whole
    return v.bytes_to_float(_codes(rows, block, quad))


def _avx2_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    """Multiply value + 12, which is unsigned, and take 12 times the activations' sum away.

    Four pairs' sums fit in 16 bits: 4 · 2 · 24 · 127 = 24384.
    """
    table = avx2.table(bytes(value + BIAS for value in DOUBLED))
    sums: list[Expr] = [v.constant(0, "int32x8")] * len(tokens)
    for half in (range(4), range(4, 8)):
        pairs: list[Expr] = [None] * len(tokens)
        for quad in half:
            weights = avx2.look_up(table, _nibbles(rows, block, quad))
            for i, token in enumerate(tokens):
                product = avx2.unsigned_pairs(weights, token.quad(quad))
                pairs[i] = product if quad == half[0] else T.Bind(pairs[i] + product)
        sums = [T.Bind(s + avx2.add_pairs(p)) for s, p in zip(sums, pairs, strict=True)]
    return without_bias(sums, BIAS, tokens)


def _vnni_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    table = avx2.table(bytes(value + BIAS for value in DOUBLED))

    def biased(quad: int) -> Expr:
        return avx2.look_up(table, _nibbles(rows, block, quad))

    return vnni.biased_sums(biased, BIAS, tokens)


def _avx512_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    table = bytes(value + BIAS for value in DOUBLED)
    pairs = [
        (avx512.look_up(table, codes), low, high)
        for codes, low, high in quad_pairs(rows, block * BLOCK_BYTES)
    ]
    return avx512.biased_sums(pairs, BIAS, tokens)


def _portable_sums(rows: PackedRows, block: Expr, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    """Multiply signed values; all eight pairs' sums fit in 16 bits: 8 · 2 · 12 · 127 = 24384."""
    return portable_sums(lambda quad: _doubled(_nibbles(rows, block, quad)), tokens)


def _value(buffer: Buffer, offset: Expr, row: Expr, column: Expr) -> Expr:
    block = offset + column // BLOCK * BLOCK_BYTES
    nibble = nibble_of(buffer, block, row, column)
    magnitude = nibble & v.constant(7, "int32")
    above = [v.maximum(magnitude - v.constant(at, "int32"), 0) for at in (4, 6)]
    value = v.convert(magnitude + above[0] + above[1] + above[1], "float32")
    exponent = v.load(buffer, block + (row + CODES_BYTES), lanes=1)
    scaled = value * _power_of_two(v.convert(exponent, "int32"))
    return v.select(nibble > v.constant(7, "int32"), -scaled, scaled)


FORMAT = WeightFormat(
    scheme="mxfp4",
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
