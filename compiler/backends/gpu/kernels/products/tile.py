"""The products of a chunk: a group computes a tile of 32 rows and 32 tokens.

Block by block, the group decodes its rows and copies its activations to local memory, and each
work-item adds to its two rows, 16 apart, of four tokens.
"""

from collections.abc import Callable, Iterator

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Local, Registers, barrier
from ossc.compiler.backends.gpu.kernel_builder import Item
from ossc.compiler.backends.gpu.kernels.products.matrix import row_of
from ossc.compiler.backends.gpu.weights.format import BLOCK, ROWS, PackedRow, count_blocks
from ossc.compiler.lowering.kernel import Buffer, Expr

TOKENS = 32
"""Of a tile."""

GROUPS = 2
"""Groups of rows of a tile."""

BLOCK_OF_ITEMS = (ROWS, 8)
"""A group's, for `GpuKernelBuilder.grid`."""

_ITEM_TOKENS = TOKENS // BLOCK_OF_ITEMS[1]
_ITEM_COLUMNS = BLOCK * GROUPS // BLOCK_OF_ITEMS[1]
"""Columns of a row that one work-item decodes."""

_STEP = 8
"""Columns whose products are unrolled."""

_TOKEN_STRIDE = BLOCK + 1
"""Floats between tokens in local memory: odd, so that their columns lie in different banks."""

_TILE_ROWS = GROUPS * ROWS

LoadX = Callable[[Expr, Expr], Expr]
"""``(token of the tile, column)`` → the activation, float32; valid for all of the tile."""


class Tile:
    """The products of two groups of rows with the tokens of a tile."""

    def __init__(self, item: Item, rows: Callable[[Expr], PackedRow], columns: int) -> None:
        """Emit nothing yet.

        Args:
            item: Of groups of `BLOCK_OF_ITEMS`.
            rows: The number of one of the tile's two groups → this lane's row in it.
            columns: Of the matrix.
        """
        self._item, self._columns = item, columns
        self._lane, self._line = item.local[:2]
        self._decoded = Local(BLOCK * _TILE_ROWS)
        self._x = Local(TOKENS * _TOKEN_STRIDE)
        self._group = T.Bind(self._line // (BLOCK_OF_ITEMS[1] // GROUPS))
        self._row = rows(self._group)
        self._sums = Registers(GROUPS * _ITEM_TOKENS)

    def multiply(self, x: LoadX) -> None:
        """Emit the products with all columns."""
        self._sums.clear()
        with T.serial(count_blocks(self._columns)) as block:
            self._decode(block)
            self._copy(block, x)
            barrier()
            with T.serial(BLOCK // _STEP) as step:
                for column in range(_STEP):
                    self._add(step * _STEP + column)
            barrier()

    def results(self) -> Iterator[tuple[Expr, list[Expr]]]:
        """Yield each of the work-item's tokens in the tile, and the products of its two rows."""
        for number in range(_ITEM_TOKENS):
            sums = [self._sums[group * _ITEM_TOKENS + number] for group in range(GROUPS)]
            yield self._token(number), sums

    def _token(self, number: int) -> Expr:
        return self._line * _ITEM_TOKENS + number

    def _decode(self, block: Expr) -> None:
        """Emit the decoding of 8 columns of this lane's row in one of the groups."""
        row = self._row
        weights, scale = row.weights, row.scale(block)
        scale = None if scale is None else T.Bind(scale)
        part = T.Bind(self._line % (BLOCK_OF_ITEMS[1] // GROUPS))
        words = _ITEM_COLUMNS // weights.word_columns
        at = T.Bind(part * (_ITEM_COLUMNS * _TILE_ROWS) + self._group * ROWS + self._lane)
        for number in range(words):
            values = weights.values(row.word(block, part * words + number))
            for i, value in enumerate(values):
                column = number * weights.word_columns + i
                scaled = value if scale is None else value * scale
                self._decoded[at + column * _TILE_ROWS] = scaled

    def _copy(self, block: Expr, x: LoadX) -> None:
        """Emit the copy of this work-item's activations: neighbours have neighbouring columns."""
        column = T.Bind(self._line % 2 * ROWS + self._lane)
        per_turn = BLOCK_OF_ITEMS[1] // 2
        for turn in range(TOKENS // per_turn):
            token = T.Bind(self._line // 2 + turn * per_turn)
            self._x[token * _TOKEN_STRIDE + column] = x(token, block * BLOCK + column)

    def _add(self, column: Expr) -> None:
        """Emit the products with one column."""
        weights = [
            T.Bind(self._decoded[column * _TILE_ROWS + group * ROWS + self._lane])
            for group in range(GROUPS)
        ]
        for number in range(_ITEM_TOKENS):
            x = T.Bind(self._x[self._token(number) * _TOKEN_STRIDE + column])
            for group, weight in enumerate(weights):
                self._sums.add(group * _ITEM_TOKENS + number, weight * x)


def rows_from(x: Buffer, begin: Expr, tokens: Expr) -> LoadX:
    """Return how a tile reads the rows of activations from one on; behind the last is the last."""

    def load(token: Expr, column: Expr) -> Expr:
        row = tvm.tirx.Min(begin + token, tokens - 1)
        return row_of(x, row)(column)

    return load
