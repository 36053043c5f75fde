"""Products of a chunk: a panel of 32 rows is decoded once for all tokens that meet it.

Columns are taken in strips: a strip of the panel is decoded into scratch memory of the nearest
cache, then every tile of tokens is multiplied with it and added to its totals. The block's sums are
scaled and added in the order of the columns, as for a single token, so both give the same bits.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.products.direct import DirectProduct, load_pair, widen_pairs
from ossc.compiler.backends.cpu.kernels.products.pairs import add_pair_products
from ossc.compiler.backends.cpu.kernels.products.tiles import Row, RowOf, token_tiles
from ossc.compiler.backends.cpu.kernels.products.tuning import Tiling, tiling
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import BLOCK, QUAD, ROWS, PackedRows, WeightFormat
from ossc.compiler.lowering.kernel import Buffer, Expr, Isa

GROUPS = 4
"""Row groups of a panel."""

PANEL_ROWS = GROUPS * ROWS

PAIRS = BLOCK // 2
"""Pairs of columns in a block."""


class Strip(Protocol):
    """How a strip of columns is decoded and multiplied: with integers or with float32."""

    tiling: Tiling

    def allocate(self) -> None:
        """Emit the scratch memory."""

    def decode(self, panel: Sequence[PackedRows], block: Expr, place: Expr, columns: int) -> None:
        """Emit the decoding of one block to its place in the strip."""

    def add(self, tile: "Tile", place: Expr, block: Expr, columns: int) -> None:
        """Emit the products of one block, added to the tile's totals."""


class Tile:
    """Totals of some tokens and some vectors of the panel's rows."""

    def __init__(self, rows: Sequence[Row], first_row: Expr, tiling: Tiling) -> None:
        self.rows = rows
        self.lanes, self.vectors = tiling.lanes, tiling.vectors
        self.first_row = first_row
        """Of the panel."""
        self.totals = v.Registers(len(rows) * self.vectors, lanes=self.lanes)

    def places(self) -> Iterator[tuple[int, int, Expr]]:
        """Yield for every total (number of the token, number of the vector, first row)."""
        for token in range(len(self.rows)):
            for vector in range(self.vectors):
                yield token, vector, self.first_row + vector * self.lanes

    def __getitem__(self, place: tuple[int, int]) -> Expr:
        return self.totals[place[0] * self.vectors + place[1]]

    def __setitem__(self, place: tuple[int, int], value: Expr) -> None:
        self.totals[place[0] * self.vectors + place[1]] = value


class Sums:
    """A block's sums for every total of a tile."""

    def __init__(self, tile: Tile, dtype: str) -> None:
        self._vectors = tile.vectors
        count = len(tile.rows) * tile.vectors
        self._sums = v.Registers(count, dtype, tile.lanes)
        self._sums.fill(range(count), 0)

    def __getitem__(self, place: tuple[int, int]) -> Expr:
        return self._sums[place[0] * self._vectors + place[1]]

    def __setitem__(self, place: tuple[int, int], value: Expr) -> None:
        self._sums[place[0] * self._vectors + place[1]] = value


