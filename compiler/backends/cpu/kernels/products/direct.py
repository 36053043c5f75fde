"""Products of a few tokens: decoded weights meet them in registers, without a panel in memory.

A chunk's int16 codes, as in `panel`. Writing a panel to scratch memory and reading it again pays
off when many tokens meet it; of a prompt of 8 tokens most chosen experts get one or two.
"""

from collections.abc import Sequence
from dataclasses import replace

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.products.pairs import add_pair_products
from ossc.compiler.backends.cpu.kernels.products.tiles import Row, RowOf, token_tiles
from ossc.compiler.backends.cpu.vectors import avx512
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import BLOCK, QUAD, ROWS, PackedRows, WeightFormat
from ossc.compiler.lowering.kernel import Buffer, Expr

PAIRS_OF_QUAD = 2
"""Of four columns 0 and 2 are a pair of int16 codes, then 1 and 3."""


def widen_pairs(codes: Expr) -> tuple[Expr, Expr]:
    """Widen int8 codes of quads of columns to int16: the first pair of each quad, the second."""
    dtype = v.dtype_of(codes)
    lanes = int(dtype.partition("x")[2]) // 2
    words = T.Bind(v.bits(codes, f"int16x{lanes}"))
    eight = v.constant(8, f"int16x{lanes}")
    return T.Bind((words << eight) >> eight), T.Bind(words >> eight)


def load_pair(codes: Buffer, row: Row, block: Expr, pair: Expr, lanes: int) -> Expr:
    """Read a pair of a block's int16 codes into every 32-bit lane."""
    two = v.load(codes, *row, block * BLOCK + pair * 2, lanes=2)
    return T.Bind(v.bits(v.splat(v.bits(two, "int32"), lanes), f"int16x{2 * lanes}"))


def direct_sums(
    weights: WeightFormat, rows: PackedRows, block: Expr, codes: Buffer, tokens: Sequence[Row]
) -> list[Expr]:
    """Emit the products of a block of 8 packed rows with some rows of int16 codes.

    Returns:
        For each token the sum of the block's products, exact: int32x8.
    """
    if rows.isa == "avx512_vnni":
        return _wide_sums(weights, rows, block, codes, tokens)
    assert weights.codes is not None, "integer codes can be decoded"
    sums: list[Expr] = [v.constant(0, f"int32x{ROWS}")] * len(tokens)
    for quad in range(BLOCK // QUAD):
        for i, pair in enumerate(widen_pairs(weights.codes(rows, block, quad))):
            number = v.constant(PAIRS_OF_QUAD * quad + i, "int32")
            sums = [
                add_pair_products(
                    rows.isa, total, pair, load_pair(codes, token, block, number, ROWS)
                )
                for total, token in zip(sums, tokens, strict=True)
            ]
    return sums


def _wide_sums(
    weights: WeightFormat, rows: PackedRows, block: Expr, codes: Buffer, tokens: Sequence[Row]
) -> list[Expr]:
    """Take two quads of columns at a time."""
    assert weights.wide_codes is not None, "integer codes can be decoded"
    words = [
        T.Bind(v.bits(v.load(codes, *token, block * BLOCK, lanes=BLOCK), f"int32x{avx512.LANES}"))
        for token in tokens
    ]
    sums: list[Expr] = [v.constant(0, f"int32x{avx512.LANES}")] * len(tokens)
    for wide, low, high in weights.wide_codes(rows, block):
        for i, pair in enumerate(widen_pairs(wide)):
            places = [PAIRS_OF_QUAD * low + i] * ROWS + [PAIRS_OF_QUAD * high + i] * ROWS
            chosen = [
                T.Bind(v.bits(v.shuffle(word, places), f"int16x{2 * avx512.LANES}"))
                for word in words
            ]
            sums = [
                add_pair_products(rows.isa, total, pair, activations)
                for total, activations in zip(sums, chosen, strict=True)
            ]
    return [avx512.fold(total) for total in sums]


class DirectProduct:
    """The products of some row groups with a few tokens."""

    def __init__(
        self, weights: WeightFormat, codes: Buffer, scales: Buffer, sizes: Sequence[int]
    ) -> None:
        self._weights, self._codes, self._scales = weights, codes, scales
        self._sizes = sizes
        """Tokens that share one decoding, the largest first."""

    def multiply(
        self, panel: Sequence[PackedRows], totals: Buffer, tokens: Expr, row_of: RowOf
    ) -> None:
        """Emit ``totals[token, 8 · group + row]`` of all row groups of a panel."""
        offsets = T.alloc_buffer((len(panel),), "int64")
        for number, rows in enumerate(panel):
            T.buffer_store(offsets, v.convert(rows.offset, "int64"), [number])
        with T.serial(len(panel)) as group:
            rows = replace(panel[0], offset=T.Bind(offsets[group]))
            for first, size in token_tiles(tokens, self._sizes):
                of_tile = [row_of(first + i) for i in range(size)]
                for i, total in enumerate(self._multiply_rows(rows, of_tile)):
                    v.store(totals, first + i, group * ROWS, value=total)

    def _multiply_rows(self, rows: PackedRows, tokens: Sequence[Row]) -> list[Expr]:
        weights = self._weights
        assert weights.scale is not None, "integer codes have a scale"
        totals = v.Registers(len(tokens))
        totals.fill(range(len(tokens)), 0)
        with T.serial(int(self._scales.ty.shape[-1])) as block:
            weights.prefetch(rows, block)
            sums = direct_sums(weights, rows, block, self._codes, tokens)
            scale = T.Bind(weights.scale(rows, block))
            for i, (total, token) in enumerate(zip(sums, tokens, strict=True)):
                both = scale * v.splat(self._scales[(*token, block)])
                totals[i] = v.multiply_add(v.convert(total, "float32"), both, totals[i])
        return [totals[i] for i in range(len(tokens))]
