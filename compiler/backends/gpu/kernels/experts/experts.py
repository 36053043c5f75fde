"""Which tokens meet which expert, and where it lies: one token's directly, a chunk's by expert."""

from collections.abc import Iterator

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Local, barrier, i32
from ossc.compiler.backends.gpu.kernel_builder import GpuKernelBuilder, Item
from ossc.compiler.backends.gpu.kernels.products import tile
from ossc.compiler.backends.gpu.kernels.products.matrix import Matrix, row_of
from ossc.compiler.backends.gpu.weights.format import WordFormat
from ossc.compiler.backends.gpu.work_items import each
from ossc.compiler.lowering.kernel import Buffer, Expr, Parts
from ossc.targets.errors import LoweringError

MOST_WORDS = 2**31 - 1
"""Of a buffer: kernels count them in int32."""

Pair = tuple[Expr, Expr]
"""A token and one of its slots."""


class ExpertWeights:
    """Packed weights of all experts, each found through a table of word offsets.

    Parameters of the function: table int32 ``[experts]``, weights uint32. An expert may lie
    anywhere in the weights. The runtime does not hash what it maps, so a damaged table leads to
    wrong numbers, and never out of the weights.
    """

    def __init__(
        self,
        function: GpuKernelBuilder,
        experts: int,
        weights: WordFormat,
        words: int,
        columns: int,
    ) -> None:
        """Declare the buffers; ``words`` are those of one expert, whose rows have ``columns``."""
        if experts * words > MOST_WORDS:
            raise LoweringError(
                f"The {experts} experts of a layer have {experts * words} words of 32 bits, and "
                f"kernels reach {MOST_WORDS}; choose a shorter scheme for them with --quant."
            )
        parts: Parts = ("expert", experts)
        self._table = function.buffer("table", "int32", experts, parts=parts)
        self._weight = function.buffer("weight", "uint32", experts * words, parts=parts)
        self._last = (experts - 1) * words
        self._weights, self._columns = weights, columns

    def matrix(self, expert: Expr) -> Matrix:
        """Emit where an expert's matrix begins."""
        begin = tvm.tirx.Max(tvm.tirx.Min(self._table[expert], i32(self._last)), i32(0))
        return Matrix(self._weights, self._weight, self._columns, T.Bind(begin))


class Pairs:
    """A chunk's pairs by expert: offsets ``[experts + 1]`` and order ``[n, k]`` of the sort."""

    def __init__(self, function: GpuKernelBuilder, experts: int, k: int) -> None:
        self.experts = experts
        self._k = k
        self._offsets = function.buffer("offsets", "int32", experts + 1)
        self._order = function.per_token("order", "int32", k)

    def tiles(self, expert: Expr, item: Item) -> Iterator["PairTile"]:
        """Emit a loop over the tiles of an expert's pairs; none if nobody chose it.

        Args:
            expert: The same for all work-items of a group.
            item: Of groups of `tile.BLOCK_OF_ITEMS`.
        """
        width, height = tile.BLOCK_OF_ITEMS
        lane = T.Bind(item.local[1] * width + item.lane)
        place = Local(tile.TOKENS, dtype="int32")
        first = T.Bind(self._offsets[expert])
        count = T.Bind(self._offsets[expert + 1] - first)
        tiles = T.Bind(tvm.tirx.truncdiv(count + (tile.TOKENS - 1), i32(tile.TOKENS)))
        with T.serial(tiles) as number:
            begin = T.Bind(number * tile.TOKENS)
            barrier()  # the tile before is still read
            for at in each(tile.TOKENS, lane, width * height):
                inside = T.Bind(first + tvm.tirx.Min(begin + at, count - 1))
                place[at] = self._order[inside // self._k, inside % self._k]
            barrier()
            yield PairTile(place, T.Bind(count - begin), self._k)


class PairTile:
    """Some pairs of one expert; behind the last one it is the last one again."""

    def __init__(self, place: Local, count: Expr, k: int) -> None:
        self._place, self._count, self._k = place, count, k

    def exists(self, number: Expr) -> Expr:
        """Say whether there is a pair of this number."""
        return number < self._count

    def pair(self, number: Expr) -> Pair:
        """Return token and slot of one of them."""
        pair = T.Bind(self._place[number])
        return T.Bind(pair // self._k), T.Bind(pair % self._k)

    def rows_of_tokens(self, x: Buffer) -> tile.LoadX:
        """Return how a tile reads the activations ``[n, columns]`` of each pair's token."""
        return lambda number, column: row_of(x, self.pair(number)[0])(column)

    def rows_of_pairs(self, a: Buffer) -> tile.LoadX:
        """Return how a tile reads the activations ``[n, k, columns]`` of each pair."""
        return lambda number, column: row_of(a, *self.pair(number))(column)


def expert_biases(function: GpuKernelBuilder, experts: int, rows: int) -> Buffer:
    """Add the biases ``[experts, rows]`` to a function."""
    return function.buffer("bias", "float32", experts, rows, parts=("expert", experts))