class IntegerStrip:
    """int16 codes of weights and activations; a lane of the scratch holds two columns of a row."""

    def __init__(self, weights: WeightFormat, codes: Buffer, scales: Buffer, isa: Isa) -> None:
        self._weights, self._codes, self._scales, self._isa = weights, codes, scales, isa
        self.tiling = tiling(isa, "integer")

    def allocate(self) -> None:
        """Emit the scratch memory: codes ``[block, pair, row, 2]``, scales ``[block, row]``."""
        blocks = self.tiling.strip_blocks
        self._panel = T.alloc_buffer((blocks, PAIRS, PANEL_ROWS * 2), "int16")
        self._panel_scales = T.alloc_buffer((blocks, PANEL_ROWS), "float32")

    def decode(self, panel: Sequence[PackedRows], block: Expr, place: Expr, columns: int) -> None:
        """Emit the decoding of one block; of four columns 0 and 2 are a pair, then 1 and 3."""
        del columns
        assert self._weights.scale is not None, "integer codes have a scale"
        assert self._weights.codes is not None, "integer codes can be decoded"
        for number, rows in enumerate(panel):
            self._weights.prefetch_block(rows, block + self.tiling.strip_blocks)
            scale = self._weights.scale(rows, block)
            v.store(self._panel_scales, place, number * ROWS, value=scale)
            for quad in range(BLOCK // QUAD):
                for pair, value in enumerate(widen_pairs(self._weights.codes(rows, block, quad))):
                    at = (place, 2 * quad + pair, number * ROWS * 2)
                    v.store(self._panel, *at, value=value, lanes=16)

    def add(self, tile: Tile, place: Expr, block: Expr, columns: int) -> None:
        """Emit the products of one block, added to the tile's totals."""
        del columns
        lanes = tile.lanes
        sums = Sums(tile, "int32")
        at_once = self.tiling.pairs
        with T.serial(PAIRS // at_once) as number:
            for i in range(at_once):
                self._add_pair(tile, sums, place, block, number * at_once + i)
        for token, vector, first in tile.places():
            scale = v.load(self._panel_scales, place, first, lanes=lanes)
            scale = scale * v.splat(self._scales[(*tile.rows[token], block)], lanes)
            value = T.Bind(v.convert(sums[token, vector], "float32"))
            tile[token, vector] = v.multiply_add(value, scale, tile[token, vector])

    def _add_pair(self, tile: Tile, sums: Sums, place: Expr, block: Expr, pair: Expr) -> None:
        lanes = tile.lanes
        weights = [
            v.load(self._panel, place, pair, (tile.first_row + i * lanes) * 2, lanes=2 * lanes)
            for i in range(tile.vectors)
        ]
        for token, row in enumerate(tile.rows):
            x = load_pair(self._codes, row, block, pair, lanes)
            for vector, weight in enumerate(weights):
                total = sums[token, vector]
                sums[token, vector] = add_pair_products(self._isa, total, weight, x)


class FloatStrip:
    """float32 weights without their scale, and float32 activations."""

    def __init__(self, weights: WeightFormat, x: Buffer, isa: Isa) -> None:
        self._weights, self._x = weights, x
        self.tiling = tiling(isa, "float")

    def allocate(self) -> None:
        """Emit the scratch memory: values ``[block, column, row]``, scales ``[block, row]``."""
        blocks = self.tiling.strip_blocks
        self._panel = T.alloc_buffer((blocks, BLOCK, PANEL_ROWS), "float32")
        self._panel_scales = T.alloc_buffer((blocks, PANEL_ROWS), "float32")

    def decode(self, panel: Sequence[PackedRows], block: Expr, place: Expr, columns: int) -> None:
        """Emit the decoding of one block, of which ``columns`` are there."""
        scale_of = self._weights.scale
        for number, rows in enumerate(panel):
            self._weights.prefetch_block(rows, block + self.tiling.strip_blocks)
            scale = scale_of(rows, block) if scale_of else v.constant(1, "float32x8")
            v.store(self._panel_scales, place, number * ROWS, value=scale)
            for begin in range(0, columns, QUAD):
                count = min(QUAD, columns - begin)
                values = self._weights.values(rows, block, begin // QUAD, count)
                for i, value in enumerate(values[:count]):
                    v.store(self._panel, place, begin + i, number * ROWS, value=value)

    def add(self, tile: Tile, place: Expr, block: Expr, columns: int) -> None:
        """Emit the products of one block; even and odd columns are added apart."""
        lanes = tile.lanes
        zero = v.constant(0, f"float32x{lanes}")
        sums = {(token, vector): [zero, zero] for token, vector, _ in tile.places()}
        for column in range(columns):
            weights = [
                v.load(self._panel, place, column, tile.first_row + i * lanes, lanes=lanes)
                for i in range(tile.vectors)
            ]
            for token, row in enumerate(tile.rows):
                x = T.Bind(v.splat(self._x[(*row, block * BLOCK + column)], lanes))
                for vector, weight in enumerate(weights):
                    parts = sums[token, vector]
                    part = v.multiply_add(weight, x, parts[column % 2])
                    parts[column % 2] = T.Bind(part)
        for token, vector, first in tile.places():
            even, odd = sums[token, vector]
            scale = v.load(self._panel_scales, place, first, lanes=lanes)
            tile[token, vector] = v.multiply_add(even + odd, scale, tile[token, vector])


class PanelProduct:
    """The products of a panel with any number of tokens."""

    groups = GROUPS

    def __init__(self, strip: Strip, columns: int, direct: DirectProduct | None = None) -> None:
        self._strip, self._columns, self._direct = strip, columns, direct
        self._tiling = strip.tiling

    def multiply(
        self, panel: Sequence[PackedRows], count: Expr, row_of: RowOf
    ) -> Iterator[tuple[Expr, list[Expr]]]:
        """Emit the products of ``count`` tokens, and a loop over their results.

        Yields:
            The token's number, and for each row group its 8 products, float32x8.
        """
        most = self._tiling.pass_tokens
        totals = T.alloc_buffer((most, PANEL_ROWS), "float32")
        self._strip.allocate()
        with T.serial((count + (most - 1)) // most) as number:
            begin = T.Bind(number * most)
            tokens = T.Bind(tvm.tirx.Min(count - begin, v.constant(most, "int32")))
            self._multiply(panel, totals, tokens, lambda token: row_of(begin + token))
            with T.serial(tokens) as token:
                yield (
                    T.Bind(begin + token),
                    [v.load(totals, token, group * ROWS) for group in range(GROUPS)],
                )

    def _multiply(
        self, panel: Sequence[PackedRows], totals: Buffer, tokens: Expr, row_of: RowOf
    ) -> None:
        """Emit the totals ``[tokens, rows of the panel]``."""
        if self._direct is None:
            self._multiply_strips(panel, totals, tokens, row_of)
            return
        with T.If(tokens <= v.constant(self._tiling.direct_tokens, "int32")):
            with T.Then():
                self._direct.multiply(panel, totals, tokens, row_of)
            with T.Else():
                self._multiply_strips(panel, totals, tokens, row_of)

    def _multiply_strips(
        self, panel: Sequence[PackedRows], totals: Buffer, tokens: Expr, row_of: RowOf
    ) -> None:
        with T.serial(tokens) as token, T.serial(GROUPS) as group:
            v.store(totals, token, group * ROWS, value=v.constant(0, "float32x8"))
        for first, blocks, columns in self._strips():
            with T.serial(blocks) as place:
                self._strip.decode(panel, first + place, place, columns)
            for at, size in token_tiles(tokens, self._tiling.tokens):
                rows = [row_of(at + i) for i in range(size)]
                self._add_tile(totals, rows, at, (first, blocks, columns))

    def _strips(self) -> Iterator[tuple[Expr, Expr, int]]:
        """Emit a loop over strips, and a short last block; yields (block, blocks, columns)."""
        most = self._tiling.strip_blocks
        whole, rest = divmod(self._columns, BLOCK)
        if whole:
            with T.serial(-(-whole // most)) as number:
                first = T.Bind(number * most)
                left = v.constant(whole, "int32") - first
                yield first, T.Bind(tvm.tirx.Min(left, v.constant(most, "int32"))), BLOCK
        if rest:
            yield v.constant(whole, "int32"), v.constant(1, "int32"), rest

    def _add_tile(
        self, totals: Buffer, rows: Sequence[Row], at: Expr, strip: tuple[Expr, Expr, int]
    ) -> None:
        first, blocks, columns = strip
        lanes, vectors = self._tiling.lanes, self._tiling.vectors
        with T.serial(PANEL_ROWS // (lanes * vectors)) as part:
            tile = Tile(rows, T.Bind(part * (lanes * vectors)), self._tiling)
            for token, vector, row in tile.places():
                tile[token, vector] = v.load(totals, at + token, row, lanes=lanes)
            with T.serial(blocks) as place:
                self._strip.add(tile, place, first + place, columns)
            for token, vector, row in tile.places():
                v.store(totals, at + token, row, value=tile[token, vector], lanes=lanes)
